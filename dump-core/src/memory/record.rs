//! Which bytes were read: a dump of just these gives the same answers.

use super::segments::Segment;
use crate::base::Va;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Lines of one block of marks: 2 MiB of memory in lines of 64 bytes. A block that nobody marks costs a pointer.
const BLOCK: u64 = 1 << 15;

/// Most lines: a mark for each, and a pointer for each block. Ranges of a dump may say that they hold far more bytes than the
/// file has, when they share them.
const MAX_LINES: u64 = 1 << 33;

/// Bytes of missing memory that are noted together.
const MISSED: u64 = 64;

/// Most lines of missing memory that are kept.
const MAX_MISSED: usize = 1 << 18;

/// Most bytes of one read that are noted as missing.
const MAX_MISS: u64 = 0x1_0000;

/// Marks, one for each line of the captured memory, and the lines that were asked for and are not there. Marking takes no
/// lock.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Bytes that are marked together.
    line: u64,
    /// For each segment: the number of its first line.
    first: Vec<u64>,
    blocks: Vec<OnceLock<Box<[AtomicU64]>>>,
    missed: Mutex<BTreeSet<u64>>,
}

impl Recorder {
    pub(crate) fn new(segments: &[Segment], line: u64) -> Recorder {
        // More memory than there are lines for: more bytes are marked together.
        let mut line = line.max(1);
        while sum(segments, line) > MAX_LINES && line < 1 << 63 {
            line = line.saturating_mul(2);
        }
        let mut next = 0u64;
        let mut first = Vec::with_capacity(segments.len());
        for s in segments {
            first.push(next);
            next = next.saturating_add(lines(line, s.start, s.end));
        }
        let blocks = usize::try_from(next.div_ceil(BLOCK)).unwrap_or(0);
        Recorder {
            line,
            first,
            blocks: (0..blocks).map(|_| OnceLock::new()).collect(),
            missed: Mutex::default(),
        }
    }

    /// Marks `len` bytes at `va`, which lie in the segment `index`.
    pub(crate) fn mark(&self, index: usize, segment: &Segment, va: u64, len: u64) {
        let Some(first) = self.first.get(index).filter(|_| len > 0) else { return };
        let end = va.saturating_add(len).min(segment.end);
        let from = first.saturating_add((va / self.line).saturating_sub(segment.start / self.line));
        for line in from..from.saturating_add(lines(self.line, va, end)) {
            let Some(word) = self.word(line) else { return };
            let bit = 1u64 << (line % 64);
            // Most reads come again: looking costs less than writing.
            if word.load(Ordering::Relaxed) & bit == 0 {
                word.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// Notes that `len` bytes at `va` were asked for and the first of them is not there.
    pub(crate) fn miss(&self, va: u64, len: u64) {
        if len == 0 {
            return;
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let end = va.saturating_add(len.min(MAX_MISS));
        let first = va / MISSED;
        for line in first..first.saturating_add(lines(MISSED, va, end)) {
            if missed.len() >= MAX_MISSED {
                return;
            }
            missed.insert(line);
        }
    }

    fn word(&self, line: u64) -> Option<&AtomicU64> {
        let block = self.blocks.get(usize::try_from(line / BLOCK).ok()?)?;
        let words = block.get_or_init(|| (0..BLOCK / 64).map(|_| AtomicU64::new(0)).collect());
        words.get(usize::try_from(line % BLOCK / 64).ok()?)
    }

    /// What was read, by address: disjoint, whole lines as far as they are captured.
    pub(crate) fn marked(&self, segments: &[Segment]) -> Vec<(Va, u64)> {
        let mut out = Vec::new();
        for (segment, first) in segments.iter().zip(&self.first) {
            let count = lines(self.line, segment.start, segment.end);
            let mut n = 0;
            while n < count {
                let line = first.saturating_add(n);
                // A block without a mark is passed over as a whole.
                let block = usize::try_from(line / BLOCK).ok().and_then(|b| self.blocks.get(b));
                let Some(words) = block.and_then(OnceLock::get) else {
                    n = n.saturating_add(BLOCK - line % BLOCK);
                    continue;
                };
                let word = usize::try_from(line % BLOCK / 64).ok().and_then(|w| words.get(w));
                if word.is_some_and(|w| w.load(Ordering::Relaxed) & 1 << (line % 64) != 0) {
                    let start = (segment.start / self.line).saturating_add(n).saturating_mul(self.line);
                    push(
                        &mut out,
                        start.max(segment.start),
                        start.saturating_add(self.line).min(segment.end),
                    );
                }
                n = n.saturating_add(1);
            }
        }
        out
    }

    /// What was asked for and is not there, by address.
    pub(crate) fn missed(&self) -> Vec<(Va, u64)> {
        let mut out = Vec::new();
        for line in self.missed.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let start = line.saturating_mul(MISSED);
            push(&mut out, start, start.saturating_add(MISSED));
        }
        out
    }
}

/// Lines of all segments.
fn sum(segments: &[Segment], line: u64) -> u64 {
    segments.iter().fold(0, |sum, s| sum.saturating_add(lines(line, s.start, s.end)))
}

/// Lines that the bytes from `start` to `end` (exclusive) touch.
fn lines(line: u64, start: u64, end: u64) -> u64 {
    if start >= end { 0 } else { end.div_ceil(line).saturating_sub(start / line) }
}

/// Adds a span that begins at or behind the last one's start.
fn push(out: &mut Vec<(Va, u64)>, start: u64, end: u64) {
    match out.last_mut() {
        Some((at, len)) if at.0.saturating_add(*len) >= start => *len = (*len).max(end.saturating_sub(at.0)),
        _ => out.push((Va(start), end.saturating_sub(start))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_marked_within_their_segment() {
        let segments = [
            Segment { start: 0x1010, end: 0x1030, offset: 0 },
            Segment { start: 0x1030, end: 0x1100, offset: 0x20 },
            Segment { start: 0x10_0000, end: 0x90_0000, offset: 0x1000 },
        ];
        let r = Recorder::new(&segments, 64);
        assert!(r.marked(&segments).is_empty());
        r.mark(0, &segments[0], 0x1018, 4);
        r.mark(1, &segments[1], 0x107f, 2);
        r.mark(2, &segments[2], 0x8f_fff8, 0x100);
        r.mark(2, &segments[2], 0x20_0000, 0);
        let spans = [(Va(0x1010), 0x20), (Va(0x1040), 0x80), (Va(0x8f_ffc0), 0x40)];
        assert_eq!(r.marked(&segments), spans);
    }

    #[test]
    fn hostile_ranges_take_no_memory() {
        let segment = |n: u64| Segment { start: n << 40, end: (n << 40) + (1 << 38), offset: 0 };
        let segments: Vec<Segment> = (1..200).map(segment).collect();
        let r = Recorder::new(&segments, 1);
        assert!(r.blocks.len() as u64 <= MAX_LINES / BLOCK, "{}", r.blocks.len());
        r.mark(5, &segments[5], segments[5].start + 0x1_0000, 1);
        let marked = r.marked(&segments);
        assert_eq!(marked, [(Va(segments[5].start + 0x1_0000), r.line)]);
    }

    #[test]
    fn what_is_missing_is_noted() {
        let r = Recorder::new(&[], 1);
        r.miss(0x7f, 2);
        r.miss(u64::MAX, 9);
        r.miss(0x1000, u64::MAX);
        assert_eq!(r.missed(), [(Va(0x40), 0x80), (Va(0x1000), MAX_MISS)]);
    }
}
