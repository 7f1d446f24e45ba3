//! Which critical section a thread waits for.

use super::SystemCall;
use super::argued::Argued;
use crate::Target;
use crate::locks::{counts_upwards, owner_state};
use crate::model::{
    Confidence, CriticalSection, Kind, Lock, Locks, OwnerState, StackFrame, ThreadFacts, Wait,
};
use crate::text::thread_words;
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Functions that take a critical section, innermost to outermost.
const ENTERS: [&str; 6] = [
    "RtlpWaitForCriticalSection",
    "RtlpWaitOnCriticalSection",
    "RtlpEnterCriticalSectionContended",
    "RtlEnterCriticalSection",
    "LdrpAcquireLoaderLock",
    "LdrLockLoaderLock",
];

/// Innermost frames that are looked at.
const DEPTH: usize = 16;

/// Most stack bytes that are searched.
const MAX_SPAN: u64 = 0x4000;

/// Completes the wait of a thread in one of [`ENTERS`] or in the loader's wait.
pub(super) fn fill(
    target: &Target,
    machine: Machine,
    tid: Tid,
    argued: &Argued<'_>,
    call: Option<&SystemCall>,
    locks: &Locks,
    wait: &mut Wait,
) {
    let loader_lock = target.dump.read_peb(machine).and_then(|p| p.loader_lock);
    let Some((section, confidence, how)) = find(target, machine, tid, argued, call, locks) else {
        wait.confidence = Confidence::Strong;
        return;
    };
    wait.kind = if loader_lock == Some(section.address) { Kind::LoaderLock } else { Kind::CriticalSection };
    describe(target, wait, &section, confidence, how);
}

/// Writes a lock into a wait.
fn describe(
    target: &Target,
    wait: &mut Wait,
    section: &CriticalSection,
    confidence: Confidence,
    how: String,
) {
    let at = section.address;
    wait.address = Some(at);
    let name = target.name_of(at);
    wait.object = Some(name.unwrap_or_else(|| format!("{:x}", at.0)));
    wait.owner_tid = section.owner_tid();
    wait.confidence = confidence;
    wait.evidence.push(how);
    wait.evidence.push(format!(
        "the lock's words: LockCount {}{}, RecursionCount {}, OwningThread {:x}",
        section.lock_count,
        section.counting_words(),
        section.recursion,
        section.owner
    ));
    let what = if wait.kind == Kind::LoaderLock { "loader lock" } else { "critical section" };
    let named = target.name_of(at).map(|n| format!(" ({n})")).unwrap_or_default();
    let held = match (section.owner_tid(), owner_state(target, section)) {
        (Some(o), OwnerState::Alive) => format!(", which {} holds", thread_words(target, o)),
        (Some(o), OwnerState::Missing) => format!(", which thread {:x} held when it ended", o.0),
        (Some(o), OwnerState::Unknown) => format!(", which thread {:x} holds", o.0),
        (None, _) => String::new(),
    };
    wait.sentence = format!("waits for the {what} at {:x}{named}{held}", at.0);
}

