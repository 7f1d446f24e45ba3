//! Something that the main work depends on waits for an object with no known owner.

use super::graph::{self, dependents, edge, is_bystander, towards, wakes_up};
use super::witness::{Witness, Witnesses};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingClass, FindingKind, Kind, ThreadFacts, Wait};
use crate::waits::stacks_with;
use dumpscope_core::{Tid, Va};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most other threads that the evidence lists.
const MAX_LISTED: usize = 16;

/// Most threads with a handle's value on their stacks that are named.
const MAX_HOLDERS: usize = 4;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    if graph::crashed(facts) {
        return Vec::new(); // the threads of a process that crashed wait for nothing that matters
    }
    let waited = dependents(facts);
    let count = |tid: Tid| waited.get(&tid).copied().unwrap_or(0);
    let own = facts.target.dump.pid();
    let witnesses = Witnesses::of(facts);
    let mut candidates: Vec<(&ThreadFacts, Witness)> = facts
        .threads
        .iter()
        .filter(|t| {
            let Some(w) = t.wait.as_ref() else { return false };
            let elsewhere = w.owner_pid.is_some_and(|p| own.is_some_and(|o| o != p));
            // Who waits for a thread that is still there, or for another process, is explained by those.
            !is_bystander(t)
                && !wakes_up(w)
                && !elsewhere
                && edge(facts, t).is_none()
                && w.owner_tid.is_none()
        })
        .filter_map(|t| Some((t, witnesses.of_thread(facts, t)?)))
        .collect();
    let sizes = GroupSizes::of(facts);
    // A suspect that others may wait for matters more than the waiters.
    let rank = |(t, _): &(&ThreadFacts, Witness)| {
        (Reverse(count(t.tid)), towards(facts, t).is_some(), !t.is_main, Reverse(sizes.of_thread(t)), t.index)
    };
    candidates.sort_by_cached_key(rank);
    let Some((first, witness)) = candidates.first() else { return held_up(facts) };
    // Threads that wait for something are in every process: one that nothing depends on says nothing when others
    // are known to be blocked.
    let matters = first.is_main || count(first.tid) > 0;
    let blocked = |t: &ThreadFacts| {
        let w = t.wait.as_ref().filter(|w| w.confidence >= Confidence::Strong);
        w.is_some_and(|w| w.owner_tid.is_some() || w.owner_pid.is_some())
    };
    if !matters && facts.threads.iter().any(blocked) {
        return Vec::new();
    }
    vec![finding(facts, first, witness, count(first.tid))]
}

/// Threads that wait for the same thing, the thread itself included.
fn group(facts: &Case<'_>, of: &ThreadFacts) -> Vec<Tid> {
    let same = |t: &ThreadFacts| {
        let (Some(a), Some(b)) = (of.wait.as_ref(), t.wait.as_ref()) else { return false };
        let address = a.address.is_some() && a.address == b.address;
        let handle = a.handles.as_ref().is_some_and(|h| h.len() == 1) && a.handles == b.handles;
        t.tid == of.tid || (a.kind == b.kind && (address || handle))
    };
    facts.threads.iter().filter(|t| same(t)).map(|t| t.tid).collect()
}

/// How many threads [`group`] would find for each, without looking at every pair.
#[derive(Default)]
struct GroupSizes {
    addresses: BTreeMap<(Kind, Va), usize>,
    handles: BTreeMap<(Kind, u64), usize>,
    both: BTreeMap<(Kind, Va, u64), usize>,
}

impl GroupSizes {
    fn of(facts: &Case<'_>) -> GroupSizes {
        let mut out = GroupSizes::default();
        for w in facts.threads.iter().filter_map(|t| t.wait.as_ref()) {
            let (address, handle) = (w.address, one_handle(w));
            if let Some(a) = address {
                *out.addresses.entry((w.kind, a)).or_default() += 1;
            }
            if let Some(h) = handle {
                *out.handles.entry((w.kind, h)).or_default() += 1;
            }
            if let (Some(a), Some(h)) = (address, handle) {
                *out.both.entry((w.kind, a, h)).or_default() += 1;
            }
        }
        out
    }

