//! Numbers as WinDbg writes them.

use super::{Link, Role, Span};
use dumpscope_core::Va;

/// An address: ``00007ff6`0f620000`` in 64-bit views, `7c8179c3` in 32-bit ones.
#[must_use]
pub fn va(address: Va, wide: bool) -> String {
    hex(address.0, wide)
}

/// A pointer-sized number in the form of an address. In 32-bit views a number that does not fit in 32 bits (and is
/// no sign-extended 32-bit one) is shown in full.
#[must_use]
pub fn hex(value: u64, wide: bool) -> String {
    let (high, low) = (value >> 32, value & 0xffff_ffff);
    let short = high == 0 || (high == 0xffff_ffff && low >> 31 == 1);
    if wide || !short { format!("{high:08x}`{low:08x}") } else { format!("{low:08x}") }
}

/// An address as a span that leads there.
#[must_use]
pub fn va_span(address: Va, wide: bool) -> Span {
    Span::new(Role::Address, va(address, wide)).link(Link::Goto(address))
}

/// An address, handle or code in JSON: `"0x7ff612340000"`.
#[must_use]
pub fn hex_json(value: u64) -> serde_json::Value {
    serde_json::Value::String(format!("{value:#x}"))
}
