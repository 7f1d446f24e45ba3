//! One chain across processes, from the symptom to the root cause.

use super::entry::entry;
use super::joins::{Join, Joins};
use super::{Digest, Incident, Link, same_process};
use crate::model::{Confidence, Finding, OwnerState};
use dumpscope_core::{Pid, Tid};
use std::collections::{BTreeMap, BTreeSet};

/// Most steps of a chain.
const MAX_STEPS: usize = 256;

/// Most threads from which a chain is tried.
const MAX_STARTS: usize = 64;

/// A walk in progress.
struct Walk<'a> {
    digests: &'a [Digest],
    joins: &'a Joins,
    /// Dumps on the way, in its order.
    dumps: Vec<usize>,
    links: Vec<Link>,
    closes_at: Option<usize>,
    gone: Option<Tid>,
    /// Processes without a dump.
    missing: BTreeSet<Pid>,
    root: String,
    seen: BTreeSet<(usize, Tid)>,
    /// How sure the way to the last link is.
    reached: Confidence,
}

/// The incident of dumps that belong together.
pub(super) fn incident(digests: &[Digest], members: &BTreeSet<usize>, joins: &Joins) -> Incident {
    let mut starts: Vec<(usize, Tid)> = Vec::new();
    let inside = joins.all.iter().filter(|j| members.contains(&j.from));
    starts.extend(inside.map(|j| (j.from, j.tid)));
    let dangling = joins.dangling.iter().filter(|(d, _)| members.contains(d));
    starts.extend(dangling.filter_map(|(d, w)| Some((*d, digests.get(*d)?.cross.get(*w)?.tid))));
    // A dump whose process nobody of the others waits for shows the symptom.
    let waited_for: BTreeSet<usize> = joins.all.iter().map(|j| j.to).collect();
    if starts.iter().any(|(d, _)| !waited_for.contains(d)) {
        starts.retain(|(d, _)| !waited_for.contains(d));
    }
    starts.sort_unstable();
    starts.dedup();
    let tried = || starts.iter().take(MAX_STARTS);
    let mut waiters: BTreeMap<usize, Waiters> = BTreeMap::new();
    for (dump, _) in tried() {
        waiters.entry(*dump).or_insert_with(|| waiters_of(digests.get(*dump)));
    }
    let walks = tried().filter_map(|(dump, tid)| {
        let first = symptom_of(waiters.get(dump)?, *tid);
        Some(Walk::from(digests, joins, *dump, first))
    });
    // The longest way explains most; then the main thread's, then the dumps that were written closest together.
    let walk = walks.min_by_key(|w| {
        (std::cmp::Reverse(w.dumps.len()), !w.begins_at_main(), w.spread(), w.dumps.first().copied())
    });
    let Some(mut walk) = walk else { return Incident::empty(members) };
    if !walk.missing.is_empty() {
        // Who dumps one process more can as well dump all that the last one waits for.
        let last = walk.dumps.last();
        let waits = joins.dangling.iter().filter(|(d, _)| Some(d) == last);
        let pids = waits.filter_map(|(d, w)| Some(digests.get(*d)?.cross.get(*w)?.pid));
        walk.missing.extend(pids);
    }
    let also = also_waiting(digests, &walk, &starts);
    let mut dumps = walk.dumps;
    for m in members {
        // Of several dumps of one process the chain took the one that fits best.
        let known = |d: &usize| digests.get(*d).zip(digests.get(*m)).is_some_and(|(a, b)| same_process(a, b));
        if !dumps.iter().any(|d| d == m || known(d)) {
            dumps.push(*m);
        }
    }
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    for d in &dumps {
        let all = digests.get(*d).map_or(&[][..], |d| &d.findings);
        findings.extend(all.iter().map(|f| (*d, f.clone())));
    }
    findings.sort_by(|a, b| (a.1.kind, b.1.confidence).cmp(&(b.1.kind, a.1.confidence)));
    Incident {
        dumps,
        confidence: walk.links.iter().map(|l| l.confidence).min().unwrap_or(Confidence::Guess),
        chain: walk.links,
        closes_at: walk.closes_at,
        gone: walk.gone,
        also_waiting: also,
        root_cause: walk.root,
        missing_dumps: walk.missing.into_iter().collect(),
        findings,
    }
}

