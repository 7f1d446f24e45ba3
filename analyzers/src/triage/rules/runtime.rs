//! What goes wrong inside of language runtimes: locks of threads that have ended, tasks that wait for the thread that
//! waits for them, exhausted pools, collections that cannot begin.

use super::graph::{cycles, is_bystander};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingClass, FindingKind, Kind, ThreadFacts};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{ScriptFrame, ScriptLock, ScriptWait, Task, WaitKind};
use std::collections::{BTreeMap, BTreeSet};

/// Most threads whose evidence is repeated.
const MAX_QUOTED: usize = 8;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    if super::graph::crashed(facts) || facts.script.runtimes.is_empty() {
        return Vec::new();
    }
    let circles: BTreeSet<Tid> = cycles(facts).iter().flatten().map(|e| e.from.tid).collect();
    let mut out = orphans(facts);
    out.extend(suspension(facts));
    out.extend(own_task(facts));
    out.extend(starvation(facts, &circles));
    out.extend(executors(facts, &circles));
    out.extend(never_completed(facts, &circles));
    out.extend(mutexes(facts));
    if out.is_empty() && circles.is_empty() {
        out.extend(stuck(facts));
    }
    for finding in &mut out {
        finding.summary = escape(&finding.summary).into_owned();
        finding.evidence.iter_mut().for_each(|e| *e = escape(e).into_owned());
    }
    out
}

/// Locks whose owner has ended, and that somebody wants.
fn orphans(facts: &Case<'_>) -> Vec<Finding> {
    facts.script.locks.iter().filter_map(|(_, lock)| orphan(facts, lock)).collect()
}

fn orphan(facts: &Case<'_>, lock: &ScriptLock) -> Option<Finding> {
    let owner = lock.owners.first().filter(|o| o.tid.is_none() && facts.script.unmounted(o).is_none())?;
    let waiters = facts.script.waiters(lock.address);
    let first = *waiters.first()?;
    let name = match (&owner.name, owner.id) {
        (Some(name), Some(id)) => format!("\"{name}\" (id {id})"),
        (None, Some(id)) => format!("{id} of the runtime"),
        (Some(name), None) => format!("\"{name}\""),
        (None, None) => "that is not in the runtime's list".to_owned(),
    };
    let of = lock.object_type.as_deref().unwrap_or("an object");
    let sure = facts.thread(first).and_then(|t| t.wait.as_ref()).map_or(Confidence::Guess, |w| w.confidence);
    // An owner without a record in the runtime's list is less than a record that says it has ended.
    let sure = if owner.id.is_some() { sure } else { sure.min(Confidence::Strong) };
    let place = facts.script.user_frame(first).map(|f| format!(" in {}", f.display)).unwrap_or_default();
    let mut finding = Finding::new(
        FindingKind::OrphanedLock,
        sure,
        format!(
            "{} waits{place} for the {} of {of} {:x}, whose owner, thread {name}, ended while holding it",
            facts.script.words(first),
            lock.kind.word().replace('_', " "),
            lock.address.0
        ),
    );
    finding.tid = Some(first);
    finding.lock = Some(lock.address);
    finding.evidence.push(format!(
        "the lock itself says that it is held: owner {name}, entered {} times, {} waiting",
        lock.recursion, lock.waiting
    ));
    finding.evidence.push("the runtime's record of that thread says that it has ended".into());
    quote(facts, &waiters, &mut finding);
    finding.tids = waiters;
    finding.advice =
        Some("release the lock on every path (lock, try/finally), and see why that thread ended".into());
    Some(finding)
}

fn quote(facts: &Case<'_>, tids: &[Tid], finding: &mut Finding) {
    for tid in tids.iter().take(MAX_QUOTED) {
        let Some(wait) = facts.thread(*tid).and_then(|t| t.wait.as_ref()) else { continue };
        finding.evidence.push(format!("{} {}", facts.script.words(*tid), wait.sentence));
        finding.evidence.extend(wait.evidence.iter().map(|e| format!("thread {:x}: {e}", tid.0)));
    }
}

