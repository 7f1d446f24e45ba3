//! ThreadListStream (3).

use crate::base::{FileOff, Tid, Va};

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
