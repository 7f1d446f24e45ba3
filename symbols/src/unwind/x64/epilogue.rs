//! Epilogues, recognized by their code bytes: unwind codes describe only the prologue.
//!
//! Source: "x64 prolog and epilog" of the Microsoft documentation; additional forms that compilers emit
//! (`leave`, `ret n`, `rep ret`, relative jumps as tail calls) as seen in MinGW and clang code.

use super::super::step::{Cursor, Env, Missing};
use super::codes;
use dumpscope_core::base::amd64;
use dumpscope_core::{Reg, Rva, Va};

/// An epilogue has at most one stack adjustment, a pop per non-volatile register, and the return.
const MAX_INSTRUCTIONS: usize = 16;
/// The longest instruction of an epilogue.
const LONGEST: usize = 8;

/// The function that is looked at.
pub(crate) struct Place {
    pub(crate) base: Va,
    pub(crate) begin: u32,
    pub(crate) end: u32,
}

/// Whether the ip is in an epilogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is; the cursor is the caller's, and this is the slot of the return address.
    Yes(Va),
    /// It is not; the cursor is untouched.
    No,
    /// The bytes are not in the dump; the cursor is untouched.
    CodeUnknown,
}

enum Instruction {
    AddSp(u64),
    SpFrom(Reg, u64),
    Leave,
    Pop(Reg),
    Ret,
    /// A jump whose target is in the code.
    JumpTo(i64),
    /// A jump through memory or a register; true for the form that the ABI reserves for tail calls (`48 FF /4`).
    JumpIndirect(bool),
}

/// Runs the epilogue at `ip` if there is one. Without a `place`, the function is not known.
pub(crate) fn run(
    env: &Env<'_>,
    place: Option<&Place>,
    ip: Va,
    frame_reg: Option<Reg>,
    cursor: &mut Cursor,
) -> Result<Found, Missing> {
    let mut at = ip;
    let mut next = cursor.clone();
    for index in 0..MAX_INSTRUCTIONS {
        let mut buf = [0u8; LONGEST];
        let got = env.mem.read_at(at, &mut buf).got;
        let bytes = buf.get(..got).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(if index == 0 { Found::CodeUnknown } else { Found::No });
        }
        let Some((instruction, length)) = decode(bytes) else { return Ok(Found::No) };
        at = at.offset(length as u64);
        match instruction {
            // The stack adjustment can only come first.
            Instruction::AddSp(n) if index == 0 => next.set_sp(next.sp().offset(n)),
            Instruction::SpFrom(reg, offset) if index == 0 && frame_reg == Some(reg) => {
                let Some(value) = next.regs.get(reg) else { return Ok(Found::No) };
                next.set_sp(Va(value).offset(offset));
            }
            Instruction::Leave if frame_reg == Some(amd64::RBP) => {
                let Some(rbp) = next.regs.get(amd64::RBP) else { return Ok(Found::No) };
                next.set_sp(Va(rbp));
                next.pop(env, amd64::RBP)?;
            }
            Instruction::Pop(reg) if reg != amd64::RSP => next.pop(env, reg)?,
            Instruction::Ret => return finish(env, next, cursor),
            Instruction::JumpTo(distance) if is_tail_call(env, place, at, distance, index) => {
                return finish(env, next, cursor);
            }
            // Without a stack adjustment or pop before it, a plain indirect jump may be a switch.
            Instruction::JumpIndirect(reserved) if reserved || index > 0 => return finish(env, next, cursor),
            _ => return Ok(Found::No),
        }
    }
    Ok(Found::No)
}

fn finish(env: &Env<'_>, mut next: Cursor, cursor: &mut Cursor) -> Result<Found, Missing> {
    let slot = next.ret(env)?;
    *cursor = next;
    Ok(Found::Yes(slot))
}

