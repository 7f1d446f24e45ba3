//! Locks that do not say who holds them: SRW locks, condition variables, addresses, one-time initializations.
//!
//! Source: wait blocks and keys measured over public dumps (`docs/reference/locks.md#wait-blocks`).

use super::argued::{Argued, Given};
use super::section::pointers;
use super::wait_blocks::Seat;
use super::{SystemCall, word};
use crate::arguments::recover_all;
use crate::model::{Confidence, Kind, SlimLock, Stack, StackFrame, ThreadFacts, Wait, WaitKind};
use crate::stacks::stack_bounds;
use crate::text::thread_words;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Innermost frames that are looked at.
const DEPTH: usize = 6;

/// The frames up to this one, and their caller's, are searched for a lock's address: the system call, at most two
/// functions inside ntdll, and the one that was called.
const OUTER: usize = 3;

/// Most bytes of a stack in which a lock's address is looked for.
const MAX_SCAN: u64 = 1 << 18;

/// Most bytes of all stacks together.
const MAX_SCAN_ALL: u64 = 256 << 20;

/// Most threads that a sentence lists.
const MAX_LISTED: usize = 16;

/// Most threads whose arguments are looked at for a lock's address: to find them costs far more than to look through a
/// stack. With more threads none are looked at, for the first ones alone could name a wrong "only" one.
const MAX_ARGUED: usize = 64;

