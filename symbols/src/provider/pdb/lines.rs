//! C13 line tables of one object file.
//!
//! Layouts: `cvinfo.h` of microsoft-pdb (MIT), `CV_DebugSLines*`, `CV_InlineeSourceLine`, and LLVM's CodeView
//! documents.

use super::address::SecOff;
use super::bytes::{Bytes, word};
use std::ops::Range;

const LINES: u32 = 0xf2;
const FILE_CHECKSUMS: u32 = 0xf4;
const INLINEE_LINES: u32 = 0xf6;
const IMPORTS: u32 = 0xf7;
const EXPORTS: u32 = 0xf8;
/// Set in the kind of a part that readers must skip.
const IGNORE: u32 = 0x8000_0000;
/// Line numbers that mean "compiler's own code, step over it".
const HIDDEN: [u32; 2] = [0xfe_efee, 0xf0_0f00];
const MAX_OVERLAP: usize = 8;

/// A position found in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineHit {
    /// Offset of the file's entry among the checksums.
    pub(super) file: u32,
    pub(super) line: u32,
    /// Where the line's code starts.
    pub(super) start: SecOff,
}

#[derive(Clone, Debug)]
struct Block {
    start: SecOff,
    size: u32,
    /// File blocks, as a range of the C13 bytes.
    data: Range<usize>,
}

/// Where an inlined function's source begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InlineeLine {
    /// Item of the id stream.
    pub(super) inlinee: u32,
    /// Offset of the file's entry among the checksums.
    pub(super) file: u32,
    pub(super) line: u32,
}

/// Index over the C13 bytes of one module. The bytes themselves stay with the caller.
#[derive(Debug, Default)]
pub(super) struct LineTable {
    blocks: Vec<Block>,
    checksums: Range<usize>,
    /// Sorted by inlinee.
    inlinees: Vec<InlineeLine>,
    imports: Range<usize>,
    exports: Range<usize>,
}

/// A type or id of another object file: the string that names the file, and the index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) module: u32,
    pub(super) index: u32,
}

impl LineTable {
    pub(super) fn new(data: &[u8]) -> LineTable {
        let mut table = LineTable::default();
        let mut at = 0usize;
        loop {
            let mut b = Bytes(data.get(at..).unwrap_or_default());
            let Some((kind, len)) = b.u32().zip(b.u32()) else { break };
            let start = at.saturating_add(8);
            let end = start.saturating_add(len as usize);
            let Some(content) = data.get(start..end) else { break };
            match kind {
                k if k & IGNORE != 0 => {}
                LINES => table.blocks.extend(block(content, start)),
                FILE_CHECKSUMS => table.checksums = start..end,
                INLINEE_LINES => inlinee_lines(content, &mut table.inlinees),
                IMPORTS => table.imports = start..end,
                EXPORTS => table.exports = start..end,
                _ => {}
            }
            // Parts are aligned to four bytes; each step is at least eight.
            at = end.checked_next_multiple_of(4).unwrap_or(data.len());
        }
        table.blocks.sort_by_key(|b| b.start);
        table.inlinees.sort_by_key(|l| l.inlinee);
        table
    }

    /// The line that covers `at`: of entries at one address the last, hidden ones left out.
    pub(super) fn find(&self, data: &[u8], at: SecOff) -> Option<LineHit> {
        let next = self.blocks.partition_point(|b| b.start <= at);
        let before = self.blocks.get(..next)?;
        let covers = |b: &&Block| at.since(b.start).is_some_and(|d| d < b.size);
        before.iter().rev().take(MAX_OVERLAP).filter(covers).find_map(|b| find_in(b, data, at))
    }

    /// The lowest line from `line` on that has code in a file that `wanted` takes, and where its code starts.
    pub(super) fn first_from(
        &self,
        data: &[u8],
        line: u32,
        wanted: &mut dyn FnMut(u32) -> bool,
    ) -> Option<(u32, SecOff)> {
        let mut best: Option<(u32, SecOff)> = None;
        for block in &self.blocks {
            each_line(block, data, &mut |file, found, offset| {
                let hit = (found, block.start.plus(offset));
                if found >= line && best.is_none_or(|b| hit < b) && wanted(file) {
                    best = Some(hit);
                }
            });
        }
        best
    }

    /// Offset of a file's name in the string table.
    pub(super) fn file_name(&self, data: &[u8], file: u32) -> Option<u32> {
        let checksums = data.get(self.checksums.clone())?;
        Bytes::at(checksums, file as usize)?.u32()
    }

    /// What a reference into another object file means (link-time code generation): bits 20 to 30 count files,
    /// the bits below count their items.
    pub(super) fn import(&self, data: &[u8], reference: u32) -> Option<Import> {
        let file = reference >> 20 & 0x7ff;
        let item = (reference & 0xf_ffff) as usize;
        let mut b = Bytes(data.get(self.imports.clone())?);
        for _ in 0..file {
            let _name = b.u32()?;
            let count = b.u32()? as usize;
            b.take(count.checked_mul(4)?)?;
        }
        let module = b.u32()?;
        let count = b.u32()? as usize;
        let items = b.take(count.checked_mul(4)?)?;
        Some(Import { module, index: word(items, item)? })
    }

