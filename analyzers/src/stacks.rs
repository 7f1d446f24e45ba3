//! A thread's stack with names: physical frames from the unwinder, inlined calls from the symbols.

use crate::{Cancel, Target};
use dumpscope_core::{Machine, RegSet, ThreadIdx, Va};
use dumpscope_symbols::{EndReason, Frame, Limits, SourceLine, Symbol, SymbolSource, Trust};

/// One row of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct StackFrame {
    /// The physical frame; an inlined call has that of the function it was inlined into.
    pub frame: Frame,
    /// `Trust::Inline` for an inlined call, else the physical frame's.
    pub trust: Trust,
    /// Index of the module in `Target::symbols.modules()`.
    pub module: Option<usize>,
    /// Function name, when known. For an inlined call the inlined function's.
    pub function: Option<String>,
    /// Where the name came from.
    pub source: Option<SymbolSource>,
    /// The symbol (physical frames only).
    pub symbol: Option<Symbol>,
    /// Bytes from the function's start (of the first range of an inlined call) to the frame's ip; from the
    /// module's base without a function. May be negative for inlined calls: wrapped to 64 bits.
    pub displacement: u64,
    /// Source position.
    pub line: Option<SourceLine>,
}

/// A stack, innermost frame first.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// In whose registers and pointer width it was walked.
    pub machine: Machine,
    /// Rows.
    pub frames: Vec<StackFrame>,
    /// Why it ended.
    pub end: EndReason,
}

/// Walks a thread's stack in the view of `machine` ([`Machine::X86`] in a WOW64 process: the 32-bit stack).
/// `None` when the dump has no such context.
#[must_use]
pub fn thread_stack(
    target: &Target,
    thread: ThreadIdx,
    machine: Machine,
    limits: &Limits,
    cancel: &Cancel,
) -> Option<Stack> {
    let _ = (target, thread, machine, limits, cancel);
    None
}

/// Walks a stack from any register set (`.ecxr`, `.cxr`, `k =`), with names. `bounds`: the stack's lowest address
/// and the address after its highest.
#[must_use]
pub fn stack_from(
    target: &Target,
    regs: &RegSet,
    bounds: Option<(Va, Va)>,
    limits: &Limits,
    cancel: &Cancel,
) -> Stack {
    let _ = (target, bounds, limits, cancel);
    Stack { machine: regs.machine(), frames: Vec::new(), end: EndReason::NoCaller }
}
