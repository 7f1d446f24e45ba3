//! `!analyze`, `!deadlock`, `!waits` and signatures on dumps with known truth.

use crate::article_replay::session_with_symbols;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::triage::{Signature, run_rules, signature, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::{LineStatus, Session, TextSink, run_line};
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_fixtures::symfile::{SymFile, write_folder};
use dumpscope_fixtures::{article, dump, small};
use dumpscope_symbols::SymbolConfig;

fn run(session: &mut Session, line: &str) -> String {
    let mut out = Vec::new();
    let status = run_line(session, line, &mut TextSink::new(&mut out, false));
    let out = String::from_utf8(out).unwrap();
    assert_eq!(status, LineStatus::Done, "{line}: {out}");
    out
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
}

fn scenario(name: &str) -> Scenario {
    scenarios::all().into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}

fn on(name: &str, line: &str) -> String {
    let s = scenario(name);
    run(&mut session_with_symbols((s.dump, s.symbols)).session, line)
}

#[test]
fn analyze_tells_the_articles_orphan() {
    let mut o = session_with_symbols(article::wmiprvse_x86());
    let text = run(&mut o.session, "!analyze -v -hang");
    has(
        &text,
        &[
            "PROCESS_NAME:  WmiPrvSE.exe",
            "FAULTING_THREAD:  0000293c",
            "BUGCHECK_STR:  HANG",
            "DERIVED_WAIT_CHAIN:",
            "1dd0.293c Critical Section    -->",
            "1dd0.2f84 the thread no longer exists",
            "BLOCKING_THREAD:  00002f84",
            "CritSec",
            "ORPHANED LOCK (proven)",
            "Next: ",
            "FAILURE_BUCKET_ID:  hang:orphaned_lock|",
            "Followup:     MachineOwner",
        ],
    );
    // Without a crash `!analyze` looks for the hang by itself.
    has(&run(&mut o.session, "!analyze"), &["FAULTING_THREAD:  0000293c"]);
}

#[test]
fn analyze_tells_a_crash_with_windbgs_fields() {
    let mut o = session_with_symbols((small::x64_crash().0, Vec::new()));
    let text = run(&mut o.session, "!analyze -v");
    has(
        &text,
        &[
            "Exception Analysis",
            "EXCEPTION_RECORD:",
            "WRITE_ADDRESS:  0000000000000010",
            "ERROR_CODE: (NTSTATUS) 0xc0000005 - ",
            "EXCEPTION_CODE_STR:  c0000005",
            "EXCEPTION_PARAMETER1:  0000000000000001",
            "STACK_TEXT:",
            "MODULE_NAME: demo",
            "IMAGE_NAME:  demo.exe",
            "STACK_COMMAND:  ~1s; .ecxr ; kb",
            "OSPLATFORM_TYPE:  x64",
        ],
    );
    // The selection is as before.
    assert_eq!(o.session.sel.frame, 0);
    has(&run(&mut o.session, "!analyze -hang"), &["Hang Analysis"]);
}

/// ChildEBP (x86) or the stack pointer, and the return address.
#[test]
fn the_stack_of_analyze_has_the_columns_of_kb() {
    let x64 = scenario("deadlock of two locks (10, x64)");
    let x64 = (x64.dump, x64.symbols);
    for (dump, width) in [(article::wmiprvse_x86(), 17), (article::ruby_x86(), 17), (x64, 35)] {
        let mut o = session_with_symbols(dump);
        let text = run(&mut o.session, "!analyze -v -hang");
        let rows: Vec<&str> = text
            .lines()
            .skip_while(|l| !l.starts_with("STACK_TEXT:"))
            .skip(1)
            .take_while(|l| !l.is_empty())
            .collect();
        let thread = text.split("STACK_COMMAND:  ").nth(1).and_then(|t| t.split(';').next()).unwrap();
        let stack = run(&mut o.session, &format!("{thread}; kb"));
        let known: Vec<&str> = stack.lines().filter_map(|l| l.get(..width)).collect();
        assert!(rows.len() > 2, "{text}");
        for row in rows {
            assert!(known.contains(&row.get(..width).unwrap()), "{row} is not in\n{stack}");
        }
    }
}

#[test]
fn the_system_has_an_uptime_where_its_clock_is_in_the_dump() {
    let (_, dump) = scenarios::several().remove(0).dumps.remove(0);
    // The machine was booted a billion seconds after the epoch, and the clock is 0.123 s ahead of the dump's time.
    let up = dump.time - 1_000_000_000;
    let text = run(&mut session_with_symbols((dump, Vec::new())).session, ".time");
    let clock = format!("{} days {}:{:02}:{:02}.123", up / 86_400, up / 3600 % 24, up / 60 % 60, up % 60);
    has(&text, &[&format!("System Uptime: {clock}\n")]);
}

#[test]
fn circles_are_marked() {
    let text = on("deadlock of lock and mutex (10, x64)", "!deadlock");
    has(&text, &["2 threads wait for each other", "1110", "1114", "mutant", "critical section"]);
    let text = on("deadlock of lock and mutex (10, x64)", "!analyze -v");
    has(&text, &["x  ", "Mutex    -->", "Critical Section    -->", "APPLICATION_HANG_DEADLOCK"]);
    has(&on("all idle (10, x64)", "!deadlock"), &["No circle among the waits of"]);
    has(&on("all idle (10, x64)", "!analyze"), &["IDLE", "NO_HANG"]);
}

fn signed(dump: &dump::Dump, symbols: &[SymFile]) -> Option<Signature> {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), symbols).unwrap();
    let symbol_path = folder.path().display().to_string();
    let config = SymbolConfig { symbol_path, offline: true, ..SymbolConfig::default() };
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), config);
    let facts = target.facts(&Cancel::default());
    let facts = Case { target: &target, facts: &facts };
    signature(&facts, &verdict(&run_rules(&facts).findings))
}

