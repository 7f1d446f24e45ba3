//! One chain across processes, from the symptom to the root cause.

use super::{BY_NAME, Digest, Incident, Join, Link};
use crate::locks::Owner;
use crate::triage::{Confidence, Finding, FindingKind};
use dumpscope_core::{Pid, Tid};
use std::collections::BTreeSet;

/// Most steps of a chain.
const MAX_STEPS: usize = 256;

/// What blocks a call that comes in, when nothing says which thread serves it. A lock whose owner is gone stops
/// every request that needs it; a circle first of all its own members.
const BLOCKERS: [FindingKind; 7] = [
    FindingKind::OrphanedLock,
    FindingKind::Deadlock,
    FindingKind::LockContention,
    FindingKind::BlockedOnProcess,
    FindingKind::BusyLoop,
    FindingKind::Waiting,
    FindingKind::Crash,
];

/// A walk in progress.
struct Walk<'a> {
    digests: &'a [Digest],
    joins: &'a [Join],
    dumps: Vec<usize>,
    links: Vec<Link>,
    confidence: Confidence,
    missing: BTreeSet<Pid>,
    root: String,
    seen: BTreeSet<(usize, Option<Tid>)>,
}

/// The incident of dumps that belong together.
pub(super) fn incident(
    digests: &[Digest],
    members: &BTreeSet<usize>,
    joins: &[Join],
    dangling: &[(usize, usize)],
) -> Incident {
    let mut walk = Walk {
        digests,
        joins,
        dumps: Vec::new(),
        links: Vec::new(),
        confidence: Confidence::Proven,
        missing: BTreeSet::new(),
        root: String::new(),
        seen: BTreeSet::new(),
    };
    // A dump whose process nobody of the others waits for shows the symptom.
    let waited_for: BTreeSet<usize> = joins.iter().map(|j| j.to).collect();
    let has_wait = |d: &usize| digests.get(*d).is_some_and(|d| !d.cross.is_empty());
    let by_name = |d: &usize| joins.iter().any(|j| j.from == *d);
    let starts = || members.iter().filter(|d| has_wait(d) || by_name(d));
    let start = starts().find(|d| !waited_for.contains(d)).or_else(|| starts().next());
    if let Some(start) = start.copied() {
        walk.begin(start);
    }
    for (d, wait) in dangling.iter().filter(|(d, _)| members.contains(d)) {
        let pid = digests.get(*d).and_then(|d| d.cross.get(*wait)).map(|w| w.pid);
        walk.missing.extend(pid);
    }
    let mut dumps = walk.dumps;
    dumps.extend(members.iter().copied());
    let mut once = BTreeSet::new();
    dumps.retain(|d| once.insert(*d));
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    for d in &dumps {
        let all = digests.get(*d).map_or(&[][..], |d| &d.findings);
        findings.extend(all.iter().map(|f| (*d, f.clone())));
    }
    findings.sort_by(|a, b| (a.1.kind, b.1.confidence).cmp(&(b.1.kind, a.1.confidence)));
    Incident {
        dumps,
        chain: walk.links,
        root_cause: walk.root,
        missing_dumps: walk.missing.into_iter().collect(),
        confidence: walk.confidence,
        findings,
    }
}

