//! `RTL_CRITICAL_SECTION` and its debug block, decoded.
//!
//! Source: SDK `winnt.h`, MSDN "Displaying a Critical Section"; Wine's counting from its public sources' behaviour
//! (`docs/reference/locks.md`).

use dumpscope_core::{Machine, ReadMemory, Tid, Va};

/// Largest count of anything in a lock that is believed.
const MAX_COUNT: i32 = 0x1_0000;

/// How `LockCount` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Windows 2003 SP1 and later: bit 0 clear means locked, bit 1 clear that a waiter was woken, the other bits
    /// count waiters downwards from -1.
    Bits,
    /// Before, and Wine: -1 is free; the owner's recursions and the waiters count upwards.
    Upwards,
}

/// A critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CriticalSection {
    /// Its address.
    pub address: Va,
    /// `DebugInfo` as stored; all bits set when it has none.
    pub debug_info: Va,
    /// `LockCount` as stored.
    pub lock_count: i32,
    /// `RecursionCount`.
    pub recursion: i32,
    /// `OwningThread`: a thread id, 0 without an owner.
    pub owner: u64,
    /// `LockSemaphore`: an event's handle.
    pub semaphore: u64,
    /// `SpinCount` with its flags.
    pub spin_count: u64,
    /// The debug block, when `DebugInfo` leads to readable memory.
    pub debug: Option<DebugBlock>,
}

/// `RTL_CRITICAL_SECTION_DEBUG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugBlock {
    /// Its address.
    pub address: Va,
    /// `Type`: 0 critical section, 1 resource.
    pub kind: u16,
    /// `CreatorBackTraceIndex` with its high half: entry of ntdll's stack trace database, 0 without one.
    pub creator_trace: u32,
    /// `CriticalSection`.
    pub section: Va,
    /// `ProcessLocksList.Flink`.
    pub next: Va,
    /// `ProcessLocksList.Blink`.
    pub previous: Va,
    /// `EntryCount`.
    pub entry_count: u32,
    /// `ContentionCount`.
    pub contention_count: u32,
}

impl DebugBlock {
    /// Offset of `ProcessLocksList` in the block.
    #[must_use]
    pub fn link_offset(machine: Machine) -> u64 {
        if machine.is_64() { 0x10 } else { 8 }
    }

    /// Reads the block at `address`.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine) -> Option<DebugBlock> {
        let p = machine.ptr_size() as u64;
        let ptr = |n: u64| memory.ptr(address.offset(p.wrapping_mul(n)), machine);
        let low = memory.u16(address.offset(2))?;
        // The high half is there since Windows Vista.
        let high = memory.u16(address.offset(p.wrapping_mul(4).wrapping_add(12))).unwrap_or(0);
        Some(DebugBlock {
            address,
            kind: memory.u16(address)?,
            creator_trace: u32::from(high) << 16 | u32::from(low),
            section: ptr(1)?,
            next: ptr(2)?,
            previous: ptr(3)?,
            entry_count: memory.u32(address.offset(p.wrapping_mul(4)))?,
            contention_count: memory.u32(address.offset(p.wrapping_mul(4).wrapping_add(4)))?,
        })
    }
}

