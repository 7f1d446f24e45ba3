//! A lock whose owner no longer exists, and threads that wait for it.

use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind, Kind, OwnerState};
use crate::thread_state::{missing_words, thread_state};

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for lock in facts.locks.held().filter(|l| l.owner == OwnerState::Missing && !l.waiters.is_empty()) {
        let (Some(owner), Some(&first)) = (lock.section.owner_tid(), lock.waiters.first()) else { continue };
        let wait = facts.thread(first).and_then(|t| t.wait.as_ref());
        let sure = wait.map_or(Confidence::Guess, |w| w.confidence);
        let at = lock.section.address;
        let name = facts.target.name_of(at).map(|n| format!(" ({n})")).unwrap_or_default();
        let summary = format!(
            "thread {:x} waits for the critical section at {:x}{name}, whose owner, thread {:x}, ended while holding it",
            first.0, at.0, owner.0
        );
        let mut finding = Finding::new(FindingKind::OrphanedLock, sure, summary);
        finding.tid = Some(first);
        finding.tids.clone_from(&lock.waiters);
        finding.lock = Some(at);
        finding.owner_tid = Some(owner);
        finding.evidence.push(format!(
            "the lock is held: LockCount {}{}, OwningThread {:x}, {} waiting",
            lock.section.lock_count,
            lock.section.counting_words(),
            owner.0,
            lock.section.waiters()
        ));
        finding.evidence.push(missing_words(facts.target, owner));
        finding.evidence.push(format!("the lock was found in {}", lock.source.text()));
        finding
            .evidence
            .extend(wait.iter().flat_map(|w| &w.evidence).map(|s| format!("thread {:x}: {s}", first.0)));
        finding.advice = Some(format!(
            "find what ended thread {:x} (TerminateThread, ExitThread or an exception that was swallowed) between taking and \
             releasing this lock",
            owner.0
        ));
        out.push(finding);
    }
    out.extend(mutexes(facts));
    out
}

/// Mutexes of this process whose owner, as the handle data name it, is in no thread list.
fn mutexes(facts: &Case<'_>) -> Vec<Finding> {
    let own = facts.target.dump.pid();
    let mut out = Vec::new();
    for thread in &facts.threads {
        let Some(wait) = thread.wait.as_ref().filter(|w| w.kind == Kind::Mutex) else { continue };
        let Some(owner) = wait.owner_tid.filter(|_| own.is_some() && wait.owner_pid == own) else { continue };
        if thread_state(facts.target, owner) != OwnerState::Missing {
            continue;
        }
        let mut finding = Finding::new(
            FindingKind::OrphanedLock,
            // The system gives an abandoned mutex to the next waiter: something else is wrong too.
            wait.confidence.min(Confidence::Strong),
            format!("thread {:x} {}, and that thread no longer exists", thread.tid.0, wait.sentence),
        );
        finding.tid = Some(thread.tid);
        finding.tids = vec![thread.tid];
        finding.owner_tid = Some(owner);
        finding.evidence.clone_from(&wait.evidence);
        finding.evidence.push(missing_words(facts.target, owner));
        finding.advice = Some(format!("find what ended thread {:x} while it owned this mutex", owner.0));
        out.push(finding);
    }
    out
}
