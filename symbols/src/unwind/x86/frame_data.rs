//! Frame data of symbol files: `FPO_DATA`, FrameData programs, `STACK CFI` rules.
//!
//! Sources: CodeView's `FPO_DATA` and `FRAMEDATA` (microsoft-pdb), the Breakpad symbol file format (`STACK WIN`).

use super::super::postfix::{Evaluator, Value};
use super::super::scan::frame_pointer;
use super::super::step::{Callee, Cursor, Env, Verdict};
use super::super::{Frame, FrameData, Trust, cfi};
use super::Done;
use dumpscope_core::base::x86;
use dumpscope_core::{Machine, Reg, Va};

/// How far above the expected place a return address is looked for, words: saved registers and pushed arguments
/// that the record does not count.
const SEARCH_WORDS: u64 = 64;

const SAVED: [(Reg, &str); 4] =
    [(x86::EBP, "$ebp"), (x86::EBX, "$ebx"), (x86::ESI, "$esi"), (x86::EDI, "$edi")];

/// Applies `data` to `frame`. `None` when it does not lead to a caller.
pub(super) fn apply(env: &Env<'_>, frame: &Frame, data: &FrameData, callee: Callee) -> Option<(Done, Trust)> {
    match data {
        FrameData::Fpo { start, params, locals, saved_regs, uses_bp, .. } => {
            let (base, _) = env.context.module_at(frame.lookup_ip())?;
            let at_start = frame.exact_ip && frame.ip == start.va(base);
            // Nothing was pushed before the first instruction.
            let (locals, saved) = if at_start { (0, 0) } else { (*locals, *saved_regs) };
            fpo(env, frame, &Sizes { params: *params, locals, saved }, *uses_bp, callee)
        }
        FrameData::Program { params, locals, saved_regs, program, .. } => {
            let sizes = Sizes { params: *params, locals: *locals, saved: *saved_regs };
            run(env, frame, &sizes, program, callee)
        }
        FrameData::Cfi { rules } => {
            let done = cfi::apply(env, frame, rules)?;
            let return_slot = done.return_slot?;
            Some((Done { cursor: done.cursor, return_slot, params: 0 }, Trust::Cfi))
        }
    }
}

struct Sizes {
    params: u32,
    locals: u32,
    saved: u32,
}

/// Where the record says the return address is.
fn expected(frame: &Frame, sizes: &Sizes, callee: Callee) -> Va {
    // The parameters of the frame below were pushed by this one, whoever removes them.
    let bytes = u64::from(callee.params) + u64::from(sizes.locals) + u64::from(sizes.saved);
    Va(frame.sp.offset(bytes).0 & 0xffff_ffff)
}

/// A plausible return address at `expected` or a little above; true when it is there exactly.
fn search(env: &Env<'_>, expected: Va) -> Option<(Va, bool)> {
    let is_return = |slot: Va| {
        let target = env.mem.u32(slot).map(|t| Va(t.into()));
        target.is_some_and(|t| {
            matches!(env.judge(Machine::X86, t), Verdict::Verified | Verdict::Unverified | Verdict::Outside)
        })
    };
    if is_return(expected) || env.mem.u32(expected) == Some(0) {
        return Some((expected, true));
    }
    (1..SEARCH_WORDS)
        .map(|i| expected.offset(i * 4))
        .find(|slot| env.in_stack(*slot) && is_return(*slot))
        .map(|slot| (slot, false))
}

fn fpo(env: &Env<'_>, frame: &Frame, sizes: &Sizes, uses_bp: bool, callee: Callee) -> Option<(Done, Trust)> {
    let (slot, exact) = search(env, expected(frame, sizes, callee))?;
    let mut cursor = Cursor::of(frame);
    if !exact && frame_pointer(env, &cursor).is_some_and(|c| c.trust == Trust::FramePointer) {
        return None;
    }
    if sizes.saved > 0 {
        // Which registers were pushed is not told.
        [x86::EBX, x86::ESI, x86::EDI].into_iter().for_each(|r| cursor.forget(r));
    }
    if uses_bp {
        // ebp is pushed first, or second after ebx: the one that looks like a frame pointer.
        cursor.forget(x86::EBP);
        let is_pointer = |at: &Va| {
            let value = env.mem.u32(*at).map(|v| Va(v.into()));
            *at >= frame.sp && value.is_some_and(|v| v > slot && env.in_stack(v))
        };
        let below = slot.back(sizes.locals.into());
        let at =
            [8, 4].into_iter().filter(|n| *n <= sizes.saved).map(|n| below.back(n.into())).find(is_pointer);
        if let Some(at) = at {
            let _ = cursor.load(env, x86::EBP, at);
        }
    }
    cursor.set_sp(slot);
    cursor.ret(env).ok()?;
    let trust = if exact { Trust::Cfi } else { Trust::Scan };
    Some((Done { cursor, return_slot: slot, params: sizes.params }, trust))
}

fn run(env: &Env<'_>, frame: &Frame, sizes: &Sizes, program: &str, callee: Callee) -> Option<(Done, Trust)> {
    let mut evaluator = Evaluator::new(env, Machine::X86);
    for (reg, name) in SAVED.into_iter().chain([(x86::ESP, "$esp"), (x86::EIP, "$eip")]) {
        if let Some(bits) = frame.regs.get(reg) {
            evaluator.set(name, Value::plain(bits));
        }
    }
    let constants = [
        (".cbParams", sizes.params),
        (".cbLocals", sizes.locals),
        (".cbSavedRegs", sizes.saved),
        (".cbCalleeParams", callee.params),
    ];
    for (name, value) in constants {
        evaluator.set(name, Value::plain(value.into()));
    }
    let searched = program.contains(".raSearch");
    let mut trust = Trust::Cfi;
    if searched {
        let expected = expected(frame, sizes, callee);
        let (slot, exact) = search(env, expected).unwrap_or((expected, true));
        if !exact {
            trust = Trust::Scan;
        }
        evaluator.set(".raSearch", Value::plain(slot.0));
        evaluator.set(".raSearchStart", Value::plain(slot.0));
    }
    let (old_ip, old_sp) = (evaluator.get("$eip"), evaluator.get("$esp"));
    evaluator.run(program)?;
    let (ip, sp) = (evaluator.get("$eip")?, evaluator.get("$esp")?);
    if Some(ip) == old_ip && Some(sp) == old_sp {
        return None;
    }
    let mut cursor = Cursor::of(frame);
    for (reg, name) in SAVED {
        match evaluator.get(name) {
            Some(Value { bits, slot: Some(slot) }) => cursor.restored(reg, bits, slot),
            Some(Value { bits, slot: None }) if frame.regs.get(reg) != Some(bits) => {
                cursor.forget(reg);
                cursor.regs.set(reg, bits);
            }
            // Untouched by the program. With saved registers it may have been pushed all the same.
            Some(_) if sizes.saved > 0 && reg != x86::EBP => cursor.forget(reg),
            _ => {}
        }
    }
    cursor.set_ip(Va(ip.bits));
    cursor.set_sp(Va(sp.bits));
    let return_slot = ip.slot.unwrap_or(Va(sp.bits).back(4));
    Some((Done { cursor, return_slot, params: sizes.params }, trust))
}
