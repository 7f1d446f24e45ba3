//! Typed questions about a dump: stacks, thread times, handles, locks, waits, COM calls and verdicts.
//!
//! An analysis takes a [`Target`] and returns plain data with evidence. No command syntax, no JSON, no printing.
#![forbid(unsafe_code)]

pub mod annotations;
pub mod arguments;
mod cancel;
pub mod capabilities;
pub mod crash;
mod crash_codes;
pub mod diff;
pub mod facts;
mod function_tables;
pub mod handles_summary;
pub mod hint_table;
pub mod incident;
pub mod locks;
mod memo;
pub mod model;
pub mod patterns;
pub mod runaway;
pub mod runtimes;
pub mod scope;
mod script;
pub mod stacks;
mod syscalls;
mod target;
#[cfg(test)]
mod testing;
pub mod text;
pub mod thread_state;
pub mod triage;
pub mod waits;

pub use cancel::Cancel;
pub use model::{Stack, StackFrame, StackWarning};
pub use scope::Scope;
pub use target::Target;
