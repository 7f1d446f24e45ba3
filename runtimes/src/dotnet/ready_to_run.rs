//! Code compiled ahead of time, in images.
//!
//! The runtime keeps, for each image, its function table and a map from entry points to method records, which holds
//! the methods that were prepared (a few hundred). Source: `readytoruninfo.cpp`, `hash.h` and `readytorun.h` of
//! dotnet/runtime (MIT).

use super::Clr;
use super::code::{Code, CodeKind};
use super::core::Core;
use super::layout::Field;
use super::mem::some;
use dumpscope_core::{Rva, Va};
use dumpscope_symbols::unwind::DynamicFunction;
use std::sync::{Arc, PoisonError};

/// Most functions of an image.
const MAX_FUNCTIONS: u32 = 1 << 24;
/// Most buckets of an image's map, 64 bytes and four methods each.
const MAX_BUCKETS: u32 = 1 << 18;
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
    /// (entry point, method record), sorted.
    entries: Vec<(Va, Va)>,
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
        for first in (hot.saturating_sub(MAX_PIECES)..=hot).rev() {
            let start = Rva(image.entry(core, first)?[0]).va(base);
            if let Some(method) = image.method(start) {
                let funclet = !is_cold && first != index;
                return Some(made(CodeKind::ReadyToRun, method, start, unwind, funclet, first));
            }
        }
        Some(made(CodeKind::ReadyToRun, Va(0), Rva(begin).va(base), unwind, false, index))
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
    Some(Image {
        functions: core.target(info, Field::R2RFunctions)?,
        count: core.u32(info, Field::R2RFunctionCount)?.min(MAX_FUNCTIONS),
        entries: core.at(info, Field::R2REntryMap).map(|at| entry_map(core, at)).unwrap_or_default(),
        cold,
        thunks: core.target(info, Field::R2RThunks).and_then(pair).unwrap_or_default(),
        header: core.target(info, Field::R2RHeader),
    })
}

/// The map from entry points to methods: bucket 0 holds the number of buckets, each has four keys and four values. Keys
/// 0 and 1 are no entries; a value is the record's address shifted right by one, with a flag in bit 63.
fn entry_map(core: &Core, map: Va) -> Vec<(Va, Va)> {
    let Some(buckets) = core.target(map, Field::HashBuckets) else { return Vec::new() };
    let count = core.memory().u32(buckets).unwrap_or(0).min(MAX_BUCKETS);
    let bytes = some(core.memory(), buckets.offset(64), usize::try_from(count).unwrap_or(0) * 64);
    let mut out = Vec::new();
    for bucket in bytes.as_chunks::<64>().0 {
        let (keys, values) = bucket.split_at(32);
        let words =
            |half: &[u8]| half.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect::<Vec<_>>();
        for (key, value) in words(keys).into_iter().zip(words(values)) {
            if key > 1 {
                out.push((Va(key), Va((value & 0x7fff_ffff_ffff_ffff) << 1)));
            }
        }
    }
    out.sort_unstable();
    out
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
    pub(super) fn entry_of(&self, method: Va) -> Option<Va> {
        self.entries.iter().find(|(_, m)| *m == method).map(|(entry, _)| *entry)
    }

    fn method(&self, entry: Va) -> Option<Va> {
        let at = self.entries.binary_search_by_key(&entry, |(e, _)| *e).ok()?;
        self.entries.get(at).map(|(_, method)| *method)
    }
}
