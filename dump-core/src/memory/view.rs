//! The view: sorted, disjoint ranges; reads cross range borders and stop at the first missing byte.

use super::overlay::{ImageSection, Overlay};
use super::record::Recorder;
use super::segments::{self, Segment};
use crate::base::{Provenance, Read, ReadMemory, Va};
use crate::bytes::exact;
use crate::source::Source;
use crate::stream::memory_list::RawRange;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// One captured range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Start.
    pub start: Va,
    /// Bytes.
    pub size: u64,
    /// Where the bytes come from.
    pub provenance: Provenance,
}

/// Memory of the dumped process: what the dump captured, and image files where it captured nothing.
///
/// The dump's bytes always win over an image file's. Reading takes no lock until an image was added.
#[derive(Debug)]
pub struct MemoryView {
    source: Source,
    segments: Vec<Segment>,
    /// Unset until the first image is added. The list is replaced as a whole, so readers hold no lock.
    overlay: OnceLock<RwLock<Arc<Overlay>>>,
    /// Unset until somebody wants to know what is read.
    recorder: OnceLock<Recorder>,
}

impl Default for MemoryView {
    fn default() -> MemoryView {
        MemoryView::new(Source::from_bytes(Vec::new()), &[])
    }
}

/// What lies at an address.
pub(super) enum Piece<'a> {
    /// Dump bytes from the address on to the end of their segment.
    Dump(&'a [u8]),
    /// Image bytes from the address on to the end of the part or the next dump segment: `from..to` of the part.
    Image(super::overlay::Part, u64, u64),
}

impl MemoryView {
    /// Builds the view from ranges in order of precedence.
    pub(crate) fn new(source: Source, ranges: &[RawRange]) -> MemoryView {
        MemoryView {
            source,
            segments: segments::build(ranges),
            overlay: OnceLock::new(),
            recorder: OnceLock::new(),
        }
    }

    /// From now on notes which captured bytes are read, `line` bytes together; see [`MemoryView::recorded`].
    pub fn record(&self, line: u64) {
        self.recorder.get_or_init(|| Recorder::new(&self.segments, line));
    }

    /// The captured bytes that were read since [`MemoryView::record`], by address, disjoint, in whole
    /// lines. What only [`ReadMemory::scan_at`] looked at is not among them.
    #[must_use]
    pub fn recorded(&self) -> Vec<(Va, u64)> {
        self.recorder.get().map_or_else(Vec::new, |r| r.marked(&self.segments))
    }

    /// What was asked for since [`MemoryView::record`] and is not captured, by address, disjoint, in lines; of very many
    /// the first ones.
    #[must_use]
    pub fn missed(&self) -> Vec<(Va, u64)> {
        self.recorder.get().map_or_else(Vec::new, Recorder::missed)
    }

    /// Lays parts of an image file over the view where the dump has no bytes. Parts that overlap an earlier
    /// image's are left out. Returns how many parts were taken.
    ///
    /// Can be called at any time and from any thread; reads that run at that moment see the image or not.
    pub fn add_image(&self, base: Va, sections: &[ImageSection]) -> usize {
        let lock = self.overlay.get_or_init(RwLock::default);
        let mut current = lock.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Overlay::clone(&current);
        let taken = sections.iter().filter(|s| next.add(base, s)).count();
        *current = Arc::new(next);
        taken
    }

    /// The bytes from `va` on, without copying, when one captured range holds all `len` of them. Image files
    /// do not count here.
    #[must_use]
    pub fn slice(&self, va: Va, len: usize) -> Option<&[u8]> {
        let bytes = self.dump_bytes(va.0)?.get(..len)?;
        self.touch(va, len);
        Some(bytes)
    }

    /// Captured bytes from `va` to the end of their range, without copying; empty when there are none. For searches: see
    /// [`ReadMemory::scan_at`].
    #[must_use]
    pub fn rest_of_range(&self, va: Va) -> &[u8] {
        self.dump_bytes(va.0).unwrap_or_default()
    }