/// A suspension that waits for a thread which does not stop.
fn suspension(facts: &Case<'_>) -> Option<Finding> {
    let suspension = facts.script.suspension.as_ref()?;
    // A thread in managed code is on its way to a safe point; one in native code without a transition is not.
    let native = |tid: &&Tid| {
        let thread = facts.thread(**tid).and_then(|t| t.stack.as_ref()?.frames.first());
        thread.is_some_and(|f| !f.managed)
    };
    let blockers: Vec<Tid> = suspension.running.iter().filter(native).copied().collect();
    let first = *blockers.first().or(suspension.running.first())?;
    let sure = if blockers.is_empty() { Confidence::Guess } else { Confidence::Proven };
    let does = facts.thread(first).and_then(|t| t.activity.as_ref()).map_or("runs", |a| a.text.as_str());
    let place =
        facts.script.user_frame(first).map(|f| format!(", called from {}", f.display)).unwrap_or_default();
    let by = suspension.by.map(|t| facts.script.words(t)).unwrap_or_else(|| "a thread".to_owned());
    let mut finding = Finding::new(
        FindingKind::Waiting,
        sure,
        format!(
            "{by} stops all threads for a garbage collection, and {} does not stop: it {does} in native code{place}",
            facts.script.words(first)
        ),
    );
    finding.class = FindingClass::GcSuspension;
    finding.tid = Some(first);
    finding.tids = blockers.iter().copied().chain(suspension.by).collect();
    finding.owner_tid = Some(first);
    finding.evidence.push("the runtime's variable for the suspending thread is set".into());
    finding.evidence.push(format!(
        "thread {:x} is in cooperative mode: the runtime waits until it leaves its code",
        first.0
    ));
    finding.advice = Some(
        "calls that may block must not be marked SuppressGCTransition; all other threads wait for this collection".into(),
    );
    Some(finding)
}

fn chain_words(task: &Task) -> String {
    task.chain.join(" awaits ")
}

/// A thread that blocks on a task whose rest was posted to that thread.
fn own_task(facts: &Case<'_>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (tid, script) in &facts.script.threads {
        let Some(wait) = script.wait.as_ref().filter(|w| w.kind == WaitKind::Task && w.target.is_none())
        else {
            continue;
        };
        let Some(task) = facts.script.task_of(*tid).filter(|t| t.posted_to_blocked) else { continue };
        let place = facts.script.user_frame(*tid).map(|f| format!(" in {}", f.display)).unwrap_or_default();
        let mut finding = Finding::new(
            FindingKind::Deadlock,
            Confidence::Strong,
            format!(
                "{} blocks{place} on the task of {}, whose rest can only run on that thread",
                facts.script.words(*tid),
                task.chain.first().map_or("an async method", String::as_str)
            ),
        );
        finding.class = FindingClass::SyncOverAsync;
        finding.tid = Some(*tid);
        finding.tids = vec![*tid];
        finding.owner_tid = Some(*tid);
        finding.evidence.push(format!("the chain of awaits: {}; {}", chain_words(task), task.reason));
        finding.evidence.push(
            "the thread has a synchronization context: what is awaited there goes on on that thread".into(),
        );
        finding.evidence.push(format!("its frame {} says that it waits", wait.method));
        finding.advice = Some(
            "await the task instead of .Result or .Wait(), or use ConfigureAwait(false) all the way down"
                .into(),
        );
        out.push(finding);
    }
    out
}

/// True for a worker of the runtime's pool.
fn is_worker(facts: &Case<'_>, tid: Tid) -> bool {
    let thread = facts.script.threads.get(&tid).and_then(|t| t.thread.as_ref());
    thread.is_some_and(|t| t.name.as_deref().is_some_and(|n| n.starts_with(".NET TP Worker")))
}

