//! Tests of the rule table.

use super::*;
use crate::Target;
use dumpscope_symbols::SymbolConfig;

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

/// A minidump with a header and no stream.
fn empty_target() -> Option<Target> {
    let mut bytes = b"MDMP".to_vec();
    bytes.extend_from_slice(&0xa793u32.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&32u32.to_le_bytes());
    bytes.resize(32, 0);
    let dump = dumpscope_core::model::Dump::from_bytes(bytes).ok()?;
    Some(Target::new(dump, SymbolConfig::default()))
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
