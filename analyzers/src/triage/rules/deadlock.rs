//! Threads that wait for each other in a circle.

use super::graph::{Edge, cycles, suspected_cycles};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingClass, FindingKind, Kind, Timeout, Wait};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let known = cycles(facts).into_iter().map(|c| (c, true));
    known
        .chain(suspected_cycles(facts).into_iter().map(|c| (c, false)))
        .map(|(c, k)| finding(facts, c, k))
        .collect()
}

/// How sure a circle is: a wait with a limit ends by itself, and one whose limit is not known may.
fn sure(members: &[Edge<'_>], known: bool) -> Confidence {
    let limit = |w: &Wait| match (w.timeout, w.kind) {
        (Some(Timeout::Ms(_)), _) => Confidence::Guess,
        // These are taken in slices, and tried again without end.
        (_, Kind::CriticalSection | Kind::SrwLock | Kind::LoaderLock) => Confidence::Proven,
        (Some(Timeout::Infinite), _) => Confidence::Proven,
        // A one-time initialization, a COM call: they have no limit.
        (None, Kind::Other | Kind::ComCall | Kind::RpcCall) => Confidence::Proven,
        (None, _) => Confidence::Strong,
    };
    let weakest = members.iter().map(|e| e.wait.confidence.min(limit(e.wait))).min();
    weakest.filter(|_| known).unwrap_or(Confidence::Guess)
}

/// The limits of the waits of a circle, each once.
fn limits(members: &[Edge<'_>]) -> Vec<u64> {
    let ms = |e: &Edge<'_>| if let Some(Timeout::Ms(ms)) = e.wait.timeout { Some(ms) } else { None };
    let mut out: Vec<u64> = members.iter().filter_map(ms).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// `known`: every wait of the circle has a known owner.
fn finding(facts: &Case<'_>, members: Vec<Edge<'_>>, known: bool) -> Finding {
    let sure = sure(&members, known);
    let limits = limits(&members);
    let tids: Vec<Tid> = members.iter().map(|e| e.from.tid).collect();
    let names: Vec<String> = tids.iter().map(|t| format!("{:x}", t.0)).collect();
    let one = tids.len() == 1;
    let through = |kind: Kind| members.iter().any(|e| e.wait.owner_tid.is_none() && e.wait.kind == kind);
    let mut summary = if one {
        format!("thread {} waits for something that it holds itself", names.join(""))
    } else if known {
        let each = members.iter().filter(|e| facts.script.threads.contains_key(&e.from.tid));
        let each: Vec<String> =
            each.map(|e| format!("{} {}", facts.script.words(e.from.tid), e.wait.sentence)).collect();
        let list = if each.is_empty() { String::new() } else { format!(": {}", each.join("; ")) };
        escape(&format!("threads {} wait for each other in a circle{list}", names.join(", "))).into_owned()
    } else {
        let what = match through(Kind::MessageQueue) {
            true => "one for a window that seems to be another one's",
            false => "one for a slim reader-writer lock",
        };
        format!("threads {} seem to wait for each other in a circle, {what}", names.join(", "))
    };
    if !limits.is_empty() {
        let list: Vec<String> = limits.iter().map(|ms| format!("{ms} ms")).collect();
        summary.push_str(&format!(", but not without end: after {} it gives up", list.join(" or ")));
    }
    let mut finding = Finding::new(FindingKind::Deadlock, sure, summary);
    if !limits.is_empty() {
        finding.class = FindingClass::TimedDeadlock;
    }
    finding.tid = tids.first().copied();
    finding.lock = members.first().and_then(|e| e.wait.address);
    finding.owner_tid = members.first().map(|e| e.to);
    for e in &members {
        finding.evidence.push(format!("thread {:x} {}", e.from.tid.0, e.wait.sentence));
        finding.evidence.extend(e.wait.evidence.iter().map(|s| format!("thread {:x}: {s}", e.from.tid.0)));
    }
    if members.iter().any(|e| facts.script.finalizers.contains(&e.from.tid)) {
        finding.class = FindingClass::FinalizerBlocked;
    } else if members.iter().any(|e| e.wait.kind == Kind::ClassInit) {
        finding.class = FindingClass::ClassInit;
    }
    finding.tids = tids;
    finding.advice = Some(if limits.is_empty() {
        "take these locks in the same order everywhere: look at the stacks of these threads".into()
    } else {
        "write a second dump some seconds later (procdump -n 2 -s 10) and compare them with `dumpscope diff`: do the same \
         waits begin anew? If so take these locks in the same order everywhere"
            .into()
    });
    finding
}
