//! Waits inside a runtime as edges of the same graph as all others.

use crate::model::ScriptFacts;
use crate::model::{
    Activity, Confidence, Kind, ThreadFacts, Timeout, Wait, WaitKind as Pattern, is_for_the_end,
};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{LockKind, Proof, ScriptLock, ScriptWait, WaitKind};

/// Writes what runtimes know of waits into the threads.
pub(crate) fn add_waits(facts: &ScriptFacts, threads: &mut [ThreadFacts]) {
    for thread in threads.iter_mut() {
        let Some(script) = facts.threads.get(&thread.tid) else { continue };
        let Some(found) = &script.wait else { continue };
        let old = thread.wait.take();
        let wait = wait(facts, thread.tid, found, old);
        let until_the_end = thread.is_main && facts.task_of(thread.tid).is_some_and(is_for_the_end);
        let idle = found.kind == WaitKind::Idle || until_the_end;
        thread.activity = Some(Activity {
            text: escape(&wait.sentence).into_owned(),
            wait: Some(pattern(found.kind)),
            idle,
            pattern: thread.activity.as_ref().and_then(|a| a.pattern.clone()),
        });
        thread.wait = Some(wait);
    }
}

/// The wait of a thread, with what the native side found kept: handles, how long.
fn wait(facts: &ScriptFacts, tid: Tid, found: &ScriptWait, old: Option<Wait>) -> Wait {
    let lock = found.object.and_then(|o| facts.lock(o));
    let owner = lock
        .and_then(|l| l.owners.iter().find_map(|o| o.tid))
        .filter(|_| found.kind != WaitKind::MonitorWait);
    let target = owner.or(found.target);
    let sure = match found.proof {
        Proof::Exact => Confidence::Proven,
        Proof::Derived => Confidence::Strong,
        Proof::StackWord => Confidence::Guess,
    };
    let what = object_words(found, lock);
    let holder = owner.map(|t| match t == tid {
        true => ", which it holds itself".to_owned(),
        false => format!(", held by {}", facts.words(t)),
    });
    let gone = lock.and_then(gone_words).filter(|_| owner.is_none());
    let sentence = match found.kind {
        WaitKind::Thread => match found.target {
            Some(t) => format!("waits for the end of {}", facts.words(t)),
            None => format!("waits for the end of a thread ({})", found.method),
        },
        WaitKind::Task => match found.target {
            Some(t) => format!("waits for {what}, which {} runs", facts.words(t)),
            None => format!("waits for {what}"),
        },
        WaitKind::Sleep => "sleeps".to_owned(),
        WaitKind::Idle => idle_words(&found.method).to_owned(),
        WaitKind::Gc => "waits for a garbage collection".to_owned(),
        WaitKind::MonitorWait => format!("waits to be woken ({what})"),
        _ => format!("waits for {what}{}", holder.or(gone).unwrap_or_default()),
    };
    let user = found.user_frame.and_then(|i| facts.threads.get(&tid)?.frames.get(i));
    let mut evidence = vec![format!("its frame {} says so", found.method)];
    evidence.extend(match found.proof {
        Proof::Exact => {
            found.object.map(|o| format!("the object {:x} is a live reference of that frame", o.0))
        }
        Proof::Derived => {
            found.object.map(|o| format!("the object {:x} is the only one of its type there", o.0))
        }
        Proof::StackWord => found.object.map(|o| format!("the object {:x} is a word on the stack", o.0)),
    });
    evidence.extend(lock.and_then(lock_words));
    let at = user.map(|f| {
        let line =
            f.file.as_ref().zip(f.line).map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default();
        format!(" in {}{line}", f.display)
    });
    let (handles, timeout) = old.as_ref().map_or((None, None), |w| (w.handles.clone(), w.timeout));
    // Entering a monitor has no limit, whatever its wait for an event says.
    let endless =
        found.kind == WaitKind::Monitor && !found.method.contains("Try") && !found.method.contains("Timeout");
    let timeout = if endless { Some(Timeout::Infinite) } else { timeout };
    Wait {
        kind: kind(found.kind),
        object: Some(what).filter(|_| found.object.is_some()),
        address: found.object.filter(|_| is_lock(found.kind)),
        handles,
        timeout,
        owner_tid: target.or(old.as_ref().and_then(|w| w.owner_tid)),
        owner_pid: None,
        wait_all: old.as_ref().and_then(|w| w.wait_all),
        suspect: old.as_ref().and_then(|w| w.suspect),
        com: None,
        rpc: None,
        confidence: if target.is_some() || found.object.is_some() { sure } else { Confidence::Strong },
        evidence,
        sentence: format!("{sentence}{}", at.filter(|_| found.kind != WaitKind::Idle).unwrap_or_default()),
    }
}

