//! `da du ds dS`: text.

use super::options::Options;
use super::{default_start, note_line, read_sparse};
use crate::command::CommandError;
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::base::MAX_STRING;
use dumpscope_core::base::text::is_unsafe;
use dumpscope_core::{ReadMemory, Va};
use serde_json::{Value, json};

/// Characters per row.
const ROW: usize = 32;
/// Rows of a text without an end that the engine shows.
const MAX_ROWS: usize = 12;

/// Text in rows; `None` for characters that are not known.
pub(super) struct TextReport {
    start: Va,
    /// Bytes of a character.
    unit: usize,
    columns: usize,
    chars: Vec<Option<u16>>,
    /// The user gave a length.
    given: bool,
    from_image: bool,
}

/// Characters as the engine shows them: what is no printable ASCII is a dot, of UTF-16 above one byte a question mark.
pub(super) fn engine_chars(chars: &[Option<u16>], unit: usize) -> String {
    let one = |c: &Option<u16>| match c {
        Some(b @ 0x20..=0x7e) => char::from_u32((*b).into()).unwrap_or('.'),
        Some(0x100..) if unit == 2 => '?',
        Some(_) => '.',
        None => '?',
    };
    chars.iter().map(one).collect()
}

impl TextReport {
    fn show(&self, chars: &[Option<u16>]) -> String {
        if self.unit == 1 {
            let one = |c: &Option<u16>| match c {
                Some(b @ 0x20..=0x7e) => char::from_u32((*b).into()).unwrap_or('.'),
                Some(_) => '.',
                None => '?',
            };
            return chars.iter().map(one).collect();
        }
        let units = chars.iter().map(|c| c.unwrap_or(u16::from(b'?')));
        char::decode_utf16(units)
            .map(|c| c.unwrap_or('.'))
            .map(|c| if is_unsafe(c) { '.' } else { c })
            .collect()
    }
}

impl Report for TextReport {
    fn kind(&self) -> &'static str {
        "text"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut row = |address: Va, text: &str| {
            let line = Line::new().span(fmt::addr_span(address, cx.wide)).text("  ");
            emit(line.span(Span::untrusted(Role::Text, &format!("\"{text}\""))));
        };
        if cx.layout == Layout::Modern {
            if self.chars.is_empty() && !self.given {
                row(self.start, "");
            }
            for (i, chars) in self.chars.chunks(self.columns.max(1)).enumerate() {
                let offset = (i * self.columns * self.unit) as u64;
                row(self.start.offset(offset), &engine_chars(chars, self.unit));
            }
        } else if self.chars.first().is_some_and(Option::is_none) && self.chars.iter().all(Option::is_none) {
            row(self.start, "????????");
        } else if self.chars.is_empty() {
            row(self.start, "");
        } else {
            for (i, chars) in self.chars.chunks(self.columns.max(1)).enumerate() {
                let offset = (i * self.columns * self.unit) as u64;
                row(self.start.offset(offset), &self.show(chars));
            }
        }
        if self.from_image {
            emit(note_line());
        }
    }

    fn json(&self) -> Value {
        let known = self.chars.is_empty() || self.chars.iter().any(Option::is_some);
        json!({
            "address": Hex(self.start.0),
            "encoding": if self.unit == 1 { "ansi" } else { "utf-16" },
            "text": known.then(|| self.show(&self.chars)),
            "source": if self.from_image { "image" } else { "dump" },
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
    let unit = if name == "du" { 2 } else { 1 };
    let start = default_start(session);
    let columns = options.columns.unwrap_or(ROW);
    let modern = session.sel.layout == Layout::Modern;
    let most = if modern { (MAX_ROWS * columns).min(MAX_STRING / unit) } else { MAX_STRING / unit };
    let range = args.range(session, start, most as u64, unit as u64)?;
    args.end()?;
    let (mut va, mut left) = (range.start, range.bytes());
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(MAX_STRING);
        let mut report = read(session, va, len, unit, columns);
        report.given = range.given;
        left -= len as u64;
        let mut shown = len;
        if modern {
            // Up to the NUL, over what is not known.
            if let Some(end) = report.chars.iter().position(|c| *c == Some(0)) {
                report.chars.truncate(end);
                shown = (end + 1) * unit;
                left = 0;
            }
        } else if !range.given {
            // Up to the NUL, or to the first byte that is not known.
            let end =
                report.chars.iter().position(|c| matches!(c, None | Some(0))).unwrap_or(report.chars.len());
            if end > 0 || report.chars.first() == Some(&Some(0)) {
                report.chars.truncate(end);
                shown = (end + 1) * unit;
            } else {
                report.chars.truncate(1);
                shown = columns * unit;
            }
            left = 0;
        }
        va = session.address(va.offset(shown as u64).0);
        session.language.next_data = Some(va);
        session.emit(sink, &report)?;
    }
    Ok(())
}

fn read(session: &Session, start: Va, len: usize, unit: usize, columns: usize) -> TextReport {
    let bytes = read_sparse(&**session.dump().memory(), start, len);
    let chars = (0..len / unit).map(|i| bytes.word(i * unit, unit).map(|v| v as u16)).collect();
    TextReport { start, unit, columns, chars, given: false, from_image: bytes.from_image }
}

/// `ds`, `dS`: `Length` and `MaximumLength` (16 bits each, bytes), then a pointer, aligned.
pub(super) fn run_counted(
    session: &mut Session,
    name: &str,
    args: &mut Cursor<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let unit = if name == "dS" { 2usize } else { 1 };
    let at = args.pos();
    let modern = session.sel.layout == Layout::Modern;
    let va = match modern {
        true => args.range(session, None, 1, 1)?.start,
        false => args.address(session)?,
    };
    args.end()?;
    let machine = session.sel.machine;
    let memory = session.dump().memory();
    let header =
        (memory.u16(va), memory.u16(va.offset(2)), memory.ptr(va.offset(machine.ptr_size() as u64), machine));
    let (Some(length), Some(maximum), Some(buffer)) = header else {
        return if modern { Ok(()) } else { Err(CommandError::caret(at, "Memory access error")) };
    };
    if modern {
        let mut report = read(session, buffer, usize::from(length), unit, ROW);
        report.given = true;
        if let Some(end) = report.chars.iter().position(|c| *c == Some(0)) {
            report.chars.truncate(end);
        }
        session.language.next_data = Some(session.address(buffer.offset(length.into()).0));
        return session.emit(sink, &report);
    }
    if length > maximum || usize::from(length) % unit != 0 {
        return Err(CommandError::noted(
            format!("Length {length:#x} does not fit MaximumLength {maximum:#x}"),
            "The address holds no such structure.",
        ));
    }
    let report = read(session, buffer, usize::from(length), unit, ROW);
    session.language.next_data = Some(session.address(buffer.offset(length.into()).0));
    session.emit(sink, &report)
}
