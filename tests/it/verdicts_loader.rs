//! What is said of threads that hold the loader, and of a process that ends: sentences, evidence, JSON.

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, Reason};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::Tid;
use dumpscope_core::model::Dump;
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_symbols::SymbolConfig;

fn scenario(name: &str) -> Scenario {
    scenarios::all().into_iter().find(|s| s.name == name).unwrap()
}

/// Without symbols.
fn target(s: &Scenario) -> Target {
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    Target::new(Dump::from_bytes(s.dump.bytes()).unwrap(), config)
}

#[test]
fn entry_points_are_certain_without_symbols() {
    let reasons = [
        ("loader lock in DllMain (7, x86)", Reason::ProcessAttach),
        ("loader lock in DllMain (7, wow64)", Reason::ProcessAttach),
        ("loader lock in DllMain (10, x64)", Reason::ProcessAttach),
        ("join in DllMain of FreeLibrary (10, x64)", Reason::ProcessDetach),
        ("wait in a TLS callback (11, x64)", Reason::ThreadDetach),
        ("event at exit (10, wow64)", Reason::ProcessDetach),
    ];
    for (name, reason) in reasons {
        let s = scenario(name);
        let target = target(&s);
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let thread = facts.thread(Tid(0x1110)).unwrap();
        let d = thread.dll_main.as_ref().unwrap();
        assert_eq!(
            (d.module.as_str(), d.reason, d.confidence),
            ("plugin.dll", Some(reason), Confidence::Proven),
            "{name}"
        );
        assert!(
            d.evidence.iter().any(|e| e.contains("called with the DLL's base")),
            "{name}: {:?}",
            d.evidence
        );
        let says = &thread.activity.as_ref().unwrap().text;
        assert!(says.contains(&d.words()) && says.contains(" and waits for "), "{says}");
        // One thread waits for the loader: two sources and more say who has it.
        for t in facts.threads.iter().filter(|t| t.tid.0 > 0x1110) {
            let wait = t.wait.as_ref().unwrap();
            assert_eq!((wait.owner_tid, wait.confidence), (Some(Tid(0x1110)), Confidence::Proven), "{name}");
        }
    }
}

#[test]
fn a_dll_on_a_dead_share_is_named() {
    for (name, waits) in [
        ("DLL on a dead share (10, x64)", "opens a file"),
        ("DLL on a dead share (10, x86)", "opens a file"),
        (
            "DLL on a dead share, mapped by a worker (10, x64)",
            "waits for the loader's worker, thread 1120 (number 3)",
        ),
    ] {
        let s = scenario(name);
        let target = target(&s);
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let says = &facts.thread(Tid(0x1110)).unwrap().activity.as_ref().unwrap().text;
        assert_eq!(*says, format!(r#"loads "\\files\plugins\codec.dll" and {waits}"#));
        let v = verdict(&run_rules(&facts).findings);
        assert!(v.summary.contains("codec.dll"), "{}", v.summary);
    }
}

#[test]
fn the_end_of_the_process_explains_an_orphan_and_a_lost_event() {
    for (name, advice) in [
        ("orphan at exit (7, x86)", "ExitProcess ended thread 2f84 while it held this lock"),
        ("event at exit (10, x64)", "ExitProcess ended all other threads before thread 1110 began to wait"),
    ] {
        let s = scenario(name);
        let target = target(&s);
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let exit = facts.exit.as_ref().unwrap();
        assert!(exit.others_ended && exit.confidence == Confidence::Proven, "{exit:?}");
        assert!(facts.thread(Tid(0x1110)).unwrap().is_main);
        let v = verdict(&run_rules(&facts).findings);
        assert!(v.advice.as_ref().unwrap().starts_with(advice), "{:?}", v.advice);
        assert!(v.evidence.iter().any(|e| e.contains("ShutdownThreadId")), "{:?}", v.evidence);
    }
    // Before the others are ended, nothing is lost yet.
    let s = scenario("exit behind a DllMain (10, x64)");
    let target = target(&s);
    let facts = target.facts(&Cancel::default());
    let facts = Case { target: &target, facts: &facts };
    assert!(!facts.exit.as_ref().unwrap().others_ended);
    let says = &facts.thread(Tid(0x1100)).unwrap().activity.as_ref().unwrap().text;
    assert_eq!(says, "ends the process and waits for the loader, which thread 1110 (number 1) owns");
}

#[test]
fn where_a_thread_starts_is_no_dll_main() {
    // Here the function that threads start in is also the entry point that kernel32 names.
    for name in ["loader lock in DllMain (11, x64)", "COM call to another process (11, x64)"] {
        let s = scenario(name);
        let target = target(&s);
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let loader = target.dump.loader(target.process_machine()).unwrap();
        let is_kernel32 = |n: &String| n.eq_ignore_ascii_case("kernel32.dll");
        let kernel32 = loader.entries.iter().find(|e| e.base_name.as_ref().is_some_and(is_kernel32));
        let entry = kernel32.unwrap().entry_point;
        let starts = |t: &dumpscope_analyzers::model::ThreadFacts| {
            let outermost = t.stack.as_ref().unwrap().physical().map(|f| f.frame.ip).collect::<Vec<_>>();
            outermost.iter().rev().take(2).any(|ip| ip.distance_from(entry).is_some_and(|d| d < 0x40))
        };
        assert!(facts.threads.iter().any(starts), "{name}");
        let inside = facts.threads.iter().filter_map(|t| t.dll_main.as_ref());
        assert!(inside.into_iter().all(|d| d.module == "plugin.dll"), "{name}");
    }
}
