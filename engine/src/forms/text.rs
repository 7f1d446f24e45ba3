//! For people at a terminal.

use super::lines::{
    TextOptions, bucket_lines, dump_lines, extension_lines, incident_lines, summary_lines, summary_of,
};
use super::{FormatOptions, RowWriter, Tail};
use crate::doc::Line;
use crate::document::DumpRow;
use crate::render::TextSink;
use dumpscope_core::base::text::escape;
use std::borrow::Cow;
use std::io::{self, Write};

/// Dumps one below the other, then the list of all.
pub(super) struct Text<W: Write> {
    sink: Option<TextSink<W>>,
    options: TextOptions,
    /// Path, kind and sentence of each dump, for the list at the end.
    rows: Vec<(String, String)>,
    /// Lines that wait: what is said of all dumps together stands first where that is possible. `None` once there
    /// were too many.
    held: Option<Vec<Line>>,
}

/// Lines that wait at most.
const MAX_HELD: usize = 4000;

impl<W: Write> Text<W> {
    pub(super) fn new(out: W, options: &FormatOptions) -> Text<W> {
        let sink = Some(TextSink::new(out, options.color));
        let options = TextOptions { verbose: options.verbose, ..TextOptions::default() };
        Text { sink, options, rows: Vec::new(), held: Some(Vec::new()) }
    }

    fn lines(&mut self, show: impl FnOnce(&TextOptions, &mut dyn FnMut(Line))) {
        let Some(sink) = &mut self.sink else { return };
        let held = &mut self.held;
        show(&self.options, &mut |mut line| {
            // Rows of our own are escaped already; those that came as JSON need not be.
            for span in &mut line.0 {
                if let Cow::Owned(safe) = escape(&span.text) {
                    span.text = safe;
                }
            }
            match held {
                Some(lines) => lines.push(line),
                None => sink.line(&line),
            }
        });
        if self.held.as_ref().is_some_and(|lines| lines.len() > MAX_HELD) {
            self.release();
        }
    }

    /// Writes the lines that wait; the following ones no longer do.
    fn release(&mut self) {
        if let (Some(sink), Some(lines)) = (&mut self.sink, self.held.take()) {
            lines.iter().for_each(|line| sink.line(line));
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
        let waited = self.held.take();
        let mut incidents = tail.incidents().peekable();
        let any = incidents.peek().is_some();
        self.lines(|options, emit| {
            // Where the dumps are told already the incidents can only follow.
            if waited.is_none() && any {
                emit(Line::new());
            }
            for (nth, i) in incidents.enumerate() {
                if nth > 0 {
                    emit(Line::new());
                }
                incident_lines(i, options, emit);
            }
            if waited.is_some() && any {
                emit(Line::new());
            }
        });
        for line in waited.unwrap_or_default() {
            if let Some(sink) = &mut self.sink {
                sink.line(&line);
            }
        }
        self.lines(|_, emit| {
            summary_lines(&rows, emit);
            bucket_lines(&tail.buckets, emit);
            extension_lines(tail.extensible(), emit);
        });
        self.sink.take().map_or(Ok(()), |sink| sink.finish().map(drop))
    }
}
