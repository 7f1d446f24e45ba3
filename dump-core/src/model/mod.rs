//! The joined model: a dump as a process with threads, modules and handles.

mod contexts;
mod dump;
mod image;
mod join;
mod ldr;
mod params;
mod peb;
mod process;
mod streams;
mod teb;
mod thread;
mod unpack;

pub use dump::{Dump, DumpKind};
pub use ldr::{DDAG_INITIALIZING, DDAG_READY_TO_RUN, LdrEntry, LoaderData};
pub use params::ProcessParameters;
pub use peb::Peb;
pub use teb::{SAME_TEB_INITIAL_THREAD, SAME_TEB_LOAD_OWNER, SAME_TEB_LOADER_WORKER, Teb};
pub use thread::Thread;
pub use unpack::MAX_UNPACKED;
