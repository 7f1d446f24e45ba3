//! The line table of one compilation unit.

use super::unit::{UnitData, string};
use super::{Dwarf, Reader};
use crate::provider::{SourceLine, SymbolSource};
use dumpscope_core::Rva;

/// Most rows of one unit.
const MAX_ROWS: usize = 1 << 24;

/// A row: from here on until the next one.
#[derive(Clone, Copy, Debug)]
struct Row {
    start: u32,
    file: u64,
    /// 0: code that belongs to no line, or the end of a sequence.
    line: u32,
}

/// Rows in address order.
#[derive(Debug)]
pub(super) struct Lines {
    rows: Vec<Row>,
}

impl Lines {
    fn read(dwarf: &Dwarf, unit: &gimli::Unit<Reader>) -> Lines {
        let mut sequences: Vec<Vec<Row>> = Vec::new();
        let mut current: Vec<Row> = Vec::new();
        let mut total = 0usize;
        let Some(program) = unit.line_program.clone() else { return Lines { rows: Vec::new() } };
        let mut source = program.rows();
        while let (Ok(Some((_, row))), true) = (source.next_row(), total < MAX_ROWS) {
            total += 1;
            let start = row.address().checked_sub(dwarf.image_base).and_then(|r| u32::try_from(r).ok());
            if let Some(start) = start {
                let line = row.line().filter(|_| !row.end_sequence());
                let line = line.map_or(0, |l| u32::try_from(l.get()).unwrap_or(0));
                current.push(Row { start, file: row.file_index(), line });
            }
            if row.end_sequence() {
                sequences.push(std::mem::take(&mut current));
            }
        }
        // A sequence is in address order; sequences of one unit do not overlap in a sound file.
        sequences.sort_by_key(|s| s.first().map_or(0, |r| r.start));
        let mut rows = sequences.concat();
        // In a damaged one rows may be out of order: the search below needs it.
        rows.sort_by_key(|r| r.start);
        Lines { rows }
    }
}

impl UnitData {
    /// The innermost source position of `rva`.
    pub(super) fn line(&self, dwarf: &Dwarf, unit: &gimli::Unit<Reader>, rva: Rva) -> Option<SourceLine> {
        let rows = &self.lines.get_or_init(|| Lines::read(dwarf, unit)).rows;
        let at = rows.partition_point(|r| r.start <= rva.0).checked_sub(1)?;
        let row = *rows.get(at)?;
        if row.line == 0 {
            return None;
        }
        // Rows of one line follow each other (for columns and statements): its first instruction is meant.
        let earlier = rows.get(..at)?.iter().rev();
        let same = earlier.take_while(|r| r.line == row.line && r.file == row.file);
        let start = same.last().map_or(row.start, |r| r.start);
        Some(SourceLine {
            file: file_name(dwarf, unit, row.file)?,
            line: row.line,
            displacement: rva.0.saturating_sub(start),
            source: SymbolSource::Dwarf,
        })
    }
}

/// Path of a file by its number in the unit's table.
pub(super) fn file_name(dwarf: &Dwarf, unit: &gimli::Unit<Reader>, number: u64) -> Option<String> {
    let header = unit.line_program.as_ref()?.header();
    let file = header.file(number)?;
    let name = string(dwarf, unit, file.path_name())?;
    if is_absolute(&name) {
        return Some(name);
    }
    let folder = file.directory(header).and_then(|d| string(dwarf, unit, d));
    let root = unit.comp_dir.as_ref().map(|d| {
        let bytes: &[u8] = d;
        String::from_utf8_lossy(bytes).into_owned()
    });
    let folder = match (folder, root) {
        (Some(folder), _) if is_absolute(&folder) => folder,
        (Some(folder), Some(root)) => join(&root, &folder),
        (Some(folder), None) => folder,
        (None, Some(root)) => root,
        (None, None) => return Some(name),
    };
    Some(join(&folder, &name))
}

fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.get(1..2) == Some(":")
}

fn join(folder: &str, name: &str) -> String {
    let separator = if folder.contains('\\') && !folder.contains('/') { '\\' } else { '/' };
    if folder.is_empty() || folder == name {
        return name.to_owned();
    }
    if folder.ends_with(['/', '\\']) {
        format!("{folder}{name}")
    } else {
        format!("{folder}{separator}{name}")
    }
}
