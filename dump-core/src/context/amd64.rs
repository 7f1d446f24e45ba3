//! x64 `CONTEXT`: 0x4D0 bytes; extended state (XSAVE: AVX, CET) may follow and is not decoded.

use super::{Context, set_reg, vectors, x87_of_fxsave};
use crate::base::{FileOff, Machine, Reg, amd64};
use crate::bytes::Cursor;

/// `CONTEXT_AMD64`.
pub(super) const ARCH: u32 = 0x10_0000;
/// Any part.
pub(super) const ANY: u32 = 0x1f;
const CONTROL: u32 = 1;
const INTEGER: u32 = 2;
const SEGMENTS: u32 = 4;
const FLOATING_POINT: u32 = 8;
const DEBUG: u32 = 0x10;

const INTEGER_AT: [(Reg, usize); 15] = [
    (amd64::RAX, 0x78),
    (amd64::RCX, 0x80),
    (amd64::RDX, 0x88),
    (amd64::RBX, 0x90),
    (amd64::RBP, 0xa0),
    (amd64::RSI, 0xa8),
    (amd64::RDI, 0xb0),
    (amd64::R8, 0xb8),
    (amd64::R9, 0xc0),
    (amd64::R10, 0xc8),
    (amd64::R11, 0xd0),
    (amd64::R12, 0xd8),
    (amd64::R13, 0xe0),
    (amd64::R14, 0xe8),
    (amd64::R15, 0xf0),
];

pub(super) fn decode(raw: &[u8]) -> Option<Context> {
    let all = Cursor::new(raw, FileOff(0));
    let flags = all.at(0x30).u32()?;
    // Breakpad's writer for macOS names no part although it fills them.
    let flags = if flags & ANY == 0 { flags | CONTROL | INTEGER | SEGMENTS } else { flags };
    let mut out = Context::empty(Machine::Amd64, flags);
    let word = |at: usize| all.at(at).u64();
    let selector = |at: usize| all.at(at).u16().unwrap_or(0);
    let has = |bit: u32| flags & bit != 0;
    if has(INTEGER) {
        INTEGER_AT.iter().for_each(|&(r, at)| set_reg(&mut out.regs, r, word(at)));
    }
    let [cs, ds, es, fs, gs, ss] = &mut out.segments;
    if has(CONTROL) {
        set_reg(&mut out.regs, amd64::RSP, word(0x98));
        set_reg(&mut out.regs, amd64::RIP, word(0xf8));
        out.eflags = all.at(0x44).u32().unwrap_or(0);
        (*cs, *ss) = (selector(0x38), selector(0x42));
    }
    if has(SEGMENTS) {
        (*ds, *es, *fs, *gs) = (selector(0x3a), selector(0x3c), selector(0x3e), selector(0x40));
    }
    if has(DEBUG) {
        let at = [0x48, 0x50, 0x58, 0x60, 0x68, 0x70];
        out.debug.iter_mut().zip(at).for_each(|(d, at)| *d = word(at).unwrap_or(0));
    }
    if has(FLOATING_POINT) {
        // `FltSave` is an FXSAVE area at 0x100; its xmm0 is the context's Xmm0 at 0x1A0.
        out.vectors = vectors(all.at(0x1a0), 16);
        out.x87 = x87_of_fxsave(all.at(0x100));
    }
    Some(out)
}
