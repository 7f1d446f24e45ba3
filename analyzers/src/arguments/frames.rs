//! From what the code says to numbers: each frame's registers and stack answer for the names of the data flow.

use super::flow::{Analysis, Point};
use super::ir::{Abi, Callee, RegNo, Val};
use super::names::Root;
use super::signature::{self, Signature};
use super::starts::{behind_an_end, entries, prologues, walked_entry_sp};
use super::values::{at_offset, by, combine, evaluate, learn, mask, read_slot, safe, stack_word};
use super::{extent, syscall};
use crate::model::{ArgPlace, ArgSource, Argument, Confidence, Evidence, Stack, StackFrame, Value};
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Reg, Va};
use dumpscope_symbols::Trust;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rounds over a stack.
const MAX_ROUNDS: usize = 4;
/// Most memory reads in a row for one value.
const MAX_DEPTH: usize = 3;
/// Most evidence for one value.
const MAX_EVIDENCE: usize = 8;

/// One physical frame under work.
pub(super) struct Frame<'s> {
    pub(super) row: usize,
    pub(super) frame: &'s StackFrame,
    pub(super) point: Option<Arc<Point>>,
    /// The stack pointer at entry.
    pub(super) entry_sp: Option<Va>,
    /// Registers where the frame stands; on x86 more than the unwinder knows.
    pub(super) regs: [Option<u64>; super::state::REGS],
    /// How sure the way to this frame is.
    pub(super) own_cap: Confidence,
    /// How sure the way to this frame and from it to its caller is.
    pub(super) cap: Confidence,
    /// The code has the return address where the stack walk found it.
    pub(super) confirmed: bool,
    /// Values of names at this point.
    pub(super) solved: BTreeMap<Root, Value>,
    /// Registers at entry, found in this frame or those it called.
    pub(super) entry: BTreeMap<RegNo, Value>,
    /// Registers at the call that led here, found in the caller.
    pub(super) given: BTreeMap<RegNo, Value>,
    /// Stack words at the call that led here, found in the caller.
    pub(super) given_stack: BTreeMap<i32, Value>,
}

pub(super) fn recover(target: &Target, stack: &Stack, cancel: &Cancel) -> Vec<Vec<Argument>> {
    let mut out = vec![Vec::new(); stack.frames.len()];
    let Some(cx) = Analysis::new(target, stack.machine).filter(|_| target.foreign().is_none()) else {
        return out;
    };
    let Some(Round { mut frames, signatures }) = rounds(&cx, stack, usize::MAX, cancel) else { return out };
    // What a function handed on unchanged and kept nowhere, the function below may still have.
    for n in 1..frames.len() {
        let (inner, outer) = frames.split_at_mut(n);
        if let (Some(below), Some(frame)) = (inner.last(), outer.first_mut()) {
            passed_on(&cx, frame, below);
        }
    }
    for (frame, signature) in frames.iter().zip(signatures) {
        let arguments = arguments(&cx, frame, signature);
        if let Some(slot) = out.get_mut(frame.row) {
            *slot = arguments;
        }
    }
    syscall::improve(target, stack, &mut out);
    out
}

/// Innermost frames that are looked at for the way of one value.
const MOST_SOLVED: usize = 64;

/// The innermost physical frames with what is known of their values. `None` when asked to stop.
pub(super) fn solved<'s>(cx: &Analysis<'_>, stack: &'s Stack, cancel: &Cancel) -> Option<Vec<Frame<'s>>> {
    let mut frames = rounds(cx, stack, MOST_SOLVED, cancel)?.frames;
    for n in 1..frames.len() {
        let (inner, outer) = frames.split_at_mut(n);
        if let (Some(below), Some(frame)) = (inner.last(), outer.first_mut()) {
            passed_on(cx, frame, below);
        }
    }
    Some(frames)
}

/// Looks at the innermost `most` physical frames.
fn rounds<'s>(cx: &Analysis<'_>, stack: &'s Stack, most: usize, cancel: &Cancel) -> Option<Round<'s>> {
    let physical = stack.frames.iter().enumerate().filter(|(_, f)| f.trust != Trust::Inline);
    let rows: Vec<(usize, &StackFrame)> = physical.take(most).collect();
    // Functions that only a computed call reaches are known when their callers are: a few rounds.
    let mut hints = BTreeMap::new();
    let mut round = Round::default();
    for _ in 0..MAX_ROUNDS {
        round = one_round(cx, &rows, &hints, cancel)?;
        let known = hints.len();
        for (n, pair) in round.frames.windows(2).enumerate() {
            if let [frame, caller] = pair
                && frame.point.is_none()
                && let Some(target) = call_target(cx, caller)
            {
                hints.entry(n).or_insert_with(|| cx.behind_jumps(target));
            }
        }
        if hints.len() == known {
            break;
        }
    }
    Some(round)
}

