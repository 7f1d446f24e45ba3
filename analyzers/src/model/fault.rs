//! What went wrong in a crash: the fault, what its numbers look like, whose fault it is.

use super::{Access, Confidence};
use dumpscope_core::{Reg, Va};

/// Why an instruction failed that is no matter of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An access to memory.
    Access,
    /// A data operand of SSE that is no multiple of 16.
    Misaligned,
    /// The processor went on at an address without code.
    Fetch,
    /// A division by zero.
    DivideByZero,
    /// A quotient that does not fit.
    DivideOverflow,
    /// An instruction that only the kernel may use.
    Privileged,
    /// `ud2` or its kin: compilers put it where a program must never be.
    Trap,
    /// A breakpoint instruction.
    Breakpoint,
    /// Bytes that are no instruction.
    NoInstruction,
    /// Something else.
    Other,
}

/// A register that the faulting instruction used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The register.
    pub reg: Reg,
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What it looks like, when it looks like something.
    pub look: Option<Look>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What failed.
    pub kind: FaultKind,
    /// The faulting instruction in the assembler's words, where its bytes are known. Holds no unsafe characters.
    pub instruction: Option<String>,
    /// What it wanted.
    pub access: Option<Access>,
    /// Bytes that it wanted.
    pub size: Option<u32>,
    /// The true address that it wanted: the recorded one, or (when the processor gave none) that of the operand.
    pub target: Option<Va>,
    /// The recorded address is not the true one: it comes from the registers.
    pub computed: bool,
    /// The register that the address comes from.
    pub base: Option<Reg>,
    /// The index register and its factor.
    pub index: Option<(Reg, u8)>,
    /// What is added to them.
    pub displacement: i64,
    /// The address was read from there: a call or jump through memory.
    pub through_memory: bool,
    /// Registers of the address with their values.
    pub operands: Vec<Operand>,
    /// What the true address looks like.
    pub look: Option<Look>,
    /// The memory that it hit, in words. Holds no unsafe characters.
    pub region: Option<String>,
    /// One bit of a register or of the address changed makes a good address of it.
    pub bit_flips: Vec<BitFlip>,
}

/// What a number looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Null plus an offset that a member of a structure may have.
    Null,
    /// A fill pattern.
    Pattern(&'static Pattern),
    /// Text, as it lies in memory. Untrusted.
    Text(String),
    /// An address that no x64 processor can use.
    NonCanonical,
    /// The kernel's half.
    Kernel,
}

/// A fill pattern.
#[derive(Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Its four bytes, as a number.
    pub value: u32,
    /// What memory it stands for.
    pub kind: PatternKind,
    /// What writes it, in words.
    pub text: &'static str,
}

/// What memory a fill pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// Memory that was never written to.
    Uninitialised,
    /// Memory that was freed.
    Freed,
    /// Bytes around a block.
    Guard,
    /// A mark that a program writes on purpose.
    Mark,
}

/// How likely it is that a bit was flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlipGrade {
    /// The changed address exists, no more.
    Possible,
    /// It lies where other registers point to, or the address was impossible.
    Likely,
}

/// A flipped bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitFlip {
    /// The register; `None`: the address itself.
    pub reg: Option<Reg>,
    /// The bit, from 0.
    pub bit: u8,
    /// The address without the flip.
    pub address: Va,
    /// How likely.
    pub grade: FlipGrade,
}

/// The frame that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Row of the stack.
    pub row: usize,
    /// The instruction in its function that made the bad value, or handed it on.
    pub site: Va,
    /// How sure: at most strong.
    pub confidence: Confidence,
    /// The way from the fault to there, one sentence a step, without full stops. Holds no unsafe characters.
    pub chain: Vec<String>,
}

/// A recursion that fills a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recursion {
    /// The functions that call each other, callers before what they call, beginning with the first by name. Hold no
    /// unsafe characters.
    pub cycle: Vec<String>,
    /// Frames of these functions.
    pub frames: usize,
    /// All frames of the stack.
    pub depth: usize,
    /// False: there are more frames than were counted.
    pub complete: bool,
    /// The function that entered the recursion, when the stack was walked to it. Holds no unsafe characters.
    pub entered_from: Option<String>,
}
