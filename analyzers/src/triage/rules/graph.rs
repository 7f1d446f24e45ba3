//! Who waits for whom within the process.

use crate::crash::Interest;
use crate::triage::{Confidence, Facts, ThreadFacts};
use crate::waits::{Kind, Timeout, Wait};
use dumpscope_core::Tid;
use std::collections::{BTreeMap, BTreeSet};

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
    circles(facts, |t| edge(facts, t).filter(|e| e.wait.confidence >= Confidence::Strong))
}

/// Cycles that close only when the one thread with an SRW lock's address on its stack holds the lock: the lock
/// itself does not say.
pub(super) fn suspected_cycles<'a>(facts: &'a Facts<'_>) -> Vec<Vec<Edge<'a>>> {
    let suspected = |t: &'a ThreadFacts| {
        let wait = t.wait.as_ref().filter(|w| w.kind == Kind::SrwLock && w.owner_tid.is_none())?;
        let to = wait.suspect.filter(|to| *to != t.tid && facts.thread(*to).is_some())?;
        Some(Edge { from: t, wait, to })
    };
    let known = |t: &'a ThreadFacts| edge(facts, t).filter(|e| e.wait.confidence >= Confidence::Strong);
    let mut found = circles(facts, |t| known(t).or_else(|| suspected(t)));
    found.retain(|c| c.iter().any(|e| e.wait.owner_tid.is_none()));
    found
}

fn circles<'a>(
    facts: &'a Facts<'_>,
    next: impl Fn(&'a ThreadFacts) -> Option<Edge<'a>>,
) -> Vec<Vec<Edge<'a>>> {
    let mut found: Vec<Vec<Edge<'a>>> = Vec::new();
    for start in &facts.threads {
        let mut members = Vec::new();
        let mut at = start;
        // A thread waits for one at most: a cycle through `start` comes back to it within as many steps.
        for _ in 0..facts.threads.len() {
            let Some(e) = next(at) else { break };
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
            let Some(then) = facts.thread(to) else { break };
            at = then;
        }
    }
    found
}

/// The living thread that a thread waits for, proven or only suspected, or that would have to act for it.
pub(super) fn towards(facts: &Facts<'_>, from: &ThreadFacts) -> Option<Tid> {
    let known = edge(facts, from).map(|e| e.to);
    known.or_else(|| from.wait.as_ref()?.suspect).filter(|to| *to != from.tid)
}

/// How many threads wait for each thread, directly or through others.
pub(super) fn dependents(facts: &Facts<'_>) -> BTreeMap<Tid, usize> {
    let next: BTreeMap<Tid, Tid> =
        facts.threads.iter().filter_map(|t| Some((t.tid, towards(facts, t)?))).collect();
    let mut out = BTreeMap::new();
    for t in &facts.threads {
        let mut seen = BTreeSet::from([t.tid]);
        let mut at = t.tid;
        while let Some(to) = next.get(&at).filter(|to| seen.insert(**to)) {
            *out.entry(*to).or_insert(0_usize) += 1;
            at = *to;
        }
    }
    out
}

/// The end of the chain of waits that begins at a thread, and the threads on the way (the first one included). In a
/// circle the last one that was not yet met.
pub(super) fn chain(facts: &Facts<'_>, from: Tid) -> Vec<Tid> {
    let mut out = vec![from];
    let mut seen = BTreeSet::from([from]);
    let mut at = facts.thread(from);
    while let Some(to) = at.and_then(|t| edge(facts, t)).map(|e| e.to).filter(|to| seen.insert(*to)) {
        out.push(to);
        at = facts.thread(to);
    }
    out
}

/// True when a thread comes back by itself: it sleeps, or its wait has a limit.
pub(super) fn wakes_up(wait: &Wait) -> bool {
    wait.kind == crate::waits::Kind::Sleep || matches!(wait.timeout, Some(Timeout::Ms(_)))
}

/// True for a thread that waits for work, or looks after others: nobody's culprit.
pub(super) fn is_bystander(thread: &ThreadFacts) -> bool {
    thread.role.is_some() || thread.activity.as_ref().is_some_and(|a| a.idle)
}

/// True when an exception ended the process.
pub(super) fn crashed(facts: &Facts<'_>) -> bool {
    facts.exception.as_ref().is_some_and(|e| e.interest == Interest::Crash)
}
