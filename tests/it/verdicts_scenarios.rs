//! Hangs and crashes with known truth: every verdict, culprit, owner, waiter and edge, with and without symbols.

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, Finding, ThreadFacts};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_fixtures::symfile::write_folder;
use dumpscope_symbols::SymbolConfig;
use std::fmt::Write as _;

/// What is wrong with the answer on one scenario.
fn wrong(s: &Scenario, facts: &Case<'_>, v: &Finding) -> Vec<String> {
    let truth = &s.truth;
    let mut out = Vec::new();
    let tid = v.tid.map(|t| t.0);
    if v.kind.name() != truth.kind {
        out.push(format!("kind {}, not {}", v.kind.name(), truth.kind));
    }
    let class = truth.class.unwrap_or(truth.kind);
    if v.class.name() != class {
        out.push(format!("class {}, not {class}", v.class.name()));
    }
    if truth.tid.is_some() && tid != truth.tid && tid.is_none_or(|t| !truth.or_tids.contains(&t)) {
        out.push(format!("culprit {tid:x?}, not {:x?} or {:x?}", truth.tid, truth.or_tids));
    }
    if truth.lock.is_some() && v.lock.map(|l| l.0) != truth.lock {
        out.push(format!("lock {:x?}, not {:x?}", v.lock, truth.lock));
    }
    if truth.owner_tid.is_some() && v.owner_tid.map(|t| t.0) != truth.owner_tid {
        out.push(format!("owner {:x?}, not {:x?}", v.owner_tid, truth.owner_tid));
    }
    if truth.server_pid.is_some() && v.server_pid.map(|p| p.0) != truth.server_pid {
        out.push(format!("server {:x?}, not {:x?}", v.server_pid, truth.server_pid));
    }
    if !truth.cycle.is_empty() {
        let mut members: Vec<u32> = v.tids.iter().map(|t| t.0).collect();
        members.sort_unstable();
        if members != truth.cycle {
            out.push(format!("circle {members:x?}, not {:x?}", truth.cycle));
        }
    }
    let serving: Vec<(u32, u32, Option<u32>)> = facts
        .threads
        .iter()
        .filter_map(|t| {
            let i = t.com.as_ref()?.incoming.as_ref()?;
            Some((t.tid.0, i.pid.0, i.tid.map(|t| t.0)))
        })
        .collect();
    if serving != truth.serving {
        out.push(format!("serving {serving:x?}, not {:x?}", truth.serving));
    }
    for t in &truth.locks {
        let got = if t.kind == "critical_section" {
            facts.locks.at(dumpscope_core::Va(t.address)).map(|l| {
                let owner = format!("{:?}", l.owner).to_lowercase();
                let waiters: Vec<u32> = l.waiters.iter().map(|t| t.0).collect();
                let s = &l.section;
                (s.owner_tid().map(|t| t.0), owner, waiters, s.recursion, s.lock_count)
            })
        } else {
            let slim = facts.locks.slim.iter().find(|l| l.address.0 == t.address && l.kind.name() == t.kind);
            slim.map(|l| (None, "unknown".into(), l.waiters.iter().map(|t| t.0).collect(), 0, 0))
        };
        let want = (t.owner_tid, t.owner.to_owned(), t.waiters.clone(), t.recursion, t.lock_count);
        if got.as_ref() != Some(&want) {
            out.push(format!("lock {:x} is {got:x?}, not {want:x?}", t.address));
        }
    }
    let told = |t: &ThreadFacts| Some((t.tid.0, t.dll_main.as_ref()?.words()));
    let inside: Vec<_> = facts.threads.iter().filter_map(told).collect();
    if inside != truth.dll_mains {
        out.push(format!("in entry points {inside:x?}, not {:x?}", truth.dll_mains));
    }
    if facts.exit.as_ref().map(|e| e.tid.0) != truth.exit_tid {
        out.push(format!("exit {:x?}, not {:x?}", facts.exit, truth.exit_tid));
    }
    let names_dll = v.advice.as_ref().is_some_and(|a| a.contains("plugin.dll"));
    if !truth.dll_mains.is_empty() && ["deadlock", "lock_contention"].contains(&truth.kind) && !names_dll {
        out.push(format!("the advice does not name the DLL: {:?}", v.advice));
    }
    for (tid, kind) in &truth.waits {
        let thread = facts.thread(dumpscope_core::Tid(*tid));
        let got = thread.and_then(|t| t.wait.as_ref()).map(|w| w.kind.name());
        if got != Some(*kind) {
            out.push(format!("thread {tid:x} waits for {got:?}, not {kind}"));
        }
    }
    out
}