/// All workers blocked, work queued.
fn starvation(facts: &Case<'_>, circles: &BTreeSet<Tid>) -> Option<Finding> {
    let pool = facts.script.pool.as_ref().filter(|p| p.queued > 0 && p.existing >= p.goal)?;
    let workers: Vec<&ThreadFacts> = facts.threads.iter().filter(|t| is_worker(facts, t.tid)).collect();
    let blocked: Vec<Tid> = workers
        .iter()
        .filter(|t| !is_bystander(t) && t.wait.as_ref().is_some_and(|w| w.kind != Kind::Sleep))
        .map(|t| t.tid)
        .collect();
    if blocked.len() < 2 || blocked.len() < workers.len() || blocked.iter().any(|t| circles.contains(t)) {
        return None;
    }
    // Workers that wait for a lock are explained by its owner.
    let by_owner = |t: &Tid| {
        let wait = facts.thread(*t).and_then(|t| t.wait.as_ref());
        wait.is_some_and(|w| w.owner_tid.is_some() && w.kind != Kind::Task)
    };
    if blocked.iter().any(by_owner) {
        return None;
    }
    let first = *blocked.first()?;
    let place = facts.script.user_frame(first).map(|f| format!(" in {}", f.display)).unwrap_or_default();
    let at_limit = pool.existing >= pool.max;
    let limit = if at_limit { format!(", the most that it may have ({})", pool.max) } else { String::new() };
    let mut finding = Finding::new(
        FindingKind::Waiting,
        if at_limit { Confidence::Strong } else { Confidence::Guess },
        format!(
            "the thread pool is exhausted: all {} workers{limit} block{place}, and {} work items wait in its queues",
            blocked.len(),
            pool.queued
        ),
    );
    finding.class = FindingClass::PoolStarvation;
    finding.tid = Some(first);
    finding.evidence.push(format!(
        "the pool counts {} working of {} workers, goal {}, limits {} to {}, {} items queued",
        pool.working, pool.existing, pool.goal, pool.min, pool.max, pool.queued
    ));
    if let Some(task) = facts.script.task_of(first) {
        finding.evidence.push(format!(
            "worker {:x} waits for {}; {}",
            first.0,
            chain_words(task),
            task.reason
        ));
    }
    quote(facts, &blocked, &mut finding);
    finding.tids = blocked;
    finding.advice = Some(
        "do not block pool threads on tasks (.Result, .Wait()): await them; a greater minimum only hides it"
            .into(),
    );
    Some(finding)
}

/// Workers of executors by the name of their pool: thread names without the number at the end.
pub(super) fn pools<'a>(facts: &'a Case<'_>) -> BTreeMap<&'a str, Vec<Tid>> {
    let mut out: BTreeMap<&str, Vec<Tid>> = BTreeMap::new();
    for (tid, script) in &facts.script.threads {
        let works = script.frames.iter().any(ScriptFrame::runs_work_of_a_pool);
        let name = script.thread.as_ref().and_then(|t| t.name.as_deref()).filter(|_| works);
        if let Some(name) = name {
            out.entry(name.trim_end_matches(|c: char| c.is_ascii_digit())).or_default().push(*tid);
        }
    }
    out
}

/// Pools whose workers all wait for work that no thread runs: it can only be in a queue behind them, or behind busy
/// workers of another pool. A future that somebody completes may be on its way elsewhere.
fn executors(facts: &Case<'_>, circles: &BTreeSet<Tid>) -> Vec<Finding> {
    let mut out = Vec::new();
    let pools = pools(facts);
    let wait = |tid: &Tid| facts.script.threads.get(tid).and_then(|s| s.wait.as_ref());
    let waits = |tid: &Tid| {
        let task = wait(tid).is_some_and(|w| w.kind == WaitKind::Task && w.target.is_none());
        task && !circles.contains(tid)
    };
    let idle = |tid: &Tid| wait(tid).is_some_and(|w| w.kind == WaitKind::Idle);
    // A worker that does something else may come to the work that the others wait for.
    let all_wait = pools.values().flatten().all(|t| waits(t) || idle(t));
    for (pool, workers) in pools {
        let Some(first) = workers.first().copied().filter(|_| workers.iter().all(waits)) else { continue };
        let place = facts.script.user_frame(first).map(|f| format!(" in {}", f.display)).unwrap_or_default();
        let (all, block) = match workers.len() {
            1 => ("its only worker".to_owned(), "waits"),
            n => (format!("all {n} workers"), "wait"),
        };
        let by_hand = |tid: &Tid| wait(tid).is_none_or(ScriptWait::may_be_completed_by_hand);
        let (sure, what) = match workers.iter().any(by_hand) {
            true => {
                (Confidence::Guess, "a future that nobody has completed, and none is left for other work")
            }
            false if all_wait => (Confidence::Strong, "work that no thread runs, and none is left to run it"),
            false => (Confidence::Guess, "work that no thread runs, and none is left to run it"),
        };
        let mut finding = Finding::new(
            FindingKind::Waiting,
            sure,
            format!("the thread pool \"{pool}\" is exhausted: {all} {block}{place} for {what}"),
        );
        finding.class = FindingClass::PoolStarvation;
        finding.tid = Some(first);
        quote(facts, &workers, &mut finding);
        finding.tids = workers;
        finding.advice = Some(
            "do not wait in a pool's thread for work of the same pool: use a pool of its own for it, or chain the work \
             (CompletableFuture.thenCompose)"
                .into(),
        );
        out.push(finding);
    }
    out
}

