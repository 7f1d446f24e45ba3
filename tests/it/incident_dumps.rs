//! Several dumps together: one chain across processes, or none.

use dumpscope_engine::batch::{TriageOptions, triage};
use dumpscope_engine::document::{Confidence, Document, FindingKind, FindingRow, IncidentRow};
use dumpscope_fixtures::{article, dump, scenarios};
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;

fn batch(paths: &[PathBuf], symbols: &str, jobs: usize) -> Document {
    let symbols = SymbolConfig { symbol_path: symbols.into(), offline: true, ..SymbolConfig::default() };
    triage(paths, &TriageOptions { symbols, jobs, ..TriageOptions::default() }, &|_| {})
}

fn steps(i: &IncidentRow) -> Vec<(u32, u32)> {
    i.chain.iter().map(|l| (l.pid.unwrap(), l.tid.unwrap())).collect()
}

#[test]
fn the_lab_pair_is_one_incident_with_and_without_symbols() {
    let Some(shared) = crate::core_common::shared_or_skip("the_lab_pair_is_one_incident") else { return };
    let lab = shared.join("lab");
    let pdbs = format!("{0}/symbols/x86;{0}/symbols/x64", lab.display());
    let pair = [lab.join("ruby-x86.dmp.zst"), lab.join("wmiprvse-x64.dmp.zst")];
    for symbols in ["", pdbs.as_str()] {
        let document = batch(&pair, symbols, 2);
        let incidents = document.incidents.as_ref().unwrap();
        assert_eq!(incidents.len(), 1, "{incidents:#?}");
        let i = &incidents[0];
        assert_eq!(steps(i), [(0x20, 0x24), (0x110, 0x11c)]);
        assert_eq!(i.paths.len(), 2);
        assert!(i.paths[0].contains("ruby"), "the symptom first");
        assert!(i.root_cause.contains("11c") && i.root_cause.contains("118"), "{}", i.root_cause);
        assert!(i.root_cause.contains("WmiPrvSE.exe"), "{}", i.root_cause);
        assert_eq!(i.missing_dumps, [0_u32; 0]);
        // Three threads are blocked there, and nothing says which one serves the call.
        assert_eq!(i.confidence, Confidence::Guess);
        assert_eq!(i.also_found.len(), 1, "{:?}", i.also_found);
        assert!(
            i.also_found[0].contains("a separate deadlock (proven): threads 120, 124"),
            "{:?}",
            i.also_found
        );
        // Nobody needs a dump that is there.
        let told = |f: &FindingRow| f.advice.clone().filter(|_| f.server_pid.is_some());
        let ruby = document.dumps.iter().find(|d| d.path.contains("ruby")).unwrap();
        let advice: Vec<String> = i
            .findings
            .iter()
            .chain(ruby.findings.iter().flatten())
            .chain(&ruby.verdict)
            .filter_map(told)
            .collect();
        assert_eq!(advice.len(), 3);
        assert!(
            advice.iter().all(|a| a.ends_with("the incident ends at WmiPrvSE.exe 110, thread 11c")),
            "{advice:?}"
        );
        let deadlock = i.findings.iter().find(|f| f.kind == FindingKind::Deadlock).unwrap();
        assert_eq!(deadlock.tids, [0x120, 0x124]);
        let mut kinds: Vec<&str> = i.findings.iter().map(|f| kind(f.kind)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds, ["blocked_on_process", "deadlock", "orphaned_lock"], "and nothing else");
        // The order of the files changes nothing but the order of the rows.
        let other = [pair[1].clone(), pair[0].clone()];
        assert_eq!(batch(&other, symbols, 1).incidents, document.incidents);
    }
}

fn kind(k: FindingKind) -> &'static str {
    match k {
        FindingKind::BlockedOnProcess => "blocked_on_process",
        FindingKind::Deadlock => "deadlock",
        FindingKind::OrphanedLock => "orphaned_lock",
        _ => "other",
    }
}

fn folder(dumps: &[(&str, &dump::Dump)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let write = |(name, d): &(&str, &dump::Dump)| {
        let path = folder.path().join(name);
        std::fs::write(&path, d.bytes()).unwrap();
        path
    };
    let paths = dumps.iter().map(write).collect();
    (folder, paths)
}

#[test]
fn the_articles_dumps_are_two_cases() {
    let (ruby, wmi) = (article::ruby_x86().0, article::wmiprvse_x86().0);
    let (_folder, paths) = folder(&[("ruby.dmp", &ruby), ("wmi.dmp", &wmi)]);
    let document = batch(&paths, "", 0);
    let incidents = document.incidents.as_ref().unwrap();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].paths, [document.dumps[0].path.clone()], "no edge between them");
    assert_eq!(incidents[0].missing_dumps, [780]);
    assert_eq!(steps(&incidents[0]), [(0x90c, 0x734)]);
    assert!(incidents[0].root_cause.contains("30c"));
    // The same bytes whatever the number of jobs.
    let json = |d: &Document| serde_json::to_string(d).unwrap();
    assert_eq!(json(&document), json(&batch(&paths, "", 1)));
}

#[test]
fn equal_pids_on_two_machines_are_no_incident() {
    let (ruby, mut other) = (article::ruby_x86().0, article::wmiprvse_x86().0);
    // WmiPrvSE of another machine, with the pid that ruby waits for.
    other.misc.as_mut().unwrap().pid = 780;
    let (_folder, paths) = folder(&[("ruby.dmp", &ruby), ("wmi.dmp", &other)]);
    let document = batch(&paths, "", 0);
    assert_eq!(document.dumps[1].process.as_ref().unwrap().pid, Some(780));
    assert_eq!(document.incidents, Some(Vec::new()));
}

