//! Typed streams, one file each, parsed from the bytes that the directory points to.
//!
//! Layouts: Windows SDK `minidumpapiset.h` (all structures are packed to 4 bytes), checked against real dumps.

pub mod assertion;
pub mod comment;
pub mod crashpad;
pub mod exception;
pub mod function_table;
pub mod handle_data;
pub mod handle_ops;
pub mod id;
pub mod memory_info;
pub mod memory_list;
pub mod misc_info;
pub mod module_list;
pub mod system_info;
pub mod system_memory;
pub mod thread_info;
pub mod thread_list;
pub mod thread_names;
pub mod token;
pub mod unloaded;
pub mod vm_counters;

mod table;
pub(crate) use table::{Kept, Stream, count};
pub use table::{STREAMS, StreamInfo, StreamSummary, stream_info};

mod cx;
mod object_info;

pub(crate) use cx::StreamCx;

use crate::base::FileOff;

/// One entry of the stream directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Stream type number.
    pub stream_type: u32,
    /// Size in bytes.
    pub size: u32,
    /// Where it starts.
    pub offset: FileOff,
}
