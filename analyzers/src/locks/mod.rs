//! Critical sections: where they are, who holds them, whether that thread still exists.
//!
//! Roads to them: ntdll's list (incomplete since Windows 8, absent under Wine), the locks that the PEB and its heaps
//! name, the writable data of modules, heap memory, and (see [`crate::waits`]) what the threads that wait point at.

mod list;
mod regions;
mod sweep;

use crate::model::{CriticalSection, DebugBlock, Lock, LockSource, Locks, OwnerState};

use crate::thread_state::thread_state;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, Va};
use std::collections::BTreeSet;

/// True where `LockCount` may count upwards: before Windows Vista, and under Wine.
#[must_use]
pub fn counts_upwards(target: &Target) -> bool {
    target.dump.os_version().0 < 6 || target.is_wine()
}

/// Whether the thread that owns a lock exists.
#[must_use]
pub fn owner_state(target: &Target, section: &CriticalSection) -> OwnerState {
    section.owner_tid().map_or(OwnerState::Unknown, |tid| thread_state(target, tid))
}

/// Makes the entry of a section.
#[must_use]
pub fn lock_of(target: &Target, section: CriticalSection, source: LockSource) -> Lock {
    Lock { section, source, owner: owner_state(target, &section), waiters: Vec::new() }
}

/// Finds the critical sections of the process as `machine` sees it. Waiters are not known yet: see
/// [`crate::waits`].
#[must_use]
pub fn find_locks(target: &Target, machine: Machine, cancel: &Cancel) -> Locks {
    let mut out = Locks::default();
    if !target.dump.is_windows() || !matches!(machine, Machine::X86 | Machine::Amd64 | Machine::Arm64) {
        return out;
    }
    let memory = target.dump.memory().as_ref();
    let sweep = sweep::Sweep::new(target, machine, cancel);
    let data = sweep.module_data();
    let heap = sweep.heaps();
    for (swept, what) in [(&data, "writable data of the modules"), (&heap, "heap memory")] {
        if swept.partly {
            let limit = crate::text::count_bytes(sweep::MAX_BYTES);
            out.notes.push(format!(
                "not all {what} was searched for critical sections: the search ends after {limit}, or when it is stopped"
            ));
        }
    }
    let peb = target.dump.read_peb(machine);
    let named: Vec<CriticalSection> = peb
        .iter()
        .flat_map(|p| [p.loader_lock, p.fast_peb_lock])
        .flatten()
        .filter_map(|at| CriticalSection::read(memory, at, machine))
        .filter(|s| s.is_plausible(machine, true))
        .collect();
    // A heap's own lock lies in its header, which may be captured where the rest of the heap is not.
    let heaps = peb.iter().flat_map(|p| p.process_heap.iter().chain(&p.heaps)).copied();
    let of_heaps = sweep.heap_headers(heaps);
    let members = [&named, &of_heaps.found, &data.found, &heap.found];
    let head = list::head(target, machine);
    let start = head.or_else(|| list_start(target, machine, &members));
    let mut seen = BTreeSet::new();
    let mut add = |out: &mut Locks, section: CriticalSection, source: LockSource| {
        if seen.insert(section.address) {
            let owner = sweep.owner(&section);
            out.locks.push(Lock { section, source, owner, waiters: Vec::new() });
        }
    };
    if let Some(start) = start {
        let walk = list::walk(target, machine, start, head);
        for s in walk.sections {
            add(&mut out, s, LockSource::List);
        }
        out.orphaned = walk.orphaned;
        if let Some(why) = walk.stopped {
            let n = out.locks.len();
            out.notes.push(format!("walk of ntdll's list stopped after {n} sections: {why}"));
        }
    }
    let listed = out.locks.len();
    for s in named {
        add(&mut out, s, LockSource::Peb);
    }
    for s in data.found {
        add(&mut out, s, LockSource::ModuleData);
    }
    for s in of_heaps.found.into_iter().chain(heap.found) {
        add(&mut out, s, LockSource::Heap);
    }
    if let Some(rest) = out.locks.get_mut(listed..) {
        rest.sort_by_key(|l| l.section.address);
    }
    out
}

/// Sections that lie between two addresses (`end` exclusive): those whose debug block points back, and held ones
/// whose owner is a thread of the process. Looks at 256 MB at most.
#[must_use]
pub fn locks_between(target: &Target, machine: Machine, start: Va, end: Va) -> Vec<Lock> {
    let cancel = Cancel::default();
    let sweep = sweep::Sweep::new(target, machine, &cancel);
    let found = sweep.spans(&[(start, end)]).found;
    let source = |s: &CriticalSection| match target.dump.module_at(s.address) {
        Some(_) => LockSource::ModuleData,
        None => LockSource::Heap,
    };
    let lock = |section: CriticalSection| Lock {
        section,
        source: source(&section),
        owner: sweep.owner(&section),
        waiters: Vec::new(),
    };
    found.into_iter().map(lock).collect()
}

/// A member of ntdll's list: the link of any section that is linked.
fn list_start(target: &Target, machine: Machine, members: &[&Vec<CriticalSection>]) -> Option<Va> {
    let modules = target.symbols.modules();
    let in_ntdll =
        |va: Va| modules.iter().any(|m| m.contains(va) && m.file_name.eq_ignore_ascii_case("ntdll.dll"));
    let linked = |s: &&CriticalSection| {
        s.points_back() && s.debug.is_some_and(|d| list::is_linked(&d, machine) && in_ntdll(d.address))
    };
    let member = members.iter().copied().flatten().find(linked)?;
    Some(member.debug?.address.offset(DebugBlock::link_offset(machine)))
}

#[cfg(test)]
mod tests;
