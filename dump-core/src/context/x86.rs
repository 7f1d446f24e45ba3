//! x86 `CONTEXT`, which is `WOW64_CONTEXT` too: 0x2CC bytes.

use super::{Context, set_reg, vectors, x87_of_fxsave};
use crate::base::{FileOff, Machine, Reg, x86};
use crate::bytes::Cursor;

/// `CONTEXT_i386`.
pub(super) const ARCH: u32 = 0x1_0000;
/// Any part.
pub(super) const ANY: u32 = 0x3f;
const CONTROL: u32 = 1;
const INTEGER: u32 = 2;
const SEGMENTS: u32 = 4;
const FLOATING_POINT: u32 = 8;
const DEBUG: u32 = 0x10;
const EXTENDED: u32 = 0x20;

const INTEGER_AT: [(Reg, usize); 6] = [
    (x86::EDI, 0x9c),
    (x86::ESI, 0xa0),
    (x86::EBX, 0xa4),
    (x86::EDX, 0xa8),
    (x86::ECX, 0xac),
    (x86::EAX, 0xb0),
];
const CONTROL_AT: [(Reg, usize); 3] = [(x86::EBP, 0xb4), (x86::EIP, 0xb8), (x86::ESP, 0xc4)];

pub(super) fn decode(raw: &[u8]) -> Option<Context> {
    let all = Cursor::new(raw, FileOff(0));
    let flags = all.at(0).u32()?;
    let mut out = Context::empty(Machine::X86, flags);
    let word = |at: usize| all.at(at).u32();
    let selector = |at: usize| word(at).unwrap_or(0) as u16;
    let has = |bit: u32| flags & bit != 0;
    if has(INTEGER) {
        INTEGER_AT.iter().for_each(|&(r, at)| set_reg(&mut out.regs, r, word(at).map(u64::from)));
    }
    let [cs, ds, es, fs, gs, ss] = &mut out.segments;
    if has(CONTROL) {
        CONTROL_AT.iter().for_each(|&(r, at)| set_reg(&mut out.regs, r, word(at).map(u64::from)));
        out.eflags = word(0xc0).unwrap_or(0);
        (*cs, *ss) = (selector(0xbc), selector(0xc8));
    }
    if has(SEGMENTS) {
        (*gs, *fs, *es, *ds) = (selector(0x8c), selector(0x90), selector(0x94), selector(0x98));
    }
    if has(DEBUG) {
        let at = [0x4, 0x8, 0xc, 0x10, 0x14, 0x18];
        out.debug.iter_mut().zip(at).for_each(|(d, at)| *d = word(at).unwrap_or(0).into());
    }
    if has(FLOATING_POINT) {
        out.x87 = float_save(all);
    }
    if has(EXTENDED) {
        // The extended registers are an FXSAVE area of 512 bytes.
        out.vectors = vectors(all.at(0xcc + 0xa0), 8);
        if out.x87.is_empty() {
            out.x87 = x87_of_fxsave(all.at(0xcc));
        }
    }
    Some(out)
}

/// `FLOATING_SAVE_AREA` at 0x1C: control, status and tag words of 32 bits, four words, then 8 times 10 bytes.
fn float_save(all: Cursor<'_>) -> Vec<u128> {
    let mut head = all.at(0x1c);
    let mut area = all.at(0x38);
    let mut out = Vec::with_capacity(11);
    for _ in 0..8 {
        let Some(raw) = area.array::<10>() else { return Vec::new() };
        let mut wide = [0u8; 16];
        wide.iter_mut().zip(raw).for_each(|(w, r)| *w = r);
        out.push(u128::from_le_bytes(wide));
    }
    for _ in 0..3 {
        let Some(word) = head.u32() else { return Vec::new() };
        out.push(u128::from(word & 0xffff));
    }
    out
}