/// Two dumps of one process, ten seconds apart: what stood still hangs, what used the time spins.
#[test]
fn two_dumps_of_one_process_tell_a_hang_from_a_loop() {
    let later = |name: &str, busy: Option<u32>| {
        let first = dumpscope_fixtures::scenarios::all().into_iter().find(|s| s.name == name).unwrap().dump;
        let mut second = first.clone();
        second.time += 10;
        for t in second.threads.iter_mut().filter(|t| Some(t.tid) == busy) {
            t.info.as_mut().unwrap().user += 98_000_000;
        }
        (first, second)
    };
    for (name, busy, progress, tid) in [
        ("deadlock of two locks (10, x64)", None, "hang", Some(0x1110)),
        // CPU time alone does not end a circle.
        ("deadlock of two locks (10, x64)", Some(0x1110), "hang", Some(0x1110)),
        ("spinning thread (10, x64)", Some(0x1110), "spinning", Some(0x1110)),
        ("event never set (10, x64)", None, "hang", Some(0x1110)),
        ("all idle (10, x64)", None, "idle", None),
    ] {
        let (first, second) = later(name, busy);
        // The later one first: the times in the dumps decide.
        let (_folder, paths) = folder(&[("b.dmp", &second), ("a.dmp", &first)]);
        let d = dumpscope_engine::diff::diff(&paths, &TriageOptions::default()).unwrap();
        assert_eq!((d.progress.as_str(), d.tid, d.seconds), (progress, tid, 10), "{name}: {}", d.summary);
        assert!(d.paths[0].ends_with("a.dmp"), "{name}");
    }
}

/// Three dumps (`procdump -n 3 -s 10`): threads and handles that come and go, and a file that was cut off.
#[test]
fn three_dumps_of_one_process() {
    let all = dumpscope_fixtures::scenarios::all();
    let first = all.into_iter().find(|s| s.name == "deadlock of two locks (10, x64)").unwrap().dump;
    let (mut second, mut third) = (first.clone(), first.clone());
    second.time += 10;
    third.time += 20;
    let gone = first.threads.iter().map(|t| t.tid).find(|t| ![0x1110, 0x1114].contains(t)).unwrap();
    third.threads.retain(|t| t.tid != gone);
    third.handles.get_or_insert_default().push(dump::Handle::new(0x7ff0, "Key", Vec::new()));
    let (_folder, paths) = folder(&[("c.dmp", &third), ("a.dmp", &first), ("b.dmp", &second)]);
    let compare = || dumpscope_engine::diff::diff(&paths, &TriageOptions::default()).unwrap();
    let d = compare();
    assert_eq!((d.progress.as_str(), d.seconds, d.paths.len()), ("hang", 20, 3));
    let state = |tid: u32| d.threads.iter().find(|t| t.tid == tid).unwrap().state.clone();
    assert_eq!((state(0x1110), state(0x1114), state(gone)), ("stuck".into(), "stuck".into(), "gone".into()));
    assert_eq!((d.handles_opened, d.handles_closed), (Some(1), Some(0)));
    assert_eq!((d.handle_types.len(), d.handle_types[0].counts.clone()), (1, vec![0, 0, 1]));
    assert_eq!(d.warnings, [""; 0]);
    // The end of the file is memory.
    let bytes = std::fs::read(&paths[0]).unwrap();
    std::fs::write(&paths[0], &bytes[..bytes.len() - 0x80]).unwrap();
    let d = compare();
    assert_eq!(d.progress, "hang");
    assert!(d.warnings[0].contains("c.dmp: the file is cut off"), "{:?}", d.warnings);
    let mut text = String::new();
    dumpscope_engine::diff::diff_lines(&d, &mut |line| text.push_str(&(line.to_text() + "\n")));
    println!("{text}");
    assert!(text.contains("(1 new, 0 gone)") && text.contains("  warning: "), "{text}");
}

/// Every case of several processes: the chain, how sure it is, and what it says; the table is printed.
#[test]
fn hangs_over_several_processes() {
    let mut table = String::new();
    let mut wrong = 0;
    for case in scenarios::several() {
        let named: Vec<(&str, &dump::Dump)> = case.dumps.iter().map(|(n, d)| (*n, d)).collect();
        let (_folder, mut paths) = folder(&named);
        let document = batch(&paths, "", 1);
        // The order of the files does not matter.
        paths.reverse();
        let reversed = batch(&paths, "", 2).incidents.unwrap();
        let incidents = document.incidents.unwrap();
        let mut bad: Vec<String> = Vec::new();
        if reversed != incidents {
            bad.push("the order of the files changes the answer".into());
        }
        match incidents.as_slice() {
            [] if case.steps.is_empty() => {}
            [i] => {
                let sure = serde_json::to_value(i.confidence).unwrap();
                if steps(i) != case.steps || sure != case.confidence || i.missing_dumps != case.missing {
                    bad.push(format!("{:x?}, {sure}, missing {:x?}", steps(i), i.missing_dumps));
                }
                let all: Vec<&str> = std::iter::once(&i.root_cause)
                    .chain(i.chain.iter().flat_map(|l| l.reached_by.iter()))
                    .map(String::as_str)
                    .collect();
                if !all.iter().any(|t| t.contains(case.says)) {
                    bad.push(format!("does not say {:?}: {all:#?}", case.says));
                }
            }
            many => bad.push(format!("{} incidents", many.len())),
        }
        wrong += usize::from(!bad.is_empty());
        let says = if bad.is_empty() { "ok".into() } else { format!("WRONG: {}", bad.join("; ")) };
        table.push_str(&format!("{:55} {:7} {says}\n", case.name, case.confidence));
    }
    println!("{table}");
    assert_eq!(wrong, 0, "\n{table}");
}
