//! The triage library: facts of dumps with known truth, without the program around it.

use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::{Progress, TriageOptions, triage, triage_target};
use dumpscope_engine::document::{
    Access, Arch, Document, DumpKindName, DumpRow, FindingKind, Kind, TrustName,
};
use dumpscope_engine::fmt::Hex;
use dumpscope_fixtures::{article, small};
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::sync::Mutex;

fn row_of(bytes: Vec<u8>) -> DumpRow {
    let target = Target::new(Dump::from_bytes(bytes).unwrap(), SymbolConfig::default());
    triage_target("fixture.dmp", &target, &Cancel::default())
}

fn functions(row: &DumpRow, thread: usize) -> Vec<String> {
    let frames = row.threads.as_ref().unwrap()[thread].frames.as_ref().unwrap();
    frames.iter().filter_map(|f| f.function.clone()).collect()
}

#[test]
fn a_crash_is_told_with_its_thread_and_its_place() {
    let row = row_of(small::x64_crash().0.bytes());
    let verdict = row.verdict.clone().unwrap();
    assert_eq!((verdict.kind, verdict.tid), (FindingKind::Crash, Some(0x2210)));
    assert_eq!(row.findings.as_ref().unwrap()[0], verdict);
    assert!(!verdict.evidence.is_empty() && verdict.advice.is_some());
    let exception = row.exception.clone().unwrap();
    assert_eq!(exception.name.as_deref(), Some("EXCEPTION_ACCESS_VIOLATION"));
    assert_eq!((exception.access, exception.target), (Some(Access::Write), Some(Hex(0x10))));
    // The stack of the thread that crashed begins at the exception, not where the thread stood later.
    let first = &row.threads.as_ref().unwrap()[1].frames.as_ref().unwrap()[0];
    assert_eq!(first.ip, exception.address);
    assert_eq!(first.trust, TrustName::Context);
    assert!(row.signature.unwrap().starts_with("crash:EXCEPTION_ACCESS_VIOLATION|demo"));
}

#[test]
fn facts_of_a_small_dump() {
    let row = row_of(small::x86().0.bytes());
    let process = row.process.clone().unwrap();
    assert_eq!((process.pid, process.name.as_deref()), (Some(0x1a2c), Some("demo.exe")));
    let system = row.system.clone().unwrap();
    assert_eq!((system.arch, system.wow64, system.build), (Arch::X86, false, Some(19045)));
    assert_eq!(system.version.as_deref(), Some("10.0"));
    let threads = row.threads.as_ref().unwrap();
    assert_eq!((threads[0].user_ms, threads[0].kernel_ms), (Some(20_211), Some(7_003)));
    assert_eq!(threads[1].name.as_deref(), Some("worker"));
    assert_eq!(threads[0].activity.as_deref(), Some("waits for the event 1c4"));
    assert_eq!(threads[1].activity.as_deref(), Some("sleeps"));
    let handles = row.handles.clone().unwrap();
    assert_eq!((handles.total, handles.by_type.get("Event")), (7, Some(&1)));
    assert_eq!(row.exception, None);
    assert_eq!(row.signature.as_deref(), Some("hang:waiting|demo+0x1025|event"));
    let wait = threads[0].wait.clone().unwrap();
    assert_eq!((wait.kind, wait.handles), (Kind::Event, Some(vec![Hex(0x1c4)])));
}

#[test]
fn a_wow64_process_has_both_stacks() {
    let wide = row_of(article::ruby_wow64().0.bytes());
    let narrow = row_of(article::ruby_x86().0.bytes());
    let system = wide.system.clone().unwrap();
    assert_eq!((system.arch, system.wow64), (Arch::X86, true));
    assert_eq!(functions(&wide, 0), functions(&narrow, 0));
    assert!(functions(&wide, 0).len() > 5);
    let thread = &wide.threads.as_ref().unwrap()[0];
    let native = thread.native_frames.as_ref().unwrap();
    assert!(native.iter().any(|f| f.module.as_deref().is_some_and(|m| m.starts_with("wow64"))));
    assert!(narrow.threads.unwrap()[0].native_frames.is_none());
    // The server is known from the thread's COM data; no symbol of combase is needed.
    let says = "waits for the answer to a COM call (IWbemWCOSmartEnum, method 3) that process 30c serves";
    assert_eq!(thread.activity.as_deref(), Some(says));
}

