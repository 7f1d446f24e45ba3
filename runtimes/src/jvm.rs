//! What only a Java VM answers: its threads as `jstack` shows them.

use crate::Walked;
use dumpscope_core::{Tid, Va};

/// A line of a thread below its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JvmItem {
    /// A method: `package.Class.method`, and where, as `jstack` writes it (`java.base@21.0.8/Native Method`,
    /// `Main.java:5`).
    Frame {
        /// The method.
        function: String,
        /// Its module and place.
        place: String,
    },
    /// What the frame above does with a lock: `waiting to lock`, `locked`, `waiting on`, `parking to wait for `, …
    Lock {
        /// The words.
        verb: &'static str,
        /// The object; `None` where it is not known.
        object: Option<Va>,
        /// Its class.
        class: String,
    },
}

/// What a thread is blocked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JvmBlocker {
    /// It enters a monitor: the VM's record of it.
    Monitor(Va),
    /// It is parked for a synchronizer.
    Synchronizer,
    /// It needs a class whose initializer another thread runs.
    Class,
}

/// Whom a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JvmBlocked {
    /// What kind of thing.
    pub by: JvmBlocker,
    /// The object, or the class.
    pub object: Option<Va>,
    /// Its class, or the class's own name.
    pub class: String,
    /// The thread's record that holds it.
    pub owner: Option<Va>,
}

/// A thread as `jstack` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JvmThread {
    /// The VM's record of it (`tid=`).
    pub address: Va,
    /// The system's id (`nid=`).
    pub tid: Option<Tid>,
    /// Its name.
    pub name: String,
    /// Its number (`#1`).
    pub number: u64,
    /// It does not keep the program alive.
    pub daemon: bool,
    /// Java's priority.
    pub priority: Option<u32>,
    /// `runnable`, `waiting on condition`, …
    pub does: &'static str,
    /// The page of its last Java frame.
    pub page: Va,
    /// `WAITING (parking)`.
    pub state: String,
    /// The number of the virtual thread that runs on it.
    pub carries: Option<u64>,
    /// Its frames and locks.
    pub items: Vec<JvmItem>,
    /// What it is blocked by.
    pub blocked: Option<JvmBlocked>,
}

/// What a Java VM answers.
pub trait JvmReader: Send + Sync {
    /// All threads in the VM's order. `stacks`: all native threads.
    fn jvm_threads(&self, stacks: &[Walked<'_>]) -> Vec<JvmThread>;

    /// Objects that threads hold as owners of `java.util.concurrent` locks: thread's record, object, class. The heap is
    /// searched.
    fn synchronizers(&self) -> Vec<(Va, Va, String)>;

    /// `OpenJDK 64-Bit Server VM (25.0.2+10-LTS mixed mode)`, as far as it is known.
    fn vm_words(&self) -> String;
}