/// Threads that block on a chain of the user's async methods whose end nobody is on the way to.
fn never_completed(facts: &Case<'_>, circles: &BTreeSet<Tid>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (tid, script) in &facts.script.threads {
        let waits = script.wait.as_ref().is_some_and(|w| w.kind == WaitKind::Task && w.target.is_none());
        let Some(task) = facts.script.task_of(*tid).filter(|t| waits && t.nobody && !circles.contains(tid))
        else {
            continue;
        };
        // That is how a service waits for its end.
        if task.is_for_the_end() {
            continue;
        }
        let place = facts.script.user_frame(*tid).map(|f| format!(" in {}", f.display)).unwrap_or_default();
        let mut finding = Finding::new(
            FindingKind::Waiting,
            Confidence::Guess,
            format!("{} blocks{place} on {}: {}", facts.script.words(*tid), chain_words(task), task.reason),
        );
        finding.class = FindingClass::NeverCompleted;
        finding.tid = Some(*tid);
        finding.tids = vec![*tid];
        quote(facts, &[*tid], &mut finding);
        finding.advice = Some("find the code that should complete this task (SetResult, SetException), and why it did not get there".into());
        out.push(finding);
    }
    out
}

/// Threads that wait for mutexes which are held, while nobody else is there who could hold them: the owner of a mutex
/// lives, or the wait would have ended. Only a guess: a thread that looks idle may have kept one.
fn mutexes(facts: &Case<'_>) -> Option<Finding> {
    let handles = facts.target.dump.handles().value();
    let is_mutex = |h: &u64| {
        let handle = handles.and_then(|l| l.handles.iter().find(|x| x.value == *h));
        handle.and_then(|h| h.type_name.as_deref()).is_some_and(|t| t == "Mutant")
    };
    let waits = |t: &&ThreadFacts| {
        let Some(w) = t.wait.as_ref().filter(|w| w.owner_tid.is_none() && !super::graph::wakes_up(w)) else {
            return false;
        };
        let of = w.handles.iter().flatten().any(is_mutex);
        facts.script.user_frame(t.tid).is_some() && (w.kind == Kind::Mutex || w.kind == Kind::Multiple && of)
    };
    let members: Vec<&ThreadFacts> = facts.threads.iter().filter(waits).collect();
    let wanted: BTreeSet<u64> = members
        .iter()
        .flat_map(|t| t.wait.iter().flat_map(|w| w.handles.iter().flatten()))
        .filter(|h| handles.is_none() || is_mutex(h))
        .copied()
        .collect();
    let away = |t: &ThreadFacts| {
        let kind = t.wait.as_ref().map(|w| w.kind);
        members.iter().any(|m| m.tid == t.tid)
            || is_bystander(t)
            || matches!(kind, Some(Kind::Sleep | Kind::Thread))
    };
    if members.len() < 2 || wanted.len() < 2 || !facts.threads.iter().all(away) {
        return None;
    }
    let names: Vec<String> = members.iter().map(|t| facts.script.words(t.tid)).collect();
    let other = members
        .iter()
        .any(|t| t.wait.as_ref().is_some_and(|w| w.kind == Kind::Multiple && w.wait_all != Some(true)));
    let way_out =
        if other { "; one of them also waits for something else, which may set it free" } else { "" };
    let mut finding = Finding::new(
        FindingKind::Deadlock,
        Confidence::Guess,
        format!("{} wait for mutexes that seem to be held by each other{way_out}", names.join(" and ")),
    );
    finding.tids = members.iter().map(|t| t.tid).collect();
    finding.tid = finding.tids.first().copied();
    finding.evidence.push("a mutex's owner is alive, and all other threads sleep or wait for work".into());
    finding.evidence.push("the dump does not say who owns a mutex".into());
    let tids = finding.tids.clone();
    quote(facts, &tids, &mut finding);
    finding.advice =
        Some("take these mutexes in the same order everywhere: look at the stacks of these threads".into());
    Some(finding)
}

