//! Plain or coloured text.

use super::ansi::sgr;
use crate::doc::{Line, RenderCx, Report, Sink};
use std::io::Write;
use std::ops::ControlFlow;

/// Writes the lines of reports to a writer.
#[derive(Debug)]
pub struct TextSink<W: Write> {
    out: W,
    color: bool,
    error: Option<std::io::Error>,
}

impl<W: Write> TextSink<W> {
    /// Writes to `out`, with colours when `color`.
    pub fn new(out: W, color: bool) -> TextSink<W> {
        TextSink { out, color, error: None }
    }

    /// Writes a line of one's own (a prompt with the command typed at it).
    pub fn line(&mut self, line: &Line) {
        if self.error.is_none()
            && let Err(e) = self.write(line)
        {
            self.error = Some(e);
        }
    }

    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        for span in &line.0 {
            let code = if self.color { sgr(span.role) } else { "" };
            if code.is_empty() || span.text.is_empty() {
                self.out.write_all(span.text.as_bytes())?;
            } else {
                write!(self.out, "\x1b[{code}m{}\x1b[0m", span.text)?;
            }
        }
        self.out.write_all(b"\n")
    }

    /// Flushes; gives the writer back.
    ///
    /// # Errors
    /// The first error in writing (a closed pipe, a full disk).
    pub fn finish(mut self) -> std::io::Result<W> {
        match self.error.take() {
            Some(e) => Err(e),
            None => self.out.flush().map(|()| self.out),
        }
    }
}

impl<W: Write> Sink for TextSink<W> {
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        report.lines(cx, &mut |line| self.line(&line));
        if self.error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