    fn of_thread(&self, t: &ThreadFacts) -> usize {
        let Some(w) = t.wait.as_ref() else { return 1 };
        let (address, handle) = (w.address, one_handle(w));
        let by_address = address.and_then(|a| self.addresses.get(&(w.kind, a))).copied().unwrap_or(0);
        let by_handle = handle.and_then(|h| self.handles.get(&(w.kind, h))).copied().unwrap_or(0);
        let twice =
            address.zip(handle).and_then(|(a, h)| self.both.get(&(w.kind, a, h))).copied().unwrap_or(0);
        by_address.saturating_add(by_handle).saturating_sub(twice).max(1)
    }
}

fn one_handle(w: &Wait) -> Option<u64> {
    if let Some(&[handle]) = w.handles.as_deref() { Some(handle) } else { None }
}

fn finding(facts: &Case<'_>, t: &ThreadFacts, witness: &Witness, dependents: usize) -> Finding {
    let sure = witness.sure();
    let does = t.activity.as_ref().map_or("waits", |a| a.text.as_str());
    let others = match dependents {
        0 => String::new(),
        1 => ", and one thread waits for it".into(),
        n => format!(", and {n} threads wait for it"),
    };
    let main = if t.is_main && facts.exit.is_none() { "the main thread" } else { "thread" };
    let why = match witness {
        Witness::Lost(l) => format!(" without end; {}", l.why),
        Witness::Starved(n) => {
            format!(", and so do all {n} busy workers of the thread pool: none is left for other work")
        }
        Witness::Taken(tid) => format!(" as others do; thread {:x}, which does not, may have it", tid.0),
        Witness::Waiters(_) | Witness::Asked(_) => String::new(),
    };
    let summary = format!("{main} {:x} {does}{others}{why}", t.tid.0);
    let mut out = Finding::new(FindingKind::Waiting, sure, summary);
    out.tid = Some(t.tid);
    out.tids = group(facts, t);
    if out.tids.len() < 2 {
        let waits_for_it = facts.threads.iter().filter(|o| towards(facts, o) == Some(t.tid)).map(|o| o.tid);
        out.tids = std::iter::once(t.tid).chain(waits_for_it).collect();
    }
    let Some(wait) = t.wait.as_ref() else { return out };
    out.lock = wait.address;
    out.evidence.extend(wait.evidence.iter().map(|e| format!("thread {:x}: {e}", t.tid.0)));
    match witness {
        Witness::Lost(lost) => {
            out.class = FindingClass::LostCompletion;
            out.evidence.extend(lost.evidence.iter().cloned());
        }
        Witness::Starved(_) => {
            out.class = FindingClass::PoolStarvation;
            out.evidence.push("no worker of the thread pool is left that waits for work".into());
        }
        Witness::Taken(tid) => {
            if let Some(w) = facts.thread(*tid).and_then(|t| t.wait.as_ref()) {
                out.evidence.push(format!("thread {:x} {}", tid.0, w.sentence));
            }
        }
        Witness::Asked(why) => {
            out.evidence.push(format!("{why}; the dump does not show that it hangs, only that it waits"));
            out.evidence.push(nobody(facts, t));
        }
        Witness::Waiters(_) => out.evidence.push(nobody(facts, t)),
    }
    out.evidence.extend(holders(facts, t));
    for other in facts.threads.iter().filter(|o| towards(facts, o) == Some(t.tid)).take(MAX_LISTED) {
        if let Some(w) = &other.wait {
            out.evidence.push(format!("thread {:x} {}", other.tid.0, w.sentence));
            out.evidence.extend(w.evidence.iter().map(|e| format!("thread {:x}: {e}", other.tid.0)));
        }
    }
    out.advice = Some(of_call(wait).unwrap_or_else(|| advice(wait.kind, out.tids.len())));
    out
}

/// Who could still end the wait.
fn nobody(facts: &Case<'_>, t: &ThreadFacts) -> String {
    let others: Vec<&ThreadFacts> =
        facts.threads.iter().filter(|o| o.tid != t.tid && !is_bystander(o)).collect();
    let running = others.iter().filter(|o| o.wait.is_none()).count();
    if facts.threads.iter().all(|o| o.tid == t.tid) {
        return "it is the only thread in the dump: what ends this wait is not another thread seen here"
            .into();
    }
    if others.is_empty() {
        return "all other threads wait for work: none of them is on its way to end this wait".into();
    }
    if running == 0 {
        return "no other thread runs: those that do not wait for work wait for something themselves".into();
    }
    let (threads, run) = if running == 1 { ("thread", "runs") } else { ("threads", "run") };
    format!("the dump does not say who has to act; {running} other {threads} {run}")
}

