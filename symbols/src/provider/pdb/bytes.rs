//! A cursor over bytes of a PDB that never reads past the end.

/// Little-endian cursor; every read gives `None` at the end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The bytes from `at` on.
    pub(super) fn at(data: &'a [u8], at: usize) -> Option<Bytes<'a>> {
        data.get(at..).map(Bytes)
    }

    /// The next `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// The next 16 bits.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 32 bits.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 32 bits, signed.
    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// The next 64 bits.
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The bytes before the next NUL; without a NUL, all that is left.
    pub(super) fn c_str(&mut self) -> &'a [u8] {
        let end = memchr::memchr(0, self.0).unwrap_or(self.0.len());
        let name = self.0.get(..end).unwrap_or_default();
        self.0 = self.0.get(end.saturating_add(1)..).unwrap_or_default();
        name
    }
}

/// 32 bits at index `i` of an array of them.
pub(super) fn word(data: &[u8], i: usize) -> Option<u32> {
    Bytes::at(data, i.checked_mul(4)?)?.u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let mut b = Bytes(&[1, 2, 0, b'a', 0, b'b']);
        assert_eq!(b.u16(), Some(0x201));
        assert_eq!(b.c_str(), b"");
        assert_eq!(b.c_str(), b"a");
        assert_eq!(b.u32(), None);
        assert_eq!(b.c_str(), b"b");
        assert_eq!(b.u8(), None);
        assert_eq!(word(&[0, 0, 0, 0, 7, 0, 0, 0], 1), Some(7));
        assert_eq!(word(&[0, 0, 0, 0, 7, 0, 0], 1), None);
    }
}
