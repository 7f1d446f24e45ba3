//! How many handles of which type.

use dumpscope_core::model::Dump;
use std::collections::BTreeMap;

/// Counts of open handles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandleSummary {
    /// All handles in the stream.
    pub total: u64,
    /// By type name. Untrusted. Handles whose type was not recorded are not in it.
    pub by_type: BTreeMap<String, u64>,
    /// Handles whose type was not recorded.
    pub untyped: u64,
    /// True when the descriptors can hold object information (event state, mutex owner): 40 bytes and more.
    pub has_object_info: bool,
}

/// Size of `MINIDUMP_HANDLE_DESCRIPTOR_2`, the first form with object information.
const WITH_OBJECT_INFO: u32 = 40;

/// Counts the handles. `None` when the dump has no HandleDataStream.
#[must_use]
pub fn summarize(dump: &Dump) -> Option<HandleSummary> {
    let data = dump.handles().value()?;
    let mut out = HandleSummary {
        total: data.handles.len() as u64,
        has_object_info: data.descriptor_size >= WITH_OBJECT_INFO,
        ..HandleSummary::default()
    };
    for handle in &data.handles {
        match &handle.type_name {
            Some(name) => *out.by_type.entry(name.clone()).or_default() += 1,
            None => out.untyped += 1,
        }
    }
    Some(out)
}
