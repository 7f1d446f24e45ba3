//! Locks: monitors (in an object's header or a sync block) and `System.Threading.Lock`.
//!
//! Object header (32 bits before the object): bit 27 clear: owner's managed id (16 bits), further entries (6 bits); bits
//! 27 and 26: a hash code; bit 27 alone: index of a sync block (26 bits). Source: `syncblk.h` of dotnet/runtime (MIT);
//! the same in 8.0.33, 9.0.22 and 10.0.14.

use super::Clr;
use super::layout::{Field, Release, Variable};
use super::threads::Thread;
use crate::{LockKind, LockOwner, ScriptLock, WaitKind, Walked};
use dumpscope_core::{Tid, Va};

/// Most sync blocks.
const MAX_BLOCKS: u64 = 1 << 20;
/// Most free entries in a row before the table is taken to have ended.
const MAX_FREE: u32 = 4096;

/// A monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Monitor {
    /// The object.
    pub(super) object: Va,
    /// Index of its sync block; `None` for a thin lock.
    pub(super) index: Option<u64>,
    /// The sync block.
    pub(super) block: Va,
    pub(super) held: bool,
    /// The owner's record in the list of threads, while it has one.
    pub(super) owner: Option<usize>,
    /// What the lock says of the owner: managed id or record.
    pub(super) owner_word: u64,
    pub(super) recursion: u32,
    /// Threads that want to enter.
    pub(super) waiting: u32,
}

impl Clr {
    /// The thread with a managed id.
    pub(super) fn thread_by_id(&self, id: u64) -> Option<usize> {
        self.threads().iter().position(|t| t.script.id == id)
    }

    /// The thread of the runtime that runs on a native one.
    pub(super) fn thread_by_tid(&self, tid: Tid) -> Option<usize> {
        self.threads().iter().position(|t| t.script.tid == Some(tid))
    }

    /// The thread whose managed object is `object`.
    pub(super) fn thread_by_object(&self, object: Va) -> Option<usize> {
        self.threads().iter().position(|t| t.object == Some(object))
    }

    /// Sync blocks in use, by index. The table has no length: it ends where an object's header does not name its
    /// entry.
    pub(super) fn sync_blocks(&self) -> Vec<Monitor> {
        let core = &self.core;
        let mut out = Vec::new();
        let Some(table) = core.variable_target(Variable::SyncTable) else { return out };
        let mut free = 0;
        for index in 1..MAX_BLOCKS {
            let entry = table.offset(index * 16);
            let (Some(block), Some(object)) = (core.memory().u64(entry), core.memory().u64(entry.offset(8)))
            else {
                break;
            };
            if object & 1 == 1 {
                free += 1;
                if free > MAX_FREE {
                    break;
                }
                continue;
            }
            free = 0;
            let object = Va(object);
            if self.header_index(object) != Some(index) || self.object_type(object).is_none() {
                break;
            }
            if block != 0 {
                out.extend(self.sync_block(object, index, Va(block)));
            }
        }
        out
    }

    /// The sync block that an object's header names.
    fn header_index(&self, object: Va) -> Option<u64> {
        let header = self.core.memory().u32(object.back(4))?;
        (header & 0x0c00_0000 == 0x0800_0000).then_some(u64::from(header & 0x03ff_ffff))
    }

    fn sync_block(&self, object: Va, index: u64, block: Va) -> Option<Monitor> {
        let core = &self.core;
        let state = core.u32(block, Field::SyncLockState)?;
        let owner_word = core.memory().u64(core.at(block, Field::SyncOwner)?)?;
        let by_id = core.layout.release >= Release::V10;
        let owner_word = if by_id { owner_word & 0xffff_ffff } else { owner_word };
        let owner = if by_id {
            self.thread_by_id(owner_word)
        } else {
            self.threads().iter().position(|t| t.address.0 == owner_word)
        };
        let held = state & 1 == 1;
        Some(Monitor {
            object,
            index: Some(index),
            block,
            held,
            owner: owner.filter(|_| held),
            owner_word,
            recursion: if held { core.u32(block, Field::SyncRecursion)? } else { 0 },
            waiting: state >> 6,
        })
    }

