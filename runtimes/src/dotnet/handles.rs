//! The collector's handles, and its lists of objects with finalizers.
//!
//! Handles (by offset in bytes): `GcDacVars` 232: address of the table map {buckets 0, next 8, number of buckets u32 16};
//! bucket: 0 table of one handle table for each heap; handle table: a word of 32 bits for each type, then the first
//! segment. A segment has 64 KiB: a page of bookkeeping, then 120 blocks of 64 handles. In the page: 480 bytes of ages, 120
//! of allocation, 960 of free bits; 1560 the blocks' types, 1680 the blocks with their user data (255: none), 1800 locks,
//! then three lists by type (tail, hint, free count) and the next segment.
//! Finalizers: `GcDacVars` 144: address of the queue: 7 ends of its parts, then the array's start. Parts: generations 4 to 0,
//! then the critical ones and the others that wait for the finalizer.
//! Source: `handletablepriv.h` and `gcpriv.h` of dotnet/runtime (MIT), seen on 8.0.33 and 10.0.14.

use super::Clr;
use super::layout::Release;
use super::mem::some;
use crate::clr::{FinalizerQueue, GcHandle};
use dumpscope_core::Va;
use std::collections::BTreeSet;

/// Most segments, buckets and tables of handles.
const MAX_SEGMENTS: usize = 1 << 14;
const MAX_BUCKETS: u32 = 4096;
const MAX_TABLES: u64 = 1024;
/// Most handles.
const MAX_HANDLES: usize = 1 << 22;
/// Most objects of one list of finalizers.
const MAX_FINALIZERS: u64 = 1 << 24;
/// Blocks of a segment, and handles of a block.
const BLOCKS: usize = 120;
const PER_BLOCK: usize = 64;
/// The page of bookkeeping, and places in it.
const PAGE: usize = 0x1000;
const TYPES: usize = 1560;
const USER_DATA: usize = 1680;
const LISTS: usize = 1920;

/// Kinds of handles by number: name, whether they keep their object alive.
const KINDS: &[(&str, bool)] = &[
    ("WeakShort", false),
    ("WeakLong", false),
    ("Strong", true),
    ("Pinned", true),
    ("Variable", false),
    ("RefCounted", true),
    ("Dependent", false),
    ("AsyncPinned", true),
    ("SizedRef", true),
    ("WeakWinRT", false),
    ("WeakInterior", false),
    ("CrossReference", true),
];
/// Number of dependent handles.
const DEPENDENT: u8 = 6;

impl Clr {
    /// Handles by kind and address.
    pub(super) fn gc_handles(&self) -> Vec<GcHandle> {
        let mut all = Vec::new();
        for segment in self.handle_segments() {
            self.segment_handles(segment, &mut all);
        }
        all.sort_unstable_by_key(|(kind, h): &(u8, GcHandle)| (*kind, h.address));
        all.into_iter().map(|(_, h)| h).collect()
    }

    /// 10 has one type more.
    fn handle_types(&self) -> usize {
        if self.core.layout.release >= Release::V10 { 13 } else { 12 }
    }

    fn handle_segments(&self) -> Vec<Va> {
        let core = &self.core;
        let mut out = Vec::new();
        let mut seen = BTreeSet::new();
        let types = self.handle_types();
        let first = (types * 4).next_multiple_of(8) as u64;
        let next_at = (LISTS + 2 * types).next_multiple_of(4) + 4 * types;
        let next_at = next_at.next_multiple_of(8) as u64;
        let mut map = self.collector().and_then(|g| core.deref(g.offset(232)));
        while let Some(at) = map.filter(|m| seen.insert(*m)) {
            let (Some(buckets), count) = (core.deref(at), core.memory().u32(at.offset(16)).unwrap_or(0))
            else {
                break;
            };
            for i in 0..u64::from(count.min(MAX_BUCKETS)) {
                let Some(tables) = core.deref(buckets.offset(i * 8)).and_then(|b| core.deref(b)) else {
                    continue;
                };
                for t in 0..self.heap_count() {
                    let Some(table) = core.deref(tables.offset(t * 8)) else { break };
                    let mut segment = core.deref(table.offset(first));
                    while let Some(s) =
                        segment.filter(|s| s.0 & 0xffff == 0 && out.len() < MAX_SEGMENTS && seen.insert(*s))
                    {
                        out.push(s);
                        segment = core.deref(s.offset(next_at));
                    }
                }
            }
            map = core.deref(at.offset(8));
        }
        out
    }

