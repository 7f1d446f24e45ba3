//! `db dw dW dd dc dq dp df dD dyb dyd`: rows of units.

use super::options::Options;
use super::{Bytes, default_start, note_line, read_sparse};
use crate::command::CommandError;
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, Va};
use serde_json::{Value, json};

/// Bytes per report: long ranges are shown in pieces, so that they can be stopped.
const CHUNK: usize = 64 * 1024;

/// How units are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Words,
    WordsText,
    Dwords,
    DwordsText,
    Qwords,
    Floats,
    Doubles,
    BitsByte,
    BitsDword,
}

impl Unit {
    fn of(name: &str, machine: Machine) -> Option<Unit> {
        Some(match name {
            "db" => Unit::Bytes,
            "dw" => Unit::Words,
            "dW" => Unit::WordsText,
            "dd" => Unit::Dwords,
            "dc" => Unit::DwordsText,
            "dq" => Unit::Qwords,
            "dp" if machine.is_64() => Unit::Qwords,
            "dp" => Unit::Dwords,
            "df" => Unit::Floats,
            "dD" => Unit::Doubles,
            "dyb" => Unit::BitsByte,
            "dyd" => Unit::BitsDword,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Unit::Bytes | Unit::BitsByte => 1,
            Unit::Words | Unit::WordsText => 2,
            Unit::Dwords | Unit::DwordsText | Unit::Floats | Unit::BitsDword => 4,
            Unit::Qwords | Unit::Doubles => 8,
        }
    }

    fn columns(self) -> usize {
        match self {
            Unit::Bytes => 16,
            Unit::Words | Unit::WordsText => 8,
            Unit::Dwords | Unit::DwordsText | Unit::Floats | Unit::BitsByte => 4,
            Unit::Qwords | Unit::Doubles => 2,
            Unit::BitsDword => 1,
        }
    }

    /// Units shown without a length.
    fn default_count(self) -> u64 {
        match self {
            Unit::Bytes => 128,
            Unit::Words | Unit::WordsText => 64,
            Unit::Dwords | Unit::DwordsText | Unit::BitsByte => 32,
            Unit::Qwords | Unit::Floats => 16,
            Unit::Doubles => 15,
            Unit::BitsDword => 8,
        }
    }

    fn has_text(self) -> bool {
        matches!(self, Unit::Bytes | Unit::WordsText | Unit::DwordsText)
    }

    fn json_name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Words | Unit::WordsText => "words",
            Unit::Dwords | Unit::DwordsText => "dwords",
            Unit::Qwords => "qwords",
            Unit::Floats => "floats",
            Unit::Doubles => "doubles",
            Unit::BitsByte => "bits_bytes",
            Unit::BitsDword => "bits_dwords",
        }
    }

    /// Width of one shown unit, in characters.
    fn width(self) -> usize {
        match self {
            Unit::Bytes => 2,
            Unit::Words | Unit::WordsText => 4,
            Unit::Dwords | Unit::DwordsText => 8,
            Unit::Qwords => 17,
            Unit::Floats => 16,
            Unit::Doubles => 22,
            Unit::BitsByte => 8,
            Unit::BitsDword => 35,
        }
    }

    fn show(self, value: Option<u64>) -> String {
        let Some(value) = value else {
            return match self {
                Unit::Bytes => "??".to_owned(),
                Unit::Words | Unit::WordsText => "????".to_owned(),
                Unit::Qwords => "????????`????????".to_owned(),
                Unit::Floats | Unit::Doubles => format!("{:>1$}", "????????", self.width()),
                Unit::BitsDword => ["????????"; 4].join(" "),
                _ => "????????".to_owned(),
            };
        };
        match self {
            Unit::Bytes => format!("{value:02x}"),
            Unit::Words | Unit::WordsText => format!("{value:04x}"),
            Unit::Dwords | Unit::DwordsText => format!("{value:08x}"),
            Unit::Qwords => format!("{:08x}`{:08x}", value >> 32, value & 0xffff_ffff),
            Unit::Floats => {
                format!("{:>16}", crate::lang::numbers::general(f64::from(f32::from_bits(value as u32)), 8))
            }
            Unit::Doubles => format!("{:>22}", crate::lang::numbers::general(f64::from_bits(value), 12)),
            Unit::BitsByte => format!("{value:08b}"),
            Unit::BitsDword => {
                let byte = |shift: u32| format!("{:08b}", value >> shift & 0xff);
                [byte(24), byte(16), byte(8), byte(0)].join(" ")
            }
        }
    }
}

/// A stretch of memory in units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemoryReport {
    pub(crate) unit: Unit,
    pub(crate) columns: usize,
    pub(crate) bytes: Bytes,
}

