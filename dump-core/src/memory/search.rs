//! Search for bytes over everything that is readable in a range.

use super::MemoryView;
use super::view::Piece;
use crate::base::{ReadMemory, Va};
use memchr::memmem::Finder;
use std::ops::ControlFlow;

/// Longest pattern, bytes.
pub const MAX_PATTERN: usize = 4096;

impl MemoryView {
    /// Calls `found` for every address in `start..end` (`end` exclusive) where `pattern` begins, in address
    /// order, overlapping ones too. The whole match lies in the range; it may cross adjacent ranges and image
    /// parts. Holes are skipped. `found` stops the search with [`ControlFlow::Break`]: the number of matches
    /// has no other bound.
    ///
    /// Nothing is found for an empty pattern or one longer than [`MAX_PATTERN`].
    pub fn search(&self, start: Va, end: Va, pattern: &[u8], found: &mut dyn FnMut(Va) -> ControlFlow<()>) {
        if pattern.is_empty() || pattern.len() > MAX_PATTERN {
            return;
        }
        let search = Search { view: self, finder: Finder::new(pattern), end: end.0 };
        let _ = search.run(start.0, found);
    }
}

struct Search<'a> {
    view: &'a MemoryView,
    finder: Finder<'a>,
    end: u64,
}

impl Search<'_> {
    fn run(&self, start: u64, found: &mut dyn FnMut(Va) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut at = start;
        while at < self.end {
            let Some(next) = self.view.next_readable(Va(at)) else { break };
            at = next.0;
            if at >= self.end {
                break;
            }
            let room = usize::try_from(self.end.saturating_sub(at)).unwrap_or(usize::MAX);
            let Some(piece) = self.view.piece(at) else { break };
            let bytes = match &piece {
                Piece::Dump(bytes) => *bytes,
                Piece::Image(part, from, to) => part.slice(*from, *to).unwrap_or_default(),
            };
            let bytes = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
            if bytes.is_empty() {
                break;
            }
            self.within(at, bytes, found)?;
            self.across(at, bytes.len(), found)?;
            let Some(after) = at.checked_add(bytes.len() as u64) else { break };
            at = after;
        }
        ControlFlow::Continue(())
    }

    fn within(&self, at: u64, bytes: &[u8], found: &mut dyn FnMut(Va) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut from = 0usize;
        while let Some(hit) = bytes.get(from..).and_then(|rest| self.finder.find(rest)) {
            let hit = from.saturating_add(hit);
            found(Va(at).offset(hit as u64))?;
            from = hit.saturating_add(1);
        }
        ControlFlow::Continue(())
    }

    /// Matches that begin in the piece at `at` of `len` bytes and end behind it.
    fn across(&self, at: u64, len: usize, found: &mut dyn FnMut(Va) -> ControlFlow<()>) -> ControlFlow<()> {
        let tail = self.finder.needle().len().saturating_sub(1);
        let before = tail.min(len);
        let border = Va(at).offset(len as u64);
        let first = border.back(before as u64);
        let room = usize::try_from(self.end.saturating_sub(first.0)).unwrap_or(usize::MAX);
        let mut buf = vec![0u8; before.saturating_add(tail).min(room)];
        let got = self.view.read_at(first, &mut buf).got;
        // What ends before the border was found within the piece; what fits behind it begins behind it.
        self.within(first.0, buf.get(..got).unwrap_or_default(), &mut |va| {
            let ends = va.offset(self.finder.needle().len() as u64);
            if va < border && ends > border { found(va) } else { ControlFlow::Continue(()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FileOff, Rva};
    use crate::memory::ImageSection;
    use crate::source::Source;
    use crate::stream::memory_list::RawRange;

    /// `text` in pieces of the given sizes from 0x1000 on, one after another in the file but for the gaps.
    fn view(text: &[u8], pieces: &[(u64, u64)]) -> MemoryView {
        let mut offset = 0;
        let mut ranges = Vec::new();
        for &(start, size) in pieces {
            ranges.push(RawRange { start: Va(start), size, offset: FileOff(offset) });
            offset += size;
        }
        MemoryView::new(Source::from_bytes(text.to_vec()), &ranges)
    }

    fn hits(view: &MemoryView, start: u64, end: u64, pattern: &[u8]) -> Vec<u64> {
        let mut out = Vec::new();
        view.search(Va(start), Va(end), pattern, &mut |va| {
            out.push(va.0);
            ControlFlow::Continue(())
        });
        out
    }

    #[test]
    fn matches_cross_adjacent_ranges_and_not_holes() {
        let v = view(b"abcabcabc", &[(0x1000, 2), (0x1002, 1), (0x1003, 2), (0x2000, 4)]);
        assert_eq!(hits(&v, 0, u64::MAX, b"abca"), [0x1000]);
        assert_eq!(hits(&v, 0, u64::MAX, b"c"), [0x1002, 0x2000, 0x2003]);
        assert_eq!(hits(&v, 0, 0x1003, b"abca"), [0u64; 0]);
        assert_eq!(hits(&v, 0x1001, u64::MAX, b"b"), [0x1001, 0x1004, 0x2002]);
        assert_eq!(hits(&v, 0, u64::MAX, b""), [0u64; 0]);
    }

    #[test]
    fn overlapping_matches_and_stopping() {
        let v = view(b"aaaa", &[(0x10, 2), (0x12, 2)]);
        assert_eq!(hits(&v, 0, 0x100, b"aa"), [0x10, 0x11, 0x12]);
        let mut n = 0;
        v.search(Va(0), Va(0x100), b"a", &mut |_| {
            n += 1;
            if n == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(n, 2);
    }

    #[test]
    fn images_are_searched_where_the_dump_has_nothing() {
        let v = view(b"xy", &[(0x1002, 2)]);
        let part = ImageSection { rva: Rva(0x0), bytes: b"abcdef".as_slice().into() };
        assert_eq!(v.add_image(Va(0x1000), &[part.clone(), part]), 1);
        assert_eq!(hits(&v, 0, u64::MAX, b"bxye"), [0x1001]);
        assert_eq!(hits(&v, 0, u64::MAX, b"c"), [0u64; 0], "the dump's bytes win");
    }
}
