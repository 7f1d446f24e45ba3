//! Several dumps of one machine and moment: who waits for whom across processes.
//!
//! A [`Digest`] holds what is needed of one dump, so that thousands can be compared without keeping them open.
//! Dumps are joined when a thread of one waits for the process of another and both are of the same machine and time:
//! process ids repeat over machines and over time.

mod chain;
mod digest;
mod entry;
mod joins;
mod machine;

pub use digest::{CrossWait, Digest, NamedObject, Serving, ThreadWait, Wanted};
pub use machine::{MachineId, system_uptime};

use crate::model::{Confidence, Finding};
use dumpscope_core::{Pid, Tid};
use joins::Join;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds by which clocks of dumps may differ (times of dumps are whole seconds).
const SLACK: u32 = 60;

/// Dumps that were written further apart than this (seconds) are compared as a guess only.
const APART: u32 = 3600;

/// Seconds by which the creation time of one process may differ between dumps.
const SAME_START: u32 = 2;

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Position of the dump in the input.
    pub dump: usize,
    /// Process.
    pub pid: Option<Pid>,
    /// Thread; `None` when it is not known which one.
    pub tid: Option<Tid>,
    /// Name of the process's program. Untrusted.
    pub process: Option<String>,
    /// What it waits for, one sentence without a full stop. Untrusted.
    pub waits_for: String,
    /// How sure this step is: that this thread comes next, and that it waits for what comes after it.
    pub confidence: Confidence,
    /// Why this thread comes after the one before, when that is of another process. Untrusted.
    pub reached_by: Vec<String>,
    /// What its wait rests on. Untrusted.
    pub evidence: Vec<String>,
}

/// Dumps that belong together, or one that leads to a process without a dump.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Positions of the dumps in the input, symptom first.
    pub dumps: Vec<usize>,
    /// From the symptom to the cause.
    pub chain: Vec<Link>,
    /// The step that the last one waits for, when they wait for each other in a circle.
    pub closes_at: Option<usize>,
    /// A thread that no longer exists and that the last step waits for.
    pub gone: Option<Tid>,
    /// Other threads that wait for a process of these dumps.
    pub also_waiting: Vec<Link>,
    /// One sentence without a full stop. Untrusted.
    pub root_cause: String,
    /// Processes whose dump would extend the chain.
    pub missing_dumps: Vec<Pid>,
    /// How sure: as the least sure step.
    pub confidence: Confidence,
    /// Findings of all its dumps, worst first, each with the position of its dump.
    pub findings: Vec<(usize, Finding)>,
}

impl Incident {
    fn empty(members: &BTreeSet<usize>) -> Incident {
        Incident {
            dumps: members.iter().copied().collect(),
            chain: Vec::new(),
            closes_at: None,
            gone: None,
            also_waiting: Vec::new(),
            root_cause: String::new(),
            missing_dumps: Vec::new(),
            confidence: Confidence::Guess,
            findings: Vec::new(),
        }
    }
}

/// Whether two dumps are of one machine and moment, and what says so; `None` when they are not.
#[must_use]
pub fn same_moment(a: &Digest, b: &Digest) -> Option<(Confidence, Vec<String>)> {
    let (mut sure, mut says) = a.machine.same(&b.machine)?;
    match (a.lifetime(), b.lifetime()) {
        (Some((from_a, to_a)), Some((from_b, to_b))) => {
            let overlap = from_a <= to_b.saturating_add(SLACK) && from_b <= to_a.saturating_add(SLACK);
            if !overlap {
                return None;
            }
            let apart = to_a.abs_diff(to_b);
            says.push(format!("they were written {apart} s apart"));
            if apart > APART {
                sure = Confidence::Guess;
            }
        }
        _ => {
            says.push("when they were written is not known".into());
            sure = Confidence::Guess;
        }
    }
    Some((sure, says))
}

/// Whether two dumps are of one process: of its id and start, and not of two machines.
fn same_process(a: &Digest, b: &Digest) -> bool {
    let differ = |x: Option<u32>, y: Option<u32>| x.zip(y).is_some_and(|(x, y)| x.abs_diff(y) > SAME_START);
    a.pid.is_some()
        && a.pid == b.pid
        && a.process == b.process
        && !differ(a.started, b.started)
        && a.machine.same(&b.machine).is_some()
}

/// Finds the incidents of a batch, in the order of their first dumps.
#[must_use]
pub fn incidents(digests: &[Digest]) -> Vec<Incident> {
    let joins = joins::joins(digests);
    let mut out: Vec<Incident> = Vec::new();
    for members in components(digests.len(), &joins.all) {
        out.push(chain::incident(digests, &members, &joins));
    }
    let joined: BTreeSet<usize> = joins.all.iter().flat_map(|j| [j.from, j.to]).collect();
    let alone: BTreeSet<usize> =
        joins.dangling.iter().map(|(d, _)| *d).filter(|d| !joined.contains(d)).collect();
    for d in alone {
        out.push(chain::incident(digests, &BTreeSet::from([d]), &joins));
    }
    let mut out = once(digests, out);
    out.sort_by_key(|i| i.dumps.iter().min().copied());
    out
}

/// Several dumps of the same processes that show the same chain are one incident: the one whose dumps were written
/// closest together.
fn once(digests: &[Digest], all: Vec<Incident>) -> Vec<Incident> {
    type Steps = Vec<(Option<Pid>, Option<Tid>)>;
    let mut kept: BTreeMap<Steps, Vec<Incident>> = BTreeMap::new();
    for i in all {
        let steps: Steps = i.chain.iter().map(|l| (l.pid, l.tid)).collect();
        let group = kept.entry(steps).or_default();
        match group.iter_mut().find(|k| same_processes(digests, k, &i)) {
            Some(k) if spread(digests, k) <= spread(digests, &i) => {}
            Some(k) => *k = i,
            None => group.push(i),
        }
    }
    kept.into_values().flatten().collect()
}

fn same_processes(digests: &[Digest], a: &Incident, b: &Incident) -> bool {
    let same = |(x, y): (&usize, &usize)| {
        digests.get(*x).zip(digests.get(*y)).is_some_and(|(x, y)| same_process(x, y))
    };
    a.dumps.len() == b.dumps.len() && a.dumps.iter().zip(&b.dumps).all(same)
}

/// Seconds between the first and the last dump.
fn spread(digests: &[Digest], i: &Incident) -> u32 {
    let times = || i.dumps.iter().filter_map(|d| digests.get(*d)?.time);
    times().max().zip(times().min()).map_or(u32::MAX, |(a, b)| a.abs_diff(b))
}

/// Dumps that joins connect, each group in ascending order.
fn components(count: usize, joins: &[Join]) -> Vec<BTreeSet<usize>> {
    let mut neighbours: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for j in joins.iter().filter(|j| j.from < count && j.to < count) {
        neighbours.entry(j.from).or_default().push(j.to);
        neighbours.entry(j.to).or_default().push(j.from);
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for start in neighbours.keys() {
        if !seen.insert(*start) {
            continue;
        }
        let mut members = BTreeSet::from([*start]);
        let mut work = vec![*start];
        while let Some(at) = work.pop() {
            for next in neighbours.get(&at).into_iter().flatten() {
                if seen.insert(*next) {
                    members.insert(*next);
                    work.push(*next);
                }
            }
        }
        out.push(members);
    }
    out
}

#[cfg(test)]
mod tests;
