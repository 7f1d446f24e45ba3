//! Circles and orphaned locks that every dump shows: who is in one cannot have gone on between the dumps.

use super::{Snapshot, surely_ms};
use crate::model::{Confidence, Finding, FindingClass, FindingKind};
use dumpscope_core::{Tid, Va};
use std::collections::BTreeSet;

/// One finding that all dumps share.
#[derive(Debug)]
pub(super) struct Standing {
    /// Its sentence in the last dump. Untrusted.
    pub(super) summary: String,
    /// The thread that it is about.
    pub(super) tid: Tid,
    /// Threads that are in it in every dump.
    pub(super) tids: BTreeSet<Tid>,
    /// As the least sure dump.
    pub(super) confidence: Confidence,
}

/// Kinds that never end by themselves, and circles of waits with limits: those may begin anew.
pub(super) fn lasts(f: &Finding) -> bool {
    let known = matches!(f.kind, FindingKind::Deadlock | FindingKind::OrphanedLock);
    known && f.confidence >= Confidence::Strong || is_timed(f)
}

fn is_timed(f: &Finding) -> bool {
    f.class == FindingClass::TimedDeadlock
}

/// True when the limits of all members' waits are over between the dumps, and each member waits for the same member's
/// same thing in every dump: the same waits then began anew.
fn began_anew(dumps: &[&Snapshot], tids: &BTreeSet<Tid>) -> bool {
    let times = || dumps.iter().map(|d| d.time);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return false };
    let between = surely_ms(last.saturating_sub(first));
    let same = |t: &Tid| {
        let mut waits = dumps.iter().map(|d| d.thread(*t)?.wait.as_ref());
        let Some(Some(one)) = waits.next() else { return false };
        one.owner.is_some_and(|o| tids.contains(&o)) && waits.all(|w| w == Some(one))
    };
    let limit = |t: &Tid| dumps.iter().filter_map(|d| d.thread(*t)?.wait.as_ref()?.limit).max();
    tids.iter().all(same) && tids.iter().filter_map(limit).max().is_some_and(|longest| longest < between)
}

/// What makes it the same thing in another dump: a circle's members, a lock and the owner that is gone.
#[derive(PartialEq, Eq)]
enum Key {
    Circle(BTreeSet<Tid>),
    Orphan(Va, Tid),
}

fn key(f: &Finding) -> Option<Key> {
    match f.kind {
        FindingKind::Deadlock => Some(Key::Circle(f.tids.iter().copied().collect())),
        _ => Some(Key::Orphan(f.lock?, f.owner_tid?)),
    }
}

/// The findings that all dumps share, in the last one's order.
pub(super) fn standing(dumps: &[&Snapshot]) -> Vec<Standing> {
    let Some((last, others)) = dumps.split_last() else { return Vec::new() };
    let mut out = Vec::new();
    for f in last.lasting.iter().filter(|f| lasts(f)) {
        let (Some(key_of), Some(tid)) = (key(f), f.tid) else { continue };
        let mut tids: BTreeSet<Tid> = f.tids.iter().copied().collect();
        let mut confidence = f.confidence;
        let shared = others.iter().all(|d| {
            let same = d.lasting.iter().filter(|o| lasts(o)).find(|o| key(o).as_ref() == Some(&key_of));
            if let Some(same) = same {
                // Later waiters of the same lock were free before.
                tids.retain(|t| same.tids.contains(t));
                confidence = confidence.min(same.confidence);
            }
            same.is_some()
        });
        // The thread of the sentence, or one that waits as long.
        let tid = if tids.contains(&tid) { Some(tid) } else { tids.first().copied() };
        let mut summary = f.summary.clone();
        if is_timed(f) {
            if !began_anew(dumps, &tids) {
                continue;
            }
            confidence = Confidence::Strong;
            summary.push_str("; the limits were over between the dumps, and the same waits began anew");
        }
        if let (true, Some(tid)) = (shared, tid) {
            out.push(Standing { summary, tid, tids, confidence });
        }
    }
    out
}
