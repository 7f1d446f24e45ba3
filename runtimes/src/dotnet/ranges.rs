//! The runtime's map from addresses to ranges of code.
//!
//! Five levels of 256 pointers, bits 56 to 17 of the address; bit 0 of every pointer is a flag. The lowest level names
//! a chain of fragments, each with its range section. The same in 8, 9 and 10.

use super::core::Core;
use super::layout::Field;
use dumpscope_core::Va;

/// Most fragments of one chain (128 KiB of addresses).
const MAX_FRAGMENTS: usize = 4096;

/// A piece of the address space and the section that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) begin: Va,
    pub(super) end: Va,
    pub(super) section: Va,
}

/// Key of what is the same for all addresses that share a chain.
pub(super) fn key(va: Va) -> u64 {
    va.0 >> 17
}

/// The fragments of the chain for `va`, with the map at `map`.
pub(super) fn fragments(core: &Core, map: Va, va: Va) -> Vec<Fragment> {
    let mut out = Vec::new();
    let Some(mut at) = core.at(map, Field::MapTop) else { return out };
    for level in (0..5).rev() {
        let index = va.0 >> (17 + 8 * level) & 0xff;
        match core.memory().u64(at.offset(index * 8)).map(|p| p & !1).filter(|p| *p != 0) {
            Some(next) => at = Va(next),
            None => return out,
        }
    }
    let mut next = Some(at);
    while let Some(at) = next.filter(|at| !at.is_null() && out.len() < MAX_FRAGMENTS) {
        let fragment = || {
            Some(Fragment {
                begin: core.ptr(at, Field::FragmentBegin)?,
                end: core.ptr(at, Field::FragmentEnd)?,
                section: core.ptr(at, Field::FragmentSection)?,
            })
        };
        let Some(fragment) = fragment() else { break };
        out.push(fragment);
        next = core.ptr(at, Field::FragmentNext).map(|p| Va(p.0 & !1));
    }
    out
}
