//! Frame pointer chain and stack scan: what is left where no unwind data is known.

use super::Trust;
use super::code::{self, Leads};
use super::step::{Callee, Caller, Cursor, Env, Verdict};
use dumpscope_core::{Machine, RegSet, Va};

/// A caller's frame is rarely farther away; a larger distance makes a saved frame pointer implausible.
const MAX_FRAME: u64 = 1 << 20;

/// Follows the frame pointer: `[fp]` is the caller's frame pointer, the word above it the return address.
///
/// The return address must be zero (the first frame) or plausible; `None` when the chain is broken here.
pub(crate) fn frame_pointer(env: &Env<'_>, cursor: &Cursor) -> Option<Caller> {
    let machine = cursor.regs.machine();
    let word = machine.ptr_size() as u64;
    let fp = cursor.regs.fp()?;
    // The saved pointer and the return address lie in this frame: not below the stack pointer.
    if !fp.0.is_multiple_of(word) || fp < cursor.sp() || !env.in_stack(fp) {
        return None;
    }
    let slot = fp.offset(word);
    let next = env.mem.ptr(fp, machine)?;
    let target = env.mem.ptr(slot, machine)?;
    let chained = next > slot && next.0 - slot.0 < MAX_FRAME && env.in_stack(next);
    let trust = match env.judge(machine, target) {
        Verdict::Verified => Trust::FramePointer,
        Verdict::Outside if chained => Trust::FramePointer,
        // Nothing confirms the call: at least the chain itself has to look right.
        // x64 code rarely keeps such a chain, so there the next link has to look right as well.
        Verdict::Unverified
            if machine == Machine::Amd64
                && !(chained && is_aligned(machine, slot) && is_link(env, machine, next)) =>
        {
            return None;
        }
        Verdict::Unverified if chained || next.is_null() => Trust::FramePointerUnverified,
        // Code made at run time whose bytes the dump lacks.
        Verdict::No if chained && env.may_be_code(target) && is_intact(env, machine, next) => {
            Trust::FramePointerUnverified
        }
        _ if target.is_null() && (next.is_null() || chained) => Trust::FramePointer,
        _ => return None,
    };
    let mut regs = RegSet::new(machine);
    regs.set(RegSet::ip_reg(machine), target.0);
    regs.set(RegSet::sp_reg(machine), slot.0.wrapping_add(word));
    let mut caller = Cursor { regs, saved_at: Vec::new() };
    // A broken chain shows in the next step; the value is what the caller had all the same.
    caller.restored(RegSet::fp_reg(machine), next.0, fp);
    Some(Caller {
        cursor: caller,
        trust,
        return_slot: Some(slot),
        exact_ip: false,
        callee: Callee::default(),
    })
}

/// x64 code keeps the stack pointer aligned to 16 bytes where it calls, so a return address lies 8 bytes below
/// such an address.
fn is_aligned(machine: Machine, slot: Va) -> bool {
    machine != Machine::Amd64 || slot.0 % 16 == 8
}

/// True when `fp` points at a saved frame pointer below a return address, or at the zeros that end a chain.
fn is_link(env: &Env<'_>, machine: Machine, fp: Va) -> bool {
    let word = machine.ptr_size() as u64;
    let (Some(next), Some(target)) = (env.mem.ptr(fp, machine), env.mem.ptr(fp.offset(word), machine)) else {
        return false;
    };
    let ends = next.is_null() && target.is_null();
    ends || matches!(env.judge(machine, target), Verdict::Verified | Verdict::Unverified)
}

/// Longest chain that is looked at before it is believed, links.
const MAX_LINKS: usize = 64;

/// True when the chain from `fp` on leads, link by link upwards, to code of a module or to the zeros that end a stack.
fn is_intact(env: &Env<'_>, machine: Machine, mut fp: Va) -> bool {
    let word = machine.ptr_size() as u64;
    for _ in 0..MAX_LINKS {
        let (Some(next), Some(target)) = (env.mem.ptr(fp, machine), env.mem.ptr(fp.offset(word), machine))
        else {
            return false;
        };
        match env.judge(machine, target) {
            Verdict::Verified | Verdict::Unverified => return true,
            Verdict::NotAfterCall => return false,
            Verdict::No if target.is_null() => return next.is_null(),
            Verdict::No if !env.may_be_code(target) => return false,
            Verdict::No | Verdict::Outside => {}
        }
        if next <= fp || next.0 - fp.0 >= MAX_FRAME || !next.0.is_multiple_of(word) || !env.in_stack(next) {
            return false;
        }
        fp = next;
    }
    false
}

