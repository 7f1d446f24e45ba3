//! MemoryListStream (5) and Memory64ListStream (9).

use super::StreamCx;
use crate::base::{FileOff, Va};
use crate::error::Parsed;

/// One captured range: its addresses and where its bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRange {
    /// Start.
    pub start: Va,
    /// Bytes. What the file does not have is already cut off.
    pub size: u64,
    /// Where the bytes lie.
    pub offset: FileOff,
}

/// Parses MemoryListStream: count, then `MINIDUMP_MEMORY_DESCRIPTOR`s of 16 bytes.
pub(crate) fn parse(cx: StreamCx<'_>) -> Parsed<Vec<RawRange>> {
    let (mut c, count) = cx.counted_list(16);
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let (Some(start), Some(size), Some(rva)) = (c.u64(), c.u32(), c.u32()) else { break };
        let offset = FileOff(rva.into());
        out.extend(clip(&cx, RawRange { start: cx.va(start), size: size.into(), offset }));
    }
    cx.done(out)
}

/// Parses Memory64ListStream: count and base offset (64 bits each), then pairs of address and size; the bytes of
/// all ranges follow one another from the base offset on.
pub(crate) fn parse64(cx: StreamCx<'_>) -> Parsed<Vec<RawRange>> {
    let mut c = cx.cursor();
    let (Some(count), Some(base)) = (c.u64(), c.u64()) else {
        if cx.entry.size < 16 {
            cx.warn(Some(cx.entry.offset), "the stream is too small for its header");
        }
        return cx.done(Vec::new());
    };
    let count = cx.fit(&c, count, 16);
    let mut out = Vec::with_capacity(count);
    let mut offset = base;
    let mut missing = 0u64;
    let mut first_missing = None;
    for _ in 0..count {
        let (Some(start), Some(size)) = (c.u64(), c.u64()) else { break };
        let have = (cx.file.len() as u64).saturating_sub(offset).min(size);
        if have < size {
            missing = missing.saturating_add(1);
            first_missing.get_or_insert(FileOff(offset));
        }
        if have > 0 {
            out.push(RawRange { start: cx.va(start), size: have, offset: FileOff(offset) });
        }
        // A sum beyond 2^64 lies outside every file: the next ranges are missing as well.
        offset = offset.saturating_add(size);
    }
    if missing > 0 {
        cx.warn(first_missing, format!("the bytes of {missing} ranges lie (partly) outside the file"));
    }
    cx.done(out)
}

fn clip(cx: &StreamCx<'_>, range: RawRange) -> Option<RawRange> {
    let have = (cx.file.len() as u64).saturating_sub(range.offset.0).min(range.size);
    if have < range.size {
        cx.warn(
            Some(range.offset),
            format!("memory at {:#x}: {have:#x} of {:#x} bytes lie in the file", range.start.0, range.size),
        );
    }
    (have > 0).then_some(RawRange { size: have, ..range })
}
