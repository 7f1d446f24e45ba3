//! The joined model: a dump as a process with threads, modules and handles.

mod contexts;
mod dump;
mod join;
mod params;
mod process;
mod streams;
mod thread;
mod unpack;

pub use dump::{Dump, DumpKind};
pub use params::ProcessParameters;
pub use thread::Thread;
pub use unpack::MAX_UNPACKED;
