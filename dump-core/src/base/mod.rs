//! Addresses, ids, registers and the memory trait: the vocabulary that all layers share.
//!
//! `dumpscope-symbols` uses only this module of the crate.

mod addr;
mod ids;
mod machine;
mod module_info;
mod read;
mod regs;
pub mod text;

pub use addr::{FileOff, Rva, Va};
pub use ids::{Pid, ThreadIdx, Tid};
pub use machine::Machine;
pub use module_info::{CodeView, FileVersion, Guid, ModuleInfo, windbg_module_name};
pub use read::{MAX_STRING, Provenance, Read, ReadMemory};
pub use regs::{Reg, RegSet, amd64, arm64, x86};
