//! Locks that do not say who holds them: SRW locks, condition variables, addresses, one-time initializations.
//!
//! Source: wait blocks and keys measured over public dumps (shared reference, section 4.4).

use super::section::pointers;
use super::{Kind, SystemCall, Wait, thread_words};
use crate::locks::SlimLock;
use crate::patterns::WaitKind;
use crate::stacks::{Stack, StackFrame, stack_bounds};
use crate::triage::ThreadFacts;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Most links of a chain of wait blocks that are followed.
const MAX_CHAIN: usize = 512;

/// Innermost frames that are looked at.
const DEPTH: usize = 6;

/// Most bytes of a stack in which a lock's address is looked for.
const MAX_SCAN: u64 = 1 << 18;

/// Most bytes of all stacks together.
const MAX_SCAN_ALL: u64 = 256 << 20;

/// Most threads that a sentence lists.
const MAX_LISTED: usize = 16;

/// Bits of a lock's word that are no address: blocks are aligned to 16 bytes.
const FLAGS: u64 = 0xf;

/// Completes the wait with the address of the lock.
pub(super) fn fill(
    target: &Target,
    machine: Machine,
    tid: Tid,
    stack: &Stack,
    call: Option<&SystemCall>,
    named: WaitKind,
    wait: &mut Wait,
) {
    let key = call.and_then(|c| c.address).filter(|a| a.0 > 0xffff);
    let own = own_stack(target, machine, tid, stack);
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let queued = |at: Va| own.is_some_and(|own| is_queued(target, machine, at, own, tid));
    let found = match named {
        WaitKind::ConditionVariable => {
            // The key is the lock that it takes again; the variable leads to the block on its own stack.
            let all = pointers(target, machine, &frames, frames.len().saturating_sub(1).min(2));
            let variable = all.into_iter().find(|p| Some(*p) != key && is_variable(target, machine, *p, own));
            if let Some(lock) = key {
                wait.evidence.push(format!("it will take the lock at {:x} again when it is woken", lock.0));
            }
            variable.map(|v| (v, "the word there leads to the wait block on its stack"))
        }
        WaitKind::SrwLock => match key.filter(|k| queued(*k)) {
            Some(k) => {
                Some((k, "it is the key of its wait, and the lock's queue holds the block on its stack"))
            }
            None => match key {
                Some(k) => Some((k, "it is the key of its wait")),
                None => {
                    let mut all = pointers(target, machine, &frames, 1).into_iter();
                    let hit = all.find(|p| is_locked(target, machine, *p) && queued(*p));
                    hit.map(|p| (p, "the lock's queue holds the wait block on its stack"))
                }
            },
        },
        _ => key.map(|k| (k, "it is the key of its wait")),
    };
    let Some((at, how)) = found else { return };
    wait.address = Some(at);
    let name = target.symbols.format(at);
    wait.evidence.push(format!("the address is {:x}: {how}", at.0));
    let named = name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
    wait.object = Some(name.unwrap_or_else(|| format!("{:x}", at.0)));
    wait.sentence = match wait.kind {
        Kind::SrwLock => format!("waits for the slim reader-writer lock at {:x}{named}", at.0),
        Kind::ConditionVariable => format!("waits on the condition variable at {:x}{named}", at.0),
        Kind::Address => format!("waits for the value at {:x}{named} to change", at.0),
        _ => format!("{} at {:x}{named}", wait.sentence, at.0),
    };
}

/// The part of the thread's own stack that is in use.
fn own_stack(target: &Target, machine: Machine, tid: Tid, stack: &Stack) -> Option<(Va, Va)> {
    let sp = stack.physical().next()?.frame.sp;
    let index = target.dump.thread_by_tid(tid)?.index;
    let bounds = stack_bounds(target, index, machine, sp)?;
    Some((sp, bounds.high))
}

fn word(target: &Target, machine: Machine, at: Va) -> Option<u64> {
    Some(target.dump.memory().ptr(at, machine)?.0)
}

/// Locked, and with waiters: then the rest of the word leads to the newest wait block.
fn is_locked(target: &Target, machine: Machine, at: Va) -> bool {
    word(target, machine, at).is_some_and(|w| w & 2 != 0 && w & !FLAGS > 0xffff)
}