#[test]
fn signatures_name_the_cause_and_nothing_that_changes() {
    for (name, expected) in [
        (
            "heap corruption (10, x64)",
            "crash:STATUS_HEAP_CORRUPTION|ntdll!RtlpFreeHeapInternal|ntdll!RtlFreeHeap|ucrtbase!_free_base|server!release_buffer",
        ),
        ("fail-fast (10, x64)", "crash:STATUS_STACK_BUFFER_OVERRUN|server!panic_abort"),
        ("deadlock of two locks (10, x64)", "hang:deadlock|server!audit|server!move_money"),
        ("orphaned lock (7, x86)", "hang:orphaned_lock|server!Catalog::walk_tree|gone"),
        ("contended lock (11, x64)", "hang:lock_contention|server!Catalog::lookup|server!Catalog::fetch"),
        ("spinning thread (10, x64)", "hang:busy_loop|server!Table::find|running"),
        ("event never set (10, x64)", "hang:waiting|server!wait_until_ready|event"),
    ] {
        let s = scenario(name);
        let signature = signed(&s.dump, &s.symbols).unwrap();
        assert_eq!(signature.text, expected, "{:#?}", signature.trace);
        assert!(signature.version > 0 && !signature.trace.is_empty());
    }
    let idle = scenario("all idle (10, x64)");
    assert_eq!(signed(&idle.dump, &idle.symbols), None);
    // The same cause on every era of Windows.
    let mut texts: Vec<String> = scenarios::all()
        .iter()
        .filter(|s| s.name.starts_with("orphaned lock"))
        .filter_map(|s| signed(&s.dump, &s.symbols))
        .map(|s| s.text)
        .collect();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
}

#[test]
fn an_rpc_call_has_its_interface_and_procedure() {
    let text = on("remote procedure call (10, x64)", "!waits -v");
    has(&text, &["interface {71717171-7171-7171-7171-717171717171}, procedure 17"]);
    // One thread alone.
    let one = on("remote procedure call (10, x64)", "!waits ~1");
    assert!(one.contains("1114") && !one.contains("1110"), "{one}");
    has(&on("remote procedure call (10, x64)", "!waits ~~[1110]"), &["1110"]);
    has(&on("remote procedure call (10, x64)", "!waits 1110"), &["1110"]);
    // A prefix does the same, and without -v every thread has one line.
    assert_eq!(on("remote procedure call (10, x64)", "~1 !waits"), one);
    assert_eq!(one.lines().count(), 1, "{one}");
    let all = on("remote procedure call (10, x64)", "!waits");
    assert!(all.lines().count() < text.lines().count() && !all.contains("it is in "), "{all}");
    assert_eq!(on("remote procedure call (10, x64)", "~* !waits"), all);
    assert_eq!(
        on("remote procedure call (10, x64)", "!waits ~1 -v"),
        on("remote procedure call (10, x64)", "~1 !waits -v")
    );
}

#[test]
fn locks_in_the_heap_are_shown_with_their_source() {
    let name = "lock that only the heap names (8.1, x64)";
    has(
        &on(name, "!locks -v"),
        &["Found in           the heap", "Waiting threads    1114", "LockCount          1"],
    );
    has(
        &on(name, "!waits -v"),
        &["which thread 1110 (number 2) holds [strong]", "the only lock that counts waiting threads"],
    );
    has(
        &on("one-time initialization that waits (7, x64)", "!waits"),
        &[
            "waits for the one-time initialization at",
            "which thread 1110",
            "2 threads wait for the one-time initialization or keyed event at ",
            ": 1114, 1118",
        ],
    );
}

