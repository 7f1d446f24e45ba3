//! `dl`: follows a linked list.

use crate::command::{CommandError, Invocation};
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::expr::{ErrorKind, ExprError};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::{ReadMemory, Va};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Most elements and most pointers per element that may be asked for.
const MAX_ELEMENTS: u64 = 1 << 20;
const MAX_WORDS: u64 = 256;

struct ListReport {
    rows: Vec<(Va, Vec<Option<u64>>)>,
    /// Why the walk ended, when not at 0 or at the start.
    end: Option<&'static str>,
}

impl Report for ListReport {
    fn kind(&self) -> &'static str {
        "list"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        // The engine writes as many pointers in a row as `dp` does.
        let columns = match cx.layout {
            Layout::Classic => usize::MAX,
            Layout::Modern => {
                if cx.wide {
                    2
                } else {
                    4
                }
            }
        };
        let step = if cx.wide { 8u64 } else { 4 };
        let pieces = self.rows.iter().flat_map(|(address, words)| {
            words.chunks(columns).enumerate().map(move |(i, words)| {
                let before = (i as u64).saturating_mul(columns as u64).saturating_mul(step);
                (address.offset(if i == 0 { 0 } else { before }), words)
            })
        });
        for (address, words) in pieces {
            let mut line = Line::new().span(fmt::addr_span(address, cx.wide)).text(" ");
            for word in words {
                let missing = if cx.wide { "????????`????????" } else { "????????" };
                line = line.text(" ");
                line = match word {
                    Some(w) => line.span(fmt::addr_span(Va(*w), cx.wide)),
                    None => line.role(Role::Dim, missing),
                };
            }
            emit(line);
        }
        if let Some(end) = self.end {
            emit(Line(vec![Span::new(Role::Note, format!("note: {end}"))]));
        }
    }

    fn json(&self) -> Value {
        let row = |(address, words): &(Va, Vec<Option<u64>>)| {
            let words: Vec<Value> = words.iter().map(|w| json!(w.map(Hex))).collect();
            json!({ "address": Hex(address.0), "words": words })
        };
        json!({ "elements": self.rows.iter().map(row).collect::<Vec<_>>(), "ended": self.end })
    }
}

pub(super) fn run(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let start = args.address(session)?;
    let mut number = |default: u64, max: u64| -> Result<u64, CommandError> {
        let at = args.pos();
        let value = args.opt_expr(session)?.unwrap_or(default);
        if value == 0 || value > max { Err(ExprError::new(ErrorKind::Range, at).into()) } else { Ok(value) }
    };
    let count = number(0x20, MAX_ELEMENTS)?;
    let modern = session.sel.layout == Layout::Modern;
    let words = number(if modern { 4 } else { 2 }, MAX_WORDS)?;
    args.end()?;
    let link = usize::from(inv.name == "dlb");
    let machine = session.sel.machine;
    let size = machine.ptr_size() as u64;
    let memory = session.dump().memory();
    let (mut rows, mut seen, mut at, mut end) = (Vec::new(), BTreeSet::new(), start, None);
    if modern && memory.ptr(start, machine).is_none() {
        return Ok(());
    }
    for _ in 0..count {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        if !seen.insert(at) {
            end = Some("an element came up again: the list is a loop that does not lead back to its start");
            break;
        }
        let row: Vec<Option<u64>> =
            (0..words).map(|i| memory.ptr(at.offset(i * size), machine).map(|v| v.0)).collect();
        let next = if link == 0 {
            row.first().copied().flatten()
        } else {
            memory.ptr(at.offset(size), machine).map(|v| v.0)
        };
        rows.push((at, row));
        match next {
            None => {
                end = Some("the list leads to memory that the dump does not hold");
                break;
            }
            Some(0) => break,
            Some(v) if Va(v) == start => break,
            Some(v) => at = Va(v),
        }
    }
    session.emit(sink, &ListReport { rows, end })
}
