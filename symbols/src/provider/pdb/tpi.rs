//! The type and id streams: numbered records, found without reading them all.
//!
//! Layouts: `tpi.h` of microsoft-pdb (MIT) and LLVM's "The PDB TPI and IPI Streams".

use super::bytes::{Bytes, word};
use super::container::{Container, StreamBytes};

const HEADER: usize = 56;
/// Most records that are stepped over behind a known one; Microsoft's tables have one entry per 8 KiB.
const MAX_STEPS: u32 = 1 << 16;

/// Records of the type (2) or id (4) stream.
#[derive(Debug)]
pub(super) struct TypeStream {
    data: StreamBytes,
    records_at: usize,
    records_end: usize,
    first: u32,
    end: u32,
    /// Known places: index and offset behind the header, sorted.
    known: Vec<(u32, u32)>,
    hashes: Option<Hashes>,
}

/// One bucket number per record, by name for named types.
#[derive(Debug)]
struct Hashes {
    data: StreamBytes,
    at: usize,
    buckets: u32,
}

impl TypeStream {
    /// Reads the stream `index`; `None` when it is absent or in an unknown form.
    pub(super) fn read(container: &Container, index: u16) -> Option<TypeStream> {
        let data = container.stream(index)?;
        let bytes = data.bytes();
        let mut b = Bytes(bytes);
        let _version = b.u32()?;
        let records_at = usize::try_from(b.u32()?).ok()?;
        let first = b.u32()?;
        let end = b.u32()?;
        let size = usize::try_from(b.u32()?).ok()?;
        let hash_stream = b.u16()?;
        let _spare = b.u16()?;
        let _key_size = b.u32()?;
        let buckets = b.u32()?;
        let values_at = usize::try_from(b.u32()?).ok()?;
        let _values_size = b.u32()?;
        let offsets_at = usize::try_from(b.u32()?).ok()?;
        let offsets_size = usize::try_from(b.u32()?).ok()?;
        let records_end = records_at.checked_add(size)?.min(bytes.len());
        if records_at < HEADER || first < 0x1000 || end < first {
            return None;
        }
        let mut known = vec![(first, 0)];
        let mut hashes = None;
        if let Some(table) = container.stream(hash_stream) {
            let offsets = table.bytes().get(offsets_at..offsets_at.saturating_add(offsets_size));
            known.extend(offsets.unwrap_or_default().as_chunks::<8>().0.iter().filter_map(|c| {
                let mut b = Bytes(c);
                Some((b.u32()?, b.u32()?))
            }));
            known.sort_unstable();
            known.dedup_by_key(|k| k.0);
            hashes = (buckets != 0).then_some(Hashes { data: table, at: values_at, buckets });
        }
        let mut out = TypeStream { data, records_at, records_end, first, end, known, hashes };
        if out.known.len() < 2 && end.saturating_sub(first) > 256 {
            out.index_all();
        }
        Some(out)
    }

    /// Without a table of places: one pass over the record lengths.
    fn index_all(&mut self) {
        let mut known = Vec::new();
        let mut at = 0u32;
        for (i, index) in (self.first..self.end).enumerate() {
            if i % 64 == 0 {
                known.push((index, at));
            }
            let Some(next) = self.step(at) else { break };
            at = next;
        }
        self.known = known;
    }

    fn records(&self) -> &[u8] {
        self.data.bytes().get(self.records_at..self.records_end).unwrap_or_default()
    }

    fn step(&self, at: u32) -> Option<u32> {
        let len = Bytes::at(self.records(), at as usize)?.u16()?;
        // A record holds at least its kind, so each step moves on.
        if len < 2 { None } else { at.checked_add(u32::from(len))?.checked_add(2) }
    }

    /// Kind and content of a record.
    pub(super) fn get(&self, index: u32) -> Option<(u16, &[u8])> {
        if index < self.first || index >= self.end {
            return None;
        }
        let known = self.known.partition_point(|k| k.0 <= index).checked_sub(1)?;
        let &(from, mut at) = self.known.get(known)?;
        let steps = index.checked_sub(from)?;
        if steps > MAX_STEPS {
            return None;
        }
        for _ in 0..steps {
            at = self.step(at)?;
        }
        let mut b = Bytes::at(self.records(), at as usize)?;
        let len = usize::from(b.u16()?);
        let mut content = Bytes(b.take(len)?);
        let kind = content.u16()?;
        Some((kind, content.0))
    }

    /// All records in order: index, kind, content.
    pub(super) fn each(&self) -> impl Iterator<Item = (u32, u16, &[u8])> {
        let mut at = 0u32;
        (self.first..self.end).map_while(move |index| {
            let mut b = Bytes::at(self.records(), at as usize)?;
            let len = usize::from(b.u16()?);
            let mut content = Bytes(b.take(len)?);
            let kind = content.u16()?;
            at = self.step(at)?;
            Some((index, kind, content.0))
        })
    }

    /// True when the file has a table of hashes.
    pub(super) fn has_hashes(&self) -> bool {
        self.hashes.is_some()
    }

    /// Indexes of the records whose name has this hash (see `hash::hash`). `None` when the file has no hash table.
    pub(super) fn with_hash(&self, hash: u32) -> Option<Vec<u32>> {
        let table = self.hashes.as_ref()?;
        let want = hash.checked_rem(table.buckets)?;
        let values = table.data.bytes().get(table.at..)?;
        let count = (self.end.checked_sub(self.first)?) as usize;
        let hits = (0..count).map_while(|i| Some((i, word(values, i)?))).filter(|&(_, v)| v == want);
        Some(hits.filter_map(|(i, _)| self.first.checked_add(u32::try_from(i).ok()?)).collect())
    }
}