/// What a thread waits for, how sure that is, and how it was found.
type Found = (Va, Confidence, &'static str);

/// Completes the wait with the address of the lock.
pub(super) fn fill(
    target: &Target,
    machine: Machine,
    tid: Tid,
    argued: &Argued<'_>,
    call: Option<&SystemCall>,
    named: WaitKind,
    wait: &mut Wait,
) {
    let stack = argued.stack;
    let seat = seat(target, machine, tid, stack, call);
    // The key of a keyed event is the wait block or the lock; of an alert it is the lock.
    let key = call.and_then(|c| c.address).filter(|a| a.0 > 0xffff);
    let key = key.filter(|_| seat.is_none_or(|s| s.block.is_none()));
    // Wine's keys lie on the waiter's own stack.
    let own = own_stack(target, machine, tid, stack);
    let key = key.filter(|k| seat.is_some() || own.is_none_or(|(low, high)| *k < low || *k >= high));
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let all = || pointers(target, machine, &frames, OUTER.min(frames.len().saturating_sub(1)));
    let found = match (named, seat) {
        (WaitKind::ConditionVariable, Some(seat)) => {
            // The key is the lock that it takes again; the variable leads to the block on its own stack.
            let noted = seat.retaken(target);
            if let Some(lock) = key.or(noted) {
                wait.evidence.push(format!("it will take the lock at {:x} again when it is woken", lock.0));
            }
            let agree = key.is_some() && key == noted;
            let variable = all().into_iter().find(|p| Some(*p) != key && seat.is_variable(target, *p));
            variable.map(|v| match agree {
                true => (v, Confidence::Proven, "the word there leads to the wait block on its stack, which names the lock that the system call names"),
                false => (v, Confidence::Strong, "the word there leads to the wait block on its stack"),
            })
        }
        (WaitKind::ConditionVariable, None) => None,
        (WaitKind::SrwLock, seat) => two_roads(
            key,
            &|at| seat.is_some_and(|s| s.is_queued(target, at)),
            &|| {
                let seat = seat?;
                all().into_iter().find(|p| is_locked(target, machine, *p) && seat.is_queued(target, *p))
            },
            "it is the key of its wait, and the lock's queue holds the block on its stack",
            "the lock's queue holds the wait block on its stack",
        ),
        (WaitKind::RunOnce, seat) => two_roads(
            key,
            &|at| seat.is_some_and(|s| s.is_once(target, at)),
            &|| {
                let seat = seat?;
                all().into_iter().find(|p| seat.is_once(target, *p))
            },
            "it is the key of its wait, and its waiters include the block on its stack",
            "its waiters include the block on its stack",
        ),
        (WaitKind::Address, seat) => {
            let noted = seat.and_then(|s| s.awaited(target));
            two_roads(
                key,
                &|at| noted == Some(at),
                &|| noted,
                "it is the key of its wait, and the wait block on its stack names it too",
                "the wait block on its stack names it",
            )
        }
        _ => key.map(|k| (k, Confidence::Strong, "it is the key of its wait")),
    };
    let takers = takers(named);
    let argument = |index| argued.value(takers, index, argued.ptr_size()).filter(|g| g.value > 0xffff);
    if named == WaitKind::ConditionVariable
        && seat.is_none()
        && let Some(lock) = argument(1)
    {
        wait.evidence.push(format!("it will take the lock at {:x} again when it is woken", lock.value));
    }
    let (at, sure, how) = match weigh(found, || argument(0)) {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err((at, said)) => {
            wait.evidence.push(format!(
                "its wait seems to be for {:x}, and its function's argument is {said:x}: neither is believed",
                at.0
            ));
            return;
        }
    };
    wait.address = Some(at);
    wait.confidence = sure;
    let name = target.name_of(at);
    wait.evidence.push(format!("the address is {:x}: {how}", at.0));
    let shown = name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
    wait.object = Some(name.unwrap_or_else(|| format!("{:x}", at.0)));
    wait.sentence = match wait.kind {
        Kind::SrwLock => format!("waits for the slim reader-writer lock at {:x}{shown}", at.0),
        Kind::ConditionVariable => format!("waits on the condition variable at {:x}{shown}", at.0),
        Kind::Address => format!("waits for the value at {:x}{shown} to change", at.0),
        _ if named == WaitKind::RunOnce => {
            format!("waits until another thread has done the one-time initialization at {:x}{shown}", at.0)
        }
        _ => format!("{} at {:x}{shown}", wait.sentence, at.0),
    };
}

/// What the wait is for, by what was found and by the argument of the function that waits; the error is two of which
/// neither is better.
fn weigh(found: Option<Found>, argument: impl FnOnce() -> Option<Given>) -> Result<Option<Found>, (Va, u64)> {
    // What two roads lead to needs no third one, and an argument may be of another call.
    if found.is_some_and(|(_, sure, _)| sure == Confidence::Proven) {
        return Ok(found);
    }
    Ok(match (argument(), found) {
        (Some(said), Some((at, sure, how))) if said.value == at.0 => Some((at, sure.max(said.sure), how)),
        // What the code of the frames proves outweighs a word that may be there by chance.
        (Some(said), Some((at, sure, _))) if sure >= said.sure => return Err((at, said.value)),
        (Some(said), _) => Some((Va(said.value), said.sure, "it is the argument of the function that waits")),
        (None, found) => found,
    })
}

/// Functions whose first argument is what is waited for (SDK `synchapi.h`; for those of ntdll phnt's `ntrtl.h`).
fn takers(named: WaitKind) -> &'static [&'static str] {
    match named {
        WaitKind::SrwLock => &[
            "RtlAcquireSRWLockExclusive",
            "RtlAcquireSRWLockShared",
            "AcquireSRWLockExclusive",
            "AcquireSRWLockShared",
        ],
        WaitKind::ConditionVariable => &[
            "RtlSleepConditionVariableCS",
            "RtlSleepConditionVariableSRW",
            "SleepConditionVariableCS",
            "SleepConditionVariableSRW",
        ],
        WaitKind::Address => &["RtlWaitOnAddress", "WaitOnAddress"],
        WaitKind::RunOnce => &[
            "RtlRunOnceExecuteOnce",
            "RtlRunOnceBeginInitialize",
            "InitOnceExecuteOnce",
            "InitOnceBeginInitialize",
        ],
        _ => &[],
    }
}

/// The system call's key and the wait block: when both lead to one lock there is no other reading.
fn two_roads(
    key: Option<Va>,
    agrees: &dyn Fn(Va) -> bool,
    by_block: &dyn Fn() -> Option<Va>,
    both: &'static str,
    block: &'static str,
) -> Option<Found> {
    match key {
        Some(k) if agrees(k) => Some((k, Confidence::Proven, both)),
        Some(k) => Some((k, Confidence::Strong, "it is the key of its wait")),
        None => by_block().map(|at| (at, Confidence::Strong, block)),
    }
}

/// Where the thread's wait block lies. Wine has none.
pub(super) fn seat(
    target: &Target,
    machine: Machine,
    tid: Tid,
    stack: &Stack,
    call: Option<&SystemCall>,
) -> Option<Seat> {
    let (low, high) = own_stack(target, machine, tid, stack).filter(|_| !target.is_wine())?;
    let keyed = call.filter(|c| c.name == "WaitForKeyedEvent").and_then(|c| c.address);
    Some(Seat { machine, tid, low, high, block: keyed.filter(|k| *k >= low && *k < high) })
}

