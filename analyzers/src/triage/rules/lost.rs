//! Whether anybody is left who could end a wait.

use super::graph::wakes_up;
use crate::Target;
use crate::facts::Case;
use crate::model::{Kind, ThreadFacts, ThreadRole, Timeout, Wait};
use dumpscope_core::Tid;
use dumpscope_core::error::Parsed;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};

/// Fewest handles of a table from which the writer's habit can be told.
const MIN_TABLE: usize = 8;

/// Most threads that write the dump and are named.
const MAX_WRITERS: usize = 4;

/// A wait that nobody is left to end.
pub(super) struct Lost {
    /// Why, for the summary: follows a semicolon.
    pub why: String,
    /// What that rests on, one sentence each.
    pub evidence: Vec<String>,
    /// Threads that wait for work: what they get may end the wait.
    pub idle: usize,
}

/// Who is left in the process: looked at once for all waits.
pub(super) struct Left {
    /// All threads are known.
    complete: bool,
    /// As [`writers_own`].
    writers_own: bool,
    writers: Vec<Tid>,
    /// How many wait for work.
    idle: usize,
    /// Threads that run, or whose wait something else can end.
    free: Vec<Tid>,
}

impl Left {
    pub(super) fn of(facts: &Case<'_>) -> Left {
        let complete = matches!(facts.target.dump.thread_list(), Parsed::Fine(list) if !list.is_empty());
        let table = facts.target.dump.handles().value();
        let mut out = Left {
            // A thread that is not in the list could act.
            complete: complete && !facts.stopped,
            writers_own: table.is_some_and(|t| writers_own(&t.handles)),
            writers: Vec::new(),
            idle: 0,
            free: Vec::new(),
        };
        for t in &facts.threads {
            if t.role == Some(ThreadRole::DumpWriter) {
                out.writers.push(t.tid);
            } else if is_idle(t) {
                out.idle = out.idle.saturating_add(1);
            } else if !t.wait.as_ref().is_some_and(|w| is_stuck(facts, w, out.writers_own)) {
                out.free.push(t.tid);
            }
        }
        out
    }
}

/// Looks for somebody who could end the wait; `None` when there is somebody, or when that is not known.
///
/// Never more than `strong`: a thread that waits for work may be given some, and the kernel itself may set an event
/// when I/O is done.
pub(super) fn lost(facts: &Case<'_>, left: &Left, t: &ThreadFacts) -> Option<Lost> {
    let wait = t.wait.as_ref()?;
    let ended_by_threads = matches!(wait.kind, Kind::ConditionVariable | Kind::Address);
    if !ended_by_threads && !matches!(wait.kind, Kind::Event | Kind::Semaphore) {
        return None;
    }
    if !left.complete || wait.timeout != Some(Timeout::Infinite) || left.free.iter().any(|o| *o != t.tid) {
        return None;
    }
    let mut evidence = vec!["it waits without a limit".to_owned()];
    if !ended_by_threads {
        evidence.push(alone(facts.target, wait, left.writers_own)?);
    }
    let writers = left.writers.iter().filter(|o| **o != t.tid).take(MAX_WRITERS);
    evidence.extend(writers.map(|o| format!("thread {:x} wrote the dump and is not counted", o.0)));
    let itself = t.role != Some(ThreadRole::DumpWriter) && is_idle(t);
    let idle = left.idle.saturating_sub(usize::from(itself));
    evidence.insert(
        0,
        match idle {
            0 => "no other thread of the process runs or will wake up by itself".into(),
            1 => "no other thread of the process runs or will wake up by itself; one waits for work".into(),
            n => format!("no other thread of the process runs or will wake up by itself; {n} wait for work"),
        },
    );
    let outside = match (ended_by_threads, idle) {
        (true, 0) => "and nobody else can end this wait",
        (true, _) => "and only a thread that waits for work could end this wait",
        (false, _) => "and no other process has a handle to it",
    };
    Some(Lost { why: format!("no other thread of the process runs, {outside}"), evidence, idle })
}

fn is_idle(t: &ThreadFacts) -> bool {
    t.activity.as_ref().is_some_and(|a| a.idle)
}

/// True when a wait can only be ended by another thread of this process.
fn is_stuck(facts: &Case<'_>, wait: &Wait, writers_own: bool) -> bool {
    let own = facts.target.dump.pid();
    let inside = wait.owner_tid.is_some() && wait.owner_pid.is_none_or(|p| Some(p) == own);
    let endless = || wait.timeout == Some(Timeout::Infinite);
    let closed = match wait.kind {
        // Waits of these kinds have no time limit.
        Kind::CriticalSection | Kind::SrwLock | Kind::LoaderLock => true,
        Kind::ConditionVariable | Kind::Address => endless(),
        Kind::Event | Kind::Semaphore => endless() && alone(facts.target, wait, writers_own).is_some(),
        Kind::Thread | Kind::Mutex => inside && endless(),
        _ => false,
    };
    closed && !wakes_up(wait)
}

/// Says that nobody else has a handle to what is waited for, when the handle table does.
fn alone(target: &Target, wait: &Wait, writers_own: bool) -> Option<String> {
    let &[value] = wait.handles.as_deref()? else { return None };
    let table = target.dump.handles().value()?;
    let handle = table.handles.iter().find(|h| h.value == value)?;
    // What has a name others may open at any time.
    if handle.object_name.as_deref().is_some_and(|n| !n.is_empty()) {
        return None;
    }
    let unset = |i: &ObjectInfo| {
        matches!(i, ObjectInfo::Event { signalled: false, .. } | ObjectInfo::Semaphore { count: 0, .. })
    };
    if !handle.info.iter().any(unset) {
        return None;
    }
    match (handle.handle_count, writers_own) {
        (1, _) => Some(format!("handle {value:x} is the only one to that object, and it is not set")),
        (2, true) => Some(format!(
            "that object has two handles, {value:x} and one of the tool that wrote the dump (no object of the table has \
             fewer), and it is not set"
        )),
        _ => None,
    }
}

/// True when the tool that wrote the dump held a handle to every object while it looked: from outside the process it
/// duplicates each (seen with WinDbg's and procdump's dumps; dumps that a process writes of itself count one).
fn writers_own(table: &[Handle]) -> bool {
    let counts = || table.iter().map(|h| h.handle_count).filter(|n| *n > 0);
    table.len() >= MIN_TABLE && counts().min() == Some(2)
}
