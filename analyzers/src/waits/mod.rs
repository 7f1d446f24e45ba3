//! What each thread waits for, and whom.
//!
//! Two roads that check each other: the names of the innermost frames say what kind of wait it is, the arguments of
//! the system call say which object. Locks are believed only when their own words agree.

mod blocks;
mod call;
mod com;
mod dll_main;
mod exit;
mod loader;
mod loading;
mod object;
mod once;
mod rpc;
mod section;
mod slim;

pub use crate::model::{
    Apartment, ComCall, ComThread, DllMain, Incoming, Kind, LayoutSource, Message, Outgoing, ProcessExit,
    Reason, RpcCall, Timeout, Wait,
};
pub use call::{SystemCall, system_call, waiting_limit};

pub(crate) use slim::stacks_with;

use crate::locks::{LockSource, Locks, find_locks, lock_of};
use crate::stacks::{Stack, StackFrame};
use crate::triage::{Activity, Confidence, ThreadFacts, WaitKind};
use crate::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Threads whose waits are worked out even when the work was stopped: an answer about the first ones comes fast, and
/// without waits there is none.
const AFTER_STOP: usize = 4096;

/// Works out the waits of all threads, writes them and better activity sentences into `threads`, and returns the
/// locks with their waiters, and whether the process ends. When the work is stopped `threads` gets shorter.
pub(crate) fn add_waits(
    target: &Target,
    threads: &mut Vec<ThreadFacts>,
    cancel: &Cancel,
) -> (Locks, Option<ProcessExit>) {
    let machine = target.process_machine();
    if cancel.is_cancelled() {
        threads.truncate(AFTER_STOP);
    }
    let mut locks = find_locks(target, machine, cancel);
    com::read_threads(target, machine, threads);
    let loader = target.dump.loader(machine);
    for t in threads.iter_mut() {
        let Some(stack) = t.stack.as_ref() else { continue };
        t.dll_main = dll_main::dll_main(target, stack, loader.as_ref(), cancel);
    }
    let holders = loader::Holders::gather(target, machine, threads, &locks);
    if let Some(loader) = &loader {
        for t in threads.iter_mut().filter(|t| t.dll_main.is_none()) {
            t.dll_main = holders.by_data(target, loader, t);
        }
    }
    let exit = exit::process_exit(target, threads, loader.as_ref());
    let mut places = BTreeMap::new();
    for (nth, lock) in locks.locks.iter().enumerate() {
        places.entry(lock.section.address).or_insert(nth);
    }
    let mut done = 0_usize;
    for t in threads.iter_mut() {
        if done >= AFTER_STOP && cancel.is_cancelled() {
            break;
        }
        done = done.saturating_add(1);
        let Some(stack) = t.stack.as_ref() else { continue };
        let Some(activity) = t.activity.as_ref() else { continue };
        t.wait = wait_of(target, machine, t, stack, activity, &locks);
        if let Some(wait) = &mut t.wait {
            holders.fill(target, machine, t.tid, wait);
            enter(target, machine, &mut locks, &mut places, wait, t.tid);
        }
    }
    // A thread that was not looked at would be taken for one that does not wait.
    threads.truncate(done);
    section::agree(threads, &locks);
    section::place(target, threads, &mut locks);
    once::owners(target, machine, threads);
    com::agree(target, threads);
    rpc::add_serving(target, machine, threads);
    locks.slim = slim::groups(target, machine, threads);
    slim::suspects(target, machine, threads, cancel);
    locks.notes.extend(holders.note(threads));
    let ends = exit.as_ref().map(|e| e.tid).filter(|e| threads.iter().any(|t| t.tid == *e));
    for t in threads.iter_mut() {
        t.is_main = ends.map_or(t.is_main, |e| e == t.tid);
        if let (Some(wait), Some(activity)) = (&t.wait, &mut t.activity) {
            activity.text = escape(&wait.sentence).into_owned();
        }
        let serves = serving_words(target, t);
        if let (Some(serves), Some(activity)) = (serves, t.activity.as_mut().filter(|a| !a.idle)) {
            let text = format!("{}, and serves {serves}", activity.text);
            activity.text = escape(&text).into_owned();
        }
        let loads = holders.loads(target, t, cancel);
        within(t, ends == Some(t.tid), loads);
    }
    (locks, exit)
}

/// Says in the thread's sentence within what it does it: the end of the process, an entry point, the loader.
fn within(t: &mut ThreadFacts, ends: bool, loads: Option<String>) {
    let Some(activity) = &mut t.activity else { return };
    let runs = t.dll_main.as_ref().map(|d| format!("runs {}", d.words()));
    let within = match (ends, runs.or(loads).filter(|_| !t.is_writer)) {
        (true, Some(runs)) => format!("ends the process, {runs}"),
        (true, None) => "ends the process".into(),
        (false, Some(runs)) => runs,
        (false, None) => return,
    };
    activity.text = format!("{} and {}", escape(&within), activity.text);
    // Such a thread keeps others waiting, whatever it waits for.
    activity.idle = false;
}

/// The call that a thread serves, as in `serves ...`.
fn serving_words(target: &Target, t: &ThreadFacts) -> Option<String> {
    if let Some(call) = &t.serves {
        return Some(format!("an RPC call ({})", call.words()));
    }
    let call = t.com.as_ref()?.incoming.as_ref()?;
    let name = call.interface.as_deref().map(|n| format!(" ({n})")).unwrap_or_default();
    let own = target.dump.pid() == Some(call.pid);
    Some(match call.tid {
        Some(tid) if own => format!("a COM call{name} of {}", thread_words(target, tid)),
        Some(tid) => format!("a COM call{name} of thread {:x} of process {:x}", tid.0, call.pid.0),
        None if own => format!("a COM call{name} of its own process"),
        None => format!("a COM call{name} of process {:x}", call.pid.0),
    })
}

