//! Tests of finding critical sections.

use super::*;
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
    assert_eq!((held[0].section.address, held[0].owner), (Va(0x0366_e260), Owner::Missing));
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
    assert_eq!(locks.held().next().map(|l| l.owner), Some(Owner::Unknown));
}
