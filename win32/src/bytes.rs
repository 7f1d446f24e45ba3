//! Reading numbers, every step checked.

/// A place in bytes.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    raw: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Cursor<'a> {
        Cursor { raw }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Bytes that are still to be read.
    pub(crate) fn left(&self) -> usize {
        self.raw.len()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.raw.split_first()?;
        self.raw = rest;
        Some(*first)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (out, rest) = self.raw.split_at_checked(count)?;
        self.raw = rest;
        Some(out)
    }

    /// Seven bits in each byte, the lowest first.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut out = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            out |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(out);
            }
        }
        None
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    /// Numbers of both signs.
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let v = self.varint()?;
        Some((v >> 1).cast_signed() ^ -(v & 1).cast_signed())
    }

    /// A length, then so many bytes.
    pub(crate) fn part(&mut self) -> Option<Cursor<'a>> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.bytes(len).map(Cursor::new)
    }
}

/// A 16-bit number of a list.
pub(crate) fn u16_at(raw: &[u8], index: usize) -> Option<u16> {
    let at = index.checked_mul(2)?;
    Some(u16::from_le_bytes(*raw.get(at..)?.first_chunk()?))
}

/// A 32-bit number of a list.
pub(crate) fn u32_at(raw: &[u8], index: usize) -> Option<u32> {
    let at = index.checked_mul(4)?;
    Some(u32::from_le_bytes(*raw.get(at..)?.first_chunk()?))
}
