//! One step on an x86 stack.
//!
//! Order: what the code at the ip says (a return, an epilogue, a prologue), frame data of a symbol file, DWARF of
//! the image, the word on top of the stack after a call through a bad pointer, the ebp chain, a scan.

mod code;
mod frame_data;

use super::code::{Leads, leads};
use super::scan::{contradicts, frame_pointer, is_end, scan, skipped};
use super::step::{Callee, Caller, Cursor, Env, Missing, Outcome, Step, Verdict};
use super::{EndReason, Frame, Trust, UnwindIssue, dwarf};
use dumpscope_core::base::x86;
use dumpscope_core::{Machine, Reg, Va};

/// Registers that a call may change.
const VOLATILE: [Reg; 3] = [x86::EAX, x86::ECX, x86::EDX];

/// A system-call stub is shorter than this: `mov eax, n; mov edx, stub; call edx; ret n` and its relatives.
const LONGEST_STUB: u64 = 0x18;

/// Finds the caller of `frame`.
pub(crate) fn step(env: &Env<'_>, frame: &Frame, callee: Callee) -> Step {
    let in_module = env.context.module_at(frame.lookup_ip()).is_some();
    let issue = (!in_module).then_some(UnwindIssue::NotInModule);
    match known(env, frame, callee) {
        Ok(Some(caller)) => return Step { outcome: Outcome::Caller(Box::new(caller)), issue },
        Ok(None) => {}
        Err(Missing(at)) => {
            return Step { outcome: Outcome::End(EndReason::MissingMemory(at), None), issue };
        }
    }
    let cursor = Cursor::of(frame);
    let ebp = cursor.regs.get(x86::EBP);
    let chain = frame_pointer(env, &cursor);
    if in_module
        && !chain.as_ref().is_some_and(|c| is_own(env, c, frame))
        && let Some(caller) = by_code(env, frame)
    {
        return Step { outcome: Outcome::Caller(Box::new(caller)), issue };
    }
    // A chain that ends at once is no evidence in frame 0, whose ebp may hold anything.
    let ends = chain.as_ref().is_some_and(is_end);
    let found = match chain {
        // The chain leads past a frame when the call it leads to was not to this function. Code that the optimizer
        // moved away from its function looks the same, so only a call to right here is better.
        Some(caller)
            if caller.trust == Trust::FramePointer && contradicts(env, &caller, frame.lookup_ip()) =>
        {
            skipped(env, &cursor, frame.lookup_ip()).or(Some(caller))
        }
        Some(caller) if !ends || frame.trust != Trust::Context => Some(caller),
        // Frames above the thread's first one have ebp 0: nothing to search for.
        _ if ebp == Some(0) && frame.trust != Trust::Context => {
            return Step { outcome: Outcome::End(EndReason::Complete, None), issue };
        }
        chain => scan(env, &cursor, frame.ip, cursor.sp()).or(chain),
    };
    if let Some(caller) = found {
        return Step { outcome: Outcome::Caller(Box::new(caller)), issue };
    }
    let sp = cursor.sp();
    let reason = match env.mem.u32(sp) {
        None => EndReason::MissingMemory(sp),
        Some(_) => EndReason::NoCaller,
    };
    Step { outcome: Outcome::End(reason, None), issue }
}

/// True when the chain is this function's own: it begins by setting up ebp, or the call before the return address
/// leads to it.
fn is_own(env: &Env<'_>, chain: &Caller, frame: &Frame) -> bool {
    let ip = frame.lookup_ip();
    let start = env.context.function_start(ip);
    if start.is_some_and(|s| code::entry(env, s) == code::Entry::Start) {
        return true;
    }
    let target = chain.cursor.regs.ip().unwrap_or_default();
    leads(env.mem, Machine::X86, target, ip, start) == Leads::Here
}

/// The caller as prologue and stack adjustments of the function's code have it.
fn by_code(env: &Env<'_>, frame: &Frame) -> Option<Caller> {
    let layout = env.context.code_frame(frame)?;
    let mut cursor = Cursor::of(frame);
    let known = [x86::EBX, x86::ESI, x86::EDI, x86::EBP];
    known.into_iter().filter(|r| !layout.kept.contains(r)).for_each(|r| cursor.forget(r));
    for (reg, slot) in &layout.saved {
        let _ = cursor.load(env, *reg, *slot);
    }
    cursor.set_sp(layout.return_slot);
    let slot = cursor.ret(env).ok()?;
    if !env.in_stack(slot) || env.judge(Machine::X86, cursor.regs.ip()?) != Verdict::Verified {
        return None;
    }
    let pops = layout.pops.map(u32::from);
    let callee = Callee { params: pops.unwrap_or(0), popped: pops };
    Some(caller(cursor, Trust::FramePointer, slot, callee))
}

