//! Thread contexts: x86, x64 and ARM64 `CONTEXT`, and the 32-bit context of a WOW64 thread.

use crate::base::{Machine, RegSet, Va};

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
