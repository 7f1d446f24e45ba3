//! `!dumpheap`: objects of the heap.

use super::table::{Counts, MAX_LISTED, ObjectLine, TypeLine, gap_notes, listing};
use super::{clr, dotnet, safe, size};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_analyzers::text::grouped;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrReader, HeapGaps, HeapObject};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most different texts that are counted.
const MAX_TEXTS: usize = 1 << 20;
/// Objects between two reports of progress.
const STEP: u64 = 1 << 16;

pub(crate) const DUMPHEAP: Command = Command {
    name: "!dumpheap",
    group: "dotnet",
    syntax: "!dumpheap [-stat] [-type text] [-mt MT] [-min n] [-max n] [-strings] [start [end]]",
    summary: "Lists or counts the objects of the .NET heap",
    help: "Walks the collector's regions. `-stat`: only the counts by type. `-type`: only types whose name has this text; `-mt`: of \
           one type. `-min`, `-max`: by size in bytes (decimal, or hexadecimal after `0x`). `-strings`: counts equal texts. With \
           addresses: only objects between them. What could not be read is told. `!do` shows an object, `!gcroot` who keeps it alive.",
    examples: &[
        ("!dumpheap -stat", "Counts of all types"),
        ("!dumpheap -stat -type String", "Counts of types with String in their names"),
        ("!dumpheap -min 85000", "Large objects"),
        ("!dumpheap -strings", "Which texts are there most often"),
    ],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct HeapReport {
    /// Single objects; empty with `-stat`.
    objects: Vec<ObjectLine>,
    listed: bool,
    types: Vec<TypeLine>,
    notes: Vec<String>,
}

impl Answer for HeapReport {
    const KIND: &'static str = "clr_heap";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        listing(self.listed.then_some(&self.objects[..]), &self.types, &self.notes, emit);
    }
}

#[derive(Clone, Debug, Serialize)]
struct TextLine {
    count: u64,
    bytes: u64,
    text: String,
}

#[derive(Clone, Debug, Serialize)]
struct TextsReport {
    texts: Vec<TextLine>,
    notes: Vec<String>,
}

impl Answer for TextsReport {
    const KIND: &'static str = "clr_strings";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("   Count    TotalSize String"));
        for t in &self.texts {
            let start = format!("{:>8} {:>12} ", grouped(t.count), grouped(t.bytes));
            emit(Line::plain(start).role(Role::Value, format!("\"{}\"", t.text)));
        }
        let count = self.texts.iter().map(|t| t.count).fold(0, u64::saturating_add);
        let bytes = self.texts.iter().map(|t| t.bytes).fold(0, u64::saturating_add);
        let different = grouped(self.texts.len() as u64);
        emit(Line::plain(format!(
            "Total {} strings, {different} different ones, {} bytes",
            grouped(count),
            grouped(bytes)
        )));
        for note in &self.notes {
            emit(Line::new().role(Role::Dim, note.clone()));
        }
    }
}

/// Which objects are wanted.
#[derive(Debug, Default)]
struct Wanted {
    stat: bool,
    strings: bool,
    text: Option<String>,
    type_record: Option<Va>,
    least: Option<u64>,
    most: Option<u64>,
    start: Option<Va>,
    end: Option<Va>,
}

impl Wanted {
    fn read(session: &Session, cursor: &mut Cursor<'_>) -> Result<Wanted, CommandError> {
        let mut out = Wanted::default();
        while !cursor.is_empty() {
            if cursor.eat("-stat") {
                out.stat = true;
            } else if cursor.eat("-strings") {
                out.strings = true;
            } else if cursor.eat("-type") {
                out.text = Some(cursor.word().ok_or_else(|| cursor.syntax_error())?.to_owned());
            } else if cursor.eat("-mt") {
                out.type_record = Some(Va(cursor.word_expr(session)?));
            } else if cursor.eat("-min") {
                out.least = Some(size(cursor)?);
            } else if cursor.eat("-max") {
                out.most = Some(size(cursor)?);
            } else if out.start.is_none() {
                out.start = Some(Va(cursor.word_expr(session)?));
            } else if out.end.is_none() {
                out.end = Some(Va(cursor.word_expr(session)?));
            } else {
                return Err(cursor.syntax_error());
            }
        }
        Ok(out)
    }

