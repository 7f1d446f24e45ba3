//! Rows of threads: what each does, its frames and their arguments, its wait.

use super::rows::{dto, names};
use super::script::{ScriptFrameRow, ScriptThreadRow};
use crate::fmt::Hex;
use dumpscope_analyzers::model::{Confidence, Kind, Reason};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

dto! {
    /// A thread.
    pub struct ThreadRow {
        /// The debugger's number.
        pub index: u32,
        /// System id.
        pub tid: u32,
        /// Name given by the program.
        pub name: Option<String>,
        /// CPU time in user mode.
        pub user_ms: Option<u64>,
        /// CPU time in kernel mode.
        pub kernel_ms: Option<u64>,
        /// From creation to the dump.
        pub elapsed_ms: Option<u64>,
        /// One sentence: what it is doing.
        pub activity: Option<String>,
        /// Its stack, innermost frame first; of a 32-bit process the 32-bit one. Null: no context in the dump.
        pub frames: Option<Vec<FrameRow>>,
        /// The 64-bit stack of a thread of a 32-bit process.
        pub native_frames: Option<Vec<FrameRow>>,
        /// Method frames of a runtime alone, innermost first. Null: no runtime knows the thread.
        pub script_frames: Option<Vec<ScriptFrameRow>>,
        /// The thread as its runtime knows it.
        pub script_thread: Option<ScriptThreadRow>,
        /// What it waits for. Null: it does not wait, or that is not known.
        pub wait: Option<WaitRow>,
        /// The DLL's entry point that the loader called and that it is in: it holds the loader. Null: none was seen.
        pub dll_main: Option<DllMainRow>,
    }

    /// A DLL's entry point (`DllMain`) or TLS callback that a thread is in.
    pub struct DllMainRow {
        /// File name of the DLL.
        pub module: String,
        /// Its base.
        pub base: Hex,
        /// Why the loader called it. Null: unknown.
        pub reason: Option<Reason>,
        /// True for a TLS callback.
        pub tls: bool,
        /// How sure.
        pub confidence: Confidence,
        /// What it rests on.
        pub evidence: Vec<String>,
    }

    /// A stack frame.
    pub struct FrameRow {
        /// Instruction pointer.
        pub ip: Hex,
        /// Stack pointer.
        pub sp: Hex,
        /// Module, as WinDbg writes it.
        pub module: Option<String>,
        /// Function.
        pub function: Option<String>,
        /// False for the nearest export where that is another function. Null: without a function.
        pub symbol_exact: Option<bool>,
        /// From the function's start; from the module's start without a function. Null without a module.
        pub displacement: Option<Hex>,
        /// Source position.
        pub source: Option<SourceRow>,
        /// True for a call that the compiler inlined.
        pub inline: bool,
        /// How it was found.
        pub trust: TrustName,
        /// Why it is doubtful.
        pub issue: Option<String>,
        /// Arguments. Null: not looked for.
        pub args: Option<Vec<ArgRow>>,
    }

    /// A source position.
    pub struct SourceRow {
        /// File.
        pub file: String,
        /// Line, from 1.
        pub line: u32,
    }

    /// An argument.
    pub struct ArgRow {
        /// Its place among the function's, from 0: arguments of which nothing is known are left out. Null elsewhere.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub index: Option<u32>,
        /// Parameter name.
        pub name: Option<String>,
        /// Parameter type.
        #[serde(rename = "type")]
        pub type_name: Option<String>,
        /// Value. Null: unknown.
        pub value: Option<Hex>,
        /// Where the value comes from.
        pub source: Option<String>,
        /// How sure it is.
        pub confidence: Option<Confidence>,
        /// What it means.
        pub hint: Option<String>,
    }

    /// What a thread waits for.
    pub struct WaitRow {
        /// Kind of wait.
        pub kind: Kind,
        /// The object, in words.
        pub object: Option<String>,
        /// Handles waited for. Null: unknown.
        pub handles: Option<Vec<Hex>>,
        /// How long it is willing to wait. Null: unknown, or a wait for a lock in slices, which goes on after each.
        pub timeout_ms: Option<Timeout>,
        /// Several objects: true when all of them must be free, false when one is enough. Null: one object, or unknown.
        pub wait_all: Option<bool>,
        /// Address of the lock or value that is waited for. Null: not known, or none.
        pub address: Option<Hex>,
        /// Thread that owns the object.
        pub owner_tid: Option<u32>,
        /// Process that owns the object.
        pub owner_pid: Option<u32>,
        /// How sure.
        pub confidence: Confidence,
    }
}

names! {
    /// How a frame was found.
    TrustName {
        /// The thread's registers.
        Context,
        /// Unwind data.
        Cfi,
        /// The chain of frame pointers.
        FramePointer,
        /// The return address on top of the stack behind a call to code that could not run.
        ReturnAddress,
        /// Found by scanning the stack: doubtful.
        Scan,
        /// A call that the compiler inlined.
        Inline,
    }
}

/// A time limit of a wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Timeout {
    /// Milliseconds.
    Ms(u64),
    /// None: `"infinite"`.
    Infinite(Infinite),
}

names! {
    /// The word for no time limit.
    Infinite {
        /// No limit.
        Infinite,
    }
}
