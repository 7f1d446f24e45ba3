//! The joined model: a dump as a process with threads, modules and handles.

mod dump;
mod params;
mod thread;

pub use dump::{Dump, DumpKind};
pub use params::ProcessParameters;
pub use thread::Thread;
