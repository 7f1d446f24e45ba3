//! For people at a terminal.

use super::{FormatOptions, RowWriter, Tail};
use crate::doc::Line;
use crate::json::DumpRow;
use crate::render::TextSink;
use crate::triage::{TextOptions, bucket_lines, dump_lines, incident_lines, summary_lines, summary_of};
use dumpscope_core::base::text::escape;
use std::borrow::Cow;
use std::io::{self, Write};

/// Dumps one below the other, then the list of all.
pub(super) struct Text<W: Write> {
    sink: Option<TextSink<W>>,
    options: TextOptions,
    /// Path, kind and sentence of each dump, for the list at the end.
    rows: Vec<(String, String)>,
}

impl<W: Write> Text<W> {
    pub(super) fn new(out: W, options: &FormatOptions) -> Text<W> {
        let sink = Some(TextSink::new(out, options.color));
        let options = TextOptions { verbose: options.verbose, ..TextOptions::default() };
        Text { sink, options, rows: Vec::new() }
    }

    fn lines(&mut self, show: impl FnOnce(&TextOptions, &mut dyn FnMut(Line))) {
        if let Some(sink) = &mut self.sink {
            show(&self.options, &mut |mut line| {
                // Rows of our own are escaped already; those that came as JSON need not be.
                for span in &mut line.0 {
                    if let Cow::Owned(safe) = escape(&span.text) {
                        span.text = safe;
                    }
                }
                sink.line(&line);
            });
        }
    }
}

impl<W: Write> RowWriter for Text<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.lines(|_, emit| emit(Line::new()));
        }
        self.lines(|options, emit| dump_lines(row, options, emit));
        self.rows.push(summary_of(row));
        Ok(())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.lines(|options, emit| {
            summary_lines(&rows, emit);
            bucket_lines(&tail.buckets, emit);
            tail.incidents().for_each(|i| incident_lines(i, options, emit));
        });
        self.sink.take().map_or(Ok(()), |sink| sink.finish().map(drop))
    }
}
