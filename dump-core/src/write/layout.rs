//! Where everything of the new dump lies.

use super::references::{Kind, Reference, is_known, references};
use super::spans::{self, Moved, Span};
use super::{Plan, WriteError, Written};
use crate::base::Va;
use crate::model::Dump;
use crate::stream::{DirectoryEntry, StreamCx, id, stream_info};
use std::collections::BTreeSet;

/// `MINIDUMP_HEADER`.
const HEADER: u64 = 32;
/// `MINIDUMP_DIRECTORY`.
const ENTRY: u64 = 12;

/// A part of the new file, before its memory.
#[derive(Debug)]
pub(super) enum Piece {
    /// Bytes made anew.
    Made { to: u64, bytes: Vec<u8> },
    /// Bytes of the old file.
    Copied(Moved),
}

/// An offset in a stream that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Patch {
    /// Old file offset of the field.
    pub(super) at: u64,
    /// 4 or 8.
    pub(super) len: usize,
    value: [u8; 8],
}

impl Patch {
    pub(super) fn bytes(&self) -> &[u8] {
        self.value.get(..self.len).unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Layout {
    /// In the order of the new file.
    pub(super) pieces: Vec<Piece>,
    /// By the field's place.
    patches: Vec<Patch>,
    /// Address and bytes of the kept ranges, by address.
    pub(super) memory: Vec<(Va, u64)>,
    /// File offset of the first one's bytes.
    pub(super) memory_at: u64,
    notes: Vec<String>,
}

/// The list of memory ranges that is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Narrow,
    Wide,
}

impl List {
    fn stream(self) -> u32 {
        if self == List::Wide { id::MEMORY64_LIST } else { id::MEMORY_LIST }
    }

    fn size(self, ranges: usize) -> u64 {
        let head = if self == List::Wide { 16 } else { 4 };
        (ranges as u64).saturating_mul(16).saturating_add(head)
    }
}

impl Layout {
    pub(super) fn of(dump: &Dump, plan: &Plan) -> Result<Layout, WriteError> {
        let file = dump.file_bytes();
        let mut notes = Vec::new();
        let streams = kept_streams(dump, plan, &mut notes);
        let refs: Vec<Reference> =
            streams.iter().flat_map(|e| references(&StreamCx::new("", file, *e, dump.machine()))).collect();
        let memory = kept_memory(dump, plan, &refs);
        let (wide, narrow) = (find(dump, id::MEMORY64_LIST), find(dump, id::MEMORY_LIST));
        let list = match (wide, narrow) {
            (true, _) => Some(List::Wide),
            (false, true) => Some(List::Narrow),
            _ if memory.is_empty() => None,
            // Some writers put stacks into the thread list alone: there they stay named.
            _ => Some(List::Narrow),
        };
        let total = memory.iter().fold(0u64, |sum, m| sum.saturating_add(m.1));
        let comment = plan.comment.as_deref().and_then(|text| comment(dump, text));
        if comment.is_none() && plan.comment.is_some() {
            notes.push("the dump has both comment streams already: none was added".into());
        }
        let entries =
            streams.len().saturating_add(list.iter().count()).saturating_add(comment.iter().count());
        let directory_end = HEADER.saturating_add((entries as u64).saturating_mul(ENTRY));
        let kept = kept_spans(dump, plan, &streams, &refs);
        let (moved, end) = spans::lay(&kept, directory_end.next_multiple_of(16));
        let has_moved = moved.iter().any(|m| m.start != m.to);
        for e in streams.iter().filter(|e| has_moved && !is_known(e.stream_type)) {
            let name = stream_info(e.stream_type).map_or("stream", |s| s.name);
            let text = format!(
                "{name} ({:#x}) was copied as it is: offsets in it, if it has any, are not mended",
                e.stream_type
            );
            notes.push(text);
        }
        let list_at = end.next_multiple_of(8);
        let list_size = list.map_or(0, |l| l.size(memory.len()));
        let comment_at = list_at.saturating_add(list_size).next_multiple_of(4);
        let comment_len = comment.as_ref().map_or(0, |c| c.1.len() as u64);
        let memory_at = comment_at.saturating_add(comment_len).next_multiple_of(16);
        let offset32 = |at: u64| u32::try_from(at).map_err(|_| WriteError::TooLarge);
        offset32(memory_at)?;
        let list = list.map(|l| {
            let fits = memory.iter().all(|m| m.1 <= u32::MAX.into())
                && memory_at.saturating_add(total) <= u32::MAX.into();
            if l == List::Narrow && !fits { List::Wide } else { l }
        });
        // A list that had to become a wide one is 12 bytes longer.
        let widened = list == Some(List::Wide) && list_size == List::Narrow.size(memory.len());
        let slack = if widened { 16 } else { 0 };
        let (comment_at, memory_at) = (comment_at.saturating_add(slack), memory_at.saturating_add(slack));

        let mut layout = Layout { pieces: Vec::new(), patches: Vec::new(), memory, memory_at, notes };
        layout.patches = patches(&refs, &moved, &layout)?;
        let mut directory = Vec::new();
        let mut entry = |stream: u32, size: u64, at: u64| {
            let size = u32::try_from(size).map_err(|_| WriteError::TooLarge)?;
            for word in [stream, size, offset32(at)?] {
                directory.extend(word.to_le_bytes());
            }
            Ok::<(), WriteError>(())
        };
        for e in &streams {
            let have = (file.len() as u64).saturating_sub(e.offset.0).min(e.size.into());
            match spans::place(&moved, e.offset.0) {
                Some(at) => entry(e.stream_type, have, at)?,
                // Its bytes are not in the old file.
                None => entry(e.stream_type, 0, directory_end)?,
            }
        }
        if let Some(l) = list {
            entry(l.stream(), l.size(layout.memory.len()), list_at)?;
        }
        if let Some((stream, bytes)) = &comment {
            entry(*stream, bytes.len() as u64, comment_at)?;
        }
        let mut head = b"MDMP".to_vec();
        let count = u32::try_from(entries).map_err(|_| WriteError::TooLarge)?;
        for word in [dump.version(), count, HEADER as u32, 0, dump.time()] {
            head.extend(word.to_le_bytes());
        }
        head.extend(dump.flags().to_le_bytes());
        head.extend(directory);
        layout.pieces.push(Piece::Made { to: 0, bytes: head });
        layout.pieces.extend(moved.into_iter().map(Piece::Copied));
        if let Some(l) = list {
            layout.pieces.push(Piece::Made { to: list_at, bytes: layout.list(l) });
        }
        if let Some((_, bytes)) = comment {
            layout.pieces.push(Piece::Made { to: comment_at, bytes });
        }
        Ok(layout)
    }

