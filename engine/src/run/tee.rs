//! What stands between the commands and the sink.

use crate::doc::{Line, Message, RenderCx, Report, Role, Sink, Span};
use crate::host::Host;
use crate::session::Layout;
use dumpscope_core::ThreadIdx;
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A report as today's engine prints it: its first line goes on where the last text ended, and lines that are our own
/// notes are kept for the note channel.
struct Modern<'a> {
    report: &'a dyn Report,
    before: RefCell<String>,
    notes: RefCell<Vec<String>>,
}

impl Report for Modern<'_> {
    fn kind(&self) -> &'static str {
        self.report.kind()
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.report.lines(cx, &mut |mut line| {
            if line.0.first().is_some_and(|s| s.role == Role::Note) {
                let text = line.to_text();
                let text = text.trim_start();
                self.notes.borrow_mut().push(text.strip_prefix("note: ").unwrap_or(text).to_owned());
                return;
            }
            let before = self.before.take();
            if !before.is_empty() {
                line.0.insert(0, Span::untrusted(Role::Plain, &before));
            }
            emit(line);
        });
    }

    fn json(&self) -> serde_json::Value {
        self.report.json()
    }
}

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
        if cx.layout == Layout::Modern {
            return self.pass_modern(report, cx);
        }
        if self.host.as_ref().is_some_and(|h| h.log_file().is_some()) {
            report.lines(cx, &mut |line| self.log(&line.to_text()));
        }
        self.sink.report(report, cx)
    }

    /// Today's engine: what is told goes on where `.printf` ended, and our own notes stand beside the output.
    fn pass_modern(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        let before = RefCell::new(std::mem::take(&mut self.partial));
        let plain = Modern { report, before, notes: RefCell::default() };
        if self.host.as_ref().is_some_and(|h| h.log_file().is_some()) {
            let before = plain.before.borrow().clone();
            plain.lines(cx, &mut |line| self.log(&line.to_text()));
            plain.before.replace(before);
            plain.notes.borrow_mut().clear();
        }
        let flow = self.sink.report(&plain, cx);
        self.partial = plain.before.take();
        for note in plain.notes.take() {
            self.sink.note(&note);
        }
        flow
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
            if cx.layout == Layout::Classic {
                self.end_line()?;
            }
            return self.pass(report, cx);
        };
        let mut parts = fragment.split('\n');
        let mut begun = std::mem::take(&mut self.partial);
        begun.push_str(parts.next().unwrap_or(""));
        let mut lines = Vec::new();
        for part in parts {
            let text = std::mem::replace(&mut begun, part.to_owned());
            lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
        }
        if !lines.is_empty() {
            self.pass(&Message(lines), cx)?;
        }
        self.partial = begun;
        if self.partial.len() > MAX_PARTIAL { self.end_line() } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, text: &str) {
        self.sink.note(text);
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.sink.progress(what, done, total);
    }
}
