//! The verdict on one dump: a table of rules that read its facts, findings worst first.

mod rules;
mod signature;

pub use rules::{RULES, Rule};
pub use signature::{Signature, signature};

use crate::facts::{Case, cut_stacks};
use crate::model::{Confidence, Finding, FindingKind};
use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the rules found.
#[derive(Debug)]
pub struct Findings {
    /// Worst first; the first one is the verdict.
    pub findings: Vec<Finding>,
    /// Rules that broke: their findings are missing. Stacks that were not walked to their ends.
    pub warnings: Vec<String>,
}

/// Runs all rules. A rule that breaks costs its own findings and gives a warning, nothing else.
#[must_use]
pub fn run_rules(facts: &Case<'_>) -> Findings {
    run(RULES, facts)
}

fn run(rules: &[Rule], facts: &Case<'_>) -> Findings {
    let mut out = Findings { findings: Vec::new(), warnings: Vec::new() };
    out.warnings.extend(cut_stacks(facts));
    for rule in rules {
        // A rule only reads the facts: nothing is left half-changed behind a panic.
        match catch_unwind(AssertUnwindSafe(|| (rule.run)(facts))) {
            Ok(mut found) => {
                found.iter_mut().for_each(|f| rules::add_context(facts, f));
                out.findings.extend(found);
            }
            Err(_) => out.warnings.push(format!("the rule {} failed and was left out", rule.code)),
        }
    }
    sort(&mut out.findings);
    out
}

/// Worst first.
fn sort(findings: &mut [Finding]) {
    // A thread that only may run without end is no worse than one that waits, of which more may be known.
    let rank = |f: &Finding| match (f.kind, f.confidence) {
        (FindingKind::BusyLoop, Confidence::Guess) => FindingKind::Waiting,
        (kind, _) => kind,
    };
    findings.sort_by_key(|f| (rank(f), Reverse(f.confidence), f.kind));
}

/// The verdict: the worst finding, or `unknown` with what is missing.
#[must_use]
pub fn verdict(findings: &[Finding]) -> Finding {
    findings.first().cloned().unwrap_or_else(|| {
        let mut unknown = Finding::new(
            FindingKind::Unknown,
            Confidence::Guess,
            "no exception is recorded, and no rule explains what the threads wait for",
        );
        unknown.advice = Some("look at what the threads are doing".into());
        unknown
    })
}

/// As [`verdict`]; when it is `unknown` it tells what the dump or the work lacked.
#[must_use]
pub fn verdict_of(facts: &Case<'_>, findings: &[Finding]) -> Finding {
    let mut found = verdict(findings);
    if found.kind != FindingKind::Unknown {
        return found;
    }
    if let Some(e) = &facts.exception {
        let code = e.code;
        found.summary = format!(
            "the recorded exception ({code:08x}) is no fault of the program, and no rule explains what the threads wait for"
        );
    }
    let dump = &facts.target.dump;
    let (missing, threads) = (dump.missing_bytes(), dump.threads().len());
    let (summary, advice) = if facts.stopped {
        let done = facts.threads.len();
        (
            format!("the work was stopped after {done} of {threads} threads; nothing was found so far"),
            "give it more time",
        )
    } else if missing > 0 {
        let size = crate::text::count_bytes(missing);
        (
            format!(
                "the dump file is cut off: {size} at its end are missing, and what is left explains nothing"
            ),
            "copy the file again",
        )
    } else if threads == 0 && dump.system().is_absent() {
        (
            "the file is damaged: it holds neither threads nor the system's description".into(),
            "write the dump again",
        )
    } else if threads == 0 {
        ("the dump holds no threads".into(), "write the dump again; every kind of dump has the threads")
    } else {
        return found;
    };
    found.summary = summary;
    found.advice = Some(advice.into());
    found
}

#[cfg(test)]
mod tests;
