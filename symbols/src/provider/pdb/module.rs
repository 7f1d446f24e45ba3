//! One object file's symbols: its procedures by address, its lines, its inlined calls.

use super::address::SecOff;
use super::container::{ModuleEntry, StreamBytes};
use super::lines::LineTable;
use super::records::{Raw, Record, Records};
use std::sync::OnceLock;

/// Most nested or overlapping pieces that a lookup goes back over.
const MAX_OVERLAP: usize = 16;

/// What a code range of an object file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A procedure's main range.
    Proc,
    /// A thunk that has a name.
    Thunk,
    /// A jump made by the linker (incremental linking).
    Trampoline(SecOff),
    /// A range split off from the procedure whose record is at this offset.
    Separate(u32),
}

/// A code range with the record that tells about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) start: SecOff,
    pub(super) len: u32,
    /// Offset of its record in the module's stream.
    pub(super) record: u32,
    pub(super) kind: PieceKind,
}

/// A module stream with an index over its code ranges.
#[derive(Debug)]
pub(super) struct ModuleSymbols {
    stream: StreamBytes,
    symbols: usize,
    lines_at: usize,
    lines_end: usize,
    /// Sorted by start.
    pieces: Vec<Piece>,
    lines: OnceLock<LineTable>,
}

impl ModuleSymbols {
    /// Indexes a module's stream.
    pub(super) fn new(entry: &ModuleEntry, stream: StreamBytes) -> ModuleSymbols {
        let total = stream.bytes().len();
        let to = |n: u32, base: usize| base.saturating_add(n as usize).min(total);
        let symbols = to(entry.symbols, 0);
        let lines_at = to(entry.c11, symbols);
        let lines_end = to(entry.c13, lines_at);
        let mut out = ModuleSymbols {
            stream,
            symbols,
            lines_at,
            lines_end,
            pieces: Vec::new(),
            lines: OnceLock::new(),
        };
        let mut pieces = Vec::new();
        for raw in out.records(0) {
            let (start, len, kind) = match raw.decode() {
                Record::Proc { start, len, .. } => (start, len, PieceKind::Proc),
                Record::Thunk { start, len, .. } => (start, len.into(), PieceKind::Thunk),
                Record::Trampoline { start, len, target } => {
                    (start, len.into(), PieceKind::Trampoline(target))
                }
                Record::Separate { start, len, parent, .. } => (start, len, PieceKind::Separate(parent)),
                _ => continue,
            };
            pieces.push(Piece { start, len, record: raw.offset, kind });
        }
        pieces.sort_by_key(|p| (p.start, p.record));
        out.pieces = pieces;
        out
    }

    fn symbol_bytes(&self) -> &[u8] {
        self.stream.bytes().get(..self.symbols).unwrap_or_default()
    }

    /// Records from byte `at` of the stream on; 0 means from the first one.
    pub(super) fn records(&self, at: u32) -> Records<'_> {
        // The first four bytes are the format's number.
        Records::new(self.symbol_bytes(), (at as usize).max(4))
    }

    /// The record at byte `at`.
    pub(super) fn record(&self, at: u32) -> Option<Raw<'_>> {
        self.records(at).next()
    }

    /// Code ranges, by start.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The innermost code range that covers `at`.
    pub(super) fn piece_at(&self, at: SecOff) -> Option<&Piece> {
        let next = self.pieces.partition_point(|p| p.start <= at);
        let before = self.pieces.get(..next)?;
        before.iter().rev().take(MAX_OVERLAP).find(|p| at.since(p.start).is_some_and(|d| d < p.len))
    }

    /// The last code range that starts at or before `at`, and the first one after it.
    pub(super) fn around(&self, at: SecOff) -> (Option<&Piece>, Option<&Piece>) {
        let next = self.pieces.partition_point(|p| p.start <= at);
        (next.checked_sub(1).and_then(|i| self.pieces.get(i)), self.pieces.get(next))
    }

    /// Lines and inlined functions' lines.
    pub(super) fn lines(&self) -> &LineTable {
        self.lines.get_or_init(|| LineTable::new(self.line_bytes()))
    }

    /// The C13 part of the stream.
    pub(super) fn line_bytes(&self) -> &[u8] {
        self.stream.bytes().get(self.lines_at..self.lines_end).unwrap_or_default()
    }
}
