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
        Ok(Dump { source, header, streams: Streams::default() })
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

    /// Bytes that streams and memory ranges of the file need behind its end: a file that was cut off, by a full disk
    /// or a broken transfer. 0 for a whole one.
    pub fn missing_bytes(&self) -> u64 {
        let file = self.file_bytes();
        let size = file.len() as u64;
        let at = |offset: u64, len: usize| {
            let start = usize::try_from(offset).ok()?;
            file.get(start..start.checked_add(len)?)
        };
        let u32_at = |offset: u64| Some(u64::from(u32::from_le_bytes(at(offset, 4)?.try_into().ok()?)));
        let u64_at = |offset: u64| Some(u64::from_le_bytes(at(offset, 8)?.try_into().ok()?));
        let mut end = 0u64;
        for entry in self.directory() {
            let stream = entry.offset.0;
            end = end.max(stream.saturating_add(entry.size.into()));
            match entry.stream_type {
                // Memory64ListStream: count, base, then pairs of address and size; the bytes follow one another.
                9 => {
                    let (Some(count), Some(base)) = (u64_at(stream), u64_at(stream.saturating_add(8))) else {
                        continue;
                    };
                    let fits = u64::from(entry.size).saturating_sub(16) / 16;
                    let sizes =
                        (0..count.min(fits)).map_while(|n| u64_at(stream.saturating_add(24 + n * 16)));
                    end = end.max(sizes.fold(base, u64::saturating_add));
                }
                // MemoryListStream: count, then address (8), size (4), offset (4).
                5 => {
                    let fits = u64::from(entry.size).saturating_sub(4) / 16;
                    let count = u32_at(stream).unwrap_or(0).min(fits);
                    for n in 0..count {
                        let row = stream.saturating_add(4 + n * 16);
                        let Some((len, offset)) =
                            u32_at(row.saturating_add(8)).zip(u32_at(row.saturating_add(12)))
                        else {
                            break;
                        };
                        end = end.max(offset.saturating_add(len));
                    }
                }
                _ => {}
            }
        }
        end.saturating_sub(size)
    }

    /// The thread with a system id.
    pub fn thread_by_tid(&self, tid: Tid) -> Option<&Thread> {
        self.threads().get(self.thread_position(tid)?)
    }
}
