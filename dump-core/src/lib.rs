//! Opens Windows user-mode minidumps and turns bytes into facts.
//!
//! A minidump is a header, a directory of *streams* and the bytes they point to. This crate reads every
//! stream of a Windows user dump, gives one memory view over all captured ranges, decodes thread contexts
//! (x86, x64, ARM64, and the 32-bit context of a WOW64 thread) and joins the streams into a process model.
//!
//! It does not know symbols, does not use the network and does not print. The dump is untrusted: every count
//! is checked before memory is allocated, every loop over dump data has a bound, and nothing here panics on
//! any input. A stream is absent, damaged (partial value and warnings) or fine; see [`Parsed`].
//!
//! All integers are little-endian; so are all platforms that write these dumps.

#![warn(clippy::indexing_slicing)]

pub mod base;
pub mod context;
pub mod error;
pub mod layout;
pub mod memory;
pub mod model;
pub mod source;
pub mod stream;
pub mod write;

mod bytes;
mod header;

pub use base::{Machine, ModuleInfo, Pid, ReadMemory, Reg, RegSet, Rva, ThreadIdx, Tid, Va};
pub use error::{OpenError, Parsed, Warning};
