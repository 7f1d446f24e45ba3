//! Which words of an object are references: the map in front of its type's record.
//!
//! A signed count of 64 bits lies before the record. Positive: so many series before it, each {bytes less the object's
//! size, offset}. Negative: elements of an array of structures, in which so many runs {references u32, bytes to skip u32}
//! repeat from an offset on. Source: `gcdesc.h` of dotnet/runtime (MIT), the same in 8, 9 and 10.

use super::Clr;
use super::mem::some;
use dumpscope_core::Va;

/// Bit of a type's flags: its objects have references.
const HAS_POINTERS: u32 = 0x0100_0000;
/// Most series of a type.
const MAX_SERIES: u64 = 4096;
/// Bytes of an object that are read at a time.
const CHUNK: usize = 64 << 10;

/// The references of a type's objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Map {
    #[default]
    None,
    /// Offset, bytes less the object's size.
    Series(Vec<(u64, i64)>),
    /// First offset, runs of references and the bytes behind each that are none.
    Repeated(u64, Vec<(u32, u32)>),
}

impl Clr {
    /// The map of a type.
    pub(super) fn reference_map(&self, mt: Va) -> Map {
        self.read_map(mt).unwrap_or_default()
    }

    fn read_map(&self, mt: Va) -> Option<Map> {
        if self.type_flags(mt)? & HAS_POINTERS == 0 {
            return None;
        }
        let memory = self.core.memory();
        let count = memory.u64(mt.back(8))?.cast_signed();
        let n = count.unsigned_abs();
        if n > MAX_SERIES {
            return None;
        }
        if count >= 0 {
            let series = |i: u64| {
                let at = mt.back(24 + i * 16);
                Some((memory.u64(at.offset(8))?, memory.u64(at)?.cast_signed()))
            };
            let mut all: Vec<_> = (0..n).map_while(series).collect();
            all.sort_unstable();
            return Some(Map::Series(all));
        }
        let run = |i: u64| {
            let at = mt.back(24 + i * 8);
            Some((memory.u32(at)?, memory.u32(at.offset(4))?))
        };
        let runs: Vec<_> = (0..n).map_while(run).collect();
        // Runs that skip nothing would never come to the object's end.
        let step: u64 = runs.iter().map(|(a, b)| u64::from(*a) * 8 + u64::from(*b)).sum();
        (step >= 8).then_some(Map::Repeated(memory.u64(mt.back(16))?, runs))
    }

    /// Hands out the references of an object whose type has `map`. `size`: its bytes.
    pub(super) fn each_reference(&self, object: Va, size: u64, map: &Map, hand: &mut dyn FnMut(Va)) {
        match map {
            Map::None => {}
            Map::Series(series) => {
                for (offset, bytes) in series {
                    let bytes = size.checked_add_signed(*bytes).unwrap_or(0);
                    self.words(object, *offset, bytes.min(size.saturating_sub(*offset)), hand);
                }
            }
            Map::Repeated(first, runs) => {
                let mut at = *first;
                while at < size {
                    for (references, skip) in runs {
                        let bytes = u64::from(*references) * 8;
                        if at >= size {
                            break;
                        }
                        self.words(object, at, bytes.min(size - at), hand);
                        at = at.saturating_add(bytes).saturating_add(u64::from(*skip));
                    }
                }
            }
        }
    }

    fn words(&self, object: Va, offset: u64, bytes: u64, hand: &mut dyn FnMut(Va)) {
        let mut at = object.offset(offset);
        let mut left = usize::try_from(bytes & !7).unwrap_or(0);
        while left > 0 {
            let chunk = some(self.core.memory(), at, left.min(CHUNK));
            let words = chunk.as_chunks::<8>().0;
            if words.is_empty() {
                return;
            }
            for word in words {
                let target = Va(u64::from_le_bytes(*word));
                if !target.is_null() {
                    hand(target);
                }
            }
            left = left.saturating_sub(words.len() * 8);
            at = at.offset(words.len() as u64 * 8);
        }
    }
}
