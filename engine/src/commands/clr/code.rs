//! `!u`: a method's code with the names of what it calls.

use super::{clr, dotnet, needed, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::code::{CalledBy, decode};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::{Hex, addr};
use crate::session::Session;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_runtimes::clr::{ClrReader, Jitted};
use serde::Serialize;

/// Most instructions of one listing.
const MAX_INSTRUCTIONS: usize = 1 << 16;

pub(crate) const U: Command = Command {
    name: "!u",
    group: "dotnet",
    syntax: "!u address",
    summary: "Disassembles a .NET method",
    help: "The whole method that holds the address, or whose record (MethodDesc) it is. Calls are named, also those through the stubs and \
           words that the runtime puts between methods.",
    examples: &[("!u @$ip", "The method at the instruction pointer")],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct CodeLine {
    address: Hex,
    bytes: String,
    text: String,
    /// The method that is called.
    calls: Option<String>,
    #[serde(skip)]
    called: Option<Va>,
}

#[derive(Clone, Debug, Serialize)]
struct MethodCodeReport {
    kind: &'static str,
    name: String,
    start: Hex,
    size: u64,
    il: Hex,
    /// The instruction that was asked for.
    at: Hex,
    rows: Vec<CodeLine>,
}

impl Answer for MethodCodeReport {
    const KIND: &'static str = "clr_code";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(self.kind));
        emit(Line::new().role(Role::Symbol, self.name.clone()));
        if self.il.0 != 0 {
            emit(Line::plain(format!("ilAddr is {:016X}", self.il.0)));
        }
        emit(Line::plain(format!("Begin {:016X}, size {:x}", self.start.0, self.size)));
        for row in &self.rows {
            let mark = if row.address.0 == self.at.0 && self.at.0 != self.start.0 { ">>> " } else { "" };
            let mut line = Line::plain(mark)
                .span(Span::new(Role::Address, addr(Va(row.address.0), true)))
                .text(" ")
                .role(Role::Bytes, format!("{:<20} ", row.bytes))
                .text(row.text.clone());
            if let Some(name) = &row.calls {
                let mut span = Span::new(Role::Symbol, format!(" ({name})"));
                if let Some(md) = row.called {
                    span = span.link(Link::Run(format!("!u {:x}", md.0)));
                }
                line = line.span(span);
            }
            emit(line);
        }
    }
}

/// The method that an instruction calls: directly, or through a word at a known address.
fn called(session: &Session, clr: &dyn ClrReader, to: CalledBy) -> Option<Va> {
    let entry = match to {
        CalledBy::Address(va) => va,
        CalledBy::Word(at) => Va(session.dump().memory().u64(at)?),
    };
    clr.method_at(entry).map(|(md, _)| md)
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    // An address in code, or a method's record.
    let by_record = || clr.method_info(at).filter(|m| !m.code.is_null()).map(|m| (m.record, m.code));
    let Some((md, start)) = clr.method_at(at).or_else(by_record) else {
        return Err(CommandError::message(format!(
            "{:x} is neither managed code nor a MethodDesc with code",
            at.0
        )));
    };
    let info = clr.method_info(md);
    let start = info
        .as_ref()
        .map(|m| m.code)
        .filter(|_| start == at && clr.code_end(start).is_none())
        .unwrap_or(start);
    let Some(end) = clr.code_end(start) else {
        return Err(CommandError::message(format!(
            "The code at {:x} has no unwind data that says its end",
            start.0
        )));
    };
    let mut rows = Vec::new();
    let mut next = start;
    while next < end && rows.len() < MAX_INSTRUCTIONS {
        let Some(i) = decode(session, next) else { break };
        let md = i.called_by().and_then(|to| called(session, clr, to));
        let name = md.and_then(|md| clr.method_info(md)).map(|m| safe(&m.name));
        rows.push(CodeLine {
            address: i.address.into(),
            bytes: i.bytes.iter().map(|b| format!("{b:02x}")).collect(),
            text: i.to_text(),
            called: md.filter(|_| name.is_some()),
            calls: name,
        });
        next = i.end();
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
    }
    let ahead = info.as_ref().is_some_and(|m| m.jitted == Jitted::PreJit);
    let report = MethodCodeReport {
        kind: if ahead { "Preload native code" } else { "Normal JIT generated code" },
        name: info.as_ref().map(|m| safe(&m.name)).unwrap_or_default(),
        start: start.into(),
        size: end.0.saturating_sub(start.0),
        il: info.map_or(Hex(0), |m| m.il.into()),
        at: at.into(),
        rows,
    };
    session.emit(sink, &report)
}