/// The section, how sure, and how it was found.
fn find(
    target: &Target,
    machine: Machine,
    tid: Tid,
    argued: &Argued<'_>,
    call: Option<&SystemCall>,
    locks: &Locks,
) -> Option<(CriticalSection, Confidence, String)> {
    let (stack, memory) = (argued.stack, target.dump.memory().as_ref());
    let upwards = counts_upwards(target);
    let believe = |at: Va| {
        let s = CriticalSection::read(memory, at, machine)?;
        let waited = s.is_locked() && s.waiters() > 0 && s.owner_tid() != Some(tid);
        (waited && s.is_plausible(machine, upwards)).then_some(s)
    };
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let enters = |f: &&StackFrame| f.function.as_deref().is_some_and(|n| ENTERS.contains(&n));
    let outer = frames.iter().rposition(enters)?;
    let p = machine.ptr_size() as u64;
    // Windows 10 and later: the key of the wait is the address of LockCount.
    if let Some(s) = call.and_then(|c| c.address).and_then(|key| believe(key.back(p))) {
        let how = format!("the key of its wait is the count of the lock at {:x}", s.address.0);
        return Some((s, Confidence::Proven, how));
    }
    // x86: the argument of RtlEnterCriticalSection lies above the return address.
    if machine == Machine::X86
        && let Some(f) = frames.iter().find(|f| f.function.as_deref() == Some("RtlEnterCriticalSection"))
        && let Some(s) = memory.u32(f.frame.frame_base.offset(8)).and_then(|a| believe(Va(a.into())))
    {
        let how = format!("the argument of RtlEnterCriticalSection on its stack is {:x}", s.address.0);
        let semaphore = call.and_then(|c| c.handles.as_deref()) == Some(&[s.semaphore]);
        let trusted = !matches!(f.trust, dumpscope_symbols::Trust::Scan);
        let sure = if semaphore || trusted { Confidence::Proven } else { Confidence::Strong };
        return Some((s, sure, how));
    }
    // Windows 8.1 and before: it waits for the lock's event.
    if let Some(&[handle]) = call.and_then(|c| c.handles.as_deref())
        && handle != 0
    {
        let mut same = locks.held().filter(|l| l.section.semaphore == handle);
        if let (Some(l), None) = (same.next(), same.next())
            && let Some(s) = believe(l.section.address)
        {
            let how = format!("the handle that it waits for, {handle:x}, is the event of the lock");
            return Some((s, Confidence::Proven, how));
        }
    }
    let entered = argued.value(&["RtlEnterCriticalSection", "EnterCriticalSection"], 0, argued.ptr_size());
    if let Some((given, s)) = entered.and_then(|g| Some((g, believe(Va(g.value))?))) {
        let how = format!("the argument of RtlEnterCriticalSection is {:x}", s.address.0);
        return Some((s, given.sure, how));
    }
    let near = pointers(target, machine, &frames, outer);
    // Windows 10 and later: the wait block says what the registers of the system call no longer say.
    let awaited = super::slim::seat(target, machine, tid, stack, call).and_then(|seat| seat.awaited(target));
    if let Some(s) = awaited.and_then(|at| believe(at.back(p))) {
        let block = format!("the wait block on its stack names the count of the lock at {:x}", s.address.0);
        return Some(match near.contains(&s.address) {
            true => (
                s,
                Confidence::Proven,
                format!("{block}, and the frames of its wait point at the lock itself"),
            ),
            false => (s, Confidence::Strong, block),
        });
    }
    // Wine waits on the lock's last word but one; the page of its debug block may not be in the dump.
    let alive = |s: &CriticalSection| owner_state(target, s) == OwnerState::Alive;
    let unseen = |at: &Va| {
        let s = CriticalSection::read(memory, *at, machine)?;
        let word = at.offset(p.saturating_add(8).saturating_add(p));
        let waited = s.is_locked() && s.waiters() > 0 && s.recursion > 0 && s.owner_tid() != Some(tid);
        (upwards && near.contains(&word) && waited && s.debug.is_none() && alive(&s)).then_some(s)
    };
    let mut by_word = near.iter().filter_map(unseen);
    if let (Some(s), None) = (by_word.next(), by_word.next()) {
        let how = format!(
            "the frames of its wait point at the lock at {:x} and at the word of it that is waited on",
            s.address.0
        );
        return Some((s, Confidence::Strong, how));
    }
    drop(by_word);
    let found: Vec<CriticalSection> = near.iter().copied().filter_map(believe).collect();
    let first = *found.first()?;
    let (sure, alone) = match found.len() {
        1 => (Confidence::Strong, "the only held lock"),
        _ => (Confidence::Guess, "one of several held locks"),
    };
    let how = format!("{:x} is {alone} that the frames and registers of its wait point at", first.address.0);
    Some((first, sure, how))
}

