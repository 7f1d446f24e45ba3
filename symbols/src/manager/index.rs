//! Which module holds an address.

use dumpscope_core::{ModuleInfo, Va};
use std::cmp::Reverse;

/// Modules by address.
#[derive(Debug)]
pub(super) struct ModuleIndex {
    /// Start, size, module; sorted by start. Of modules with one start the first of the list comes last.
    by_base: Vec<(Va, u32, usize)>,
    /// The highest distance that any module up to here reaches: ends the search for an enclosing module early.
    reach: Vec<u64>,
}

impl ModuleIndex {
    pub(super) fn new(modules: &[ModuleInfo]) -> ModuleIndex {
        let mut by_base: Vec<_> = modules.iter().enumerate().map(|(i, m)| (m.base, m.size, i)).collect();
        by_base.sort_by_key(|&(base, _, i)| (base, Reverse(i)));
        let mut highest = 0;
        let reach = by_base
            .iter()
            .map(|&(base, size, _)| {
                highest = highest.max(base.0.saturating_add(u64::from(size)));
                highest
            })
            .collect();
        ModuleIndex { by_base, reach }
    }

    /// The module that holds `va`. Modules that overlap are no real ones; then the one with the highest start.
    pub(super) fn at(&self, va: Va) -> Option<usize> {
        let after = self.by_base.partition_point(|&(base, _, _)| base <= va);
        let below = self.by_base.get(..after)?.iter().zip(self.reach.get(..after)?);
        for (&(base, size, module), &reach) in below.rev() {
            if va.distance_from(base).is_some_and(|d| d < u64::from(size)) {
                return Some(module);
            }
            if reach <= va.0 {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::tests::module;

    #[test]
    fn finds_the_module_and_no_neighbour() {
        let modules = [
            module("b", 0x2000, 0x1000),
            module("a", 0x1000, 0x800),
            module("big", 0x8000, 0x8000),
            module("in", 0x9000, 0x10),
        ];
        let index = ModuleIndex::new(&modules);
        assert_eq!(index.at(Va(0x0fff)), None);
        assert_eq!(index.at(Va(0x1000)), Some(1));
        assert_eq!(index.at(Va(0x17ff)), Some(1));
        assert_eq!(index.at(Va(0x1800)), None);
        assert_eq!(index.at(Va(0x2fff)), Some(0));
        assert_eq!(index.at(Va(0x9008)), Some(3));
        assert_eq!(index.at(Va(0x9010)), Some(2));
        assert_eq!(index.at(Va(u64::MAX)), None);
    }
}
