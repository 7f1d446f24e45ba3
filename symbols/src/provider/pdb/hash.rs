//! The global and public symbol tables: names to records by hash, addresses to public symbols by order.
//!
//! Layouts: `gsi.h`/`gsi.cpp` of microsoft-pdb (MIT) and LLVM's "The PDB Global and Public Symbol Streams".

use super::address::SecOff;
use super::bytes::{Bytes, word};
use super::records::{PUB32, Raw, Record, Records};
use std::ops::Range;

const BUCKETS: u32 = 4096;
/// Bytes of the bitmap that says which buckets are there: one bit more than [`BUCKETS`], in whole words.
const BITMAP: usize = 516;
const VERSION: u32 = 0xeffe_0000 + 19_990_810;
/// Most records with one name that a lookup returns.
const MAX_HITS: usize = 4096;

/// Hash of a name, the same for both letter cases (`HashPbCb` of microsoft-pdb's `misc.h`).
pub(super) fn hash(name: &[u8]) -> u32 {
    let (words, rest) = name.as_chunks::<4>();
    let mut h = words.iter().fold(0u32, |h, w| h ^ u32::from_le_bytes(*w));
    let (pair, last) = rest.as_chunks::<2>();
    if let Some(p) = pair.first() {
        h ^= u32::from(u16::from_le_bytes(*p));
    }
    if let Some(&b) = last.first() {
        h ^= u32::from(b);
    }
    h |= 0x2020_2020;
    h ^= h >> 11;
    h ^ (h >> 16)
}

/// Offsets of the records that share a bucket with `name`, in the hash table `table`. `None` when the table is not
/// in the known form.
pub(super) fn bucket(table: &[u8], name: &[u8]) -> Option<Vec<u32>> {
    let mut b = Bytes(table);
    if b.u32()? != u32::MAX || b.u32()? != VERSION {
        return None;
    }
    let records_size = usize::try_from(b.u32()?).ok()?;
    let _buckets_size = b.u32()?;
    let records = b.take(records_size)?;
    let bitmap = b.take(BITMAP)?;
    let starts = b.0;
    let index = usize::try_from(hash(name) % BUCKETS).ok()?;
    let word_index = index / 32;
    let bit = u32::try_from(index % 32).ok()?;
    if word(bitmap, word_index)? >> bit & 1 == 0 {
        return Some(Vec::new());
    }
    let mut rank = 0usize;
    for i in 0..word_index {
        rank = rank.checked_add(word(bitmap, i)?.count_ones() as usize)?;
    }
    let below = word(bitmap, word_index)? & ((1u32 << bit).wrapping_sub(1));
    rank = rank.checked_add(below.count_ones() as usize)?;
    // Bucket starts count in-memory records of 12 bytes; on disk a record has 8.
    let start = word(starts, rank)? / 12;
    let count = u32::try_from(records.len() / 8).ok()?;
    let end = word(starts, rank.checked_add(1)?).map_or(count, |e| e / 12).min(count);
    let mut out = Vec::new();
    for i in start..end.min(start.saturating_add(MAX_HITS as u32)) {
        // Offsets are stored plus one.
        if let Some(offset) = word(records, usize::try_from(i).ok()?.checked_mul(2)?)?.checked_sub(1) {
            out.push(offset);
        }
    }
    Some(out)
}

/// The record at a byte offset of the record stream.
pub(super) fn record_at(records: &[u8], offset: u32) -> Option<Raw<'_>> {
    Records::new(records, usize::try_from(offset).ok()?).next()
}

/// Records whose name is `name`, through the hash table or, when that is not usable, by looking at all of them.
pub(super) fn find<'a>(table: &[u8], records: &'a [u8], name: &str, ignore_case: bool) -> Vec<Raw<'a>> {
    let matches = |r: &Raw<'a>| {
        r.decode().name().is_some_and(|n| {
            if ignore_case { n.eq_ignore_ascii_case(name.as_bytes()) } else { n == name.as_bytes() }
        })
    };
    match bucket(table, name.as_bytes()) {
        Some(offsets) => offsets.into_iter().filter_map(|o| record_at(records, o)).filter(matches).collect(),
        None => Records::new(records, 0).filter(matches).take(MAX_HITS).collect(),
    }
}

/// The parts of the public symbol stream.
#[derive(Clone, Debug, Default)]
pub(super) struct PublicLayout {
    /// Bytes of the hash table.
    pub(super) hash: Range<usize>,
    /// Bytes of the address map: record offsets in address order.
    pub(super) order: Range<usize>,
    /// Offset of the incremental linker's table of jumps in its section.
    pub(super) thunks_at: u32,
}

impl PublicLayout {
    /// Reads the stream's header.
    pub(super) fn parse(stream: &[u8]) -> PublicLayout {
        let mut b = Bytes(stream);
        let sizes = b.u32().zip(b.u32());
        let Some((hash, order)) = sizes else { return PublicLayout::default() };
        let end = |start: usize, size: u32| start.saturating_add(size as usize).min(stream.len());
        let start = 28.min(stream.len());
        let hash_end = end(start, hash);
        let thunks_at = Bytes::at(stream, 20).and_then(|mut b| b.u32()).unwrap_or(0);
        PublicLayout { hash: start..hash_end, order: hash_end..end(hash_end, order), thunks_at }
    }
}

/// A public symbol: place, kind and decorated name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Public<'a> {
    pub(super) place: SecOff,
    pub(super) code: bool,
    pub(super) name: &'a [u8],
    /// Offset of its record.
    pub(super) record: u32,
}

/// The `i`-th public symbol in address order.
pub(super) fn public<'a>(order: &[u8], records: &'a [u8], i: usize) -> Option<Public<'a>> {
    let offset = word(order, i)?;
    let raw = record_at(records, offset).filter(|r| r.kind == PUB32)?;
    match raw.decode() {
        Record::Public { code, place, name } => Some(Public { place, code, name, record: offset }),
        _ => None,
    }
}

/// How many public symbols, in address order, start at or before `at`.
pub(super) fn publics_until(order: &[u8], records: &[u8], at: SecOff) -> usize {
    let (mut low, mut high) = (0usize, order.len() / 4);
    while low < high {
        let mid = low.midpoint(high);
        // A damaged entry counts as "after": the search ends whatever the table holds.
        if public(order, records, mid).is_some_and(|p| p.place <= at) {
            low = mid.saturating_add(1);
        } else {
            high = mid;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_ignores_letter_case() {
        assert_eq!(hash(b"rb_f_send"), hash(b"RB_F_SEND"));
        assert_ne!(hash(b"rb_f_send"), hash(b"rb_f_sene"));
        // Worked by hand: the words "abcd", then the 16 bits "ef", then "g".
        let x = (0x6463_6261u32 ^ 0x6665 ^ 0x67) | 0x2020_2020;
        let x = x ^ (x >> 11);
        assert_eq!(hash(b"abcdefg"), x ^ (x >> 16));
    }

    #[test]
    fn a_table_in_an_unknown_form_is_not_used() {
        assert_eq!(bucket(&[], b"a"), None);
        assert_eq!(bucket(&[0; 600], b"a"), None);
    }
}