impl MemoryReport {
    fn units_of_row(&self, row: usize) -> impl Iterator<Item = Option<u64>> + '_ {
        let size = self.unit.size();
        let total = self.bytes.data.len() / size;
        let first = row * self.columns;
        (first..total.min(first + self.columns)).map(move |i| self.bytes.word(i * size, size))
    }

    fn rows(&self) -> usize {
        (self.bytes.data.len() / self.unit.size()).div_ceil(self.columns.max(1))
    }

    fn address(&self, row: usize) -> Va {
        self.bytes.start.offset((row * self.columns * self.unit.size()) as u64)
    }

    fn row_text(&self, row: usize) -> String {
        let size = self.unit.size();
        let from = row * self.columns * size;
        let to = self.bytes.data.len().min(from + self.columns * size);
        (from..to).map(|i| self.bytes.char_at(i)).collect()
    }

    fn header(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let indent = " ".repeat(fmt::addr_width(cx.wide) + 2);
        let (top, names) = match self.unit {
            Unit::BitsByte => (None, ["76543210"; 4]),
            Unit::BitsDword => (
                Some(" 3          2          1          0"),
                ["10987654", "32109876", "54321098", "76543210"],
            ),
            _ => return,
        };
        if let Some(top) = top {
            emit(Line::new().role(Role::Heading, format!("{indent}{top}")));
        }
        emit(Line::new().role(Role::Heading, format!("{indent}{}", names.join(" "))));
        emit(Line::new().role(Role::Heading, format!("{indent}{}", ["--------"; 4].join(" "))));
    }

    /// One row, without a note.
    pub(crate) fn row(&self, row: usize, cx: &RenderCx) -> Line {
        let mut line = Line::new().span(fmt::addr_span(self.address(row), cx.wide)).text("  ");
        let mut shown = String::new();
        for (i, value) in self.units_of_row(row).enumerate() {
            if i > 0 {
                // db: a dash between eight bytes.
                let dash = match cx.layout {
                    Layout::Classic => i % 8 == 0,
                    // The engine writes one, whatever the number of columns.
                    Layout::Modern => i == 8,
                };
                shown.push(if self.unit == Unit::Bytes && dash { '-' } else { ' ' });
            }
            let missing = match (self.unit, cx.layout, value) {
                (Unit::Floats, Layout::Modern, None) => Some("?".repeat(16)),
                (Unit::Doubles, Layout::Modern, None) => Some("?".repeat(24)),
                _ => None,
            };
            shown.push_str(&missing.unwrap_or_else(|| self.unit.show(value)));
        }
        let right = match self.unit {
            Unit::BitsByte => {
                let hex: Vec<String> = self.units_of_row(row).map(|v| Unit::Bytes.show(v)).collect();
                Some(hex.join(" "))
            }
            Unit::BitsDword => self.units_of_row(row).next().map(|v| Unit::Dwords.show(v)),
            unit if unit.has_text() => Some(self.row_text(row)),
            _ => None,
        };
        if let Some(right) = right {
            let full = self.columns * (self.unit.width() + 1) - 1;
            line = line.role(Role::Bytes, format!("{shown:<full$}")).text("  ");
            return line.span(Span::untrusted(Role::Text, &right));
        }
        line.role(Role::Bytes, shown)
    }
}

impl Report for MemoryReport {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.header(cx, emit);
        for row in 0..self.rows() {
            emit(self.row(row, cx));
        }
        if self.bytes.from_image {
            emit(note_line());
        }
    }

    fn json(&self) -> Value {
        let value = |v: Option<u64>| match (v, self.unit) {
            (None, _) => Value::Null,
            (Some(v), Unit::Floats) => json!(f32::from_bits(v as u32)),
            (Some(v), Unit::Doubles) => json!(f64::from_bits(v)),
            (Some(v), _) => json!(Hex(v)),
        };
        let rows: Vec<Value> = (0..self.rows())
            .map(|row| {
                let values: Vec<Value> = self.units_of_row(row).map(value).collect();
                let mut out = json!({ "address": Hex(self.address(row).0), "values": values });
                if let Some(out) = out.as_object_mut().filter(|_| self.unit.has_text()) {
                    out.insert("text".into(), json!(self.row_text(row)));
                }
                out
            })
            .collect();
        json!({
            "unit": self.unit.json_name(), "unit_size": self.unit.size(), "rows": rows,
            "source": if self.bytes.from_image { "image" } else { "dump" },
        })
    }
}

pub(super) fn run(
    session: &mut Session,
    name: &str,
    args: &mut Cursor<'_>,
    options: Options,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let Some(unit) = Unit::of(name, session.sel.machine) else { return Err(args.syntax_error()) };
    let size = unit.size();
    let start = default_start(session);
    let range = args.range(session, start, unit.default_count(), size as u64)?;
    args.end()?;
    let columns = match (unit, session.sel.layout) {
        (Unit::Doubles, Layout::Modern) => 3,
        _ => unit.columns(),
    };
    let columns = options.columns.unwrap_or(columns);
    // Whole rows in each piece, so that rows do not break.
    let row = columns * size;
    let piece = (CHUNK / row).max(1) * row;
    let (mut va, mut left) = (range.start, range.bytes());
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(piece);
        let bytes = read_sparse(&**session.dump().memory(), va, len);
        if let Some(last) = bytes.word(len.saturating_sub(size), size) {
            session.language.last_value = last;
        }
        va = session.address(va.offset(len as u64).0);
        left -= len as u64;
        session.language.next_data = Some(va);
        session.emit(sink, &MemoryReport { unit, columns, bytes })?;
    }
    Ok(())
}