/// Pointers in the registers and on the stack of the frames from the system call to the caller of `outer`.
pub(super) fn pointers(
    target: &Target,
    machine: Machine,
    frames: &[&StackFrame],
    outer: usize,
) -> BTreeSet<Va> {
    let mut out = BTreeSet::new();
    let caller = outer.saturating_add(1);
    for f in frames.iter().take(caller.saturating_add(1)) {
        let count = RegSet::names(machine).len();
        out.extend((0..count).filter_map(|n| f.frame.regs.get(Reg(u8::try_from(n).ok()?))).map(Va));
    }
    let p = machine.ptr_size() as u64;
    let (Some(low), Some(last)) = (frames.first().map(|f| f.frame.sp), frames.get(outer)) else { return out };
    // The callee's home space (x64) or arguments (x86) lie above its return address.
    let high = match frames.get(caller) {
        Some(c) => c.frame.sp.offset(if machine.is_64() { 0x20 } else { 0 }),
        None => last.frame.frame_base.offset(0x40),
    };
    let span = high.distance_from(low).unwrap_or(0).min(MAX_SPAN);
    let memory = target.dump.memory();
    let words = (0..span / p).filter_map(|n| memory.ptr(low.offset(n.wrapping_mul(p)), machine));
    out.extend(words.filter(|w| w.0 > 0xffff && w.0 % p == 0));
    out
}

/// Two facts that do not depend on each other make a match certain: what the waiter points at, and the lock's own
/// count of waiters, when it is the number of threads that were found waiting.
pub(crate) fn agree(threads: &mut [ThreadFacts], locks: &Locks) {
    let mut at_lock: BTreeMap<Va, Vec<usize>> = BTreeMap::new();
    for (nth, t) in threads.iter().enumerate() {
        let wait = t.wait.as_ref().filter(|w| w.confidence >= Confidence::Strong);
        if let Some(address) = wait.and_then(|w| w.address) {
            at_lock.entry(address).or_default().push(nth);
        }
    }
    for lock in &locks.locks {
        let n = lock.waiters.len();
        if n == 0 || u32::try_from(n) != Ok(lock.section.waiters()) {
            continue;
        }
        let waiters: BTreeSet<Tid> = lock.waiters.iter().copied().collect();
        let mut found = at_lock.get(&lock.section.address).cloned().unwrap_or_default();
        found.retain(|nth| threads.get(*nth).is_some_and(|t| waiters.contains(&t.tid)));
        if found.len() != n {
            continue;
        }
        for nth in found {
            if let Some(wait) = threads.get_mut(nth).and_then(|t| t.wait.as_mut()) {
                wait.confidence = Confidence::Proven;
                wait.evidence.push(format!("the lock counts {n} waiting, as many as were found"));
            }
        }
    }
}

/// Threads whose lock no road led to. When one held lock alone counts waiters that are not known, and as many as there
/// are such threads, it is theirs.
pub(crate) fn place(target: &Target, threads: &mut [ThreadFacts], locks: &mut Locks) {
    let is_lost = |t: &ThreadFacts| {
        t.wait.as_ref().is_some_and(|w| w.kind == Kind::CriticalSection && w.address.is_none())
    };
    let lost: BTreeSet<Tid> = threads.iter().filter(|t| is_lost(t)).map(|t| t.tid).collect();
    let open = |l: &&mut Lock| {
        let counted = usize::try_from(l.section.waiters()).unwrap_or(0);
        l.section.is_locked() && counted > l.waiters.len()
    };
    let mut open = locks.locks.iter_mut().filter(open);
    let (Some(lock), None, false) = (open.next(), open.next(), lost.is_empty()) else { return };
    let s = lock.section;
    let missing = usize::try_from(s.waiters()).unwrap_or(0).saturating_sub(lock.waiters.len());
    if missing != lost.len() || s.owner_tid().is_some_and(|o| lost.contains(&o)) {
        return;
    }
    for t in threads.iter_mut().filter(|t| lost.contains(&t.tid)) {
        let Some(wait) = t.wait.as_mut() else { continue };
        let how = format!(
            "{:x} is the only lock that counts waiting threads which are not known, and it counts as many as there are",
            s.address.0
        );
        describe(target, wait, &s, Confidence::Strong, how);
        lock.waiters.push(t.tid);
    }
    let order: BTreeMap<Tid, usize> = threads.iter().enumerate().rev().map(|(nth, t)| (t.tid, nth)).collect();
    lock.waiters.sort_by_key(|tid| order.get(tid).copied());
}
