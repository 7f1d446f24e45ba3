//! Messages that were sent to a window of the same process: which thread has to answer.
//!
//! A window's handle does not name its thread, and what does lies in the system. But a thread that answers messages has
//! user32's dispatching functions on its stack, and when there is only one such thread that waits, it is asked.

use crate::model::{StackFrame, ThreadFacts, WaitKind};
use dumpscope_core::Tid;

/// Functions of user32 (and Wine's) below which window procedures run.
const DISPATCH: [&str; 10] = [
    "DispatchMessageW",
    "DispatchMessageA",
    "DispatchMessageWorker",
    "UserCallWinProcCheckWow",
    "InternalCallWinProc",
    "CallWindowProcW",
    "CallWindowProcA",
    "DispatchClientMessage",
    "GetMessageW",
    "GetMessageA",
];

/// Names the thread that may have to answer a sent message: the only other one that is in a window procedure and waits.
pub(crate) fn suspects(threads: &mut [ThreadFacts]) {
    let answers: Vec<Tid> = threads.iter().filter(|t| in_window_procedure(t)).map(|t| t.tid).collect();
    for t in threads.iter_mut() {
        let sent = t.activity.as_ref().and_then(|a| a.wait) == Some(WaitKind::SentMessage);
        let mut others = answers.iter().filter(|a| **a != t.tid);
        let (Some(one), None) = (others.next(), others.next()) else { continue };
        let Some(wait) = t.wait.as_mut().filter(|w| sent && w.owner_tid.is_none() && w.suspect.is_none())
        else {
            continue;
        };
        wait.suspect = Some(*one);
        wait.evidence.push(format!(
            "thread {:x} is the only other one that is in a window procedure: the window may be its own",
            one.0
        ));
    }
}

/// A thread that answers a message and waits meanwhile.
fn in_window_procedure(t: &ThreadFacts) -> bool {
    let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
    let dispatches = |f: &StackFrame| f.function.as_deref().is_some_and(|n| DISPATCH.contains(&n));
    // A thread that waits for the next message answers at once.
    let idle = t.activity.as_ref().is_some_and(|a| a.idle);
    !idle && t.wait.is_some() && frames.iter().any(dispatches)
}