/// Other threads that may know the object: they have the handle's value on their stacks. Never an owner.
fn holders(facts: &Case<'_>, t: &ThreadFacts) -> Option<String> {
    let wait = t.wait.as_ref().filter(|w| matches!(w.kind, Kind::Event | Kind::Semaphore))?;
    let &[handle] = wait.handles.as_deref()? else { return None };
    let others = facts.threads.iter().filter(|o| o.tid != t.tid && !is_bystander(o));
    let found = stacks_with(facts.target, others, handle);
    if found.is_empty() || found.len() > MAX_HOLDERS {
        return None; // a value that is everywhere says nothing
    }
    let list: Vec<String> = found.iter().map(|t| format!("{:x}", t.0)).collect();
    let (threads, have) = if found.len() == 1 { ("thread", "has") } else { ("threads", "have") };
    Some(format!(
        "{threads} {} {have} the value {handle:x} on the stack too: the same handle, or by chance",
        list.join(", ")
    ))
}

/// Calls whose server has a name.
fn of_call(wait: &Wait) -> Option<String> {
    if let Some(class) = wait.com.as_ref().filter(|c| c.pid.is_none()).and_then(|c| c.activation) {
        return Some(format!(
            "see which program or service is registered for the class {{{class}}}, and why it does not start or answer"
        ));
    }
    let service = wait.rpc.as_ref()?.service?;
    Some(format!("write a dump of the process of {service} too while it hangs"))
}

fn advice(kind: Kind, waiters: usize) -> String {
    match kind {
        Kind::Event | Kind::Semaphore => {
            "find the code that should set this object, and why it did not get there: an exception, an early return, a lost request"
        }
        Kind::ConditionVariable => {
            "find who should signal this condition, and whether it was signalled before the wait began"
        }
        Kind::SrwLock if waiters > 1 => "look at the threads that have the lock's address on their stacks: one of them holds it",
        Kind::SrwLock => "look for a path that returns without releasing this lock, or takes it twice",
        Kind::MessageQueue => "find the process of that window (its thread does not take messages), and write a dump of it too",
        Kind::RpcCall | Kind::ComCall => "find the server of this call, and write a dump of it too while it hangs",
        Kind::FileIo | Kind::Socket => "look at the device, file share or peer behind this handle: the request is not answered",
        Kind::LoaderLock => "look for a thread in DllMain or in LoadLibrary that waits for something",
        _ => "look at the stack of this thread: its caller knows what it waits for",
    }
    .into()
}

/// No thread waits for something without an owner, but the main thread waits for one that runs.
fn held_up(facts: &Case<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for t in facts.threads.iter().filter(|t| t.is_main && !is_bystander(t)) {
        let Some(w) = t.wait.as_ref().filter(|w| w.kind == Kind::Thread && !wakes_up(w)) else { continue };
        let chain = super::graph::chain(facts, t.tid);
        let Some(last) = chain.last().and_then(|l| facts.thread(*l)).filter(|l| l.tid != t.tid) else {
            continue;
        };
        // A thread that waits for work, or comes back by itself, is what a program's main thread waits for all day.
        if is_bystander(last)
            || last.wait.as_ref().is_some_and(|w| wakes_up(w) || !matches!(w.kind, Kind::FileIo))
        {
            continue;
        }
        // A circle, or another process, says it better.
        if edge(facts, last).is_some() || last.wait.as_ref().is_some_and(|w| w.owner_pid.is_some()) {
            continue;
        }
        let does = last.activity.as_ref().map_or("is doing something unknown", |a| a.text.as_str());
        let mut f = Finding::new(
            FindingKind::Waiting,
            Confidence::Guess,
            format!("the main thread {:x} waits for thread {:x}, which {does}", t.tid.0, last.tid.0),
        );
        f.class = FindingClass::Join;
        f.tid = Some(last.tid);
        f.tids = chain;
        f.evidence.clone_from(&w.evidence);
        f.advice = Some(
            "write two dumps some seconds apart and compare them: is that thread still making progress?"
                .into(),
        );
        out.push(f);
    }
    out
}