impl Walk<'_> {
    fn digest(&self, at: usize) -> Option<&Digest> {
        self.digests.get(at)
    }

    /// Begins at the thread of a dump that waits for another process: one whose server has a dump, then the main one.
    fn begin(&mut self, start: usize) {
        let joined = |wait: usize| self.joins.iter().any(|j| j.from == start && j.wait == wait);
        let Some(d) = self.digest(start) else { return };
        let best = d
            .cross
            .iter()
            .enumerate()
            .min_by_key(|(i, w)| (!joined(*i), !w.is_main, std::cmp::Reverse(w.confidence), *i))
            .map(|(_, w)| w.tid);
        let named = d.objects.iter().find_map(|o| o.waited_by);
        let Some(tid) = best.or(named) else { return };
        // Threads of the same process that wait for that thread come before it.
        let first = symptom_of(d, tid);
        self.thread(start, first);
    }

    /// Follows a thread's waits.
    fn thread(&mut self, mut dump: usize, mut tid: Tid) {
        for _ in 0..MAX_STEPS {
            if !self.seen.insert((dump, Some(tid))) {
                self.circle(dump, tid);
                return;
            }
            if !self.dumps.contains(&dump) {
                self.dumps.push(dump);
            }
            let Some(d) = self.digests.get(dump) else { return };
            let wait = d.threads.get(&tid);
            let does = wait.map_or_else(|| "is doing something unknown".into(), |w| w.sentence.clone());
            self.links.push(Link {
                pid: d.pid,
                tid: Some(tid),
                process: d.process.clone(),
                waits_for: does.clone(),
            });
            if let Some(sure) =
                wait.and_then(|w| w.confidence).filter(|_| wait.is_some_and(|w| w.owner.is_some()))
            {
                self.confidence = self.confidence.min(sure);
            }
            let cross = d.cross.iter().position(|c| c.tid == tid);
            match (cross, wait.and_then(|w| w.owner), wait.map(|w| w.state)) {
                (Some(c), ..) => match self.across(dump, c) {
                    Some((next, entry)) => (dump, tid) = (next, entry),
                    None => return,
                },
                (None, Some(owner), Some(Owner::Alive)) => tid = owner,
                (None, Some(owner), Some(Owner::Missing)) => {
                    self.root = format!(
                        "thread {:x} of {} {does}: thread {:x} no longer exists",
                        tid.0,
                        d.name(),
                        owner.0
                    );
                    return;
                }
                _ => {
                    let by_name = self.joins.iter().find(|j| j.from == dump && j.wait == BY_NAME);
                    let waits = d.objects.iter().any(|o| o.waited_by == Some(tid));
                    if let Some(j) = by_name.filter(|_| waits) {
                        self.confidence = Confidence::Guess;
                        match self.enter(j.to, None, d.pid) {
                            Some(entry) => (dump, tid) = (j.to, entry),
                            None => return,
                        }
                        continue;
                    }
                    self.root = format!("thread {:x} of {} {does}", tid.0, d.name());
                    return;
                }
            }
        }
    }

    /// From a wait for another process to the thread there that should act.
    fn across(&mut self, dump: usize, wait: usize) -> Option<(usize, Tid)> {
        let d = self.digests.get(dump)?;
        let w = d.cross.get(wait)?;
        self.confidence = self.confidence.min(w.confidence);
        let Some(join) = self.joins.iter().find(|j| j.from == dump && j.wait == wait) else {
            self.missing.insert(w.pid);
            self.root = format!(
                "thread {:x} of {} waits for process {:x}, whose dump is missing",
                w.tid.0,
                d.name(),
                w.pid.0
            );
            return None;
        };
        self.confidence = self.confidence.min(join.sure);
        let entry = self.enter(join.to, w.server, d.pid)?;
        Some((join.to, entry))
    }

    /// The thread of a process that should act for `client`; without one the walk ends there.
    fn enter(&mut self, dump: usize, server: Option<Tid>, client: Option<Pid>) -> Option<Tid> {
        let d = self.digests.get(dump)?;
        if !self.dumps.contains(&dump) {
            self.dumps.push(dump);
        }
        if let Some(tid) = server {
            if d.threads.contains_key(&tid) {
                return Some(tid);
            }
            self.links.push(link(
                d,
                None,
                format!("thread {:x}, which should answer, no longer exists", tid.0),
            ));
            self.root = format!("thread {:x} of {}, which should answer, no longer exists", tid.0, d.name());
            return None;
        }
        // Who says that it serves this client is it; who serves somebody probably is.
        if let Some(s) = d.serving.iter().find(|s| client.is_some() && s.client == client) {
            return Some(s.tid);
        }
        let blocked = |tid: &Tid| d.threads.get(tid).is_some_and(|w| w.confidence.is_some());
        self.confidence = self.confidence.min(Confidence::Strong);
        let mut serving =
            d.serving.iter().filter(|s| s.client.is_none_or(|c| Some(c) == client) && blocked(&s.tid));
        if let Some(s) = serving.next() {
            if serving.next().is_some() {
                self.confidence = Confidence::Guess;
            }
            return Some(s.tid);
        }
        let finding =
            BLOCKERS.iter().find_map(|k| d.findings.iter().find(|f| f.kind == *k && f.tid.is_some()));
        let tid = finding.and_then(first_victim);
        if tid.is_none() {
            let text = "nothing in this process is blocked".to_owned();
            self.links.push(link(d, None, text));
            self.root = format!(
                "nothing in {} is blocked at the time of its dump: the call may have come later",
                d.name()
            );
            self.confidence = Confidence::Guess;
        }
        tid
    }

    /// The chain comes back to itself.
    fn circle(&mut self, dump: usize, tid: Tid) {
        let Some(d) = self.digest(dump) else { return };
        let (pid, name) = (d.pid, d.name());
        let from = self.links.iter().position(|l| l.pid == pid && l.tid == Some(tid)).unwrap_or(0);
        let part = self.links.get(from..).unwrap_or_default();
        let names: Vec<String> = part
            .iter()
            .map(|l| {
                let p = l.pid.map_or(0, |p| p.0);
                format!("{:x}.{:x}", p, l.tid.map_or(0, |t| t.0))
            })
            .collect();
        let across = part.iter().any(|l| l.pid != pid);
        self.root = match across {
            true => format!(
                "threads of several processes wait for each other in a circle: {}",
                names.join(" -> ")
            ),
            false => format!("threads of {name} wait for each other in a circle: {}", names.join(" -> ")),
        };
    }
}

fn link(d: &Digest, tid: Option<Tid>, waits_for: String) -> Link {
    Link { pid: d.pid, tid, process: d.process.clone(), waits_for }
}

/// The thread of a finding that a request would be: a waiter, not the owner.
fn first_victim(f: &Finding) -> Option<Tid> {
    match f.kind {
        FindingKind::LockContention => f.tids.first().copied().or(f.tid),
        _ => f.tid,
    }
}

/// The first thread of the longest chain of waits that ends at `tid`; the thread itself when none waits for it.
fn symptom_of(d: &Digest, tid: Tid) -> Tid {
    let mut at = tid;
    let mut seen = BTreeSet::from([tid]);
    for _ in 0..MAX_STEPS {
        let waits = d.threads.iter().find(|(t, w)| w.owner == Some(at) && !seen.contains(t));
        let Some((t, _)) = waits else { break };
        seen.insert(*t);
        at = *t;
    }
    at
}
