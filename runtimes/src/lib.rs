//! Language runtimes inside a Windows process (.NET and others), read from its memory alone: no debugger
//! extension of theirs, no symbols, on any system.
//!
//! Bytes in, plain data out. [`RUNTIMES`] is the table of what is known; [`find`] recognises them in a
//! [`Process`], each gives a [`Reader`]. Native stacks are walked elsewhere (`dumpscope_symbols::unwind`); a reader
//! tells the walker about its code ([`dumpscope_symbols::unwind::RuntimeCode`]) and gets the walked frames back
//! ([`Walked`]). Nothing here judges: what a wait or an owner means is for the analyses.
#![forbid(unsafe_code)]
#![warn(clippy::indexing_slicing)]

pub mod clr;
mod dotnet;
mod java;
pub mod jvm;
mod model;
mod named;
mod process;
mod reader;
mod ruby;
mod table;

pub use model::{
    Death, DetachedWait, ExceptionState, FrameKind, LockKind, LockOwner, MethodPlace, Pool, Proof, Runtime,
    ScriptException, ScriptFrame, ScriptLock, ScriptThread, ScriptWait, Suspension, Task, WaitKind,
};
pub use process::{NativeThread, Process};
pub use reader::{Reader, Walked};
pub use table::{Kind, RUNTIMES, Recognised, find, is_runtime_file};
