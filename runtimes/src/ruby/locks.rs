//! Ruby's locks and what its threads wait for, by Ruby's own records.

use super::Ruby;
use super::frames::{self, Frame};
use super::threads::{Status, Thread};
use crate::{FrameKind, LockKind, LockOwner, Proof, ScriptLock, ScriptWait, WaitKind};
use dumpscope_core::{Tid, Va};
use std::collections::BTreeMap;

/// Most mutexes that one thread holds.
const MAX_HELD: usize = 1024;
/// Most locks.
const MAX_LOCKS: usize = 16_384;

/// C functions that wait, with what their receiver calls its type: (type, functions, kind, class).
const WAITING: &[(&str, &[&str], WaitKind, &str)] = &[
    ("queue", &["pop", "shift", "deq"], WaitKind::Idle, "Queue"),
    ("sized_queue", &["pop", "shift", "deq"], WaitKind::Idle, "SizedQueue"),
    ("szqueue", &["pop", "shift", "deq"], WaitKind::Idle, "SizedQueue"),
    ("sized_queue", &["push", "<<", "enq"], WaitKind::MonitorWait, "SizedQueue"),
    ("szqueue", &["push", "<<", "enq"], WaitKind::MonitorWait, "SizedQueue"),
    ("condvar", &["wait"], WaitKind::MonitorWait, "ConditionVariable"),
    ("mutex", &["sleep"], WaitKind::MonitorWait, "Mutex"),
    ("monitor", &["wait_for_cond"], WaitKind::MonitorWait, "Monitor"),
    ("VM/thread", &["join", "value"], WaitKind::Thread, "Thread"),
];

/// C functions in which servers wait for whoever comes next.
const SERVES: &[&str] = &["select", "accept", "sysaccept"];

/// C functions of any receiver that wait.
const WAITING_ANYWHERE: &[(&[&str], WaitKind)] = &[
    (&["sleep", "stop"], WaitKind::Sleep),
    (SERVES, WaitKind::Idle),
    (
        &[
            "gets",
            "getc",
            "getbyte",
            "read",
            "readline",
            "readlines",
            "readpartial",
            "sysread",
            "each_line",
            "write",
            "syswrite",
            "print",
            "puts",
            "connect",
            "recv",
            "recvfrom",
            "recvmsg",
            "send",
            "wait_readable",
            "wait_writable",
            "connect_internal",
            "initialize",
        ],
        WaitKind::Io,
    ),
];

/// A mutex.
#[derive(Clone, Copy, Debug)]
struct Mutex {
    /// The object, or its record where the object is not known.
    address: Va,
    owner: Option<usize>,
    waiting: u32,
}

impl Ruby {
    /// The mutex that a thread enters, by its own record: the object and the mutex's record.
    fn entering(&self, thread: &Thread) -> Option<(Va, Va)> {
        let core = &self.core;
        let object = core.field(thread.address, self.threads.tail.thread_locking?)?;
        let (record, _) = core.data(object).filter(|(_, kind)| kind == "mutex")?;
        Some((object, record))
    }

    /// Who has a mutex: its first word is the fiber (3.0 and later) or the thread.
    fn owner(&self, record: Va) -> Option<usize> {
        let first = self.core.field(record, 0)?;
        self.threads.index_of(first).or_else(|| {
            let context = first.offset(self.threads.tail.fiber_ec?);
            self.threads.index_of_context(&self.core, context)
        })
    }

    /// Mutexes by their records.
    fn mutexes(&self) -> BTreeMap<Va, Mutex> {
        let mut all: BTreeMap<Va, Mutex> = BTreeMap::new();
        for thread in &self.threads.list {
            let Some((object, record)) = self.entering(thread) else { continue };
            let new = || Mutex { address: object, owner: self.owner(record), waiting: 0 };
            let mutex = all.entry(record).or_insert_with(new);
            mutex.waiting += u32::from(thread.status.is_none_or(Status::sleeps));
        }
        for (index, thread) in self.threads.list.iter().enumerate() {
            let Some(keeping) = self.threads.tail.thread_keeping else { break };
            let mut at = self.core.field(thread.address, keeping);
            for _ in 0..MAX_HELD {
                let Some(record) = at.filter(|r| self.owner(*r) == Some(index) && all.len() < MAX_LOCKS)
                else {
                    break;
                };
                all.entry(record).or_insert(Mutex { address: record, owner: Some(index), waiting: 0 });
                at = self.core.field(record, self.core.layout.word);
            }
        }
        all
    }

    fn lock_owner(&self, index: usize) -> Option<LockOwner> {
        let thread = self.threads.list.get(index)?;
        Some(LockOwner { tid: thread.tid, id: Some(thread.object.0), name: thread.name.clone() })
    }

