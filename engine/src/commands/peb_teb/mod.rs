//! Process and thread blocks: `!teb`, `!peb`, `!gle`, `!envvar`, `!gflag`, `!tls`, `!dlls`.

pub(crate) mod dlls;
pub(crate) mod env;
pub(crate) mod gle;
pub(crate) mod peb;
pub(crate) mod teb;
pub(crate) mod tls;

use crate::doc::{Line, Role, Span};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::{Machine, Va};

/// A labelled line: four blanks, the label padded, the value.
fn field(label: &str, width: usize, value: Span) -> Line {
    Line::new().role(Role::Label, format!("    {label:<width$}")).span(value)
}

/// An address without backtick that leads to it; question marks where the dump lacks it.
fn address(va: Option<Va>, wide: bool) -> Span {
    match va {
        Some(va) => Span::new(Role::Address, fmt::addr_plain(va, wide)).link(crate::doc::Link::Goto(va)),
        None => Span::new(Role::Dim, "?".repeat(if wide { 16 } else { 8 })),
    }
}

/// In which views the blocks of this process exist: a WOW64 process has both, the 32-bit one first.
fn views(session: &Session) -> Vec<Machine> {
    let native = session.dump().machine();
    if session.dump().is_wow64() { vec![Machine::X86, native] } else { vec![native] }
}