/// True when the queue of the lock at `at` has a block on the stack `own`. From Windows 10 on the block names the
/// thread too.
fn is_queued(target: &Target, machine: Machine, at: Va, own: (Va, Va), tid: Tid) -> bool {
    let Some(value) = word(target, machine, at).filter(|w| w & 2 != 0) else { return false };
    let p = machine.ptr_size() as u64;
    let ten = target.dump.os_version().0 >= 10;
    let mut block = Va(value & !FLAGS);
    for _ in 0..MAX_CHAIN {
        if block.is_null() {
            return false;
        }
        let names_it =
            || !ten || word(target, machine, block.offset(p.wrapping_mul(3))) == Some(u64::from(tid.0));
        if block >= own.0 && block < own.1 && names_it() {
            return true;
        }
        match target.dump.memory().ptr(block, machine) {
            Some(older) => block = older,
            None => return false,
        }
    }
    false
}

/// True when the word at `at` leads, by wait blocks, to one on the stack `own`: a condition variable.
fn is_variable(target: &Target, machine: Machine, at: Va, own: Option<(Va, Va)>) -> bool {
    let Some(own) = own.filter(|o| at < o.0 || at >= o.1) else { return false };
    let Some(mut block) = word(target, machine, at).map(|w| Va(w & !FLAGS)) else { return false };
    for _ in 0..MAX_CHAIN {
        if block.0 <= 0xffff {
            return false;
        }
        if block >= own.0 && block < own.1 {
            return true;
        }
        match target.dump.memory().ptr(block, machine) {
            Some(older) => block = older,
            None => return false,
        }
    }
    false
}

/// Threads that wait for one address, by address.
pub(super) fn groups(target: &Target, machine: Machine, threads: &[ThreadFacts]) -> Vec<SlimLock> {
    let mut by_address: BTreeMap<Va, SlimLock> = BTreeMap::new();
    for t in threads {
        let Some(w) = t.wait.as_ref() else { continue };
        let Some(address) = w.address.filter(|_| is_slim(w.kind)) else { continue };
        let lock = by_address.entry(address).or_insert_with(|| SlimLock {
            address,
            kind: w.kind,
            word: word(target, machine, address),
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
pub(super) fn suspects(target: &Target, machine: Machine, threads: &mut [ThreadFacts], cancel: &Cancel) {
    let locks = groups(target, machine, threads);
    let wanted: BTreeMap<u64, usize> = locks.iter().enumerate().map(|(i, l)| (l.address.0, i)).collect();
    let mut found: Vec<Vec<Tid>> = vec![Vec::new(); locks.len()];
    let mut left = MAX_SCAN_ALL;
    for t in threads.iter().filter(|t| t.role.is_none() && !wanted.is_empty()) {
        let Some(stack) = t.stack.as_ref() else { continue };
        if cancel.is_cancelled() || left == 0 {
            return; // a part of the stacks could name a wrong "only" one
        }
        for hit in mentions(target, machine, t.tid, stack, &wanted, &mut left) {
            let waits = locks.get(hit).is_some_and(|l| l.waiters.contains(&t.tid));
            if let Some(tids) = found.get_mut(hit).filter(|_| !waits) {
                tids.push(t.tid);
            }
        }
    }
    for (lock, found) in locks.iter().zip(&found) {
        for t in threads.iter_mut().filter(|t| lock.waiters.contains(&t.tid)) {
            let Some(w) = t.wait.as_mut() else { continue };
            match found.as_slice() {
                [] => {}
                [one] => {
                    w.suspect = Some(*one);
                    let who = thread_words(target, *one);
                    w.evidence.push(format!(
                        "such a lock does not name its owner; {who} is the only other one with its address on its stack"
                    ));
                }
                many => {
                    let list: Vec<String> =
                        many.iter().take(MAX_LISTED).map(|t| format!("{:x}", t.0)).collect();
                    w.evidence.push(format!(
                        "such a lock does not name its owner; {} threads have its address on their stacks: {}",
                        many.len(),
                        list.join(", ")
                    ));
                }
            }
        }
    }
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
    let got = target.dump.memory().read_at(low, &mut bytes).got;
    for word in bytes.get(..got).unwrap_or_default().chunks_exact(machine.ptr_size()) {
        let value = word.iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b));
        out.extend(wanted.get(&value));
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::patterns::WaitKind;
    use crate::waits::Kind;

    #[test]
    fn kinds_without_owner() {
        assert!(super::is_slim(Kind::of(WaitKind::RunOnce)) && super::is_slim(Kind::SrwLock));
        assert!(!super::is_slim(Kind::CriticalSection) && !super::is_slim(Kind::Event));
    }
}
