//! Locks: what they are, where they were found, who holds them.

use super::words::words;
use super::{CriticalSection, DebugBlock, Kind};
use dumpscope_core::{Tid, Va};

words! {
    /// Whether a lock's owner exists.
    OwnerState as "OwnerState" {
        /// It is in the thread list.
        Alive "alive",
        /// It is not in the complete thread list.
        Missing "missing",
        /// Not known: the thread list is damaged or something contradicts it, or the lock has no owner.
        Unknown "unknown",
    }
}

/// How a lock was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockSource {
    /// In ntdll's list.
    List,
    /// The PEB names it.
    Peb,
    /// In the writable data of a module.
    ModuleData,
    /// In private memory of the process.
    Heap,
    /// A thread that waits points at it.
    Waiter,
}

impl LockSource {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            LockSource::List => "ntdll's list of critical sections",
            LockSource::Peb => "the process environment block",
            LockSource::ModuleData => "the writable data of a module",
            LockSource::Heap => "the heap",
            LockSource::Waiter => "the stack or registers of a waiting thread",
        }
    }
}

/// A critical section and what is known around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// Its fields.
    pub section: CriticalSection,
    /// How it was found.
    pub source: LockSource,
    /// State of its owner.
    pub owner: OwnerState,
    /// Threads that wait for it, in the order of the thread list.
    pub waiters: Vec<Tid>,
}

/// A lock that does not say who holds it: SRW lock, condition variable, address, one-time initialization.
#[derive(Clone, Debug, PartialEq)]
pub struct SlimLock {
    /// Its address.
    pub address: Va,
    /// What kind of lock it is.
    pub kind: Kind,
    /// The lock's own word, when it is in the dump.
    pub word: Option<u64>,
    /// One-time initializations: the thread that runs it, when it is known (`strong` at most).
    pub owner: Option<Tid>,
    /// Threads that wait for it, in the order of the thread list.
    pub waiters: Vec<Tid>,
}

/// All locks that were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Locks {
    /// List members in list order, then the others by address.
    pub locks: Vec<Lock>,
    /// Locks without an owner that threads wait for, by address.
    pub slim: Vec<SlimLock>,
    /// Debug blocks in the list whose section is not there.
    pub orphaned: Vec<DebugBlock>,
    /// What could not be looked at, and who is in the loader's lock, one sentence each.
    pub notes: Vec<String>,
}

impl Locks {
    /// The lock at an address.
    #[must_use]
    pub fn at(&self, address: Va) -> Option<&Lock> {
        self.locks.iter().find(|l| l.section.address == address)
    }

    /// Held ones.
    pub fn held(&self) -> impl Iterator<Item = &Lock> {
        self.locks.iter().filter(|l| l.section.is_locked())
    }
}
