//! Code compiled ahead of time, in images.
//!
//! The runtime keeps, for each image, its function table and a map from entry points to method records, which holds
//! the methods that were prepared (a few hundred). Source: `readytoruninfo.cpp`, `hash.h` and `readytorun.h` of
//! dotnet/runtime (MIT).

use super::Clr;
use super::code::{Code, CodeKind};
use super::core::Core;
use super::layout::Field;
use super::mem::{Sparse, u64_at};
use dumpscope_core::{Rva, Va};
use dumpscope_symbols::unwind::DynamicFunction;
use std::sync::{Arc, PoisonError};

/// Most functions of an image.
const MAX_FUNCTIONS: u32 = 1 << 24;
/// Most buckets of an image's map, 64 bytes and four methods each.
const MAX_BUCKETS: u32 = 1 << 18;
/// Bytes of a bucket.
const BUCKET: usize = 64;
/// Bit of a bucket's first value: it was full when another entry came.
const COLLISION: u64 = 1 << 63;
/// Most buckets that are looked at for one entry; the runtime makes its map larger after 8.
const MAX_PROBES: u32 = 64;
/// Most pairs of the map from cold to hot pieces.
const MAX_COLD: u32 = 1 << 20;
/// Most handlers between a method's entry and one of its pieces.
const MAX_PIECES: u32 = 1 << 14;

/// What the runtime knows of an image's code.
#[derive(Debug)]
pub(super) struct Image {
    /// The function table: begin, end, unwind data, 12 bytes each.
    functions: Va,
    count: u32,
    /// (entry point, method record), sorted: what the dump has of the map.
    entries: Vec<(Va, Va)>,
    /// The map itself: its buckets and their number.
    map: Option<(Va, u32)>,
    /// (index of a cold piece, index of its hot one), sorted.
    cold: Vec<(u32, u32)>,
    /// Where calls are bound on first use: RVA and bytes.
    thunks: (u32, u32),
    /// The image's header (`READYTORUN_HEADER`).
    pub(super) header: Option<Va>,
}

impl Clr {
    /// What is known of the image of `module`, kept.
    pub(super) fn image(&self, module: Va) -> Option<Arc<Image>> {
        let mut known = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(module).or_insert_with(|| read(&self.core, module).map(Arc::new)).clone()
    }

    /// The code at `va` in the image at `base`, whose module's record is `module`.
    pub(super) fn ready_to_run(&self, module: Va, base: Va, va: Va) -> Option<Code> {
        let core = &self.core;
        let image = self.image(module)?;
        let rva = va.rva(base)?;
        let made = |kind, method, start, unwind, funclet, index| Code {
            kind,
            method,
            start,
            unwind,
            funclet,
            owner: module,
            index,
            image: base,
        };
        let (thunk, bytes) = image.thunks;
        if rva.0.checked_sub(thunk).is_some_and(|d| d < bytes) {
            return Some(made(CodeKind::Stub, Va(0), va, None, false, 0));
        }
        let (index, [begin, end, unwind]) = image.function(core, rva)?;
        let unwind =
            Some(DynamicFunction { base, begin: Rva(begin), end: Rva(end), unwind_info: Rva(unwind) });
        let hot = image.hot(index);
        let is_cold = hot != index;
        // Handlers have no entry of their own: the method is the nearest entry before.
        Some(match image.method_before(core, base, hot) {
            Some((first, start, method)) => {
                let funclet = !is_cold && first != index;
                made(CodeKind::ReadyToRun, method, start, unwind, funclet, first)
            }
            None => made(CodeKind::ReadyToRun, Va(0), Rva(begin).va(base), unwind, false, index),
        })
    }
}

fn read(core: &Core, module: Va) -> Option<Image> {
    let own = core.target(module, Field::ModuleR2R)?;
    // Of several assemblies compiled into one image; points to itself otherwise.
    let info = core.target(own, Field::R2RComposite).unwrap_or(own);
    let pair = |at: Va| Some((core.memory().u32(at)?, core.memory().u32(at.offset(4))?));
    let cold_count = core.u32(info, Field::R2RHotColdCount).unwrap_or(0).min(MAX_COLD);
    let cold_at = core.target(info, Field::R2RHotCold);
    let cold = cold_at.map_or(Vec::new(), |at| {
        (0..u64::from(cold_count / 2)).map_while(|i| pair(at.offset(i * 8))).collect()
    });
    let map = core.at(info, Field::R2REntryMap).and_then(|at| {
        let buckets = core.target(at, Field::HashBuckets)?;
        Some((buckets.offset(64), core.memory().u32(buckets)?.min(MAX_BUCKETS)))
    });
    Some(Image {
        functions: core.target(info, Field::R2RFunctions)?,
        count: core.u32(info, Field::R2RFunctionCount)?.min(MAX_FUNCTIONS),
        entries: map.map(|(at, count)| entries(core, at, count)).unwrap_or_default(),
        map,
        cold,
        thunks: core.target(info, Field::R2RThunks).and_then(pair).unwrap_or_default(),
        header: core.target(info, Field::R2RHeader),
    })
}

