//! What images in memory tell beyond symbols: debug directories.

mod debug;

pub(crate) use debug::{DebugEntry, REPRO, debug_directory};
