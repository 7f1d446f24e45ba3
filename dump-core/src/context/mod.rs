//! Thread contexts: x86, x64 and ARM64 `CONTEXT`, and the 32-bit context of a WOW64 thread.
//!
//! Layouts: Windows SDK `winnt.h` (`CONTEXT` of each machine, `WOW64_CONTEXT`), Breakpad's
//! `minidump_cpu_arm64.h` for its old ARM64 form. They have not changed since the machine's first Windows; newer
//! systems only append extended state (XSAVE), which is why a record may be longer.

mod amd64;
mod arm64;
mod x86;

use crate::base::{FileOff, Machine, RegSet, Va};
use crate::bytes::Cursor;

/// Size of the x86 `CONTEXT` and of `WOW64_CONTEXT`, bytes.
pub const X86_SIZE: usize = 0x2cc;
/// Size of the x64 `CONTEXT`, bytes; extended state may follow.
pub const AMD64_SIZE: usize = 0x4d0;
/// Size of the ARM64 `CONTEXT`, bytes.
pub const ARM64_SIZE: usize = 0x390;

/// A thread's registers as the dump holds them.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Which architecture.
    pub machine: Machine,
    /// `ContextFlags`.
    pub flags: u32,
    /// Integer registers, instruction and stack pointer. Only what `flags` says was captured is known.
    pub regs: RegSet,
    /// EFLAGS, or PSTATE (CPSR) on ARM64.
    pub eflags: u32,
    /// cs, ds, es, fs, gs, ss (0 on ARM64).
    pub segments: [u16; 6],
    /// Debug registers dr0–dr3, dr6, dr7 (0 on ARM64).
    pub debug: [u64; 6],
    /// xmm0–xmm15 (x64), xmm0–xmm7 (x86, from the extended registers), v0–v31 (ARM64); empty when not captured.
    pub vectors: Vec<u128>,
    /// x87 registers as raw 80-bit values and control words: st0–st7, then fpcw, fpsw, fptw; empty when not captured.
    pub x87: Vec<u128>,
}

impl Context {
    /// Decodes a context record. `machine` is what the dump says; a record whose flags name another machine is
    /// decoded as what they name. `None` when the flags name no machine that is supported or say that nothing
    /// was captured. Registers beyond the end of a short record are unknown.
    #[must_use]
    pub fn decode(raw: &[u8], machine: Machine) -> Option<Context> {
        let first = Cursor::new(raw, FileOff(0)).u32();
        let at_30 = Cursor::new(raw, FileOff(0)).at(0x30).u32();
        let amd64 = at_30.is_some_and(|f| f & amd64::ARCH != 0 && f & amd64::ANY != 0);
        let x86 = first.is_some_and(|f| f & x86::ARCH != 0 && f & x86::ANY != 0);
        let arm64 = first.is_some_and(|f| f & arm64::ARCH != 0 && f & arm64::ANY != 0);
        let old_arm64 = first.is_some_and(|f| f & arm64::OLD_ARCH != 0 && f & arm64::ANY != 0);
        match machine {
            Machine::Amd64 if amd64 => amd64::decode(raw),
            // Flags without a part, as Breakpad writes them on macOS.
            Machine::Amd64 if at_30 == Some(amd64::ARCH) && raw.len() >= AMD64_SIZE => amd64::decode(raw),
            Machine::X86 if x86 => x86::decode(raw),
            Machine::Arm64 if arm64 => arm64::decode(raw),
            Machine::Arm64 if old_arm64 => arm64::decode_old(raw),
            // The dump's machine does not match (or is not told): the exact sizes leave one reading.
            _ if x86 && raw.len() == X86_SIZE => x86::decode(raw),
            _ if arm64 && raw.len() == ARM64_SIZE => arm64::decode(raw),
            _ if amd64 && raw.len() >= AMD64_SIZE => amd64::decode(raw),
            _ => None,
        }
    }

    fn empty(machine: Machine, flags: u32) -> Context {
        Context {
            machine,
            flags,
            regs: RegSet::new(machine),
            eflags: 0,
            segments: [0; 6],
            debug: [0; 6],
            vectors: Vec::new(),
            x87: Vec::new(),
        }
    }

    /// The instruction pointer; 0 when it was not captured.
    #[must_use]
    pub fn ip(&self) -> Va {
        self.regs.ip().unwrap_or_default()
    }

    /// The stack pointer; 0 when it was not captured.
    #[must_use]
    pub fn sp(&self) -> Va {
        self.regs.sp().unwrap_or_default()
    }
}

/// `count` 16-byte registers, or nothing when they are not all there.
fn vectors(mut c: Cursor<'_>, count: usize) -> Vec<u128> {
    let all: Option<Vec<u128>> = (0..count).map(|_| c.array().map(u128::from_le_bytes)).collect();
    all.unwrap_or_default()
}

