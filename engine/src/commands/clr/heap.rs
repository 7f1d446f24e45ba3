//! `!dumpheap`: objects of the heap, counted by type.

use super::{dotnet, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use serde::Serialize;

pub(crate) const DUMPHEAP: Command = Command {
    name: "!dumpheap",
    group: "dotnet",
    syntax: "!dumpheap [-stat] [-type text]",
    summary: "Counts the objects of the .NET heap by type",
    help: "Walks the collector's regions. `-type`: only types whose name has this text. What could not be read is told. `-stat` is \
           what it does anyway: lists of single objects are not printed yet.",
    examples: &[
        ("!dumpheap -stat", "All types"),
        ("!dumpheap -stat -type String", "Types with String in their names"),
    ],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct TypeLine {
    type_record: Hex,
    count: u64,
    bytes: u64,
    name: String,
}

#[derive(Clone, Debug, Serialize)]
struct HeapReport {
    types: Vec<TypeLine>,
    objects: u64,
    bytes: u64,
    notes: Vec<String>,
}

/// `13,776`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

impl Answer for HeapReport {
    const KIND: &'static str = "clr_heap";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let count = self.types.iter().map(|t| grouped(t.count).len()).max().unwrap_or(0).max(5);
        let bytes = self.types.iter().map(|t| grouped(t.bytes).len()).max().unwrap_or(0).max(9);
        emit(Line::plain("Statistics:"));
        emit(Line::plain(format!("          MT {:>count$} {:>bytes$} Class Name", "Count", "TotalSize")));
        for t in &self.types {
            emit(
                Line::plain(format!(
                    "{:012x} {:>count$} {:>bytes$} ",
                    t.type_record.0,
                    grouped(t.count),
                    grouped(t.bytes)
                ))
                .role(Role::Symbol, t.name.clone()),
            );
        }
        emit(Line::plain(format!("Total {} objects, {} bytes", grouped(self.objects), grouped(self.bytes))));
        for note in &self.notes {
            emit(Line::new().role(Role::Dim, note.clone()));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let mut wanted = None;
    loop {
        if cursor.eat("-stat") {
            continue;
        }
        if cursor.eat("-type") {
            wanted = Some(cursor.word().ok_or_else(|| cursor.syntax_error())?.to_owned());
            continue;
        }
        break;
    }
    cursor.end()?;
    let reader = dotnet(session)?;
    let Some(clr) = reader.clr() else { return Ok(()) };
    let stat = clr.heap_stat();
    let fits = |name: &str| wanted.as_deref().is_none_or(|w| name.contains(w));
    let types: Vec<TypeLine> = stat
        .rows
        .iter()
        .filter(|r| fits(&r.name))
        .map(|r| TypeLine {
            type_record: r.type_record.into(),
            count: r.count,
            bytes: r.bytes,
            name: safe(&r.name),
        })
        .collect();
    let mut notes = Vec::new();
    if stat.skipped > 0 {
        notes.push(format!(
            "{} bytes were skipped: no object begins there, or the dump lacks them.",
            grouped(stat.skipped)
        ));
    }
    if stat.stopped {
        notes.push("The walk was stopped: there are more objects.".to_owned());
    }
    if stat.moving {
        notes.push("A collection was moving objects: these numbers may be wrong.".to_owned());
    }
    let report = HeapReport {
        objects: types.iter().map(|t| t.count).sum(),
        bytes: types.iter().map(|t| t.bytes).fold(0, u64::saturating_add),
        types,
        notes,
    };
    session.emit(sink, &report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(13_776), grouped(1_000_000)],
            ["0", "999", "13,776", "1,000,000"]
        );
    }
}
