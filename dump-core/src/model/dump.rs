//! An open dump.

use super::streams::Streams;
use super::{Thread, unpack};
use crate::base::Tid;
use crate::error::OpenError;
use crate::header::{self, Header};
use crate::source::Source;
use crate::stream::DirectoryEntry;
use std::path::Path;

/// How much memory a dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// Has a Memory64List: every committed page.
    Full,
    /// More than stacks: heap, data segments or module memory.
    Partial,
    /// Stacks only.
    Mini,
}

/// An open dump: mapped, parsed on demand, immutable, shareable between threads.
///
/// Opening reads header and directory only. Each stream is parsed when it is first asked for and kept.
#[derive(Debug)]
pub struct Dump {
    pub(super) source: Source,
    pub(super) header: Header,
    pub(super) streams: Streams,
}

impl Dump {
    /// Opens a dump file; `.gz` and `.zst` files (told by their first bytes, whatever their name) are unpacked
    /// to a temporary file first, which has no name and goes away with the dump.
    ///
    /// # Errors
    /// The file cannot be read or unpacked, is no minidump, or its header or directory is cut off.
    pub fn open(path: &Path) -> Result<Dump, OpenError> {
        Dump::open_with(path, &mut |_, _, _| true)
    }

    /// As [`Dump::open`]; `progress` gets (bytes written, bytes of the packed file read, packed file's size)
    /// while a packed dump is unpacked and returns false to stop.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn open_with(
        path: &Path,
        progress: &mut dyn FnMut(u64, u64, u64) -> bool,
    ) -> Result<Dump, OpenError> {
        Dump::from_source(unpack::open(path, progress)?)
    }

    /// Opens a dump that lies in memory (not packed).
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Dump, OpenError> {
        Dump::from_source(Source::from_bytes(bytes))
    }

    /// Opens a dump from shared bytes, which [`Source::truncated`] can cut without copying them.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_source(source: Source) -> Result<Dump, OpenError> {
        let header = header::parse(source.bytes())?;
        Ok(Dump { source, header, streams: Streams::new() })
    }

    /// Size of the (unpacked) dump, bytes.
    pub fn file_size(&self) -> u64 {
        self.source.bytes().len() as u64
    }

    /// Where its bytes come from; see [`Source::truncated`].
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The dump's own bytes: streams' RVAs are offsets in them.
    pub fn file_bytes(&self) -> &[u8] {
        self.source.bytes()
    }

    /// `TimeDateStamp` of the header: when the dump was written, seconds since 1970 UTC.
    pub fn time(&self) -> u32 {
        self.header.time
    }

    /// `Flags` of the header: `MINIDUMP_TYPE` bits.
    pub fn flags(&self) -> u64 {
        self.header.flags
    }

    /// `Version` of the header (low word 0xA793).
    pub fn version(&self) -> u32 {
        self.header.version
    }

    /// The stream directory, as it is in the file.
    pub fn directory(&self) -> &[DirectoryEntry] {
        &self.header.directory
    }

    /// The thread with a system id.
    pub fn thread_by_tid(&self, tid: Tid) -> Option<&Thread> {
        self.threads().get(self.thread_position(tid)?)
    }
}
