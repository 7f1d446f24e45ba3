//! ThreadInfoListStream (17).

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Tid, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;

/// `MINIDUMP_THREAD_INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// Thread id.
    pub tid: Tid,
    /// Flag bits: see the `DUMP_*` constants.
    pub dump_flags: u32,
    /// HRESULT of what failed while dumping it.
    pub dump_error: u32,
    /// 0x103 while it runs.
    pub exit_status: u32,
    /// 100 ns since 1601 UTC.
    pub create_time: u64,
    /// 100 ns since 1601 UTC, 0 while it runs.
    pub exit_time: u64,
    /// 100 ns.
    pub kernel_time: u64,
    /// 100 ns.
    pub user_time: u64,
    /// Start address.
    pub start_address: Va,
    /// Affinity mask.
    pub affinity: u64,
}

/// Placeholder entry; only the id and the error count.
pub const DUMP_ERROR_THREAD: u32 = 1;
/// The thread that wrote the dump.
pub const DUMP_WRITING_THREAD: u32 = 2;
/// The thread had ended.
pub const DUMP_EXITED_THREAD: u32 = 4;
/// Thread information could not be read.
pub const DUMP_INVALID_INFO: u32 = 8;
/// The context could not be read.
pub const DUMP_INVALID_CONTEXT: u32 = 0x10;
/// The TEB could not be read.
pub const DUMP_INVALID_TEB: u32 = 0x20;

/// `MINIDUMP_THREAD_INFO`: 64 bytes.
const ENTRY: usize = 64;

pub(crate) struct ThreadInfoListStream;

impl Stream for ThreadInfoListStream {
    const NUMBER: u32 = id::THREAD_INFO_LIST;
    const NAME: &'static str = "ThreadInfoListStream";
    const ABOUT: &'static str = "thread times and start addresses";
    type Value = Vec<ThreadInfo>;

    /// Parses the stream.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let out = cx.sized_entries(false, ENTRY, |raw| entry(&cx, raw));
        cx.done(out)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "thread")
    }
}

fn entry(cx: &StreamCx<'_>, raw: &[u8]) -> Option<ThreadInfo> {
    let mut c = Cursor::new(raw, FileOff(0));
    Some(ThreadInfo {
        tid: Tid(c.u32()?),
        dump_flags: c.u32()?,
        dump_error: c.u32()?,
        exit_status: c.u32()?,
        create_time: c.u64()?,
        exit_time: c.u64()?,
        kernel_time: c.u64()?,
        user_time: c.u64()?,
        start_address: cx.va(c.u64()?),
        affinity: c.u64()?,
    })
}
