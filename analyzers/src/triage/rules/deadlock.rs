//! Threads that wait for each other in a circle.

use super::graph::{Edge, cycles, suspected_cycles};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind};
use dumpscope_core::Tid;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let known = cycles(facts).into_iter().map(|c| (c, true));
    known.chain(suspected_cycles(facts).into_iter().map(|c| (c, false))).map(|(c, k)| finding(c, k)).collect()
}

/// `known`: every wait of the circle has a known owner.
fn finding(members: Vec<Edge<'_>>, known: bool) -> Finding {
    let sure = members.iter().map(|e| e.wait.confidence).min().filter(|_| known).unwrap_or(Confidence::Guess);
    let tids: Vec<Tid> = members.iter().map(|e| e.from.tid).collect();
    let names: Vec<String> = tids.iter().map(|t| format!("{:x}", t.0)).collect();
    let one = tids.len() == 1;
    let summary = if one {
        format!("thread {} waits for something that it holds itself", names.join(""))
    } else if known {
        format!("threads {} wait for each other in a circle", names.join(", "))
    } else {
        format!(
            "threads {} seem to wait for each other in a circle, one for a slim reader-writer lock",
            names.join(", ")
        )
    };
    let mut finding = Finding::new(FindingKind::Deadlock, sure, summary);
    finding.tid = tids.first().copied();
    finding.lock = members.first().and_then(|e| e.wait.address);
    finding.owner_tid = members.first().map(|e| e.to);
    for e in &members {
        finding.evidence.push(format!("thread {:x} {}", e.from.tid.0, e.wait.sentence));
        finding.evidence.extend(e.wait.evidence.iter().map(|s| format!("thread {:x}: {s}", e.from.tid.0)));
    }
    finding.tids = tids;
    finding.advice =
        Some("take these locks in the same order everywhere: look at the stacks of these threads".into());
    finding
}
