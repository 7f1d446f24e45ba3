//! Scenarios with known truth, read without symbols.

use crate::triage::{Confidence, Facts, run_rules, verdict};
use crate::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_symbols::{Limits, SymbolConfig};

fn target(s: &Scenario) -> Target {
    Target::new(Dump::from_bytes(s.dump.bytes()).unwrap(), SymbolConfig::default())
}

/// Locks: state, owner and waiters; waits: owners that are called proven; verdicts that the rules can give.
#[test]
fn scenarios() {
    const RULES: [&str; 4] = ["deadlock", "orphaned_lock", "lock_contention", "blocked_on_process"];
    // The loader's wait has no exported name: without symbols nothing tells it from any other.
    const NEEDS_SYMBOLS: [&str; 1] = ["loader lock in DllMain (10, x64)"];
    let mut wrong = Vec::new();
    let mut missed = Vec::new();
    let all = scenarios::all();
    assert!(all.len() > 30);
    for s in &all {
        let target = target(s);
        let facts = Facts::gather(&target, &Limits::default(), &Cancel::default());
        let name = &s.name;
        for t in &s.truth.locks {
            let found = facts.locks.locks.iter().find(|l| l.section.address.0 == t.address);
            if t.kind != "critical_section" {
                continue;
            }
            let Some(l) = found else {
                missed.push(format!("{name}: lock {:x}", t.address));
                continue;
            };
            let waiters: Vec<u32> = l.waiters.iter().map(|t| t.0).collect();
            let got = (l.section.owner_tid().map(|t| t.0), format!("{:?}", l.owner).to_lowercase(), waiters);
            if got != (t.owner_tid, t.owner.to_owned(), t.waiters.clone()) {
                wrong.push(format!("{name}: lock {:x} is {got:x?}, not {t:x?}", t.address));
            }
        }
        for t in &facts.threads {
            let Some(w) = t.wait.as_ref() else { continue };
            let inside = w.owner_pid.is_none_or(|p| Some(p) == target.dump.pid());
            if let (true, Some(to), Confidence::Proven) = (inside, w.owner_tid, w.confidence)
                && facts.thread(to).is_some()
                && !s.truth.edges.contains(&(t.tid.0, to.0))
            {
                wrong.push(format!("{name}: proven edge {:x} to {:x}", t.tid.0, to.0));
            }
        }
        let v = verdict(&run_rules(&facts).findings);
        let tid = v.tid.map(|t| t.0);
        let right = v.kind.name() == s.truth.kind
            && (tid == s.truth.tid || tid.is_some_and(|t| s.truth.or_tids.contains(&t)));
        let line = format!(
            "{name}: {} {tid:x?} ({}), truth {} {:x?}",
            v.kind.name(),
            v.confidence.name(),
            s.truth.kind,
            s.truth.tid
        );
        match (right, RULES.contains(&s.truth.kind) && !NEEDS_SYMBOLS.contains(&name.as_str()), v.confidence)
        {
            (true, ..) => {}
            (false, true, _) => missed.push(line),
            (false, false, Confidence::Guess) => {}
            (false, false, _) => wrong.push(line),
        }
    }
    assert!(
        wrong.is_empty() && missed.is_empty(),
        "wrong:\n{}\nmissed:\n{}",
        wrong.join("\n"),
        missed.join("\n")
    );
}
