//! ThreadInfoListStream (17).

use crate::base::{Tid, Va};

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
