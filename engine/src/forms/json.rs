//! JSON: one document, or one object for each dump.

use super::{RowWriter, Tail};
use crate::document::{Document, DumpRow, SCHEMA};
use std::io::{self, Write};

/// One document, written row by row: the same bytes as the serialized [`Document`].
pub(super) struct Json<W: Write> {
    out: W,
    rows: u64,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W) -> Json<W> {
        Json { out, rows: 0 }
    }
}

impl<W: Write> RowWriter for Json<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        if self.rows == 0 {
            write!(self.out, "{{\n  \"schema\": \"{SCHEMA}\",\n  \"dumps\": [\n")?;
        } else {
            self.out.write_all(b",\n")?;
        }
        self.rows = self.rows.saturating_add(1);
        self.out.write_all(indented(row, "    ")?.as_bytes())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        if self.rows == 0 {
            let document = Document {
                buckets: tail.buckets.clone(),
                incidents: tail.incidents.clone(),
                ..Document::new()
            };
            serde_json::to_writer_pretty(&mut self.out, &document)?;
        } else {
            write!(self.out, "\n  ],\n  \"buckets\": {}", indented(&tail.buckets, "  ")?.trim_start())?;
            write!(self.out, ",\n  \"incidents\": {}\n}}", indented(&tail.incidents, "  ")?.trim_start())?;
        }
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}

/// Pretty JSON with `indent` before each line.
fn indented(value: &impl serde::Serialize, indent: &str) -> io::Result<String> {
    let text = serde_json::to_string_pretty(value)?;
    // Strings in JSON hold no line breaks, so every break is one of the layout.
    Ok(format!("{indent}{}", text.replace('\n', &format!("\n{indent}"))))
}

/// One object per line.
pub(super) struct Jsonl<W: Write> {
    out: W,
}

impl<W: Write> Jsonl<W> {
    pub(super) fn new(out: W) -> Jsonl<W> {
        Jsonl { out }
    }
}

impl<W: Write> RowWriter for Jsonl<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")?;
        // Who reads line by line gets each answer when it is ready.
        self.out.flush()
    }

    fn end(&mut self, _: &Tail) -> io::Result<()> {
        self.out.flush()
    }
}
