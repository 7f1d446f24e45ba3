//! Offsets of the Windows structures that are read from memory: one table per bitness, the only place where
//! such numbers stand.
//!
//! Offsets are bytes from the start of the structure. ARM64 uses the 64-bit tables.
//! Sources: Geoff Chappell's per-version layouts (from Microsoft's public symbols, 3.10 to 10.0.19041), offsets
//! generated from public PDBs (x64, 1607 to 11), phnt, Wine; measured in real dumps of builds 7601, 16299,
//! 22000 and 22631. What stands here has not moved from Windows 7 to 11 unless a field says otherwise.

mod ldr;
mod peb;
mod teb;

pub use ldr::{
    DDAG32, DDAG64, LDR_DATA32, LDR_DATA64, LDR_ENTRY32, LDR_ENTRY64, LdrDataLayout, LdrEntryLayout,
};
pub use peb::{PARAMETERS32, PARAMETERS64, PEB32, PEB64, ParametersLayout, PebLayout};
pub use teb::{TEB32, TEB64, TebLayout, WOW64_CPU_AREA_SLOT};
