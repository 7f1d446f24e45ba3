//! Memory with holes.

use crate::doc::{Line, Role};
use dumpscope_core::base::Provenance;
use dumpscope_core::{ReadMemory, Va};

/// Bytes of a stretch of memory; `None` for those that are not known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bytes {
    /// First address.
    pub(crate) start: Va,
    /// The bytes.
    pub(crate) data: Vec<Option<u8>>,
    /// True when some come from an image file.
    pub(crate) from_image: bool,
}

impl Bytes {
    /// The little-endian number of `size` bytes at `offset`, when all are known.
    pub(crate) fn word(&self, offset: usize, size: usize) -> Option<u64> {
        let bytes = self.data.get(offset..offset.checked_add(size)?)?;
        bytes.iter().rev().try_fold(0u64, |acc, b| Some(acc << 8 | u64::from((*b)?)))
    }

    /// The character of a byte as WinDbg shows it: `.` when it is not printable, `?` when it is not known.
    pub(crate) fn char_at(&self, offset: usize) -> char {
        match self.data.get(offset) {
            Some(Some(b @ 0x20..=0x7e)) => char::from(*b),
            Some(Some(_)) => '.',
            _ => '?',
        }
    }
}

/// Reads `len` bytes (the caller bounds it) from `start` on, over holes.
pub(crate) fn read_sparse(memory: &dyn ReadMemory, start: Va, len: usize) -> Bytes {
    let mut data = Vec::with_capacity(len);
    let mut from_image = false;
    let mut buf = vec![0u8; len.min(64 * 1024)];
    while data.len() < len {
        let va = start.offset(data.len() as u64);
        let want = (len - data.len()).min(buf.len());
        let Some(part) = buf.get_mut(..want) else { break };
        let read = memory.read_at(va, part);
        let got = read.got.min(want);
        from_image |= got > 0 && read.provenance == Provenance::Image;
        data.extend(part.iter().take(got).map(|b| Some(*b)));
        if got < want {
            // Skip the hole: to the next known byte, or to the end.
            let hole_at = va.offset(got as u64);
            let next = hole_at.checked_add(1).and_then(|n| memory.next_readable(n));
            let skip = next.and_then(|n| n.distance_from(hole_at)).map_or(u64::MAX, |d| d.max(1));
            let left = len - data.len();
            let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(left);
            data.extend(std::iter::repeat_n(None, skip));
        }
    }
    Bytes { start, data, from_image }
}

/// The note below bytes that are not the dump's own.
pub(crate) fn note_line() -> Line {
    Line::new()
        .role(Role::Note, "note: these bytes (or some of them) come from the image file, not from the dump.")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use dumpscope_core::base::Read;

    /// Memory with the given pieces.
    #[derive(Debug)]
    pub(crate) struct Pieces(pub(crate) Vec<(u64, Vec<u8>)>);

    impl ReadMemory for Pieces {
        fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
            let mut got = 0;
            for slot in buf.iter_mut() {
                let at = va.0 + got as u64;
                let hit = self.0.iter().find_map(|(s, b)| b.get(usize::try_from(at.checked_sub(*s)?).ok()?));
                let Some(byte) = hit else { break };
                *slot = *byte;
                got += 1;
            }
            Read { got, provenance: Provenance::Dump }
        }

        fn next_readable(&self, va: Va) -> Option<Va> {
            self.0.iter().filter(|(s, b)| s + b.len() as u64 > va.0).map(|(s, _)| Va(va.0.max(*s))).min()
        }
    }

    #[test]
    fn holes_are_none() {
        let memory = Pieces(vec![(0x10, vec![1, 2]), (0x15, vec![3])]);
        let bytes = read_sparse(&memory, Va(0xf), 9);
        assert_eq!(bytes.data, [None, Some(1), Some(2), None, None, None, Some(3), None, None]);
        assert_eq!(bytes.word(1, 2), Some(0x0201));
        assert_eq!(bytes.word(2, 2), None);
    }

    #[test]
    fn the_end_of_the_address_space_is_no_trap() {
        let memory = Pieces(vec![]);
        assert_eq!(read_sparse(&memory, Va(u64::MAX), 3).data, [None; 3]);
    }
}
