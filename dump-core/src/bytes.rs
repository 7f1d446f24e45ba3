//! The bounded reader that all stream parsers use: nothing outside the slice can be reached.

use crate::base::FileOff;

/// Reads little-endian values from a slice, from a position that only moves forward or by [`Cursor::at`].
///
/// Every method returns `None` instead of reading past the end; the position does not move then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    data: &'a [u8],
    pos: usize,
    /// File offset of `data[0]`.
    base: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(data: &'a [u8], base: FileOff) -> Cursor<'a> {
        Cursor { data, pos: 0, base: base.0 }
    }

    /// Bytes left.
    pub(crate) fn left(&self) -> usize {
        self.data.len().saturating_sub(self.pos)
    }

    /// Position from the start of the slice.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// File offset of the next byte.
    pub(crate) fn offset(&self) -> FileOff {
        FileOff(self.base.saturating_add(self.pos as u64))
    }

    /// The same slice read from `pos` on.
    pub(crate) fn at(&self, pos: usize) -> Cursor<'a> {
        Cursor { data: self.data, pos: pos.min(self.data.len()), base: self.base }
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.pos.checked_add(n)?;
        let out = self.data.get(self.pos..end)?;
        self.pos = end;
        Some(out)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Option<()> {
        self.take(n).map(|_| ())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A pointer-sized value, zero-extended.
    pub(crate) fn word(&mut self, is_64: bool) -> Option<u64> {
        if is_64 { self.u64() } else { self.u32().map(u64::from) }
    }
}

/// `len` bytes of `data` from `offset` on, clipped to what is there; `None` when the offset is outside.
pub(crate) fn clipped(data: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let rest = data.get(start..)?;
    let take = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    rest.get(..take)
}

/// Exactly `len` bytes of `data` from `offset` on.
pub(crate) fn exact(data: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    clipped(data, offset, len).filter(|s| s.len() as u64 == len)
}

/// UTF-16 bytes as text, up to the first NUL; what is not valid becomes U+FFFD.
pub(crate) fn utf16_text(raw: &[u8]) -> String {
    let units = raw.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c));
    char::decode_utf16(units.take_while(|u| *u != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Bytes up to the first NUL as text; what is not UTF-8 becomes U+FFFD.
pub(crate) fn c_text(raw: &[u8]) -> String {
    let end = memchr::memchr(0, raw).unwrap_or(raw.len());
    String::from_utf8_lossy(raw.get(..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut c = Cursor::new(&[1, 0, 2, 0, 0], FileOff(16));
        assert_eq!(c.u16(), Some(1));
        assert_eq!(c.u32(), None);
        assert_eq!(c.offset(), FileOff(18));
        assert_eq!(c.take(usize::MAX), None);
        assert_eq!(c.take(3), Some(&[2u8, 0, 0][..]));
        assert_eq!((c.left(), c.u8()), (0, None));
    }

    #[test]
    fn clipping() {
        assert_eq!(clipped(&[1, 2, 3], 1, 9), Some(&[2u8, 3][..]));
        assert_eq!(clipped(&[1, 2, 3], 4, 1), None);
        assert_eq!(clipped(&[1, 2, 3], u64::MAX, u64::MAX), None);
        assert_eq!(exact(&[1, 2, 3], 1, 3), None);
    }

    #[test]
    fn broken_utf16_is_replaced_and_ends_at_the_nul() {
        assert_eq!(utf16_text(&[0x41, 0, 0x00, 0xd8, 0x42, 0, 0, 0, 0x43, 0]), "A\u{fffd}B");
        assert_eq!(utf16_text(&[0x41]), "");
        assert_eq!(c_text(b"ab\xff\0c"), "ab\u{fffd}");
    }
}
