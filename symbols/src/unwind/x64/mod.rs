//! One step on an x64 stack.
//!
//! Order: unwind data of the image in memory (or of a function registered at run time), `STACK CFI` rules of a
//! symbol file, the leaf rule, a plausible rbp chain, a scan. Only what unwind data says is `Trust::Cfi`.

mod codes;
mod epilogue;

use super::image::Image;
use super::scan::{frame_pointer, is_end, scan};
use super::step::{Callee, Caller, Cursor, Env, Missing, Outcome, Step, Verdict};
use super::{EndReason, Frame, FrameData, Trust, UnwindIssue, UnwindRule, cfi};
use codes::{Failure, RuntimeFunction};
use dumpscope_core::base::amd64;
use dumpscope_core::{Machine, ReadMemory, Reg, Rva, Va};

/// Registers that a call may change.
const VOLATILE: [Reg; 7] = [amd64::RAX, amd64::RCX, amd64::RDX, amd64::R8, amd64::R9, amd64::R10, amd64::R11];

/// Finds the caller of `frame`.
pub(crate) fn step(env: &Env<'_>, frame: &Frame) -> Step {
    let issue = match known(env, frame) {
        Known::Caller(caller, issue) => return Step { outcome: Outcome::Caller(caller), issue },
        Known::Missing(at) => {
            return Step { outcome: Outcome::End(EndReason::MissingMemory(at), None), issue: None };
        }
        Known::Nothing(why) => Some(why),
    };
    let outcome = match guess(env, frame) {
        Ok(Some(caller)) => Outcome::Caller(Box::new(caller)),
        Ok(None) if env.mem.u64(frame.sp).is_some() => Outcome::End(EndReason::NoCaller, None),
        Ok(None) => Outcome::End(EndReason::MissingMemory(frame.sp), None),
        Err(Missing(at)) => Outcome::End(EndReason::MissingMemory(at), None),
    };
    // What a symbol file says stands in for the image.
    let told = matches!(&outcome, Outcome::Caller(caller) if caller.trust == Trust::Cfi);
    Step { outcome, issue: issue.filter(|_| !told) }
}

/// Begin and end of the piece of a function that holds `rva`, and the begin of the function's first piece.
pub(super) fn part(mem: &dyn ReadMemory, image: &Image, rva: Rva) -> Option<(Rva, Rva, Rva)> {
    let function = codes::lookup(mem, image, rva)?;
    let entry = codes::first_piece(mem, image.base, function)?;
    Some((Rva(function.begin), Rva(function.end), Rva(entry.begin)))
}

/// What unwind data says.
enum Known {
    Caller(Box<Caller>, Option<UnwindIssue>),
    /// Stack memory is missing.
    Missing(Va),
    /// Nothing, for this reason.
    Nothing(UnwindIssue),
}

fn known(env: &Env<'_>, frame: &Frame) -> Known {
    let lookup = frame.lookup_ip();
    let Some(image) = env.image_at(lookup) else {
        if env.context.module_at(lookup).is_some() {
            return Known::Nothing(UnwindIssue::ImageMissing);
        }
        return dynamic(env, frame).unwrap_or(Known::Nothing(UnwindIssue::NotInModule));
    };
    if image.machine != Machine::Amd64 {
        let text = "64-bit registers in code of another machine";
        return Known::Nothing(UnwindIssue::BadUnwindData(text.into()));
    }
    match lookup.rva(image.base).and_then(|rva| codes::lookup(env.mem, &image, rva)) {
        Some(function) => by_codes(env, image.base, function, frame),
        None => dynamic(env, frame).unwrap_or_else(|| leaf(env, &image, frame)),
    }
}

fn by_codes(env: &Env<'_>, base: Va, function: RuntimeFunction, frame: &Frame) -> Known {
    match codes::unwind(env, (base, function), frame) {
        Ok(done) => {
            let issue = done.code_unknown.then_some(UnwindIssue::CodeUnknown);
            Known::Caller(Box::new(with_cfi(done)), issue)
        }
        Err(Failure::Stack(Missing(at))) => Known::Missing(at),
        Err(Failure::Data(text)) => Known::Nothing(UnwindIssue::BadUnwindData(text)),
    }
}

