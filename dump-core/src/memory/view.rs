//! The view: sorted, disjoint ranges; reads cross range borders and stop at the first missing byte.

use crate::base::{Provenance, Read, ReadMemory, Va};

/// One captured range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Start.
    pub start: Va,
    /// Bytes.
    pub size: u64,
    /// Where the bytes come from.
    pub provenance: Provenance,
}

/// Memory of the dumped process.
#[derive(Debug, Default)]
pub struct MemoryView {}

impl MemoryView {
    /// The bytes from `va` on, without copying, when one captured range holds all `len` of them.
    #[must_use]
    pub fn slice(&self, va: Va, len: usize) -> Option<&[u8]> {
        let _ = (va, len);
        None
    }

    /// All ranges in address order.
    pub fn ranges(&self) -> impl Iterator<Item = MemoryRange> + '_ {
        std::iter::empty()
    }
}

impl ReadMemory for MemoryView {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let _ = (va, buf);
        Read { got: 0, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        let _ = va;
        None
    }
}
