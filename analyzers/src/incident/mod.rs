//! Several dumps of one machine and moment: who waits for whom across processes.
//!
//! A [`Digest`] holds what is needed of one dump, so that thousands can be compared without keeping them open.
//! Dumps are joined when a thread of one waits for the process of another and both are of the same machine and time:
//! process ids repeat over machines and over time.

mod chain;
mod digest;

pub use digest::{CrossWait, Digest, MachineId, NamedObject, Serving, ThreadWait};

use crate::triage::{Confidence, Finding};
use dumpscope_core::{Pid, Tid};
use std::collections::{BTreeMap, BTreeSet};

/// Seconds by which clocks of dumps may differ (times of dumps are whole seconds).
const SLACK: u32 = 60;

/// Dumps that were written further apart than this (seconds) are compared as a guess only.
const APART: u32 = 3600;

/// One step of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Process.
    pub pid: Option<Pid>,
    /// Thread; `None` when it is not known which one.
    pub tid: Option<Tid>,
    /// Name of the process's program. Untrusted.
    pub process: Option<String>,
    /// What it waits for, one sentence without a full stop. Untrusted.
    pub waits_for: String,
}

/// Dumps that belong together, or one that leads to a process without a dump.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Positions of the dumps in the input, symptom first.
    pub dumps: Vec<usize>,
    /// From the symptom to the cause.
    pub chain: Vec<Link>,
    /// One sentence without a full stop. Untrusted.
    pub root_cause: String,
    /// Processes whose dump would extend the chain.
    pub missing_dumps: Vec<Pid>,
    /// How sure.
    pub confidence: Confidence,
    /// Findings of all its dumps, worst first, each with the position of its dump.
    pub findings: Vec<(usize, Finding)>,
}

/// Whether two dumps are of one machine and moment; `None` when they are not.
#[must_use]
pub fn same_moment(a: &Digest, b: &Digest) -> Option<Confidence> {
    let mut sure = a.machine.same(&b.machine)?;
    match (a.lifetime(), b.lifetime()) {
        (Some((from_a, to_a)), Some((from_b, to_b))) => {
            let overlap = from_a <= to_b.saturating_add(SLACK) && from_b <= to_a.saturating_add(SLACK);
            if !overlap {
                return None;
            }
            if to_a.abs_diff(to_b) > APART {
                sure = Confidence::Guess;
            }
        }
        _ => sure = Confidence::Guess,
    }
    Some(sure)
}

/// An edge between dumps.
#[derive(Clone, Copy, Debug)]
struct Join {
    /// Position of the wait in the digest's `cross`.
    wait: usize,
    from: usize,
    to: usize,
    sure: Confidence,
}

/// Finds the incidents of a batch, in the order of their first dumps.
#[must_use]
pub fn incidents(digests: &[Digest]) -> Vec<Incident> {
    let mut by_pid: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
    for (i, d) in digests.iter().enumerate() {
        if let Some(pid) = d.pid {
            by_pid.entry(pid).or_default().push(i);
        }
    }
    let mut joins: Vec<Join> = Vec::new();
    let mut dangling: Vec<(usize, usize)> = Vec::new();
    for (from, d) in digests.iter().enumerate() {
        for (wait, w) in d.cross.iter().enumerate() {
            let there = by_pid.get(&w.pid).map_or(&[][..], Vec::as_slice);
            let fits = there.iter().filter(|to| **to != from).filter_map(|to| {
                let other = digests.get(*to)?;
                let apart = d.time.zip(other.time).map_or(u32::MAX, |(a, b)| a.abs_diff(b));
                Some((same_moment(d, other)?, apart, *to))
            });
            // The surest, then the one that was written nearest in time.
            let best = fits.min_by_key(|(sure, apart, to)| (std::cmp::Reverse(*sure), *apart, *to));
            match best {
                Some((sure, _, to)) => joins.push(Join { wait, from, to, sure: sure.min(w.confidence) }),
                // A dump with this pid that is of another machine or time proves nothing, and one that fits may
                // not exist: nothing is said.
                None if there.is_empty() => dangling.push((from, wait)),
                None => {}
            }
        }
        objects(digests, from, &mut joins);
    }
    let mut out = Vec::new();
    for members in components(digests.len(), &joins) {
        out.push(chain::incident(digests, &members, &joins, &dangling));
    }
    let joined: BTreeSet<usize> = joins.iter().flat_map(|j| [j.from, j.to]).collect();
    let alone: BTreeSet<usize> = dangling.iter().map(|(d, _)| *d).filter(|d| !joined.contains(d)).collect();
    for d in alone {
        out.push(chain::incident(digests, &BTreeSet::from([d]), &joins, &dangling));
    }
    out.sort_by_key(|i| i.dumps.iter().min().copied());
    out
}

/// Pseudo position of a wait for a named object: no wait of `cross`.
const BY_NAME: usize = usize::MAX;

/// A thread waits for a named object that another process has open too: a guess, and only when it names one process.
fn objects(digests: &[Digest], from: usize, joins: &mut Vec<Join>) {
    let Some(d) = digests.get(from) else { return };
    if joins.iter().any(|j| j.from == from) {
        return;
    }
    for object in d.objects.iter().filter(|o| o.waited_by.is_some()) {
        let has_it =
            |o: &Digest| o.objects.iter().any(|x| x.name == object.name && x.type_name == object.type_name);
        let mut others = digests.iter().enumerate().filter(|(i, o)| {
            *i != from
                && o.pid != d.pid
                && same_moment(d, o).is_some_and(|s| s >= Confidence::Strong)
                && has_it(o)
        });
        if let (Some((to, _)), None) = (others.next(), others.next()) {
            joins.push(Join { wait: BY_NAME, from, to, sure: Confidence::Guess });
            return;
        }
    }
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
