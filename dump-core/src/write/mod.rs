//! Writes a dump anew with a part of its memory: all streams are kept, byte for byte but for the offsets in them.
//!
//! The new file is header, directory (right behind it: debuggers refuse it elsewhere), the bytes of the streams and of what
//! they name, the list of memory ranges, a comment, the memory. Nothing is gathered in memory: bytes go from the mapped dump to
//! the writer.

mod layout;
mod references;
mod spans;
mod texts;

use crate::base::{FileOff, Va};
use crate::model::Dump;
use layout::{Layout, Piece};
use std::io;

pub use texts::{FileText, TextForm, texts};

/// What the new dump is to hold.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Memory that is kept: address and bytes, in any order. What the dump lacks of it is left out.
    pub memory: Vec<(Va, u64)>,
    /// Text of the comment stream, behind the one that the dump has.
    pub comment: Option<String>,
    /// Types of streams that are left out.
    pub without: Vec<u32>,
    /// Leaves out streams whose content is not understood, and bytes that no stream names.
    pub only_known: bool,
    /// Bytes of the file (streams and what they name) that are written otherwise, by their old offset.
    pub edits: Vec<(FileOff, Vec<u8>)>,
    /// Memory that is written otherwise.
    pub memory_edits: Vec<MemoryEdit>,
}

/// Memory that is written otherwise than it was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEdit {
    /// Where.
    pub at: Va,
    /// How many bytes.
    pub len: u64,
    /// What is written; zeros where it ends early.
    pub bytes: Vec<u8>,
}

/// What was (or would be) written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub size: u64,
    /// Bytes of memory in it.
    pub memory: u64,
    /// In how many ranges.
    pub ranges: usize,
    /// These ranges, by address: what was wanted and captured, and the stacks that the thread list names.
    pub kept: Vec<(Va, u64)>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Why no dump was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Offsets of streams have 32 bits.
    #[error("the streams of the new dump would not lie in the first 4 GiB of it")]
    TooLarge,
    /// The caller wanted no more.
    #[error("stopped")]
    Stopped,
}

/// How the comment of a dump that was written here begins: it tells of the file, not of the program.
pub const COMMENT: &str = "dumpscope shrink";

/// Bytes written in one go.
const CHUNK: usize = 1 << 20;

/// What [`write()`] would write.
///
/// # Errors
/// [`WriteError::TooLarge`].
pub fn measure(dump: &Dump, plan: &Plan) -> Result<Written, WriteError> {
    Ok(Layout::of(dump, plan)?.written())
}

