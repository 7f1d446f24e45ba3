//! What a function was called with, and the reason to believe it.
//!
//! On x86 most arguments lie on the stack. On x64 and ARM64 they went in registers that are long overwritten: they
//! are found again where the function's code put them (its prologue), or where the caller's code took them from (the
//! instructions before the call). Both come from one data flow over all paths to the point where the frame stands.
//! Every value says where it comes from and how sure it is; what is not known stays unknown.

#![warn(clippy::indexing_slicing)]

mod code;
mod extent;
mod flow;
mod frames;
mod hints;
mod ir;
mod lift_arm64;
mod lift_x86;
mod meet;
mod names;
mod seh;
mod signature;
mod starts;
mod state;
mod syscall;
mod values;

pub(crate) use extent::part_at;
pub use flow::Cache;
pub use hints::{Hint, HintSource, HintTable, HintTableError, add_hints};
pub use syscall::{SystemCallArgs, system_call_args};

use crate::stacks::Stack;
use crate::triage::Confidence;
use crate::{Cancel, Target};
use dumpscope_core::{Reg, Va};

/// Where a recovered value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ArgSource {
    /// The parameter's place as the PDB tells it for this instruction: its value now, which the function may have
    /// changed.
    Pdb,
    /// A register that a system call leaves alone.
    SyscallRegister,
    /// The stack word where the convention puts it.
    StackSlot,
    /// A stack slot that the function's code saved it to.
    PrologueHome,
    /// A register that the function's code keeps it in.
    PrologueRegister,
    /// The function handed it on to the next one, where it was found.
    PassedOn,
    /// The caller's code computed it from something that is still there.
    CallerSetup,
    /// The caller's code has it as a constant.
    Constant,
    /// The caller's code read it from memory that may have changed since.
    CallerMemory,
}

impl ArgSource {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ArgSource::Pdb => "pdb",
            ArgSource::SyscallRegister => "syscall_register",
            ArgSource::StackSlot => "stack_slot",
            ArgSource::PrologueHome => "prologue_home",
            ArgSource::PrologueRegister => "prologue_register",
            ArgSource::PassedOn => "passed_on",
            ArgSource::CallerSetup => "caller_setup",
            ArgSource::Constant => "constant",
            ArgSource::CallerMemory => "caller_memory",
        }
    }
}

/// Something that a value rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// An instruction.
    Instruction(Va),
    /// A word of memory.
    Memory(Va),
    /// A register in the frame of this row of the stack.
    Register(usize, Reg),
}

/// A recovered value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The number; bytes that are not known are zero.
    pub bits: u64,
    /// How many low bytes are known: fewer than a word when the code only kept those.
    pub bytes: u8,
    /// Where it comes from.
    pub source: ArgSource,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it rests on, the most important first.
    pub evidence: Vec<Evidence>,
}

/// Where the convention puts an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgPlace {
    /// In a register.
    Register(Reg),
    /// On the stack, by the offset from the stack pointer at the function's entry (from the return address, where
    /// calls push one), bytes.
    Stack(i32),
    /// In a vector register, or spread over several places: not recovered.
    Elsewhere,
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Position, from 0. `this` counts.
    pub index: usize,
    /// Where the convention puts it.
    pub place: ArgPlace,
    /// Name, when something tells it. Untrusted.
    pub name: Option<String>,
    /// Type, when something tells it. Untrusted.
    pub type_text: Option<String>,
    /// The value at the call; `None`: not known.
    pub value: Option<Value>,
    /// The stack word where it lay has been written over.
    pub overwritten: bool,
    /// What it means; [`add_hints`] finds out.
    pub hint: Option<Hint>,
}

impl Argument {
    /// The value, when it is at least this sure.
    #[must_use]
    pub fn at_least(&self, confidence: Confidence) -> Option<u64> {
        self.value.as_ref().filter(|v| v.confidence >= confidence).map(|v| v.bits)
    }
}

/// The arguments of one row of a stack (an inlined call has none of its own: empty). For several rows use
/// [`recover_all`]: it does the work once.
#[must_use]
pub fn recover(target: &Target, stack: &Stack, row: usize, cancel: &Cancel) -> Vec<Argument> {
    recover_all(target, stack, cancel).into_iter().nth(row).unwrap_or_default()
}

/// The arguments of all rows of a stack, by row. Stops early, with empty lists for the rest, when asked to.
#[must_use]
pub fn recover_all(target: &Target, stack: &Stack, cancel: &Cancel) -> Vec<Vec<Argument>> {
    frames::recover(target, stack, cancel)
}