/// A wait that no service begins to be idle: in the program's own code, without limit.
fn stuck(facts: &Case<'_>) -> Option<Finding> {
    let first = facts.threads.iter().find(|t| t.is_main)?;
    // A launcher's first thread waits for the one that runs the program.
    let launched = first.wait.as_ref().and_then(|w| facts.thread(w.owner_tid?));
    let main = launched.filter(|_| facts.script.frames(first.tid).is_empty()).unwrap_or(first);
    // The assembly that the program begins in; what its libraries' threads wait for is their matter.
    let entry = facts.script.threads.get(&main.tid)?.frames.iter().rev().find(|f| !f.is_library())?;
    // Where code has no assembly only the thread counts whose end the main thread waits for.
    let program = entry.module.as_deref();
    let joined =
        |tid: Tid| facts.threads.iter().any(|t| t.wait.as_ref().is_some_and(|w| w.owner_tid == Some(tid)));
    // A main thread that only waits for the end has threads that wait for work.
    let service = is_bystander(main)
        || main
            .wait
            .as_ref()
            .is_some_and(|w| matches!(w.kind, Kind::Event | Kind::Task) && w.owner_tid.is_none());
    let mut found: Vec<(&ThreadFacts, &ScriptWait)> = Vec::new();
    for t in &facts.threads {
        let Some(wait) = t.wait.as_ref().filter(|w| w.owner_tid.is_none() && !super::graph::wakes_up(w))
        else {
            continue;
        };
        let Some(script) = facts.script.threads.get(&t.tid) else { continue };
        let Some(w) = script.wait.as_ref().filter(|_| !is_bystander(t)) else { continue };
        let own = facts.script.user_frame(t.tid).is_some_and(|f| f.module.as_deref() == program);
        let asks = match w.kind {
            WaitKind::MonitorWait if program.is_none() => {
                main.wait.as_ref().is_some_and(|w| w.owner_tid == Some(t.tid))
            }
            _ if program.is_none() => false,
            WaitKind::Event | WaitKind::MonitorWait => !t.is_main && !service,
            WaitKind::ScriptLock => t.is_main || !service,
            WaitKind::Io => wait.kind != Kind::Sleep && !listens(&w.method),
            _ => false,
        };
        if own && asks {
            found.push((t, w));
        }
    }
    // Who is waited for first, then the program's own threads before the pool's.
    found.sort_by_key(|(t, _)| (!joined(t.tid), is_worker(facts, t.tid), t.index));
    let (t, w) = found.first()?;
    let what = t.wait.as_ref().map_or("", |w| w.sentence.as_str());
    let mut finding = Finding::new(
        FindingKind::Waiting,
        Confidence::Guess,
        format!("{} {what}, without limit: nothing says who ends this wait", facts.script.words(t.tid)),
    );
    finding.tid = Some(t.tid);
    let same =
        |o: &&(&ThreadFacts, &ScriptWait)| o.0.tid == t.tid || (w.object.is_some() && o.1.object == w.object);
    finding.tids = found.iter().filter(same).map(|(t, _)| t.tid).collect();
    finding.lock = t.wait.as_ref().and_then(|w| w.address);
    let tids = finding.tids.clone();
    quote(facts, &tids, &mut finding);
    finding.advice = Some("find the code that should end this wait, and why it did not get there; if this thread only waits for work, nothing is wrong".into());
    Some(finding)
}

/// Waits for whoever comes, and for what a person types.
fn listens(method: &str) -> bool {
    ["Accept", "ReadConsole", "ReadKey"].iter().any(|m| method.contains(m))
}
