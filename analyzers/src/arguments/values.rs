//! The numbers behind names in a frame, and how sure they are.

use super::flow::{Analysis, Point};
use super::frames::Frame;
use super::ir::Abi;
use super::names::{Root, Sym};
use super::state::{REACH, Source};
use crate::Target;
use crate::model::{ArgSource, Confidence, Evidence, Value};
use dumpscope_core::{ReadMemory, Va};

pub(super) fn at_offset(abi: &Abi, base: Va, by: i64) -> Va {
    Va(abi.wrap(base.0.wrapping_add_signed(by)))
}

pub(super) fn by(at: u64) -> Option<Evidence> {
    (at != 0).then_some(Evidence::Instruction(Va(at)))
}

/// How much a slot can be trusted, given the addresses on the stack that others may have kept.
pub(super) fn safe(abi: &Abi, point: &Point, offset: i32) -> Confidence {
    let mut out = Confidence::Proven;
    for &kept in &point.after.escaped {
        // The areas below and above the return address are different objects.
        if kept > offset || (kept < 0) != (offset < 0) || offset - kept >= REACH {
            continue;
        }
        out =
            out.min(if offset - kept < i32::from(abi.word) { Confidence::Guess } else { Confidence::Strong });
    }
    out
}

/// What lies in a slot of the frame.
pub(super) fn read_slot(
    cx: &Analysis<'_>,
    frame: &Frame<'_>,
    offset: i32,
    written: u64,
    sure: Confidence,
) -> Option<Value> {
    let at = at_offset(cx.abi, frame.entry_sp?, offset.into());
    let bits = cx.target.dump.memory().ptr(at, cx.machine)?.0;
    let evidence = [by(written), Some(Evidence::Memory(at))];
    Some(Value {
        bits,
        bytes: cx.abi.word,
        source: ArgSource::StackSlot,
        confidence: sure,
        evidence: evidence.into_iter().flatten().collect(),
    })
}

pub(super) fn mask(bits: u64, bytes: u8) -> u64 {
    if bytes >= 8 { bits } else { bits & !(u64::MAX << (u32::from(bytes) * 8)) }
}

/// Enters that a place with the name `sym` holds `value`. Two places that disagree make the name doubtful.
pub(super) fn learn(abi: &Abi, frame: &mut Frame<'_>, sym: Sym, value: Value) {
    if !matches!(sym.root, Root::Entry(_) | Root::Stack(_) | Root::Made(..) | Root::Met(..)) {
        return;
    }
    let bytes = value.bytes.min(sym.bytes).min(abi.word);
    let bits = mask(abi.wrap(value.bits.wrapping_sub(sym.add.cast_unsigned())), bytes);
    let confidence = value.confidence.min(frame.cap);
    let value = Value { bits, bytes, confidence, ..value };
    match frame.solved.get_mut(&sym.root) {
        None => {
            frame.solved.insert(sym.root, value);
        }
        Some(known) => {
            let both = known.bytes.min(bytes);
            if mask(known.bits, both) != mask(bits, both) {
                known.confidence = Confidence::Guess;
            } else if known.confidence > Confidence::Guess && rank(&value) > rank(known) {
                *known = value;
            }
        }
    }
}

