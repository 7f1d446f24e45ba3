//! Work in the background: it runs the engine on a session of its own and tells what comes out.

use crate::complete;
use crate::graph;
use crate::msg::{Job, JobEvent, Look, Slot, Summary, Work};
use crate::panes::{PaneKind, Shape};
use crate::text::Row;
use dumpscope_core::ThreadIdx;
use dumpscope_engine::batch::{Incidents, triage_target};
use dumpscope_engine::document::{DumpRow, settle};
use dumpscope_engine::forms::{TextOptions, dump_lines, incident_lines};
use dumpscope_engine::{
    Line, LineStatus, Link, Part, RenderCx, Report, Role, Session, Sink, Span, panic_text, run_line,
};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows that are told at once.
const BATCH: usize = 512;
/// Longest time that rows and progress wait before they are told.
const PATIENCE: Duration = Duration::from_millis(40);

/// Takes events.
pub type Tell<'a> = &'a mut dyn FnMut(JobEvent);

/// Does the work. A panic in it is told as [`JobEvent::Failed`]; the last event is that or [`JobEvent::Done`].
pub fn run(job: Job, history: &[String], tell: Tell<'_>) {
    let mut session = job.session;
    let work = job.work;
    let quiet = !matches!(job.slot, Slot::Command | Slot::Pane(_));
    let result = catch_unwind(AssertUnwindSafe(|| one(&mut session, work, history, quiet, tell)));
    match result {
        Ok(status) => tell(JobEvent::Done(Box::new(session), status)),
        Err(payload) => tell(JobEvent::Failed(panic_text(payload.as_ref()))),
    }
}

fn one(session: &mut Session, work: Work, history: &[String], quiet: bool, tell: Tell<'_>) -> LineStatus {
    match work {
        Work::Line(line) => {
            let mut sink = Rows { notes: true, ..Rows::new(tell, Shape::Plain, session) };
            let status = run_line(session, &line, &mut sink);
            sink.end();
            status
        }
        Work::Pane { lines, shape } => {
            let mut status = LineStatus::Done;
            for (nth, line) in lines.iter().enumerate() {
                if nth > 0 && nth + 1 == lines.len() {
                    tell(JobEvent::Mark);
                }
                let mut sink = Rows::new(tell, shape, session);
                status = run_line(session, line, &mut sink);
                sink.end();
                if status == LineStatus::Stopped {
                    break;
                }
            }
            status
        }
        Work::Triage(look) => {
            if !quiet {
                tell(JobEvent::Progress("analyzing".into(), 0, 0));
            }
            let row = triage_target(&session.path, &session.target, &session.cancel);
            tell(JobEvent::Summary(Box::new(render(&Arc::new(row), &[], look))));
            stopped(session)
        }
        Work::Render(row, all, look) => {
            tell(JobEvent::Summary(Box::new(render(&row, &all, look))));
            stopped(session)
        }
        Work::Complete(text) => {
            let found = complete::complete(Some(session), &text, history);
            tell(JobEvent::Candidates(text, found));
            stopped(session)
        }
    }
}

fn stopped(session: &Session) -> LineStatus {
    if session.cancel.is_cancelled() { LineStatus::Stopped } else { LineStatus::Done }
}

/// A verdict as lines. `all`: the verdicts of all dumps that are open, for wait chains across processes.
#[must_use]
pub fn render(row: &Arc<DumpRow>, all: &[Arc<DumpRow>], look: Look) -> Summary {
    let mut text = Vec::new();
    if look.early {
        text.push(Row::note(Role::Note, "Without symbols yet; they are being loaded."));
    }
    let options = TextOptions { verbose: false, width: look.width.max(20) };
    let mut shown = DumpRow::clone(row);
    if all.len() > 1 {
        let mut incidents = Incidents::default();
        all.iter().for_each(|r| incidents.add(r));
        let found = incidents.rows();
        for incident in &found {
            incident_lines(incident, &options, &mut |line| text.push(Row::new(line)));
        }
        if !found.is_empty() {
            text.push(Row::default());
        }
        settle(std::slice::from_mut(&mut shown), &found);
    }
    dump_lines(&shown, &options, &mut |line| text.push(Row::new(line)));
    let graph = graph::rows(row, look.graph_width, look.ascii);
    Summary { row: Arc::clone(row), text, graph }
}

/// Command lines of a pane's form.
#[must_use]
pub fn pane_lines(kind: PaneKind, form: usize, expr: &str, offset: i64, units: usize) -> Vec<String> {
    let forms = kind.info().forms;
    let Some(form) = forms.get(form).or_else(|| forms.first()) else { return Vec::new() };
    let at = match offset {
        0 => format!("({expr})"),
        n if n < 0 => format!("({expr})-0x{:x}", n.unsigned_abs()),
        n => format!("({expr})+0x{n:x}"),
    };
    let n = match form.per_line {
        0 => units as u64,
        per_line => (units as u64).saturating_mul(per_line),
    };
    let n = n.clamp(1, 0xffff);
    form.line.split("; ").map(|l| l.replace("{e}", &at).replace("{n}", &format!("{n:x}"))).collect()
}

