//! What stands between the commands and the sink.

use crate::doc::{Line, Message, RenderCx, Report, Role, Sink, Span};
use crate::host::Host;
use dumpscope_core::ThreadIdx;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Passes everything on, joins fragments to lines, and writes the text to the log file while one is open.
pub(super) struct Tee<'a> {
    sink: &'a mut dyn Sink,
    host: Option<Arc<dyn Host>>,
    /// A line that `.printf` has begun.
    partial: String,
    /// How the partial line is to be rendered.
    cx: RenderCx,
}

/// Longest line that is kept open.
const MAX_PARTIAL: usize = 1 << 20;

impl<'a> Tee<'a> {
    /// Before `sink`; with a host also its log file is written.
    pub(super) fn new(sink: &'a mut dyn Sink, host: Option<Arc<dyn Host>>, cx: RenderCx) -> Tee<'a> {
        Tee { sink, host, partial: String::new(), cx }
    }

    pub(super) fn log(&self, line: &str) {
        if let Some(host) = self.host.as_ref().filter(|h| h.log_file().is_some()) {
            host.log(line);
        }
    }

    fn pass(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        if self.host.as_ref().is_some_and(|h| h.log_file().is_some()) {
            report.lines(cx, &mut |line| self.log(&line.to_text()));
        }
        self.sink.report(report, cx)
    }

    /// Ends a line that `.printf` has begun.
    pub(super) fn end_line(&mut self) -> ControlFlow<()> {
        if self.partial.is_empty() {
            return ControlFlow::Continue(());
        }
        let text = std::mem::take(&mut self.partial);
        let line = Line(vec![Span::untrusted(Role::Plain, &text)]);
        self.pass(&Message(vec![line]), &self.cx.clone())
    }
}

impl Sink for Tee<'_> {
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        self.sink.command(text, thread);
    }

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        self.cx = *cx;
        let Some(fragment) = report.fragment() else {
            self.end_line()?;
            return self.pass(report, cx);
        };
        let mut parts = fragment.split('\n');
        self.partial.push_str(parts.next().unwrap_or(""));
        let mut lines = Vec::new();
        for part in parts {
            let text = std::mem::replace(&mut self.partial, part.to_owned());
            lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
        }
        if !lines.is_empty() {
            self.pass(&Message(lines), cx)?;
        }
        if self.partial.len() > MAX_PARTIAL { self.end_line() } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, text: &str) {
        self.sink.note(text);
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.sink.progress(what, done, total);
    }
}
