//! JSON: one document, or one object for each dump.

use super::{RowWriter, Tail};
use crate::document::{Document, DumpRow, SCHEMA};
use crate::render::write_indented;
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
        self.out.write_all(b"    ")?;
        write_indented(&mut self.out, row, "    ")
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
            self.out.write_all(b"\n  ],\n  \"buckets\": ")?;
            write_indented(&mut self.out, &tail.buckets, "  ")?;
            self.out.write_all(b",\n  \"incidents\": ")?;
            write_indented(&mut self.out, &tail.incidents, "  ")?;
            self.out.write_all(b"\n}")?;
        }
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
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