#[test]
fn cs_has_windbgs_flags_and_says_what_a_dump_lacks() {
    let name = "contended lock (7, x64)";
    let text = on(name, "!cs -l -o -s");
    has(
        &text,
        &[
            "LOCKED",
            "Stack trace for DebugInfo = 0x",
            "No stack trace saved: the stack trace database was off for this process. `gflags /i server.exe +ust`",
            "OwningThread DbgId = ~2s",
            "OwningThread Stack =",
            "server!Catalog::fetch",
        ],
    );
    assert!(!text.contains("NOT LOCKED"), "{text}");
    let s = scenario(name);
    let mut session = session_with_symbols((s.dump, s.symbols)).session;
    let answer = |session: &mut Session, line: &str| {
        let mut out = Vec::new();
        run_line(session, line, &mut TextSink::new(&mut out, false));
        String::from_utf8(out).unwrap()
    };
    has(
        &answer(&mut session, "!cs -t"),
        &["Application Verifier", "It was off for this process", "`!deadlock`"],
    );
    for (unknown, near) in [
        ("!locktree", "!locks"),
        ("!critlist", "!locks"),
        ("!mutex", "!waits"),
        ("!waitchain", "!waits"),
        ("!wct", "!waits"),
    ] {
        has(&answer(&mut session, unknown), &[&format!("{unknown} is not built in. `{near}`")]);
    }
    for (slip, near) in [("!lock", "!locks"), ("!deadlocks", "!deadlock")] {
        has(&answer(&mut session, slip), &[&format!("Did you mean {near}?")]);
    }
    for unknown in ["!foo", "!threadpool"] {
        assert!(!answer(&mut session, unknown).contains("Did you mean"), "{unknown}");
    }
}

#[test]
fn the_head_of_ntdlls_list_is_found_by_its_name() {
    let mut s = scenario("all idle (10, x64)");
    let ntdll = s.symbols.iter_mut().find(|f| f.debug_file == "ntdll.pdb").unwrap();
    let base = s.dump.modules.iter().find(|m| m.path.ends_with("ntdll.dll")).unwrap().base;
    // Without ntdll's own locks nothing else leads into the list.
    s.dump.space.drop_bytes(base + 0x6_0200, 0x100);
    let listed = |symbols: &[SymFile]| {
        let mut opened = session_with_symbols((s.dump.clone(), symbols.to_vec()));
        let text = run(&mut opened.session, "!locks -v");
        assert!(text.contains("NOT LOCKED"), "{text}");
        !text.contains("Found in           the heap")
    };
    ntdll.text.push_str("PUBLIC 60108 0 RtlCriticalSectionList\n");
    let with = s.symbols.clone();
    assert!(listed(&with));
    assert!(!listed(&[]));
}

#[test]
fn com_shows_one_thread_too() {
    let s =
        scenarios::all().into_iter().find(|s| s.name.starts_with("COM call that the server tells (10, x64"));
    let s = s.unwrap();
    let mut session = session_with_symbols((s.dump, s.symbols)).session;
    let all = run(&mut session, "!com");
    let one = run(&mut session, "~~[1114] !com");
    assert!(all.contains(":1110") && all.contains(":1114") && all.starts_with("Apartments: "), "{all}");
    assert!(!one.contains(":1110") && one.contains(":1114") && !one.contains("Apartments: "), "{one}");
    assert!(all.contains(&one), "{one}\nis not in\n{all}");
    assert_eq!(run(&mut session, "!com 1114"), one);
    assert_eq!(run(&mut session, "~* !com"), all);
}

#[test]
fn wines_locks_say_that_they_count_upwards() {
    for name in ["orphaned lock (wine, x86)", "orphaned lock (wine, x64)"] {
        let counted = "(counted upwards, as before Windows Vista and under Wine)";
        has(&on(name, "!locks"), &["WaiterWoken        unknown: LockCount ", counted]);
        has(&on(name, "!waits -v"), &["the lock's words: LockCount ", counted]);
    }
    let text = on("orphaned lock (10, x64)", "!analyze -v");
    has(&text, &["and no thread times and no thread block (TEB) of it are in the dump either"]);
    assert!(!text.contains("counted upwards"), "{text}");
}

#[test]
fn the_labs_locks_under_wine() {
    let Some(shared) = crate::core_common::shared_or_skip("the_labs_locks_under_wine") else {
        return;
    };
    let dump = Dump::open(&shared.join("lab/wmiprvse-x64.dmp.zst")).unwrap();
    let mut session =
        Session::new("a.dmp".into(), std::sync::Arc::new(Target::new(dump, SymbolConfig::default())));
    let text = run(&mut session, "!cs -s");
    has(&text, &["No stack trace saved: Wine, under which this process ran"]);
    assert!(!text.contains("entry "), "{text}");
    // Wine keeps the TEB of the last thread that ended: nothing is said of it.
    let ended =
        "the complete list of 4 threads has no thread 118, and no thread times of it are in the dump either";
    has(&run(&mut session, "!analyze -v"), &[ended]);
    let facts = session.target.facts(&Cancel::default());
    let facts = Case { target: &session.target, facts: &facts };
    let of_locks: Vec<_> = facts.threads.iter().filter_map(|t| t.wait.as_ref()).collect();
    assert_eq!(of_locks.len(), 3);
    assert!(of_locks.iter().all(|w| w.timeout.is_none()), "{of_locks:#?}");
}
