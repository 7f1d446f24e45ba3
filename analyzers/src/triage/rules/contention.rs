//! Threads that wait for a lock whose owner is alive and in no circle with them.

use super::graph::cycles;
use crate::locks::Owner;
use crate::triage::{Confidence, Facts, Finding, FindingKind};
use dumpscope_core::Tid;
use std::collections::BTreeSet;

pub(super) fn run(facts: &Facts<'_>) -> Vec<Finding> {
    let circles: BTreeSet<Tid> = cycles(facts).iter().flatten().map(|e| e.from.tid).collect();
    let mut out = Vec::new();
    for lock in facts.locks.held().filter(|l| l.owner == Owner::Alive && !l.waiters.is_empty()) {
        let Some(owner) = lock.section.owner_tid() else { continue };
        let Some(thread) = facts.thread(owner).filter(|_| !circles.contains(&owner)) else { continue };
        let waits = lock.waiters.iter().filter_map(|t| facts.thread(*t)?.wait.as_ref());
        let sure = waits.clone().map(|w| w.confidence).min().unwrap_or(Confidence::Guess);
        let at = lock.section.address;
        let name = facts.target.symbols.format(at).map(|n| format!(" ({n})")).unwrap_or_default();
        let does = thread.activity.as_ref().map_or("is doing something unknown", |a| a.text.as_str());
        let n = lock.waiters.len();
        let (threads, wait) = if n == 1 { ("thread", "waits") } else { ("threads", "wait") };
        let summary = format!(
            "{n} {threads} {wait} for the critical section at {:x}{name}, whose owner, thread {:x}, {does}",
            at.0, owner.0
        );
        let mut finding = Finding::new(FindingKind::LockContention, sure, summary);
        finding.tid = Some(owner);
        finding.tids = lock.waiters.iter().copied().chain([owner]).collect();
        finding.lock = Some(at);
        finding.owner_tid = Some(owner);
        finding.server_pid = thread.wait.as_ref().and_then(|w| w.owner_pid);
        finding.evidence.push(format!(
            "the lock is held: LockCount {}, OwningThread {:x}, {} waiting",
            lock.section.lock_count,
            owner.0,
            lock.section.waiters()
        ));
        for tid in &lock.waiters {
            let evidence = facts.thread(*tid).and_then(|t| t.wait.as_ref()).map(|w| &w.evidence);
            finding
                .evidence
                .extend(evidence.into_iter().flatten().map(|s| format!("thread {:x}: {s}", tid.0)));
        }
        finding.advice = Some(format!("look at what thread {:x} does while it holds the lock", owner.0));
        out.push(finding);
    }
    // The lock with the most waiters first; the sort of all findings keeps this order.
    out.sort_by_key(|f| std::cmp::Reverse(f.tids.len()));
    out
}
