//! Code that no image describes: made at run time, or placed by a language runtime.

use super::Frame;
use dumpscope_core::{Rva, Va};

/// A function whose unwind data no image holds: registered at run time (`RtlAddFunctionTable`, as the dump's
/// FunctionTableStream lists them), or made by a language runtime. x64 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicFunction {
    /// The address that the RVAs count from.
    pub base: Va,
    /// First byte of the function.
    pub begin: Rva,
    /// First byte after it.
    pub end: Rva,
    /// Its `UNWIND_INFO`.
    pub unwind_info: Rva,
}

/// How to go on from an address in such code to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwindRule {
    /// By x64 unwind data.
    Codes(DynamicFunction),
    /// A frame of fixed size, its prologue run: the return address is the last of `bytes` bytes above the stack
    /// pointer, with the caller's frame pointer saved below it.
    FrameSize {
        /// Bytes from the stack pointer to the caller's stack pointer.
        bytes: u32,
    },
    /// The frame pointer points at the caller's frame pointer, with the return address above it.
    FramePointer {
        /// Bytes below the frame pointer where the caller's stack pointer is kept; `None`: it is just above the return
        /// address.
        caller_sp: Option<u32>,
    },
    /// The return address lies at the stack pointer. Only believed where the instruction pointer really is.
    Leaf,
}

/// A method that owns a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name, as the runtime's metadata has it. Untrusted.
    pub name: String,
    /// What it comes from (an assembly), as WinDbg would name the module. Untrusted.
    pub module: Option<String>,
    /// Where its code starts.
    pub start: Va,
}

/// What a language runtime knows of code: its own, and that of its images.
pub trait RuntimeCode: Send + Sync {
    /// How to unwind at `va`; `None` where the runtime has no code.
    fn rule_at(&self, va: Va) -> Option<UnwindRule>;

    /// The method whose code holds `va`. Code without one (stubs) has a rule only.
    fn method_at(&self, va: Va) -> Option<Method>;

    /// The method of a frame in code that many methods share (an interpreter's): its registers tell.
    fn method_of(&self, frame: &Frame) -> Option<Method> {
        self.method_at(frame.lookup_ip())
    }
}
