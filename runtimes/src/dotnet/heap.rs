//! The collector's heap, object by object.
//!
//! `GcDacVars` (by offset in bytes): 8 size of a generation's record, 16 number of generations, 48 their table, 80 the
//! region that is allocated from, 120 where it ends, 176 number of heaps (null: one), 184 the heaps, 192 a count that is
//! not 0 while objects move, 240 and 248 offsets of fields in a heap and in a generation. Source: `gcinterface.dac.h` of
//! dotnet/runtime (MIT), version 5 of the collector's interface. Seen on 8.0.33, 9.0.22, 10.0.14 with the workstation
//! collector; several heaps (server collector) by the source only.
//! A region: 0 end of objects, 8 committed end, 32 first object, 40 flags (1: read only), 48 next.

use super::Clr;
use super::layout::{Field, Variable};
use crate::clr::HeapSegment;
use dumpscope_core::Va;
use std::collections::{BTreeMap, BTreeSet};

/// Most regions.
const MAX_REGIONS: usize = 1 << 18;
/// Most heaps and generations.
const MAX_HEAPS: u64 = 1024;
const MAX_GENERATIONS: u64 = 16;
/// Most objects that one walk visits.
const MAX_OBJECTS: usize = 1 << 26;
/// Most types (and words that are none) whose sizes are kept.
const MAX_TYPES: usize = 1 << 20;
/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Flag of a region whose objects are never moved.
const READ_ONLY: u64 = 1;
/// Smallest base size of a type that has objects (texts), bytes.
const SMALLEST_BASE: u64 = 20;
/// Smallest object, bytes.
const SMALLEST: u64 = 24;

/// A piece of the heap with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Region {
    pub(super) start: Va,
    pub(super) end: Va,
}

/// An object that a walk visits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) object: Va,
    pub(super) type_record: Va,
    /// Its bytes, without what aligns the next object.
    pub(super) size: u64,
}

/// What a walk did not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// Bytes of regions that the dump lacks, or in which no object could be told.
    pub(super) bytes: u64,
    /// The walk ended early.
    pub(super) stopped: bool,
}

impl Clr {
    pub(super) fn collector(&self) -> Option<Va> {
        self.core.variable_target(Variable::GcData)
    }

    /// True while a collection moves objects: what is read of the heap may be wrong.
    pub(super) fn heap_is_moving(&self) -> bool {
        let count = self.collector().and_then(|g| self.core.deref(g.offset(192)));
        count.and_then(|c| self.core.memory().u32(c)).is_some_and(|n| n != 0)
    }

    /// True for the server collector (one heap for each processor).
    pub(super) fn is_server(&self) -> bool {
        self.collector().is_some_and(|g| self.core.deref(g.offset(176)).is_some())
    }

    /// All regions, in address order.
    pub(super) fn regions(&self) -> Vec<Region> {
        let with_objects = |s: &HeapSegment| Region { start: s.start, end: s.end };
        let mut out: Vec<_> = self.heap_segments().iter().map(with_objects).collect();
        out.sort_unstable();
        // Lists that are damaged may name a place twice: what was seen is not walked again.
        let mut seen = Va(0);
        for region in &mut out {
            region.start = region.start.max(seen);
            seen = seen.max(region.end);
        }
        out.retain(|r| r.start < r.end);
        out
    }

    /// All regions by heap and generation, empty ones too.
    pub(super) fn heap_segments(&self) -> Vec<HeapSegment> {
        let mut out = Vec::new();
        let _ = self.read_regions(&mut out);
        out
    }

    fn read_regions(&self, out: &mut Vec<HeapSegment>) -> Option<()> {
        let collector = self.collector()?;
        let memory = self.core.memory();
        let word = |at: Va| memory.u64(at);
        let size = word(collector.offset(8))?;
        let generations = word(collector.offset(16))?.min(MAX_GENERATIONS);
        let start =
            self.core.deref(collector.offset(248)).and_then(|o| memory.u32(o.offset(4))).unwrap_or(0x38);
        let mut heaps = Vec::new();
        match self.core.deref(collector.offset(176)) {
            None => heaps.push((
                Va(word(collector.offset(48))?),
                self.core.deref(collector.offset(80)).and_then(|at| self.core.deref(at)),
                self.core.deref(collector.offset(120)).and_then(|at| self.core.deref(at)),
            )),
            Some(count) => {
                let count = u64::from(memory.u32(count)?).min(MAX_HEAPS);
                let list = self.core.deref(self.core.deref(collector.offset(184))?)?;
                let table = memory.u32(self.core.deref(collector.offset(240))?.offset(4 * 18))?;
                for i in 0..count {
                    let heap = self.core.deref(list.offset(i * 8))?;
                    heaps.push((heap.offset(table.into()), None, None));
                }
            }
        }
        for (heap, (table, current, allocated)) in (0u64..).zip(heaps) {
            for generation in 0..generations {
                let record = table.offset(generation.checked_mul(size)?);
                let mut next = self.core.deref(record.offset(start.into()));
                let mut seen = BTreeSet::new();
                while let Some(at) = next.filter(|at| out.len() < MAX_REGIONS && seen.insert(*at)) {
                    let (Some(end), Some(committed), Some(first)) =
                        (word(at), word(at.offset(8)), word(at.offset(32)))
                    else {
                        break;
                    };
                    let reserved = word(at.offset(16)).unwrap_or(0);
                    let frozen = word(at.offset(40)).unwrap_or(0) & READ_ONLY != 0;
                    // The region that objects are made in ends where the collector's variable says.
                    let end = if Some(at) == current { allocated.unwrap_or(Va(end)) } else { Va(end) };
                    if first != 0 && end.0 >= first {
                        let (start, committed, reserved) = (Va(first), Va(committed), Va(reserved));
                        let record = at;
                        out.push(HeapSegment {
                            record,
                            heap,
                            generation,
                            frozen,
                            start,
                            end,
                            committed,
                            reserved,
                        });
                    }
                    next = self.core.deref(at.offset(48));
                }
            }
        }
        Some(())
    }

