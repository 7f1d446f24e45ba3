//! Address ranges that may nest or overlap, with a search for the innermost one.

use std::cmp::Reverse;

/// Most ranges that one search looks at; reached only when thousands of ranges overlap.
const MAX_STEPS: usize = 4096;

/// A range with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range<T> {
    /// First address.
    pub(crate) start: u32,
    /// Bytes.
    pub(crate) size: u32,
    /// What it stands for.
    pub(crate) value: T,
}

/// Sorted ranges.
#[derive(Debug)]
pub(crate) struct Ranges<T> {
    items: Vec<Range<T>>,
    /// How far any range up to here reaches: ends a search for an enclosing range early.
    reach: Vec<u64>,
}

impl<T> Ranges<T> {
    /// Sorts ranges. Of several that are equal the first given is found.
    pub(crate) fn new(items: Vec<Range<T>>) -> Ranges<T> {
        // Later in the order is found first: shorter ones, and of equal ones the first given.
        let mut items: Vec<(usize, Range<T>)> = items.into_iter().enumerate().collect();
        items.sort_by_key(|(i, r)| (r.start, Reverse(r.size), Reverse(*i)));
        let items: Vec<Range<T>> = items.into_iter().map(|(_, r)| r).collect();
        let mut highest = 0;
        let reach = items
            .iter()
            .map(|r| {
                highest = highest.max(u64::from(r.start) + u64::from(r.size));
                highest
            })
            .collect();
        Ranges { items, reach }
    }

    /// The range with the highest start that holds `at`.
    pub(crate) fn innermost(&self, at: u32) -> Option<&Range<T>> {
        let after = self.items.partition_point(|r| r.start <= at);
        let below = self.items.get(..after)?.iter().zip(self.reach.get(..after)?);
        for (r, &reach) in below.rev().take(MAX_STEPS) {
            if at.wrapping_sub(r.start) < r.size {
                return Some(r);
            }
            if reach <= u64::from(at) {
                return None;
            }
        }
        None
    }

    /// The last range that starts at or below `at`, whether or not it reaches there.
    pub(crate) fn last_start(&self, at: u32) -> Option<&Range<T>> {
        self.items.get(self.items.partition_point(|r| r.start <= at).checked_sub(1)?)
    }

    /// All ranges in order.
    pub(crate) fn items(&self) -> &[Range<T>] {
        &self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_range_wins_and_the_outer_one_comes_back() {
        let r = |start, size, value| Range { start, size, value };
        let ranges = Ranges::new(vec![
            r(0x10, 0x20, "outer"),
            r(0x18, 4, "inner"),
            r(0x18, 4, "twin"),
            r(0x40, 0, "empty"),
        ]);
        let at = |a| ranges.innermost(a).map(|r| r.value);
        assert_eq!(at(0xf), None);
        assert_eq!(at(0x10), Some("outer"));
        assert_eq!(at(0x18), Some("inner"));
        assert_eq!(at(0x1c), Some("outer"));
        assert_eq!(at(0x30), None);
        assert_eq!(at(0x40), None);
        assert_eq!(at(u32::MAX), None);
    }

    #[test]
    fn ranges_at_the_end_of_the_address_space() {
        let ranges = Ranges::new(vec![Range { start: u32::MAX, size: u32::MAX, value: () }]);
        assert!(ranges.innermost(u32::MAX).is_some());
        assert!(ranges.innermost(0).is_none());
    }
}
