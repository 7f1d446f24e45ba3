//! `dds dps dqs`, `dda … dqp`: words with what they lead to.

use super::options::Options;
use super::{default_start, note_line, read_sparse};
use crate::command::CommandError;
use crate::doc::{Line, Link, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, ReadMemory, Va};
use serde_json::{Value, json};

/// Longest text behind a pointer, characters.
const MAX_TEXT: usize = 256;
/// Rows per report.
const CHUNK: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Symbol,
    Ansi,
    Wide,
    Pointer,
}

/// Size of the words, and what they lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    size: usize,
    target: Target,
}

/// `None` when the name is of another family.
pub(super) fn kind(name: &str, machine: Machine) -> Option<Kind> {
    let mut letters = name.strip_prefix('d')?.chars();
    let size = match letters.next()? {
        'd' => 4,
        'q' => 8,
        'p' => machine.ptr_size(),
        _ => return None,
    };
    let target = match letters.next()? {
        's' => Target::Symbol,
        'a' => Target::Ansi,
        'u' => Target::Wide,
        'p' => Target::Pointer,
        _ => return None,
    };
    letters.next().is_none().then_some(Kind { size, target })
}

struct Row {
    address: Va,
    value: Option<u64>,
    /// Symbol of the value (`dps`) or of the word behind it (`dpp`).
    symbol: Option<String>,
    text: Option<String>,
    /// The word behind the value (`dpp`).
    behind: Option<u64>,
}

struct RefsReport {
    kind: Kind,
    rows: Vec<Row>,
    columns: usize,
    from_image: bool,
}

fn word(value: Option<u64>, size: usize) -> String {
    match value {
        Some(v) => fmt::addr(Va(v), size == 8),
        None if size == 8 => "????????`????????".to_owned(),
        None => "????????".to_owned(),
    }
}

impl Report for RefsReport {
    fn kind(&self) -> &'static str {
        "pointers"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        // The engine shows only what can be read behind a pointer.
        let modern = cx.layout == Layout::Modern;
        let mut whole = Line::new();
        for (i, row) in self.rows.iter().enumerate() {
            let first = i % self.columns.max(1) == 0;
            let mut line = match first {
                true => Line::new().span(fmt::addr_span(row.address, cx.wide)).text("  "),
                false => std::mem::take(&mut whole).text(" "),
            };
            let mut value = Span::new(Role::Value, word(row.value, self.kind.size));
            if let (Some(v), true) = (row.value, row.symbol.is_some() || self.kind.target != Target::Symbol) {
                value = value.link(Link::Goto(Va(v)));
            }
            line = line.span(value);
            if row.value.is_some() {
                match self.kind.target {
                    Target::Symbol => {}
                    Target::Pointer if modern && row.behind.is_none() => {}
                    Target::Ansi | Target::Wide if modern && row.text.is_none() => {}
                    Target::Pointer => {
                        line = line.text(" ").role(Role::Value, word(row.behind, self.kind.size))
                    }
                    Target::Ansi | Target::Wide => {
                        let text = row.text.as_ref().map_or("????????".to_owned(), |t| format!("\"{t}\""));
                        line = line.text(" ").span(Span::untrusted(Role::Text, &text));
                    }
                }
            }
            if let Some(symbol) = &row.symbol {
                line = line.text(" ").span(Span::untrusted(Role::Symbol, symbol));
            }
            if (i + 1) % self.columns.max(1) == 0 || i + 1 == self.rows.len() {
                emit(line);
            } else {
                whole = line;
            }
        }
        if self.from_image {
            emit(note_line());
        }
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|r| {
                let mut row = json!({ "address": Hex(r.address.0), "value": r.value.map(Hex) });
                let Some(fields) = row.as_object_mut() else { return Value::Null };
                match self.kind.target {
                    Target::Symbol => {}
                    Target::Pointer => drop(fields.insert("points_to".into(), json!(r.behind.map(Hex)))),
                    Target::Ansi | Target::Wide => drop(fields.insert("text".into(), json!(r.text))),
                }
                if matches!(self.kind.target, Target::Symbol | Target::Pointer) {
                    fields.insert("symbol".into(), json!(r.symbol));
                }
                row
            })
            .collect();
        json!({ "unit_size": self.kind.size, "rows": rows })
    }
}