/// Edges within the process that are called proven: how many, and which are wrong.
fn proven_edges(s: &Scenario, target: &Target, facts: &Case<'_>) -> (usize, Vec<String>) {
    let mut n = 0;
    let mut out = Vec::new();
    for t in &facts.threads {
        let Some(w) = t.wait.as_ref().filter(|w| w.confidence == Confidence::Proven) else { continue };
        let inside = w.owner_pid.is_none_or(|p| Some(p) == target.dump.pid());
        let Some(to) = w.owner_tid.filter(|to| inside && facts.thread(*to).is_some()) else { continue };
        n += 1;
        if !s.truth.edges.contains(&(t.tid.0, to.0)) {
            out.push(format!("proven edge {:x} -> {:x} is wrong", t.tid.0, to.0));
        }
    }
    (n, out)
}

#[test]
fn every_scenario_gets_the_right_verdict() {
    let all = scenarios::all();
    let mut table = String::new();
    let (mut right, mut rows, mut edges) = (0, 0, 0);
    let mut missing_edges = 0;
    for s in &all {
        for symbols in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut config = SymbolConfig { offline: true, ..SymbolConfig::default() };
            if symbols {
                write_folder(folder.path(), &s.symbols).unwrap();
                config.symbol_path = folder.path().display().to_string();
            }
            let target = Target::new(Dump::from_bytes(s.dump.bytes()).unwrap(), config);
            let facts = target.facts(&Cancel::default());
            let facts = Case { target: &target, facts: &facts };
            let v = verdict(&run_rules(&facts).findings);
            let mut bad = wrong(s, &facts, &v);
            let (n, wrong_edges) = proven_edges(s, &target, &facts);
            bad.extend(wrong_edges);
            edges += n;
            rows += 1;
            for (from, to) in &s.truth.edges {
                let w = facts.thread(dumpscope_core::Tid(*from)).and_then(|t| t.wait.as_ref());
                missing_edges += usize::from(w.and_then(|w| w.owner_tid).map(|t| t.0) != Some(*to));
            }
            right += usize::from(bad.is_empty());
            let tid = v.tid.map_or("-".into(), |t| format!("{:x}", t.0));
            let with = if symbols { "symbols" } else { "" };
            let _ = write!(
                table,
                "{:44} {with:8} {:19} {tid:>6} {:8}",
                s.name,
                v.kind.name(),
                v.confidence.name()
            );
            let _ = match bad.is_empty() {
                true => writeln!(table, "ok"),
                false => writeln!(table, "WRONG: {}", bad.join("; ")),
            };
        }
    }
    println!("{table}{right} of {rows} right, {edges} proven edges, {missing_edges} true edges not found");
    assert!(rows > 100, "too few scenarios");
    assert_eq!(right, rows, "\n{table}");
    assert_eq!(missing_edges, 0, "\n{table}");
}

