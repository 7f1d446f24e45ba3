//! UnloadedModuleListStream (14).

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;

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

/// `MINIDUMP_UNLOADED_MODULE`: 24 bytes.
const ENTRY: usize = 24;

pub(crate) struct UnloadedModuleListStream;

impl Stream for UnloadedModuleListStream {
    const NUMBER: u32 = id::UNLOADED_MODULE_LIST;
    const NAME: &'static str = "UnloadedModuleListStream";
    const ABOUT: &'static str = "modules that were unloaded";
    type Value = Vec<UnloadedModule>;

    /// Parses the stream.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let out = cx.sized_entries(false, ENTRY, |raw| entry(&cx, raw));
        cx.done(out)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "module")
    }
}

fn entry(cx: &StreamCx<'_>, raw: &[u8]) -> Option<UnloadedModule> {
    let mut c = Cursor::new(raw, FileOff(0));
    let base = cx.va(c.u64()?);
    let (size, checksum, timestamp) = (c.u32()?, c.u32()?, c.u32()?);
    let name = cx.string_or_warn(c.u32()?.into(), "an unloaded module's name").unwrap_or_default();
    Some(UnloadedModule { base, size, timestamp, checksum, name })
}