/// A jump leaves the function when its target is the start of a function (this one's too: recursion), or lies in
/// none. A target in the middle of another entry is a part of the same function that the optimizer moved away.
fn is_tail_call(env: &Env<'_>, place: Option<&Place>, behind: Va, distance: i64, index: usize) -> bool {
    let Some(place) = place else { return index > 0 };
    let target = Va(behind.0.wrapping_add_signed(distance));
    let Some(rva) = target.rva(place.base) else { return true };
    if rva.0 == place.begin {
        return true;
    }
    if rva.0 >= place.begin && rva.0 < place.end {
        return false;
    }
    if index > 0 {
        return true;
    }
    match env.image_at(target).and_then(|image| codes::lookup(env.mem, &image, rva)) {
        Some(other) => other.begin == rva.0 && !is_chained(env, place.base, other),
        None => true,
    }
}

fn is_chained(env: &Env<'_>, base: Va, function: codes::RuntimeFunction) -> bool {
    let info = Rva(function.unwind & !1).va(base);
    function.unwind & 1 != 0 || env.mem.u8(info).is_some_and(|head| head >> 3 & 4 != 0)
}

/// Decodes one instruction of an epilogue; gives it with its length.
fn decode(bytes: &[u8]) -> Option<(Instruction, usize)> {
    let (rex, code) = match bytes.split_first()? {
        (b, rest) if b & 0xf0 == 0x40 => (b & 15, rest),
        _ => (0, bytes),
    };
    let prefix = bytes.len() - code.len();
    let (wide, high) = (rex & 8 != 0, (rex & 1) << 3);
    let (instruction, length) = match *code {
        [0x83, 0xc4, n, ..] if wide => (Instruction::AddSp(sign8(n)), 3),
        [0x81, 0xc4, a, b, c, d, ..] if wide => (Instruction::AddSp(sign32([a, b, c, d])), 6),
        // lea rsp, [reg+disp]; a SIB byte without index for r12.
        [0x8d, 0x64, 0x24, n, ..] if wide && high != 0 => (Instruction::SpFrom(amd64::R12, sign8(n)), 4),
        [0x8d, 0xa4, 0x24, a, b, c, d, ..] if wide && high != 0 => {
            (Instruction::SpFrom(amd64::R12, sign32([a, b, c, d])), 7)
        }
        [0x8d, m, n, ..] if wide && m & 0xf8 == 0x60 && m & 7 != 4 => {
            (Instruction::SpFrom(Reg(m & 7 | high), sign8(n)), 3)
        }
        [0x8d, m, a, b, c, d, ..] if wide && m & 0xf8 == 0xa0 && m & 7 != 4 => {
            (Instruction::SpFrom(Reg(m & 7 | high), sign32([a, b, c, d])), 6)
        }
        // mov rsp, reg in both encodings.
        [0x8b, m, ..] if wide && m & 0xf8 == 0xe0 => (Instruction::SpFrom(Reg(m & 7 | high), 0), 2),
        [0x89, m, ..] if wide && m & 0xc7 == 0xc4 => {
            (Instruction::SpFrom(Reg(m >> 3 & 7 | (rex & 4) << 1), 0), 2)
        }
        [0xc9, ..] => (Instruction::Leave, 1),
        [0x8f, m, ..] if m & 0xf8 == 0xc0 => (Instruction::Pop(Reg(m & 7 | high)), 2),
        [b, ..] if b & 0xf8 == 0x58 => (Instruction::Pop(Reg(b & 7 | high)), 1),
        [0xc3, ..] | [0xc2, _, _, ..] => (Instruction::Ret, 1),
        [0xf3, 0xc3, ..] => (Instruction::Ret, 2),
        [0xeb, n, ..] => (Instruction::JumpTo(i64::from(n.cast_signed())), 2),
        [0xe9, a, b, c, d, ..] => (Instruction::JumpTo(i32::from_le_bytes([a, b, c, d]).into()), 5),
        [0xff, m, ..] if m >> 3 & 7 == 4 => (Instruction::JumpIndirect(wide), 2),
        _ => return None,
    };
    Some((instruction, prefix + length))
}

fn sign8(n: u8) -> u64 {
    i64::from(n.cast_signed()).cast_unsigned()
}

fn sign32(n: [u8; 4]) -> u64 {
    i64::from(i32::from_le_bytes(n)).cast_unsigned()
}