/// Code that no image describes. Some engines register one record for all their code, only to get their
/// exception handler called, and keep frame pointers: what such a record says has to lead to code.
fn dynamic(env: &Env<'_>, frame: &Frame) -> Option<Known> {
    let found = match env.context.dynamic_rule(frame.lookup_ip())? {
        UnwindRule::Codes(d) => {
            let function = RuntimeFunction { begin: d.begin.0, end: d.end.0, unwind: d.unwind_info.0 };
            by_codes(env, d.base, function, frame)
        }
        UnwindRule::FrameSize { bytes } => {
            // The caller's frame pointer and the return address are the frame's last two words.
            let top = frame.sp.offset(bytes.checked_sub(16)?.into());
            by_frame_pointer(env, frame, top, None)
        }
        UnwindRule::FramePointer { caller_sp } => {
            let top = frame.regs.fp()?;
            // An interpreter makes room above the return address for locals: where its caller's frame ends is told apart.
            let sp = caller_sp.and_then(|below| env.mem.u64(top.back(below.into()))).map(Va);
            by_frame_pointer(env, frame, top, sp.filter(|sp| *sp > top))
        }
        UnwindRule::Leaf if frame.exact_ip => {
            let mut cursor = Cursor::of(frame);
            match cursor.ret(env) {
                Ok(slot) => Known::Caller(Box::new(caller(cursor, Trust::Cfi, Some(slot))), None),
                Err(Missing(at)) => Known::Missing(at),
            }
        }
        UnwindRule::Leaf => return None,
    };
    if let Known::Caller(caller, _) = &found
        && let target = caller.cursor.regs.ip().unwrap_or_default()
        && matches!(env.judge(Machine::Amd64, target), Verdict::NotAfterCall | Verdict::No)
        // Interpreters push where they go on, and jump.
        && !matches!(
            env.context.dynamic_rule(target),
            Some(UnwindRule::FrameSize { .. } | UnwindRule::FramePointer { .. })
        )
    {
        let text = "the unwind data registered at run time does not lead to code";
        return Some(Known::Nothing(UnwindIssue::BadUnwindData(text.into())));
    }
    Some(found)
}

/// A frame whose last two words, the caller's frame pointer and the return address, are at `top`. `sp`: the caller's stack
/// pointer, where it is not just above.
fn by_frame_pointer(env: &Env<'_>, frame: &Frame, top: Va, sp: Option<Va>) -> Known {
    let mut cursor = Cursor::of(frame);
    cursor.set_sp(top);
    match cursor.pop(env, amd64::RBP).and_then(|()| cursor.ret(env)) {
        Ok(slot) => {
            if let Some(sp) = sp {
                cursor.set_sp(sp);
            }
            Known::Caller(Box::new(caller(cursor, Trust::Cfi, Some(slot))), None)
        }
        Err(Missing(at)) => Known::Missing(at),
    }
}

fn with_cfi(done: codes::Done) -> Caller {
    // Volatile registers are dropped behind a machine frame too: what an exception interrupted had its own values
    // in them, which lie in the context record and not in unwind data.
    let caller = caller(done.cursor, Trust::Cfi, Some(done.return_slot));
    Caller { exact_ip: done.interrupted, ..caller }
}

/// A function without unwind data neither moves the stack pointer nor calls: its return address is at rsp. That
/// is only believed where the ip really was (a caller's ip did call), in code of an image that has a function
/// table, and when the word there can be a return address.
fn leaf(env: &Env<'_>, image: &Image, frame: &Frame) -> Known {
    let is_code = frame.ip.rva(image.base).and_then(|rva| image.is_code(rva));
    if !frame.exact_ip || image.pdata.is_none() || is_code != Some(true) {
        return Known::Nothing(UnwindIssue::NoUnwindData);
    }
    let mut cursor = Cursor::of(frame);
    let slot = match cursor.ret(env) {
        Ok(slot) => slot,
        Err(Missing(at)) => return Known::Missing(at),
    };
    let target = cursor.regs.ip().unwrap_or_default();
    match env.judge(Machine::Amd64, target) {
        Verdict::Verified | Verdict::Unverified | Verdict::Outside => {}
        _ if target.is_null() => {}
        Verdict::NotAfterCall | Verdict::No => return Known::Nothing(UnwindIssue::NoUnwindData),
    }
    Known::Caller(Box::new(caller(cursor, Trust::Cfi, Some(slot))), None)
}