    /// The captured ranges in address order, without images. Adjacent ranges are not joined.
    pub fn ranges(&self) -> impl Iterator<Item = MemoryRange> + '_ {
        self.segments.iter().map(|s| MemoryRange {
            start: Va(s.start),
            size: s.end.saturating_sub(s.start),
            provenance: Provenance::Dump,
        })
    }

    /// The parts of image files that were added, in address order. The dump may cover (part of) them.
    #[must_use]
    pub fn image_ranges(&self) -> Vec<MemoryRange> {
        let Some(overlay) = self.overlay() else { return Vec::new() };
        let range = |p: &super::overlay::Part| MemoryRange {
            start: Va(p.start),
            size: p.end.saturating_sub(p.start),
            provenance: Provenance::Image,
        };
        overlay.parts().iter().map(range).collect()
    }

    /// Bytes captured, images not counted.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.segments.iter().fold(0u64, |sum, s| sum.saturating_add(s.end.saturating_sub(s.start)))
    }

    fn overlay(&self) -> Option<Arc<Overlay>> {
        let lock = self.overlay.get()?;
        Some(Arc::clone(&lock.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The segment that holds `va`, or the next one after it.
    fn segment_from(&self, va: u64) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|s| s.end <= va))
    }

    fn dump_bytes(&self, va: u64) -> Option<&[u8]> {
        let s = self.segment_from(va).filter(|s| s.start <= va)?;
        let skip = va.checked_sub(s.start)?;
        let offset = s.offset.checked_add(skip)?;
        exact(self.source.bytes(), offset, s.end.checked_sub(va)?)
    }

    /// What lies at `va`, up to the end of its segment or part.
    pub(super) fn piece(&self, va: u64) -> Option<Piece<'_>> {
        if let Some(bytes) = self.dump_bytes(va) {
            return Some(Piece::Dump(bytes));
        }
        let overlay = self.overlay()?;
        let part = overlay.at_or_after(va).filter(|p| p.start <= va)?;
        let limit = self.segment_from(va).map_or(u64::MAX, |s| s.start);
        Some(Piece::Image(part.clone(), va, part.end.min(limit)))
    }
}

