//! Commands of .NET's debugger extension (SOS), and stacks of any runtime. Layouts: `dotnet-dump` 10.0.7505.

mod exceptions;
mod heap;
mod stacks;
mod tasks;
mod threads;
mod trees;

pub(super) use exceptions::PE;
pub(super) use heap::DUMPHEAP;
pub(super) use stacks::{CLRSTACK, SCRIPT};
pub(super) use tasks::{DUMPASYNC, THREADPOOL};
pub(super) use threads::{CLRTHREADS, EEVERSION, SYNCBLK};
pub(super) use trees::PSTACKS;

use crate::command::CommandError;
use crate::session::Session;
use dumpscope_analyzers::model::Facts;
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{Reader, Walked};
use dumpscope_symbols::Frame;
use std::sync::Arc;

fn safe(text: &str) -> String {
    escape(text).into_owned()
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

/// Machine frames of all threads.
fn machine_stacks(facts: &Facts) -> Vec<(Tid, Vec<Frame>)> {
    let frames = |t: &dumpscope_analyzers::model::ThreadFacts| {
        Some((t.tid, t.stack.as_ref()?.physical().map(|f| f.frame.clone()).collect()))
    };
    facts.threads.iter().filter_map(frames).collect()
}

/// As readers take them.
fn walked(stacks: &[(Tid, Vec<Frame>)]) -> Vec<Walked<'_>> {
    stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect()
}

/// The debugger's number of a thread.
fn number(session: &Session, tid: u32) -> Option<u32> {
    session.dump().thread_by_tid(Tid(tid)).map(|t| t.index.0)
}
