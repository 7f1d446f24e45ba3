//! Tables that several commands print: objects, and counts by type.

use super::safe;
use crate::doc::{Line, Link, Role, Span};
use crate::fmt::Hex;
use dumpscope_analyzers::text::grouped;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrReader, HeapObject};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most objects that a command lists.
pub(super) const MAX_LISTED: usize = 1_000_000;

/// An object in a list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ObjectLine {
    pub(super) address: Hex,
    pub(super) type_record: Hex,
    pub(super) size: u64,
    pub(super) free: bool,
}

impl From<HeapObject> for ObjectLine {
    fn from(o: HeapObject) -> ObjectLine {
        ObjectLine {
            address: o.address.into(),
            type_record: o.type_record.into(),
            size: o.size,
            free: o.free,
        }
    }
}

/// A row of the counts by type.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TypeLine {
    pub(super) type_record: Hex,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) name: String,
}

/// Single objects when they are listed, the counts by type, and what is to be said of them.
pub(super) fn listing(
    listed: Option<&[ObjectLine]>,
    types: &[TypeLine],
    notes: &[String],
    emit: &mut dyn FnMut(Line),
) {
    if let Some(all) = listed {
        objects(all, emit);
        emit(Line::new());
    }
    statistics(types, emit);
    for note in notes {
        emit(Line::new().role(Role::Dim, note.clone()));
    }
}

/// Leads to the object.
pub(super) fn object_span(text: String, at: u64) -> Span {
    Span::new(Role::Address, text).link(Link::Run(format!("!do {at:x}")))
}

/// A list of objects.
fn objects(rows: &[ObjectLine], emit: &mut dyn FnMut(Line)) {
    emit(Line::plain("         Address               MT           Size"));
    for o in rows {
        let free = if o.free { "Free" } else { "" };
        let address = format!("{:012x}", o.address.0);
        emit(
            Line::plain(" ".repeat(16_usize.saturating_sub(address.len())))
                .span(object_span(address, o.address.0))
                .text(format!(" {:>16} {:>14} {free}", format!("{:012x}", o.type_record.0), grouped(o.size))),
        );
    }
}

/// Counts by type, the fewest bytes first, with their sum.
fn statistics(types: &[TypeLine], emit: &mut dyn FnMut(Line)) {
    let count = types.iter().map(|t| grouped(t.count).len()).max().unwrap_or(0).max(5);
    let bytes = types.iter().map(|t| grouped(t.bytes).len()).max().unwrap_or(0).max(9);
    emit(Line::plain("Statistics:"));
    emit(Line::plain(format!("          MT {:>count$} {:>bytes$} Class Name", "Count", "TotalSize")));
    for t in types {
        let start =
            format!("{:012x} {:>count$} {:>bytes$} ", t.type_record.0, grouped(t.count), grouped(t.bytes));
        emit(Line::plain(start).role(Role::Symbol, t.name.clone()));
    }
    let objects = types.iter().map(|t| t.count).fold(0, u64::saturating_add);
    let all = types.iter().map(|t| t.bytes).fold(0, u64::saturating_add);
    emit(Line::plain(format!("Total {} objects, {} bytes", grouped(objects), grouped(all))));
}

/// Counts that grow with each object.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<Va, (usize, u64, u64)>);

impl Counts {
    pub(super) fn add(&mut self, o: &HeapObject) {
        let first = self.0.len();
        let row = self.0.entry(o.type_record).or_insert((first, 0, 0));
        row.1 += 1;
        row.2 = row.2.saturating_add(o.size);
    }

    /// As rows, in the order of the extension: bytes, then which type was met first.
    pub(super) fn rows(self, clr: &dyn ClrReader) -> Vec<TypeLine> {
        let name = |mt: Va| clr.type_name(mt).map_or_else(|| "?".to_owned(), |n| safe(&n));
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by_key(|(_, (first, _, bytes))| (*bytes, *first));
        let row = |(mt, (_, count, bytes)): (Va, (usize, u64, u64))| TypeLine {
            type_record: mt.into(),
            count,
            bytes,
            name: name(mt),
        };
        all.into_iter().map(row).collect()
    }
}

/// What a walk did not see, as sentences.
pub(super) fn gap_notes(gaps: dumpscope_runtimes::clr::HeapGaps) -> Vec<String> {
    let mut notes = Vec::new();
    if gaps.skipped > 0 {
        notes.push(format!(
            "{} bytes were skipped: no object begins there, or the dump lacks them.",
            grouped(gaps.skipped)
        ));
    }
    if gaps.stopped {
        notes.push("The walk was stopped: there are more objects.".to_owned());
    }
    if gaps.moving {
        notes.push("A collection was moving objects: these numbers may be wrong.".to_owned());
    }
    notes
}

/// A type's name in 20 columns, its end where it is longer.
pub(super) fn short_type(name: &str) -> String {
    let len = name.chars().count();
    if len <= 20 {
        return format!("{name:>20}");
    }
    let end: String = name.chars().skip(len - 17).collect();
    format!("...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped_and_long_types_are_cut() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(13_776), grouped(1_000_000)],
            ["0", "999", "13,776", "1,000,000"]
        );
        assert_eq!(short_type("System.Reflection.MethodBase"), "...ection.MethodBase");
        assert_eq!(short_type("System.String"), "       System.String");
    }
}