impl CriticalSection {
    /// Reads the section at `address`; `None` when not all of it is in the dump.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine) -> Option<CriticalSection> {
        let p = machine.ptr_size() as u64;
        let at = |n: u64| address.offset(n);
        let debug_info = memory.ptr(address, machine)?;
        let none = if machine.is_64() { u64::MAX } else { u64::from(u32::MAX) };
        let has_debug = !debug_info.is_null() && debug_info.0 != none;
        Some(CriticalSection {
            address,
            debug_info,
            lock_count: memory.u32(at(p))?.cast_signed(),
            recursion: memory.u32(at(p.wrapping_add(4)))?.cast_signed(),
            owner: memory.ptr(at(p.wrapping_add(8)), machine)?.0,
            semaphore: memory.ptr(at(p.wrapping_mul(2).wrapping_add(8)), machine)?.0,
            spin_count: memory.ptr(at(p.wrapping_mul(3).wrapping_add(8)), machine)?.0,
            debug: if has_debug { DebugBlock::read(memory, debug_info, machine) } else { None },
        })
    }

    /// How its count has to be read: a count that is not negative is of the old way, whose free value is the same.
    #[must_use]
    pub fn counting(&self) -> Counting {
        if self.lock_count >= 0 { Counting::Upwards } else { Counting::Bits }
    }

    /// What has to be said beside a raw `LockCount`; empty where it counts as Windows does today.
    #[must_use]
    pub fn counting_words(&self) -> &'static str {
        match self.counting() {
            Counting::Bits => "",
            Counting::Upwards => " (counted upwards, as before Windows Vista and under Wine)",
        }
    }

    /// True when a thread holds it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock_count >= 0 || self.lock_count & 1 == 0
    }

    /// Threads that wait for it.
    #[must_use]
    pub fn waiters(&self) -> u32 {
        let n = match self.counting() {
            Counting::Bits => !self.lock_count >> 2,
            Counting::Upwards => self.lock_count.saturating_sub(self.recursion.saturating_sub(1)),
        };
        u32::try_from(n).unwrap_or(0)
    }

    /// Whether a waiter was woken and is on its way; `None` where the count does not say.
    #[must_use]
    pub fn woken(&self) -> Option<bool> {
        (self.counting() == Counting::Bits).then_some(self.lock_count & 2 == 0)
    }

    /// The owner's thread id; `None` when nobody owns it, or when the word is no thread id.
    #[must_use]
    pub fn owner_tid(&self) -> Option<Tid> {
        u32::try_from(self.owner).ok().filter(|&t| t != 0 && self.is_locked()).map(Tid)
    }

    /// True when the debug block names this section as its own.
    #[must_use]
    pub fn points_back(&self) -> bool {
        self.debug.is_some_and(|d| d.kind <= 1 && d.section == self.address && d.address != self.address)
    }

    /// True when `DebugInfo` is -1: made without debug information.
    #[must_use]
    pub fn without_debug(&self, machine: Machine) -> bool {
        self.debug_info.0 == if machine.is_64() { u64::MAX } else { u64::from(u32::MAX) }
    }

    /// True when the words agree with each other: free and without an owner, or held with recursions by something
    /// that can be a thread id. `upwards` allows the old way of counting to sections without a debug block.
    #[must_use]
    pub fn is_plausible(&self, machine: Machine, upwards: bool) -> bool {
        let spin = self.spin_count;
        if spin >> 32 != 0 || spin >> 24 > 0x1f || spin & 0xff_ffff > 0x1_0000 {
            return false;
        }
        if !self.points_back() && !self.without_debug(machine) {
            return false;
        }
        if !self.is_locked() {
            return self.recursion == 0 && self.owner == 0;
        }
        let counts = (1..=MAX_COUNT).contains(&self.recursion) && self.waiters() <= MAX_COUNT.unsigned_abs();
        // Thread ids are multiples of 4.
        let owner = self.owner != 0 && self.owner.is_multiple_of(4) && self.owner < 1 << 32;
        let way = match self.counting() {
            Counting::Bits => true,
            Counting::Upwards => {
                (upwards || self.points_back()) && self.lock_count >= self.recursion.saturating_sub(1)
            }
        };
        counts && owner && way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(lock_count: i32, recursion: i32, owner: u64) -> CriticalSection {
        CriticalSection {
            address: Va(0x1000),
            debug_info: Va(0xffff_ffff),
            lock_count,
            recursion,
            owner,
            semaphore: 0,
            spin_count: 0x0200_07d0,
            debug: None,
        }
    }

    #[test]
    fn counts_of_windows() {
        for (raw, waiters, woken) in
            [(-2, 0, false), (-6, 1, false), (-10, 2, false), (-22, 5, false), (-8, 1, true)]
        {
            let s = section(raw, 1, 0x10b8);
            assert!(s.is_locked(), "{raw}");
            assert_eq!((s.waiters(), s.woken()), (waiters, Some(woken)), "{raw}");
            assert!(s.is_plausible(Machine::X86, false));
        }
        let free = section(-1, 0, 0);
        assert!(!free.is_locked() && free.is_plausible(Machine::X86, false));
        assert_eq!(free.owner_tid(), None);
        assert!(!section(-5, 0, 0).is_locked(), "a waiter was woken, nobody holds it yet");
    }

    #[test]
    fn counts_of_wine_and_old_windows() {
        // Held twice by its owner, three wait.
        let s = section(4, 2, 0x118);
        assert!(s.is_locked());
        assert_eq!((s.waiters(), s.woken(), s.counting()), (3, None, Counting::Upwards));
        assert!(s.counting_words().contains("counted upwards"));
        assert_eq!(section(-6, 1, 0x118).counting_words(), "");
        assert!(s.is_plausible(Machine::X86, true));
        assert!(!s.is_plausible(Machine::X86, false), "Windows of today does not count so");
        assert!(!section(0, 2, 0x118).is_plausible(Machine::X86, true), "more recursions than entries");
    }

    #[test]
    fn what_is_no_section() {
        assert!(!section(-2, 0, 0x10b8).is_plausible(Machine::X86, false), "held without recursion");
        assert!(!section(-2, 1, 0x10b9).is_plausible(Machine::X86, false), "no thread id");
        assert!(!section(-1, 0, 4).is_plausible(Machine::X86, false), "free with an owner");
        let mut s = section(-2, 1, 0x10b8);
        s.debug_info = Va(0x1234);
        assert!(!s.is_plausible(Machine::X86, false));
    }
}
