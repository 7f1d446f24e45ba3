//! Inlined calls: which code of a function came from which other function.
//!
//! Layout: `CV_BinaryAnnotationOpcode` and `INLINESITESYM` of microsoft-pdb's `cvinfo.h` (MIT).

use super::bytes::Bytes;
use super::lines::InlineeLine;
use super::records::Record;

/// Deepest nesting of inlined calls that is followed.
const MAX_DEPTH: usize = 128;
/// Most code ranges of one inlined call.
const MAX_RANGES: usize = 1 << 16;

/// A code range of an inlined call with its position in the inlined function's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InlineRange {
    /// Offset from the start of the function that holds the code.
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) file: u32,
    pub(super) line: u32,
}

impl InlineRange {
    fn contains(&self, at: u32) -> bool {
        at.checked_sub(self.start).is_some_and(|d| d < self.len)
    }
}

/// Decodes the annotations of an inlined call. Lines are 0 when the inlinee's first line is not known.
pub(super) fn ranges(annotations: &[u8], first: Option<InlineeLine>) -> Vec<InlineRange> {
    let mut out: Vec<InlineRange> = Vec::new();
    let mut open = false;
    let (mut offset, mut chunk) = (0u32, 0u32);
    let mut file = first.map_or(0, |f| f.file);
    let mut line = first.map_or(0, |f| f.line);
    let known = first.is_some();
    let mut b = Bytes(annotations);
    let step = |line: u32, by: i32| if known { line.saturating_add_signed(by) } else { 0 };
    while let Some(code) = packed(&mut b) {
        if out.len() >= MAX_RANGES {
            break;
        }
        // Which operations start a new range, and its length where they tell it.
        let mut start: Option<Option<u32>> = None;
        match code {
            1 => offset = packed(&mut b).unwrap_or(offset),
            2 => chunk = packed(&mut b).unwrap_or(0),
            3 => {
                offset = offset.saturating_add(packed(&mut b).unwrap_or(0));
                start = Some(None);
            }
            4 => {
                let len = packed(&mut b).unwrap_or(0);
                if let Some(last) = out.last_mut().filter(|_| open) {
                    last.len = len;
                }
                open = false;
                offset = offset.saturating_add(len);
            }
            5 => file = packed(&mut b).unwrap_or(file),
            6 => line = step(line, signed(packed(&mut b).unwrap_or(0))),
            7..=10 | 13 => {
                // Ends and columns of statements.
                let _ = packed(&mut b);
            }
            11 => {
                let both = packed(&mut b).unwrap_or(0);
                offset = offset.saturating_add(both & 0xf);
                line = step(line, signed(both >> 4));
                start = Some(None);
            }
            12 => {
                let len = packed(&mut b).unwrap_or(0);
                offset = offset.saturating_add(packed(&mut b).unwrap_or(0));
                start = Some(Some(len));
            }
            // 0 is padding at the end; anything else is not known.
            _ => break,
        }
        let Some(len) = start else { continue };
        if let Some(last) = out.last_mut().filter(|_| open) {
            last.len = offset.saturating_sub(last.start);
        }
        open = false;
        // Offsets in another chunk of a split function count from a place that is not told here.
        if chunk == 0 {
            out.push(InlineRange { start: offset, len: len.unwrap_or(0), file, line });
            open = len.is_none();
        }
    }
    // A range that nothing ended covers nothing.
    out.retain(|r| r.len != 0);
    out
}

/// A number of one, two or four bytes (`CVUncompressData`).
fn packed(b: &mut Bytes<'_>) -> Option<u32> {
    let first = u32::from(b.u8()?);
    if first & 0x80 == 0 {
        return Some(first);
    }
    let second = u32::from(b.u8()?);
    if first & 0x40 == 0 {
        return Some((first & 0x3f) << 8 | second);
    }
    if first & 0x20 != 0 {
        return None;
    }
    let (third, fourth) = (u32::from(b.u8()?), u32::from(b.u8()?));
    Some((first & 0x1f) << 24 | second << 16 | third << 8 | fourth)
}

