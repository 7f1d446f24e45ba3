//! Who waits for whom within the process.

use crate::facts::Case;
use crate::model::{Confidence, Kind, ThreadFacts, Timeout, Wait};
use dumpscope_core::Tid;
use std::collections::{BTreeMap, BTreeSet};

/// A thread that waits and the living thread of this process that it waits for.
pub(super) struct Edge<'a> {
    pub from: &'a ThreadFacts,
    pub wait: &'a Wait,
    pub to: Tid,
}

/// The edge that leaves a thread, when its owner is known and exists.
pub(super) fn edge<'a>(facts: &'a Case<'_>, from: &'a ThreadFacts) -> Option<Edge<'a>> {
    let wait = from.wait.as_ref()?;
    let to = wait.owner_tid?;
    let own = facts.target.dump.pid();
    let inside = wait.owner_pid.is_none_or(|p| own.is_none_or(|o| o == p));
    (inside && facts.thread(to).is_some()).then_some(Edge { from, wait, to })
}

/// Cycles, each once, members in the order of the waits beginning with the lowest thread id.
pub(super) fn cycles<'a>(facts: &'a Case<'_>) -> Vec<Vec<Edge<'a>>> {
    circles(facts, |t| edge(facts, t).filter(|e| e.wait.confidence >= Confidence::Strong))
}

/// Cycles that close only when the one thread with an SRW lock's address on its stack holds the lock, or when the one
/// thread that is in a window procedure is the window's: the lock and the window do not say.
pub(super) fn suspected_cycles<'a>(facts: &'a Case<'_>) -> Vec<Vec<Edge<'a>>> {
    let suspected = |t: &'a ThreadFacts| {
        let wait = t.wait.as_ref().filter(|w| w.owner_tid.is_none())?;
        if !matches!(wait.kind, Kind::SrwLock | Kind::MessageQueue) {
            return None;
        }
        let to = wait.suspect.filter(|to| *to != t.tid && facts.thread(*to).is_some())?;
        Some(Edge { from: t, wait, to })
    };
    let known = |t: &'a ThreadFacts| edge(facts, t).filter(|e| e.wait.confidence >= Confidence::Strong);
    let mut found = circles(facts, |t| known(t).or_else(|| suspected(t)));
    found.retain(|c| c.iter().any(|e| e.wait.owner_tid.is_none()));
    found
}

fn circles<'a>(
    facts: &'a Case<'_>,
    next: impl Fn(&'a ThreadFacts) -> Option<Edge<'a>>,
) -> Vec<Vec<Edge<'a>>> {
    // A thread waits for one at most: each is walked over once, and a walk that meets itself has found a circle.
    let mut walks: BTreeMap<Tid, usize> = BTreeMap::new();
    let mut found: Vec<Vec<Edge<'a>>> = Vec::new();
    for (walk, start) in facts.threads.iter().enumerate() {
        let mut way = Vec::new();
        let mut at = Some(start);
        while let Some(t) = at.filter(|t| !walks.contains_key(&t.tid)) {
            walks.insert(t.tid, walk);
            let Some(e) = next(t) else { break };
            at = facts.thread(e.to);
            way.push(e);
        }
        let Some(closes) = at.filter(|t| walks.get(&t.tid) == Some(&walk)) else { continue };
        let Some(from) = way.iter().position(|e| e.from.tid == closes.tid) else { continue };
        let mut members = way.split_off(from);
        let lowest = members.iter().enumerate().min_by_key(|(_, e)| e.from.tid).map_or(0, |(nth, _)| nth);
        members.rotate_left(lowest);
        found.push(members);
    }
    found.sort_by_key(|c| c.first().map(|e| e.from.index));
    found
}

/// The living thread that a thread waits for, proven or only suspected, or that would have to act for it.
pub(super) fn towards(facts: &Case<'_>, from: &ThreadFacts) -> Option<Tid> {
    let known = edge(facts, from).map(|e| e.to);
    known.or_else(|| from.wait.as_ref()?.suspect).filter(|to| *to != from.tid)
}

/// How many threads wait for each thread, directly or through others.
pub(super) fn dependents(facts: &Case<'_>) -> BTreeMap<Tid, usize> {
    let next: BTreeMap<Tid, Tid> =
        facts.threads.iter().filter_map(|t| Some((t.tid, towards(facts, t)?))).collect();
    counts(&next)
}