/// Threads of other processes that wait for one of the chain's.
fn also_waiting(digests: &[Digest], walk: &Walk<'_>, starts: &[(usize, Tid)]) -> Vec<Link> {
    let mut out: Vec<Link> = Vec::new();
    let mut told: BTreeSet<(Option<Pid>, Option<Tid>)> = walk.links.iter().map(|l| (l.pid, l.tid)).collect();
    for (dump, tid) in starts.iter().filter(|s| !walk.seen.contains(s)) {
        let Some(d) = digests.get(*dump) else { continue };
        // The same thread in another dump of its process is told once.
        if told.insert((d.pid, Some(*tid))) {
            out.push(waiting(*dump, d, *tid));
        }
    }
    out
}

/// What a thread waits for, and what that rests on.
fn waiting(dump: usize, d: &Digest, tid: Tid) -> Link {
    let wait = d.threads.get(&tid);
    Link {
        dump,
        pid: d.pid,
        tid: Some(tid),
        process: d.process.clone(),
        waits_for: wait.map_or_else(|| "is doing something unknown".into(), |w| w.sentence.clone()),
        confidence: wait.and_then(|w| w.confidence).unwrap_or(Confidence::Strong),
        reached_by: Vec::new(),
        evidence: wait.map(|w| w.evidence.clone()).unwrap_or_default(),
    }
}

