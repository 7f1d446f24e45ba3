//! Where the functions of frames begin, and what the stack walk says of their stack pointer there.

use super::extent;
use super::flow::Analysis;
use crate::model::StackFrame;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

/// How far back a function's start is searched for, bytes.
const MAX_BACK: u64 = 0x1000;
/// Most starts that are tried.
const MAX_PROLOGUES: usize = 4;

/// Where calls enter the function of a frame: the best candidate first.
pub(super) fn entries(cx: &Analysis<'_>, frame: &StackFrame, caller: Option<&StackFrame>) -> Vec<Va> {
    let lookup = frame.frame.lookup_ip();
    if cx.machine != Machine::X86
        && let Some(part) = extent::part_at(cx.target, lookup)
    {
        return vec![part.entry];
    }
    let called = caller.filter(|c| !c.frame.exact_ip).and_then(|c| call_before(cx, c.frame.ip));
    let called = called.map(|t| cx.behind_jumps(t));
    let symbol = cx.target.symbols.resolve(lookup).filter(|r| r.symbol.is_some());
    let symbol = symbol.map(|r| lookup.back(r.displacement));
    let mut out: Vec<Va> = called.into_iter().chain(symbol).filter(|e| *e <= frame.frame.ip).collect();
    out.dedup();
    out
}

/// x86 without symbols: where the function that holds `ip` may start, the nearest first. Compilers align functions
/// and begin them by saving registers; a wrong guess does not lead to `ip` with the right stack pointer.
pub(super) fn prologues(cx: &Analysis<'_>, ip: Va) -> Vec<Va> {
    const ALIGN: u64 = 16;
    let memory = cx.target.dump.memory();
    let first = ip.0 & !(ALIGN - 1);
    let starts = (0..MAX_BACK / ALIGN).map(|n| Va(first.wrapping_sub(n.wrapping_mul(ALIGN))));
    let begins = |at: &Va| {
        let Some([a, b]) = memory.u16(*at).map(u16::to_le_bytes) else { return false };
        // push reg; mov edi, edi; sub esp, n
        matches!(a, 0x50..=0x57) || matches!((a, b), (0x8b, 0xff) | (0x83 | 0x81, 0xec))
    };
    starts.filter(begins).take(MAX_PROLOGUES).collect()
}

/// As [`prologues`], farther away: the nearest frame of ebp that padding or another function's end precedes.
pub(super) fn far_prologue(cx: &Analysis<'_>, ip: Va) -> Option<Va> {
    const FAR: u64 = 0x8000;
    let memory = cx.target.dump.memory();
    let low = ip.back(FAR);
    let mut bytes = vec![0u8; usize::try_from(FAR).ok()?];
    let got = memory.read_at(low, &mut bytes).got;
    let bytes = bytes.get(..got).filter(|b| b.len() as u64 == FAR)?;
    let at = bytes.windows(4).rposition(|w| {
        let [end, rest @ ..] = w else { return false };
        matches!(end, 0xcc | 0x90 | 0xc3) && matches!(rest, [0x55, 0x8b, 0xec] | [0x55, 0x89, 0xe5])
    })?;
    Some(low.offset(at as u64 + 1))
}

/// The target of the call whose return address is `ip`, when the instruction names it.
fn call_before(cx: &Analysis<'_>, ip: Va) -> Option<Va> {
    let memory = cx.target.dump.memory();
    if cx.machine == Machine::Arm64 {
        let word = memory.u32(ip.back(4)).filter(|w| w & 0xfc00_0000 == 0x9400_0000)?;
        let by = (i64::from(word & 0x03ff_ffff) << 38 >> 38).wrapping_mul(4);
        return Some(Va(ip.back(4).0.wrapping_add_signed(by)));
    }
    if memory.u8(ip.back(5)) == Some(0xe8) {
        let by = i64::from(memory.u32(ip.back(4))?.cast_signed());
        return Some(Va(cx.abi.wrap(ip.0.wrapping_add_signed(by))));
    }
    if memory.u16(ip.back(6)) == Some(0x15ff) {
        let word = memory.u32(ip.back(4))?;
        let slot = match cx.machine {
            Machine::X86 => Va(word.into()),
            _ => Va(ip.0.wrapping_add_signed(i64::from(word.cast_signed()))),
        };
        return memory.ptr(slot, cx.machine).filter(|t| !t.is_null());
    }
    None
}

/// A frame's stack pointer at entry as the stack walk has it.
pub(super) fn walked_entry_sp(
    cx: &Analysis<'_>,
    frame: &StackFrame,
    caller: Option<&StackFrame>,
) -> Option<Va> {
    let caller = caller.filter(|c| !c.frame.exact_ip)?;
    match cx.machine {
        Machine::X86 => Some(frame.frame.frame_base.offset(4)),
        // A chain of frame pointers does not tell where the caller's stack pointer was.
        Machine::Arm64 => (caller.frame.trust == Trust::Cfi).then_some(caller.frame.sp),
        _ => Some(caller.frame.sp.back(8)),
    }
}
