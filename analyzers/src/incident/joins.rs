//! Edges between dumps: a thread of one waits for the process of another.

use super::digest::{PORT, Wanted};
use super::{Digest, same_moment};
use crate::model::Confidence;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Pid, Tid};
use std::collections::BTreeMap;

/// What the thread wants of the other process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Something of it alone.
    Wants(Wanted),
    /// An object that both have open; nothing says who has to act.
    Shares,
}

/// An edge between dumps.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) from: usize,
    /// The thread that waits.
    pub(super) tid: Tid,
    pub(super) to: usize,
    /// The thread that has to act, when known.
    pub(super) server: Option<Tid>,
    pub(super) role: Role,
    /// How sure it is that this process is waited for.
    pub(super) sure: Confidence,
    /// How sure it is that both dumps are of one machine and moment.
    pub(super) moment: Confidence,
    /// What that rests on.
    pub(super) evidence: Vec<String>,
}

/// All edges, and the waits whose process has no dump: position of the dump and of its wait.
#[derive(Debug, Default)]
pub(super) struct Joins {
    pub(super) all: Vec<Join>,
    by_thread: BTreeMap<(usize, Tid), usize>,
    pub(super) dangling: Vec<(usize, usize)>,
}

impl Joins {
    /// The edge of a thread.
    pub(super) fn of(&self, dump: usize, tid: Tid) -> Option<&Join> {
        self.all.get(*self.by_thread.get(&(dump, tid))?)
    }

    fn push(&mut self, join: Join) {
        // The first is the best one: a thread waits for one thing.
        self.by_thread.entry((join.from, join.tid)).or_insert(self.all.len());
        self.all.push(join);
    }
}

/// Finds the edges.
pub(super) fn joins(digests: &[Digest]) -> Joins {
    let mut by_pid: BTreeMap<Pid, Vec<usize>> = BTreeMap::new();
    for (i, d) in digests.iter().enumerate() {
        if let Some(pid) = d.pid {
            by_pid.entry(pid).or_default().push(i);
        }
    }
    let mut out = Joins::default();
    for (from, d) in digests.iter().enumerate() {
        for (wait, w) in d.cross.iter().enumerate() {
            let there = by_pid.get(&w.pid).map_or(&[][..], Vec::as_slice);
            match nearest(digests, from, there) {
                Some((sure, evidence, to)) => out.push(Join {
                    from,
                    tid: w.tid,
                    to,
                    server: w.server,
                    role: Role::Wants(w.wanted),
                    sure: sure.min(w.confidence),
                    moment: sure,
                    evidence,
                }),
                // A dump with this pid that is of another machine or time proves nothing, and one that fits may
                // not exist: nothing is said.
                None if there.is_empty() => out.dangling.push((from, wait)),
                None => {}
            }
        }
    }
    by_name(digests, &mut out);
    out
}

/// The dump of `others` that fits best: the surest, then the one that was written nearest in time.
fn nearest(digests: &[Digest], from: usize, others: &[usize]) -> Option<(Confidence, Vec<String>, usize)> {
    let d = digests.get(from)?;
    let fits = others.iter().filter(|to| **to != from).filter_map(|to| {
        let other = digests.get(*to)?;
        let apart = d.time.zip(other.time).map_or(u32::MAX, |(a, b)| a.abs_diff(b));
        let (sure, evidence) = same_moment(d, other)?;
        Some((sure, evidence, apart, *to))
    });
    let best = fits.min_by_key(|(sure, _, apart, to)| (std::cmp::Reverse(*sure), *apart, *to))?;
    Some((best.0, best.1, best.3))
}

/// Threads that wait for an object with a name which another process has open, too.
fn by_name(digests: &[Digest], out: &mut Joins) {
    type Key<'a> = (Option<&'a str>, &'a str, &'a str);
    let mut open: BTreeMap<Key<'_>, Vec<usize>> = BTreeMap::new();
    for (i, d) in digests.iter().enumerate() {
        let computer = d.machine.computer.as_deref();
        for o in &d.objects {
            let all = open.entry((computer, o.type_name.as_str(), o.name.as_str())).or_default();
            if all.last() != Some(&i) {
                all.push(i);
            }
        }
    }
    for (from, d) in digests.iter().enumerate() {
        let computer = d.machine.computer.as_deref();
        for (tid, w) in &d.threads {
            let Some((type_name, name)) = &w.named else { continue };
            // A dump that does not name its computer may be of this one; then other signs must say so.
            let mut places = vec![None];
            places.extend(computer.map(Some));
            let lists = places.into_iter().filter_map(|c| open.get(&(c, type_name.as_str(), name.as_str())));
            let others: Vec<usize> = lists.flatten().copied().filter(|i| *i != from).collect();
            if let Some(join) = shared(digests, from, *tid, (type_name, name), &others) {
                out.push(join);
            }
        }
    }
}

/// The edge to the process that owns the object, or to the only other one that has it open.
fn shared(
    digests: &[Digest],
    from: usize,
    tid: Tid,
    (type_name, name): (&str, &str),
    others: &[usize],
) -> Option<Join> {
    let d = digests.get(from)?;
    let pid = |i: &usize| digests.get(*i).and_then(|o| o.pid);
    let fits = |i: &&usize| {
        let other = digests.get(**i);
        pid(i) != d.pid
            && other.and_then(|o| same_moment(d, o)).is_some_and(|(sure, _)| sure >= Confidence::Strong)
    };
    let others: Vec<usize> = others.iter().filter(fits).copied().collect();
    let owner = |i: &usize| digests.get(*i).and_then(|o| o.owner_of(type_name, name));
    // Only the process that created a port has a handle with the port's name.
    let is_port = type_name == PORT.0;
    let what = format!("{} \"{}\"", escape(&type_name.to_ascii_lowercase()), escape(name));
    let owners: Vec<usize> = others.iter().copied().filter(|i| owner(i).is_some()).collect();
    let (from_owner, candidates) = match owners.is_empty() {
        true => (false, others),
        false => (true, owners),
    };
    // Several dumps of one process are one process; two processes: neither is named.
    let first = candidates.first().and_then(pid);
    if first.is_none() || candidates.iter().any(|i| pid(i) != first) {
        return None;
    }
    // Many threads wait for shared events all day: without an owner only one that a finding names counts.
    let matters = || d.findings.iter().any(|f| f.tid == Some(tid) || f.tids.contains(&tid));
    if !from_owner && !is_port && !matters() {
        return None;
    }
    let (sure, mut evidence, to) = nearest(digests, from, &candidates)?;
    let other = digests.get(to)?;
    let server = owner(&to);
    if from_owner {
        let owner = server.map_or(0, |t| t.0);
        evidence.push(format!(
            "the handle data of {} name its thread {owner:x} as owner of the {what}",
            other.name()
        ));
    } else if is_port {
        evidence
            .push(format!("{} is the only process here that has the {what} open by its name", other.name()));
    } else {
        evidence.push(format!(
            "{} is the only other process here that has the {what} open; nothing says who has to act",
            other.name()
        ));
    }
    Some(Join {
        from,
        tid,
        to,
        server,
        role: match (from_owner, is_port) {
            (true, _) => Role::Wants(Wanted::Object),
            (false, true) => Role::Wants(Wanted::Answer),
            (false, false) => Role::Shares,
        },
        sure: match (from_owner, is_port) {
            (true, _) => sure,
            (false, true) => sure.min(Confidence::Strong),
            (false, false) => Confidence::Guess,
        },
        moment: sure,
        evidence,
    })
}
