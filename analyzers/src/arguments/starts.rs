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
/// and begin them by saving registers; a wrong guess does not lead to `ip` with the right stack pointer. What follows a
/// copy of the return address is the middle of a function that aligns its stack: it seems to return to the right place,
/// and its arguments lie elsewhere.
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
    // push dword ptr [reg-4]
    let copied = |at: &Va| {
        let before: Option<[u8; 3]> = memory.bytes(at.back(3));
        matches!(before, Some([0xff, 0x70..=0x73 | 0x75..=0x77, 0xfc]))
    };
    starts.filter(|at| begins(at) && !copied(at)).take(MAX_PROLOGUES).collect()
}

/// True when the code before `at` ends there: it returns, jumps away, or is padding. Then a function may begin there.
pub(super) fn behind_an_end(cx: &Analysis<'_>, at: Va) -> bool {
    /// What assemblers and linkers fill gaps with.
    const PADDING: [&[u8]; 8] = [
        &[0xcc],
        &[0x90],
        &[0x8d, 0x76, 0x00],
        &[0x8d, 0x74, 0x26, 0x00],
        &[0x8d, 0xb6, 0, 0, 0, 0],
        &[0x8d, 0xb4, 0x26, 0, 0, 0, 0],
        &[0x0f, 0x1f, 0x40, 0x00],
        &[0x8b, 0xff],
    ];
    let memory = cx.target.dump.memory();
    let Some(before) = memory.bytes::<8>(at.back(8)) else { return false };
    let padded = PADDING.iter().any(|p| before.ends_with(p));
    // ret; ret n; jmp near; jmp short
    padded || matches!(before, [.., 0xc3] | [.., 0xc2, _, 0] | [.., 0xe9, _, _, _, _] | [.., 0xeb, _])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;
    use dumpscope_core::model::Dump;
    use dumpscope_symbols::SymbolConfig;

    /// A part of the memory that nothing else uses.
    const AT: u64 = 0x5b_0000;

    fn target(code: &[u8]) -> Target {
        let (mut dump, _) = dumpscope_fixtures::small::x86();
        dump.space.write(AT, &[0; 0x80]);
        dump.space.write(AT, code);
        Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default())
    }

    #[test]
    fn a_function_that_aligns_its_stack_does_not_begin_behind_its_copy_of_the_return_address() {
        // ...; lea ecx, [esp+4]; and esp, -16; push dword ptr [ecx-4]; push ebp; mov ebp, esp; push ecx
        let mut code = vec![0xcc; 0x16];
        code.extend([0x8d, 0x4c, 0x24, 0x04, 0x83, 0xe4, 0xf0, 0xff, 0x71, 0xfc]);
        assert_eq!(code.len(), 0x20);
        code.extend([0x55, 0x89, 0xe5, 0x51]);
        let found = |code: &[u8]| {
            let target = target(code);
            let cx = Analysis::new(&target, Machine::X86).unwrap();
            prologues(&cx, Va(AT + 0x30))
        };
        assert!(!found(&code).contains(&Va(AT + 0x20)));
        // Behind anything else it may.
        code[0x1d..0x20].copy_from_slice(&[0x90; 3]);
        assert_eq!(found(&code).first(), Some(&Va(AT + 0x20)));
    }

    #[test]
    fn where_code_ends() {
        let ends = |last: &[u8]| {
            let mut code = vec![0x41; 0x20];
            code[0x20 - last.len()..].copy_from_slice(last);
            let target = target(&code);
            behind_an_end(&Analysis::new(&target, Machine::X86).unwrap(), Va(AT + 0x20))
        };
        for end in [&[0xcc][..], &[0x90], &[0xc3], &[0xc2, 0x08, 0], &[0xe9, 1, 2, 3, 4], &[0x8d, 0x76, 0]] {
            assert!(ends(end), "{end:x?}");
        }
        for middle in [&[0x41][..], &[0x89, 0xe5], &[0xe8, 1, 2, 3, 4], &[0xff, 0x71, 0xfc]] {
            assert!(!ends(middle), "{middle:x?}");
        }
    }
}