    /// Locks that are held or waited for, by address; the global lock last.
    pub(super) fn all_locks(&self) -> Vec<ScriptLock> {
        let lock = |address, kind, object_type: &str, owner: Option<usize>, waiting| ScriptLock {
            address,
            object_type: Some(object_type.to_owned()),
            kind,
            owners: owner.and_then(|i| self.lock_owner(i)).into_iter().collect(),
            recursion: u32::from(owner.is_some()),
            waiting,
        };
        let mutexes = self.mutexes();
        let of = |m: &Mutex| lock(m.address, LockKind::RubyMutex, "Mutex", m.owner, m.waiting);
        let mut all: Vec<_> = mutexes.values().map(of).collect();
        all.sort_by_key(|l| l.address);
        if let Some(address) = self.threads.lock {
            let waiting =
                self.threads.list.iter().enumerate().filter(|(i, t)| self.wants_lock(*i, t)).count();
            let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
            all.push(lock(address, LockKind::Gvl, "GVL", self.threads.holder, waiting));
        }
        all
    }

    /// True for a thread that could run while another has the global lock.
    fn wants_lock(&self, index: usize, thread: &Thread) -> bool {
        let runnable = thread.status == Some(Status::Runnable) && thread.context.is_some();
        runnable && self.threads.holder.is_some_and(|h| h != index)
    }

    /// What the threads wait for, in their order.
    pub(super) fn all_waits(&self) -> Vec<ScriptWait> {
        let waits = self.threads.list.iter().enumerate();
        waits.filter_map(|(index, thread)| self.wait(index, thread, thread.tid?)).collect()
    }

    fn wait(&self, index: usize, thread: &Thread, tid: Tid) -> Option<ScriptWait> {
        let frames = self.stack(thread.address);
        let top = frames.first();
        let wait = |kind, object, object_type: Option<&str>, proof| ScriptWait {
            tid,
            kind,
            object,
            object_type: object_type.map(str::to_owned),
            proof,
            target: None,
            endless: kind == WaitKind::ScriptLock || thread.status == Some(Status::SleepForever),
            serves: false,
            method: top.map(|f| f.script.function.clone()).unwrap_or_default(),
            user_frame: user_frame(frames),
        };
        if self.wants_lock(index, thread) {
            return Some(wait(WaitKind::Gvl, self.threads.lock, Some("GVL"), Proof::Record));
        }
        if thread.status.is_some_and(|s| !s.sleeps()) {
            return None;
        }
        if let Some((object, _)) = self.entering(thread) {
            return Some(wait(WaitKind::ScriptLock, Some(object), Some("Mutex"), Proof::Record));
        }
        // A C function, or the library's Ruby code around one (`<internal:thread_sync>`).
        let top = top.filter(|f| f.script.kind != FrameKind::Interpreted)?;
        let function = top.script.function.as_str();
        if let Some((record, kind)) = self.core.data(top.receiver) {
            let row = WAITING.iter().find(|(k, names, ..)| *k == kind && names.contains(&function));
            if let Some((_, _, kind, class)) = row {
                let kind = &kind_for(*kind, thread.main, has_own_code(frames));
                let mut wait = wait(*kind, Some(top.receiver), Some(class), Proof::Record);
                if *kind == WaitKind::Thread {
                    wait.target = self.threads.index_of(record).and_then(|i| self.threads.list.get(i)?.tid);
                }
                return Some(wait);
            }
        }
        // Without a status it is not known that it waits at all.
        thread.status?;
        let (_, kind) = WAITING_ANYWHERE.iter().find(|(names, _)| names.contains(&function))?;
        let serves = SERVES.contains(&function);
        Some(ScriptWait { serves, ..wait(*kind, None, None, Proof::Record) })
    }
}

/// A thread of a library alone that waits to be woken waits for work: pools of servers, timers. The main thread is the
/// program's own, and so is one that runs its code.
pub(super) fn kind_for(kind: WaitKind, main: bool, own_code: bool) -> WaitKind {
    if kind == WaitKind::MonitorWait && !main && !own_code { WaitKind::Idle } else { kind }
}

/// True for a stack with code that comes neither with Ruby nor with a gem.
fn has_own_code(frames: &[Frame]) -> bool {
    let own = |path: &str| !frames::is_library(path) && frames::gem(path).is_none();
    let mut interpreted = frames.iter().filter(|f| f.script.kind == FrameKind::Interpreted).peekable();
    interpreted.peek().is_none() || interpreted.any(|f| f.script.file.as_deref().is_none_or(own))
}

/// The first frame of the program's own Ruby code.
fn user_frame(frames: &[Frame]) -> Option<usize> {
    frames.iter().position(|f| {
        let own = f.script.file.as_deref().is_some_and(|f| !frames::is_library(f));
        own && f.script.kind == FrameKind::Interpreted
    })
}
