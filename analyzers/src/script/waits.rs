//! Waits inside a runtime as edges of the same graph as all others.

use crate::model::{Activity, Confidence, Kind, ThreadFacts, Timeout, Wait, WaitKind as Pattern};
use crate::model::{ScriptFacts, ThreadScript};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{
    DetachedWait, FrameKind, LockKind, Proof, ScriptFrame, ScriptLock, ScriptWait, Task, WaitKind,
};

/// Writes what runtimes know of waits into the threads.
pub(crate) fn add_waits(facts: &ScriptFacts, threads: &mut [ThreadFacts]) {
    for thread in threads.iter_mut() {
        let Some(script) = facts.threads.get(&thread.tid) else { continue };
        let Some(found) = &script.wait else {
            if !class_init(facts, thread) {
                add_place(facts, script, thread);
            }
            continue;
        };
        let old = thread.wait.take();
        let wait = wait(facts, thread.tid, found, old);
        let until_the_end = thread.is_main && facts.task_of(thread.tid).is_some_and(Task::is_for_the_end);
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

/// Most frames of the program's language that a wait quotes.
const MAX_QUOTED: usize = 12;

/// Says where in the program's language a thread waits for something native.
fn add_place(facts: &ScriptFacts, script: &ThreadScript, thread: &mut ThreadFacts) {
    let idle = thread.activity.as_ref().is_none_or(|a| a.idle);
    let Some(wait) = thread.wait.as_mut().filter(|_| !idle && !script.frames.is_empty()) else { return };
    let place = place_words(&script.frames);
    // Behind a clause about others it would seem to be theirs.
    let of_others = wait.owner_tid.is_some() || wait.owner_pid.is_some() || wait.sentence.contains(", ");
    let glue = if of_others { "; the waiting thread is" } else { "" };
    wait.sentence = format!("{}{glue}{place}", wait.sentence);
    let runtime = facts.runtimes.get(script.runtime).map_or("runtime", |r| r.name);
    let quoted: Vec<String> = script.frames.iter().take(MAX_QUOTED).map(frame_words).collect();
    let more = if script.frames.len() > MAX_QUOTED { " < …" } else { "" };
    wait.evidence.push(format!("its {runtime} stack: {}{more}", quoted.join(" < ")));
    if let Some(activity) = &mut thread.activity {
        activity.text = escape(&wait.sentence).into_owned();
    }
}

fn frame_words(f: &ScriptFrame) -> String {
    let line = f.file.as_ref().zip(f.line).map(|(file, line)| format!(" ({file}:{line})"));
    format!("{}{}", f.display, line.unwrap_or_default())
}

/// ` in each, called by instances_of (plugin.rb:11), called from client.rb:90`: the innermost frame, the program's own
/// innermost one, and the next file.
pub(crate) fn place_words(frames: &[ScriptFrame]) -> String {
    let own = |f: &&ScriptFrame| !f.is_library() && f.kind != FrameKind::Native;
    let Some(first) = frames.first() else { return String::new() };
    let Some(at) = frames.iter().position(|f| own(&f)) else { return format!(" in {}", frame_words(first)) };
    let Some(user) = frames.get(at) else { return String::new() };
    let mut out = match at {
        0 => format!(" in {}", frame_words(user)),
        _ => format!(" in {}, called by {}", first.display, frame_words(user)),
    };
    let other = |f: &&ScriptFrame| own(f) && f.file.is_some() && f.file != user.file;
    if let Some(next) = frames.iter().skip(at).find(other).filter(|_| user.file.is_some())
        && let (Some(file), Some(line)) = (&next.file, next.line)
    {
        out.push_str(&format!(", called from {file}:{line}"));
    }
    out
}

/// A type initializer's lock is a critical section of the runtime's, entered by its native code: the thread that holds
/// it runs the initializer (seen in .NET 8, 9 and 10).
fn class_init(facts: &ScriptFacts, thread: &mut ThreadFacts) -> bool {
    let enters = |f: &&crate::model::StackFrame| {
        f.function
            .as_deref()
            .is_some_and(|n| n.ends_with("EnterCriticalSection") || n.starts_with("RtlpEnterCriticalSection"))
    };
    let frames: Vec<_> = thread.stack.iter().flat_map(|s| s.physical()).take(32).collect();
    let by_runtime = frames.iter().rposition(enters).and_then(|n| frames.get(n + 1)).is_some_and(|f| {
        !f.managed && facts.runtimes.iter().any(|r| r.readable && f.module == Some(r.module))
    });
    let tid = thread.tid;
    let Some(wait) = thread.wait.as_mut().filter(|w| by_runtime && w.kind == Kind::CriticalSection) else {
        return false;
    };
    let Some(owner) = wait.owner_tid.filter(|o| *o != tid) else { return false };
    let initializer =
        facts.threads.get(&owner).and_then(|s| s.frames.iter().find(|f| f.function.ends_with("..cctor")));
    let Some(initializer) = initializer else { return false };
    let of = initializer.display.strip_suffix("..cctor").unwrap_or(&initializer.display);
    let at = facts.user_frame(tid).map(|f| format!(" in {}", f.display)).unwrap_or_default();
    wait.kind = Kind::ClassInit;
    wait.object = Some(format!("the initializer of {of}"));
    wait.sentence = format!("waits{at} for the initializer of {of}, which {} runs", facts.words(owner));
    wait.evidence.push(format!("the owner of the runtime's lock has {} on its stack", initializer.function));
    thread.activity = Some(Activity {
        text: escape(&wait.sentence).into_owned(),
        wait: Some(Pattern::Object),
        idle: false,
        pattern: None,
    });
    true
}

/// The wait of a thread, with what the native side found kept: handles, how long.
fn wait(facts: &ScriptFacts, tid: Tid, found: &ScriptWait, old: Option<Wait>) -> Wait {
    let lock = found.object.and_then(|o| facts.lock(o));
    let owner = lock
        .and_then(|l| l.owners.iter().find_map(|o| o.tid))
        .filter(|_| found.kind != WaitKind::MonitorWait);
    let target = owner.or(found.target);
    // Whoever holds a lock that does not say so itself: at most a guess.
    let holder = owner.or(found.target.filter(|_| found.kind == WaitKind::ScriptLock));
    let sure = match found.proof {
        Proof::LiveReference | Proof::Record => Confidence::Proven,
        Proof::Derived => Confidence::Strong,
        Proof::StackWord => Confidence::Guess,
    };
    let what = object_words(found, lock);
    let by = if found.proof == Proof::StackWord { "it seems by " } else { "by " };
    let holder = holder.map(|t| match t == tid {
        true => ", which it holds itself".to_owned(),
        false => format!(", held {by}{}", facts.words(t)),
    });
    let gone = lock.and_then(|l| gone_words(facts, l)).filter(|_| owner.is_none());
    let user = found.user_frame.and_then(|i| facts.frames(tid).get(i));
    let mut evidence = vec![match (found.kind, found.proof) {
        (WaitKind::Gvl, Proof::Record) => "it waits for the handle of that lock".to_owned(),
        (WaitKind::Gvl, _) => "its runtime calls it ready, and another thread has the lock".to_owned(),
        _ => format!("its frame {} says so", found.method),
    }];
    evidence.extend(match found.proof {
        Proof::LiveReference => {
            found.object.map(|o| format!("the object {:x} is a live reference of that frame", o.0))
        }
        Proof::Record => found.object.map(|o| format!("the runtime's record of the thread names {:x}", o.0)),
        Proof::Derived => {
            found.object.map(|o| format!("the object {:x} is the only one of its type there", o.0))
        }
        Proof::StackWord => found.object.map(|o| format!("the object {:x} is a word on the stack", o.0)),
    });
    evidence.extend(lock.filter(|l| l.kind != LockKind::Gvl).and_then(lock_words));
    let pinned = facts.carried(tid).filter(|_| found.kind != WaitKind::Idle);
    evidence.extend(pinned.map(|u| {
        format!("{} is pinned: it waits and keeps its carrier, which others could run on", u.words())
    }));
    let at = user.map(|f| {
        let line =
            f.file.as_ref().zip(f.line).map(|(file, line)| format!(" ({file}:{line})")).unwrap_or_default();
        format!(" in {}{line}", f.display)
    });
    // The method that waits comes first: behind the owner it would seem to be the owner's.
    let at = at.unwrap_or_default();
    let sentence = match found.kind {
        WaitKind::Thread => match found.target {
            Some(t) => format!("waits{at} for the end of {}", facts.words(t)),
            None => format!("waits{at} for the end of a thread ({})", found.method),
        },
        WaitKind::Task => match found.target {
            Some(t) => format!("waits{at} for {what}, which {} runs", facts.words(t)),
            None => format!("waits{at} for {what}"),
        },
        WaitKind::Sleep => format!("sleeps{at}"),
        WaitKind::Io if found.object.is_none() => format!("waits{at} for input or output ({})", found.method),
        WaitKind::Idle => idle_words(&found.method).to_owned(),
        WaitKind::Gc => format!("waits{at} for a garbage collection"),
        WaitKind::MonitorWait => format!("waits{at} to be woken ({what})"),
        _ => format!("waits{at} for {what}{}", holder.or(gone).unwrap_or_default()),
    };
    let (handles, timeout) = old.as_ref().map_or((None, None), |w| (w.handles.clone(), w.timeout));
    let timeout = if found.endless { Some(Timeout::Infinite) } else { timeout };
    Wait {
        kind: kind_of(found),
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
        sentence,
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
        (WaitKind::MonitorWait, None) if lockless(of) => format!("{of}{at}"),
        (WaitKind::Monitor | WaitKind::MonitorWait, _) => format!("the monitor of {of}{at}"),
        (WaitKind::ClassInit, _) => format!("the initializer of {of}"),
        (WaitKind::Gvl, _) => "the global interpreter lock".to_owned(),
        (_, Some(LockKind::Monitor)) => format!("the monitor of {of}{at}"),
        (WaitKind::Task, _) => format!("{}{at}", async_method(of).unwrap_or_else(|| of.to_owned())),
        _ => format!("{of}{at}"),
    }
}

/// `the task of Program.Main` for the type of the object that runs an async method of .NET:
/// `…AsyncStateMachineBox<Program+<Main>d__1>`.
fn async_method(class: &str) -> Option<String> {
    let (_, machine) = class.split_once("AsyncStateMachineBox<")?;
    let (owner, rest) = machine.split_once("+<")?;
    let (method, _) = rest.split_once(">d__")?;
    Some(format!("the task of {}.{method}", owner.replace('+', ".")))
}

/// Things that threads wait on to be woken, and that are no monitors.
fn lockless(class: &str) -> bool {
    class.ends_with("$ConditionObject")
        || matches!(class, "Queue" | "SizedQueue" | "ConditionVariable" | "Mutex" | "Monitor")
}

/// What a thread without a native one waits for and in which of its methods, in words.
pub(crate) fn detached_words(facts: &ScriptFacts, wait: &DetachedWait, frames: &[ScriptFrame]) -> String {
    let user = frames.iter().find(|f| !f.is_library());
    let place = user.map(|f| format!(" in {}", frame_words(f))).unwrap_or_default();
    let of = wait.object_type.as_deref().unwrap_or("an object");
    let at = wait.object.map(|o| format!(" {:x}", o.0)).unwrap_or_default();
    let what = match wait.kind {
        WaitKind::Monitor => format!("waits{place} for the monitor of {of}{at}"),
        WaitKind::MonitorWait if !lockless(of) => {
            format!("waits{place} to be woken (the monitor of {of}{at})")
        }
        WaitKind::Sleep => return format!("sleeps{place}"),
        _ => format!("waits{place} for {of}{at}"),
    };
    match &wait.owner {
        Some(owner) => format!("{what}, held by {}", facts.owner_words(owner)),
        None => what,
    }
}

/// A lock in words: `monitor of Account fd5c5600`.
pub(crate) fn lock_name(lock: &ScriptLock) -> String {
    let of = lock.object_type.as_deref().unwrap_or("an object");
    match lock.kind {
        LockKind::Monitor | LockKind::JavaMonitor => format!("monitor of {of} {:x}", lock.address.0),
        LockKind::ClassInit => format!("initializer of {of}"),
        LockKind::Gvl => "global interpreter lock".to_owned(),
        _ => format!("{of} {:x}", lock.address.0),
    }
}

/// `whose owner has ended`, when the lock says that it is held.
fn gone_words(facts: &ScriptFacts, lock: &ScriptLock) -> Option<String> {
    let owner = lock.owners.first().filter(|o| o.tid.is_none())?;
    if let Some(alive) = facts.unmounted(owner) {
        return Some(format!(", held by {}", alive.words()));
    }
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
        m if m.starts_with("System.Threading.") => "waits for work (thread pool)",
        _ => "waits for work",
    }
}

/// The kind; events, mutexes and semaphores behind an object are told apart by its type.
fn kind_of(found: &ScriptWait) -> Kind {
    match (found.kind, found.object_type.as_deref()) {
        (WaitKind::Event, Some("System.Threading.Mutex")) => Kind::Mutex,
        (WaitKind::Event, Some("System.Threading.Semaphore")) => Kind::Semaphore,
        (WaitKind::Event, Some(array)) if array.ends_with("[]") => Kind::Multiple,
        (WaitKind::Io, Some(socket)) if socket.starts_with("System.Net.Sockets.") => Kind::Socket,
        (of, _) => kind(of),
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
        // Who has such a thread's condition on the stack keeps nobody waiting.
        if let Some(wait) = &mut thread.wait {
            wait.suspect = None;
        }
    }
}
