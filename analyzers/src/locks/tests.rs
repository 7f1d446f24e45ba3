//! Tests of finding critical sections.

use super::*;

use dumpscope_core::Tid;
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;

fn article() -> Target {
    let dump = Dump::from_bytes(dumpscope_fixtures::article::wmiprvse_x86().0.bytes()).unwrap();
    Target::new(dump, SymbolConfig::default())
}

#[test]
fn the_articles_list_is_found_without_symbols() {
    let target = article();
    let locks = find_locks(&target, Machine::X86, &Cancel::default());
    assert_eq!(locks.locks.len(), 13);
    assert!(locks.locks.iter().all(|l| l.source == LockSource::List));
    assert!(locks.orphaned.is_empty() && locks.notes.is_empty(), "{:?}", locks.notes);
    let held: Vec<&Lock> = locks.held().collect();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].section.address, held[0].owner), (Va(0x0366_e260), OwnerState::Missing));
    assert_eq!((held[0].section.owner_tid(), held[0].section.waiters()), (Some(Tid(0x2f84)), 1));
}

#[test]
fn a_thread_list_that_is_cut_off_cannot_say_that_an_owner_is_gone() {
    let (dump, _) = dumpscope_fixtures::article::wmiprvse_x86();
    let built = dump.build();
    let mut bytes = built.bytes.clone();
    // One thread more than the stream has room for.
    let count = built.at("stream.ThreadList");
    bytes[count] += 1;
    let target = Target::new(Dump::from_bytes(bytes).unwrap(), SymbolConfig::default());
    assert!(!target.dump.thread_list().warnings().is_empty());
    let locks = find_locks(&target, Machine::X86, &Cancel::default());
    assert_eq!(locks.held().next().map(|l| l.owner), Some(OwnerState::Unknown));
}

/// Fields of a 64-bit section: DebugInfo, LockCount, RecursionCount, OwningThread, LockSemaphore, SpinCount.
type Fields = (u64, i32, i32, u64, u64, u64);

fn put(
    dump: &mut dumpscope_fixtures::dump::Dump,
    at: u64,
    (debug, count, recursion, owner, semaphore, spin): Fields,
) {
    dump.space.put64(at, debug);
    dump.space.write(at + 8, &count.to_le_bytes());
    dump.space.write(at + 0xc, &recursion.to_le_bytes());
    dump.space.put64(at + 0x10, owner);
    dump.space.put64(at + 0x18, semaphore);
    dump.space.put64(at + 0x20, spin);
}

fn scenario(name: &str) -> dumpscope_fixtures::dump::Dump {
    let all = dumpscope_fixtures::scenarios::all();
    all.into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no scenario {name}")).dump
}

fn found_in_heap(dump: &dumpscope_fixtures::dump::Dump, machine: Machine) -> Vec<(Va, OwnerState)> {
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let locks = find_locks(&target, machine, &Cancel::default());
    let of_heap = locks.locks.iter().filter(|l| l.source == LockSource::Heap);
    of_heap.map(|l| (l.section.address, l.owner)).collect()
}

/// A part of the fixtures' heaps that nothing else uses.
const HEAP: u64 = 0x1d0_6e4a_5000;

const NONE: u64 = u64::MAX;

