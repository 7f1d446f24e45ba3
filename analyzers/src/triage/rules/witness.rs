//! Whether a wait should have ended by now. Threads of a healthy process wait most of the time: a wait is suspicious
//! only when something shows that it should have ended.

use super::graph::{is_bystander, locked_out};
use super::lost::{Lost, lost};
use crate::facts::Case;
use crate::model::{Confidence, Kind, StackFrame, ThreadFacts, Timeout, Wait, WaitKind};
use dumpscope_core::Tid;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use std::collections::BTreeMap;

/// What shows that a wait should have ended.
pub(super) enum Witness {
    /// Others wait for something that this thread has: a lock, an answer.
    Waiters,
    /// Nobody is left who could end it.
    Lost(Box<Lost>),
    /// It waits for an answer or a lock: such waits are short in a healthy process.
    Asked(&'static str),
    /// All workers of the pool wait for the same.
    Starved(usize),
    /// Many wait for one thing, and a thread that does not may have it.
    Taken(Tid),
}

impl Witness {
    /// How sure it makes that the wait is a fault.
    pub(super) fn sure(&self) -> Confidence {
        match self {
            Witness::Waiters => Confidence::Strong,
            // A thread that waits for work may get some that ends the wait.
            Witness::Lost(l) if l.idle == 0 => Confidence::Strong,
            _ => Confidence::Guess,
        }
    }
}

/// Looks at all threads once, then answers for each.
pub(super) struct Witnesses {
    locked_out: BTreeMap<Tid, usize>,
    joined: BTreeMap<Tid, usize>,
    /// How many threads wait for each single handle.
    handles: BTreeMap<u64, usize>,
    /// A thread that is in the middle of reading from the network or a file.
    reader: Option<Tid>,
    /// Workers of the thread pool inside a callback, by what they wait for; `None` when one is left for work.
    busy_workers: Option<BTreeMap<(Kind, u64), usize>>,
}

impl Witnesses {
    pub(super) fn of(facts: &Case<'_>) -> Witnesses {
        let mut out = Witnesses {
            locked_out: locked_out(facts),
            joined: BTreeMap::new(),
            handles: BTreeMap::new(),
            reader: None,
            busy_workers: Some(BTreeMap::new()),
        };
        let mut readers = Vec::new();
        for t in &facts.threads {
            let Some(w) = t.wait.as_ref() else { continue };
            if let Some(handle) = one_handle(w) {
                *out.handles.entry(handle).or_default() += 1;
            }
            if let (Kind::Thread, Some(owner)) = (w.kind, w.owner_tid) {
                *out.joined.entry(owner).or_default() += 1;
            }
            if matches!(w.kind, Kind::Socket | Kind::FileIo) && reads(t) {
                readers.push(t.tid);
            }
            if w.kind == Kind::WorkerIdle && is_pool_thread(t) {
                out.busy_workers = None;
            } else if let (Some(busy), true) = (out.busy_workers.as_mut(), is_pool_thread(t)) {
                let what = one_handle(w).or(w.address.map(|a| a.0));
                if let Some(what) = what {
                    *busy.entry((w.kind, what)).or_default() += 1;
                }
            }
        }
        out.reader = if let [one] = readers.as_slice() { Some(*one) } else { None };
        out
    }

    /// What shows that a thread's wait should have ended; `None` when nothing does, and for a thread in no wait.
    pub(super) fn of_thread(&self, facts: &Case<'_>, t: &ThreadFacts) -> Option<Witness> {
        let w = t.wait.as_ref()?;
        if self.locked_out.contains_key(&t.tid) {
            return Some(Witness::Waiters);
        }
        if is_bystander(t) {
            return None;
        }
        if let Some(why) = asked(t, w) {
            return Some(Witness::Asked(why));
        }
        let what = one_handle(w).or(w.address.map(|a| a.0));
        let busy = self.busy_workers.as_ref().zip(what).and_then(|(b, what)| b.get(&(w.kind, what)));
        if let Some(n) = busy.copied().filter(|n| *n > 1 && is_pool_thread(t)) {
            return Some(Witness::Starved(n));
        }
        if is_stop_shape(facts, t, w) {
            return None;
        }
        if let Some(found) = lost(facts, t) {
            let alone = found.idle == 0 || self.matters(t);
            return alone.then(|| Witness::Lost(Box::new(found)));
        }
        match w.kind {
            Kind::Semaphore | Kind::Event => {
                let together = one_handle(w).and_then(|h| self.handles.get(&h)).copied().unwrap_or(0);
                if let Some(reader) = self.reader.filter(|r| together > 1 && *r != t.tid) {
                    return Some(Witness::Taken(reader));
                }
                let endless = w.timeout == Some(Timeout::Infinite);
                (endless && self.matters(t)).then_some(Witness::Asked(COMPLETION))
            }
            Kind::Multiple if w.wait_all == Some(true) => {
                self.matters(t).then_some(Witness::Asked("it waits until all of several objects are free"))
            }
            Kind::Process => Some(Witness::Asked("it waits for the end of a process")),
            _ => None,
        }
    }