/// All frames with what they and their callers say.
#[derive(Default)]
struct Round<'s> {
    frames: Vec<Frame<'s>>,
    signatures: Vec<Signature>,
}

/// Looks at all frames. `hints`: entries of functions, by position in `rows`. `None` when asked to stop.
fn one_round<'s>(
    cx: &Analysis<'_>,
    rows: &[(usize, &'s StackFrame)],
    hints: &BTreeMap<usize, Va>,
    cancel: &Cancel,
) -> Option<Round<'s>> {
    let mut frames: Vec<Frame<'s>> = Vec::with_capacity(rows.len());
    for (n, (row, frame)) in rows.iter().enumerate() {
        if cancel.is_cancelled() {
            return None;
        }
        let caller = rows.get(n + 1).map(|(_, f)| *f);
        let next = inspect(cx, (*row, frame), caller, frames.last(), hints.get(&n).copied());
        frames.push(next);
    }
    let signatures: Vec<Signature> = frames
        .iter()
        .enumerate()
        .map(|(n, f)| {
            let caller = frames.get(n + 1).and_then(|c| c.point.as_deref());
            signature::of(cx, f.frame, f.point.as_deref(), caller)
        })
        .collect();
    // Callers first: what they were given themselves they may hand on.
    for n in (0..frames.len()).rev() {
        let (inner, outer) = frames.split_at_mut(n.saturating_add(1));
        let (Some(frame), Some(caller)) = (inner.last_mut(), outer.first()) else { continue };
        let wanted = signatures.get(n).map(Signature::stack_offsets).unwrap_or_default();
        hand_down(cx, frame, caller, &wanted);
    }
    Some(Round { frames, signatures })
}

fn inspect<'s>(
    cx: &Analysis<'_>,
    (row, frame): (usize, &'s StackFrame),
    caller: Option<&StackFrame>,
    below: Option<&Frame<'_>>,
    hint: Option<Va>,
) -> Frame<'s> {
    let f = &frame.frame;
    let mut regs = [None; super::state::REGS];
    for (n, slot) in (0u8..).zip(regs.iter_mut()).take(cx.abi.count.into()) {
        *slot = f.regs.get(Reg(n));
    }
    if let Some(below) = below.filter(|_| !f.exact_ip) {
        // The unwinder may know no more than a chain of frame pointers; the code below tells where it saved the rest.
        for &reg in cx.abi.kept {
            let saved =
                below.entry.get(&reg).filter(|v| v.bytes >= cx.abi.word && v.confidence > Confidence::Guess);
            if let (Some(slot @ None), Some(v)) = (regs.get_mut(usize::from(reg)), saved) {
                *slot = Some(v.bits);
            }
        }
    }
    let onward = caller.map(|c| c.frame.trust);
    let worst = |t: Trust| match t {
        Trust::Scan => Confidence::Guess,
        // x86 without the code: nothing but the chain of frame pointers says where the frame lies, and functions of
        // Windows have frames that are not in it. Debug information that leads on from there confirms it.
        Trust::FramePointerUnverified if cx.machine == Machine::X86 && onward != Some(Trust::Cfi) => {
            Confidence::Guess
        }
        Trust::FramePointerUnverified | Trust::ReturnAddress => Confidence::Strong,
        _ => Confidence::Proven,
    };
    // A scanned return address that lies exactly where the code has it is no guess any more.
    let lifted = |t: Trust, confirmed: bool| match worst(t) {
        Confidence::Guess if confirmed => Confidence::Strong,
        other => other,
    };
    let own = lifted(f.trust, below.is_some_and(|b| b.confirmed));
    let onward = onward.map_or(Confidence::Proven, worst);
    let mut out = Frame {
        row,
        frame,
        point: None,
        entry_sp: walked_entry_sp(cx, frame, caller),
        regs,
        own_cap: own,
        cap: own.min(onward),
        confirmed: false,
        solved: BTreeMap::new(),
        entry: BTreeMap::new(),
        given: BTreeMap::new(),
        given_stack: BTreeMap::new(),
    };
    let named = entries(cx, frame, caller);
    let searched =
        if cx.machine == Machine::X86 && out.entry_sp.is_some() { prologues(cx, f.ip) } else { Vec::new() };
    let known = named.len() + usize::from(hint.is_some());
    for (n, entry) in named.into_iter().chain(hint).chain(searched).enumerate() {
        let Some(point) = cx.point(entry, f.ip, f.exact_ip, out.entry_sp) else { continue };
        if let Some(entry_sp) = agrees(cx, &out, &point) {
            out.confirmed = out.entry_sp == Some(entry_sp) && point.before.sp(cx.abi).is_some();
            if n >= known && !out.confirmed {
                continue;
            }
            out.cap = own.min(caller.map_or(Confidence::Proven, |c| lifted(c.frame.trust, out.confirmed)));
            // The stack walk may have found this start too: that they agree is no proof.
            if n >= known {
                let begins = behind_an_end(cx, entry);
                out.cap = out.cap.min(if begins { Confidence::Strong } else { Confidence::Guess });
            }
            out.entry_sp = Some(entry_sp);
            out.point = Some(point);
            break;
        }
    }
    if out.point.is_some() {
        solve(cx, &mut out, below);
    }
    out
}