/// A folder with the given dumps.
fn folder(dumps: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in dumps {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn names(document: &Document) -> Vec<String> {
    let leaf = |d: &DumpRow| PathBuf::from(&d.path).file_name().unwrap().to_string_lossy().into_owned();
    document.dumps.iter().map(leaf).collect()
}

#[test]
fn a_folder_gives_rows_by_name_and_buckets() {
    let crash = small::x64_crash().0.bytes();
    let dir = folder(&[
        ("b.dmp", &crash),
        ("a.dmp", &crash),
        ("c.dmp", &small::x86().0.bytes()),
        ("d.dmp", b"MDMP"),
    ]);
    let notes = Mutex::new(Vec::new());
    let observer = |p: Progress| notes.lock().unwrap().push(p);
    let document = triage(&[dir.path().to_owned()], &TriageOptions::default(), &observer);
    assert_eq!(names(&document), ["a.dmp", "b.dmp", "c.dmp", "d.dmp"]);
    assert_eq!(document.buckets.len(), 2, "two crashes of one cause, and a hang");
    assert_eq!((document.buckets[0].count, document.buckets[0].paths.len()), (2, 2));
    assert_eq!(document.dumps[3].error.as_ref().unwrap().kind, "truncated");
    let notes = notes.into_inner().unwrap();
    assert_eq!(notes.iter().filter(|p| matches!(p, Progress::Finished { .. })).count(), 4);
    let back: Document = serde_json::from_str(&serde_json::to_string(&document).unwrap()).unwrap();
    assert_eq!(back, document);
}

#[test]
fn who_asks_to_stop_gets_rows_that_say_so() {
    let dir = folder(&[("a.dmp", &small::x86().0.bytes())]);
    let options = TriageOptions::default();
    options.cancel.cancel();
    let document = triage(&[dir.path().to_owned()], &options, &|_| {});
    assert_eq!(document.dumps[0].error.as_ref().unwrap().kind, "stopped");
}

#[test]
fn packed_dumps_are_dumps() {
    let Some(shared) = crate::core_common::shared_or_skip("packed_dumps_are_dumps") else { return };
    let document = triage(&[shared.join("lab")], &TriageOptions::default(), &|_| {});
    assert_eq!(names(&document), ["ruby-x86.dmp.zst", "wmiprvse-x64.dmp.zst"]);
    let [ruby, wmi] = &document.dumps[..] else { panic!() };
    let id = |r: &DumpRow| {
        let (p, s, d) = (r.process.clone().unwrap(), r.system.clone().unwrap(), r.dump.clone().unwrap());
        (p.pid.unwrap(), p.name.unwrap(), s.arch, s.build.unwrap(), d.kind)
    };
    assert_eq!(id(ruby), (0x20, "ruby.exe".into(), Arch::X86, 9600, DumpKindName::Full));
    assert_eq!(id(wmi), (0x110, "WmiPrvSE.exe".into(), Arch::X64, 9600, DumpKindName::Full));
    let tids = |r: &DumpRow| r.threads.as_ref().unwrap().iter().map(|t| t.tid).collect::<Vec<_>>();
    assert_eq!(tids(ruby).len(), 3);
    assert_eq!(tids(wmi), [0x114, 0x11c, 0x120, 0x124]);
    let activity = |r: &DumpRow, n: usize| r.threads.as_ref().unwrap()[n].activity.clone().unwrap();
    assert_eq!(activity(wmi, 0), "wrote the dump");
    let lock = |address: &str, whose: &str| {
        format!("waits for the critical section at {address}, which thread {whose}")
    };
    for (n, address, whose) in [
        (1, "140032288 (WmiPrvSE+0x32288)", "118 held when it ended"),
        (2, "1400322e0 (WmiPrvSE+0x322e0)", "124 (number 3) holds"),
        (3, "1400322b8 (WmiPrvSE+0x322b8)", "120 (number 2) holds"),
    ] {
        assert_eq!(activity(wmi, n), lock(address, whose));
    }
    // Ruby burned CPU before it blocked: its main thread is first by far.
    let cpu = |n: usize| {
        let t = &ruby.threads.as_ref().unwrap()[n];
        t.user_ms.unwrap() + t.kernel_ms.unwrap()
    };
    assert!(cpu(0) > 10 * cpu(1).max(cpu(2)));
    for row in [ruby, wmi] {
        assert!(row.handles.as_ref().unwrap().by_type.contains_key("Mutant"));
        let scanned = |t: &dumpscope_engine::document::ThreadRow| {
            t.frames.iter().flatten().any(|f| f.trust == TrustName::Scan)
        };
        assert!(!row.threads.as_ref().unwrap().iter().any(scanned), "{}", row.path);
    }
}

#[test]
fn crashes_of_the_corpus() {
    let Some(shared) = crate::core_common::shared_or_skip("crashes_of_the_corpus") else { return };
    let verdict = |path: &str| {
        let document = triage(&[shared.join("corpus").join(path)], &TriageOptions::default(), &|_| {});
        let row = document.dumps.into_iter().next().unwrap();
        let e = row.exception.clone();
        let v = row.verdict.unwrap();
        (v.kind, v.tid, e.as_ref().map(|e| e.code.0), e.and_then(|e| e.target).map(|t| t.0))
    };
    use FindingKind::{Crash, Idle};
    let av = Some(0xc000_0005);
    for (path, kind, tid, code, target) in [
        ("breakpad/ascii_read_av.dmp", Crash, Some(0x106c), av, Some(0x4141_4141)),
        ("breakpad/exec_av_on_stack.dmp", Crash, Some(0x1b08), av, Some(0x3d_f944)),
        ("breakpad/stack_exhaustion.dmp", Crash, Some(0x1670), Some(0xc000_00fd), None),
        ("breakpad/thread_name_list.dmp", Crash, Some(0x2ae0), av, Some(0xf_1004)),
        ("breakpad/tiny-exe-with-cet-xsave.dmp", Idle, None, None, None),
        ("lldb/sigsegv.dmp", Crash, Some(0x2a6c), av, Some(0)),
        // No exception stream: a thread reports the exception.
        ("lldb/fizzbuzz_wow64.dmp", Crash, Some(0x3490), av, Some(0)),
        ("rust-minidump/linux-mini.dmp", Crash, Some(0x518), Some(11), Some(0x45)),
        ("electron/linux.dmp", Crash, Some(0x77c2), Some(4), None),
        (
            "rust-minidump/pipeline-inlines-macos-segv.dmp",
            Crash,
            Some(0x1203),
            Some(1),
            Some(0xffff_ffff_8000_0042),
        ),
    ] {
        assert_eq!(verdict(path), (kind, tid, code, target), "{path}");
    }
}

#[test]
fn foreign_dumps_have_names_and_inlines_from_sym_files() {
    let Some(shared) =
        crate::core_common::shared_or_skip("foreign_dumps_have_names_and_inlines_from_sym_files")
    else {
        return;
    };
    let corpus = shared.join("corpus/breakpad");
    // Breakpad's layout wants the file under the module's own name.
    let id = "linux_inline/BBA6FA10B8AAB33D00000000000000000";
    let symbols = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(symbols.path().join(id)).unwrap();
    let from = corpus.join("symbols").join(id).join("linux_inline.new.sym");
    std::fs::copy(from, symbols.path().join(id).join("linux_inline.sym")).unwrap();
    let config = SymbolConfig {
        symbol_path: symbols.path().to_string_lossy().into_owned(),
        ..SymbolConfig::default()
    };
    let options = TriageOptions { symbols: config, ..TriageOptions::default() };
    let document = triage(&[corpus.join("linux_inline.dmp")], &options, &|_| {});
    let row = &document.dumps[0];
    let frames = row.threads.as_ref().unwrap()[0].frames.as_ref().unwrap();
    let inlined: Vec<bool> = frames.iter().take(4).map(|f| f.inline).collect();
    assert!(inlined[0], "{frames:#?}");
    let physical = frames.iter().find(|f| !f.inline).unwrap();
    assert_eq!(physical.function.as_deref(), Some("main"));
    let source = physical.source.as_ref();
    // Where main calls what was inlined: INLINE 0 42 1.
    assert!(source.is_some_and(|s| s.file == "a.cpp" && s.line == 42), "{physical:?}");
}
