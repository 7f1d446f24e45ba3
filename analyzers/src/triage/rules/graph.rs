//! Who waits for whom within the process.

use crate::triage::{Confidence, Facts, ThreadFacts};
use crate::waits::Wait;
use dumpscope_core::Tid;

/// A thread that waits and the living thread of this process that it waits for.
pub(super) struct Edge<'a> {
    pub from: &'a ThreadFacts,
    pub wait: &'a Wait,
    pub to: Tid,
}

/// The edge that leaves a thread, when its owner is known and exists.
pub(super) fn edge<'a>(facts: &'a Facts<'_>, from: &'a ThreadFacts) -> Option<Edge<'a>> {
    let wait = from.wait.as_ref()?;
    let to = wait.owner_tid?;
    let own = facts.target.dump.pid();
    let inside = wait.owner_pid.is_none_or(|p| own.is_none_or(|o| o == p));
    (inside && facts.thread(to).is_some()).then_some(Edge { from, wait, to })
}

/// Cycles, each once, members in the order of the waits beginning with the lowest thread id.
pub(super) fn cycles<'a>(facts: &'a Facts<'_>) -> Vec<Vec<Edge<'a>>> {
    let mut found: Vec<Vec<Edge<'a>>> = Vec::new();
    for start in &facts.threads {
        let mut members = Vec::new();
        let mut at = start;
        // A thread waits for one at most: a cycle through `start` comes back to it within as many steps.
        for _ in 0..facts.threads.len() {
            let Some(e) = edge(facts, at).filter(|e| e.wait.confidence >= Confidence::Strong) else { break };
            let to = e.to;
            members.push(e);
            if to == start.tid {
                // Others of the same cycle find it too: the one with the lowest id reports it.
                if members.iter().all(|e| e.from.tid >= start.tid) {
                    found.push(members);
                }
                break;
            }
            // Not through `start`, or a cycle further on: bounded by the loop.
            let Some(next) = facts.thread(to) else { break };
            at = next;
        }
    }
    found
}