/// Checks the code's idea of the stack against the stack walk's; gives the stack pointer at entry. `None` when they
/// contradict each other: then this is not how the frame came to be.
fn agrees(cx: &Analysis<'_>, frame: &Frame<'_>, point: &Point) -> Option<Va> {
    let sp = frame.frame.frame.sp;
    let f = &frame.frame.frame;
    let told = cx.machine != Machine::Arm64 || matches!(f.trust, Trust::Cfi | Trust::Context);
    let by_sp = point.before.sp(cx.abi).filter(|_| told).map(|o| at_offset(cx.abi, sp, -i64::from(o)));
    let fp = frame.regs.get(usize::from(cx.abi.fp)).copied().flatten();
    let by_fp = point
        .before
        .reg(cx.abi.fp)
        .sp_offset(cx.abi)
        .and_then(|o| Some(at_offset(cx.abi, Va(fp?), -i64::from(o))));
    let mut known = [by_sp, by_fp, frame.entry_sp].into_iter().flatten();
    let first = known.next()?;
    if known.any(|other| other != first) {
        return None;
    }
    // The code gives no size of the frame to compare with.
    (by_sp.is_some() || by_fp.is_some()).then_some(first)
}

/// Values for all names that a register or slot of the frame still holds.
fn solve(cx: &Analysis<'_>, frame: &mut Frame<'_>, below: Option<&Frame<'_>>) {
    let Some(point) = frame.point.clone() else { return };
    let best = if point.weak { Confidence::Strong } else { Confidence::Proven };
    let abi = cx.abi;
    for (n, cell) in (0u8..).zip(&point.after.regs).take(abi.count.into()) {
        let Some(bits) = frame.regs.get(usize::from(n)).copied().flatten() else { continue };
        let evidence = [by(cell.by), Some(Evidence::Register(frame.row, Reg(n)))];
        let value = Value {
            bits,
            bytes: cell.sym.bytes,
            source: ArgSource::PrologueRegister,
            confidence: best,
            evidence: evidence.into_iter().flatten().collect(),
        };
        learn(abi, frame, cell.sym, value);
    }
    let outgoing = outgoing(abi, &point);
    let lowest = point.after.sp(abi).unwrap_or(i32::MIN);
    for (offset, slot) in point.after.slots.range(lowest..) {
        let doubt = if slot.doubtful { Confidence::Strong } else { Confidence::Proven };
        let doubt = if outgoing.contains(offset) {
            // An argument of the call that is under way: what has the function done with it?
            let pushed = if abi.pushes_return { i32::from(abi.word) } else { 0 };
            let there = offset.wrapping_sub(point.before.sp(abi).unwrap_or(0)).wrapping_add(pushed);
            let own = below.and_then(|b| stack_word(cx, b, b.point.as_ref()?, there));
            match own.filter(|v| v.source == ArgSource::StackSlot) {
                Some(v) => doubt.min(v.confidence),
                None => continue,
            }
        } else {
            doubt
        };
        let sure = best.min(doubt).min(safe(abi, &point, *offset));
        if let Some(value) = read_slot(cx, frame, *offset, slot.cell.by, sure) {
            learn(abi, frame, slot.cell.sym, Value { source: ArgSource::PrologueHome, ..value });
        }
    }
    enter(abi, frame);
}

