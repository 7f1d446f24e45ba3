//! What `dt` and `??` print.

use super::rows::DtRow;
use crate::doc::{Answer, Line, Link, RenderCx, Role, Span};
use crate::fmt::{self, Hex};
use dumpscope_core::Va;
use serde::Serialize;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) wide: bool,
    pub(crate) verbose: bool,
    /// `-o`.
    pub(crate) no_offsets: bool,
    /// `-i`.
    pub(crate) flat: bool,
    /// `-c`.
    pub(crate) compact: bool,
}

/// An enumerator of an enumeration that is shown without an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EnumeratorRow {
    /// Untrusted.
    pub(crate) name: String,
    pub(crate) value: i64,
}

/// A type's layout, or an object's values.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct DtReport {
    /// WinDbg's name of the module that the type is of.
    pub(crate) module: Option<String>,
    /// Untrusted.
    pub(crate) name: String,
    pub(crate) size: Option<u64>,
    /// Where the layout came from.
    pub(crate) source: String,
    /// Sizes of all definitions with the name, when there are several.
    pub(crate) ambiguous: Vec<u64>,
    pub(crate) address: Option<Hex>,
    /// The value of an object that is no structure. Untrusted.
    pub(crate) value: Option<String>,
    pub(crate) rows: Vec<DtRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) enumerators: Vec<EnumeratorRow>,
    /// The first address whose memory is not in the dump.
    pub(crate) unread: Option<Hex>,
    /// There are more rows than are shown.
    pub(crate) cut: bool,
    /// Lines before the rows (`Local var @ …`). Untrusted.
    #[serde(skip)]
    pub(crate) headings: Vec<String>,
    #[serde(skip)]
    pub(crate) style: Style,
    #[serde(skip)]
    pub(crate) built_in: bool,
}

impl Answer for DtReport {
    const KIND: &'static str = "type";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if !self.ambiguous.is_empty() {
            let full = match &self.module {
                Some(m) => format!("{m}!{}", self.name),
                None => self.name.clone(),
            };
            let title = format!("Ambiguous matches found for {} (dumping largest sized):", self.name);
            emit(Line::new().span(Span::untrusted(Role::Plain, &title)));
            for size in &self.ambiguous {
                let text = format!("    {full} {{0x{size:03x} bytes}}");
                emit(Line::new().span(Span::untrusted(Role::Type, &text)));
            }
        }
        for heading in &self.headings {
            emit(Line::new().span(Span::untrusted(Role::Type, heading)));
        }
        if let Some(value) = &self.value {
            emit(Line::new().span(Span::untrusted(Role::Value, value)));
        }
        rows(&self.rows, self.style, emit);
        for e in &self.enumerators {
            let name = Span::untrusted(Role::Label, &e.name);
            emit(Line::plain("   ").span(name).text(" = ").role(Role::Value, format!("0n{}", e.value)));
        }
        if let Some(va) = self.unread {
            let text = format!("Memory read error {}", fmt::addr_plain(Va(va.0), self.style.wide));
            emit(Line::new().role(Role::Warning, text));
        }
        let note = |text: String| Line::new().role(Role::Note, format!("note: {text}"));
        if self.cut {
            emit(note(format!("only the first {} rows are shown", super::rows::MAX_ROWS)));
        }
        if self.built_in {
            emit(note(format!("{}; no symbol file has this type", self.source)));
        } else if self.style.verbose {
            let of = self.module.as_deref().map_or(String::new(), |m| format!(" of {m}"));
            emit(note(format!("from the {}{of}", self.source)));
        }
    }
}

/// Rows in WinDbg's columns.
pub(crate) fn rows(rows: &[DtRow], style: Style, emit: &mut dyn FnMut(Line)) {
    if style.compact {
        let mut line = Line::plain("  ");
        for row in rows {
            line = line.text(" ");
            for span in columns(row, style, false).0 {
                line = line.span(span);
            }
        }
        emit(line);
        return;
    }
    for row in rows {
        let indent = if style.flat { 0 } else { usize::try_from(row.depth).unwrap_or(0) };
        let blanks = "   ".repeat(indent.saturating_add(1));
        let mut line = Line::plain(blanks.clone());
        for span in columns(row, style, true).0 {
            line = line.span(span);
        }
        emit(line);
        for element in &row.elements {
            emit(Line::plain(format!("{blanks} ")).span(Span::untrusted(Role::Value, element)));
        }
    }
}

fn columns(row: &DtRow, style: Style, pad: bool) -> Line {
    let place = match (row.offset, row.address) {
        (Some(o), _) => Span::new(Role::Address, format!("+0x{:03x}", o.0)),
        (None, Some(a)) => {
            let va = Va(a.0);
            Span::new(Role::Address, format!("={}", fmt::addr(va, style.wide))).link(Link::Goto(va))
        }
        (None, None) => Span::new(Role::Address, "+?????"),
    };
    let name = if row.table || !pad { row.name.clone() } else { format!("{:<16}", row.name) };
    let mut line = Line::new();
    if !style.no_offsets {
        line = line.span(place).text(" ");
    }
    line = line.span(Span::untrusted(Role::Label, &name)).text(" : ");
    let value = match &row.value {
        _ if row.path => "",
        Some(value) => value,
        None => &row.ty,
    };
    line.span(Span::untrusted(Role::Value, value))
}
