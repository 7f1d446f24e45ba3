//! What is measured on versions without a known tail, on one whose tail is known.

use super::core::Core;
use super::layout::{Layout, Lines, StringForm};
use super::locks::kind_for;
use super::recognise::{self, Version};
use super::threads::Threads;
use crate::{NativeThread, Process, WaitKind};
use dumpscope_core::model::Dump;
use std::sync::Arc;

#[test]
fn measured_tails_equal_the_seen_ones() {
    let Some(shared) = dumpscope_tests::shared().map(|s| s.join("ruby")).filter(|s| s.is_dir()) else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "no folder `shared/ruby`");
        return;
    };
    for name in ["ruby31s-deadlock-trim", "ruby31x86s-ole-trim"] {
        let dump = Dump::open(&shared.join(format!("{name}.dmp.zst"))).unwrap();
        let threads = dump.threads().iter().map(|t| NativeThread { tid: t.tid, teb: t.raw.teb, regs: None });
        let threads = threads.collect();
        let process = Process::new(dump.memory().clone(), dump.modules().to_vec(), threads, dump.machine());
        let process = Arc::new(process);
        let found = recognise::recognise(&process);
        let word = dump.machine().ptr_size() as u64;
        let layout = Layout::of(Version { major: 3, minor: 1 }, word).unwrap();
        let seen = Threads::read(&Core::new(&process, found[0].module, layout)).unwrap();
        let blind = Layout { tail: None, ..layout };
        let measured = Threads::read(&Core::new(&process, found[0].module, blind)).unwrap();
        assert!(seen.verified && !measured.verified);
        let (want, got) = (seen.tail, measured.tail);
        assert_eq!(
            (got.ec_thread, got.ec_fiber, got.fiber_ec),
            (want.ec_thread, want.ec_fiber, want.fiber_ec)
        );
        assert_eq!((got.thread_vm, got.thread_ec), (want.thread_vm, want.thread_ec));
        assert_eq!(got.thread_locking, want.thread_locking, "{name}");
        // Where names are is measured only where it cannot be anything else: no name rather than a wrong one.
        assert!(
            got.thread_name.is_none() || got.thread_name == want.thread_name,
            "{name}: {:?}",
            got.thread_name
        );
        let ids = |t: &Threads| t.list.iter().map(|t| (t.address, t.tid)).collect::<Vec<_>>();
        assert_eq!(ids(&measured), ids(&seen));
    }
}

#[test]
fn layouts_of_heads_are_the_published_ones() {
    let of = |major, minor| Layout::of(Version { major, minor }, 8).unwrap();
    let head = |l: Layout| (l.frame, l.location, l.lines);
    assert_eq!(head(of(2, 4)), (48, 64, Lines::Pairs { table: 104, size: 192 }));
    assert_eq!(head(of(2, 5)), (48, 64, Lines::Unknown));
    assert_eq!(head(of(2, 7)), (56, 64, Lines::Succinct { info: 120, entry: 8 }));
    assert_eq!(head(of(3, 0)), (56, 64, Lines::Succinct { info: 120, entry: 8 }));
    assert_eq!(head(of(3, 1)), (64, 64, Lines::Succinct { info: 120, entry: 12 }));
    assert_eq!(head(of(3, 2)), (64, 64, Lines::Succinct { info: 112, entry: 12 }));
    assert_eq!(head(of(3, 4)), (56, 64, Lines::Succinct { info: 112, entry: 12 }));
    assert_eq!(of(3, 3).string, StringForm::Field { embedded: 24 });
    let x86 = Layout::of(Version { major: 3, minor: 1 }, 4).unwrap();
    assert_eq!(head(x86), (32, 52, Lines::Succinct { info: 88, entry: 12 }));
    assert_eq!(Layout::of(Version { major: 2, minor: 0 }, 8), None);
}

#[test]
fn a_main_thread_waits_for_no_work() {
    let woken = |main, own_code| kind_for(WaitKind::MonitorWait, main, own_code);
    assert_eq!(woken(false, false), WaitKind::Idle);
    assert_eq!(woken(true, false), WaitKind::MonitorWait);
    assert_eq!(woken(false, true), WaitKind::MonitorWait);
    assert_eq!(kind_for(WaitKind::Thread, false, false), WaitKind::Thread);
}