/// Takes the registers at entry out of what was learned.
fn enter(abi: &Abi, frame: &mut Frame<'_>) {
    for n in 0..abi.count {
        if let Some(value) = frame.solved.get(&Root::Entry(n)) {
            frame.entry.insert(n, value.clone());
        }
    }
}

/// Offsets of the words on top of the stack that the caller wrote for the call that is under way.
fn outgoing(abi: &Abi, point: &Point) -> std::ops::Range<i32> {
    match point.before.sp(abi).filter(|_| point.call.is_some()) {
        Some(sp) => {
            let from = sp.saturating_add(abi.home);
            from..point.before.row_of_words(from, abi)
        }
        None => 0..0,
    }
}

/// What the function called got from this one, as far as that frame found its own arguments.
fn passed_on(cx: &Analysis<'_>, frame: &mut Frame<'_>, below: &Frame<'_>) {
    let Some(point) = frame.point.clone() else { return };
    let sure = match verified(cx, below, frame) {
        Some(true) => Confidence::Proven,
        // The function below was reached some other way: a tail call of the one that was called.
        Some(false) => return,
        None => Confidence::Guess,
    };
    let abi = cx.abi;
    for &reg in abi.args {
        let own = below.entry.get(&reg);
        let Some(cell) = point.before.regs.get(usize::from(reg)) else { continue };
        let Some(found) = own else { continue };
        let mut value = found.clone();
        value.source = ArgSource::PassedOn;
        value.confidence = value.confidence.min(sure);
        value.evidence.extend(by(cell.by));
        learn(abi, frame, cell.sym, value);
    }
    enter(abi, frame);
}

/// Whether the call of `caller` reaches the function of `frame`: yes, no, or not known.
pub(super) fn verified(cx: &Analysis<'_>, frame: &Frame<'_>, caller: &Frame<'_>) -> Option<bool> {
    let called = call_target(cx, caller)?;
    let entry = match &frame.point {
        Some(point) => point.entry,
        None => {
            let lookup = frame.frame.frame.lookup_ip();
            match extent::part_at(cx.target, lookup) {
                Some(part) => part.entry,
                None => lookup
                    .back(cx.target.symbols.resolve(lookup).filter(|r| r.symbol.is_some())?.displacement),
            }
        }
    };
    Some(called == entry || cx.behind_jumps(called) == entry)
}

/// Where the call of a frame leads: by the code alone, or by what its registers and memory still say.
fn call_target(cx: &Analysis<'_>, caller: &Frame<'_>) -> Option<Va> {
    let point = caller.point.as_ref()?;
    let call = point.call?;
    if call.target.is_some() {
        return call.target;
    }
    let known = |reg: RegNo| evaluate(cx, caller, point, point.before.reg(reg), MAX_DEPTH);
    match call.callee {
        Callee::Direct(to) => Some(Va(to)),
        Callee::Through(Val::Reg(reg, 0)) => known(reg).map(|v| Va(v.bits)),
        Callee::Through(Val::Load(mem)) if !mem.fuzzy => {
            let sym = point.before.reg(mem.base?);
            if let Some(offset) = sym.sp_offset(cx.abi) {
                // A function pointer on the stack.
                let offset = i32::try_from(i64::from(offset).checked_add(mem.disp)?).ok()?;
                let slot = point.before.slots.get(&offset)?;
                return evaluate(cx, caller, point, slot.cell.sym, MAX_DEPTH).map(|v| Va(v.bits));
            }
            let base = evaluate(cx, caller, point, sym, MAX_DEPTH)?;
            let at = at_offset(cx.abi, Va(base.bits), mem.disp);
            cx.target.dump.memory().ptr(at, cx.machine).filter(|t| !t.is_null())
        }
        Callee::Through(_) => None,
    }
}

