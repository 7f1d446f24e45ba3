//! Whether a wait should have ended by now. Threads of a healthy process wait most of the time: a wait is suspicious
//! only when something shows that it should have ended.

use super::graph::{edge, is_bystander, locked_out, wakes_up};
use super::lost::{Left, Lost, lost};
use crate::facts::Case;
use crate::model::{Confidence, Kind, StackFrame, ThreadFacts, Wait, WaitKind};
use dumpscope_core::Tid;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use std::collections::{BTreeMap, BTreeSet};

/// What shows that a wait should have ended.
pub(super) enum Witness {
    /// Others wait for something that this thread has: a lock, an answer. False: that it has it is only supposed.
    Waiters(bool),
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
            Witness::Waiters(true) => Confidence::Strong,
            // A thread that waits for work may get some that ends the wait.
            Witness::Lost(l) if l.idle == 0 => Confidence::Strong,
            _ => Confidence::Guess,
        }
    }
}

/// Looks at all threads once, then answers for each.
pub(super) struct Witnesses {
    locked_out: BTreeMap<Tid, usize>,
    /// Threads that have what others wait for, as the dump says.
    holds: BTreeSet<Tid>,
    joined: BTreeMap<Tid, usize>,
    /// How many threads wait for each single handle.
    handles: BTreeMap<u64, usize>,
    /// A thread that is in the middle of reading from the network or a file.
    reader: Option<Tid>,
    /// Workers of the thread pool that wait inside of a callback; 0 when one is left for work.
    busy_workers: usize,
    /// Who is left to end a wait.
    left: Left,
    /// A thread of a runtime serves others.
    serves: bool,
    /// The thread that does the program's main work.
    main: Option<Tid>,
}

impl Witnesses {
    pub(super) fn of(facts: &Case<'_>) -> Witnesses {
        let known = |e: &super::graph::Edge<'_>| {
            e.wait.kind != Kind::Thread && e.wait.confidence >= Confidence::Strong
        };
        let mut out = Witnesses {
            locked_out: locked_out(facts),
            holds: facts.threads.iter().filter_map(|t| edge(facts, t)).filter(known).map(|e| e.to).collect(),
            joined: BTreeMap::new(),
            handles: BTreeMap::new(),
            reader: None,
            busy_workers: 0,
            left: Left::of(facts),
            serves: facts.script.threads.values().any(|s| s.wait.as_ref().is_some_and(|w| w.serves)),
            main: main_work(facts),
        };
        let mut readers = Vec::new();
        let mut left = false;
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
            left |= w.kind == Kind::WorkerIdle;
            let busy = !wakes_up(w) && is_pool_thread(facts, t);
            out.busy_workers = out.busy_workers.saturating_add(usize::from(busy));
        }
        if left {
            out.busy_workers = 0;
        }
        out.reader = if let [one] = readers.as_slice() { Some(*one) } else { None };
        out
    }

    /// What shows that a thread's wait should have ended; `None` when nothing does, and for a thread in no wait.
    pub(super) fn of_thread(&self, facts: &Case<'_>, t: &ThreadFacts) -> Option<Witness> {
        let w = t.wait.as_ref()?;
        if self.locked_out.contains_key(&t.tid) {
            let holds = self.holds.contains(&t.tid);
            // Who waits for the end of the program may have any address on the stack.
            if holds || !is_stop_shape(facts, t, w) {
                return Some(Witness::Waiters(holds));
            }
        }
        if is_bystander(t) {
            return None;
        }
        if let Some(why) = asked(t, w) {
            return Some(Witness::Asked(why));
        }
        if self.busy_workers > 1 && !wakes_up(w) && is_pool_thread(facts, t) {
            return Some(Witness::Starved(self.busy_workers));
        }
        if is_stop_shape(facts, t, w) || self.is_script_stop_shape(facts, t, w) {
            return None;
        }
        if let Some(found) = lost(facts, &self.left, t) {
            let alone = found.idle == 0 || self.matters(t);
            return alone.then(|| Witness::Lost(Box::new(found)));
        }
        if ends_the_process(facts, t) && !wakes_up(w) {
            return Some(Witness::Asked("it ends the process, which cannot end before this wait does"));
        }
        match w.kind {
            Kind::Semaphore | Kind::Event => {
                let together = one_handle(w).and_then(|h| self.handles.get(&h)).copied().unwrap_or(0);
                if let Some(reader) = self.reader.filter(|r| together > 1 && *r != t.tid) {
                    return Some(Witness::Taken(reader));
                }
                (!wakes_up(w) && self.matters(t)).then_some(Witness::Asked(COMPLETION))
            }
            Kind::MessageQueue => {
                let event = one_handle(w).and_then(|h| handle(facts, h)).is_some_and(|h| !is_for_all(h));
                (event && self.matters(t)).then_some(Witness::Asked(COMPLETION))
            }
            Kind::Socket => {
                let asks = self.main == Some(t.tid) && reads(t);
                asks.then_some(Witness::Asked("it waits for what a peer has to send"))
            }
            Kind::FileIo => {
                // What a program reads its work from is a pipe without a name, or a console.
                let named = w.object.as_deref().is_some_and(is_named_pipe);
                let asks = self.main == Some(t.tid) && reads(t) && named;
                asks.then_some(Witness::Asked("it waits for what the other end of a pipe has to send"))
            }
            Kind::Multiple if w.wait_all == Some(true) => {
                self.matters(t).then_some(Witness::Asked("it waits until all of several objects are free"))
            }
            Kind::Process => Some(Witness::Asked("it waits for the end of a process")),
            _ => None,
        }
    }

    /// A wait for the end of a program that serves others, by a runtime's own record: the system's object behind it is
    /// the runtime's, and says nothing.
    fn is_script_stop_shape(&self, facts: &Case<'_>, t: &ThreadFacts, w: &Wait) -> bool {
        let endless = || facts.script.threads.get(&t.tid)?.wait.as_ref().map(|s| s.endless);
        self.serves && w.kind == Kind::Event && endless() == Some(true)
    }

    /// The main thread, or one whose end others wait for.
    fn matters(&self, t: &ThreadFacts) -> bool {
        self.main == Some(t.tid) || self.joined.contains_key(&t.tid)
    }
}