/// The number behind a name in a frame.
pub(super) fn evaluate(
    cx: &Analysis<'_>,
    frame: &Frame<'_>,
    point: &Point,
    sym: Sym,
    depth: usize,
) -> Option<Value> {
    let best = if point.weak { Confidence::Strong } else { Confidence::Proven };
    let abi = cx.abi;
    let made = |bits: u64, bytes: u8, source| Value {
        bits: mask(abi.wrap(bits), bytes.min(abi.word)),
        bytes: bytes.min(abi.word),
        source,
        confidence: best.min(frame.cap),
        evidence: Vec::new(),
    };
    let plus = |v: &Value, source| {
        let bytes = v.bytes.min(sym.bytes);
        let bits = mask(abi.wrap(v.bits.wrapping_add(sym.add.cast_unsigned())), bytes);
        Value { bits, bytes, source, ..v.clone() }
    };
    match sym.root {
        Root::Unknown => None,
        Root::Const => Some(made(sym.add.cast_unsigned(), sym.bytes, ArgSource::Constant)),
        Root::Sp => {
            let at = at_offset(abi, frame.entry_sp?, sym.add);
            Some(made(at.0, sym.bytes, ArgSource::CallerSetup))
        }
        Root::Entry(reg) => {
            let known = frame.entry.get(&reg).into_iter().chain(frame.given.get(&reg));
            known.max_by_key(|v| rank(v)).map(|v| plus(v, ArgSource::CallerSetup))
        }
        Root::Stack(offset) => {
            let known = stack_word(cx, frame, point, offset);
            known.map(|v| plus(&v, ArgSource::CallerSetup))
        }
        Root::Made(at, _) => {
            if let Some(v) = frame.solved.get(&sym.root) {
                return Some(plus(v, ArgSource::CallerSetup));
            }
            let (va, sure) = match point.sources.get(&at)? {
                Source::Global(va) => {
                    let constant = is_constant(cx.target, Va(*va));
                    (Va(*va), if constant { best } else { Confidence::Guess })
                }
                Source::Behind(base) => {
                    let base = evaluate(cx, frame, point, *base, depth.checked_sub(1)?)?;
                    (Va(base.bits), Confidence::Guess)
                }
            };
            let bits = cx.target.dump.memory().ptr(va, cx.machine)?.0;
            let mut value = made(bits, sym.bytes, ArgSource::CallerMemory);
            value.bits = mask(abi.wrap(value.bits.wrapping_add(sym.add.cast_unsigned())), value.bytes);
            value.confidence = value.confidence.min(sure);
            value.evidence = vec![Evidence::Instruction(Va(at)), Evidence::Memory(va)];
            Some(value)
        }
        Root::Met(..) => frame.solved.get(&sym.root).map(|v| plus(v, ArgSource::CallerSetup)),
    }
}

/// True when `va` lies in a section of an image that nobody can write to.
fn is_constant(target: &Target, va: Va) -> bool {
    let symbols = &target.symbols;
    let Some(module) = symbols.module_at(va).and_then(|m| symbols.modules().get(m)) else { return false };
    let memory = target.dump.memory().as_ref();
    let Ok(headers) = dumpscope_symbols::image::PeHeaders::read(memory, module.base) else { return false };
    let section = va.rva(module.base).and_then(|rva| headers.section_at(rva));
    // IMAGE_SCN_MEM_WRITE. The import table of some linkers is in a writable section, but only the loader writes it.
    section.is_some_and(|s| s.characteristics & 0x8000_0000 == 0)
}

/// A stack word at the function's entry, by its offset from the stack pointer there.
pub(super) fn stack_word(cx: &Analysis<'_>, frame: &Frame<'_>, point: &Point, offset: i32) -> Option<Value> {
    let best = if point.weak { Confidence::Strong } else { Confidence::Proven };
    let sure = best.min(safe(cx.abi, point, offset)).min(frame.cap);
    match point.after.slots.get(&offset) {
        Some(slot) if slot.cell.sym == Sym::of(Root::Stack(offset)) => {}
        Some(_) => return frame.solved.get(&Root::Stack(offset)).cloned(),
        // A part of it may be written through a neighbouring slot.
        None if point.after.load_slot(offset, cx.abi.word).root == Root::Stack(offset) => {}
        None => return None,
    }
    read_slot(cx, frame, offset, 0, sure)
}

/// Of two values that agree the one with more known bytes is better, as long as it is more than a guess.
fn rank(value: &Value) -> (bool, u8, Confidence) {
    (value.confidence > Confidence::Guess, value.bytes, value.confidence)
}

/// What callee and caller say together.
pub(super) fn combine(own: Option<Value>, given: Option<Value>) -> Option<Value> {
    match (own, given) {
        (Some(own), Some(given)) => {
            let both = own.bytes.min(given.bytes);
            if mask(own.bits, both) != mask(given.bits, both) {
                // A value read from memory now says nothing against one that was kept then.
                if given.confidence == Confidence::Guess && own.confidence > Confidence::Guess {
                    return Some(own);
                }
                if own.confidence == Confidence::Guess && given.confidence > Confidence::Guess {
                    return Some(given);
                }
                return Some(Value { confidence: Confidence::Guess, ..own });
            }
            // Two ways to the same number.
            Some(if rank(&given) > rank(&own) { given } else { own })
        }
        (own, given) => own.or(given),
    }
}
