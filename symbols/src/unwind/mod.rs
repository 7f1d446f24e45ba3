//! Stack walking with evidence.
//!
//! The walker takes registers, memory and what is known of modules, and returns frames that each say how they
//! were found. It never guesses silently: a scanned frame says so, and the walk says why it ended.

#![warn(clippy::indexing_slicing)]

mod arm64;
mod cfi;
mod code;
mod dwarf;
mod image;
mod part;
mod postfix;
mod runtime;
mod scan;
mod step;
#[cfg(test)]
mod testing;
mod vframe;
mod walker;
mod x64;
mod x86;

pub use code::after_call as follows_call;
pub use image::UnwindCache;
pub use part::{FunctionPart, function_part};
pub use runtime::{DynamicFunction, Method, RuntimeCode, UnwindRule};
pub use vframe::virtual_frame;

use dumpscope_core::{ReadMemory, RegSet, Rva, Va};

/// How a frame was found; better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// Frame 0: the thread's context.
    Context,
    /// Unwind data of the image or of a symbol file (x64/ARM64 `.pdata`, FPO, STACK WIN/CFI).
    Cfi,
    /// The chain of frame pointers, or a return or prologue read in known code at the instruction pointer; the
    /// return address follows a call.
    FramePointer,
    /// The return address on top of the stack (ARM64: in the link register) of a frame that never ran an instruction:
    /// a call or jump to null, wild, freed or unloaded code.
    ReturnAddress,
    /// As `FramePointer`, but the code before the return address is not in the dump: nothing confirms the call.
    FramePointerUnverified,
    /// Found by scanning the stack for a return address.
    Scan,
    /// Not a frame of its own: a call that the compiler inlined into the next one.
    Inline,
}

/// Why a frame is doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnwindIssue {
    /// The instruction pointer is in no module.
    NotInModule,
    /// Unwind data exists but could not be used; the text says why.
    BadUnwindData(String),
    /// The image has no unwind data for this address although it should.
    NoUnwindData,
    /// The image is not in the dump, and no image file stands in for it.
    ImageMissing,
    /// The code bytes before the return address are no call.
    NotAfterCall,
    /// The code bytes at the instruction pointer are not known, so it was not checked for an epilogue.
    CodeUnknown,
    /// The frame's stack pointer is outside the thread's stack.
    OutsideStack,
    /// A limit was reached.
    Limit(&'static str),
}

/// Why the walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// Return address 0, or the thread's first frame.
    Complete,
    /// Stack memory is missing at this address.
    MissingMemory(Va),
    /// The next frame would lie outside the stack bounds.
    OutsideStack(Va),
    /// The stack pointer did not move on.
    NoProgress,
    /// The frame limit.
    FrameLimit,
    /// Nothing plausible was found.
    NoCaller,
    /// The caller asked to stop.
    Cancelled,
}

/// One physical frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Instruction pointer: where this frame continues (frame 0: the next instruction).
    pub ip: Va,
    /// Stack pointer in this frame. x64 and ARM64: WinDbg's Child-SP.
    pub sp: Va,
    /// x86: WinDbg's ChildEBP, the address just below the return address (the callee's saved ebp slot, whether or
    /// not ebp is used). Other machines: equal to `sp`.
    pub frame_base: Va,
    /// Return address, 0 in the last frame.
    pub return_address: Va,
    /// Registers in this frame: all of the context in frame 0, restored non-volatile ones in callers.
    pub regs: RegSet,
    /// Stack addresses from which this frame's register values were restored (save slots), by register.
    pub saved_at: Vec<(dumpscope_core::Reg, Va)>,
    /// How it was found.
    pub trust: Trust,
    /// Doubts about this frame, or about the way from it to its caller.
    pub issue: Option<UnwindIssue>,
    /// True when `ip` is the instruction to run next (frame 0, or a frame that an exception interrupted); false
    /// when it is a return address.
    pub exact_ip: bool,
}

impl Frame {
    /// The address to look up for names and lines: the call, not the instruction after it, in callers.
    #[must_use]
    pub fn lookup_ip(&self) -> Va {
        if self.exact_ip { self.ip } else { self.ip.back(1) }
    }
}

/// A walked stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Walk {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Why it ended.
    pub end: EndReason,
    /// The part beyond [`Limits::frames`], when it was to be counted.
    pub cut: Option<Cut>,
}

