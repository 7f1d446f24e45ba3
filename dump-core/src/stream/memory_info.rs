//! MemoryInfoListStream (16).

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;

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

/// `MINIDUMP_MEMORY_INFO`: 48 bytes.
const ENTRY: usize = 48;

pub(crate) struct MemoryInfoListStream;

impl Stream for MemoryInfoListStream {
    const NUMBER: u32 = id::MEMORY_INFO_LIST;
    const NAME: &'static str = "MemoryInfoListStream";
    const ABOUT: &'static str = "memory regions with protection";
    type Value = Vec<MemoryRegion>;

    /// Parses the stream: header of 16 bytes with a 64-bit count, then entries.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let out = cx.sized_entries(true, ENTRY, |raw| entry(&cx, raw));
        cx.done(out)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "region")
    }
}

fn entry(cx: &StreamCx<'_>, raw: &[u8]) -> Option<MemoryRegion> {
    let mut c = Cursor::new(raw, FileOff(0));
    let base = cx.va(c.u64()?);
    let allocation_base = cx.va(c.u64()?);
    let allocation_protect = c.u32()?;
    let _alignment = c.u32()?;
    let size = c.u64()?;
    let (state, protect, kind) = (c.u32()?, c.u32()?, c.u32()?);
    Some(MemoryRegion { base, allocation_base, allocation_protect, size, state, protect, kind })
}
