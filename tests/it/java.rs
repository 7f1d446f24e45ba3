//! Java through the program: `!jstack` against the JDK's own, machine frames through compiled code, verdicts.

use crate::lang_session::run;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::Session;
use dumpscope_engine::batch::{TriageOptions, triage};
use dumpscope_engine::document::{Confidence, DumpRow, FindingKind, ThreadRow, TrustName};
use dumpscope_symbols::SymbolConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn config() -> SymbolConfig {
    SymbolConfig { offline: true, ..SymbolConfig::default() }
}

/// Dumps and what jstack said; `None` without the shared folder.
fn cases(test: &str) -> Option<Vec<(String, PathBuf, String)>> {
    crate::core_common::shared_or_skip(test)?;
    let (dumps, truth) = dumpscope_tests::java_dumps()?;
    let mut out: Vec<_> = std::fs::read_dir(dumps)
        .unwrap()
        .filter_map(|e| {
            let path = e.unwrap().path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let text = std::fs::read_to_string(truth.join(&name).join("jstack.txt")).ok()?;
            Some((name, path, text))
        })
        .collect();
    out.sort();
    Some(out)
}

/// Threads by name with their lines about frames and locks; modules of the runtime are left out.
fn printed(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = None;
    for line in text.lines().take_while(|l| !l.starts_with("Found ") && !l.starts_with("Virtual threads")) {
        if let Some(rest) = line.strip_prefix('"').filter(|l| l.contains(" tid=") && l.contains(" nid=")) {
            let (n, _) = rest.rsplit_once("\" ").unwrap();
            name = Some(n.to_owned()).filter(|n| n != "truth" && !n.contains("Compiler"));
            name.iter().for_each(|n| drop(out.insert(n.clone(), Vec::new())));
            continue;
        }
        let line = line.trim();
        if line.starts_with("Locked ownable") {
            name = None;
        }
        let Some(lines) = name.as_ref().and_then(|n| out.get_mut(n)) else { continue };
        if let Some((head, place)) = line.strip_prefix("at ").and_then(|l| l.rsplit_once('(')) {
            let place = place.split_once('/').filter(|(m, _)| m.contains('.')).map_or(place, |(_, p)| p);
            lines.push(format!("{head}({place}"));
        } else if line.starts_with("- ") {
            lines.push(line.to_owned());
        }
    }
    out.retain(|_, lines| !lines.is_empty());
    out
}

fn circle(text: &str) -> BTreeSet<String> {
    let Some((_, rest)) = text.split_once("Found one Java-level deadlock:") else { return BTreeSet::new() };
    let (list, _) = rest.split_once("Java stack information").unwrap();
    let names = list.lines().filter_map(|l| l.strip_prefix('"')?.strip_suffix("\":"));
    names.map(str::to_owned).collect()
}

#[test]
fn jstack_prints_what_the_jdks_own_prints() {
    let Some(cases) = cases("jstack_prints_what_the_jdks_own_prints") else { return };
    let (mut wanted_all, mut got_all, mut right) = (0, 0, 0);
    let mut wrong = Vec::new();
    for (name, path, truth) in &cases {
        let mut session =
            Session::new(name.clone(), Arc::new(Target::new(Dump::open(path).unwrap(), config())));
        let (text, _) = run(&mut session, "!jstack");
        let (wanted, got) = (printed(truth), printed(&text));
        for (thread, lines) in &wanted {
            let mine = got.get(thread).cloned().unwrap_or_default();
            wanted_all += lines.len();
            got_all += mine.len();
            right += lines.iter().zip(&mine).filter(|(a, b)| a == b).count();
            if lines != &mine {
                wrong.push(format!("{name} {thread}\n  got {mine:#?}\n  wanted {lines:#?}"));
            }
        }
        // The JDK's circle also names threads that only wait behind it.
        let (theirs, mine) = (circle(truth), circle(&text));
        assert!(mine.is_subset(&theirs), "{name}: {mine:?} {theirs:?}");
        assert_eq!(mine.is_empty(), theirs.is_empty(), "{name}: {mine:?} {theirs:?}");
    }
    eprintln!(
        "lines of !jstack: precision {right} of {got_all}, recall {right} of {wanted_all}, {} dumps",
        cases.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rows(paths: &[PathBuf]) -> Vec<DumpRow> {
    triage(paths, &TriageOptions { symbols: config(), jobs: 2, ..TriageOptions::default() }, &|_| {}).dumps
}

fn row_of<'r>(rows: &'r [DumpRow], name: &str) -> &'r DumpRow {
    rows.iter().find(|r| Path::new(&r.path).file_stem().unwrap() == name).unwrap()
}

/// Dump, kind, class, confidence, threads by name that the verdict has, what the summary says.
type Verdict =
    (&'static str, FindingKind, &'static str, Confidence, &'static [&'static str], &'static [&'static str]);