    /// The index in the program's stream of an item that this file exports.
    pub(super) fn export(&self, data: &[u8], local: u32) -> Option<u32> {
        let pairs = data.get(self.exports.clone())?;
        let mut all = pairs.as_chunks::<8>().0.iter().filter_map(|c| {
            let mut b = Bytes(c);
            Some((b.u32()?, b.u32()?))
        });
        all.find(|p| p.0 == local).map(|p| p.1)
    }

    /// Where an inlined function's source begins.
    pub(super) fn inlinee(&self, id: u32) -> Option<InlineeLine> {
        let at = self.inlinees.binary_search_by_key(&id, |l| l.inlinee).ok()?;
        self.inlinees.get(at).copied()
    }
}

fn block(content: &[u8], start: usize) -> Option<Block> {
    let mut b = Bytes(content);
    let offset = b.u32()?;
    let section = b.u16()?;
    let _flags = b.u16()?;
    let size = b.u32()?;
    let data = start.checked_add(12)?..start.checked_add(content.len())?;
    Some(Block { start: SecOff { section, offset }, size, data })
}

/// Calls `f` with file, line and offset of each entry; hidden lines are left out.
fn each_line(block: &Block, data: &[u8], f: &mut dyn FnMut(u32, u32, u32)) {
    let Some(data) = data.get(block.data.clone()) else { return };
    let mut b = Bytes(data);
    // Every file block has a header of twelve bytes, so this ends.
    while let Some(((file, count), size)) = b.u32().zip(b.u32()).zip(b.u32()) {
        let Some(content) = (size as usize).checked_sub(12).and_then(|n| b.take(n)) else { break };
        let mut lines = Bytes(content);
        for _ in 0..count {
            let Some((offset, flags)) = lines.u32().zip(lines.u32()) else { break };
            let line = flags & 0x00ff_ffff;
            if !HIDDEN.contains(&line) {
                f(file, line, offset);
            }
        }
    }
}

fn find_in(block: &Block, data: &[u8], at: SecOff) -> Option<LineHit> {
    let want = at.since(block.start)?;
    let mut best: Option<(u32, u32, u32)> = None;
    each_line(block, data, &mut |file, line, offset| {
        if offset <= want && best.is_none_or(|(o, _, _)| o <= offset) {
            best = Some((offset, file, line));
        }
    });
    let (offset, file, line) = best?;
    Some(LineHit { file, line, start: block.start.plus(offset) })
}

fn inlinee_lines(content: &[u8], out: &mut Vec<InlineeLine>) {
    let mut b = Bytes(content);
    let Some(form) = b.u32() else { return };
    while let Some(((inlinee, file), line)) = b.u32().zip(b.u32()).zip(b.u32()) {
        out.push(InlineeLine { inlinee, file, line });
        if form == 1 {
            let skip = b.u32().and_then(|n| (n as usize).checked_mul(4));
            if skip.and_then(|n| b.take(n)).is_none() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u32, content: &[u32]) -> Vec<u8> {
        let mut out = kind.to_le_bytes().to_vec();
        out.extend(u32::try_from(content.len() * 4).unwrap().to_le_bytes());
        content.iter().for_each(|w| out.extend(w.to_le_bytes()));
        out
    }

    #[test]
    fn nearest_line_wins_and_hidden_lines_do_not_count() {
        // Two file blocks in one function of 0x40 bytes at 1:0x1000.
        let mut data =
            part(LINES, &[0x1000, 1, 0x40, 0, 3, 36, 0, 10, 0x10, 0xfe_efee, 0x20, 12, 8, 1, 20, 0x18, 5]);
        data.extend(part(FILE_CHECKSUMS, &[77, 0, 99, 0]));
        let table = LineTable::new(&data);
        let at =
            |o: u32| table.find(&data, SecOff::new(1, 0x1000 + o)).map(|h| (h.file, h.line, h.start.offset));
        assert_eq!(at(0), Some((0, 10, 0x1000)));
        assert_eq!(at(0x14), Some((0, 10, 0x1000)));
        assert_eq!(at(0x19), Some((8, 5, 0x1018)));
        assert_eq!(at(0x3f), Some((0, 12, 0x1020)));
        assert_eq!(at(0x40), None);
        let from =
            |line, file: u32| table.first_from(&data, line, &mut |f| f == file).map(|(l, p)| (l, p.offset));
        assert_eq!((from(1, 0), from(11, 0), from(13, 0)), (Some((10, 0x1000)), Some((12, 0x1020)), None));
        assert_eq!(from(5, 8), Some((5, 0x1018)));
        assert_eq!(table.file_name(&data, 8), Some(99));
        assert_eq!(table.file_name(&data, 80), None);
    }

    #[test]
    fn damaged_parts_end_the_table() {
        let mut data = part(INLINEE_LINES, &[0, 0x1005, 24, 7]);
        data.extend([0xf2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        let table = LineTable::new(&data);
        assert_eq!(table.inlinee(0x1005).map(|l| (l.file, l.line)), Some((24, 7)));
        assert_eq!(table.inlinee(0x1006), None);
        assert_eq!(table.find(&data, SecOff::new(1, 0)), None);
    }
}