    /// Heaps: one, or one for each processor.
    fn heap_count(&self) -> u64 {
        let count = self.collector().and_then(|g| self.core.deref(g.offset(176)));
        count.and_then(|c| self.core.memory().u32(c)).map_or(1, |n| u64::from(n).clamp(1, MAX_TABLES))
    }

    fn segment_handles(&self, segment: Va, out: &mut Vec<(u8, GcHandle)>) {
        let memory = self.core.memory();
        let page = some(memory, segment, PAGE);
        let types = page.get(TYPES..TYPES + BLOCKS).unwrap_or_default();
        let data = page.get(USER_DATA..USER_DATA + BLOCKS).unwrap_or_default();
        let blocks_at = segment.offset(PAGE as u64);
        for (block, (kind, user)) in (0u64..).zip(types.iter().zip(data)) {
            let Some((name, strong)) = KINDS.get(usize::from(*kind)) else { continue };
            // The block type behind the last kind of this release is that of user data.
            if usize::from(*kind) + 1 >= self.handle_types() {
                continue;
            }
            let at = blocks_at.offset(block * PER_BLOCK as u64 * 8);
            let words = some(memory, at, PER_BLOCK * 8);
            for (i, word) in (0u64..).zip(words.as_chunks::<8>().0) {
                let object = Va(u64::from_le_bytes(*word));
                if object.is_null() || out.len() >= MAX_HANDLES {
                    continue;
                }
                let secondary = (*kind == DEPENDENT && usize::from(*user) < BLOCKS)
                    .then(|| memory.u64(blocks_at.offset((u64::from(*user) * PER_BLOCK as u64 + i) * 8)))
                    .flatten();
                let handle = GcHandle {
                    address: at.offset(i * 8),
                    kind: name,
                    strong: *strong,
                    object,
                    secondary: Va(secondary.unwrap_or(0)),
                };
                out.push((*kind, handle));
            }
        }
    }

    /// Lists of objects with finalizers, one for each heap.
    pub(super) fn finalizers(&self) -> Vec<FinalizerQueue> {
        let core = &self.core;
        // One heap has its queue in a variable; the server collector's are in its heaps, which say no offset of theirs.
        let queue = self.collector().and_then(|g| core.deref(core.deref(g.offset(144))?));
        queue.and_then(|q| self.finalizer_queue(q)).into_iter().collect()
    }

    fn finalizer_queue(&self, queue: Va) -> Option<FinalizerQueue> {
        let memory = self.core.memory();
        let words: Option<Vec<Va>> = (0..8).map(|i| memory.u64(queue.offset(i * 8)).map(Va)).collect();
        let words = words?;
        let (ends, start) = (words.get(..7)?, *words.get(7)?);
        let end = *ends.last()?;
        // The parts follow each other.
        let ordered = ends.windows(2).all(|w| matches!(w, [a, b] if a <= b));
        if !ordered || ends.first().is_none_or(|e| *e < start) {
            return None;
        }
        let part = |i: usize| Some((if i == 0 { start } else { *ends.get(i - 1)? }, *ends.get(i)?));
        let ready = (part(5)?.0, end);
        let read = |from: Va, to: Va| -> Vec<Va> {
            let count = to.distance_from(from).unwrap_or(0) / 8;
            (0..count.min(MAX_FINALIZERS)).map_while(|i| memory.u64(from.offset(i * 8)).map(Va)).collect()
        };
        let mut objects = read(start, ready.0);
        let waiting = read(ready.0, end);
        let ready_count = waiting.len();
        objects.extend(waiting);
        Some(FinalizerQueue {
            generations: vec![part(4)?, part(3)?, part(2)?],
            ready,
            objects: objects.into_iter().filter(|o| !o.is_null()).collect(),
            ready_count,
        })
    }
}
