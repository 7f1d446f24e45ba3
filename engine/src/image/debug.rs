//! The debug directory of an image in memory.
//!
//! Layout: PE/COFF specification, `IMAGE_DEBUG_DIRECTORY` of 28 bytes.

use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::image::{PeHeaders, directory};

/// Most entries that are read; linkers write fewer than ten.
const MAX_ENTRIES: u32 = 32;
/// `IMAGE_DEBUG_TYPE_REPRO`: the time stamp is a hash of the file.
pub(crate) const REPRO: u32 = 16;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DebugEntry {
    /// `IMAGE_DEBUG_TYPE_*`.
    pub(crate) kind: u32,
    /// Bytes of the data.
    pub(crate) size: u32,
    /// Where the data lies in memory, from the image's base; 0 when it is not mapped.
    pub(crate) rva: u32,
    /// Where the data lies in the file.
    pub(crate) pointer: u32,
}

/// Entries of the image at `base`, as many as are readable.
pub(crate) fn debug_directory(mem: &dyn ReadMemory, base: Va, headers: &PeHeaders) -> Vec<DebugEntry> {
    let Some(dir) = headers.directory(directory::DEBUG) else { return Vec::new() };
    let start = dir.rva.va(base);
    (0..(dir.size / 28).min(MAX_ENTRIES))
        .map_while(|i| {
            let at = start.offset(u64::from(i).wrapping_mul(28));
            Some(DebugEntry {
                kind: mem.u32(at.offset(12))?,
                size: mem.u32(at.offset(16))?,
                rva: mem.u32(at.offset(20))?,
                pointer: mem.u32(at.offset(24))?,
            })
        })
        .collect()
}
