//! ThreadListStream (3) and ThreadExListStream (8).

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Tid, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;

/// `MINIDUMP_THREAD`: 48 bytes.
const ENTRY: usize = 48;
/// `MINIDUMP_THREAD_EX`: the same and the descriptor of the Itanium backing store, 64 bytes.
const ENTRY_EX: usize = 64;

/// `MINIDUMP_THREAD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawThread {
    /// Thread id.
    pub tid: Tid,
    /// Suspend count.
    pub suspend_count: u32,
    /// Priority class.
    pub priority_class: u32,
    /// Priority.
    pub priority: u32,
    /// Address of the TEB.
    pub teb: Va,
    /// Start of the captured stack memory.
    pub stack_start: Va,
    /// Its size, bytes.
    pub stack_size: u32,
    /// Where the stack bytes lie.
    pub stack_offset: FileOff,
    /// Where the context lies.
    pub context_offset: FileOff,
    /// Its size, bytes.
    pub context_size: u32,
}

pub(crate) struct ThreadListStream;

impl Stream for ThreadListStream {
    const NUMBER: u32 = id::THREAD_LIST;
    const NAME: &'static str = "ThreadListStream";
    const ABOUT: &'static str = "threads: id, TEB, stack, context";
    type Value = Vec<RawThread>;

    /// Parses ThreadListStream.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let threads = cx.counted_entries(ENTRY, |raw| entry(&cx, raw));
        cx.done(threads)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "thread")
    }
}

pub(crate) struct ThreadExListStream;

impl Stream for ThreadExListStream {
    const NUMBER: u32 = id::THREAD_EX_LIST;
    const NAME: &'static str = "ThreadExListStream";
    const ABOUT: &'static str = "threads with a backing store (Itanium)";
    type Value = Vec<RawThread>;

    /// Parses ThreadExListStream; the backing store is left out, no supported processor has one.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let threads = cx.counted_entries(ENTRY_EX, |raw| entry(&cx, raw));
        cx.done(threads)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "thread")
    }
}

fn entry(cx: &StreamCx<'_>, raw: &[u8]) -> Option<RawThread> {
    let mut c = Cursor::new(raw, FileOff(0));
    Some(RawThread {
        tid: Tid(c.u32()?),
        suspend_count: c.u32()?,
        priority_class: c.u32()?,
        priority: c.u32()?,
        teb: cx.va(c.u64()?),
        stack_start: cx.va(c.u64()?),
        stack_size: c.u32()?,
        stack_offset: FileOff(c.u32()?.into()),
        context_size: c.u32()?,
        context_offset: FileOff(c.u32()?.into()),
    })
}
