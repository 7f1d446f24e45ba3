//! What pointers on the stacks lead to.

use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::BTreeSet;

/// How many pointers far.
const DEPTH: u32 = 3;

/// Bytes of an object before the address that a pointer has, and from it on.
const BEFORE: u64 = 0x20;
const OBJECT: u64 = 0x200;

/// Bytes of a stack that are searched.
const MAX_STACK: u64 = 1 << 20;

/// Most objects.
const MAX_OBJECTS: usize = 1 << 15;

/// Adds the objects that the words of `roots` (address and bytes) lead to.
pub(super) fn from(dump: &Dump, roots: &[(Va, u64)], out: &mut Vec<(Va, u64)>) {
    let memory = dump.memory();
    let size = if dump.is_wow64() { Machine::X86.ptr_size() } else { dump.machine().ptr_size() };
    let mut seen = BTreeSet::new();
    let mut wave: Vec<(Va, u64)> = roots.iter().map(|(at, len)| (*at, (*len).min(MAX_STACK))).collect();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (at, len) in wave {
            let mut bytes = vec![0u8; usize::try_from(len).unwrap_or(0)];
            let got = memory.scan_at(at, &mut bytes).got;
            for word in bytes.get(..got).unwrap_or_default().chunks_exact(size) {
                let to = word.iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
                // Objects are aligned; texts and small numbers are not.
                if to < 0x1_0000 || seen.len() >= MAX_OBJECTS || memory.rest_of_range(Va(to)).is_empty() {
                    continue;
                }
                if seen.insert(to & !0xf) {
                    next.push((Va(to), OBJECT));
                    out.push((Va(to).back(BEFORE), OBJECT.saturating_add(BEFORE)));
                }
            }
        }
        wave = next;
    }
}
