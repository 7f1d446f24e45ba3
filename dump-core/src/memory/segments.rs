//! Turns the captured ranges, in order of precedence, into sorted disjoint segments.

use crate::base::Va;
use crate::stream::memory_list::RawRange;
use std::collections::BTreeSet;

/// Bytes of the process at `start..end`, lying at `offset` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) start: u64,
    /// Exclusive.
    pub(crate) end: u64,
    pub(crate) offset: u64,
}

impl Segment {
    /// Where the segment's byte `va` lies in the file.
    fn offset_of(&self, va: u64) -> u64 {
        self.offset.saturating_add(va.saturating_sub(self.start))
    }
}

/// Sorts and makes disjoint; where ranges overlap the one that comes first in `ranges` wins.
pub(crate) fn build(ranges: &[RawRange]) -> Vec<Segment> {
    let segments = of_ranges(ranges);
    let mut sorted = segments.clone();
    if !sorted.is_sorted_by_key(|s| s.start) {
        sorted.sort_by_key(|s| s.start);
    }
    // Sorting loses the precedence, but disjoint ranges (every sound dump) do not need it.
    if disjoint(&sorted) { sorted } else { sweep(&segments).0 }
}

/// The first address that two ranges have in common.
pub(crate) fn first_overlap(ranges: &[RawRange]) -> Option<Va> {
    let mut sorted = of_ranges(ranges);
    sorted.sort_by_key(|s| s.start);
    if disjoint(&sorted) { None } else { sweep(&sorted).1 }
}

fn of_ranges(ranges: &[RawRange]) -> Vec<Segment> {
    ranges
        .iter()
        .map(|r| Segment { start: r.start.0, end: r.start.0.saturating_add(r.size), offset: r.offset.0 })
        .filter(|s| s.start < s.end)
        .collect()
}

fn disjoint(sorted: &[Segment]) -> bool {
    sorted.is_sorted_by(|a, b| a.end <= b.start)
}

/// Walks over all borders in address order and keeps the set of ranges that are open there: n log n for any
/// input, at most 2n segments.
fn sweep(ranges: &[Segment]) -> (Vec<Segment>, Option<Va>) {
    let mut borders: Vec<(u64, bool, usize)> = Vec::with_capacity(ranges.len().saturating_mul(2));
    for (i, r) in ranges.iter().enumerate() {
        borders.push((r.start, true, i));
        borders.push((r.end, false, i));
    }
    borders.sort_unstable();
    let mut open = BTreeSet::new();
    let mut out: Vec<(Segment, usize)> = Vec::new();
    let mut overlap = None;
    let mut from = 0u64;
    for (at, opens, index) in borders {
        if from < at
            && let Some(&owner) = open.first()
            && let Some(range) = ranges.get(owner)
        {
            if open.len() > 1 && overlap.is_none() {
                overlap = Some(Va(from));
            }
            match out.last_mut() {
                Some((last, same)) if *same == owner && last.end == from => last.end = at,
                _ => out.push((Segment { start: from, end: at, offset: range.offset_of(from) }, owner)),
            }
        }
        from = at;
        if opens {
            open.insert(index);
        } else {
            open.remove(&index);
        }
    }
    (out.into_iter().map(|(s, _)| s).collect(), overlap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FileOff;
    use proptest::prelude::*;

    fn range(start: u64, size: u64, offset: u64) -> RawRange {
        RawRange { start: Va(start), size, offset: FileOff(offset) }
    }

    #[test]
    fn disjoint_ranges_are_sorted() {
        let ranges = [range(0x2000, 0x10, 5), range(0x1000, 0x1000, 1), range(9, 0, 0)];
        assert_eq!(first_overlap(&ranges), None);
        let (a, b) = (
            Segment { start: 0x1000, end: 0x2000, offset: 1 },
            Segment { start: 0x2000, end: 0x2010, offset: 5 },
        );
        assert_eq!(build(&ranges), [a, b]);
    }

    #[test]
    fn the_first_range_wins() {
        let ranges = [range(0x10, 0x10, 100), range(0, 0x40, 200)];
        assert_eq!(first_overlap(&ranges), Some(Va(0x10)));
        assert_eq!(
            build(&ranges),
            [
                Segment { start: 0, end: 0x10, offset: 200 },
                Segment { start: 0x10, end: 0x20, offset: 100 },
                Segment { start: 0x20, end: 0x40, offset: 0xe8 },
            ]
        );
        let twice = [range(0, 4, 0), range(0, 4, 9)];
        assert_eq!(build(&twice), [Segment { start: 0, end: 4, offset: 0 }]);
    }

    #[test]
    fn a_range_up_to_the_end_of_the_address_space_does_not_wrap() {
        let s = build(&[range(u64::MAX - 3, 0x100, 0)]);
        assert_eq!(s, [Segment { start: u64::MAX - 3, end: u64::MAX, offset: 0 }]);
    }

    proptest! {
        #[test]
        fn every_byte_has_its_first_range(ranges in prop::collection::vec((0u64..64, 0u64..20, 0u64..1000), 0..12)) {
            let raw: Vec<RawRange> = ranges.iter().map(|&(a, n, o)| range(a, n, o)).collect();
            let segments = build(&raw);
            prop_assert!(disjoint(&segments));
            for va in 0..90u64 {
                let want = ranges.iter().find(|&&(a, n, _)| (a..a + n).contains(&va)).map(|&(a, _, o)| o + va - a);
                let got = segments.iter().find(|s| (s.start..s.end).contains(&va)).map(|s| s.offset_of(va));
                prop_assert_eq!(got, want, "address {}", va);
            }
        }
    }
}
