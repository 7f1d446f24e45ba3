//! Spans of addresses.

use dumpscope_core::Va;

/// Spans by address, disjoint.
#[derive(Debug, Default)]
pub(crate) struct Spans(Vec<(u64, u64)>);

impl Spans {
    pub(crate) fn new(spans: impl Iterator<Item = (Va, u64)>) -> Spans {
        let mut all: Vec<(u64, u64)> = spans.map(|(at, len)| (at.0, at.0.saturating_add(len))).collect();
        all.sort_unstable();
        let mut out: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for (start, end) in all {
            match out.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => out.push((start, end)),
            }
        }
        Spans(out)
    }

    /// True when `at` lies in one of them, and the address up to which that does not change.
    pub(crate) fn at(&self, at: u64) -> (bool, u64) {
        match self.0.get(self.0.partition_point(|s| s.1 <= at)) {
            Some((start, end)) if *start <= at => (true, *end),
            Some((start, _)) => (false, *start),
            None => (false, u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders() {
        let spans = Spans::new([(Va(0x30), 8), (Va(0x10), 8), (Va(0x14), 8), (Va(0x1c), 4)].into_iter());
        assert_eq!(spans.at(0), (false, 0x10));
        assert_eq!(spans.at(0x10), (true, 0x20));
        assert_eq!(spans.at(0x20), (false, 0x30));
        assert_eq!(spans.at(0x38), (false, u64::MAX));
    }
}