/// Without unwind data: rules of a symbol file, a return at the ip, the call through a bad pointer, the rbp chain,
/// the scan.
fn guess(env: &Env<'_>, frame: &Frame) -> Result<Option<Caller>, Missing> {
    let cursor = Cursor::of(frame);
    if let Some(FrameData::Cfi { rules }) = env.context.frame_data(frame.lookup_ip())
        && let Some(done) = cfi::apply(env, frame, &rules)
        && let target = done.cursor.regs.ip().unwrap_or_default()
        && (target.is_null()
            || !matches!(env.judge(Machine::Amd64, target), Verdict::No | Verdict::NotAfterCall))
    {
        return Ok(Some(caller(done.cursor, Trust::Cfi, done.return_slot)));
    }
    let at_top = |verdict| matches!(verdict, Verdict::Verified | Verdict::Unverified);
    if frame.exact_ip && env.never_ran(frame.ip) {
        // A call or jump through a bad pointer leaves its return address on top of the stack, and nothing ran
        // since: the non-volatile registers are still the caller's.
        let slot = cursor.sp();
        let target = env.mem.u64(slot).map(Va).ok_or(Missing(slot))?;
        if env.judge(Machine::Amd64, target) == Verdict::Outside || at_top(env.judge(Machine::Amd64, target))
        {
            let mut next = cursor;
            next.ret(env)?;
            return Ok(Some(caller(next, Trust::ReturnAddress, Some(slot))));
        }
    } else if frame.exact_ip {
        if let Some(entered) = entered(env, frame)? {
            return Ok(Some(entered));
        }
        let mut next = cursor.clone();
        // Without unwind data `lea rsp` and `leave` are not believed: no frame register is known.
        if let epilogue::Found::Yes(slot) = epilogue::run(env, None, frame.ip, None, &mut next)? {
            let trust = match env.judge(Machine::Amd64, next.regs.ip().unwrap_or_default()) {
                Verdict::Verified => Some(Trust::FramePointer),
                Verdict::Unverified => Some(Trust::FramePointerUnverified),
                _ => None,
            };
            if let Some(trust) = trust {
                return Ok(Some(caller(next, trust, Some(slot))));
            }
        }
    }
    // A chain that ends at once is no evidence: rbp is a general register in most code.
    let follows = matches!(frame.trust, Trust::FramePointer | Trust::FramePointerUnverified);
    let chain = frame_pointer(env, &cursor).filter(|c| follows || !is_end(c));
    if chain.is_none()
        && frame.exact_ip
        && env.context.module_at(frame.ip).is_none()
        && let slot = cursor.sp()
        && let Some(target) = env.mem.u64(slot).map(Va)
        && at_top(env.judge(Machine::Amd64, target))
    {
        // Code made at run time that keeps no frame pointer, where it entered or in a leaf.
        let mut next = cursor;
        next.ret(env)?;
        return Ok(Some(caller(next, Trust::Scan, Some(slot))));
    }
    Ok(chain.or_else(|| scan(env, &cursor, frame.ip, cursor.sp())))
}

/// Without unwind data, in the two places of a standard prologue where rbp is not set up yet: at `push rbp` and
/// between it and `mov rbp, rsp`.
fn entered(env: &Env<'_>, frame: &Frame) -> Result<Option<Caller>, Missing> {
    let mut bytes = [0u8; 4];
    if env.mem.read_at(frame.ip, &mut bytes).got < bytes.len() {
        return Ok(None);
    }
    let is_move = |b: &[u8]| matches!(b, [0x48, 0x8b, 0xec, ..] | [0x48, 0x89, 0xe5, ..]);
    let mut next = Cursor::of(frame);
    match &bytes {
        [0x55, behind @ ..] if is_move(behind) => {}
        all if is_move(all) && env.mem.u8(frame.ip.back(1)) == Some(0x55) => next.pop(env, amd64::RBP)?,
        _ => return Ok(None),
    }
    let slot = next.ret(env)?;
    let trust = match env.judge(Machine::Amd64, next.regs.ip().unwrap_or_default()) {
        Verdict::Verified | Verdict::Outside => Trust::FramePointer,
        Verdict::Unverified => Trust::FramePointerUnverified,
        Verdict::NotAfterCall | Verdict::No => return Ok(None),
    };
    Ok(Some(caller(next, trust, Some(slot))))
}

fn caller(mut cursor: Cursor, trust: Trust, return_slot: Option<Va>) -> Caller {
    VOLATILE.iter().for_each(|r| cursor.forget(*r));
    Caller { cursor, trust, return_slot, exact_ip: false, callee: Callee::default() }
}

#[cfg(test)]
mod tests;
