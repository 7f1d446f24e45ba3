//! Threads that wait for a lock whose owner is alive and in no circle with them.

use super::graph::{chain, cycles, dependents, edge, wakes_up};
use super::witness::is_pool_thread;
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingClass, FindingKind, Kind, OwnerState, ThreadFacts, Wait};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::{LockKind, ScriptLock};
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// Most waiters whose evidence is repeated.
const MAX_QUOTED: usize = 8;

/// Something that a living thread owns, and who waits for it.
struct Held<'a> {
    what: String,
    lock: Option<Va>,
    /// It is a one-time initialization: its owner runs it.
    runs: bool,
    owner: &'a ThreadFacts,
    waiters: Vec<Tid>,
    evidence: Option<String>,
}

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let circles: BTreeSet<Tid> = cycles(facts).iter().flatten().map(|e| e.from.tid).collect();
    let waited = dependents(facts);
    let mut out: Vec<(bool, usize, Finding)> = Vec::new();
    let pools = super::runtime::pools(facts);
    for held in sections(facts).into_iter().chain(objects(facts)).chain(of_runtimes(facts)) {
        if circles.contains(&held.owner.tid) {
            continue;
        }
        // The deepest blocker first: an owner that waits for another thread is not the cause.
        let waits = edge(facts, held.owner).is_some();
        let n = waited.get(&held.owner.tid).copied().unwrap_or(0).max(held.waiters.len());
        out.push((waits, n, finding(facts, &held, &pools)));
    }
    // The sort of all findings keeps this order.
    out.sort_by_key(|(waits, n, _)| (*waits, Reverse(*n)));
    out.into_iter().map(|(.., f)| f).collect()
}

/// Critical sections.
fn sections<'a>(facts: &'a Case<'_>) -> Vec<Held<'a>> {
    let mut out = Vec::new();
    for lock in facts.locks.held().filter(|l| l.owner == OwnerState::Alive && !l.waiters.is_empty()) {
        let Some(owner) = lock.section.owner_tid().and_then(|t| facts.thread(t)) else { continue };
        let at = lock.section.address;
        let name = facts.target.name_of(at).map(|n| format!(" ({n})")).unwrap_or_default();
        out.push(Held {
            what: format!("critical section at {:x}{name}", at.0),
            lock: Some(at),
            runs: false,
            owner,
            waiters: lock.waiters.clone(),
            evidence: Some(format!(
                "the lock is held: LockCount {}, OwningThread {:x}, {} waiting",
                lock.section.lock_count,
                owner.tid.0,
                lock.section.waiters()
            )),
        });
    }
    out
}

/// Mutexes, one-time initializations, and the loader where it is no critical section.
fn objects<'a>(facts: &'a Case<'_>) -> Vec<Held<'a>> {
    let mut by_object: BTreeMap<(Kind, Tid, Vec<u64>), Held<'a>> = BTreeMap::new();
    let named = |w: &Wait| {
        w.address.and_then(|a| facts.script.lock(a)).is_some_and(|l| l.owners.iter().any(|o| o.tid.is_some()))
    };
    for t in &facts.threads {
        let Some(w) = t.wait.as_ref() else { continue };
        let owned = match w.kind {
            Kind::Mutex => w.handles.clone().unwrap_or_default(),
            Kind::LoaderLock if w.address.is_none() => Vec::new(),
            // Where the lock itself names an owner it is told by that.
            Kind::ScriptLock | Kind::ClassInit if !named(w) => w.address.iter().map(|a| a.0).collect(),
            Kind::Other if w.address.is_some() => w.address.iter().map(|a| a.0).collect(),
            _ => continue,
        };
        let Some(owner) = edge(facts, t).and_then(|e| facts.thread(e.to)) else { continue };
        let held = by_object.entry((w.kind, owner.tid, owned)).or_insert_with(|| Held {
            what: object_name(w),
            lock: w.address,
            runs: matches!(w.kind, Kind::Other | Kind::ClassInit),
            owner,
            waiters: Vec::new(),
            evidence: None,
        });
        held.waiters.push(t.tid);
    }
    by_object.into_values().collect()
}

