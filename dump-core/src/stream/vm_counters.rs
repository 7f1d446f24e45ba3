//! ProcessVmCountersStream (22): memory counters of the process.

use super::{Stream, StreamCx, id};
use crate::error::Parsed;

/// `MINIDUMP_PROCESS_VM_COUNTERS_1` (80 bytes) and `_2` (152 bytes). Bytes, except for the fault count. `None`
/// where the form or its flags say that a value is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VmCounters {
    /// 1 or 2.
    pub revision: u16,
    /// Second form: 1 virtual size, 2 extended, 4 private working set, 8 job values.
    pub flags: u16,
    /// Page faults.
    pub page_faults: Option<u32>,
    /// Highest working set.
    pub peak_working_set: Option<u64>,
    /// Working set.
    pub working_set: Option<u64>,
    /// Paged pool.
    pub paged_pool: Option<u64>,
    /// Non-paged pool.
    pub nonpaged_pool: Option<u64>,
    /// Committed private memory.
    pub pagefile: Option<u64>,
    /// Highest committed private memory.
    pub peak_pagefile: Option<u64>,
    /// Highest virtual size.
    pub peak_virtual: Option<u64>,
    /// Virtual size.
    pub virtual_size: Option<u64>,
    /// Private bytes.
    pub private: Option<u64>,
    /// Private working set.
    pub private_working_set: Option<u64>,
    /// Shared commit.
    pub shared_commit: Option<u64>,
}

const VIRTUAL_SIZE: u16 = 1;
const EX: u16 = 2;
const EX2: u16 = 4;

pub(crate) struct ProcessVmCountersStream;

impl Stream for ProcessVmCountersStream {
    const NUMBER: u32 = id::PROCESS_VM_COUNTERS;
    const NAME: &'static str = "ProcessVmCountersStream";
    const ABOUT: &'static str = "memory counters of the process";
    type Value = VmCounters;

    /// Parses the stream; both forms agree up to 0x48.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = cx.cursor();
        let revision = all.at(0).u16().unwrap_or(0);
        let second = revision >= 2;
        let want = if second { 152 } else { 80 };
        if cx.entry.size < want {
            cx.warn(Some(cx.entry.offset), format!("{} bytes instead of {want}", cx.entry.size));
        }
        let flags = if second { all.at(2).u16().unwrap_or(0) } else { 0 };
        let word = |at: usize| all.at(at).u64();
        let second_word = |bit: u16, at: usize| if second && flags & bit != 0 { word(at) } else { None };
        let counters = VmCounters {
            revision,
            flags,
            page_faults: all.at(4).u32(),
            peak_working_set: word(0x8),
            working_set: word(0x10),
            paged_pool: word(0x20),
            nonpaged_pool: word(0x30),
            pagefile: word(0x38),
            peak_pagefile: word(0x40),
            peak_virtual: second_word(VIRTUAL_SIZE, 0x48),
            virtual_size: second_word(VIRTUAL_SIZE, 0x50),
            private: if second { second_word(EX, 0x58) } else { word(0x48) },
            private_working_set: second_word(EX2, 0x60),
            shared_commit: second_word(EX2, 0x68),
        };
        cx.done(counters)
    }

    fn summary(v: &Self::Value) -> String {
        let bytes = |v: Option<u64>| v.map_or("?".into(), |v| format!("{v:#x}"));
        format!("working set {}, private {}", bytes(v.working_set), bytes(v.private))
    }
}
