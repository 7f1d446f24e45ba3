//! Crashes of other programs: faults, stacks through bad pointers, recursions, signatures, what the program said.

use dumpscope_analyzers::model::{Access, Facts};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::Va;
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::triage_target;
use dumpscope_engine::document::{DumpRow, TrustName};
use dumpscope_symbols::SymbolConfig;
use std::sync::Arc;

fn target(name: &str) -> Option<Target> {
    let path = crate::core_common::shared_or_skip("crash_cases")?.join(name);
    let beside = path.parent().unwrap().to_str().unwrap().to_owned();
    let config = SymbolConfig { symbol_path: beside.clone(), image_path: beside, ..SymbolConfig::default() };
    Some(Target::new(Dump::open(&path).unwrap(), config))
}

fn facts(name: &str) -> Option<Arc<Facts>> {
    Some(target(name)?.facts(&Cancel::default()))
}

fn row(name: &str) -> Option<DumpRow> {
    Some(triage_target(name, &target(name)?, &Cancel::default()))
}

#[test]
fn crash_addresses_are_the_true_ones() {
    let of = |name: &str| facts(name).map(|f| f.exception.clone().unwrap());
    let Some(e) = of("corpus/breakpad/minidump_32bit_crash_addr.dmp") else { return };
    assert_eq!((e.target, e.access), (Some(Va(0x45)), Some(Access::Write)));
    let e = of("corpus/breakpad/write_av_non_canonical.dmp").unwrap();
    assert_eq!((e.target, e.access), (Some(Va(0xfefe_fefe_fefe_fefe)), Some(Access::Write)));
    assert!(e.fault.unwrap().computed);
    let e = of("corpus/breakpad/ascii_read_av.dmp").unwrap();
    assert!(e.description.contains("holds the text \"AAAA\""), "{}", e.description);
}

#[test]
fn crash_callers_of_bad_pointers_are_named() {
    let Some(null) = row("cases/null-call/nullA.dmp") else { return };
    let gone = row("cases/null-call/unlA.dmp").unwrap();
    for row in [&null, &gone] {
        let summary = &row.verdict.as_ref().unwrap().summary;
        assert!(summary.contains("called from app!Tpl<void *>::go+0xc"), "{summary}");
        let frame = &row.threads.as_ref().unwrap()[0].frames.as_ref().unwrap()[1];
        assert_eq!(frame.trust, TrustName::ReturnAddress);
    }
    assert_ne!(null.signature, gone.signature);
    let module = &gone.threads.as_ref().unwrap()[0].frames.as_ref().unwrap()[0].module;
    assert_eq!(module.as_deref(), Some("<Unloaded_plugin.dll>"));
    assert!(gone.signature.unwrap().contains("<Unloaded_plugin.dll>+0x1234"));
}

#[test]
fn crash_recursions_are_counted() {
    let Some(deep) = row("cases/stack-overflow/deep.dmp.gz") else { return };
    let summary = deep.verdict.unwrap().summary;
    assert!(
        summary.contains("go calls itself, 30,000 frames deep, entered from app!mainCRTStartup"),
        "{summary}"
    );
    assert_eq!(deep.signature.as_deref(), Some("crash:EXCEPTION_STACK_OVERFLOW|app!Tpl<void *>::go"));
    let helper = row("cases/stack-overflow/chk1.dmp").unwrap().signature.unwrap();
    assert!(!helper.contains("chkstk"), "{helper}");
}

#[test]
fn crash_helpers_do_not_join_buckets() {
    let Some(one) = row("cases/helper-frames/c_cfg1.dmp") else { return };
    let two = row("cases/helper-frames/c_cfg2.dmp").unwrap();
    assert_ne!(one.signature, two.signature);
}

#[test]
fn crash_frames_without_modules_are_walked() {
    let Some(row) = row("cases/jit-frames/jit1.dmp") else { return };
    let frames = row.threads.unwrap().remove(0).frames.unwrap();
    let ips: Vec<u64> = frames.iter().map(|f| f.ip.0).collect();
    assert_eq!(ips[..3], [0x1_4000_1000, 0x181_0e69_000d, 0x181_0e69_004d]);
    assert_eq!(frames[3].function.as_deref(), Some("mainCRTStartup"));
    assert_eq!(frames[2].trust, TrustName::FramePointer);
}

#[test]
fn crash_programs_are_listened_to() {
    let Some(row) = row("corpus/rust-minidump/invalid-parameter.dmp") else { return };
    let said = row.annotations.unwrap();
    assert!(said.iter().any(|a| a.source == "assertion"), "{said:?}");
    let evidence = row.verdict.unwrap().evidence;
    assert!(evidence.iter().any(|e| e.contains("the program said")), "{evidence:?}");
}
