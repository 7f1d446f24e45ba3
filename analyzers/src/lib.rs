//! Typed questions about a dump: stacks, thread times, handles, and (with later issues) waits, locks, COM calls
//! and verdicts.
//!
//! An analysis takes a [`Target`] and returns plain data with evidence. No command syntax, no JSON, no printing.
#![forbid(unsafe_code)]

pub mod stacks;
mod target;

pub use stacks::{Stack, StackFrame};
pub use target::{Cancel, Target};