/// Bytes that a line of a grid shows; `None` when the form is no grid.
#[must_use]
pub fn bytes_per_line(kind: PaneKind, form: usize, wide: bool) -> Option<i64> {
    let form = kind.info().forms.get(form)?;
    let unit = if form.unit == 0 { if wide { 8 } else { 4 } } else { form.unit };
    let bytes = unit.checked_mul(form.per_line)?;
    i64::try_from(bytes).ok().filter(|b| *b > 0)
}

/// Of a frame's line its number and its call site; other lines as they are.
fn site(line: Line) -> Line {
    if line.has(Part::Columns) {
        return Line::new().role(Role::Heading, " # Call site");
    }
    let number = line.0.first().is_some_and(|s| matches!(s.link, Some(Link::Frame(..))));
    let site = line.0.iter().position(|s| s.part == Some(Part::Site));
    let Some(at) = site.filter(|_| number) else { return line };
    let inlined = line.has(Part::Inlined);
    let mut spans = line.0;
    let tail = spans.split_off(at);
    spans.truncate(1);
    let mut line = Line(spans).text(" ");
    line.0.extend(tail);
    if inlined { line.role(Role::Dim, " (inlined)") } else { line }
}

/// Collects lines and tells them in batches.
struct Rows<'a> {
    tell: Tell<'a>,
    rows: Vec<Row>,
    told: Instant,
    /// The line that indented ones may continue, and how many did.
    open: Option<(Line, usize)>,
    shape: Shape,
    /// Notes are told, too: in the command window, not in panes.
    notes: bool,
    cancel: dumpscope_analyzers::Cancel,
}

impl<'a> Rows<'a> {
    fn new(tell: Tell<'a>, shape: Shape, session: &Session) -> Rows<'a> {
        let cancel = session.cancel.clone();
        Rows { tell, rows: Vec::new(), told: Instant::now(), open: None, shape, notes: false, cancel }
    }

    fn line(&mut self, line: Line) {
        match self.shape {
            Shape::Plain => return self.rows.push(Row::new(line)),
            Shape::Sites => return self.rows.push(Row::new(site(line))),
            Shape::Joined => {}
        }
        match &mut self.open {
            Some((open, parts)) if line.has(Part::More) => {
                // The label says nothing in a list of one kind.
                let words = line.0.iter().filter(|s| s.role != Role::Label);
                let value: String = words.map(|s| s.text.as_str()).collect();
                let role = line.0.last().map_or(Role::Plain, |s| s.role);
                let pad = if *parts == 0 { format!("  {value:<14}") } else { format!("  {value}") };
                open.0.push(Span::new(role, pad));
                *parts += 1;
            }
            _ => {
                if let Some((done, _)) = self.open.replace((line, 0)) {
                    self.rows.push(Row::new(done));
                }
            }
        }
    }

    fn flush(&mut self) {
        self.told = Instant::now();
        if !self.rows.is_empty() {
            (self.tell)(JobEvent::Lines(std::mem::take(&mut self.rows)));
        }
    }

    fn end(mut self) {
        if let Some((line, _)) = self.open.take() {
            self.rows.push(Row::new(line));
        }
        self.flush();
    }
}

impl Sink for Rows<'_> {
    fn command(&mut self, _text: &str, _thread: Option<ThreadIdx>) {}

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        report.lines(cx, &mut |line| {
            self.line(line);
            if self.rows.len() >= BATCH {
                self.flush();
            }
        });
        if self.told.elapsed() >= PATIENCE {
            self.flush();
        }
        if self.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, text: &str) {
        if self.notes {
            self.rows.push(Row::note(Role::Note, &format!("note: {text}")));
        }
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        if self.told.elapsed() >= PATIENCE {
            self.flush();
            (self.tell)(JobEvent::Progress(what.to_owned(), done, total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_become_command_lines() {
        let lines = |kind, form, offset| pane_lines(kind, form, "@rsp", offset, 10);
        assert_eq!(lines(PaneKind::Memory, 0, 0), ["db (@rsp) La0"]);
        assert_eq!(lines(PaneKind::Memory, 0, -32), ["db (@rsp)-0x20 La0"]);
        assert_eq!(lines(PaneKind::Memory, 1, 8), ["dps (@rsp)+0x8 La"]);
        assert_eq!(lines(PaneKind::Disassembly, 0, 0), ["ub (@rsp) L8", "u (@rsp) La"]);
        assert_eq!(bytes_per_line(PaneKind::Memory, 0, false), Some(16));
        assert_eq!(bytes_per_line(PaneKind::Memory, 1, false), Some(4));
        assert_eq!(bytes_per_line(PaneKind::Memory, 5, false), None);
    }
}