/// What code, symbols and the image say, without guessing.
fn known(env: &Env<'_>, frame: &Frame, callee: Callee) -> Result<Option<Caller>, Missing> {
    if frame.exact_ip && env.never_ran(frame.ip) {
        return arrived_nowhere(env, frame);
    }
    let popped = if frame.exact_ip { Some(0) } else { callee.popped };
    if let Some(popped) = popped {
        let mut cursor = Cursor::of(frame);
        cursor.set_sp(frame.sp.offset(popped.into()));
        if let Some(ret) = code::leave(env, frame.ip, frame.exact_ip, &mut cursor)?
            // Nobody returns to 0 from a stub: a stack that says so does not belong to these registers.
            && cursor.regs.ip() != Some(Va(0))
            && let Some(trust) = confirmed(env, cursor.regs.ip().unwrap_or_default())
        {
            let callee = Callee { params: ret.popped, popped: Some(ret.popped) };
            return Ok(Some(caller(cursor, trust, ret.slot, callee)));
        }
    }
    if let Some((done, trust)) = by_data(env, frame, callee) {
        let callee = Callee { params: done.params, popped: None };
        return Ok(Some(caller(done.cursor, trust, done.return_slot, callee)));
    }
    if frame.exact_ip
        && let Some(pushed) = pushed(env, frame)
    {
        let mut cursor = Cursor::of(frame);
        if pushed {
            cursor.pop(env, x86::EBP)?;
        }
        let slot = cursor.ret(env)?;
        if let Some(trust) = confirmed(env, cursor.regs.ip().unwrap_or_default()) {
            return Ok(Some(caller(cursor, trust, slot, Callee::default())));
        }
    }
    Ok(None)
}

/// A call or jump through a bad pointer leaves its return address on top of the stack, and nothing ran since.
fn arrived_nowhere(env: &Env<'_>, frame: &Frame) -> Result<Option<Caller>, Missing> {
    let mut cursor = Cursor::of(frame);
    let slot = cursor.sp();
    let target = env.mem.u32(slot).map(|t| Va(t.into())).ok_or(Missing(slot))?;
    if !matches!(env.judge(Machine::X86, target), Verdict::Verified | Verdict::Unverified | Verdict::Outside)
    {
        return Ok(None);
    }
    cursor.ret(env)?;
    Ok(Some(caller(cursor, Trust::ReturnAddress, slot, Callee::default())))
}

/// A caller found by data.
pub(super) struct Done {
    pub(super) cursor: Cursor,
    pub(super) return_slot: Va,
    /// Bytes of parameters of the function that was undone.
    pub(super) params: u32,
}

fn by_data(env: &Env<'_>, frame: &Frame, callee: Callee) -> Option<(Done, Trust)> {
    // Data that does not lead to code is worse than none.
    let plausible = |done: &Done| confirmed(env, done.cursor.regs.ip().unwrap_or_default()).is_some();
    if let Some(data) = env.context.frame_data(frame.lookup_ip())
        && let Some((done, trust)) = frame_data::apply(env, frame, &data, callee)
        && plausible(&done)
    {
        return Some((done, trust));
    }
    dwarf::unwind(env, frame).filter(plausible).map(|done| (done, Trust::Cfi))
}

/// How much to believe in a return address that code points to; `None` when it can be none.
fn confirmed(env: &Env<'_>, target: Va) -> Option<Trust> {
    match env.judge(Machine::X86, target) {
        Verdict::Verified | Verdict::Outside => Some(Trust::FramePointer),
        Verdict::Unverified => Some(Trust::FramePointerUnverified),
        Verdict::NotAfterCall | Verdict::No => target.is_null().then_some(Trust::FramePointer),
    }
}

fn caller(mut cursor: Cursor, trust: Trust, return_slot: Va, callee: Callee) -> Caller {
    VOLATILE.iter().for_each(|r| cursor.forget(*r));
    Caller { cursor, trust, return_slot: Some(return_slot), exact_ip: false, callee }
}

/// When the frame has nothing on the stack but its return address: false; and ebp: true. That is so at a standard
/// prologue, and in a system-call stub whose code is not in the dump but whose start a symbol tells.
fn pushed(env: &Env<'_>, frame: &Frame) -> Option<bool> {
    match code::entry(env, frame.ip) {
        code::Entry::Start => Some(false),
        code::Entry::Pushed => Some(true),
        code::Entry::No => None,
        code::Entry::Unknown => {
            let start = env.context.function_start(frame.ip)?;
            let offset = frame.ip.distance_from(start)?;
            // Behind a stub's call, but too early for a function that waits with a frame of its own.
            (offset == 0 || (5..LONGEST_STUB).contains(&offset)).then_some(false)
        }
    }
}

#[cfg(test)]
mod tests;