/// How many threads wait for something that each thread has and ought to give back soon (a lock, an answer), directly
/// or through others. Who only waits for a thread's end says nothing about what that thread does meanwhile.
pub(super) fn locked_out(facts: &Case<'_>) -> BTreeMap<Tid, usize> {
    let gives = |t: &ThreadFacts| t.wait.as_ref().is_some_and(|w| w.kind != Kind::Thread);
    let next: BTreeMap<Tid, Tid> =
        facts.threads.iter().filter(|t| gives(t)).filter_map(|t| Some((t.tid, towards(facts, t)?))).collect();
    counts(&next)
}

/// How many others reach each, where `next` leads from each to one other. Each is looked at once.
fn counts(next: &BTreeMap<Tid, Tid>) -> BTreeMap<Tid, usize> {
    // Threads that nobody waits for first, then those whose waiters are all counted; what is left are circles.
    let mut open: BTreeMap<Tid, usize> = BTreeMap::new();
    next.values().for_each(|to| *open.entry(*to).or_default() += 1);
    let mut out: BTreeMap<Tid, usize> = BTreeMap::new();
    let mut ready: Vec<Tid> = next.keys().filter(|t| !open.contains_key(t)).copied().collect();
    while let Some(from) = ready.pop() {
        let Some(to) = next.get(&from) else { continue };
        *out.entry(*to).or_default() += out.get(&from).copied().unwrap_or(0).saturating_add(1);
        let Some(left) = open.get_mut(to) else { continue };
        *left = left.saturating_sub(1);
        if *left == 0 {
            ready.push(*to);
        }
    }
    // All members of a circle have the same dependents: each other, and who waits for one of them.
    let mut circles: BTreeSet<Tid> = open.into_iter().filter(|(_, left)| *left > 0).map(|(t, _)| t).collect();
    while let Some(first) = circles.pop_first() {
        let mut members = vec![first];
        let mut at = first;
        while let Some(to) = next.get(&at).filter(|to| circles.remove(to)) {
            members.push(*to);
            at = *to;
        }
        let outside: usize = members.iter().filter_map(|m| out.get(m)).sum();
        let all = outside.saturating_add(members.len()).saturating_sub(1);
        out.extend(members.into_iter().map(|m| (m, all)));
    }
    out
}

/// The end of the chain of waits that begins at a thread, and the threads on the way (the first one included). In a
/// circle the last one that was not yet met.
pub(super) fn chain(facts: &Case<'_>, from: Tid) -> Vec<Tid> {
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
    wait.kind == crate::model::Kind::Sleep || matches!(wait.timeout, Some(Timeout::Ms(_)))
}

/// True for a thread that waits for work, or looks after others: nobody's culprit.
pub(super) fn is_bystander(thread: &ThreadFacts) -> bool {
    thread.role.is_some() || thread.activity.as_ref().is_some_and(|a| a.idle)
}

/// True when an exception ended the process: its threads wait for nothing that matters.
pub(super) fn crashed(facts: &Case<'_>) -> bool {
    facts.fatal().is_some()
        || facts.script.death.is_some()
        || facts.script.unhandled().is_some()
        || !crate::facts::reporting(facts).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `counts` says, by walking from each.
    fn by_walks(next: &BTreeMap<Tid, Tid>) -> BTreeMap<Tid, usize> {
        let mut out = BTreeMap::new();
        for from in next.keys() {
            let mut seen = BTreeSet::from([*from]);
            let mut at = *from;
            while let Some(to) = next.get(&at).filter(|to| seen.insert(**to)) {
                *out.entry(*to).or_insert(0_usize) += 1;
                at = *to;
            }
        }
        out
    }

    #[test]
    fn dependents_are_counted_as_walks_from_each_would() {
        let mut state = 7_u32;
        for round in 0..2000_u32 {
            let size = round % 9 + 2;
            let mut next = BTreeMap::new();
            for from in 0..size {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let to = (state >> 16) % (size + 2);
                // Some lead nowhere, none to itself.
                if to < size && to != from {
                    next.insert(Tid(from), Tid(to));
                }
            }
            assert_eq!(counts(&next), by_walks(&next), "{next:?}");
        }
    }
}