/// A small dump knows less; it must not claim something else.
#[test]
fn small_dumps_of_every_scenario_claim_nothing_wrong() {
    let mut table = String::new();
    let (mut rows, mut same, mut named, mut waits, mut bad_rows) = (0, 0, 0, 0, 0);
    for s in &scenarios::all() {
        let target = Target::new(
            Dump::from_bytes(s.dump.small().bytes()).unwrap(),
            SymbolConfig { offline: true, ..SymbolConfig::default() },
        );
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let v = verdict(&run_rules(&facts).findings);
        rows += 1;
        same += usize::from(v.kind.name() == s.truth.kind);
        let (_, mut bad) = proven_edges(s, &target, &facts);
        // Seen without the lock, an owner that spins is a thread that spins.
        let culprit = s.truth.tid.is_some() && v.tid.map(|t| t.0) == s.truth.tid;
        let also = v.tid.is_some_and(|t| s.truth.also.contains(&(v.kind.name(), t.0)));
        if !culprit && !also && ![s.truth.kind, "waiting", "unknown"].contains(&v.kind.name()) {
            bad.push(format!("kind {}, not {}", v.kind.name(), s.truth.kind));
        }
        if v.confidence == Confidence::Proven && v.kind.name() == s.truth.kind {
            bad.extend(wrong(s, &facts, &v).into_iter().filter(|w| w.starts_with("culprit")));
        }
        for (tid, kind) in &s.truth.waits {
            waits += 1;
            let wait = facts.thread(dumpscope_core::Tid(*tid)).and_then(|t| t.wait.as_ref());
            named += usize::from(wait.is_some_and(|w| w.kind.name() == *kind));
        }
        bad_rows += usize::from(!bad.is_empty());
        let _ = writeln!(
            table,
            "{:44} {:19} {:19} {}",
            s.name,
            s.truth.kind,
            v.kind.name(),
            if bad.is_empty() { "ok".to_owned() } else { format!("WRONG: {}", bad.join("; ")) }
        );
    }
    println!(
        "{table}{same} of {rows} the same verdict, {named} of {waits} waits the same kind, {bad_rows} wrong"
    );
    assert_eq!(bad_rows, 0, "\n{table}");
}

/// A dump's writer may leave threads out of the list: their thread blocks (TEBs) are still in memory.
#[test]
fn an_owner_with_a_thread_block_is_not_gone() {
    for (name, wide) in [("orphaned lock (10, x64)", true), ("orphaned lock (10, x86)", false)] {
        let s = scenarios::all().into_iter().find(|s| s.name == name).unwrap();
        let dead = s.truth.owner_tid.unwrap();
        let verdict_with = |tid: Option<u32>, stack: bool| {
            let mut dump = s.dump.clone();
            let (teb, top) = (dump.threads[0].teb + 0x10_0000, 0x1_0000_u64);
            if let Some(tid) = tid {
                dump.space.commit(teb, 0x2000);
                // StackBase, Self, ClientId
                for (x64, x86, v) in [
                    (8, 4, top),
                    (0x30, 0x18, teb),
                    (0x40, 0x20, u64::from(dump.misc.as_ref().unwrap().pid)),
                    (0x48, 0x24, u64::from(tid)),
                ] {
                    dump.space.put_ptr(wide, teb + if wide { x64 } else { x86 }, v);
                }
            }
            if stack {
                dump.space.commit(top - 0x1000, 0x1000);
                dump.space.fill(top - 0x1000, 0x1000, 0);
            }
            let target = Target::new(
                Dump::from_bytes(dump.bytes()).unwrap(),
                SymbolConfig { offline: true, ..SymbolConfig::default() },
            );
            let facts = target.facts(&Cancel::default());
            let facts = Case { target: &target, facts: &facts };
            let lock = facts.locks.at(dumpscope_core::Va(s.truth.lock.unwrap())).unwrap();
            (lock.owner, verdict(&run_rules(&facts).findings).kind)
        };
        use dumpscope_analyzers::model::{FindingKind, OwnerState};
        let gone = (OwnerState::Missing, FindingKind::OrphanedLock);
        assert_eq!(verdict_with(None, false), gone, "{name}");
        // Another thread's block, or one whose stack is gone, says nothing.
        assert_eq!(verdict_with(Some(dead + 4), true), gone, "{name}");
        assert_eq!(verdict_with(Some(dead), false), gone, "{name}");
        let (owner, kind) = verdict_with(Some(dead), true);
        assert_eq!(owner, OwnerState::Unknown, "{name}");
        assert_ne!(kind, FindingKind::OrphanedLock, "{name}");
    }
}
