//! What is known of a dump of Linux, macOS or another system.

use super::Stack;
use dumpscope_core::{RegSet, ThreadIdx, Tid, Va};
use dumpscope_symbols::{EndReason, Trust};

/// What is known of a dump of another system.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignDump {
    /// Process id.
    pub pid: Option<u32>,
    /// Why it crashed.
    pub crash: Option<ForeignCrash>,
    /// Stacks by thread number; `None` for threads without registers.
    pub(crate) stacks: Vec<Option<Stack>>,
}

impl ForeignDump {
    /// A thread's stack, cut to `frames` physical frames.
    #[must_use]
    pub fn thread_stack(&self, thread: ThreadIdx, frames: usize) -> Option<Stack> {
        let index = usize::try_from(thread.0).ok()?;
        self.stacks.get(index)?.as_ref().map(|s| cut(s, frames))
    }

    /// The stack that begins with these registers, when a thread has one.
    #[must_use]
    pub fn stack_at(&self, regs: &RegSet, frames: usize) -> Option<Stack> {
        let begins = |s: &&Stack| {
            let first = s.frames.first().map(|f| &f.frame.regs);
            first.is_some_and(|r| r.ip().is_some() && r.ip() == regs.ip() && r.sp() == regs.sp())
        };
        self.stacks.iter().flatten().find(begins).map(|s| cut(s, frames))
    }
}

/// The first `frames` physical frames with their inlined calls.
fn cut(stack: &Stack, frames: usize) -> Stack {
    let mut left = frames;
    let mut kept = Vec::new();
    for frame in &stack.frames {
        if left == 0 {
            return Stack { frames: kept, end: EndReason::FrameLimit, ..stack.clone() };
        }
        left = left.saturating_sub(usize::from(frame.trust != Trust::Inline));
        kept.push(frame.clone());
    }
    stack.clone()
}

/// The crash reason of another system.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignCrash {
    /// The thread that crashed.
    pub tid: Tid,
    /// `SIGSEGV / SEGV_MAPERR`, `EXC_BAD_ACCESS / KERN_INVALID_ADDRESS`, … Untrusted.
    pub reason: String,
    /// The address that it is about: for memory errors the one that was wanted, else the instruction.
    pub address: Va,
}