/// The part of the thread's own stack that is in use.
fn own_stack(target: &Target, machine: Machine, tid: Tid, stack: &Stack) -> Option<(Va, Va)> {
    let sp = stack.physical().next()?.frame.sp;
    let index = target.dump.thread_by_tid(tid)?.index;
    let bounds = stack_bounds(target, index, machine, sp)?;
    Some((sp, bounds.high))
}

/// Locked, and with waiters: then the rest of the word leads to the newest wait block.
fn is_locked(target: &Target, machine: Machine, at: Va) -> bool {
    word(target, machine, at).is_some_and(|w| w & 2 != 0 && w & !0xf > 0xffff)
}

/// Threads that wait for one address, by address.
pub(crate) fn groups(target: &Target, machine: Machine, threads: &[ThreadFacts]) -> Vec<SlimLock> {
    let mut by_address: BTreeMap<Va, SlimLock> = BTreeMap::new();
    for t in threads {
        let Some(w) = t.wait.as_ref() else { continue };
        let Some(address) = w.address.filter(|_| is_slim(w.kind)) else { continue };
        let lock = by_address.entry(address).or_insert_with(|| SlimLock {
            address,
            kind: w.kind,
            word: word(target, machine, address),
            owner: w.owner_tid,
            waiters: Vec::new(),
        });
        lock.waiters.push(t.tid);
    }
    by_address.into_values().collect()
}

fn is_slim(kind: Kind) -> bool {
    matches!(kind, Kind::SrwLock | Kind::ConditionVariable | Kind::Address | Kind::Other)
}

/// Such a lock never names its owner. A thread that has the lock's address on its stack or in its registers and
/// does not wait for it may hold it: when there is exactly one, it is a suspect.
pub(crate) fn suspects(target: &Target, machine: Machine, threads: &mut [ThreadFacts], cancel: &Cancel) {
    let mut locks = groups(target, machine, threads);
    // Nobody holds a condition variable: who waits on it has its address on the stack too.
    locks.retain(|l| l.kind != Kind::ConditionVariable);
    let wanted: BTreeMap<u64, usize> = locks.iter().enumerate().map(|(i, l)| (l.address.0, i)).collect();
    let mut found: Vec<Vec<Tid>> = vec![Vec::new(); locks.len()];
    let mut left = MAX_SCAN_ALL;
    // Of all threads or of none: what some have as arguments says nothing about the others.
    let searched = |t: &&ThreadFacts| t.role.is_none() && t.stack.is_some();
    let with_arguments = threads.iter().filter(searched).count() <= MAX_ARGUED;
    let (on_its, on_their) = match with_arguments {
        true => (
            "on its stack or among its functions' arguments",
            "on their stacks or among their functions' arguments",
        ),
        false => ("on its stack", "on their stacks"),
    };
    let waiters: Vec<BTreeSet<Tid>> = locks.iter().map(|l| l.waiters.iter().copied().collect()).collect();
    for t in threads.iter().filter(|t| t.role.is_none() && !wanted.is_empty()) {
        let Some(stack) = t.stack.as_ref() else { continue };
        if cancel.is_cancelled() || left == 0 {
            return; // a part of the stacks could name a wrong "only" one
        }
        let mut hits = mentions(target, machine, t.tid, stack, &wanted, &mut left);
        if with_arguments {
            hits.extend(given_to(target, stack, &wanted, cancel));
        }
        for hit in hits {
            let waits = waiters.get(hit).is_some_and(|w| w.contains(&t.tid));
            if let Some(tids) = found.get_mut(hit).filter(|_| !waits) {
                tids.push(t.tid);
            }
        }
    }
    let waits_for_lock = |t: &&ThreadFacts| {
        let kind = t.wait.as_ref().map(|w| w.kind);
        matches!(kind, Some(Kind::SrwLock | Kind::CriticalSection | Kind::Mutex))
    };
    let locked: BTreeSet<Tid> = threads.iter().filter(waits_for_lock).map(|t| t.tid).collect();
    // Threads of a damaged dump may share an id: each gets the waits of all of them.
    let mut waits: BTreeMap<Tid, Vec<usize>> = BTreeMap::new();
    for (nth, tids) in waiters.iter().enumerate() {
        tids.iter().for_each(|t| waits.entry(*t).or_default().push(nth));
    }
    for t in threads.iter_mut() {
        let Some(w) = t.wait.as_mut().filter(|w| w.owner_tid.is_none()) else { continue };
        for found in waits.get(&t.tid).into_iter().flatten().filter_map(|nth| found.get(*nth)) {
            match found.as_slice() {
                [] => {}
                [one] => {
                    w.suspect = Some(*one);
                    let who = thread_words(target, *one);
                    w.evidence.push(format!(
                        "such a lock does not name its owner; {who} is the only other one with its address {on_its}"
                    ));
                }
                many => {
                    // One that waits for a lock itself may be the other half of a circle.
                    let mut held_up = many.iter().filter(|t| locked.contains(*t));
                    if let (Some(one), None) = (held_up.next(), held_up.next()) {
                        w.suspect = Some(*one);
                    }
                    let list: Vec<String> =
                        many.iter().take(MAX_LISTED).map(|t| format!("{:x}", t.0)).collect();
                    w.evidence.push(format!(
                        "such a lock does not name its owner; {} threads have its address {on_their}: {}",
                        many.len(),
                        list.join(", ")
                    ));
                }
            }
        }
    }
}