/// The map from entry points to methods: bucket 0 holds the number of buckets, each has four keys and four values. Keys
/// 0 and 1 are no entries; a value is the record's address shifted right by one, with a flag in bit 63. A search: the dump may
/// have a part of it.
fn entries(core: &Core, at: Va, count: u32) -> Vec<(Va, Va)> {
    let len = usize::try_from(count).unwrap_or(0) * BUCKET;
    let Some(bytes) = Sparse::read(&core.process.memory, at, len, len) else { return Vec::new() };
    let buckets = (0..len).step_by(BUCKET).filter_map(|n| bytes.peek(n)?.first_chunk::<BUCKET>());
    let mut out: Vec<(Va, Va)> = buckets.flat_map(pairs).collect();
    out.sort_unstable();
    out
}

/// Keys and values of a bucket.
fn pairs(bucket: &[u8; BUCKET]) -> impl Iterator<Item = (Va, Va)> {
    let (words, _) = bucket.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|b| u64::from_le_bytes(*b)).collect();
    let pair = move |n: usize| Some((Va(*words.get(n)?), Va((*words.get(n + 4)? & !COLLISION) << 1)));
    (0..4).filter_map(pair).filter(|(key, _)| key.0 > 1)
}

impl Image {
    /// An entry of the function table.
    pub(super) fn entry(&self, core: &Core, index: u32) -> Option<[u32; 3]> {
        let at = self.functions.offset(u64::from(index) * 12);
        let word = |o| core.memory().u32(at.offset(o));
        (index < self.count).then_some([word(0)?, word(4)?, word(8)?])
    }

    /// The piece of code that holds `rva`.
    fn function(&self, core: &Core, rva: Rva) -> Option<(u32, [u32; 3])> {
        let (mut low, mut high) = (0u32, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            // Entries behind the last one may be all ones or zero.
            let [begin, end, _] = self.entry(core, middle)?;
            if begin <= rva.0 && !(begin == 0 && end == 0) { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1)?;
        let entry = self.entry(core, index)?;
        (rva.0 < entry[1]).then_some((index, entry))
    }

    /// The hot piece of a cold one; else the same.
    fn hot(&self, index: u32) -> u32 {
        match self.cold.first() {
            Some((first, _)) if index >= *first => {
                let behind = self.cold.partition_point(|(cold, _)| *cold <= index);
                behind.checked_sub(1).and_then(|i| self.cold.get(i)).map_or(index, |(_, hot)| *hot)
            }
            _ => index,
        }
    }

    /// The entry point of a method, when it was prepared.
    pub(super) fn entry_of(&self, core: &Core, method: Va) -> Option<Va> {
        let entry = self.entries.iter().find(|(_, m)| *m == method).map(|(entry, _)| *entry)?;
        self.note(core, entry, method);
        Some(entry)
    }

    /// The method whose entry is the last one at the piece `hot` or before: its piece, entry, record. `None` when there is none,
    /// or the dump lacks what could name a nearer one.
    fn method_before(&self, core: &Core, base: Va, hot: u32) -> Option<(u32, Va, Va)> {
        let begin = Rva(self.entry(core, hot)?[0]).va(base);
        let at = self.entries.partition_point(|(entry, _)| *entry <= begin).checked_sub(1)?;
        let (start, method) = *self.entries.get(at)?;
        let (first, [found, ..]) = self.function(core, start.rva(base)?)?;
        if Rva(found).va(base) != start || hot.checked_sub(first)? > MAX_PIECES {
            return None;
        }
        if self.note(core, start, method) {
            for piece in first.saturating_add(1)..=hot {
                let entry = Rva(self.entry(core, piece)?[0]).va(base);
                if entry != start && self.method(core, entry)?.is_some() {
                    return None;
                }
            }
        }
        Some((first, start, method))
    }

    /// Notes that an answer needs an entry: by the map's own way to it, which is true, or else all of it.
    fn note(&self, core: &Core, entry: Va, method: Va) -> bool {
        let is_found = self.method(core, entry) == Some(Some(method));
        if let (false, Some((at, count))) = (is_found, self.map) {
            core.memory().touch(at, usize::try_from(count).unwrap_or(0) * BUCKET);
        }
        is_found
    }

    /// The method of an entry point, as the runtime looks for it: two numbers of the key name the first bucket and the way to
    /// the next ones, and a bucket that never was full is the last. `None` when a bucket is missing.
    fn method(&self, core: &Core, entry: Va) -> Option<Option<Va>> {
        let Some((buckets, count)) = self.map.filter(|(_, count)| *count > 1) else { return Some(None) };
        let low = |shift: u32| (entry.0 >> shift) as u32;
        let (mut seed, step) = (low(2), low(5).wrapping_add(1) % (count - 1) + 1);
        for _ in 0..MAX_PROBES {
            let mut bucket = [0u8; BUCKET];
            let at = buckets.offset(u64::from(seed % count) * BUCKET as u64);
            if core.memory().read_at(at, &mut bucket).got < BUCKET {
                return None;
            }
            if let Some((_, method)) = pairs(&bucket).find(|(key, _)| *key == entry) {
                return Some(Some(method));
            }
            if u64_at(&bucket, 32)? & COLLISION == 0 {
                return Some(None);
            }
            seed = seed.wrapping_add(step);
        }
        None
    }
}