fn is_lock(kind: WaitKind) -> bool {
    matches!(
        kind,
        WaitKind::Monitor
            | WaitKind::MonitorWait
            | WaitKind::ScriptLock
            | WaitKind::ClassInit
            | WaitKind::Gvl
    )
}

fn object_words(found: &ScriptWait, lock: Option<&ScriptLock>) -> String {
    let kind = lock.map(|l| l.kind);
    let of = found.object_type.as_deref().unwrap_or("an object");
    let at = found.object.map(|o| format!(" {:x}", o.0)).unwrap_or_default();
    match (found.kind, kind) {
        (WaitKind::Monitor | WaitKind::MonitorWait, _) => format!("the monitor of {of}{at}"),
        (WaitKind::ClassInit, _) => format!("the initializer of {of}"),
        (WaitKind::Gvl, _) => "the global interpreter lock".to_owned(),
        (_, Some(LockKind::Monitor)) => format!("the monitor of {of}{at}"),
        _ => format!("{of}{at}"),
    }
}

/// `whose owner has ended`, when the lock says that it is held.
fn gone_words(lock: &ScriptLock) -> Option<String> {
    let owner = lock.owners.first().filter(|o| o.tid.is_none())?;
    Some(match (&owner.name, owner.id) {
        (Some(name), Some(id)) => format!(", whose owner, thread \"{name}\" (id {id}), has ended"),
        (None, Some(id)) => format!(", whose owner, the runtime's thread {id}, has ended"),
        _ => ", whose owner is not in the runtime's list of threads".to_owned(),
    })
}

fn lock_words(lock: &ScriptLock) -> Option<String> {
    let owner = lock.owners.first()?;
    let id = owner.id.map(|id| format!(" (id {id})")).unwrap_or_default();
    let name = owner.name.as_deref().map(|n| format!(" \"{n}\"")).unwrap_or_default();
    Some(format!(
        "the lock itself says that it is held: owner{name}{id}, entered {} times, {} waiting",
        lock.recursion, lock.waiting
    ))
}

fn idle_words(method: &str) -> &'static str {
    match method {
        m if m.contains("GateThread") => "watches over the thread pool",
        m if m.contains("TimerQueue") => "waits for the next timer",
        m if m.contains("IOCompletionPoller") => "waits for completed I/O requests",
        m if m.contains("WaitThread") => "waits for handles of the thread pool",
        _ => "waits for work (thread pool)",
    }
}

fn kind(of: WaitKind) -> Kind {
    match of {
        WaitKind::Monitor => Kind::Monitor,
        WaitKind::MonitorWait => Kind::MonitorWait,
        WaitKind::ScriptLock => Kind::ScriptLock,
        WaitKind::Event => Kind::Event,
        WaitKind::Task => Kind::Task,
        WaitKind::ClassInit => Kind::ClassInit,
        WaitKind::Thread => Kind::Thread,
        WaitKind::Gc => Kind::Gc,
        WaitKind::Gvl => Kind::Gvl,
        WaitKind::Sleep => Kind::Sleep,
        WaitKind::Idle => Kind::WorkerIdle,
        WaitKind::Io => Kind::FileIo,
    }
}

fn pattern(of: WaitKind) -> Pattern {
    match of {
        WaitKind::Sleep => Pattern::Sleep,
        WaitKind::Idle => Pattern::WorkerIdle,
        WaitKind::Io => Pattern::FileIo,
        _ => Pattern::Object,
    }
}

/// Marks the runtime's own threads that wait: they do so by design, and nobody's work depends on it.
pub(crate) fn spare(facts: &ScriptFacts, threads: &mut [ThreadFacts]) {
    for thread in threads.iter_mut() {
        let script = facts.threads.get(&thread.tid);
        let has_frames = script.is_some_and(|s| !s.frames.is_empty());
        if has_frames || thread.is_main || thread.wait.as_ref().is_none_or(|w| w.owner_tid.is_some()) {
            continue;
        }
        let frames = thread.stack.as_ref().map_or(&[][..], |s| &s.frames);
        let of_runtime = |r: &dumpscope_runtimes::Runtime| frames.iter().any(|f| f.module == Some(r.module));
        let known = script.is_some_and(|s| s.thread.is_some());
        if !known && !facts.runtimes.iter().any(of_runtime) {
            continue;
        }
        let finalizer = facts.finalizers.contains(&thread.tid);
        if let Some(activity) = &mut thread.activity {
            let text = if finalizer {
                "waits for objects to finalize"
            } else {
                "is a thread of the runtime and waits for work"
            };
            activity.text = text.to_owned();
            activity.idle = true;
        }
    }
}
