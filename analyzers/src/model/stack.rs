//! A stack with names.

use dumpscope_core::Machine;
use dumpscope_symbols::{EndReason, Frame, SourceLine, Symbol, SymbolSource, Trust, UnwindIssue};

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
    /// The assembly of a runtime's method, whose name is then in `function`.
    pub assembly: Option<String>,
    /// True for a runtime's method: no image's symbols name it.
    pub managed: bool,
    /// Where the name came from.
    pub source: Option<SymbolSource>,
    /// The symbol (physical frames only).
    pub symbol: Option<Symbol>,
    /// Bytes from the function's start (of the first range of an inlined call) to the frame's ip; from the
    /// module's base without a function. May be negative for inlined calls: wrapped to 64 bits.
    pub displacement: u64,
    /// Source position.
    pub line: Option<SourceLine>,
    /// True when the way from this frame to its caller is known: unwind data, or (x86) a module whose symbols
    /// are more than exports. False is what WinDbg warns of: see [`Stack::warnings`].
    pub has_unwind_info: bool,
}

/// What WinDbg warns of in a stack, each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StackWarning {
    /// `Stack unwind information not available. Following frames may be wrong.`
    NoUnwindInfo,
    /// `Frame IP not in any known module. Following frames may be wrong.`
    NotInModule,
    /// `Stack pointer is outside the normal stack bounds. Stack unwinding can be inaccurate.`
    OutsideBounds,
    /// `Stack overflow detected. The unwound frames are extracted from outside normal stack bounds.`
    Overflow,
}

impl StackWarning {
    /// WinDbg's line, without a line end.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            StackWarning::NoUnwindInfo => {
                "WARNING: Stack unwind information not available. Following frames may be wrong."
            }
            StackWarning::NotInModule => {
                "WARNING: Frame IP not in any known module. Following frames may be wrong."
            }
            StackWarning::OutsideBounds => {
                "WARNING: Stack pointer is outside the normal stack bounds. Stack unwinding can be inaccurate."
            }
            StackWarning::Overflow => {
                "WARNING: Stack overflow detected. The unwound frames are extracted from outside normal stack bounds."
            }
        }
    }
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
    /// The thread used up its stack: the stack pointer is below the committed part.
    pub overflow: bool,
}

impl Stack {
    /// Warnings in row order: each belongs before the row with that index.
    #[must_use]
    pub fn warnings(&self) -> Vec<(usize, StackWarning)> {
        let first = |test: &dyn Fn(&StackFrame) -> bool| self.frames.iter().position(test);
        let outside = |f: &StackFrame| f.frame.issue == Some(UnwindIssue::OutsideStack);
        let mut found = [
            (if self.overflow { Some(0) } else { None }, StackWarning::Overflow),
            (if self.overflow { None } else { first(&outside) }, StackWarning::OutsideBounds),
            (first(&|f| f.module.is_none() && !f.managed && !f.has_unwind_info), StackWarning::NotInModule),
            (first(&|f| f.module.is_some() && !f.managed && !f.has_unwind_info), StackWarning::NoUnwindInfo),
        ]
        .into_iter()
        .filter_map(|(row, warning)| Some((row?, warning)))
        .collect::<Vec<_>>();
        // A stable sort: warnings before the same row stay in the order above.
        found.sort_by_key(|(row, _)| *row);
        found
    }

    /// Physical frames only, innermost first.
    pub fn physical(&self) -> impl Iterator<Item = &StackFrame> {
        self.frames.iter().filter(|f| f.trust != Trust::Inline)
    }
}