pub(super) fn run(
    session: &mut Session,
    kind: Kind,
    args: &mut Cursor<'_>,
    options: Options,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let columns = options.columns.unwrap_or(1);
    let default_count = 128 / kind.size as u64;
    let start = default_start(session);
    let range = args.range(session, start, default_count, kind.size as u64)?;
    args.end()?;
    let (mut va, mut left) = (range.start, range.count);
    while left > 0 {
        // Whole rows in each piece.
        let count = left.min((CHUNK / columns as u64).max(1) * columns as u64);
        let len = usize::try_from(count).unwrap_or(0) * kind.size;
        let bytes = read_sparse(&**session.dump().memory(), va, len);
        let rows = (0..len / kind.size)
            .map(|i| {
                let address = session.address(va.offset((i * kind.size) as u64).0);
                row(session, kind, address, bytes.word(i * kind.size, kind.size))
            })
            .collect::<Vec<_>>();
        if let Some(Some(last)) = rows.last().map(|r| r.value) {
            session.language.last_value = last;
        }
        va = session.address(va.offset(len as u64).0);
        left -= count;
        session.language.next_data = Some(va);
        session.emit(sink, &RefsReport { kind, rows, columns, from_image: bytes.from_image })?;
    }
    Ok(())
}

fn row(session: &Session, kind: Kind, address: Va, value: Option<u64>) -> Row {
    let mut row = Row { address, value, symbol: None, text: None, behind: None };
    let Some(value) = value else { return row };
    let memory = session.dump().memory();
    let pointer = session.address(value);
    match kind.target {
        Target::Symbol => row.symbol = session.name_of(pointer).map(|name| name + &source(session, pointer)),
        Target::Ansi if session.sel.layout == Layout::Modern => row.text = engine_text(session, pointer, 1),
        Target::Wide if session.sel.layout == Layout::Modern => row.text = engine_text(session, pointer, 2),
        Target::Ansi => {
            row.text =
                memory.c_str(pointer, MAX_TEXT).map(|b| printable(b.iter().map(|b| char::from(*b)), true));
        }
        Target::Wide => row.text = memory.w_str(pointer, MAX_TEXT).map(|t| printable(t.chars(), false)),
        Target::Pointer => {
            row.behind =
                if kind.size == 8 { memory.u64(pointer) } else { memory.u32(pointer).map(u64::from) };
            row.symbol = row.behind.and_then(|v| session.name_of(session.address(v)));
        }
    }
    row
}

/// The text behind a pointer as the engine shows it: `None` when nothing can be read or it has no end in sight.
fn engine_text(session: &Session, va: Va, unit: usize) -> Option<String> {
    let mut buf = vec![0u8; MAX_TEXT * unit];
    let got = session.dump().memory().read_at(va, &mut buf).got;
    let chars: Vec<Option<u16>> = buf
        .get(..got)?
        .chunks_exact(unit)
        .map(|c| c.iter().rev().fold(0u16, |n, b| n << 8 | u16::from(*b)))
        .take_while(|c| *c != 0)
        .map(Some)
        .collect();
    (got >= unit && (chars.len() * unit < got)).then(|| super::text::engine_chars(&chars, unit))
}

fn printable(chars: impl Iterator<Item = char>, ascii: bool) -> String {
    let bad =
        |c: char| c.is_control() || dumpscope_core::base::text::is_unsafe(c) || (ascii && !c.is_ascii());
    chars.map(|c| if bad(c) { '.' } else { c }).collect()
}

/// ` [file @ line]`, where today's engine shows lines.
fn source(session: &Session, va: Va) -> String {
    let shown = session.sel.layout == Layout::Modern && session.sel.lines;
    let line = if shown { session.target.symbols.line(va) } else { None };
    line.map_or(String::new(), |l| format!(" [{} @ {}]", l.file, l.line))
}
