//! MemoryInfoListStream (16).

use crate::base::Va;

/// One region, as `VirtualQuery` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    /// Start.
    pub base: Va,
    /// Start of the allocation it belongs to.
    pub allocation_base: Va,
    /// Protection at allocation (`PAGE_*`).
    pub allocation_protect: u32,
    /// Bytes.
    pub size: u64,
    /// `MEM_COMMIT` 0x1000, `MEM_RESERVE` 0x2000, `MEM_FREE` 0x10000.
    pub state: u32,
    /// Protection now (`PAGE_*`).
    pub protect: u32,
    /// `MEM_PRIVATE` 0x20000, `MEM_MAPPED` 0x40000, `MEM_IMAGE` 0x1000000.
    pub kind: u32,
}
