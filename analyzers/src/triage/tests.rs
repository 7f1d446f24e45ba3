//! Tests of the rule table.

use super::*;
use crate::testing::{empty_target, facts};

#[test]
fn rules_have_unique_codes() {
    let mut codes: Vec<&str> = RULES.iter().map(|r| r.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), RULES.len());
}

#[test]
fn a_missing_verdict_is_unknown() {
    assert_eq!(verdict(&[]).kind, FindingKind::Unknown);
    let crash = Finding::new(FindingKind::Crash, Confidence::Proven, "x");
    assert_eq!(verdict(std::slice::from_ref(&crash)), crash);
}

#[test]
fn names_of_kinds_are_unique() {
    let mut names: Vec<&str> = FindingKind::ALL.iter().map(|k| k.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), FindingKind::ALL.len());
}

#[test]
fn a_broken_rule_costs_one_finding() {
    let target = empty_target().unwrap();
    let facts = target.facts(&crate::Cancel::default());
    let rules = [
        Rule { code: "bad", about: "", run: |_| panic!("a broken rule") },
        Rule {
            code: "idle",
            about: "",
            run: |_| vec![Finding::new(FindingKind::Idle, Confidence::Strong, "i")],
        },
        Rule {
            code: "crash",
            about: "",
            run: |_| vec![Finding::new(FindingKind::Crash, Confidence::Guess, "c")],
        },
    ];
    let out = run(&rules, &Case { target: &target, facts: &facts });
    assert_eq!(
        out.findings.iter().map(|f| f.kind).collect::<Vec<_>>(),
        [FindingKind::Crash, FindingKind::Idle]
    );
    assert_eq!(out.warnings.len(), 1);
    assert!(out.warnings[0].contains("bad"));
}

#[test]
fn a_thread_that_may_loop_is_no_worse_than_what_is_known() {
    let of = |kind, sure| Finding::new(kind, sure, "x");
    use Confidence::{Guess, Strong};
    use FindingKind::{BusyLoop, Idle, Waiting};
    let order = |guess, other, sure| {
        let mut all = [of(guess, Guess), of(other, sure)];
        sort(&mut all);
        all.map(|f| f.kind)
    };
    assert_eq!(order(BusyLoop, Waiting, Strong), [Waiting, BusyLoop]);
    assert_eq!(order(BusyLoop, Waiting, Guess), [BusyLoop, Waiting]);
    assert_eq!(order(BusyLoop, Idle, Guess), [BusyLoop, Idle]);
    let mut sure = [of(Waiting, Strong), of(BusyLoop, Strong)];
    sort(&mut sure);
    assert_eq!(sure[0].kind, BusyLoop);
}

#[test]
fn stacks_that_were_cut_are_told() {
    let target = empty_target().unwrap();
    for (shortened, words) in [(0, None), (1, Some("one thread was not")), (7, Some("7 threads were not"))] {
        let mut f = facts(Vec::new());
        f.shortened = shortened;
        let out = run(&[], &Case { target: &target, facts: &f });
        assert_eq!(out.warnings.len(), usize::from(words.is_some()));
        assert!(
            out.warnings.iter().all(|w| words.is_some_and(|words| w.contains(words))),
            "{:?}",
            out.warnings
        );
    }
}