    pub(super) fn written(&self) -> Written {
        let memory = self.memory.iter().fold(0u64, |sum, m| sum.saturating_add(m.1));
        Written {
            size: self.memory_at.saturating_add(memory),
            memory,
            ranges: self.memory.len(),
            kept: self.memory.clone(),
            notes: self.notes.clone(),
        }
    }

    /// Patches that may reach behind `at`.
    pub(super) fn patches_from(&self, at: u64) -> impl Iterator<Item = &Patch> {
        let first = self.patches.partition_point(|p| p.at.saturating_add(8) <= at);
        self.patches.iter().skip(first).take_while(move |p| p.at < at.saturating_add(super::CHUNK as u64))
    }

    /// The list of ranges: `MINIDUMP_MEMORY64_LIST` or `MINIDUMP_MEMORY_LIST`.
    fn list(&self, kind: List) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = self.memory_at;
        match kind {
            List::Wide => {
                out.extend((self.memory.len() as u64).to_le_bytes());
                out.extend(at.to_le_bytes());
            }
            List::Narrow => out.extend((self.memory.len() as u32).to_le_bytes()),
        }
        for (start, len) in &self.memory {
            out.extend(start.0.to_le_bytes());
            match kind {
                List::Wide => out.extend(len.to_le_bytes()),
                List::Narrow => {
                    out.extend((*len as u32).to_le_bytes());
                    out.extend((at as u32).to_le_bytes());
                }
            }
            at = at.saturating_add(*len);
        }
        out
    }

    /// Where the bytes of an address lie in the new file, when all `len` of them lie there together.
    fn place_of(&self, va: Va, len: u64, before: &[u64]) -> Option<u64> {
        let nth = self.memory.partition_point(|m| m.0 <= va).checked_sub(1)?;
        let (start, size) = self.memory.get(nth)?;
        let skip = va.distance_from(*start).filter(|d| d.saturating_add(len) <= *size)?;
        Some(self.memory_at.saturating_add(*before.get(nth)?).saturating_add(skip))
    }
}

fn find(dump: &Dump, stream: u32) -> bool {
    dump.directory().iter().any(|e| e.stream_type == stream)
}

/// The streams that are copied: all but the lists of memory, unused entries and what is not wanted.
fn kept_streams(dump: &Dump, plan: &Plan, notes: &mut Vec<String>) -> Vec<DirectoryEntry> {
    let mut out = Vec::new();
    for e in dump.directory() {
        let dropped = [crate::header::UNUSED_STREAM, id::MEMORY_LIST, id::MEMORY64_LIST];
        if dropped.contains(&e.stream_type) || plan.without.contains(&e.stream_type) {
            continue;
        }
        if plan.only_known && !is_known(e.stream_type) {
            notes.push(format!("stream {:#x} was left out: what it holds is not known", e.stream_type));
            continue;
        }
        out.push(*e);
    }
    out
}

