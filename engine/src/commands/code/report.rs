//! Disassembly as a report.

use super::engine_names::header_name;
use super::instruction::{Instruction, Piece, Target};
use crate::doc::{Line, Link, RenderCx, Report, Role, Span};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A row of a listing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    /// `app!main+0x14 [main.c @ 12]:`, without the colon.
    Header(Header),
    Instruction(Instruction),
    /// No byte is known.
    Missing(Va),
    Blank,
    /// Text of our own.
    Text(String),
}

/// Where code stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) address: Va,
    /// `app!main+0x14`. Untrusted.
    pub(crate) name: String,
    /// File and line. Untrusted.
    pub(crate) source: Option<(String, u32)>,
}

/// The header for an address; `None` when no module holds it.
pub(crate) fn header_at(session: &Session, va: Va) -> Option<Header> {
    let name = header_name(session, va)?;
    let lines = session.sel.layout == Layout::Classic || session.sel.lines;
    let source = if lines { session.target.symbols.line(va).map(|l| (l.file, l.line)) } else { None };
    Some(Header { address: va, name, source })
}

/// A listing.
#[derive(Debug, Default)]
pub(crate) struct CodeReport {
    pub(crate) rows: Vec<Row>,
    /// What the last header stood for: the symbol without displacement, and the line.
    last: Option<(String, Option<(String, u32)>)>,
    /// `ds:addr=value` behind the last instruction (`r`).
    pub(crate) operand: Option<String>,
    /// `.asm no_code_bytes`.
    pub(crate) no_bytes: bool,
    /// The source line of each address, before it (`uf` with lines).
    pub(crate) lines: BTreeMap<Va, u32>,
}

impl CodeReport {
    pub(crate) fn new() -> CodeReport {
        CodeReport::default()
    }

    /// With the options of `.asm` that the modern layout heeds.
    pub(crate) fn of(session: &Session) -> CodeReport {
        let no_bytes = session.sel.layout == Layout::Modern && crate::commands::flags::no_code_bytes(session);
        CodeReport { no_bytes, ..CodeReport::default() }
    }

    /// Adds a header if the symbol or the source line at `va` is another than before.
    pub(crate) fn header(&mut self, session: &Session, va: Va) {
        let Some(header) = header_at(session, va) else {
            self.last = None;
            return;
        };
        let resolved = session.target.symbols.resolve(va);
        let symbol =
            resolved.and_then(|r| r.symbol).map_or(String::new(), |s| format!("{}:{}", s.rva.0, s.name));
        // Today's engine goes on with the last symbol where no other begins.
        let far = header.name.contains(" <PERF> ");
        let same = self.last.as_ref().is_some_and(|(last, _)| !last.is_empty() && !last.contains(" <PERF> "));
        if session.sel.layout == Layout::Modern && symbol.is_empty() && same {
            return;
        }
        let mut key = (symbol, header.source.clone());
        if far {
            key.0.clone_from(&header.name);
        } else if session.sel.layout == Layout::Modern
            && let Some((last, line)) = &self.last
            && *last == key.0
            && !last.is_empty()
        {
            // The engine begins a new line of source with a header only where a statement of its own begins.
            key.1.clone_from(line);
        }
        if self.last.as_ref() != Some(&key) {
            self.last = Some(key);
            self.rows.push(Row::Header(header));
        }
    }

    /// Adds a header in any case.
    pub(crate) fn block(&mut self, session: &Session, va: Va) {
        self.last = None;
        self.header(session, va);
    }
}