impl<'a> Walk<'a> {
    /// Begins at a thread.
    fn from(digests: &'a [Digest], joins: &'a Joins, dump: usize, tid: Tid) -> Walk<'a> {
        let mut walk = Walk {
            digests,
            joins,
            dumps: Vec::new(),
            links: Vec::new(),
            closes_at: None,
            gone: None,
            missing: BTreeSet::new(),
            root: String::new(),
            seen: BTreeSet::new(),
            reached: Confidence::Proven,
        };
        walk.follow(dump, tid);
        walk
    }

    fn digest(&self, at: usize) -> Option<&'a Digest> {
        self.digests.get(at)
    }

    fn begins_at_main(&self) -> bool {
        let first = self.dumps.first().and_then(|d| self.digests.get(*d));
        self.links.iter().take(1).any(|l| l.tid.is_some() && l.tid == first.and_then(|d| d.main))
    }

    /// Seconds between the first and the last of its dumps.
    fn spread(&self) -> u32 {
        let times = || self.dumps.iter().filter_map(|d| self.digests.get(*d)?.time);
        times().max().zip(times().min()).map_or(u32::MAX, |(a, b)| a.abs_diff(b))
    }

    /// Follows a thread's waits.
    fn follow(&mut self, mut dump: usize, mut tid: Tid) {
        let mut reached: (Confidence, Vec<String>) = (Confidence::Proven, Vec::new());
        for _ in 0..MAX_STEPS {
            if !self.seen.insert((dump, tid)) {
                self.circle(dump, tid, &reached);
                return;
            }
            self.visit(dump);
            let Some(d) = self.digest(dump) else { return };
            let wait = d.threads.get(&tid);
            let mut link = waiting(dump, d, tid);
            // How it waits matters where that leads on.
            let join = self.joins.of(dump, tid);
            let leads = join.is_some() || wait.is_some_and(|w| w.owner.is_some());
            let missing = if join.is_none() { d.cross.iter().find(|c| c.tid == tid) } else { None };
            link.confidence = if leads || missing.is_some() { link.confidence } else { Confidence::Proven };
            link.confidence = link.confidence.min(reached.0);
            link.reached_by = std::mem::take(&mut reached.1);
            self.reached = reached.0;
            let does = link.waits_for.clone();
            self.links.push(link);
            if let Some(join) = join {
                match self.enter(d, join) {
                    Some((entry, how)) => (dump, tid, reached) = (join.to, entry, how),
                    None => return,
                }
                continue;
            }
            if let Some(w) = missing {
                self.missing.insert(w.pid);
                let name = d.name();
                self.root = format!(
                    "thread {:x} of {name} waits for process {:x}, whose dump is missing",
                    tid.0, w.pid.0
                );
                return;
            }
            match wait.map(|w| (w.owner, w.state)) {
                Some((Some(owner), OwnerState::Alive)) => tid = owner,
                Some((Some(owner), OwnerState::Missing)) => {
                    let gone = format!("thread {:x} no longer exists", owner.0);
                    self.gone = Some(owner);
                    // Its sentence says so already for a lock.
                    let gone =
                        if does.contains("when it ended") { String::new() } else { format!(": {gone}") };
                    self.root = format!("thread {:x} of {} {does}{gone}", tid.0, d.name());
                    return;
                }
                _ => {
                    self.root = format!("thread {:x} of {} {does}", tid.0, d.name());
                    return;
                }
            }
        }
    }

    fn visit(&mut self, dump: usize) {
        if !self.dumps.contains(&dump) {
            self.dumps.push(dump);
        }
    }

    /// Over an edge between dumps: the thread there, how sure and why. `None`: the walk ends there.
    fn enter(&mut self, from: &Digest, join: &Join) -> Option<(Tid, (Confidence, Vec<String>))> {
        let to = self.digest(join.to)?;
        self.visit(join.to);
        let found = entry(from, to, join);
        let sure = if found.confirmed {
            // What the caller's own data alone would leave open.
            if let Some(caller) = self.links.last_mut() {
                caller.confidence = self.reached.min(join.moment);
            }
            found.sure.min(join.moment)
        } else {
            found.sure.min(join.sure)
        };
        let mut how = found.evidence;
        how.extend(join.evidence.iter().cloned());
        if let Some(tid) = found.tid {
            return Some((tid, (sure, how)));
        }
        self.gone = found.gone.filter(|_| to.all_threads);
        let (says, root) = match found.gone {
            Some(t) if to.all_threads => (
                format!("thread {:x}, which should act, no longer exists", t.0),
                format!("thread {:x} of {}, which should act, no longer exists", t.0, to.name()),
            ),
            Some(t) => (
                format!("thread {:x}, which should act, is not in this dump", t.0),
                format!("thread {:x} of {}, which should act, is not in its dump", t.0, to.name()),
            ),
            None => (
                "nothing in this process is blocked".into(),
                format!(
                    "nothing in {} is blocked at the time of its dump: what was asked of it may have come later",
                    to.name()
                ),
            ),
        };
        self.links.push(Link {
            dump: join.to,
            pid: to.pid,
            tid: None,
            process: to.process.clone(),
            waits_for: says,
            confidence: sure,
            reached_by: how,
            evidence: Vec::new(),
        });
        self.root = root;
        None
    }

    /// The chain comes back to itself.
    fn circle(&mut self, dump: usize, tid: Tid, reached: &(Confidence, Vec<String>)) {
        let Some(d) = self.digest(dump) else { return };
        let (pid, name) = (d.pid, d.name());
        // What closes the circle is as much a part of it as the other steps.
        if let Some(last) = self.links.last_mut() {
            last.confidence = last.confidence.min(reached.0);
            last.evidence.extend(reached.1.iter().cloned());
        }
        let from = self.links.iter().position(|l| l.pid == pid && l.tid == Some(tid)).unwrap_or(0);
        self.closes_at = Some(from);
        let part = self.links.get(from..).unwrap_or_default();
        let step = |l: &Link| format!("{:x}.{:x}", l.pid.map_or(0, |p| p.0), l.tid.map_or(0, |t| t.0));
        // The first one once more: a reader sees where it closes.
        let names: Vec<String> = part.iter().chain(part.first()).map(step).collect();
        let across = part.iter().any(|l| l.pid != pid);
        let whose = if across { "several processes".to_owned() } else { name };
        self.root = format!("threads of {whose} wait for each other in a circle: {}", names.join(" -> "));
    }
}

/// The threads of a process that wait for each of its threads, by their ids.
type Waiters = BTreeMap<Tid, Vec<Tid>>;

fn waiters_of(d: Option<&Digest>) -> Waiters {
    let mut out = Waiters::new();
    for (tid, wait) in d.into_iter().flat_map(|d| &d.threads) {
        if let Some(owner) = wait.owner.filter(|_| !wait.passing) {
            out.entry(owner).or_default().push(*tid);
        }
    }
    out
}

/// A chain of waits that begins at a thread which waits for another process is told from the first of the threads of
/// its own process that wait for it; the thread itself when none does.
fn symptom_of(waiters: &Waiters, tid: Tid) -> Tid {
    let mut at = tid;
    let mut seen = BTreeSet::from([tid]);
    for _ in 0..MAX_STEPS {
        let next = waiters.get(&at).and_then(|all| all.iter().find(|t| !seen.contains(t)));
        let Some(t) = next else { break };
        seen.insert(*t);
        at = *t;
    }
    at
}