/// What the caller's code gave to a function: registers, and the stack words at `stack` (offsets from the stack
/// pointer at entry).
fn hand_down(cx: &Analysis<'_>, frame: &mut Frame<'_>, caller: &Frame<'_>, stack: &[i32]) {
    let Some(point) = &caller.point else { return };
    if point.call.is_none() {
        return;
    }
    let limit = match verified(cx, frame, caller) {
        Some(true) => Confidence::Proven,
        // The function was reached some other way: a tail call of the one that was called.
        Some(false) => return,
        None => Confidence::Guess,
    };
    let limit = limit.min(frame.cap).min(caller.cap);
    for &reg in cx.abi.args {
        let Some(cell) = point.before.regs.get(usize::from(reg)) else { continue };
        // A register that nobody has set since the last call or the entry holds no argument for sure; what was
        // handed on unchanged looks the same, so it is only left out when it is of unknown origin.
        let Some(mut value) = evaluate(cx, caller, point, cell.sym, MAX_DEPTH) else { continue };
        value.confidence = value.confidence.min(limit);
        value.evidence.splice(0..0, by(cell.by));
        value.evidence.truncate(MAX_EVIDENCE);
        frame.given.insert(reg, value);
    }
    let Some(sp) = point.before.sp(cx.abi) else { return };
    for &offset in stack {
        // The callee counts from its return address, which the call pushed below the caller's stack pointer.
        let pushed = if cx.abi.pushes_return { i32::from(cx.abi.word) } else { 0 };
        let Some(slot) = offset.checked_sub(pushed).and_then(|o| point.before.slots.get(&sp.checked_add(o)?))
        else {
            continue;
        };
        let Some(mut value) = evaluate(cx, caller, point, slot.cell.sym, MAX_DEPTH) else { continue };
        value.confidence = value.confidence.min(limit);
        value.evidence.splice(0..0, by(slot.cell.by));
        value.evidence.truncate(MAX_EVIDENCE);
        frame.given_stack.insert(offset, value);
    }
}

/// The value of a stack word at the function's entry, and whether the word itself was written over.
fn on_stack(cx: &Analysis<'_>, frame: &Frame<'_>, offset: i32) -> (Option<Value>, bool) {
    let (own, lost) = match &frame.point {
        Some(point) => {
            let own = stack_word(cx, frame, point, offset);
            let kept = own.as_ref().is_some_and(|v| v.source == ArgSource::StackSlot);
            (own, !kept)
        }
        // Without the code nobody knows whether the function used the word for something else.
        None => (read_slot(cx, frame, offset, 0, Confidence::Guess), false),
    };
    (combine(own, frame.given_stack.get(&offset).cloned()), lost)
}

/// A value of two words of 32 bits.
fn both_words(low: Value, high: Value) -> Value {
    let bits = mask(low.bits, 4) | mask(high.bits, 4) << 32;
    let bytes = if low.bytes >= 4 { high.bytes.min(4).saturating_add(4) } else { low.bytes };
    let confidence = low.confidence.min(high.confidence);
    let evidence = low.evidence.into_iter().chain(high.evidence).collect();
    Value { bits, bytes, confidence, evidence, ..low }
}

/// The arguments of a frame from both directions.
fn arguments(cx: &Analysis<'_>, frame: &Frame<'_>, signature: Signature) -> Vec<Argument> {
    let mut out = Vec::new();
    for (index, param) in signature.params.into_iter().enumerate() {
        let mut overwritten = false;
        let value = match param.place {
            ArgPlace::Register(Reg(reg)) => {
                let own = frame.entry.get(&reg).cloned();
                let mut given = frame.given.get(&reg).cloned();
                // A register that the function never looks at may be no argument of it, whatever the types say.
                if signature.from_types && frame.point.as_ref().is_some_and(|p| p.reads >> reg & 1 == 0) {
                    let limit = if cx.abi.word == 8 { Confidence::Strong } else { Confidence::Guess };
                    given = given.map(|v| Value { confidence: v.confidence.min(limit), ..v });
                }
                combine(own, given)
            }
            ArgPlace::Stack(offset) => {
                let (low, lost) = on_stack(cx, frame, offset);
                overwritten = lost;
                if param.wide {
                    let (high, lost) = on_stack(cx, frame, offset.saturating_add(4));
                    overwritten |= lost;
                    low.zip(high).map(|(low, high)| both_words(low, high))
                } else {
                    low
                }
            }
            ArgPlace::Vector(_) | ArgPlace::Elsewhere => None,
        };
        let mut value = value.map(|mut v| {
            v.confidence = v.confidence.min(signature.cap).min(frame.cap);
            v.evidence.dedup();
            v.evidence.truncate(MAX_EVIDENCE);
            v
        });
        if let Some(told) = param.told {
            // A parameter's own place, as the compiler recorded it for this very instruction.
            let confidence = told.confidence.min(frame.own_cap);
            value = Some(Value { confidence, ..told });
        }
        if let (Some(v), Some(bytes)) = (&mut value, param.bytes) {
            v.bytes = v.bytes.min(bytes);
            v.bits = mask(v.bits, v.bytes);
        }
        out.push(Argument {
            index,
            place: param.place,
            name: param.name,
            type_text: param.type_text,
            value,
            overwritten,
            hint: None,
            leads_to: None,
        });
    }
    out
}