const VERDICTS: &[Verdict] = {
    use Confidence::{Proven, Strong};
    use FindingKind::{BusyLoop, Deadlock, LockContention, Waiting};
    &[
        (
            "SyncDeadlock-17",
            Deadlock,
            "deadlock",
            Proven,
            &["payer-1", "payer-2"],
            &["SyncDeadlock$Account", "SyncDeadlock.java:11"],
        ),
        (
            "SyncDeadlock-21",
            Deadlock,
            "deadlock",
            Proven,
            &["payer-1", "payer-2"],
            &["\"payer-1\"", "\"payer-2\""],
        ),
        (
            "SyncDeadlock-25",
            Deadlock,
            "deadlock",
            Proven,
            &["payer-1", "payer-2"],
            &["SyncDeadlock.transfer"],
        ),
        ("LockDeadlock-17", Deadlock, "deadlock", Proven, &["lock-A", "lock-B"], &["ReentrantLock$FairSync"]),
        ("LockDeadlock-25", Deadlock, "deadlock", Proven, &["lock-A", "lock-B"], &["LockDeadlock.java:7"]),
        (
            "NativeBlock-25",
            Deadlock,
            "deadlock",
            Proven,
            &["main", "java-then-cs"],
            &["critical section", "monitor of java.lang.Object"],
        ),
        (
            "ReadHolding-25",
            LockContention,
            "lock_contention",
            Proven,
            &["main", "user-0", "user-1", "user-2"],
            &["ReadHolding$Cache", "socket", "SocketDispatcher.read0", "ReadHolding.java:5"],
        ),
        ("HotBlock-21", LockContention, "lock_contention", Proven, &["main", "hot-sync"], &["HotBlock.main"]),
        ("Spin-17", BusyLoop, "busy_loop", Strong, &["main"], &["\"main\"", "Spin.forever (Spin.java:7)"]),
        (
            "PoolStarve-17",
            Waiting,
            "pool_starvation",
            Strong,
            &["pool-1-thread-1", "pool-1-thread-2"],
            &["PoolStarve.outer"],
        ),
    ]
};

fn name_of(t: &ThreadRow) -> Option<&str> {
    t.script_thread.as_ref()?.name.as_deref()
}

#[test]
fn verdicts_and_machine_frames_are_those_of_the_programs() {
    let Some(cases) = cases("verdicts_and_machine_frames") else { return };
    let rows = rows(&cases.iter().map(|c| c.1.clone()).collect::<Vec<_>>());
    for (name, kind, class, sure, threads, words) in VERDICTS {
        let row = row_of(&rows, name);
        let v = row.verdict.as_ref().unwrap();
        let word = serde_json::to_value(v.class).unwrap();
        assert_eq!(
            (v.kind, word.as_str().unwrap(), v.confidence),
            (*kind, *class, *sure),
            "{name}: {}",
            v.summary
        );
        let all = row.threads.as_ref().unwrap();
        let named: BTreeSet<&str> =
            v.tids.iter().filter_map(|t| name_of(all.iter().find(|r| r.tid == *t)?)).collect();
        assert_eq!(named, threads.iter().copied().collect(), "{name}: {}", v.summary);
        words.iter().for_each(|w| assert!(v.summary.contains(w), "{name}: no {w} in {}", v.summary));
    }
    // A lock that only a virtual thread holds is no orphan.
    for row in &rows {
        let found = row.findings.as_ref().unwrap();
        assert!(found.iter().all(|f| f.kind != FindingKind::OrphanedLock), "{}", row.path);
    }
    let (mut frames, mut right) = (0, 0);
    let mut wrong = Vec::new();
    for row in &rows {
        for t in row.threads.iter().flatten() {
            let script = t.script_frames.as_deref().unwrap_or_default();
            // Of inlined methods the outermost has the machine frame.
            let own = script.iter().enumerate().filter(|(n, f)| {
                script.get(n + 1).is_none_or(|next| f.ip.0 == 0 || (next.ip, next.sp) != (f.ip, f.sp))
            });
            let own: Vec<&str> = own.map(|(_, f)| f.function.as_str()).collect();
            let machine = t.frames.iter().flatten().filter(|f| f.module.is_none());
            let machine: Vec<_> = machine.filter_map(|f| Some((f.function.as_deref()?, f.trust))).collect();
            frames += own.len();
            right += own.iter().zip(&machine).filter(|(a, b)| **a == b.0 && b.1 != TrustName::Scan).count();
            let same = own.len() == machine.len() && own.iter().zip(&machine).all(|(a, b)| *a == b.0);
            if !same {
                wrong.push(format!("{} {:x}: {own:#?}\n{machine:#?}", row.path, t.tid));
            }
        }
    }
    eprintln!("Java methods among machine frames: {right} of {frames}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn virtual_threads_have_rows_with_frames() {
    let Some(cases) = cases("virtual_threads_have_rows_with_frames") else { return };
    let path = cases.iter().find(|c| c.0 == "VPinned-25").unwrap().1.clone();
    let rows = rows(&[path]);
    let all = rows[0].script_threads.as_ref().unwrap();
    let names: Vec<_> = all.iter().map(|t| t.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["v-holder", "v-parked", "v-want-0", "v-want-1", "v-want-2"]);
    let want = &all[2].script_frames;
    assert_eq!(want[0].function, "VPinned.want");
    assert_eq!(want[0].line, Some(6));
}