impl ReadMemory for MemoryView {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        self.touch(va, buf.len());
        self.scan_at(va, buf)
    }

    fn scan_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0usize;
        let mut provenance = Provenance::Dump;
        let mut at = va.0;
        while let Some(room) = buf.get_mut(got..).filter(|r| !r.is_empty()) {
            let Some(piece) = self.piece(at) else { break };
            let bytes = match &piece {
                Piece::Dump(bytes) => *bytes,
                Piece::Image(part, from, to) => {
                    provenance = Provenance::Image;
                    part.slice(*from, *to).unwrap_or_default()
                }
            };
            let n = bytes.len().min(room.len());
            let (Some(to), Some(from)) = (room.get_mut(..n), bytes.get(..n)) else { break };
            if n == 0 {
                break;
            }
            to.copy_from_slice(from);
            got = got.saturating_add(n);
            let Some(next) = at.checked_add(n as u64) else { break };
            at = next;
        }
        Read { got, provenance }
    }

    fn touch(&self, va: Va, len: usize) {
        let Some(recorder) = self.recorder.get() else { return };
        let end = va.0.saturating_add(len as u64);
        let first = self.segments.partition_point(|s| s.end <= va.0);
        let mut at = va.0;
        for (nth, s) in self.segments.iter().enumerate().skip(first).take_while(|(_, s)| s.start < end) {
            recorder.miss(at, s.start.saturating_sub(at));
            at = at.max(s.start);
            recorder.mark(nth, s, at, end.saturating_sub(at));
            at = s.end;
        }
        recorder.miss(at, end.saturating_sub(at));
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        let dump = self.segment_from(va.0).map(|s| s.start.max(va.0));
        let image = self.overlay().and_then(|o| o.at_or_after(va.0).map(|p| p.start.max(va.0)));
        match (dump, image) {
            (Some(a), Some(b)) => Some(Va(a.min(b))),
            (a, b) => a.or(b).map(Va),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FileOff, Rva};

    fn range(start: u64, size: u64, offset: u64) -> RawRange {
        RawRange { start: Va(start), size, offset: FileOff(offset) }
    }

    fn view(bytes: &[u8], ranges: &[RawRange]) -> MemoryView {
        MemoryView::new(Source::from_bytes(bytes.to_vec()), ranges)
    }

    #[test]
    fn reads_cross_borders_and_stop_at_the_first_missing_byte() {
        let v = view(&[1, 2, 3, 4, 5, 6], &[range(0x10, 2, 4), range(0x12, 4, 0)]);
        let mut buf = [0u8; 8];
        assert_eq!(v.read_at(Va(0x10), &mut buf), Read { got: 6, provenance: Provenance::Dump });
        assert_eq!(buf, [5, 6, 1, 2, 3, 4, 0, 0]);
        assert_eq!(v.u32(Va(0x11)), Some(0x0302_0106));
        assert_eq!((v.u32(Va(0x13)), v.u8(Va(0xf)), v.u8(Va(u64::MAX))), (None, None, None));
        assert_eq!(v.slice(Va(0x12), 4), Some(&[1u8, 2, 3, 4][..]));
        assert_eq!((v.slice(Va(0x11), 2), v.slice(Va(0x16), 0)), (None, None));
        assert_eq!(v.rest_of_range(Va(0x14)), [3, 4]);
        assert_eq!(v.captured(), 6);
    }

    #[test]
    fn holes_are_skipped() {
        let v = view(&[0; 8], &[range(0x100, 4, 0), range(0x200, 4, 4)]);
        let next = |va: u64| v.next_readable(Va(va)).map(|v| v.0);
        assert_eq!(
            [next(0), next(0x103), next(0x104), next(0x204)],
            [Some(0x100), Some(0x103), Some(0x200), None]
        );
    }

    #[test]
    fn an_image_fills_what_the_dump_lacks() {
        let v = view(&[9, 9], &[range(0x1002, 2, 0)]);
        let section = |rva: u32, bytes: &[u8]| ImageSection { rva: Rva(rva), bytes: bytes.into() };
        assert_eq!(v.u8(Va(0x1000)), None);
        assert_eq!(v.add_image(Va(0x1000), &[section(0, &[1, 2, 3, 4, 5]), section(0x10, &[])]), 1);
        assert_eq!(v.add_image(Va(0x1004), &[section(0, &[7, 7])]), 0, "overlaps the first image");
        let mut buf = [0u8; 6];
        assert_eq!(v.read_at(Va(0x1000), &mut buf), Read { got: 5, provenance: Provenance::Image });
        assert_eq!(buf, [1, 2, 9, 9, 5, 0]);
        assert_eq!(v.read_at(Va(0x1002), &mut buf[..2]).provenance, Provenance::Dump);
        assert_eq!(v.next_readable(Va(0)), Some(Va(0x1000)));
        assert_eq!(v.slice(Va(0x1000), 2), None, "only dump bytes are given without copying");
        assert_eq!(v.image_ranges().len(), 1);
    }

    #[test]
    fn reads_are_recorded_and_searches_are_not() {
        let v = view(&[0; 0x200], &[range(0x1000, 0x100, 0), range(0x1100, 0x100, 0x100)]);
        let mut buf = [0u8; 0x40];
        v.read_at(Va(0x1000), &mut buf);
        v.record(64);
        v.scan_at(Va(0x1080), &mut buf);
        assert!(v.recorded().is_empty());
        assert_eq!(v.c_str(Va(0x1044), 32), Some(Vec::new()));
        v.read_at(Va(0x10f8), &mut buf[..16]);
        v.read_at(Va(0x11f8), &mut buf[..16]);
        assert_eq!(v.slice(Va(0x1000), 0x10).map(<[u8]>::len), Some(0x10));
        let want = [(Va(0x1000), 0x80), (Va(0x10c0), 0x80), (Va(0x11c0), 0x40)];
        assert_eq!((v.recorded().as_slice(), v.missed()), (&want[..], vec![(Va(0x1200), 0x40)]));
    }

    #[test]
    fn the_last_byte_of_the_address_space_does_not_wrap() {
        let v = view(&[1, 2, 3, 4], &[range(u64::MAX - 1, 4, 0)]);
        let mut buf = [0u8; 4];
        assert_eq!(v.read_at(Va(u64::MAX - 1), &mut buf).got, 1);
    }
}
