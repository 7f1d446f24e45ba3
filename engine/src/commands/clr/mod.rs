//! Commands of .NET's debugger extension (SOS), and stacks of any runtime. Layouts: `dotnet-dump` 10.0.7505.

mod assemblies;
mod code;
mod dso;
mod eeheap;
mod exceptions;
mod handles;
mod heap;
mod methods;
mod objects;
mod reach;
mod stacks;
mod table;
mod tasks;
mod threads;
mod trees;
mod types;

pub(super) use assemblies::{CLRMODULES, DUMPASSEMBLY, DUMPDOMAIN, DUMPMODULE};
pub(super) use code::U;
pub(super) use dso::DSO;
pub(super) use eeheap::EEHEAP;
pub(super) use exceptions::{DUMPEXCEPTIONS, PE};
pub(super) use handles::{FINALIZEQUEUE, GCHANDLES};
pub(super) use heap::DUMPHEAP;
pub(super) use methods::{DUMPMD, IP2MD, NAME2EE};
pub(super) use objects::{DO, DUMPARRAY, DUMPVC};
pub(super) use reach::{GCROOT, OBJSIZE};
pub(super) use stacks::{CLRSTACK, SCRIPT};
pub(super) use tasks::{DUMPASYNC, THREADPOOL};
pub(super) use threads::{CLRTHREADS, EEVERSION, SYNCBLK};
pub(super) use trees::PSTACKS;
pub(super) use types::{DUMPCLASS, DUMPMT};

use crate::command::CommandError;
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_analyzers::model::Facts;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::clr::ClrReader;
use dumpscope_runtimes::{Reader, Walked};
use dumpscope_symbols::Frame;
use dumpscope_symbols::unwind::Limits;
use std::sync::Arc;

fn safe(text: &str) -> String {
    escape(text).into_owned()
}

/// What every question goes to: a runtime that [`dotnet`] found can be read.
fn clr(reader: &Arc<dyn Reader>) -> Result<&dyn ClrReader, CommandError> {
    reader.clr().ok_or_else(|| CommandError::message("This .NET runtime cannot be read."))
}

/// The .NET runtime that can be read; an error that says why there is none.
fn dotnet(session: &Session) -> Result<Arc<dyn Reader>, CommandError> {
    let runtimes = session.target.runtimes();
    let all: Vec<_> = runtimes.readers().iter().filter(|r| r.runtime().name == ".NET").collect();
    if let Some(reader) = all.iter().find(|r| r.clr().is_some()) {
        return Ok(Arc::clone(reader));
    }
    const NONE: &str = "Failed to find runtime module (coreclr.dll or clr.dll), 0x80004005";
    Err(match all.first().map(|r| r.runtime()) {
        Some(r) => CommandError::noted(
            NONE,
            format!(
                ".NET {} is in this process, but cannot be read: {}.",
                r.version.as_deref().unwrap_or("of unknown version"),
                safe(r.why.as_deref().unwrap_or("its data are not in the dump"))
            ),
        ),
        None => CommandError::noted(NONE, "No .NET runtime that can be read is in this process."),
    })
}

/// The address that a command needs.
fn needed(session: &Session, cursor: &mut Cursor<'_>, what: &str) -> Result<Va, CommandError> {
    let address = cursor.opt_address(session)?;
    address.ok_or_else(|| CommandError::message(format!("Required argument missing: {what}.")))
}

/// A decimal number, or a hexadecimal one after `0x`, as .NET's extension reads sizes.
fn size(cursor: &mut Cursor<'_>) -> Result<u64, CommandError> {
    let Some(word) = cursor.word() else { return Err(cursor.syntax_error()) };
    let hex = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
    let number = hex.map_or_else(|| word.parse().ok(), |h| u64::from_str_radix(h, 16).ok());
    number.ok_or_else(|| cursor.syntax_error())
}

/// Machine frames of all threads.
fn machine_stacks(facts: &Facts) -> Vec<(Tid, Vec<Frame>)> {
    let frames = |t: &dumpscope_analyzers::model::ThreadFacts| {
        Some((t.tid, t.stack.as_ref()?.physical().map(|f| f.frame.clone()).collect()))
    };
    facts.threads.iter().filter_map(frames).collect()
}

/// Machine frames of one thread.
fn frames_of(session: &Session, tid: Tid) -> Option<Vec<Frame>> {
    let thread = session.dump().thread_by_tid(tid)?.index;
    let machine = session.dump().machine();
    let limits = Limits::default();
    let stack = dumpscope_analyzers::stacks::thread_stack(
        &session.target,
        thread,
        machine,
        &limits,
        &session.cancel,
    )?;
    Some(stack.physical().map(|f| f.frame.clone()).collect())
}

/// As readers take them.
fn walked(stacks: &[(Tid, Vec<Frame>)]) -> Vec<Walked<'_>> {
    stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect()
}

/// The debugger's number of a thread.
fn number(session: &Session, tid: u32) -> Option<u32> {
    session.dump().thread_by_tid(Tid(tid)).map(|t| t.index.0)
}

/// The system id of the current thread.
fn current(session: &Session) -> Option<Tid> {
    let index = session.sel.thread?;
    session.dump().threads().iter().find(|t| t.index == index).map(|t| t.tid)
}
