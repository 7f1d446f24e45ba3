//! What x86 code bytes at an instruction pointer say about the stack: epilogues, stubs, prologues.

use super::super::step::{Cursor, Env, Missing};
use dumpscope_core::base::x86;
use dumpscope_core::{Reg, Va};

/// An epilogue has a stack adjustment, a few pops and the return.
const MAX_INSTRUCTIONS: usize = 12;
const LONGEST: usize = 7;

/// A return that was run.
pub(super) struct Ret {
    /// Stack address of the return address.
    pub(super) slot: Va,
    /// Bytes of arguments that it removed.
    pub(super) popped: u32,
}

enum Instruction {
    AddSp(u32),
    SpFromEbp(u32),
    Leave,
    Pop(Reg),
    Ret(u16),
    /// A jump through an absolute address: an import stub, or a tail call.
    JumpImport,
    /// A relative jump.
    Jump,
    /// `int 3` or `nop`.
    Nothing,
}

/// Runs the code at `ip` when it leads straight to a return: an epilogue, or what follows the system call in a
/// stub (`ret n`; `add esp, 4; ret n` in WOW64 on Windows 7; `KiFastSystemCallRet`). The cursor is the caller's
/// then, with the arguments that the return removes still on its stack; else it is untouched. `first` is false
/// for a return address: there a jump is no end.
pub(super) fn leave(env: &Env<'_>, ip: Va, first: bool, cursor: &mut Cursor) -> Result<Option<Ret>, Missing> {
    let mut at = ip;
    let mut next = cursor.clone();
    for index in 0..MAX_INSTRUCTIONS {
        let mut buf = [0u8; LONGEST];
        let got = env.mem.read_at(at, &mut buf).got;
        let Some((instruction, length)) = decode(buf.get(..got).unwrap_or_default()) else { return Ok(None) };
        at = Va(at.offset(length).0 & 0xffff_ffff);
        match instruction {
            Instruction::AddSp(n) => add_sp(&mut next, n),
            Instruction::SpFromEbp(n) => {
                let Some(ebp) = next.regs.get(x86::EBP) else { return Ok(None) };
                next.set_sp(Va(ebp));
                add_sp(&mut next, n);
            }
            Instruction::Leave => {
                let Some(ebp) = next.regs.get(x86::EBP) else { return Ok(None) };
                next.set_sp(Va(ebp));
                next.pop(env, x86::EBP)?;
            }
            Instruction::Pop(reg) if reg != x86::ESP => next.pop(env, reg)?,
            Instruction::Ret(n) => return finish(env, next, cursor, n),
            Instruction::JumpImport if first => return finish(env, next, cursor, 0),
            Instruction::Jump if first && index > 0 => return finish(env, next, cursor, 0),
            Instruction::Nothing if index == 0 => {}
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn add_sp(cursor: &mut Cursor, n: u32) {
    // The register set keeps 32 bits.
    cursor.set_sp(cursor.sp().offset(n.into()));
}

fn finish(env: &Env<'_>, mut next: Cursor, cursor: &mut Cursor, popped: u16) -> Result<Option<Ret>, Missing> {
    let slot = next.ret(env)?;
    *cursor = next;
    Ok(Some(Ret { slot, popped: popped.into() }))
}

fn decode(bytes: &[u8]) -> Option<(Instruction, u64)> {
    Some(match *bytes {
        [0x83, 0xc4, n, ..] => (Instruction::AddSp(sign8(n)), 3),
        [0x81, 0xc4, a, b, c, d, ..] => (Instruction::AddSp(u32::from_le_bytes([a, b, c, d])), 6),
        [0x8d, 0x64, 0x24, n, ..] => (Instruction::AddSp(sign8(n)), 4),
        [0x8d, 0xa4, 0x24, a, b, c, d, ..] => (Instruction::AddSp(u32::from_le_bytes([a, b, c, d])), 7),
        [0x8d, 0x65, n, ..] => (Instruction::SpFromEbp(sign8(n)), 3),
        [0x8d, 0xa5, a, b, c, d, ..] => (Instruction::SpFromEbp(u32::from_le_bytes([a, b, c, d])), 6),
        [0x8b, 0xe5, ..] | [0x89, 0xec, ..] => (Instruction::SpFromEbp(0), 2),
        [0xc9, ..] => (Instruction::Leave, 1),
        [b, ..] if b & 0xf8 == 0x58 => (Instruction::Pop(Reg(b & 7)), 1),
        [0xc3, ..] => (Instruction::Ret(0), 1),
        [0xc2, a, b, ..] => (Instruction::Ret(u16::from_le_bytes([a, b])), 3),
        [0xf3, 0xc3, ..] => (Instruction::Ret(0), 2),
        [0xff, 0x25, ..] => (Instruction::JumpImport, 6),
        [0xe9, ..] => (Instruction::Jump, 5),
        [0xeb, ..] => (Instruction::Jump, 2),
        [0xcc | 0x90, ..] => (Instruction::Nothing, 1),
        _ => return None,
    })
}

fn sign8(n: u8) -> u32 {
    i32::from(n.cast_signed()).cast_unsigned()
}

/// Where the code at an instruction pointer is in a standard prologue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Before `push ebp`.
    Start,
    /// Between `push ebp` and `mov ebp, esp`.
    Pushed,
    /// In no standard prologue.
    No,
    /// The bytes are not in the dump.
    Unknown,
}

/// Looks for a standard prologue at `ip`.
pub(super) fn entry(env: &Env<'_>, ip: Va) -> Entry {
    let mut buf = [0u8; 5];
    let got = env.mem.read_at(ip, &mut buf).got;
    match buf.get(..got).unwrap_or_default() {
        [] => Entry::Unknown,
        [0x55, 0x8b, 0xec, ..] | [0x55, 0x89, 0xe5, ..] | [0x8b, 0xff, 0x55, 0x8b, 0xec] => Entry::Start,
        [0x8b, 0xec, ..] | [0x89, 0xe5, ..] if env.mem.u8(ip.back(1)) == Some(0x55) => Entry::Pushed,
        _ => Entry::No,
    }
}