/// Locks of language runtimes.
fn of_runtimes<'a>(facts: &'a Case<'_>) -> Vec<Held<'a>> {
    let mut out = Vec::new();
    let better = OnceCell::new();
    for (_, lock) in &facts.script.locks {
        let Some(tid) = lock.owners.iter().find_map(|o| o.tid) else { continue };
        let Some(owner) = facts.thread(tid) else { continue };
        let waits = |t: &Tid| *t != tid && facts.thread(*t).is_some();
        let waiters: Vec<Tid> = facts.script.waiters(lock.address).into_iter().filter(waits).collect();
        if waiters.is_empty() || !keeps(facts, lock, owner, &better) {
            continue;
        }
        out.push(Held {
            what: crate::script::lock_name(lock),
            lock: Some(lock.address),
            runs: lock.kind == LockKind::ClassInit,
            owner,
            waiters,
            evidence: Some(format!(
                "the runtime's own data name thread {:x} as its owner, entered {} times",
                tid.0, lock.recursion
            )),
        });
    }
    out
}

/// True when a lock's owner keeps others waiting. An interpreter's global lock changes hands all the time: who runs has it.
/// An owner that sleeps comes back; that is told where nothing says more. `better`: whether something does, once known.
fn keeps(facts: &Case<'_>, lock: &ScriptLock, owner: &ThreadFacts, better: &OnceCell<bool>) -> bool {
    let wait = owner.wait.as_ref();
    if lock.kind == LockKind::Gvl && wait.is_none_or(|w| w.owner_pid.is_some() || w.com.is_some()) {
        return false;
    }
    let sleeps = wait.is_some_and(|w| w.kind == Kind::Sleep);
    let says_more = || {
        !super::waiting::run(facts).is_empty()
            || !super::blocked::run(facts).is_empty()
            || !super::busy::run(facts).is_empty()
    };
    !sleeps || !*better.get_or_init(says_more)
}

fn object_name(w: &Wait) -> String {
    match (w.kind, w.object.as_deref().filter(|o| !o.is_empty())) {
        (Kind::LoaderLock, _) => "loader".into(),
        (Kind::ScriptLock | Kind::ClassInit, object) => {
            let object = object.unwrap_or("lock");
            escape(object.strip_prefix("the ").unwrap_or(object)).into_owned()
        }
        (Kind::Other, _) => format!("one-time initialization at {:x}", w.address.map_or(0, |a| a.0)),
        (_, Some(name)) => format!("mutex \"{}\"", escape(name)),
        (_, None) => {
            let handle = w.handles.as_ref().and_then(|h| h.first()).copied().unwrap_or(0);
            format!("mutex {handle:x}")
        }
    }
}

/// True when a thread is suspended once more than others are: whoever writes a dump suspends all.
fn is_suspended(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    let Some(list) = facts.target.dump.thread_list().value() else { return false };
    let counts = || list.iter().map(|t| t.suspend_count);
    let own = list.iter().find(|l| l.tid == t.tid).map(|l| l.suspend_count);
    list.len() > 1 && own.zip(counts().min()).is_some_and(|(own, least)| own > least)
}

