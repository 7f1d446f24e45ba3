//! MemoryListStream (5) and Memory64ListStream (9).

use super::{Stream, StreamCx, count, id};
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

pub(crate) struct MemoryListStream;

impl Stream for MemoryListStream {
    const NUMBER: u32 = id::MEMORY_LIST;
    const NAME: &'static str = "MemoryListStream";
    const ABOUT: &'static str = "captured memory, below 4 GiB of file";
    type Value = Vec<RawRange>;

    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let clip = |range: RawRange| {
            let have = room(&cx, range);
            if have < range.size {
                cx.warn(
                    Some(range.offset),
                    format!(
                        "memory at {:#x}: {have:#x} of {:#x} bytes lie in the file",
                        range.start.0, range.size
                    ),
                );
            }
            (have > 0).then_some(RawRange { size: have, ..range })
        };
        let out = rows(&cx).into_iter().filter_map(clip).collect();
        cx.done(out)
    }

    fn summary(ranges: &Self::Value) -> String {
        size_of_all(ranges)
    }

    fn end(cx: &StreamCx<'_>) -> u64 {
        last_byte(&rows(cx))
    }
}

pub(crate) struct Memory64ListStream;

impl Stream for Memory64ListStream {
    const NUMBER: u32 = id::MEMORY64_LIST;
    const NAME: &'static str = "Memory64ListStream";
    const ABOUT: &'static str = "captured memory of a full dump";
    type Value = Vec<RawRange>;

    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = rows64(&cx);
        let mut missing = all.iter().filter(|r| room(&cx, **r) < r.size);
        if let Some(first) = missing.next() {
            let n = missing.count().saturating_add(1);
            cx.warn(Some(first.offset), format!("the bytes of {n} ranges lie (partly) outside the file"));
        }
        let there = all.iter().map(|r| RawRange { size: room(&cx, *r), ..*r }).filter(|r| r.size > 0);
        let out = there.collect();
        cx.done(out)
    }

    fn summary(ranges: &Self::Value) -> String {
        size_of_all(ranges)
    }

    fn end(cx: &StreamCx<'_>) -> u64 {
        last_byte(&rows64(cx))
    }
}

/// The ranges as the stream names them: a count, then `MINIDUMP_MEMORY_DESCRIPTOR`s of 16 bytes (address, size, file
/// offset).
fn rows(cx: &StreamCx<'_>) -> Vec<RawRange> {
    let (mut c, count) = cx.counted_list(16);
    let mut row = || {
        let (start, size, offset) = (c.u64()?, c.u32()?, c.u32()?);
        Some(RawRange { start: cx.va(start), size: size.into(), offset: FileOff(offset.into()) })
    };
    (0..count).map_while(|_| row()).collect()
}

/// The same of Memory64ListStream: count and base offset (64 bits each), then pairs of address and size; the bytes
/// of all ranges follow one another from the base offset on.
fn rows64(cx: &StreamCx<'_>) -> Vec<RawRange> {
    let mut c = cx.cursor();
    let (Some(count), Some(base)) = (c.u64(), c.u64()) else {
        if cx.entry.size < 16 {
            cx.warn(Some(cx.entry.offset), "the stream is too small for its header");
        }
        return Vec::new();
    };
    let count = cx.fit(&c, count, 16);
    let mut offset = base;
    let mut row = || {
        let range = RawRange { start: cx.va(c.u64()?), size: c.u64()?, offset: FileOff(offset) };
        // A sum beyond 2^64 lies outside every file: the next ranges are missing as well.
        offset = offset.saturating_add(range.size);
        Some(range)
    };
    (0..count).map_while(|_| row()).collect()
}

/// How many bytes of a range the file has.
fn room(cx: &StreamCx<'_>, range: RawRange) -> u64 {
    (cx.file.len() as u64).saturating_sub(range.offset.0).min(range.size)
}

fn last_byte(ranges: &[RawRange]) -> u64 {
    ranges.iter().map(|r| r.offset.0.saturating_add(r.size)).max().unwrap_or(0)
}

fn size_of_all(ranges: &[RawRange]) -> String {
    let bytes = ranges.iter().fold(0u64, |sum, r| sum.saturating_add(r.size));
    format!("{}, {bytes:#x} bytes", count(ranges.len(), "range"))
}