    /// Where threads are making objects: start and end of the part of their allocation context that is not used yet.
    fn allocation_contexts(&self) -> BTreeMap<Va, Va> {
        let context = |thread: Va| {
            let base = self.core.target(thread, Field::ThreadLocals).unwrap_or(thread);
            Some((self.core.target(base, Field::AllocPointer)?, self.core.target(base, Field::AllocLimit)?))
        };
        self.threads().iter().filter_map(|t| context(t.address)).collect()
    }

    /// Visits all objects in address order, free space too, until `visit` says to stop.
    pub(super) fn walk_heap(&self, visit: &mut dyn FnMut(Visit) -> bool) -> Skipped {
        let contexts = self.allocation_contexts();
        let mut sizes: BTreeMap<Va, Option<(u64, u64)>> = BTreeMap::new();
        let mut skipped = Skipped::default();
        let mut visited = 0usize;
        for region in self.regions() {
            let mut window = Window { clr: self, start: region.start, bytes: Vec::new() };
            let mut at = region.start;
            while at < region.end {
                if let Some(limit) = contexts.get(&at) {
                    // The rest of a context is followed by room for a smallest object.
                    let next = limit.offset(SMALLEST);
                    if next <= at {
                        break;
                    }
                    at = next;
                    continue;
                }
                let Some(word) = window.u64(at) else {
                    let next = self.core.memory().next_readable(at).unwrap_or(region.end).min(region.end);
                    let next = Va(next.0.max(at.0.saturating_add(8)) & !7);
                    skipped.bytes = skipped.bytes.saturating_add(next.0.saturating_sub(at.0));
                    at = next;
                    continue;
                };
                let mt = Va(word & !7);
                if sizes.len() > MAX_TYPES {
                    sizes.clear();
                }
                let known = *sizes.entry(mt).or_insert_with(|| self.sizes(mt));
                let size = known.filter(|(base, _)| *base >= SMALLEST_BASE).and_then(|(base, element)| {
                    let count = if element == 0 { 0 } else { u64::from(window.u32(at.offset(8))?) };
                    let exact = base.checked_add(element.checked_mul(count)?)?.max(SMALLEST);
                    Some((exact, exact.checked_next_multiple_of(8)?))
                });
                let room = region.end.0.saturating_sub(at.0);
                let fits = |s: &(u64, u64)| s.1 <= room.saturating_add(8);
                let Some((exact, size)) = size.filter(fits) else {
                    at = at.offset(8);
                    skipped.bytes = skipped.bytes.saturating_add(8);
                    continue;
                };
                visited += 1;
                if visited > MAX_OBJECTS || !visit(Visit { object: at, type_record: mt, size: exact }) {
                    skipped.stopped = true;
                    return skipped;
                }
                at = at.offset(size);
            }
        }
        skipped
    }

    /// Base size and element size of a type, bytes.
    pub(super) fn sizes(&self, mt: Va) -> Option<(u64, u64)> {
        if mt.is_null() || !(self.is_free(mt) || self.is_type(mt)) {
            return None;
        }
        let flags = self.type_flags(mt)?;
        let element = if flags & 0x8000_0000 != 0 { u64::from(flags & 0xffff) } else { 0 };
        Some((self.core.u32(mt, Field::TypeBaseSize)?.into(), element))
    }

    /// Bytes of an object, without what aligns the next one.
    pub(super) fn object_size(&self, object: Va) -> Option<u64> {
        let mt = Va(self.core.memory().u64(object)? & !7);
        let (base, element) = self.sizes(mt)?;
        let count = if element == 0 { 0 } else { u64::from(self.core.memory().u32(object.offset(8))?) };
        Some(base.checked_add(element.checked_mul(count)?)?.max(SMALLEST))
    }
}

/// A part of a region that was read ahead.
struct Window<'a> {
    clr: &'a Clr,
    start: Va,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn get(&mut self, at: Va, len: usize) -> Option<&[u8]> {
        let inside = |w: &Window<'_>| {
            let skip = usize::try_from(at.distance_from(w.start)?).ok()?;
            (skip.checked_add(len)? <= w.bytes.len()).then_some(skip)
        };
        let skip = match inside(self) {
            Some(skip) => skip,
            None => {
                self.start = at;
                self.bytes = super::mem::scanned(self.clr.core.memory(), at, CHUNK);
                inside(self)?
            }
        };
        self.bytes.get(skip..skip.checked_add(len)?)
    }

    fn u64(&mut self, at: Va) -> Option<u64> {
        super::mem::u64_at(self.get(at, 8)?, 0)
    }

    fn u32(&mut self, at: Va) -> Option<u32> {
        super::mem::u32_at(self.get(at, 4)?, 0)
    }
}