/// The sign is in the lowest bit.
fn signed(value: u32) -> i32 {
    let magnitude = i32::try_from(value >> 1).unwrap_or(i32::MAX);
    if value & 1 == 0 { magnitude } else { magnitude.saturating_neg() }
}

/// An inlined call that covers an address.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Offset of its record in the module's stream.
    pub(super) record: u32,
    /// Item of the id stream.
    pub(super) inlinee: u32,
    /// Where in the inlined function the address is; `None` when only a call inside it covers the address.
    pub(super) at: Option<InlineRange>,
    /// Offset of its first range in the function that holds the code.
    pub(super) start: u32,
}

/// The inlined calls of a function that cover `at` (an offset from the function's start), outermost first.
///
/// `records` starts at the function's own record; `inlinee` gives first lines.
pub(super) fn sites(
    records: super::records::Records<'_>,
    at: u32,
    inlinee: &dyn Fn(u32) -> Option<InlineeLine>,
) -> Vec<Site> {
    let mut best: Vec<Site> = Vec::new();
    // Open scopes: `None` for blocks, so that every end record closes one scope.
    let mut open: Vec<Option<Site>> = Vec::new();
    for (i, raw) in records.enumerate() {
        match raw.decode() {
            Record::Proc { .. } if i == 0 => open.push(None),
            // A procedure never holds another one: the end of this one is missing.
            Record::Proc { .. } => break,
            Record::Block { .. } | Record::Thunk { .. } | Record::Separate { .. } => open.push(None),
            Record::Inline { inlinee: id, annotations, .. } => {
                if open.len() > MAX_DEPTH {
                    break;
                }
                let all = ranges(annotations, inlinee(id));
                let hit = all.iter().find(|r| r.contains(at)).copied();
                let start = all.first().map_or(0, |r| r.start);
                open.push(Some(Site { record: raw.offset, inlinee: id, at: hit, start }));
                let chain = open.iter().flatten();
                if hit.is_some() && chain.clone().count() > best.len() {
                    best = chain.cloned().collect();
                }
            }
            Record::End => {
                open.pop();
                if open.is_empty() {
                    break;
                }
            }
            _ => {}
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(line: u32) -> Option<InlineeLine> {
        Some(InlineeLine { inlinee: 1, file: 8, line })
    }

    fn list(annotations: &[u8]) -> Vec<(u32, u32, u32)> {
        ranges(annotations, first(100)).iter().map(|r| (r.start, r.len, r.line)).collect()
    }

    #[test]
    fn clang_form_open_ranges_closed_by_a_length() {
        // +3 line+0; line+5; +8; length 4; gap: +2 from the end.
        assert_eq!(
            list(&[0x0b, 0x03, 0x06, 0x0a, 0x03, 0x08, 0x04, 0x04, 0x03, 0x02, 0x04, 0x01]),
            [(3, 8, 100), (11, 4, 105), (17, 1, 105)]
        );
    }

    #[test]
    fn msvc_form_length_and_offset_together() {
        assert_eq!(
            list(&[0x06, 0x06, 0x0c, 0x03, 0x07, 0x06, 0x0f, 0x0c, 0x06, 0x05]),
            [(7, 3, 103), (12, 6, 96)]
        );
    }

    #[test]
    fn numbers_of_all_lengths() {
        let n = |bytes: &[u8]| packed(&mut Bytes(bytes));
        assert_eq!(n(&[0x7f]), Some(0x7f));
        assert_eq!(n(&[0x81, 0x02]), Some(0x102));
        assert_eq!(n(&[0xc1, 2, 3, 4]), Some(0x0102_0304));
        assert_eq!(n(&[0xe0, 2, 3, 4]), None);
        assert_eq!(n(&[0x81]), None);
        assert_eq!((signed(6), signed(7)), (3, -3));
    }

    #[test]
    fn without_a_first_line_there_is_no_line() {
        assert_eq!(ranges(&[0x06, 0x0a, 0x0c, 3, 7], None).first().map(|r| r.line), Some(0));
    }
}