/// Writes the dump. `progress` gets the bytes written so far and all of them, and returns false to stop.
///
/// # Errors
/// What the writer said; [`WriteError::TooLarge`]; [`WriteError::Stopped`].
pub fn write(
    dump: &Dump,
    plan: &Plan,
    out: &mut dyn io::Write,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Written, WriteError> {
    let layout = Layout::of(dump, plan)?;
    let written = layout.written();
    let mut sink = Counted { out, at: 0, total: written.size, progress };
    let file_edits = Edit::sorted(plan.edits.iter().map(|(o, b)| (o.0, b.len() as u64, b.as_slice())));
    let edits = Edit::sorted(plan.memory_edits.iter().map(|e| (e.at.0, e.len, e.bytes.as_slice())));
    for piece in &layout.pieces {
        match piece {
            Piece::Made { to, bytes } => {
                sink.pad(*to)?;
                sink.put(bytes)?;
            }
            Piece::Copied(m) => {
                sink.pad(m.to)?;
                let mut at = m.start;
                while at < m.end {
                    let len = m.end.saturating_sub(at).min(CHUNK as u64);
                    let raw = crate::bytes::clipped(dump.file_bytes(), at, len).unwrap_or_default();
                    let mut bytes = raw.to_vec();
                    bytes.resize(usize::try_from(len).unwrap_or(CHUNK), 0);
                    // Edits first: an offset that moved wins over what an edit says of its bytes.
                    overlay(at, &mut bytes, Edit::within(&file_edits, at, at.saturating_add(len)));
                    let patches = layout.patches_from(at);
                    overlay(
                        at,
                        &mut bytes,
                        patches.map(|p| Edit { at: p.at, len: p.len as u64, new: p.bytes() }),
                    );
                    sink.put(&bytes)?;
                    at = at.saturating_add(len);
                }
            }
        }
    }
    sink.pad(layout.memory_at)?;
    for &(start, len) in &layout.memory {
        memory(dump, start.0, start.0.saturating_add(len), &edits, &mut sink)?;
    }
    sink.pad(written.size)?;
    Ok(written)
}

/// Writes captured bytes.
fn memory(
    dump: &Dump,
    start: u64,
    end: u64,
    edits: &[Edit<'_>],
    sink: &mut Counted<'_>,
) -> Result<(), WriteError> {
    let mut at = start;
    while at < end {
        let rest = dump.memory().rest_of_range(Va(at));
        let want = usize::try_from(end.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
        let piece = rest.get(..want.min(rest.len())).unwrap_or_default();
        if piece.is_empty() {
            // The ranges were cut to what is captured: this does not happen.
            sink.zeros(end.saturating_sub(at))?;
            return Ok(());
        }
        let after = at.saturating_add(piece.len() as u64);
        let mut here = Edit::within(edits, at, after).peekable();
        if here.peek().is_none() {
            sink.put(piece)?;
        } else {
            let mut bytes = piece.to_vec();
            overlay(at, &mut bytes, here);
            sink.put(&bytes)?;
        }
        at = after;
    }
    Ok(())
}

/// Bytes that are written otherwise, of the file or of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edit<'a> {
    at: u64,
    /// Bytes that it covers; what `new` lacks of them is zeros.
    len: u64,
    new: &'a [u8],
}

impl<'a> Edit<'a> {
    /// By place and disjoint, so that they can be looked up: where two overlap, the one that begins first counts.
    fn sorted(edits: impl Iterator<Item = (u64, u64, &'a [u8])>) -> Vec<Edit<'a>> {
        let mut all: Vec<Edit<'a>> = edits.map(|(at, len, new)| Edit { at, len, new }).collect();
        all.sort_by_key(|e| e.at);
        let mut end = 0;
        for e in &mut all {
            let skip = end.max(e.at).saturating_sub(e.at).min(e.len);
            e.at = e.at.saturating_add(skip);
            e.len = e.len.saturating_sub(skip);
            e.new = usize::try_from(skip).ok().and_then(|n| e.new.get(n..)).unwrap_or_default();
            end = end.max(e.at.saturating_add(e.len));
        }
        all.retain(|e| e.len > 0);
        all
    }

    /// Those of sorted ones that reach into `start..end`.
    fn within<'e>(edits: &'e [Edit<'a>], start: u64, end: u64) -> impl Iterator<Item = Edit<'a>> + 'e {
        let first = edits.partition_point(|e| e.at.saturating_add(e.len) <= start);
        edits.iter().skip(first).take_while(move |e| e.at < end).copied()
    }
}

/// Lays edits over the bytes that begin at `start`.
fn overlay<'a>(start: u64, bytes: &mut [u8], edits: impl Iterator<Item = Edit<'a>>) {
    let end = start.saturating_add(bytes.len() as u64);
    for Edit { at, len, new } in edits {
        let (from, to) = (at.max(start), at.saturating_add(len).min(end));
        if from >= to {
            continue;
        }
        let skip = usize::try_from(from.saturating_sub(at)).unwrap_or(usize::MAX);
        let offset = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
        let count = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
        let room = bytes.get_mut(offset..).and_then(|r| r.get_mut(..count)).unwrap_or_default();
        let new = new.get(skip..).unwrap_or_default();
        for (n, byte) in room.iter_mut().enumerate() {
            *byte = new.get(n).copied().unwrap_or(0);
        }
    }
}

/// A writer that knows where it is.
struct Counted<'a> {
    out: &'a mut dyn io::Write,
    at: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64) -> bool,
}

impl Counted<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        for chunk in bytes.chunks(CHUNK) {
            self.out.write_all(chunk)?;
            self.at = self.at.saturating_add(chunk.len() as u64);
        }
        if (self.progress)(self.at, self.total) { Ok(()) } else { Err(WriteError::Stopped) }
    }

    fn zeros(&mut self, count: u64) -> Result<(), WriteError> {
        let mut left = count;
        while left > 0 {
            let n = left.min(CHUNK as u64);
            self.put(&vec![0u8; usize::try_from(n).unwrap_or(CHUNK)])?;
            left = left.saturating_sub(n);
        }
        Ok(())
    }

    fn pad(&mut self, to: u64) -> Result<(), WriteError> {
        self.zeros(to.saturating_sub(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_become_disjoint() {
        let sorted = Edit::sorted(
            [(8, 4, &b"wxyz"[..]), (0, 10, b"abcdefghi"), (2, 3, b"!"), (20, 1, b"")].into_iter(),
        );
        let want = [(0, 10, &b"abcdefghi"[..]), (10, 2, b"yz"), (20, 1, b"")];
        assert_eq!(sorted, want.map(|(at, len, new)| Edit { at, len, new }));
        assert_eq!(Edit::within(&sorted, 10, 20).map(|e| e.at).collect::<Vec<_>>(), [10]);
        let mut bytes = *b"............";
        overlay(5, &mut bytes, Edit::within(&sorted, 5, 17));
        assert_eq!(&bytes, b"fghi\0yz.....");
    }
}