/// True when `caller` is no frame but the end of the stack.
pub(crate) fn is_end(caller: &Caller) -> bool {
    caller.cursor.regs.ip().is_none_or(Va::is_null)
}

/// Searches the stack from `from` on for a word that is a return address. `ip`: where the frame is that the call
/// led to.
///
/// Stale return addresses lie between the real ones. One that follows a direct call to somewhere else than to
/// the frame's function, or that lies where an aligned stack has none, is only taken when there is no other.
pub(crate) fn scan(env: &Env<'_>, cursor: &Cursor, ip: Va, from: Va) -> Option<Caller> {
    let machine = cursor.regs.machine();
    let word = machine.ptr_size() as u64;
    let mut slot = Va(from.0.checked_add(word - 1)? / word * word);
    let end = slot.checked_add(env.limits.scan_bytes as u64)?;
    let mut second_best = None;
    while slot < end && env.in_stack(slot) {
        let Some(target) = env.mem.ptr(slot, machine) else { break };
        if matches!(env.judge(machine, target), Verdict::Verified | Verdict::Unverified)
            // A stored pointer to a function, not a place in one.
            && !env.starts_function(target)
        {
            let leads = code::leads(env.mem, machine, target, ip, None);
            if is_aligned(machine, slot) && leads != Leads::Elsewhere {
                return Some(scanned(env, cursor, slot, target));
            }
            second_best = second_best.or(Some((slot, target)));
        }
        slot = slot.offset(word);
    }
    second_best.map(|(slot, target)| scanned(env, cursor, slot, target))
}

/// Searches the words between the stack pointer and the frame pointer for a return address behind a direct call
/// to the function that `ip` is in.
///
/// A function without a frame of its own leaves its caller's frame pointer in the register: the chain then skips
/// the caller. The skipped frame's return address lies below the frame pointer.
pub(crate) fn skipped(env: &Env<'_>, cursor: &Cursor, ip: Va) -> Option<Caller> {
    let machine = cursor.regs.machine();
    let word = machine.ptr_size() as u64;
    let (from, to) = (cursor.sp(), cursor.regs.fp()?);
    let start = env.context.function_start(ip);
    let words = to.distance_from(from)?.min(env.limits.scan_bytes as u64) / word;
    (0..words).map(|i| from.offset(i * word)).find_map(|slot| {
        let target = env.mem.ptr(slot, machine)?;
        let leads = || code::leads(env.mem, machine, target, ip, start) == Leads::Here;
        let verified = env.judge(machine, target) == Verdict::Verified;
        (verified && leads()).then(|| scanned(env, cursor, slot, target))
    })
}

/// True when the return address of `caller` follows a direct call to something else than the function of `ip`.
pub(crate) fn contradicts(env: &Env<'_>, caller: &Caller, ip: Va) -> bool {
    let machine = caller.cursor.regs.machine();
    let target = caller.cursor.regs.ip().unwrap_or_default();
    code::leads(env.mem, machine, target, ip, env.context.function_start(ip)) == Leads::Elsewhere
}

/// The caller for a return address found at `slot`, with a frame pointer when one is plausible.
pub(crate) fn scanned(env: &Env<'_>, cursor: &Cursor, slot: Va, target: Va) -> Caller {
    let machine = cursor.regs.machine();
    let word = machine.ptr_size() as u64;
    let mut regs = RegSet::new(machine);
    regs.set(RegSet::ip_reg(machine), target.0);
    regs.set(RegSet::sp_reg(machine), slot.0.wrapping_add(word));
    let mut caller = Cursor { regs, saved_at: Vec::new() };
    let plausible =
        |fp: Va| fp > slot && fp.0 - slot.0 < MAX_FRAME && fp.0.is_multiple_of(word) && env.in_stack(fp);
    // Either the callee pushed the caller's frame pointer just below the return address, or it left the register
    // alone.
    let below = slot.back(word);
    match (env.mem.ptr(below, machine), cursor.regs.fp()) {
        (Some(fp), _) if below >= cursor.sp() && plausible(fp) => {
            caller.restored(RegSet::fp_reg(machine), fp.0, below);
        }
        (_, Some(fp)) if plausible(fp) => caller.regs.set(RegSet::fp_reg(machine), fp.0),
        _ => {}
    }
    Caller {
        cursor: caller,
        trust: Trust::Scan,
        return_slot: Some(slot),
        exact_ip: false,
        callee: Callee::default(),
    }
}
