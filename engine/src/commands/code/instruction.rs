//! One instruction, decoded and written as WinDbg writes it.

use super::{arm64, x86};
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, ReadMemory, Va};

/// What a part of an instruction's text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Mnemonic,
    Register,
    Number,
    /// Names of functions and data, with their address.
    Symbol,
    Other,
}

/// Where an instruction leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// On to the next instruction.
    Next,
    /// A jump to a known address, nothing behind it.
    Jump(Va),
    /// A jump to who knows where, or a return: nothing behind it.
    Away,
    /// A conditional jump.
    Branch(Va),
    /// A call; the address when it is direct.
    Call(Option<Va>),
}

/// What a call or jump goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CalledBy {
    /// To an address.
    Address(Va),
    /// To what the word at an address says.
    Word(Va),
}

/// A decoded instruction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instruction {
    pub(crate) address: Va,
    /// Its bytes. One byte (ARM64: four) when they are no instruction.
    pub(crate) bytes: Vec<u8>,
    /// False when the bytes are no instruction.
    pub(crate) valid: bool,
    /// Mnemonic, then operands.
    pub(crate) text: Vec<(Piece, String)>,
    pub(crate) target: Target,
    /// True when bytes came from an image file.
    pub(crate) from_image: bool,
    /// True when the bytes are one little-endian word (ARM64), shown as such.
    pub(crate) is_word: bool,
}

impl Instruction {
    pub(crate) fn to_text(&self) -> String {
        self.text.iter().map(|(_, t)| t.as_str()).collect()
    }

    /// Where a call or jump of 64-bit x86 code goes, when the instruction alone says it.
    pub(crate) fn called_by(&self) -> Option<CalledBy> {
        if self.is_word {
            return None;
        }
        match self.target {
            Target::Call(Some(to)) | Target::Jump(to) => Some(CalledBy::Address(to)),
            Target::Call(None) | Target::Away => {
                x86::word_of_call(self.address, &self.bytes).map(CalledBy::Word)
            }
            Target::Next | Target::Branch(_) => None,
        }
    }

    pub(crate) fn end(&self) -> Va {
        self.address.offset(self.bytes.len().max(1) as u64)
    }
}

/// Decodes the instruction at `va` in the effective machine. `None` when no byte of it is known.
pub(crate) fn decode(session: &Session, va: Va) -> Option<Instruction> {
    // The longest x86 instruction has 15 bytes.
    let mut buf = [0u8; 15];
    let machine = session.sel.machine;
    let modern = session.sel.layout == Layout::Modern;
    let want = if machine == Machine::Arm64 { 4 } else { buf.len() };
    let read = session.dump().memory().read_at(va, buf.get_mut(..want)?);
    let bytes = buf.get(..read.got.min(want)).filter(|b| !b.is_empty())?;
    let mut instruction = match machine {
        Machine::Arm64 => arm64::decode(&session.target, va, <[u8; 4]>::try_from(bytes).ok()?),
        Machine::X86 => x86::decode(&session.target, va, bytes, false, modern),
        Machine::Amd64 | Machine::Other(_) => x86::decode(&session.target, va, bytes, true, modern),
    };
    instruction.from_image = read.provenance == dumpscope_core::base::Provenance::Image;
    Some(instruction)
}

/// `module!name+0x12 (00401234)`, or the bare address when no module holds it.
pub(super) fn named(target: &dumpscope_analyzers::Target, va: Va, wide: bool) -> String {
    let address = crate::fmt::addr(va, wide);
    match target.name_of(va) {
        Some(name) => format!("{} ({address})", dumpscope_core::base::text::escape(&name)),
        None => address,
    }
}
