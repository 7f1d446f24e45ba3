//! How the rows of a batch are written.

use crate::args::TriageFormat;
use dumpscope_engine::json::{Document, DumpRow};
use dumpscope_engine::triage::{Buckets, TextOptions, bucket_lines, dump_lines, summary_lines};
use dumpscope_engine::{Line, TextSink};
use std::io::{self, Write};

/// Writes rows as they come.
pub(crate) trait Writer {
    /// A dump's row.
    fn row(&mut self, row: &DumpRow) -> io::Result<()>;
    /// The end of the batch.
    fn end(&mut self, buckets: &Buckets) -> io::Result<()>;
}

/// True for formats that this version has.
pub(crate) fn exists(format: TriageFormat) -> bool {
    matches!(format, TriageFormat::Text | TriageFormat::Json | TriageFormat::Jsonl)
}

/// The writer for a format; `None` for formats that this version does not have.
pub(crate) fn writer<'a>(
    format: TriageFormat,
    out: Box<dyn Write + 'a>,
    color: bool,
    verbose: bool,
) -> Option<Box<dyn Writer + 'a>> {
    Some(match format {
        TriageFormat::Text => Box::new(Text {
            sink: Some(TextSink::new(out, color)),
            options: TextOptions { verbose, ..TextOptions::default() },
            rows: Vec::new(),
        }),
        TriageFormat::Json => Box::new(Json { out, rows: 0 }),
        TriageFormat::Jsonl => Box::new(Jsonl { out }),
        _ => return None,
    })
}

/// For people.
struct Text<W: Write> {
    sink: Option<TextSink<W>>,
    options: TextOptions,
    /// Path, kind and sentence of each dump, for the list at the end.
    rows: Vec<(String, String)>,
}

impl<W: Write> Text<W> {
    fn lines(&mut self, show: impl FnOnce(&TextOptions, &mut dyn FnMut(Line))) {
        if let Some(sink) = &mut self.sink {
            show(&self.options, &mut |line| sink.line(&line));
        }
    }
}

impl<W: Write> Writer for Text<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.lines(|_, emit| emit(Line::new()));
        }
        self.lines(|options, emit| dump_lines(row, options, emit));
        self.rows.push(dumpscope_engine::triage::summary_of(row));
        Ok(())
    }

    fn end(&mut self, buckets: &Buckets) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.lines(|_, emit| {
            summary_lines(&rows, emit);
            bucket_lines(&buckets.rows(), emit);
        });
        self.sink.take().map_or(Ok(()), |sink| sink.finish().map(drop))
    }
}

/// One document, written row by row: the same bytes as the serialized [`Document`].
struct Json<W: Write> {
    out: W,
    rows: u64,
}

impl<W: Write> Writer for Json<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        if self.rows == 0 {
            write!(self.out, "{{\n  \"schema\": \"{}\",\n  \"dumps\": [\n", dumpscope_engine::json::SCHEMA)?;
        } else {
            self.out.write_all(b",\n")?;
        }
        self.rows = self.rows.saturating_add(1);
        self.out.write_all(indented(row, "    ")?.as_bytes())
    }

    fn end(&mut self, buckets: &Buckets) -> io::Result<()> {
        if self.rows == 0 {
            serde_json::to_writer_pretty(&mut self.out, &Document::new())?;
        } else {
            write!(self.out, "\n  ],\n  \"buckets\": {}", indented(&buckets.rows(), "  ")?.trim_start())?;
            self.out.write_all(b",\n  \"incidents\": null\n}")?;
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
struct Jsonl<W: Write> {
    out: W,
}

impl<W: Write> Writer for Jsonl<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")?;
        // Who reads line by line gets each answer when it is ready.
        self.out.flush()
    }

    fn end(&mut self, _: &Buckets) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_engine::json::ErrorRow;

    fn rows() -> Vec<DumpRow> {
        ["a", "b"]
            .map(|p| {
                let mut row = DumpRow::failed(p, ErrorRow { kind: "io".into(), message: "x\ny".into() });
                row.signature = Some("s".into());
                row
            })
            .into()
    }

    fn write(format: TriageFormat, rows: &[DumpRow]) -> String {
        let mut bytes = Vec::new();
        let mut buckets = Buckets::default();
        let mut w = writer(format, Box::new(&mut bytes), false, false).unwrap();
        for row in rows {
            buckets.add(row);
            w.row(row).unwrap();
        }
        w.end(&buckets).unwrap();
        drop(w);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_by_rows_is_the_serialized_document() {
        for rows in [rows(), Vec::new()] {
            let mut document = Document::new();
            let mut buckets = Buckets::default();
            rows.iter().for_each(|r| buckets.add(r));
            document.buckets = buckets.rows();
            document.dumps = rows.clone();
            let whole = serde_json::to_string_pretty(&document).unwrap() + "\n";
            assert_eq!(write(TriageFormat::Json, &rows), whole);
        }
    }

    #[test]
    fn jsonl_has_a_line_per_dump() {
        let text = write(TriageFormat::Jsonl, &rows());
        let back: Vec<DumpRow> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(back, rows());
    }
}
