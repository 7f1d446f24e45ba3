//! Spans of the old file that are kept, and where they lie in the new one.

/// Start and end (exclusive), file offsets.
pub(crate) type Span = (u64, u64);

/// Sorts spans and joins those that touch.
pub(crate) fn join(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|(a, b)| a < b);
    spans.sort_unstable();
    let mut out: Vec<Span> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

/// What of `all` is not in `taken`; both joined.
pub(crate) fn without(all: &[Span], taken: &[Span]) -> Vec<Span> {
    let mut out = Vec::new();
    let mut next = 0usize;
    for &(start, end) in all {
        let mut at = start;
        while taken.get(next).is_some_and(|t| t.1 <= at) {
            next = next.saturating_add(1);
        }
        let mut ahead = next;
        while let Some(t) = taken.get(ahead).filter(|t| t.0 < end) {
            if at < t.0 {
                out.push((at, t.0));
            }
            at = at.max(t.1);
            ahead = ahead.saturating_add(1);
        }
        if at < end {
            out.push((at, end));
        }
    }
    out
}

/// A kept span and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) to: u64,
}

/// Lays the spans one behind another from `at` on. Each keeps its place within 16 bytes: what was aligned stays so.
pub(crate) fn lay(spans: &[Span], mut at: u64) -> (Vec<Moved>, u64) {
    let mut out = Vec::with_capacity(spans.len());
    for &(start, end) in spans {
        let to = at.saturating_add(start.wrapping_sub(at) % 16);
        out.push(Moved { start, end, to });
        at = to.saturating_add(end.saturating_sub(start));
    }
    (out, at)
}

/// The new offset of an old one.
pub(crate) fn place(moved: &[Moved], old: u64) -> Option<u64> {
    let next = moved.partition_point(|m| m.start <= old);
    let m = moved.get(next.checked_sub(1)?)?;
    // The end belongs to it: an empty list may lie behind the last byte.
    (old <= m.end).then(|| m.to.saturating_add(old.saturating_sub(m.start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_stay_aligned() {
        let (moved, end) = lay(&[(0x38, 0x40), (0x105, 0x106), (0x110, 0x120)], 0x20);
        let to: Vec<u64> = moved.iter().map(|m| m.to).collect();
        assert_eq!((to.as_slice(), end), (&[0x28, 0x35, 0x40][..], 0x50));
        assert_eq!(
            [place(&moved, 0x3c), place(&moved, 0x106), place(&moved, 0x37)],
            [Some(0x2c), Some(0x36), None]
        );
    }

    proptest! {
        #[test]
        fn differences_of_spans(a in prop::collection::vec((0u64..60, 0u64..12), 0..8), b in prop::collection::vec((0u64..60, 0u64..12), 0..8)) {
            let spans = |list: &[(u64, u64)]| join(list.iter().map(|(s, n)| (*s, s + n)).collect());
            let (a, b) = (spans(&a), spans(&b));
            let rest = without(&a, &b);
            let has = |list: &[Span], n: u64| list.iter().any(|s| (s.0..s.1).contains(&n));
            for n in 0..80 {
                prop_assert_eq!(has(&rest, n), has(&a, n) && !has(&b, n));
            }
        }
    }
}