/// The outer part of a stack that is longer than what is kept of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// The frames in between, by the address of each one's call, innermost first.
    pub omitted: Vec<Va>,
    /// The outermost frames.
    pub tail: Vec<Frame>,
}

/// Bounds of a walk.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most frames.
    pub frames: usize,
    /// Most frames beyond, of which only the count, the addresses and the outermost ones are kept.
    pub counted: usize,
    /// Most chained unwind infos of one function.
    pub chain: usize,
    /// Most bytes that one scan looks through.
    pub scan_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { frames: 1024, counted: 0, chain: 32, scan_bytes: 4096 }
    }
}

/// x86 frame data of a symbol file, for one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameData {
    /// `FPO_DATA` of frame type FPO (or a `STACK WIN 0` record). Records of other types (trap, TSS, non-FPO:
    /// an ebp frame) say nothing that the walker needs.
    Fpo {
        /// First address it covers.
        start: Rva,
        /// Bytes covered.
        size: u32,
        /// Bytes of parameters.
        params: u32,
        /// Bytes of locals.
        locals: u32,
        /// Bytes of saved registers.
        saved_regs: u32,
        /// Bytes of prologue.
        prologue: u32,
        /// True when ebp is saved and used as a general register.
        uses_bp: bool,
    },
    /// A FrameData (`STACK WIN 4`) program, postfix.
    Program {
        /// First address it covers.
        start: Rva,
        /// Bytes covered.
        size: u32,
        /// Bytes of parameters.
        params: u32,
        /// Bytes of locals.
        locals: u32,
        /// Bytes of saved registers.
        saved_regs: u32,
        /// The program's text. Untrusted.
        program: String,
    },
    /// `STACK CFI` rules in force at the address (`.cfa: $esp 4 + .ra: .cfa 4 - ^`). Untrusted.
    Cfi {
        /// The rules' text.
        rules: String,
    },
}

/// A frame as the code of its function has it, by prologue and stack adjustments up to the instruction pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFrame {
    /// Where the function starts.
    pub entry: Va,
    /// Stack address of the return address.
    pub return_slot: Va,
    /// Registers that the function saved, with their slots.
    pub saved: Vec<(dumpscope_core::Reg, Va)>,
    /// Registers that still have the caller's value.
    pub kept: Vec<dumpscope_core::Reg>,
    /// Bytes of arguments that its return removes.
    pub pops: Option<u16>,
}

/// What the walker asks about modules and symbols.
pub trait UnwindContext {
    /// Base and size of the module that holds `va`.
    fn module_at(&self, va: Va) -> Option<(Va, u32)>;

    /// Frame data of a symbol file for `va` (x86; `STACK CFI` rules on any machine).
    fn frame_data(&self, va: Va) -> Option<FrameData> {
        let _ = va;
        None
    }

    /// How to unwind at `va` in code that no image describes: registered at run time, or known to a language
    /// runtime.
    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        let _ = va;
        None
    }

    /// False when the module's symbols are complete and say that `va` is in no function; `None` when nobody
    /// knows. Keeps scans from taking data for code.
    fn in_function(&self, va: Va) -> Option<bool> {
        let _ = va;
        None
    }

    /// Start of the function that holds `va`, as far as symbols (exports too) know.
    fn function_start(&self, va: Va) -> Option<Va> {
        let _ = va;
        None
    }

    /// Whether code at `va` can run, as far as memory regions or the exception tell; `None` when nobody knows.
    fn executable(&self, va: Va) -> Option<bool> {
        let _ = va;
        None
    }

    /// x86: where the code of the function of `frame` has its return address and saved registers. Asked where no
    /// symbols tell.
    fn code_frame(&self, frame: &Frame) -> Option<CodeFrame> {
        let _ = frame;
        None
    }

    /// A place to keep parsed image headers between walks.
    fn cache(&self) -> Option<&UnwindCache> {
        None
    }

    /// True when the walk should stop.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Walks a stack.
///
/// `stack` holds the thread's stack bounds (lowest address, address after the highest) when they are known;
/// frames outside end the walk. When the first stack pointer is outside already, the bounds are not used and
/// frame 0 says so.
#[must_use]
pub fn walk(
    regs: &RegSet,
    mem: &dyn ReadMemory,
    context: &dyn UnwindContext,
    stack: Option<(Va, Va)>,
    limits: &Limits,
) -> Walk {
    walker::Walker::new(mem, context, stack, limits).run(regs)
}
