//! Exceptions: the one that the dump records, and those that threads report.

use super::words::words;
use super::{Blame, Fault, Recursion, Stack};
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Tid, Va};

/// The exception of a dump.
#[derive(Clone, Debug, PartialEq)]
pub struct ExceptionFacts {
    /// `ExceptionCode`; for dumps of other systems the signal or Mach exception number.
    pub code: u32,
    /// Name of the code in the SDK, when it is known.
    pub name: Option<String>,
    /// The thread that raised it.
    pub tid: Tid,
    /// The instruction.
    pub address: Va,
    /// What the faulting access wanted, for access violations.
    pub access: Option<Access>,
    /// The address that it wanted.
    pub target: Option<Va>,
    /// One sentence without a full stop. Holds no unsafe characters.
    pub description: String,
    /// Whether it is a crash.
    pub interest: Interest,
    /// The fault, read from the instruction; `None` for what a program raised itself.
    pub fault: Option<Fault>,
    /// The frame that produced the bad value, when the code tells.
    pub blame: Option<Blame>,
    /// The recursion that used up the stack.
    pub recursion: Option<Recursion>,
}

/// `EXCEPTION_STACK_OVERFLOW`.
const STACK_OVERFLOW: u32 = 0xc000_00fd;

impl ExceptionFacts {
    /// The thread used up its stack.
    #[must_use]
    pub fn is_stack_overflow(&self) -> bool {
        self.code == STACK_OVERFLOW
    }
}

words! {
    /// What a faulting access wanted.
    Access as "AccessName" {
        /// To read.
        Read "read",
        /// To write.
        Write "write",
        /// To execute.
        Execute "execute",
    }
}

/// Whether the exception is why the dump exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// The process failed.
    Crash,
    /// A breakpoint instruction in the program's own code: an assertion, or a stop in a debugger.
    OwnBreakpoint,
    /// A breakpoint or single step of a debugger or of the dump's writer.
    Debugger,
    /// The dump's writer says that the process did not answer.
    Hang,
    /// A requested dump, a thread name, debug output.
    Harmless,
}

/// The exception, found through the stack of the thread that reports it.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The exception. Its thread is the one that reports it.
    pub exception: ExceptionFacts,
    /// Its record.
    pub record: ExceptionRecord,
    /// Address of the `EXCEPTION_POINTERS`.
    pub pointers: Va,
    /// Address of the record.
    pub record_at: Va,
    /// Address of the context.
    pub context_at: Va,
    /// The function on the stack that only unhandled exceptions lead to.
    pub through: String,
    /// The stack from the exception's context on.
    pub stack: Option<Stack>,
}
