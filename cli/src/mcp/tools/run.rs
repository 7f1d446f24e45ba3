//! `run`, `memory`, `types`: debugger commands in a session that reaches nothing but its dump.

use crate::mcp::answer::{Wanted, quoted};
use crate::mcp::call::{Answered, Call, Refused};
use crate::mcp::opened::Opened;
use dumpscope_engine::{LineStatus, RenderCx, Report, Session, Sink, run_line};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Most bytes of the lines of an answer.
const MAX_BYTES: usize = 24 << 10;
/// Lines that are shown when nobody asked for a number.
const LINES: usize = 100;
/// Most units that `memory` shows.
const MAX_UNITS: u64 = 512;
/// Most notes that are kept.
const MAX_NOTES: usize = 8;

/// Keeps the lines that are wanted and ends the command when it has them and has seen that there are more.
#[derive(Debug)]
struct Lines {
    wanted: Wanted,
    seen: usize,
    bytes: usize,
    kept: Vec<Value>,
    more: bool,
    notes: Vec<Value>,
}

impl Sink for Lines {
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        report.lines(cx, &mut |line| {
            let number = self.seen;
            self.seen = self.seen.saturating_add(1);
            if number < self.wanted.offset || self.more {
                return;
            }
            let text = quoted(line.to_text().trim_end());
            self.bytes = self.bytes.saturating_add(text.to_string().len());
            let full =
                self.kept.len() >= self.wanted.limit || (self.bytes > MAX_BYTES && !self.kept.is_empty());
            match full {
                true => self.more = true,
                false => self.kept.push(text),
            }
        });
        if self.more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, text: &str) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(quoted(text));
        }
    }
}

/// Runs a line; gives the session as it is afterwards and the answer.
fn lines_of(opened: &Opened, line: &str, wanted: Wanted, call: &Call) -> (Session, Value) {
    let mut session = opened.session(&call.cancel);
    let mut sink = Lines { wanted, seen: 0, bytes: 0, kept: Vec::new(), more: false, notes: Vec::new() };
    let status = run_line(&mut session, line, &mut sink);
    let ended = match status {
        _ if call.cancel.is_late() => "stopped: the time for one call was used up; this is the output so far",
        // The page is full: the rest is asked for with the next offset, by running the command again.
        _ if sink.more => "page",
        LineStatus::Done => "done",
        LineStatus::Failed => "failed: the output says why",
        LineStatus::Quit => "done",
        LineStatus::Stopped => "stopped",
    };
    let next = sink.more.then(|| wanted.offset.saturating_add(sink.kept.len()));
    let answer = json!({
        "dump": opened.id, "prompt": session.prompt().trim_end(), "ended": ended, "lines": sink.kept,
        "next_offset": next, "notes": sink.notes,
    });
    (session, answer)
}

/// As the client asked, with more lines than a page has items.
fn wanted(call: &Call) -> Wanted {
    let mut wanted = call.wanted();
    if call.number("limit").is_none() {
        wanted.limit = LINES;
    }
    wanted
}

pub(super) fn run(call: &Call) -> Answered {
    let opened = call.dump()?;
    let line = call.text("command").unwrap_or("");
    let (session, answer) = lines_of(&opened, line, wanted(call), call);
    // A command that was stopped may have left the session between two of its steps.
    if !call.cancel.is_cancelled() {
        opened.keep(session);
    }
    Ok(answer)
}

pub(super) fn memory(call: &Call) -> Answered {
    let opened = call.dump()?;
    let (command, default) = match call.text("form").unwrap_or("bytes") {
        "dwords" => ("dd", 32),
        "qwords" => ("dq", 16),
        "pointers" => ("dps", 16),
        "ansi" => ("da", 256),
        "utf16" => ("du", 256),
        _ => ("db", 128),
    };
    let address = one_operand(call.text("address").unwrap_or(""), "address")?;
    let count = call.number("count").unwrap_or(default).clamp(1, MAX_UNITS);
    let line = format!("{command} {address} L0n{count}");
    Ok(lines_of(&opened, &line, Wanted { offset: 0, limit: 600 }, call).1)
}

pub(super) fn types(call: &Call) -> Answered {
    let opened = call.dump()?;
    let name = one_operand(call.text("name").unwrap_or(""), "name")?;
    let line = match call.text("address") {
        Some(address) => format!("dt {name} {}", one_operand(address, "address")?),
        None => format!("dt {name}"),
    };
    Ok(lines_of(&opened, &line, wanted(call), call).1)
}

/// What stands for one operand: it must not begin another command.
fn one_operand<'a>(text: &'a str, name: &str) -> Result<&'a str, Refused> {
    let text = text.trim();
    match text.is_empty() || text.contains([';', '\n', '\r', '{', '}']) {
        true => Err(format!("`{name}` must be one expression").into()),
        false => Ok(text),
    }
}
