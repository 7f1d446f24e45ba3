//! What a function was called with.

use super::Confidence;
use dumpscope_core::{Reg, Va};

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
    /// What it means; `add_hints` finds out.
    pub hint: Option<Hint>,
    /// The structure of the Win32 table that the value leads to; `add_hints` finds out.
    pub leads_to: Option<String>,
}

impl Argument {
    /// The value, when it is at least this sure.
    #[must_use]
    pub fn at_least(&self, confidence: Confidence) -> Option<u64> {
        self.value.as_ref().filter(|v| v.confidence >= confidence).map(|v| v.bits)
    }
}

/// Where the convention puts an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgPlace {
    /// In a register.
    Register(Reg),
    /// On the stack, by the offset from the stack pointer at the function's entry (from the return address, where
    /// calls push one), bytes.
    Stack(i32),
    /// In a vector register: xmm0 and so on, on ARM64 d0 and so on. Not recovered.
    Vector(u8),
    /// Spread over several places: not recovered.
    Elsewhere,
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

/// What an argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// In words. Untrusted: texts of the process are in it.
    pub text: String,
    /// Why it is believed.
    pub source: HintSource,
    /// Where the text or object lies, when it is in memory.
    pub at: Option<Va>,
}

/// Why a hint is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HintSource {
    /// The table of well-known functions says what the argument is.
    Table,
    /// The argument points at text.
    Text,
    /// The argument points at an object that points at text.
    TextInObject,
    /// The argument points at a GUID with a known name.
    Guid,
    /// The argument points at an object whose table of functions lies in a module.
    Object,
}

impl HintSource {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            HintSource::Table => "table",
            HintSource::Text => "text",
            HintSource::TextInObject => "text_in_object",
            HintSource::Guid => "guid",
            HintSource::Object => "object",
        }
    }
}