    fn fits(&self, o: &HeapObject) -> bool {
        self.type_record.is_none_or(|t| t == o.type_record)
            && self.least.is_none_or(|n| o.size >= n)
            && self.most.is_none_or(|n| o.size <= n)
            && self.start.is_none_or(|a| o.address >= a)
            && self.end.is_none_or(|a| o.address <= a)
    }
}

/// Visits all objects until `visit` says that it has enough, or the user stops it; shows how far it is.
pub(super) fn each_object(
    session: &Session,
    sink: &mut dyn Sink,
    clr: &dyn ClrReader,
    visit: &mut dyn FnMut(HeapObject) -> bool,
) -> HeapGaps {
    let total = clr.segments().iter().map(|s| s.end.0.saturating_sub(s.start.0)).fold(0, u64::saturating_add);
    let (mut seen, mut done) = (0u64, 0u64);
    clr.objects(&mut |o| {
        seen += 1;
        done = done.saturating_add(o.size);
        if seen.is_multiple_of(STEP) {
            sink.progress("heap", done.min(total), total);
            if session.cancel.is_cancelled() {
                return false;
            }
        }
        visit(o)
    })
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let wanted = Wanted::read(session, &mut inv.cursor())?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    if wanted.strings {
        return strings(session, sink, clr, &wanted);
    }
    let mut counts = Counts::default();
    let mut listed = Vec::new();
    let mut fits: BTreeMap<Va, bool> = BTreeMap::new();
    let mut cut = false;
    let gaps = each_object(session, sink, clr, &mut |o| {
        let named = |text: &String| {
            *fits
                .entry(o.type_record)
                .or_insert_with(|| clr.type_name(o.type_record).is_some_and(|n| n.contains(text.as_str())))
        };
        if wanted.fits(&o) && wanted.text.as_ref().is_none_or(named) {
            counts.add(&o);
            if !wanted.stat && listed.len() < MAX_LISTED {
                listed.push(o.into());
            } else if !wanted.stat {
                cut = true;
            }
        }
        true
    });
    let mut notes = gap_notes(gaps);
    if cut {
        notes.push(format!("Only {} objects are listed; all are counted.", grouped(MAX_LISTED as u64)));
    }
    let report = HeapReport { objects: listed, listed: !wanted.stat, types: counts.rows(clr), notes };
    session.emit(sink, &report)
}

fn strings(
    session: &Session,
    sink: &mut dyn Sink,
    clr: &dyn ClrReader,
    wanted: &Wanted,
) -> Result<(), CommandError> {
    let mut texts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut is_text: BTreeMap<Va, bool> = BTreeMap::new();
    let mut cut = false;
    let gaps = each_object(session, sink, clr, &mut |o| {
        let named = || clr.type_name(o.type_record).as_deref() == Some("System.String");
        if wanted.fits(&o) && *is_text.entry(o.type_record).or_insert_with(named) {
            let text = clr.string_at(o.address, 200).unwrap_or_default();
            if texts.len() < MAX_TEXTS || texts.contains_key(&text) {
                let row = texts.entry(text).or_default();
                row.0 += 1;
                row.1 = row.1.saturating_add(o.size);
            } else {
                cut = true;
            }
        }
        true
    });
    let line = |(text, (count, bytes)): (String, (u64, u64))| TextLine { count, bytes, text: safe(&text) };
    let mut rows: Vec<_> = texts.into_iter().map(line).collect();
    rows.sort_by(|a, b| (a.bytes, &a.text).cmp(&(b.bytes, &b.text)));
    let mut notes = gap_notes(gaps);
    if cut {
        notes.push("There are more different texts than are counted.".to_owned());
    }
    session.emit(sink, &TextsReport { texts: rows, notes })
}