/// Which of the addresses the functions of a stack were called with: code may have them as constants.
fn given_to(
    target: &Target,
    stack: &Stack,
    wanted: &BTreeMap<u64, usize>,
    cancel: &Cancel,
) -> BTreeSet<usize> {
    let rows = recover_all(target, stack, cancel);
    let known = rows.iter().flatten().filter_map(|a| a.at_least(Confidence::Strong));
    known.filter_map(|v| wanted.get(&v).copied()).collect()
}

/// Threads whose stacks hold a value, in the order of the thread list. It may be there by chance.
pub(crate) fn stacks_with<'a>(
    target: &Target,
    threads: impl Iterator<Item = &'a ThreadFacts>,
    value: u64,
) -> Vec<Tid> {
    let wanted = BTreeMap::from([(value, 0)]);
    let mut left = MAX_SCAN_ALL;
    let holds = |t: &&ThreadFacts| {
        let stack = t.stack.as_ref();
        stack.is_some_and(|s| !mentions(target, s.machine, t.tid, s, &wanted, &mut left).is_empty())
    };
    threads.filter(holds).map(|t| t.tid).collect()
}

/// Which of the addresses the used part of a stack holds; `left`: bytes that may still be read.
fn mentions(
    target: &Target,
    machine: Machine,
    tid: Tid,
    stack: &Stack,
    wanted: &BTreeMap<u64, usize>,
    left: &mut u64,
) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    let Some((low, high)) = own_stack(target, machine, tid, stack) else { return out };
    let size = high.distance_from(low).unwrap_or(0).min(MAX_SCAN).min(*left);
    *left = left.saturating_sub(size);
    let Ok(len) = usize::try_from(size) else { return out };
    let mut bytes = vec![0u8; len];
    let got = target.dump.memory().scan_at(low, &mut bytes).got;
    for word in bytes.get(..got).unwrap_or_default().chunks_exact(machine.ptr_size()) {
        let value = word.iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b));
        out.extend(wanted.get(&value));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strong_argument_discards_nothing_that_is_proven() {
        let found = |sure| Some((Va(0x1000), sure, "found"));
        let said = |value, sure| move || Some(Given { value, sure });
        use Confidence::{Guess, Proven, Strong};
        assert_eq!(weigh(found(Proven), said(0x2000, Strong)), Ok(found(Proven)));
        assert_eq!(weigh(found(Strong), said(0x2000, Strong)), Err((Va(0x1000), 0x2000)));
        assert_eq!(weigh(found(Strong), said(0x1000, Proven)), Ok(found(Proven)));
        let by = |sure| Ok(Some((Va(0x2000), sure, "it is the argument of the function that waits")));
        assert_eq!(weigh(found(Guess), said(0x2000, Strong)), by(Strong));
        assert_eq!(weigh(found(Strong), said(0x2000, Proven)), by(Proven));
        assert_eq!(weigh(None, said(0x2000, Strong)), by(Strong));
        assert_eq!(weigh(found(Guess), || None), Ok(found(Guess)));
    }

    #[test]
    fn kinds_without_owner() {
        assert!(super::is_slim(Kind::of(WaitKind::RunOnce)) && super::is_slim(Kind::SrwLock));
        assert!(!super::is_slim(Kind::CriticalSection) && !super::is_slim(Kind::Event));
    }
}