fn ends_the_process(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    facts.exit.as_ref().is_some_and(|e| e.tid == t.tid)
}

/// The main thread; where that one only looks after others, the first that does not.
fn main_work(facts: &Case<'_>) -> Option<Tid> {
    let works = |t: &&ThreadFacts| t.role.is_none();
    let main = facts.threads.iter().find(|t| t.is_main).filter(works);
    main.or_else(|| facts.threads.iter().find(works)).map(|t| t.tid)
}

fn handle<'a>(facts: &'a Case<'_>, value: u64) -> Option<&'a Handle> {
    facts.target.dump.handles().value()?.handles.iter().find(|h| h.value == value)
}

/// True for an event that others are to find: it stays set; where that is not known, it has a name.
fn is_for_all(handle: &Handle) -> bool {
    let named = handle.object_name.as_deref().is_some_and(|n| !n.is_empty());
    let stays = handle.info.iter().find_map(|i| match i {
        ObjectInfo::Event { manual_reset, .. } => Some(*manual_reset),
        _ => None,
    });
    stays.unwrap_or(named)
}

/// True for a pipe that a program gave a name: those for a child's input and output have none, or one made up.
fn is_named_pipe(name: &str) -> bool {
    const MADE_UP: [&str; 4] = ["win32pipes.", "uv\\", "lanmanserver", "msys-"];
    let name = name.to_ascii_lowercase();
    let own = name.strip_prefix("\\device\\namedpipe\\");
    own.is_some_and(|n| !n.is_empty() && !MADE_UP.iter().any(|m| n.starts_with(m)))
}

/// What an event without a name that resets itself is used for.
const COMPLETION: &str =
    "it waits for an object that resets itself: such ones usually report that something is done";

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
        // A file that is waited for like an event, without a request, is one whose changes are watched.
        (Kind::FileIo, Some(WaitKind::Object | WaitKind::Multiple)) if !overlapped(t) => None,
        (Kind::FileIo | Kind::Socket, _) if !listens(t) => {
            Some("it made an I/O request that is not answered")
        }
        (Kind::Other, _)
            if t.activity.as_ref().is_some_and(|a| a.pattern.as_deref() == Some("pool_drain")) =>
        {
            Some("it waits for callbacks of the thread pool to end")
        }
        _ => None,
    }
}

/// True for a thread that waits for the end of a request that it made.
fn overlapped(t: &ThreadFacts) -> bool {
    innermost(t).any(|f| f.starts_with("GetOverlappedResult"))
}

/// Functions in which a thread waits until somebody sends it something, however long that takes.
const LISTENS: [&str; 22] = [
    "accept",
    "WSAAccept",
    "WSPAccept",
    "select",
    "WSPSelect",
    "WSAPoll",
    "recv",
    "recvfrom",
    "WSARecv",
    "WSARecvFrom",
    "WSPRecv",
    "WSPRecvFrom",
    "NtReadFile",
    "ZwReadFile",
    "ReadFile",
    "NtFsControlFile",
    "ZwFsControlFile",
    "ConnectNamedPipe",
    "NtNotifyChangeDirectoryFile",
    "ZwNotifyChangeDirectoryFile",
    "ReadConsoleW",
    "ReadConsoleA",
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

/// True for a thread of the system's thread pool: by the names of its functions, or because ntdll itself is what it was
/// started with.
pub(super) fn is_pool_thread(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
    let name = |f: &StackFrame, names: &[&str]| f.function.as_deref().is_some_and(|n| names.contains(&n));
    let worker =
        |f: &StackFrame| name(f, &["TppWorkerThread", "TppWorkpExecuteCallback", "threadpool_worker_proc"]);
    if t.wait.as_ref().is_some_and(|w| w.kind == Kind::WorkerIdle) || frames.iter().rev().any(worker) {
        return true;
    }
    let started = frames.iter().rposition(|f| name(f, &["BaseThreadInitThunk"]));
    let first = started.and_then(|at| at.checked_sub(1)).and_then(|at| frames.get(at));
    let module = first.and_then(|f| facts.target.symbols.modules().get(f.module?));
    module.is_some_and(|m| m.file_name.eq_ignore_ascii_case("ntdll.dll"))
}

/// The main thread's wait for the end of the program: an event that stays set, so that everybody may see it.
fn is_stop_shape(facts: &Case<'_>, t: &ThreadFacts, w: &Wait) -> bool {
    // Who ends the process has been told to stop.
    if w.kind != Kind::Event || !t.is_main || ends_the_process(facts, t) {
        return false;
    }
    one_handle(w).and_then(|h| handle(facts, h)).is_some_and(is_for_all)
}

/// True when it is known what is waited for, or how: a wait of which nothing is known may be one for a lock.
pub(super) fn is_known(facts: &Case<'_>, t: &ThreadFacts, w: &Wait) -> bool {
    let by_number_only = |p: &str| ["alert", "object", "objects", "keyed_event"].contains(&p);
    let vague = t.activity.as_ref().and_then(|a| a.pattern.as_deref()).is_some_and(by_number_only);
    match w.kind {
        Kind::Multiple => w.handles.iter().flatten().any(|h| handle(facts, *h).is_some()),
        Kind::Other | Kind::Address => !vague,
        _ => true,
    }
}