#[test]
fn what_only_looks_like_a_lock_in_the_heap_is_left_out() {
    let debris: [Fields; 13] = [
        // Free, and nothing points back.
        (NONE, -1, 0, 0, 0, 0x0200_07d0),
        // Nobody is left who holds it, and nobody waits.
        (NONE, -2, 1, 0x2f84, 0, 0x0200_07d0),
        // Somebody waits, but not as this Windows does.
        (NONE, -6, 1, 0x2f84, 0, 0x0200_07d0),
        (NONE, -6, 1, 0x2f84, 0x54, 0x0200_07d0),
        (NONE, -6, 1, 0x2f84, NONE, 0),
        // No thread id.
        (NONE, -6, 1, 0x2f85, NONE, 0x0200_07d0),
        (NONE, -6, 1, 0x1100_0000_2f84, NONE, 0x0200_07d0),
        // A thread that exists, with words that do not fit.
        (NONE, -2, 0, 0x1100, 0, 0x0200_07d0),
        (NONE, -2, 1, 0x1100, HEAP, 0x0200_07d0),
        (NONE, -2, 1, 0x1100, 0, 0x9200_07d0),
        (NONE, -2, 1, 0x1100, 0, HEAP),
        (NONE, 3, 1, 0x1100, 0, 0x0200_07d0),
        // Not -1, and no debug block.
        (HEAP, -2, 1, 0x1100, 0, 0x0200_07d0),
    ];
    let mut dump = scenario("all idle (10, x64)");
    for (i, fields) in debris.into_iter().enumerate() {
        put(&mut dump, HEAP + 0x40 * i as u64, fields);
    }
    assert!(found_in_heap(&dump, Machine::Amd64).iter().all(|(at, _)| at.0 < HEAP));
    let (held, gone) = (HEAP + 0x808, HEAP + 0xa10);
    put(&mut dump, held, (NONE, -2, 1, 0x1100, 0, 0x0200_07d0));
    put(&mut dump, gone, (NONE, -10, 2, 0x2f84, NONE, 0x0200_07cf));
    // The same words on a stack say nothing.
    let (low, size) = dump.threads[1].stack;
    put(&mut dump, low + size - 0x200, (NONE, -2, 1, 0x1100, 0, 0x0200_07d0));
    let expected = [(Va(held), OwnerState::Alive), (Va(gone), OwnerState::Missing)];
    let beyond = |dump: &_| {
        let mut found = found_in_heap(dump, Machine::Amd64);
        found.retain(|(at, _)| at.0 >= HEAP || at.0 < 0x1d0_6e4a_0000);
        found
    };
    assert_eq!(beyond(&dump), expected);
    dump.memory_info = false;
    assert_eq!(beyond(&dump), expected, "without the list of regions");
}

#[test]
fn a_hole_hides_only_what_is_in_it() {
    let mut dump = scenario("all idle (10, x64)");
    for at in [HEAP, HEAP + 0x200, HEAP + 0x400] {
        put(&mut dump, at, (NONE, -2, 1, 0x1100, 0, 0x0200_07d0));
    }
    dump.space.drop_bytes(HEAP + 0x180, 0x100);
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let found = locks_between(&target, Machine::Amd64, Va(HEAP - 3), Va(HEAP + 0x800));
    let at: Vec<u64> = found.iter().map(|l| l.section.address.0).collect();
    assert_eq!(at, [HEAP, HEAP + 0x400]);
    assert!(found.iter().all(|l| l.source == LockSource::Heap));
}

#[test]
fn a_64_bit_lock_of_a_32_bit_process_is_not_taken_for_a_32_bit_one() {
    let wow64 = scenario("lock that only the heap names (10, wow64)");
    let heap = 0x59_5000;
    let before = found_in_heap(&wow64, Machine::X86);
    assert_eq!(before.iter().filter(|(_, owner)| *owner == OwnerState::Alive).count(), 2);
    let mut dump = wow64.clone();
    put(&mut dump, heap, (NONE, -2, 1, 0x1110, 0, 0x0200_07d0));
    assert_eq!(found_in_heap(&dump, Machine::X86), before);
}

#[test]
fn a_search_ends_with_its_budget_and_when_it_is_stopped() {
    let mut dump = scenario("all idle (10, x64)");
    let at = [HEAP, HEAP + 0x400];
    for at in at {
        put(&mut dump, at, (NONE, -2, 1, 0x1100, 0, 0x0200_07d0));
    }
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let cancel = Cancel::default();
    let search = |budget: u64| {
        let sweep = sweep::Sweep::new(&target, Machine::Amd64, &cancel).with_budget(budget);
        let swept = sweep.spans(&[(Va(HEAP), Va(HEAP + 0x800))]);
        (swept.found.len(), swept.partly)
    };
    assert_eq!(
        [search(0), search(0x100), search(0x408), search(0x800)],
        [(0, true), (1, true), (2, true), (2, false)]
    );
    assert!(find_locks(&target, Machine::Amd64, &cancel).notes.is_empty());
    cancel.cancel();
    assert_eq!(search(0x800), (0, true));
    let notes = find_locks(&target, Machine::Amd64, &cancel).notes;
    assert!(notes.iter().any(|n| n.contains("not all heap memory was searched")), "{notes:?}");
}

#[test]
fn very_many_owners_that_are_gone_cost_little() {
    let mut dump = scenario("all idle (10, x64)");
    let base = 0x1d0_7000_0000;
    dump.space.commit(base, 0x10_0000);
    for n in 0..0x4000 {
        put(&mut dump, base + 0x40 * n, (NONE, -6, 1, 0x10_0000 + 4 * n, NONE, 0x0200_07d0));
    }
    let found = found_in_heap(&dump, Machine::Amd64);
    assert_eq!(found.iter().filter(|(_, owner)| *owner == OwnerState::Missing).count(), 256);
}