/// x87 state from an FXSAVE area that starts at `c`: fpcw 0, fpsw 2, abridged fptw 4, st0 at 0x20 every 16 bytes.
fn x87_of_fxsave(c: Cursor<'_>) -> Vec<u128> {
    let start = c.pos();
    let mut out: Vec<u128> = vectors(c.at(start.saturating_add(0x20)), 8);
    let mut head = c;
    if let (8, Some(cw), Some(sw), Some(tw)) = (out.len(), head.u16(), head.u16(), head.u8()) {
        // The upper 6 bytes of each slot are reserved.
        out.iter_mut().for_each(|st| *st &= (1 << 80) - 1);
        out.extend([u128::from(cw), u128::from(sw), u128::from(tw)]);
        return out;
    }
    Vec::new()
}

/// Reads one register if its bytes are there.
fn set_reg(regs: &mut RegSet, reg: crate::base::Reg, value: Option<u64>) {
    if let Some(v) = value {
        regs.set(reg, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{amd64 as a, arm64 as m, x86 as x};

    fn put(buf: &mut [u8], at: usize, value: u64, size: usize) {
        buf[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    #[test]
    fn x86_flags_say_what_is_known() {
        let mut raw = vec![0u8; X86_SIZE];
        put(&mut raw, 0, 0x1_0001, 4);
        put(&mut raw, 0xb4, 0x11, 4);
        put(&mut raw, 0xb8, 0x22, 4);
        put(&mut raw, 0xb0, 0x33, 4);
        let c = Context::decode(&raw, Machine::X86).unwrap();
        assert_eq!((c.ip(), c.regs.get(x::EBP)), (Va(0x22), Some(0x11)));
        assert_eq!(c.regs.get(x::EAX), None, "integer registers were not captured");
        assert!(c.vectors.is_empty() && c.x87.is_empty());
        put(&mut raw, 0, 0x1_0000, 4);
        assert_eq!(Context::decode(&raw, Machine::X86), None, "nothing captured");
    }

    #[test]
    fn x86_floating_point_and_extended_registers() {
        let mut raw = vec![0u8; X86_SIZE];
        put(&mut raw, 0, 0x1_003f, 4);
        put(&mut raw, 0x1c, 0x27f, 4);
        put(&mut raw, 0x38 + 10, 0x1234, 8);
        put(&mut raw, 0xcc + 0xa0 + 16, 0x77, 8);
        let c = Context::decode(&raw, Machine::X86).unwrap();
        assert_eq!((c.x87[1], c.x87[8]), (0x1234, 0x27f));
        assert_eq!((c.vectors.len(), c.vectors[1]), (8, 0x77));
    }

    #[test]
    fn x64_and_longer_records() {
        let mut raw = vec![0u8; 0xd00];
        put(&mut raw, 0x30, 0x10_005f, 4);
        put(&mut raw, 0x78, 0x1, 8);
        put(&mut raw, 0x98, 0x2, 8);
        put(&mut raw, 0xf8, 0x3, 8);
        put(&mut raw, 0x38, 0x33, 2);
        put(&mut raw, 0x1a0, 0x55, 8);
        put(&mut raw, 0x120, 0x66, 8);
        let c = Context::decode(&raw, Machine::Amd64).unwrap();
        assert_eq!((c.regs.get(a::RAX), c.sp(), c.ip()), (Some(1), Va(2), Va(3)));
        assert_eq!((c.segments[0], c.vectors.len(), c.vectors[0], c.x87[0]), (0x33, 16, 0x55, 0x66));
        let short = Context::decode(&raw[..0x90], Machine::Amd64).unwrap();
        assert_eq!((short.regs.get(a::RCX), short.regs.get(a::RSP)), (Some(0), None));
    }

    #[test]
    fn arm64_and_breakpads_old_form() {
        let mut raw = vec![0u8; ARM64_SIZE];
        put(&mut raw, 0, 0x40_0007, 4);
        put(&mut raw, 8, 0x10, 8);
        put(&mut raw, 0x108, 0x20, 8);
        put(&mut raw, 0x110 + 31 * 16, 0x30, 8);
        let c = Context::decode(&raw, Machine::Arm64).unwrap();
        assert_eq!((c.regs.get(m::X0), c.ip(), c.vectors[31]), (Some(0x10), Va(0x20), 0x30));

        let mut raw = vec![0u8; 796];
        put(&mut raw, 0, 0x8000_0006, 8);
        put(&mut raw, 8, 0x10, 8);
        put(&mut raw, 8 + 31 * 8, 0x15, 8);
        put(&mut raw, 8 + 32 * 8, 0x20, 8);
        let c = Context::decode(&raw, Machine::Arm64).unwrap();
        assert_eq!((c.regs.get(m::X0), c.sp(), c.ip()), (Some(0x10), Va(0x15), Va(0x20)));
        assert_eq!(c.vectors.len(), 32);
    }

    #[test]
    fn flags_win_over_the_dumps_machine() {
        let mut raw = vec![0u8; X86_SIZE];
        put(&mut raw, 0, 0x1_0007, 4);
        put(&mut raw, 0xb8, 0x22, 4);
        assert_eq!(Context::decode(&raw, Machine::Amd64).unwrap().machine, Machine::X86);
        assert_eq!(Context::decode(&[], Machine::Amd64), None);
        assert_eq!(Context::decode(&[0xff; 7], Machine::X86).unwrap().ip(), Va(0));
    }
}
