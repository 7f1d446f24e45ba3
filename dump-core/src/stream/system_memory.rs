//! SystemMemoryInfoStream (21): memory of the whole machine.

use super::{Stream, StreamCx, id};
use crate::base::Va;
use crate::error::Parsed;

/// The parts of `MINIDUMP_SYSTEM_MEMORY_INFO_1` (492 bytes) that tell how full the machine was. `None` where the
/// stream ends earlier. Counts are in pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemMemoryInfo {
    /// `Revision`, 1.
    pub revision: u16,
    /// `Flags`.
    pub flags: u16,
    /// Bytes of a page.
    pub page_size: Option<u32>,
    /// Physical memory.
    pub physical_pages: Option<u32>,
    /// Granularity of allocations, bytes.
    pub allocation_granularity: Option<u32>,
    /// Lowest and highest address of user memory.
    pub user_addresses: Option<(Va, Va)>,
    /// Processors.
    pub processors: Option<u32>,
    /// Physical memory that was free.
    pub available_pages: Option<u64>,
    /// Committed memory of all processes.
    pub committed_pages: Option<u64>,
    /// Limit of committed memory.
    pub commit_limit: Option<u64>,
    /// Highest commitment since the start.
    pub peak_commitment: Option<u64>,
}

pub(crate) struct SystemMemoryInfoStream;

impl Stream for SystemMemoryInfoStream {
    const NUMBER: u32 = id::SYSTEM_MEMORY_INFO;
    const NAME: &'static str = "SystemMemoryInfoStream";
    const ABOUT: &'static str = "memory of the machine";
    type Value = SystemMemoryInfo;

    /// Parses the stream: basic information at 4, file cache at 0x38, basic performance at 0x74.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = cx.cursor();
        if cx.entry.size < 492 {
            cx.warn(Some(cx.entry.offset), format!("{} bytes instead of 492", cx.entry.size));
        }
        let lowest = all.at(0x1c).u64();
        let highest = all.at(0x24).u64();
        let info = SystemMemoryInfo {
            revision: all.at(0).u16().unwrap_or(0),
            flags: all.at(2).u16().unwrap_or(0),
            page_size: all.at(0x8).u32(),
            physical_pages: all.at(0xc).u32(),
            allocation_granularity: all.at(0x18).u32(),
            user_addresses: lowest.zip(highest).map(|(a, b)| (Va(a), Va(b))),
            processors: all.at(0x34).u32(),
            available_pages: all.at(0x74).u64(),
            committed_pages: all.at(0x7c).u64(),
            commit_limit: all.at(0x84).u64(),
            peak_commitment: all.at(0x8c).u64(),
        };
        cx.done(info)
    }

    fn summary(m: &Self::Value) -> String {
        let pages = |v: Option<u64>| v.map_or("?".into(), |v| v.to_string());
        let physical = m.physical_pages.map(u64::from);
        format!("{} of {} pages available", pages(m.available_pages), pages(physical))
    }
}
