//! What language runtimes add to the facts: asked once, with all stacks at hand.

mod waits;

pub(crate) use waits::{add_waits, detached_words, lock_name, place_words, spare};

use crate::Target;
use crate::model::{ExceptionFacts, Interest, ScriptFacts, ThreadFacts, ThreadScript, Unmounted};
use crate::runtimes::add_line;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::{
    ExceptionState, LockKind, Proof, Reader, ScriptLock, ScriptThread, ScriptWait, WaitKind, Walked,
};
use dumpscope_symbols::Frame;
use std::collections::BTreeMap;

/// Asks the runtimes, with the stacks that were walked.
pub(crate) fn gather(target: &Target, threads: &[ThreadFacts]) -> ScriptFacts {
    let runtimes = target.runtimes();
    let mut out = ScriptFacts::default();
    if runtimes.readers().is_empty() {
        return out;
    }
    let stacks: Vec<(Tid, Vec<Frame>)> = threads
        .iter()
        .filter_map(|t| Some((t.tid, t.stack.as_ref()?.physical().map(|f| f.frame.clone()).collect())))
        .collect();
    let walked: Vec<Walked<'_>> = stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect();
    for (index, reader) in runtimes.readers().iter().enumerate() {
        out.runtimes.push(reader.runtime().clone());
        if !reader.runtime().readable {
            continue;
        }
        let locks = reader.locks(&walked);
        let waits = settle_global_lock(reader.as_ref(), reader.waits(&walked), &locks, threads);
        for stack in &walked {
            let thread = reader.threads().iter().find(|t| t.tid == Some(stack.tid));
            let mut frames = reader.frames(*stack);
            frames.iter_mut().for_each(|f| add_line(target, reader.as_ref(), f));
            if thread.is_none() && frames.is_empty() {
                continue;
            }
            let entry = ThreadScript {
                runtime: index,
                thread: thread.cloned(),
                frames,
                wait: waits.iter().find(|w| w.tid == stack.tid).cloned(),
                holds: held_by(&locks, stack.tid),
            };
            // Of two runtimes the one with frames speaks for the thread.
            match out.threads.get(&stack.tid) {
                Some(known) if entry.frames.is_empty() || !known.frames.is_empty() => {}
                _ => {
                    out.threads.insert(stack.tid, entry);
                }
            }
        }
        let detached = reader.detached_waits();
        out.unmounted.extend(unmounted(reader.as_ref()).map(|t| Unmounted {
            runtime: index,
            holds: held_without_thread(&locks, t),
            frames: reader.frames_at(t.address),
            wait: detached.iter().find(|w| w.thread == t.address).cloned(),
            thread: t.clone(),
        }));
        out.tasks.extend(reader.tasks(&waits));
        // The pool is found by a walk of the heap: it matters where threads wait for tasks.
        if waits.iter().any(|w| w.kind == WaitKind::Task) {
            out.pool = out.pool.or_else(|| reader.pool());
        }
        out.suspension = out.suspension.or_else(|| reader.suspension());
        out.death = out.death.take().or_else(|| reader.death(&walked));
        out.finalizers.extend(reader.finalizer());
        for mut exception in reader.exceptions() {
            let mut next = Some(&mut exception);
            while let Some(e) = next {
                e.frames.iter_mut().for_each(|f| add_line(target, reader.as_ref(), f));
                next = e.inner.as_deref_mut();
            }
            out.exceptions.push((index, exception));
        }
        out.locks.extend(locks.into_iter().map(|l| (index, l)));
    }
    out
}

/// The exception of the thread whose death the dump records is the one that nobody handled: the one being dispatched,
/// or the last thrown when the record is the runtime's own.
pub(crate) fn settle(facts: &mut ScriptFacts, exception: Option<&ExceptionFacts>) {
    let Some(fatal) = exception.filter(|e| e.interest == Interest::Crash) else { return };
    let own = matches!(fatal.code, CLR_EXCEPTION | CLR_EXCEPTION_V2);
    let of_thread = facts.exceptions.iter_mut().map(|(_, e)| e).filter(|e| e.tid == Some(fatal.tid));
    let mut fits = of_thread.filter(|e| e.state == ExceptionState::Handling || own);
    if let Some(first) = fits.next() {
        first.state = ExceptionState::Unhandled;
    }
}

/// A dump that the runtime had written itself records no exception: that of the thread which waits for the writer, `tid`,
/// is the one that nobody handled.
pub(crate) fn settle_unrecorded(facts: &mut ScriptFacts, tid: Tid) {
    let mut of_thread = facts.exceptions.iter_mut().map(|(_, e)| e).filter(|e| e.tid == Some(tid));
    if let Some(first) = of_thread.find(|e| e.state == ExceptionState::Handling) {
        first.state = ExceptionState::Unhandled;
    }
}

/// Codes of the exceptions that .NET raises for its own.
const CLR_EXCEPTION: u32 = 0xe043_4352;
const CLR_EXCEPTION_V2: u32 = 0xe043_4f4d;

fn held_by(locks: &[ScriptLock], tid: Tid) -> Vec<Va> {
    let by = |l: &&ScriptLock| l.owners.iter().any(|o| o.tid == Some(tid));
    locks.iter().filter(by).map(|l| l.address).collect()
}

/// Threads that live without a native one of their own: not those that have ended, or were not started.
fn unmounted(reader: &dyn Reader) -> impl Iterator<Item = &ScriptThread> {
    reader.threads().iter().filter(|t| t.tid.is_none() && t.alive)
}

fn held_without_thread(locks: &[ScriptLock], thread: &ScriptThread) -> Vec<Va> {
    let by = |l: &&ScriptLock| l.owners.iter().any(|o| o.tid.is_none() && o.id == Some(thread.id));
    locks.iter().filter(by).map(|l| l.address).collect()
}

/// Who really waits for an interpreter's global lock: a thread whose sleep or call is over waits for its handle while the
/// runtime's record still says that it sleeps, and one that the record calls ready may wait for another handle.
fn settle_global_lock(
    reader: &dyn Reader,
    waits: Vec<ScriptWait>,
    locks: &[ScriptLock],
    threads: &[ThreadFacts],
) -> Vec<ScriptWait> {
    let Some(lock) = locks.iter().find(|l| l.kind == LockKind::Gvl) else { return waits };
    let handle = reader.global_lock_handle();
    let native: BTreeMap<Tid, &[u64]> = threads
        .iter()
        .filter_map(|t| Some((t.tid, t.wait.as_ref()?.handles.as_deref()?)))
        .filter(|(_, handles)| !handles.is_empty())
        .collect();
    let for_lock = |tid: Tid| Some(native.get(&tid)?.contains(&handle?));
    let mut out: Vec<ScriptWait> = Vec::new();
    for mut wait in waits {
        match (for_lock(wait.tid), wait.kind) {
            (Some(true), _) => {
                wait.kind = WaitKind::Gvl;
                wait.proof = Proof::Record;
                (wait.object, wait.object_type) = (Some(lock.address), lock.object_type.clone());
            }
            (Some(false), WaitKind::Gvl) => continue,
            (None, WaitKind::Gvl) => wait.proof = Proof::Derived,
            _ => {}
        }
        out.push(wait);
    }
    out
}