/// Notes a waiter, and a lock that no other road led to.
/// `places`: where in the list each lock is.
fn enter(
    target: &Target,
    machine: Machine,
    locks: &mut Locks,
    places: &mut BTreeMap<Va, usize>,
    wait: &Wait,
    tid: Tid,
) {
    let Some(address) = wait.address else { return };
    if !matches!(wait.kind, Kind::CriticalSection | Kind::LoaderLock) {
        return;
    }
    if let Entry::Vacant(place) = places.entry(address) {
        let memory = target.dump.memory().as_ref();
        if let Some(s) = crate::locks::CriticalSection::read(memory, address, machine) {
            place.insert(locks.locks.len());
            locks.locks.push(lock_of(target, s, LockSource::Waiter));
        }
    }
    if let Some(lock) = places.get(&address).and_then(|nth| locks.locks.get_mut(*nth)) {
        lock.waiters.push(tid);
    }
}

fn wait_of(
    target: &Target,
    machine: Machine,
    thread: &ThreadFacts,
    stack: &Stack,
    activity: &Activity,
    locks: &Locks,
) -> Option<Wait> {
    let tid = thread.tid;
    let data = thread.com.as_deref();
    let call = system_call(target, stack);
    let named = activity.wait?;
    let mut wait = Wait {
        kind: Kind::of(named),
        object: None,
        address: None,
        handles: None,
        timeout: call.as_ref().and_then(|c| c.timeout),
        owner_tid: None,
        owner_pid: None,
        suspect: None,
        com: None,
        rpc: None,
        confidence: Confidence::Strong,
        evidence: stack
            .frames
            .first()
            .map(|f| {
                format!("it is in {}{}", crate::triage::frame_text(target, f), by_number(target, machine, f))
            })
            .into_iter()
            .collect(),
        sentence: activity.text.clone(),
    };
    if let Some(call) = &call {
        wait.handles = call.handles.clone();
    }
    let com = com::call(target, machine, data, stack, named, wait.handles.as_deref());
    match named {
        WaitKind::CriticalSection | WaitKind::LoaderLock => {
            section::fill(target, machine, tid, stack, call.as_ref(), locks, &mut wait);
        }
        // A wait for objects may be the bottom of a COM call whose frames have no names.
        WaitKind::ComCall
        | WaitKind::Object
        | WaitKind::Multiple
        | WaitKind::MessageQueue
        | WaitKind::RpcCall
            if com.is_some() =>
        {
            if let Some(call) = com {
                com::fill(target, data, stack, call, &mut wait);
            }
        }
        WaitKind::Object | WaitKind::Multiple => {
            let kept = if wait.handles.is_none() { object::kept_handle(target, stack) } else { None };
            if let Some((handle, register)) = kept {
                wait.handles = Some(vec![handle]);
                wait.evidence.push(format!(
                    "{register} holds the handle {handle:x}, where the waiting function keeps it"
                ));
            }
            object::fill(target, &mut wait);
            if kept.is_some() {
                // A register of a caller may be used for something else.
                wait.confidence = wait.confidence.min(Confidence::Strong);
            }
        }
        WaitKind::SrwLock
        | WaitKind::ConditionVariable
        | WaitKind::Address
        | WaitKind::RunOnce
        | WaitKind::KeyedEvent => slim::fill(target, machine, tid, stack, call.as_ref(), named, &mut wait),
        WaitKind::RpcCall => rpc::fill(target, machine, stack, &mut wait),
        WaitKind::FileIo | WaitKind::Socket => object::fill_file(target, &mut wait),
        WaitKind::Sleep => match wait.timeout {
            Some(Timeout::Ms(ms)) => wait.sentence = format!("{} for {ms} ms", wait.sentence),
            Some(Timeout::Infinite) => wait.sentence = format!("{} without end", wait.sentence),
            None => {}
        },
        WaitKind::SentMessage => {
            if let Some([window, message, ..]) = call.as_ref().map(|c| c.args.as_slice()) {
                wait.object = Some(format!("window {window:x}"));
                wait.sentence =
                    format!("waits for window {window:x} to answer message {:x}", message & 0xffff_ffff);
            }
        }
        _ => {}
    }
    // Who takes one of these waits in slices and tries again: a slice's end is not the end of the wait.
    if matches!(wait.kind, Kind::CriticalSection | Kind::LoaderLock | Kind::SrwLock) {
        wait.timeout = wait.timeout.filter(|t| *t == Timeout::Infinite);
    }
    Some(wait)
}

/// What the number of a system call without a name says, as the end of a sentence.
fn by_number(target: &Target, machine: Machine, top: &StackFrame) -> String {
    let name = crate::syscalls::by_number(target, machine, top);
    name.map(|n| format!(", whose system call is {n} by its number")).unwrap_or_default()
}

/// A pointer-sized word of the dumped process.
fn word(target: &Target, machine: Machine, at: Va) -> Option<u64> {
    Some(target.dump.memory().ptr(at, machine)?.0)
}

/// A thread's id as in `thread 118`, with what is known of it.
pub(crate) fn thread_words(target: &Target, tid: Tid) -> String {
    match target.dump.thread_by_tid(tid) {
        Some(t) => format!("thread {:x} (number {})", tid.0, t.index.0),
        None => format!("thread {:x}", tid.0),
    }
}
