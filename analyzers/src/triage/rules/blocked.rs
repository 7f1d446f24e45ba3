//! Threads that wait for another process.

use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind, Kind, ThreadFacts, Timeout, Wait};
use dumpscope_core::Pid;
use std::collections::BTreeMap;

/// Most other threads that the evidence names.
const MAX_NAMED: usize = 8;

/// Threads that wait for the same thing of the same process, first of the list first.
struct Group<'a> {
    pid: Pid,
    wait: &'a Wait,
    threads: Vec<&'a ThreadFacts>,
}

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let own = facts.target.dump.pid();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for thread in &facts.threads {
        let Some(wait) = thread.wait.as_ref().filter(|w| w.confidence >= Confidence::Strong) else {
            continue;
        };
        let Some(pid) = wait.owner_pid.filter(|p| own.is_some_and(|o| o != *p)) else { continue };
        // The sentence says what is called, or which object is waited for.
        let key = (pid, wait.kind, wait.confidence, wait.owner_tid, wait.sentence.as_str());
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.threads.push(thread),
            None => groups.push(Group { pid, wait, threads: vec![thread] }),
        }
    }
    groups.iter().filter_map(finding).collect()
}

/// Who gives up after a time looks after the process, or tries again: one dump does not tell that from a hang.
fn confidence_of(wait: &Wait) -> Confidence {
    match wait.timeout {
        Some(Timeout::Ms(_)) => Confidence::Guess,
        _ => wait.confidence,
    }
}

/// The main thread, or the first one, speaks for all.
fn finding(group: &Group<'_>) -> Option<Finding> {
    let Group { pid, threads, .. } = group;
    let thread = threads.iter().find(|t| t.is_main).or(threads.first())?;
    let wait = thread.wait.as_ref().unwrap_or(group.wait);
    let others: Vec<&ThreadFacts> = threads.iter().filter(|t| t.index != thread.index).copied().collect();
    let more = match others.len() {
        0 => String::new(),
        1 => ", and so does 1 more thread".into(),
        n => format!(", and so do {n} more threads"),
    };
    let mut finding = Finding::new(
        FindingKind::BlockedOnProcess,
        confidence_of(wait),
        format!("thread {:x} {}{more}", thread.tid.0, wait.sentence),
    );
    finding.tid = Some(thread.tid);
    finding.tids = std::iter::once(thread.tid).chain(others.iter().map(|t| t.tid)).collect();
    finding.server_pid = Some(*pid);
    finding.owner_tid = if wait.kind == Kind::ComCall { None } else { wait.owner_tid };
    finding.evidence.clone_from(&wait.evidence);
    if let Some(Timeout::Ms(ms)) = wait.timeout {
        finding.evidence.push(format!(
            "it waits for at most {ms} ms: it may look again and again, as who watches over a process does"
        ));
    }
    if !others.is_empty() {
        let named: Vec<String> = others.iter().take(MAX_NAMED).map(|t| format!("{:x}", t.tid.0)).collect();
        let left = others.len().saturating_sub(named.len());
        let rest = if left > 0 { format!(" and {left} more") } else { String::new() };
        finding.evidence.push(format!("the others that wait for the same: {}{rest}", named.join(", ")));
    }
    finding.advice = Some(format!(
        "write a dump of process {:x}, too, while it hangs (procdump -ma {}): it tells the rest",
        pid.0, pid.0
    ));
    Some(finding)
}
