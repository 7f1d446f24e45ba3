//! Threads of a runtime that have no native one (virtual threads) and wait for locks.

use super::graph::wakes_up;
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind, Timeout, Unmounted};
use crate::script::{detached_words, lock_name};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::LockOwner;
use std::collections::{BTreeMap, BTreeSet};

/// Most threads that evidence names.
const MAX_NAMED: usize = 8;

/// A thread of either sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Native(Tid),
    /// By the runtime's id.
    Detached(u64),
}

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    if super::graph::crashed(facts) || facts.script.unmounted.iter().all(|u| u.wait.is_none()) {
        return Vec::new();
    }
    let circles = circles(facts);
    let inside: BTreeSet<Node> = circles.iter().flatten().copied().collect();
    let mut out: Vec<Finding> = circles.iter().map(|c| deadlock(facts, c)).collect();
    out.extend(contention(facts, &inside));
    for finding in &mut out {
        finding.summary = escape(&finding.summary).into_owned();
        finding.evidence.iter_mut().for_each(|e| *e = escape(e).into_owned());
    }
    out
}

fn node(owner: &LockOwner) -> Option<Node> {
    owner.tid.map(Node::Native).or(owner.id.map(Node::Detached))
}

fn detached<'a>(facts: &'a Case<'_>, id: u64) -> Option<&'a Unmounted> {
    facts.script.unmounted.iter().find(|u| u.thread.id == id)
}

/// Whom a thread waits for.
fn next(facts: &Case<'_>, at: Node) -> Option<Node> {
    match at {
        Node::Detached(id) => node(detached(facts, id)?.wait.as_ref()?.owner.as_ref()?),
        Node::Native(tid) => {
            let wait = facts.thread(tid)?.wait.as_ref().filter(|w| w.confidence >= Confidence::Strong)?;
            let lock = || node(facts.script.lock(wait.address?)?.owners.first()?);
            wait.owner_tid.map(Node::Native).or_else(lock)
        }
    }
}

/// Circles that go through a thread without a native one, each once.
fn circles(facts: &Case<'_>) -> Vec<Vec<Node>> {
    let mut done = BTreeSet::new();
    let mut out = Vec::new();
    for u in &facts.script.unmounted {
        let mut way = Vec::new();
        let mut at = Some(Node::Detached(u.thread.id));
        while let Some(n) = at.filter(|n| done.insert(*n)) {
            way.push(n);
            at = next(facts, n);
        }
        if let Some(from) = at.and_then(|n| way.iter().position(|w| *w == n)) {
            out.push(way.split_off(from));
        }
    }
    out
}

fn says(facts: &Case<'_>, at: Node) -> String {
    match at {
        Node::Native(tid) => {
            let wait =
                facts.thread(tid).and_then(|t| t.wait.as_ref()).map_or("waits", |w| w.sentence.as_str());
            format!("{} {wait}", facts.script.words(tid))
        }
        Node::Detached(id) => match detached(facts, id) {
            Some(u) => {
                let does = u.wait.as_ref().map(|w| detached_words(&facts.script, w, &u.frames));
                let rests = || format!("does not run{}", crate::script::place_words(&u.frames));
                format!("{} {}", u.words(), does.unwrap_or_else(rests))
            }
            None => format!("thread {id}"),
        },
    }
}

fn tids(nodes: &[Node]) -> Vec<Tid> {
    nodes.iter().filter_map(|n| if let Node::Native(tid) = n { Some(*tid) } else { None }).collect()
}

/// How sure a thread's wait is: one with a limit ends by itself, and one whose limit is not known may.
fn sure(facts: &Case<'_>, at: Node) -> Confidence {
    match at {
        Node::Native(tid) => match facts.thread(tid).and_then(|t| t.wait.as_ref()) {
            Some(w) if wakes_up(w) => Confidence::Guess,
            Some(w) if w.timeout == Some(Timeout::Infinite) => w.confidence,
            Some(w) => w.confidence.min(Confidence::Strong),
            None => Confidence::Guess,
        },
        Node::Detached(id) => match detached(facts, id) {
            Some(u) if u.wait.as_ref().is_some_and(|w| w.endless) => Confidence::Proven,
            _ => Confidence::Guess,
        },
    }
}

fn deadlock(facts: &Case<'_>, circle: &[Node]) -> Finding {
    let each: Vec<String> = circle.iter().map(|n| says(facts, *n)).collect();
    let least = circle.iter().map(|n| sure(facts, *n)).min().unwrap_or(Confidence::Guess);
    let mut out = Finding::new(
        FindingKind::Deadlock,
        least,
        format!("{} threads wait for each other in a circle: {}", circle.len(), each.join("; ")),
    );
    out.tids = tids(circle);
    out.tid = out.tids.first().copied();
    out.evidence = each;
    out.evidence.push("owners and waits are the runtime's own records".into());
    out.advice =
        Some("take these locks in the same order everywhere: look at the stacks of these threads".into());
    out
}

fn contention(facts: &Case<'_>, circles: &BTreeSet<Node>) -> Vec<Finding> {
    let mut by_lock: BTreeMap<Va, Vec<&Unmounted>> = BTreeMap::new();
    for u in &facts.script.unmounted {
        let object = u.wait.as_ref().filter(|w| w.owner.is_some()).and_then(|w| w.object);
        if let Some(object) = object.filter(|_| !circles.contains(&Node::Detached(u.thread.id))) {
            by_lock.entry(object).or_default().push(u);
        }
    }
    let mut out = Vec::new();
    for (object, waiters) in by_lock {
        let Some(lock) = facts.script.lock(object) else { continue };
        let Some(owner) = lock.owners.first() else { continue };
        let Some(at) = node(owner).filter(|n| !circles.contains(n)) else { continue };
        let (threads, wait) = if waiters.len() == 1 { ("thread", "waits") } else { ("threads", "wait") };
        // Who gives up after a while is not blocked.
        let waits = waiters.iter().map(|u| sure(facts, Node::Detached(u.thread.id)));
        let mut finding = Finding::new(
            FindingKind::LockContention,
            waits.min().unwrap_or(Confidence::Guess),
            format!(
                "{} virtual {threads} {wait} for the {}, whose owner is {}",
                waiters.len(),
                lock_name(lock),
                says(facts, at)
            ),
        );
        finding.owner_tid = owner.tid;
        finding.tid = owner.tid;
        finding.tids = owner.tid.into_iter().collect();
        finding.lock = Some(object);
        finding.evidence.push("the lock's owner and the waits are the runtime's own records".into());
        for u in waiters.iter().take(MAX_NAMED) {
            finding.evidence.push(says(facts, Node::Detached(u.thread.id)));
        }
        finding.advice = Some(
            "look at what the owner does while it holds the lock (script_threads in JSON, !jstack)".into(),
        );
        out.push(finding);
    }
    out
}
