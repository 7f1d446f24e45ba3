//! What an analysis concludes, with its evidence.

use super::Confidence;
use dumpscope_core::{Pid, Tid, Va};

/// The kind of a finding, worst first: findings are ordered by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingKind {
    /// An exception ended the process.
    Crash,
    /// Threads wait for each other in a circle.
    Deadlock,
    /// A lock's owner no longer exists.
    OrphanedLock,
    /// Many threads wait for one owner.
    LockContention,
    /// A thread waits for another process.
    BlockedOnProcess,
    /// A thread runs without end.
    BusyLoop,
    /// Something waits for an object with no known owner.
    Waiting,
    /// Every thread is idle.
    Idle,
    /// Nothing is known.
    Unknown,
}

impl FindingKind {
    /// All kinds, worst first.
    pub const ALL: [FindingKind; 9] = [
        FindingKind::Crash,
        FindingKind::Deadlock,
        FindingKind::OrphanedLock,
        FindingKind::LockContention,
        FindingKind::BlockedOnProcess,
        FindingKind::BusyLoop,
        FindingKind::Waiting,
        FindingKind::Idle,
        FindingKind::Unknown,
    ];

    /// The name in documents and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Crash => "crash",
            FindingKind::Deadlock => "deadlock",
            FindingKind::OrphanedLock => "orphaned_lock",
            FindingKind::LockContention => "lock_contention",
            FindingKind::BlockedOnProcess => "blocked_on_process",
            FindingKind::BusyLoop => "busy_loop",
            FindingKind::Waiting => "waiting",
            FindingKind::Idle => "idle",
            FindingKind::Unknown => "unknown",
        }
    }
}

/// What sort of thing a finding is about: finer than its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingClass {
    /// As its kind says.
    Kind(FindingKind),
    /// A thread waits without end for something, and nobody is left who could end it.
    LostCompletion,
    /// A thread waits for the end of another one, which goes on.
    Join,
    /// A circle of waits, at least one of which has a time limit.
    TimedDeadlock,
    /// A lock's owner waits for work and did not give it back.
    LeakedLock,
    /// A lock's owner is suspended.
    SuspendedOwner,
    /// All workers of a thread pool wait for the same thing.
    PoolStarvation,
    /// Threads that run only to give way to each other.
    Livelock,
    /// A thread blocks on a task whose rest only that thread can run.
    SyncOverAsync,
    /// A task that nobody is on the way to complete.
    NeverCompleted,
    /// A runtime cannot stop one of its threads.
    GcSuspension,
    /// The thread that runs finalizers is blocked.
    FinalizerBlocked,
    /// Threads wait for a class or type initializer.
    ClassInit,
}

impl FindingClass {
    /// The word in documents and signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingClass::Kind(kind) => kind.name(),
            FindingClass::LostCompletion => "lost_completion",
            FindingClass::Join => "join",
            FindingClass::TimedDeadlock => "timed_deadlock",
            FindingClass::LeakedLock => "leaked_lock",
            FindingClass::SuspendedOwner => "suspended_owner",
            FindingClass::PoolStarvation => "pool_starvation",
            FindingClass::Livelock => "livelock",
            FindingClass::SyncOverAsync => "sync_over_async",
            FindingClass::NeverCompleted => "never_completed",
            FindingClass::GcSuspension => "gc_suspension",
            FindingClass::FinalizerBlocked => "finalizer_blocked",
            FindingClass::ClassInit => "class_init",
        }
    }
}

/// One conclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The same in a finer word; that of the kind where there is none.
    pub class: FindingClass,
    /// One sentence without a full stop, ids and addresses in hex. Holds no unsafe characters.
    pub summary: String,
    /// The thread that it is about: crash, the faulting thread; busy loop, the spinning one; deadlock, a member;
    /// orphaned lock, the first waiter; contention, the owner; blocked on a process, the blocked thread; waiting,
    /// the thread that others or the main work depend on.
    pub tid: Option<Tid>,
    /// All threads concerned, by number.
    pub tids: Vec<Tid>,
    /// The lock concerned.
    pub lock: Option<Va>,
    /// Its owner.
    pub owner_tid: Option<Tid>,
    /// The process that is waited for.
    pub server_pid: Option<Pid>,
    /// How sure.
    pub confidence: Confidence,
    /// What it rests on: sentences, most important first.
    pub evidence: Vec<String>,
    /// What to do next.
    pub advice: Option<String>,
}

impl Finding {
    /// A finding without details.
    #[must_use]
    pub fn new(kind: FindingKind, confidence: Confidence, summary: impl Into<String>) -> Finding {
        Finding {
            kind,
            class: FindingClass::Kind(kind),
            summary: summary.into(),
            tid: None,
            tids: Vec::new(),
            lock: None,
            owner_tid: None,
            server_pid: None,
            confidence,
            evidence: Vec::new(),
            advice: None,
        }
    }
}
