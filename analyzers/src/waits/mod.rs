//! What each thread waits for, and whom.
//!
//! Two roads that check each other: the names of the innermost frames say what kind of wait it is, the arguments of
//! the system call say which object. Locks are believed only when their own words agree.

mod argued;
mod call;
pub(crate) mod com;
pub(crate) mod dll_main;
mod doing;
pub(crate) mod exit;
pub(crate) mod loader;
mod loading;
mod object;
pub(crate) mod once;
pub(crate) mod rpc;
pub(crate) mod section;
pub(crate) mod slim;
#[cfg(test)]
mod tests;
mod wait_blocks;
pub(crate) mod windows;
pub(crate) mod words;

pub use call::{SystemCall, system_call};
pub(crate) use slim::stacks_with;

use crate::locks::lock_of;
use crate::model::{
    Activity, Confidence, CriticalSection, Kind, LockSource, Locks, Stack, StackFrame, ThreadFacts, Timeout,
    Wait, WaitKind,
};
use crate::{Cancel, Target};
use argued::Argued;
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use loader::Holders;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Threads whose waits are worked out even when the work was stopped: an answer about the first ones comes fast, and
/// without waits there is none.
pub(crate) const AFTER_STOP: usize = 4096;

/// Works out what each thread waits for, and notes it as a waiter of its lock. Returns how many threads were looked at:
/// fewer than there are when the work was stopped.
pub(crate) fn find(
    target: &Target,
    machine: Machine,
    threads: &mut [ThreadFacts],
    locks: &mut Locks,
    holders: &Holders,
    cancel: &Cancel,
) -> usize {
    let mut places = BTreeMap::new();
    for (nth, lock) in locks.locks.iter().enumerate() {
        places.entry(lock.section.address).or_insert(nth);
    }
    for (nth, t) in threads.iter_mut().enumerate() {
        if nth >= AFTER_STOP && cancel.is_cancelled() {
            return nth;
        }
        let Some(stack) = t.stack.as_ref() else { continue };
        let Some(activity) = t.activity.as_ref() else { continue };
        t.wait = wait_of(target, machine, t, stack, activity, locks);
        match t.wait.as_mut().zip(t.stack.as_ref()) {
            Some((wait, stack)) => doing::fill(target, stack, wait),
            None => doing::fill_thread(target, t),
        }
        if let Some(wait) = &mut t.wait {
            holders.fill(target, machine, t.tid, wait);
            enter(target, machine, locks, &mut places, wait, t.tid);
        }
    }
    threads.len()
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
        if let Some(s) = CriticalSection::read(memory, address, machine) {
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
    let named = activity.wait?;
    let argued = Argued::new(target, stack);
    let call = call::of(target, stack, &argued);
    let mut wait = Wait {
        kind: Kind::of(named),
        object: None,
        address: None,
        handles: None,
        timeout: call.as_ref().and_then(|c| c.timeout),
        wait_all: call.as_ref().and_then(|c| c.wait_all),
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
                format!("it is in {}{}", crate::text::frame_text(target, f), by_number(target, machine, f))
            })
            .into_iter()
            .collect(),
        sentence: activity.text.clone(),
    };
    if let Some(call) = &call {
        wait.handles = call.handles.clone();
    }
    // How sure the limit and the objects are.
    let mut most = call.as_ref().map_or(Confidence::Proven, |c| c.sure);
    // The registers may not have said it; the functions around the system call may.
    if wait.timeout.is_none() || (named == WaitKind::Multiple && wait.wait_all.is_none()) {
        let asked = call::asked(target, &argued);
        if let Some(limit) = asked.timeout.filter(|_| wait.timeout.is_none()) {
            wait.timeout = Some(limit.value);
            most = most.min(limit.sure);
        }
        if let Some(all) = asked.wait_all.filter(|_| wait.wait_all.is_none()) {
            wait.wait_all = Some(all.value);
            most = most.min(all.sure);
        }
    }
    let com = com::call(target, machine, data, stack, named, wait.handles.as_deref());
    match named {
        WaitKind::CriticalSection | WaitKind::LoaderLock => {
            section::fill(target, machine, tid, &argued, call.as_ref(), locks, &mut wait);
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
            let asked =
                if wait.handles.is_none() { call::asked_handles(target, machine, &argued) } else { None };
            if let Some((handles, sure)) = asked {
                wait.handles = Some(handles);
                most = most.min(sure);
            }
            let kept = if wait.handles.is_none() { object::kept_handle(target, stack) } else { None };
            if let Some((handle, register)) = kept {
                wait.handles = Some(vec![handle]);
                wait.evidence.push(format!(
                    "{register} holds the handle {handle:x}, where the waiting function keeps it"
                ));
            }
            object::fill(target, tid, &mut wait);
            if kept.is_some() {
                // A register of a caller may be used for something else.
                most = most.min(Confidence::Strong);
            }
            wait.confidence = wait.confidence.min(most);
        }
        WaitKind::SrwLock
        | WaitKind::ConditionVariable
        | WaitKind::Address
        | WaitKind::RunOnce
        | WaitKind::KeyedEvent => slim::fill(target, machine, tid, &argued, call.as_ref(), named, &mut wait),
        WaitKind::RpcCall => rpc::fill(target, machine, stack, &mut wait),
        WaitKind::FileIo | WaitKind::Socket => object::fill_file(target, &mut wait),
        WaitKind::Sleep => match wait.timeout {
            Some(Timeout::Ms(0)) => {}
            Some(Timeout::Ms(ms)) => wait.sentence = format!("{} for {ms} ms", wait.sentence),
            Some(Timeout::Infinite) => wait.sentence = format!("{} without end", wait.sentence),
            None => {}
        },
        WaitKind::SentMessage => {
            if let Some([Some(window), Some(message), ..]) = call.as_ref().map(|c| c.args.as_slice()) {
                wait.object = Some(format!("window {window:x}"));
                wait.sentence =
                    format!("waits for window {window:x} to answer message {:x}", message & 0xffff_ffff);
            }
        }
        _ => {}
    }
    // These locks are waited for in slices: the limit of one slice is no limit of the wait.
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