    /// The monitor of an object.
    pub(super) fn monitor(&self, object: Va) -> Option<Monitor> {
        let header = self.core.memory().u32(object.back(4))?;
        if header & 0x0800_0000 == 0 {
            let id = u64::from(header & 0xffff);
            let held = id != 0;
            return Some(Monitor {
                object,
                index: None,
                block: Va(0),
                held,
                owner: self.thread_by_id(id).filter(|_| held),
                owner_word: id,
                recursion: if held { (header >> 16 & 63) + 1 } else { 0 },
                waiting: 0,
            });
        }
        let index = self.header_index(object)?;
        let table = self.core.variable_target(Variable::SyncTable)?;
        let entry = table.offset(index.checked_mul(16)?);
        // The table must agree with the header.
        if self.core.memory().u64(entry.offset(8))? != object.0 {
            return None;
        }
        self.sync_block(object, index, self.core.deref(entry)?)
    }

    /// Locks that are held or waited for: all sync blocks, and what threads were found to wait for.
    pub(super) fn locks(&self, stacks: &[Walked<'_>]) -> Vec<ScriptLock> {
        let mut out: Vec<_> = self
            .sync_blocks()
            .iter()
            .filter(|m| m.held || m.waiting > 0)
            .map(|m| self.monitor_lock(m))
            .collect();
        for wait in self.waits(stacks) {
            let Some(object) = wait.object.filter(|o| out.iter().all(|l| l.address != *o)) else { continue };
            let lock = match wait.kind {
                WaitKind::Monitor => self.monitor(object).map(|m| self.monitor_lock(&m)),
                WaitKind::ScriptLock if self.object_is(object, "System.Threading.Lock") => {
                    self.dotnet_lock(object)
                }
                WaitKind::ScriptLock if self.object_is(object, "System.Threading.ReaderWriterLockSlim") => {
                    self.rw_lock(object)
                }
                _ => None,
            };
            out.extend(lock);
        }
        out
    }

    /// A thread as the owner of a lock.
    pub(super) fn owner_of(&self, thread: &Thread) -> LockOwner {
        LockOwner { tid: thread.script.tid, id: Some(thread.script.id), name: thread.script.name.clone() }
    }

    /// A monitor as a lock.
    pub(super) fn monitor_lock(&self, monitor: &Monitor) -> ScriptLock {
        let owners = if monitor.held {
            let known = monitor.owner.and_then(|i| self.threads().get(i));
            let by_id = self.core.layout.release >= Release::V10 || monitor.index.is_none();
            let unknown = LockOwner { tid: None, id: by_id.then_some(monitor.owner_word), name: None };
            vec![known.map_or(unknown, |t| self.owner_of(t))]
        } else {
            Vec::new()
        };
        ScriptLock {
            address: monitor.object,
            object_type: self.object_name(monitor.object).map(|n| n.to_string()),
            kind: LockKind::Monitor,
            owners,
            recursion: monitor.recursion,
            waiting: monitor.waiting,
        }
    }

    /// A `System.Threading.Lock`: state bit 0 held, bits 7 and up the waiters; the owner is a system thread id.
    pub(super) fn dotnet_lock(&self, object: Va) -> Option<ScriptLock> {
        let state = u32::try_from(self.number(object, "_state")? & 0xffff_ffff).ok()?;
        let held = state & 1 == 1;
        let raw = u32::try_from(self.number(object, "_owningThreadId")? & 0xffff_ffff).ok()?;
        let owner = self.threads().iter().find(|t| t.os_id == raw && t.os_id != 0);
        let unknown = LockOwner { tid: None, id: None, name: None };
        let depth = u32::try_from(self.number(object, "_recursionCount").unwrap_or(0) & 0xffff_ffff).ok()?;
        Some(ScriptLock {
            address: object,
            object_type: self.object_name(object).map(|n| n.to_string()),
            kind: LockKind::DotnetLock,
            owners: if held { vec![owner.map_or(unknown, |t| self.owner_of(t))] } else { Vec::new() },
            recursion: if held { depth.saturating_add(1) } else { 0 },
            waiting: state >> 7,
        })
    }

    /// A `ReaderWriterLockSlim`: writer and upgradeable reader by managed id.
    pub(super) fn rw_lock(&self, object: Va) -> Option<ScriptLock> {
        let by = |field| {
            let id = self.number(object, field).filter(|id| *id > 0)?.cast_unsigned();
            let thread = self.thread_by_id(id).and_then(|i| self.threads().get(i));
            Some(thread.map_or(LockOwner { tid: None, id: Some(id), name: None }, |t| self.owner_of(t)))
        };
        let owners: Vec<_> =
            [by("_writeLockOwnerId"), by("_upgradeLockOwnerId")].into_iter().flatten().collect();
        Some(ScriptLock {
            address: object,
            object_type: self.object_name(object).map(|n| n.to_string()),
            kind: LockKind::RwLockSlim,
            recursion: u32::from(!owners.is_empty()),
            owners,
            waiting: 0,
        })
    }
}
