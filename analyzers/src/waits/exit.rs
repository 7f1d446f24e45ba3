//! The end of the process: which thread called `ExitProcess`, and whether the others are gone already.
//!
//! `ExitProcess` first ends all other threads, wherever they are, and then lets the loader call every DLL
//! (process detach). What those threads held or were about to do is lost.
//!
//! Source: Microsoft's documentation of `ExitProcess`; `PEB_LDR_DATA` (`docs/reference/process-blocks.md#peb`).

use super::dll_main::name;
use crate::model::{Confidence, ProcessExit, Stack, ThreadFacts};
use dumpscope_core::model::LoaderData;
use dumpscope_symbols::Trust;

use crate::Target;

/// Functions in which a process ends: name, and whether the other threads are gone by then.
const ENDS: [(&str, bool); 4] = [
    ("LdrShutdownProcess", true),
    ("RtlExitUserProcess", false),
    ("ExitProcess", false),
    ("ExitProcessImplementation", false),
];

/// Whether the process ends, and who ends it.
pub(crate) fn process_exit(
    target: &Target,
    threads: &[ThreadFacts],
    loader: Option<&LoaderData>,
) -> Option<ProcessExit> {
    let told = loader.filter(|l| l.shutdown_in_progress == Some(true)).and_then(|l| l.shutdown_tid);
    let found = |t: &ThreadFacts| Some((t.tid, ends(target, t.stack.as_ref()?)?));
    let seen = match told {
        Some(tid) => threads.iter().find(|t| t.tid == tid).and_then(found),
        None => threads.iter().find_map(found),
    };
    let tid = told.or(seen.map(|s| s.0))?;
    let mut evidence = Vec::new();
    if told.is_some() {
        evidence.push(format!(
            "PEB_LDR_DATA says that the process is ending, and that thread {:x} ends it (ShutdownInProgress, \
             ShutdownThreadId)",
            tid.0
        ));
    }
    if let Some((_, (function, ..))) = seen {
        evidence.push(format!("the stack of thread {:x} goes through {function}", tid.0));
    }
    Some(ProcessExit {
        tid,
        others_ended: told.is_some() || seen.is_some_and(|(_, (_, ended, _))| ended),
        confidence: if told.is_some() {
            Confidence::Proven
        } else {
            seen.map_or(Confidence::Guess, |s| s.1.2)
        },
        evidence,
    })
}

/// The function of a stack in which the process ends. It never comes back: a return address into it is no left-over, even
/// behind frames that were found by scanning.
fn ends(target: &Target, stack: &Stack) -> Option<(&'static str, bool, Confidence)> {
    let mut sure = Confidence::Strong;
    stack.physical().find_map(|f| {
        if f.trust == Trust::Scan {
            sure = Confidence::Guess;
        }
        let function = name(target, f)?;
        let (name, ended) = ENDS.into_iter().find(|(n, _)| *n == function)?;
        Some((name, ended, sure))
    })
}
