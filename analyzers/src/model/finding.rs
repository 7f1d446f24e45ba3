//! What an analysis concludes, with its evidence.

use super::Confidence;
use super::words::words;
use dumpscope_core::{Pid, Tid, Va};
use serde::{Deserialize, Serialize};

words! {
    /// Kinds of findings, worst first: findings are ordered by it.
    FindingKind as "FindingKindName" {
        /// An exception ended the process.
        Crash "crash",
        /// Threads wait for each other in a circle.
        Deadlock "deadlock",
        /// A lock's owner no longer exists.
        OrphanedLock "orphaned_lock",
        /// Many threads wait for one owner.
        LockContention "lock_contention",
        /// A thread waits for another process.
        BlockedOnProcess "blocked_on_process",
        /// A thread runs without end.
        BusyLoop "busy_loop",
        /// Something waits for an object with no known owner.
        Waiting "waiting",
        /// Every thread is idle.
        Idle "idle",
        /// Nothing is known.
        Unknown "unknown",
    }
}

/// How bad a kind of finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Note,
    /// It may be what is meant to be.
    Warning,
    /// Something is broken.
    Error,
}

/// What is said of a kind of finding, wherever kinds differ.
#[derive(Clone, Copy, Debug)]
pub struct KindRow {
    /// For headings: `Orphaned lock`.
    pub title: &'static str,
    /// What it is, a sentence.
    pub about: &'static str,
    /// How bad.
    pub severity: Severity,
    /// True when it names a thread that does not move.
    pub hang: bool,
    /// True when it is a problem of its own in every process that takes part in a hang of several.
    pub apart: bool,
    /// Whether it blocks who needs this process.
    pub blocks: Option<Blocks>,
}

/// How a finding blocks a call that comes in.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// Lower ones come first, when nothing says which thread serves the call. A lock whose owner is gone stops every
    /// request that needs it; a circle first of all its own members. In a process that crashed nothing moves until
    /// the crash is reported.
    pub rank: u8,
    /// True when it stays so: no thread of the process will end it.
    pub fixed: bool,
    /// What its thread does.
    pub does: &'static str,
}

const fn blocks(rank: u8, fixed: bool, does: &'static str) -> Option<Blocks> {
    Some(Blocks { rank, fixed, does })
}

impl FindingKind {
    /// What is said of it.
    #[must_use]
    pub const fn row(self) -> KindRow {
        match self {
            FindingKind::Crash => KindRow {
                title: "Crash",
                about: "An exception ended the process.",
                severity: Severity::Error,
                hang: false,
                apart: true,
                blocks: blocks(0, false, "crashed"),
            },
            FindingKind::Deadlock => KindRow {
                title: "Deadlock",
                about: "Threads wait for each other in a circle.",
                severity: Severity::Error,
                hang: true,
                apart: true,
                blocks: blocks(2, true, "is in a deadlock"),
            },
            FindingKind::OrphanedLock => KindRow {
                title: "Orphaned lock",
                about: "A lock's owner no longer exists.",
                severity: Severity::Error,
                hang: true,
                apart: true,
                blocks: blocks(
                    1,
                    true,
                    "is blocked by a lock whose owner no longer exists, as every request that needs it",
                ),
            },
            FindingKind::LockContention => KindRow {
                title: "Lock contention",
                about: "Many threads wait for one owner.",
                severity: Severity::Error,
                hang: true,
                apart: true,
                blocks: blocks(3, true, "waits for a lock that another thread holds"),
            },
            FindingKind::BlockedOnProcess => KindRow {
                title: "Blocked on another process",
                about: "A thread waits for another process.",
                severity: Severity::Error,
                hang: true,
                apart: false,
                blocks: blocks(4, false, "waits for another process"),
            },
            FindingKind::BusyLoop => KindRow {
                title: "Busy loop",
                about: "A thread runs without end.",
                severity: Severity::Error,
                hang: false,
                apart: true,
                blocks: blocks(5, false, "runs without end"),
            },
            FindingKind::Waiting => KindRow {
                title: "Waiting",
                about: "Something waits for an object with no known owner.",
                severity: Severity::Warning,
                hang: true,
                apart: false,
                blocks: blocks(6, false, "waits"),
            },
            FindingKind::Idle => KindRow {
                title: "Idle",
                about: "Every thread is idle.",
                severity: Severity::Note,
                hang: false,
                apart: false,
                blocks: None,
            },
            FindingKind::Unknown => KindRow {
                title: "Unknown",
                about: "Nothing is known.",
                severity: Severity::Note,
                hang: false,
                apart: false,
                blocks: None,
            },
        }
    }
}

words! {
    /// Classes of findings: the kinds, and finer ones.
    FindingClass as "FindingClassName" {
        /// An exception ended the process.
        Crash "crash",
        /// Threads wait for each other in a circle.
        Deadlock "deadlock",
        /// A lock's owner no longer exists.
        OrphanedLock "orphaned_lock",
        /// Many threads wait for one owner.
        LockContention "lock_contention",
        /// A thread waits for another process.
        BlockedOnProcess "blocked_on_process",
        /// A thread runs without end.
        BusyLoop "busy_loop",
        /// Something waits for an object with no known owner.
        Waiting "waiting",
        /// A thread waits without end, and nobody is left who could end it. Its kind is `waiting`.
        LostCompletion "lost_completion",
        /// A thread waits for the end of another one, which goes on. Its kind is `waiting`.
        Join "join",
        /// A circle of waits, at least one of which has a time limit. Its kind is `deadlock`.
        TimedDeadlock "timed_deadlock",
        /// A lock's owner waits for work and did not give it back. Its kind is `lock_contention`.
        LeakedLock "leaked_lock",
        /// A lock's owner is suspended. Its kind is `lock_contention`.
        SuspendedOwner "suspended_owner",
        /// All workers of a thread pool wait for the same thing. Its kind is `waiting`.
        PoolStarvation "pool_starvation",
        /// Threads that run only to give way to each other. Its kind is `busy_loop`.
        Livelock "livelock",
        /// A thread blocks on a task whose rest only that thread can run. Its kind is `deadlock`.
        SyncOverAsync "sync_over_async",
        /// A task that nobody is on the way to complete. Its kind is `waiting`.
        NeverCompleted "never_completed",
        /// A runtime cannot stop one of its threads. Its kind is `waiting`.
        GcSuspension "gc_suspension",
        /// The thread that runs finalizers is blocked. Its kind is `deadlock`.
        FinalizerBlocked "finalizer_blocked",
        /// Threads wait for a class or type initializer. Its kind is `deadlock`.
        ClassInit "class_init",
        /// Every thread is idle.
        Idle "idle",
        /// Nothing is known.
        Unknown "unknown",
    }
}

impl From<FindingKind> for FindingClass {
    fn from(kind: FindingKind) -> FindingClass {
        match kind {
            FindingKind::Crash => FindingClass::Crash,
            FindingKind::Deadlock => FindingClass::Deadlock,
            FindingKind::OrphanedLock => FindingClass::OrphanedLock,
            FindingKind::LockContention => FindingClass::LockContention,
            FindingKind::BlockedOnProcess => FindingClass::BlockedOnProcess,
            FindingKind::BusyLoop => FindingClass::BusyLoop,
            FindingKind::Waiting => FindingClass::Waiting,
            FindingKind::Idle => FindingClass::Idle,
            FindingKind::Unknown => FindingClass::Unknown,
        }
    }
}

/// One conclusion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            class: kind.into(),
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
