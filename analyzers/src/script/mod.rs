//! What language runtimes add to the facts: asked once, with all stacks at hand.

mod waits;

pub(crate) use waits::{add_waits, spare};

use crate::Target;
use crate::model::{ExceptionFacts, Interest, ScriptFacts, ThreadFacts, ThreadScript};
use crate::runtimes::add_line;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::{ExceptionState, ScriptLock, ScriptThread, WaitKind, Walked};
use dumpscope_symbols::Frame;

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
        let waits = reader.waits(&walked);
        let locks = reader.locks(&walked);
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
        out.unmounted.extend(unmounted(reader.threads()).map(|t| (index, t.clone())));
        out.tasks.extend(reader.tasks(&waits));
        // The pool is found by a walk of the heap: it matters where threads wait for tasks.
        if waits.iter().any(|w| w.kind == WaitKind::Task) {
            out.pool = out.pool.or_else(|| reader.pool());
        }
        out.suspension = out.suspension.or_else(|| reader.suspension());
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

/// Codes of the exceptions that .NET raises for its own.
const CLR_EXCEPTION: u32 = 0xe043_4352;
const CLR_EXCEPTION_V2: u32 = 0xe043_4f4d;

fn held_by(locks: &[ScriptLock], tid: Tid) -> Vec<Va> {
    let by = |l: &&ScriptLock| l.owners.iter().any(|o| o.tid == Some(tid));
    locks.iter().filter(by).map(|l| l.address).collect()
}

/// Threads that live without a native one: not those that have ended.
fn unmounted(threads: &[ScriptThread]) -> impl Iterator<Item = &ScriptThread> {
    threads.iter().filter(|t| t.tid.is_none() && t.state.contains(&"unmounted"))
}
