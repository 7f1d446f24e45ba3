//! Wait blocks: what ntdll leaves on the stack of a thread that waits for a lock or an address.
//!
//! Source: measured over public dumps of Windows 7 SP1 to 11 24H2 (`docs/reference/locks.md#wait-blocks`). They tell
//! the lock where the registers of a system call do not: x64 before Windows 10 1709.

use super::word;
use crate::Target;
use dumpscope_core::{Machine, Tid, Va};

/// Most links of a chain of wait blocks that are followed.
const MAX_CHAIN: usize = 512;

/// Most bytes of a stack that are searched for a wait block: it lies in the innermost frames.
const MAX_SPAN: u64 = 0x1000;

/// Bits of a lock's word that are no address: blocks are aligned to 16 bytes.
const FLAGS: u64 = 0xf;

/// `RTL_RUN_ONCE`: bits of the state. The rest leads to the newest block while a thread initializes.
const ONCE_STATE: u64 = 3;

/// `RTL_RUN_ONCE`: a thread runs the initialization and others wait for it.
pub(super) const ONCE_IN_PROGRESS: u64 = 1;

/// The part of a thread's own stack in which its wait block lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub machine: Machine,
    pub tid: Tid,
    /// From the stack pointer on.
    pub low: Va,
    /// Behind the last byte.
    pub high: Va,
    /// The block's address, where the system call names it (keyed events).
    pub block: Option<Va>,
}

impl Seat {
    pub(super) fn holds(&self, at: Va) -> bool {
        at >= self.low && at < self.high && self.block.is_none_or(|b| b == at)
    }

    /// Follows a chain of blocks, newest first; true when one of them is this thread's.
    fn is_in_chain(&self, target: &Target, first: u64, mask: u64, is_own: &dyn Fn(Va) -> bool) -> bool {
        let mut block = Va(first & !mask);
        for _ in 0..MAX_CHAIN {
            if block.0 <= 0xffff {
                return false;
            }
            if self.holds(block) && is_own(block) {
                return true;
            }
            match word(target, self.machine, block) {
                Some(older) => block = Va(older & !mask),
                None => return false,
            }
        }
        false
    }

    /// True when the queue of the SRW lock at `at` has a block on this stack. From Windows 10 on the block names the
    /// thread too.
    pub(super) fn is_queued(&self, target: &Target, at: Va) -> bool {
        let Some(value) = word(target, self.machine, at).filter(|w| w & 2 != 0) else { return false };
        let p = self.machine.ptr_size() as u64;
        let ten = target.dump.os_version().0 >= 10;
        let names_it = |block: Va| {
            !ten || word(target, self.machine, block.offset(p.wrapping_mul(3))) == Some(self.tid.0.into())
        };
        self.is_in_chain(target, value, FLAGS, &names_it)
    }

    /// True when the word at `at` leads to a block on this stack: a condition variable.
    pub(super) fn is_variable(&self, target: &Target, at: Va) -> bool {
        let outside = at < self.low || at >= self.high;
        let value = word(target, self.machine, at).filter(|_| outside);
        value.is_some_and(|w| self.is_in_chain(target, w, FLAGS, &|_| true))
    }

    /// True when the word at `at` is a one-time initialization in progress whose waiters include this thread.
    pub(super) fn is_once(&self, target: &Target, at: Va) -> bool {
        let outside = at < self.low || at >= self.high;
        let value = word(target, self.machine, at).filter(|w| outside && w & ONCE_STATE == ONCE_IN_PROGRESS);
        value.is_some_and(|w| self.is_in_chain(target, w, ONCE_STATE, &|_| true))
    }

    /// The address that the thread's wait-address block names; `None` when there is no such block, or several.
    ///
    /// +0 the address, then the thread's id, two neighbours of the bucket's chain, and a third pointer that is the
    /// block itself when it is alone.
    pub(super) fn awaited(&self, target: &Target) -> Option<Va> {
        if target.dump.os_version() < (6, 2) {
            return None; // such waits came with Windows 8
        }
        let machine = self.machine;
        let p = machine.ptr_size() as u64;
        let at = |block: Va, n: u64| word(target, machine, block.offset(n.wrapping_mul(p)));
        let span = self.high.distance_from(self.low)?.min(MAX_SPAN);
        let mut found = None;
        for n in 0..span / p {
            let block = self.low.offset(n.wrapping_mul(p));
            if at(block, 1) != Some(self.tid.0.into()) {
                continue;
            }
            let linked = at(block, 4).is_some_and(|w| w == block.0 || (w > 0xffff && at(Va(w), 0).is_some()));
            let address = at(block, 0).filter(|a| *a > 0xffff && linked && at(Va(*a), 0).is_some());
            match (address, found) {
                (Some(a), Some(Va(b))) if a != b => return None,
                (Some(a), _) => found = Some(Va(a)),
                (None, _) => {}
            }
        }
        found
    }

    /// The lock that a condition variable's block says will be taken again (Windows 10 and later).
    pub(super) fn retaken(&self, target: &Target) -> Option<Va> {
        let machine = self.machine;
        let p = machine.ptr_size() as u64;
        let lock_at = if machine.is_64() { 0x28 } else { 0x18 };
        let span = self.high.distance_from(self.low)?.min(MAX_SPAN);
        let blocks = (0..span / 16).map(|n| Va(self.low.0.next_multiple_of(16)).offset(n.wrapping_mul(16)));
        let mut locks = blocks
            .filter(|b| word(target, machine, b.offset(p.wrapping_mul(3))) == Some(self.tid.0.into()))
            .filter_map(|b| word(target, machine, b.offset(lock_at)))
            .filter(|l| *l > 0xffff && word(target, machine, Va(*l)).is_some());
        let first = locks.next()?;
        locks.all(|l| l == first).then_some(Va(first))
    }
}