/// What is kept of the memory: what is wanted and captured, and the stacks whose bytes the thread list names.
fn kept_memory(dump: &Dump, plan: &Plan, refs: &[Reference]) -> Vec<(Va, u64)> {
    let stacks = refs.iter().filter_map(|r| match r.kind {
        Kind::Stack(start) => Some((start.0, start.0.saturating_add(r.len))),
        _ => None,
    });
    let wanted = plan.memory.iter().map(|(va, len)| (va.0, va.0.saturating_add(*len)));
    let wanted = spans::join(wanted.chain(stacks).collect());
    let captured = dump.memory().ranges().map(|r| (r.start.0, r.start.0.saturating_add(r.size)));
    let captured = spans::join(captured.collect());
    // What is in both: all that is wanted without what is missing of it.
    let missing = spans::without(&wanted, &captured);
    let kept = spans::without(&wanted, &missing);
    kept.into_iter().map(|(a, b)| (Va(a), b.saturating_sub(a))).collect()
}

/// The spans of the old file that are copied.
fn kept_spans(dump: &Dump, plan: &Plan, streams: &[DirectoryEntry], refs: &[Reference]) -> Vec<Span> {
    let len = dump.file_bytes().len() as u64;
    let span = |at: u64, size: u64| (at.min(len), at.saturating_add(size).min(len));
    let mut live: Vec<Span> = streams.iter().map(|e| span(e.offset.0, e.size.into())).collect();
    live.extend(refs.iter().filter(|r| !matches!(r.kind, Kind::Stack(_))).map(|r| span(r.to, r.len)));
    if plan.only_known || streams.iter().all(|e| is_known(e.stream_type)) {
        return spans::join(live);
    }
    // A stream that is not understood may name any place: all that is no memory stays.
    let lists = [dump.memory64_list(), dump.memory_list()];
    let mut dead: Vec<Span> =
        lists.into_iter().filter_map(|l| l.value()).flatten().map(|r| span(r.offset.0, r.size)).collect();
    dead.extend(refs.iter().filter(|r| matches!(r.kind, Kind::Stack(_))).map(|r| span(r.to, r.len)));
    let kept: BTreeSet<u64> = streams.iter().map(|e| e.offset.0).collect();
    let others = dump.directory().iter().filter(|e| !kept.contains(&e.offset.0));
    dead.extend(others.map(|e| span(e.offset.0, e.size.into())));
    dead.push(span(0, HEADER));
    dead.push(span(HEADER, (dump.directory().len() as u64).saturating_mul(ENTRY)));
    live.extend(spans::without(&[(0, len)], &spans::join(dead)));
    spans::join(live)
}

/// The fields that change.
fn patches(refs: &[Reference], moved: &[Moved], layout: &Layout) -> Result<Vec<Patch>, WriteError> {
    let mut out = Vec::with_capacity(refs.len());
    // Bytes of memory before each range.
    let sums = layout.memory.iter().scan(0u64, |sum, m| {
        let before = *sum;
        *sum = sum.saturating_add(m.1);
        Some(before)
    });
    let before: Vec<u64> = sums.collect();
    for r in refs {
        let new = match r.kind {
            Kind::Stack(start) => layout.place_of(start, r.len, &before),
            _ => spans::place(moved, r.to),
        };
        // What led outside of the old file leads nowhere now: behind the end of the new one other bytes might lie.
        let new = new.unwrap_or(0);
        if r.wide {
            out.push(Patch { at: r.at, len: 8, value: new.to_le_bytes() });
        } else {
            let new = match (u32::try_from(new), r.kind) {
                (Ok(new), _) => new,
                // Debuggers find a stack by its address: the list of ranges names it, too.
                (Err(_), Kind::Stack(_)) => 0,
                (Err(_), _) => return Err(WriteError::TooLarge),
            };
            out.push(Patch { at: r.at, len: 4, value: u64::from(new).to_le_bytes() });
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// A comment in the first form that the dump has not, with its stream's number.
fn comment(dump: &Dump, text: &str) -> Option<(u32, Vec<u8>)> {
    if !find(dump, id::COMMENT_A) {
        return Some((id::COMMENT_A, text.bytes().chain([0]).collect()));
    }
    let wide = || text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    (!find(dump, id::COMMENT_W)).then(|| (id::COMMENT_W, wide()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_lie_beyond_4_gib() {
        let memory_at = 5 << 30;
        let memory = vec![(Va(0x1000), 0x1000)];
        let layout = Layout { pieces: Vec::new(), patches: Vec::new(), memory, memory_at, notes: Vec::new() };
        let field = |wide| Reference { at: 0x20, wide, to: 0x40, len: 8, kind: Kind::Stack(Va(0x1800)) };
        let value = |wide| patches(&[field(wide)], &[], &layout).unwrap()[0].value;
        assert_eq!(value(false), [0; 8]);
        assert_eq!(value(true), (memory_at + 0x800).to_le_bytes());
    }
}
