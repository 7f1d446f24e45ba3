//! What images in memory tell beyond symbols: version resources and debug directories.

mod debug;
mod version;

pub(crate) use debug::{DebugEntry, REPRO, debug_directory};
pub(crate) use version::{VersionResource, version_resource};