fn finding(facts: &Case<'_>, held: &Held<'_>, pools: &BTreeMap<&str, Vec<Tid>>) -> Finding {
    let owner = held.owner.tid;
    let waits = held.waiters.iter().filter_map(|t| facts.thread(*t)?.wait.as_ref());
    // Who gives up after a while is not blocked.
    let of_wait = |w: &Wait| if wakes_up(w) { Confidence::Guess } else { w.confidence };
    let sure = waits.map(of_wait).min().unwrap_or(Confidence::Guess);
    let leaked = held.owner.activity.as_ref().is_some_and(|a| a.idle);
    let sleeps = held.owner.wait.as_ref().is_some_and(|w| w.kind == Kind::Sleep);
    let suspended = is_suspended(facts, held.owner);
    // Who sleeps comes back, unless it is suspended as well.
    let sure = if sleeps && !suspended { Confidence::Guess } else { sure };
    let does = held.owner.activity.as_ref().map_or("is doing something unknown", |a| a.text.as_str());
    let n = held.waiters.len();
    let (threads, wait) = if n == 1 { ("thread", "waits") } else { ("threads", "wait") };
    let mut summary = match held.runs {
        true => format!(
            "{n} {threads} {wait} for the {}, and {}, which runs it, {does}",
            escape(&held.what),
            escape(&facts.script.words(owner))
        ),
        false => {
            let (what, who) = (escape(&held.what), facts.script.words(owner));
            format!("{n} {threads} {wait} for the {what}, whose owner, {}, {does}", escape(&who))
        }
    };
    if suspended {
        summary.push_str(", and is suspended");
    } else if leaked {
        summary.push_str(" and has not released it");
    }
    for (pool, workers) in pools {
        if workers.len() > 1 && workers.iter().all(|w| held.waiters.contains(w)) {
            let n = workers.len();
            summary.push_str(&format!(
                "; among them are all {n} workers of the thread pool \"{}\"",
                escape(pool)
            ));
        }
    }
    let mut out = Finding::new(FindingKind::LockContention, sure, summary);
    if suspended {
        out.class = FindingClass::SuspendedOwner;
        out.evidence.push(format!("thread {:x} is suspended more often than the other threads", owner.0));
    } else if leaked {
        out.class = FindingClass::LeakedLock;
        out.evidence.push(format!(
            "thread {:x} is back where it waits for work: a path through its code left the lock taken",
            owner.0
        ));
    }
    out.tid = Some(owner);
    out.tids = held.waiters.iter().copied().chain([owner]).collect();
    out.lock = held.lock;
    out.owner_tid = Some(owner);
    out.server_pid = held.owner.wait.as_ref().and_then(|w| w.owner_pid);
    out.evidence.extend(held.evidence.clone());
    let workers: Vec<bool> =
        held.waiters.iter().filter_map(|t| facts.thread(*t)).map(|t| is_pool_thread(facts, t)).collect();
    let busy = workers.iter().filter(|w| **w).count();
    let idle_worker = |t: &ThreadFacts| t.wait.as_ref().is_some_and(|w| w.kind == Kind::WorkerIdle);
    if busy > 1 && !facts.threads.iter().any(idle_worker) {
        out.evidence.push(format!(
            "{busy} of them are workers of the thread pool and no worker is left that waits for work: the pool is exhausted"
        ));
    }
    let way = chain(facts, owner);
    if let Some(last) = way.last().filter(|l| **l != owner) {
        let does = facts.thread(*last).and_then(|t| t.activity.as_ref()).map_or("", |a| a.text.as_str());
        let ids: Vec<String> = way.iter().map(|t| format!("{:x}", t.0)).collect();
        out.evidence.push(format!(
            "the chain of waits goes on: {}; thread {:x} {does}",
            ids.join(" -> "),
            last.0
        ));
    }
    for tid in held.waiters.iter().take(MAX_QUOTED) {
        let evidence = facts.thread(*tid).and_then(|t| t.wait.as_ref()).map(|w| &w.evidence);
        out.evidence.extend(evidence.into_iter().flatten().map(|s| format!("thread {:x}: {s}", tid.0)));
    }
    out.evidence.extend(
        held.owner
            .wait
            .iter()
            .flat_map(|w| &w.evidence)
            .map(|s| format!("thread {:x} (owner): {s}", owner.0)),
    );
    let last = way.last().copied().unwrap_or(owner);
    out.advice = Some(match out.server_pid.filter(|p| Some(*p) != facts.target.dump.pid()) {
        Some(pid) => format!(
            "the owner waits for process {:x}: write a dump of that process while it hangs, and look at it too",
            pid.0
        ),
        None if suspended => format!(
            "find who suspended thread {:x}: SuspendThread while it holds a lock blocks everybody",
            owner.0
        ),
        None if leaked => format!(
            "look for a path of thread {:x} that takes this lock and returns without releasing it (an early return, an exception, \
             taking it twice)",
            owner.0
        ),
        None if last != owner => format!("look at thread {:x}, where the chain of waits ends", last.0),
        None if held.runs => format!("look at what thread {:x} does inside the initialization", owner.0),
        None => format!("look at what thread {:x} does while it holds the lock", owner.0),
    });
    out
}
