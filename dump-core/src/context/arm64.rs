//! ARM64 `CONTEXT` (0x390 bytes) and the form that Breakpad wrote before Windows had one (796 bytes).

use super::{Context, set_reg, vectors};
use crate::base::{FileOff, Machine, Reg, RegSet, arm64};
use crate::bytes::Cursor;

/// `CONTEXT_ARM64`.
pub(super) const ARCH: u32 = 0x40_0000;
/// Breakpad's `MD_CONTEXT_ARM64_OLD`.
pub(super) const OLD_ARCH: u32 = 0x8000_0000;
/// Any part.
pub(super) const ANY: u32 = 0xf;
const CONTROL: u32 = 1;
const INTEGER: u32 = 2;
const FLOATING_POINT: u32 = 4;

pub(super) fn decode(raw: &[u8]) -> Option<Context> {
    let all = Cursor::new(raw, FileOff(0));
    let flags = all.at(0).u32()?;
    let mut out = Context::empty(Machine::Arm64, flags);
    let word = |at: usize| all.at(at).u64();
    if flags & INTEGER != 0 {
        general(&mut out.regs, all.at(8));
    }
    if flags & CONTROL != 0 {
        let at = [(arm64::FP, 0xf0), (arm64::LR, 0xf8), (arm64::SP, 0x100), (arm64::PC, 0x108)];
        at.iter().for_each(|&(r, at)| set_reg(&mut out.regs, r, word(at)));
        out.eflags = all.at(4).u32().unwrap_or(0);
    }
    if flags & FLOATING_POINT != 0 {
        out.vectors = vectors(all.at(0x110), 32);
    }
    Some(out)
}

/// Flags of 64 bits, x0–x30, sp, pc, cpsr, fpsr, fpcr, 32 vectors; packed to 4 bytes. Its integer flag covers
/// all of the first, as Breakpad writes them in one array.
pub(super) fn decode_old(raw: &[u8]) -> Option<Context> {
    let all = Cursor::new(raw, FileOff(0));
    let flags = all.at(0).u32()?;
    let mut out = Context::empty(Machine::Arm64, flags);
    if flags & (INTEGER | CONTROL) != 0 {
        general(&mut out.regs, all.at(8));
        let mut rest = all.at(8 + 29 * 8);
        for r in [arm64::FP, arm64::LR, arm64::SP, arm64::PC] {
            set_reg(&mut out.regs, r, rest.u64());
        }
        out.eflags = rest.u32().unwrap_or(0);
    }
    if flags & FLOATING_POINT != 0 {
        out.vectors = vectors(all.at(8 + 33 * 8 + 12), 32);
    }
    Some(out)
}

/// x0 to x28.
fn general(regs: &mut RegSet, mut c: Cursor<'_>) {
    for r in arm64::X0.0..=arm64::X28.0 {
        set_reg(regs, Reg(r), c.u64());
    }
}
