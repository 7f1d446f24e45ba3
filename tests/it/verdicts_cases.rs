//! Dumps that were made after public reports, and idle and giving-up programs of others: what they must not be called.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, Finding};
use dumpscope_analyzers::triage::{run_rules, signature, verdict_of};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;

fn judge(bytes: Vec<u8>) -> (Finding, Option<String>) {
    judge_dump(Dump::from_bytes(bytes).unwrap())
}

fn judge_dump(dump: Dump) -> (Finding, Option<String>) {
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    let target = Target::new(dump, config);
    let facts = target.facts(&Cancel::default());
    let case = Case { target: &target, facts: &facts };
    let v = verdict_of(&case, &run_rules(&case).findings);
    let text = signature(&case, &v).map(|s| s.text);
    (v, text)
}

/// A recorded exception is a crash, whatever the program's own code for it.
#[test]
fn codes_that_are_not_known_are_crashes() {
    let Some(shared) = shared_or_skip("codes_that_are_not_known_are_crashes") else { return };
    let bytes = std::fs::read(shared.join("corpus/sentry-native/minidump.dmp")).unwrap();
    let dump = Dump::from_bytes(bytes.clone()).unwrap();
    let stream = dump.exception();
    let old = stream.value().unwrap();
    let (tid, code) = (old.tid, old.record.code.to_le_bytes());
    // The record begins eight bytes behind the thread's id.
    let id = tid.0.to_le_bytes();
    let at = (0..bytes.len() - 12)
        .find(|at| bytes[*at..*at + 4] == id && bytes[*at + 8..*at + 12] == code)
        .unwrap()
        + 8;
    let codes =
        [0, 0x4000, 0x6ba, 0x1234_5678, 0x2047_4343, 0x4000_0015, 0x0eed_fade, 0xdead, 0xe043_4352_u32];
    for code in codes {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&code.to_le_bytes());
        let (v, _) = judge(changed);
        assert_eq!((v.kind.name(), v.tid), ("crash", Some(tid)), "{code:#x}: {}", v.summary);
    }
    // A request of the program, a thread's name: no crash.
    for code in [0x0517_a7ed, 0x406d_1388_u32] {
        let mut changed = bytes.clone();
        changed[at..at + 4].copy_from_slice(&code.to_le_bytes());
        assert_ne!(judge(changed).0.kind.name(), "crash", "{code:#x}");
    }
}

#[test]
fn a_reported_exception_is_a_crash_without_its_record() {
    let Some(shared) = shared_or_skip("a_reported_exception_is_a_crash_without_its_record") else { return };
    for name in ["r_uef.dmp", "w_ok.dmp"] {
        let bytes = std::fs::read(shared.join("cases/reported-to-wer").join(name)).unwrap();
        let (v, signature) = judge(bytes);
        assert_eq!((v.kind.name(), v.tid.map(|t| t.0)), ("crash", Some(0x100)), "{name}: {}", v.summary);
        assert!(signature.is_some_and(|s| s.starts_with("crash:")), "{name}");
    }
}

#[test]
fn a_thread_that_is_not_listed_has_the_stack_of_its_exception() {
    let Some(shared) = shared_or_skip("a_thread_that_is_not_listed_has_the_stack_of_its_exception") else {
        return;
    };
    for entry in std::fs::read_dir(shared.join("cases/thread-not-listed")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "dmp") {
            continue;
        }
        let (v, signature) = judge(std::fs::read(&path).unwrap());
        assert_eq!(v.kind.name(), "crash", "{}", v.summary);
        assert!(v.evidence.iter().any(|e| e.contains("its stack from the exception")), "{:#?}", v.evidence);
        assert!(signature.is_some(), "{}", v.summary);
    }
}

/// A service that waits for its stop event is idle; mutexes with time limits are no proven deadlock.
#[test]
fn idle_services_and_waits_with_limits() {
    let Some(shared) = shared_or_skip("idle_services_and_waits_with_limits") else { return };
    let of = |name: &str| judge_dump(Dump::open(&shared.join("lab2").join(name)).unwrap()).0;
    let v = of("svc_idle-stop-x64.dmp.zst");
    assert_eq!(v.kind.name(), "idle", "{}", v.summary);
    let v = of("giveup-stop-x86.dmp.zst");
    assert_eq!((v.confidence, v.class.name()), (Confidence::Guess, "timed_deadlock"), "{}", v.summary);
    assert!(v.summary.contains("6000 ms") && v.summary.contains("9000 ms"), "{}", v.summary);
}