    /// The main thread, or one whose end others wait for.
    fn matters(&self, t: &ThreadFacts) -> bool {
        t.is_main || self.joined.contains_key(&t.tid)
    }
}

/// What an event without a name that resets itself is used for.
const COMPLETION: &str =
    "it waits for an object of its own that resets itself: such ones usually report that something is done";

fn one_handle(w: &Wait) -> Option<u64> {
    if let Some(&[handle]) = w.handles.as_deref() { Some(handle) } else { None }
}

/// Waits that end soon while all is well.
fn asked(t: &ThreadFacts, w: &Wait) -> Option<&'static str> {
    let named = t.activity.as_ref().and_then(|a| a.wait);
    match (w.kind, named) {
        (_, Some(WaitKind::SentMessage)) => Some("it sent a message that a window has to answer"),
        (Kind::ComCall, _) => Some("it made a COM call and waits for the answer"),
        (Kind::RpcCall, _) => Some("it made a call and waits for the answer"),
        (Kind::CriticalSection | Kind::SrwLock | Kind::Mutex | Kind::LoaderLock, _) => {
            Some("it waits for a lock, and locks are held for short times")
        }
        (_, Some(WaitKind::RunOnce)) => Some("it waits for a one-time initialization"),
        (_, Some(WaitKind::KeyedEvent)) => Some("it waits for a lock of the system"),
        (Kind::FileIo | Kind::Socket, _) if !listens(t) => Some("it made an I/O request that is not answered"),
        (Kind::Other, _) if t.activity.as_ref().is_some_and(|a| a.pattern.as_deref() == Some("pool_drain")) => {
            Some("it waits for callbacks of the thread pool to end")
        }
        _ => None,
    }
}

/// Functions in which a thread waits until somebody sends it something, however long that takes.
const LISTENS: [&str; 22] = [
    "accept", "WSAAccept", "WSPAccept", "select", "WSPSelect", "WSAPoll", "recv", "recvfrom", "WSARecv", "WSARecvFrom",
    "WSPRecv", "WSPRecvFrom", "NtReadFile", "ZwReadFile", "ReadFile", "NtFsControlFile", "ZwFsControlFile",
    "ConnectNamedPipe", "NtNotifyChangeDirectoryFile", "ZwNotifyChangeDirectoryFile", "ReadConsoleW", "ReadConsoleA",
];

/// Functions that read what a peer or a disk has to give.
const READS: [&str; 8] =
    ["recv", "recvfrom", "WSARecv", "WSPRecv", "NtReadFile", "ZwReadFile", "ReadFile", "WSPRecvFrom"];

/// Innermost frames in which those are looked for.
const DEPTH: usize = 8;

fn innermost(t: &ThreadFacts) -> impl Iterator<Item = &str> {
    let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
    frames.iter().take(DEPTH).filter_map(|f: &StackFrame| f.function.as_deref())
}

fn listens(t: &ThreadFacts) -> bool {
    innermost(t).any(|f| LISTENS.contains(&f))
}

fn reads(t: &ThreadFacts) -> bool {
    innermost(t).any(|f| READS.contains(&f))
}

/// True for a thread of the system's thread pool.
pub(super) fn is_pool_thread(t: &ThreadFacts) -> bool {
    let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
    let mut names = frames.iter().rev().filter_map(|f| f.function.as_deref());
    names.any(|f| ["TppWorkerThread", "TppWorkpExecuteCallback", "threadpool_worker_proc"].contains(&f))
        || t.wait.as_ref().is_some_and(|w| w.kind == Kind::WorkerIdle)
}

/// The main thread's wait for the end of the program: an event with a name (others are to set it), or one that stays
/// set (everybody may see it).
fn is_stop_shape(facts: &Case<'_>, t: &ThreadFacts, w: &Wait) -> bool {
    if w.kind != Kind::Event || !t.is_main {
        return false;
    }
    let handle = |value: u64| -> Option<&Handle> {
        facts.target.dump.handles().value()?.handles.iter().find(|h| h.value == value)
    };
    let Some(handle) = one_handle(w).and_then(handle) else { return false };
    let named = handle.object_name.as_deref().is_some_and(|n| !n.is_empty());
    named || handle.info.iter().any(|i| matches!(i, ObjectInfo::Event { manual_reset: true, .. }))
}