fn instruction_line(i: &Instruction, operand: Option<&str>, cx: &RenderCx, no_bytes: bool) -> Line {
    let mut bytes: String = i.bytes.iter().map(|b| format!("{b:02x}")).collect();
    if i.is_word {
        // ARM64 shows the word, not its bytes.
        bytes = i.bytes.iter().rev().map(|b| format!("{b:02x}")).collect();
    }
    let mut line = Line::new().span(fmt::addr_span(i.address, cx.wide)).text(" ");
    if no_bytes {
        bytes.clear();
    } else {
        line = line.role(Role::Bytes, format!("{bytes:<15} "));
    }
    // Today's engine keeps one column for what stands behind the mnemonic, however long the bytes are.
    let late = cx.layout == Layout::Modern && bytes.len() > 15 && i.valid;
    let mut column = if no_bytes { 0 } else { bytes.len().max(15) + 1 };
    let mut begun = false;
    for (piece, text) in &i.text {
        let mut text = text.as_str();
        let padded;
        if late && !begun && *piece != Piece::Mnemonic && text.starts_with(' ') {
            let gap = 25usize.saturating_sub(column).max(1);
            padded = format!("{}{}", " ".repeat(gap), text.trim_start());
            text = &padded;
            begun = true;
        }
        column += text.len();
        let role = match piece {
            Piece::Mnemonic => Role::Mnemonic,
            Piece::Register => Role::Register,
            Piece::Number => Role::Value,
            Piece::Symbol => Role::Symbol,
            Piece::Other => Role::Plain,
        };
        let mut span = Span::new(role, text);
        if let (Piece::Symbol, Target::Jump(to) | Target::Branch(to) | Target::Call(Some(to))) =
            (piece, i.target)
        {
            span = span.link(Link::Goto(to));
        }
        line = line.span(span);
    }
    match operand {
        Some(text) => {
            let (start, end) = if cx.wide { (18, 50) } else { (9, 54) };
            let gap = if cx.layout == Layout::Modern { end - (start + column).min(end - 1) } else { 1 };
            line.text(" ".repeat(gap)).span(Span::untrusted(Role::Value, text))
        }
        None => line,
    }
}

impl Report for CodeReport {
    fn kind(&self) -> &'static str {
        "code"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let last = self.rows.len().saturating_sub(1);
        for (n, row) in self.rows.iter().enumerate() {
            emit(match row {
                Row::Header(h) => {
                    let name = Span::untrusted(Role::Symbol, &h.name).link(Link::Goto(h.address));
                    let mut line = Line(vec![name]);
                    if let Some((file, number)) = &h.source {
                        line = line
                            .text(" ")
                            .span(Span::untrusted(Role::Source, &format!("[{file} @ {number}]")));
                    }
                    line.text(":")
                }
                Row::Instruction(i) => {
                    let operand = self.operand.as_deref().filter(|_| n == last);
                    let mut line = instruction_line(i, operand, cx, self.no_bytes);
                    if let Some(number) = self.lines.get(&i.address) {
                        line.0.insert(0, Span::new(Role::Plain, format!("{number:>5} ")));
                    }
                    line
                }
                Row::Missing(va) => {
                    let line = Line::new().span(fmt::addr_span(*va, cx.wide));
                    if self.no_bytes {
                        emit(line.text(" ").role(Role::Dim, "???"));
                        continue;
                    }
                    line.text(" ").role(Role::Dim, format!("{:<15} ???", "??"))
                }
                Row::Blank => Line::new(),
                Row::Text(text) => Line(vec![Span::untrusted(Role::Plain, text)]),
            });
        }
        if self.rows.iter().any(|r| matches!(r, Row::Instruction(i) if i.from_image)) {
            emit(crate::commands::memory::note_line());
        }
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .filter_map(|row| {
                Some(match row {
                    Row::Header(h) => json!({
                        "address": Hex(h.address.0), "symbol": h.name,
                        "source": h.source.as_ref().map(|(file, line)| json!({ "file": file, "line": line })),
                    }),
                    Row::Instruction(i) => json!({
                        "address": Hex(i.address.0),
                        "bytes": i.bytes.iter().map(|b| format!("{b:02x}")).collect::<String>(),
                        "text": i.to_text(),
                        "target": match i.target {
                            Target::Jump(t) | Target::Branch(t) | Target::Call(Some(t)) => json!(Hex(t.0)),
                            Target::Next | Target::Away | Target::Call(None) => Value::Null,
                        },
                    }),
                    Row::Missing(va) => json!({ "address": Hex(va.0), "bytes": null, "text": null }),
                    Row::Text(text) => json!({ "note": text }),
                    Row::Blank => return None,
                })
            })
            .collect();
        json!({ "rows": rows, "operand": self.operand })
    }
}
