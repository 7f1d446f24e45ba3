//! UnloadedModuleListStream (14).

use crate::base::Va;

/// A module that was unloaded before the dump was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloadedModule {
    /// Where it was loaded.
    pub base: Va,
    /// Bytes.
    pub size: u32,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// `CheckSum`.
    pub checksum: u32,
    /// File name. Untrusted.
    pub name: String,
}
