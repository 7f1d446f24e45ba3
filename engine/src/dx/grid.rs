//! `dx -g`: a list as a table, a row for each element, a column for each member.

use super::Format;
use super::print::{LIST, Options, inherited, key_name};
use super::value::{Child, Key, Label, Val};
use super::world::{Env, World};
use crate::doc::{Answer, Line, RenderCx, Role, Span};
use dumpscope_core::base::text::escape;
use serde::Serialize;

/// Most columns.
const MAX_COLUMNS: usize = 64;
/// Narrowest column of values.
const NARROW: usize = 6;
const EMPTY: &str = "Warning: The specified container expression is empty.  There is no grid to display.";

/// A table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DxGrid {
    /// Names of the members.
    columns: Vec<String>,
    rows: Vec<GridRow>,
    #[serde(skip)]
    width: usize,
    #[serde(skip)]
    widths: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct GridRow {
    name: String,
    value: Option<String>,
    cells: Vec<Option<String>>,
}

impl GridRow {
    fn title(&self) -> String {
        match &self.value {
            Some(value) => format!("{} : {value}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Answer for DxGrid {
    const KIND: &'static str = "object_grid";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.rows.is_empty() {
            emit(Line::new().role(Role::Warning, EMPTY));
            return;
        }
        let total = self.width + 3 + self.widths.iter().map(|w| w + 2).sum::<usize>();
        let rule = "=".repeat(total);
        emit(Line::new().role(Role::Dim, rule.as_str()));
        let mut line = Line::plain(format!("= {}", " ".repeat(self.width)));
        for (name, width) in self.columns.iter().zip(&self.widths) {
            // The engine escapes names for its window, not their width.
            let shown = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let gap = width.saturating_sub(name.chars().count());
            line = line.text("= ").span(Span::untrusted(Role::Heading, &shown)).text(" ".repeat(gap));
        }
        emit(line.text("="));
        emit(Line::new().role(Role::Dim, rule.as_str()));
        for row in &self.rows {
            let mut line = Line::plain("= ").span(padded(Role::Label, &row.title(), self.width));
            for (cell, width) in row.cells.iter().zip(&self.widths) {
                line = line.text("- ").span(padded(Role::Value, cell.as_deref().unwrap_or(""), *width));
            }
            emit(line.text("="));
        }
        emit(Line::new().role(Role::Dim, rule.as_str()));
    }
}

fn padded(role: Role, text: &str, width: usize) -> Span {
    let gap = width.saturating_sub(text.chars().count());
    Span::untrusted(role, &format!("{text}{}", " ".repeat(gap)))
}

impl World<'_> {
    /// Evaluates a text and lists what it is as a table.
    ///
    /// # Errors
    /// The engine's words, to stand behind `Error: `.
    pub(crate) fn grid(&self, text: &str, options: &Options) -> Result<DxGrid, String> {
        let (val, format) = self.evaluate(text, &Env::default())?;
        if let Val::Failed(why) = val {
            return Err(why);
        }
        let children = self.children(&val, &format, options.skip, LIST);
        let list = children.iter().any(|c| c.item);
        // The engine's tables leave out what a view finds by a name.
        let named = |c: &Child| matches!((&val, &c.label), (Val::Typed(_), Label::Key(Key::Text(_))));
        let mut columns: Vec<String> = Vec::new();
        let mut rows: Vec<(Child, Vec<(String, String)>)> = Vec::new();
        for child in children.into_iter().filter(|c| (!list || c.item) && !named(c)).take(LIST) {
            let format = inherited(&format, child.format.as_ref());
            let mut cells = Vec::new();
            // What a pointer leads to has no name, texts' lengths are no columns.
            if !matches!(child.val, Val::Text(_)) {
                for inner in self.children(&child.val, &format, 0, LIST) {
                    let name = key_name(&inner.label, &format);
                    if name.is_empty() || matches!(inner.val, Val::Method(_)) {
                        continue;
                    }
                    if !columns.contains(&name) && columns.len() < MAX_COLUMNS {
                        columns.push(name.clone());
                    }
                    cells.push((name, self.cell(&inner, &format)));
                }
            }
            rows.push((child, cells));
        }
        let clean = |text: &str| escape(text).into_owned();
        let made: Vec<GridRow> = rows
            .iter()
            .map(|(child, cells)| GridRow {
                name: clean(&key_name(&child.label, &format)),
                value: self.text(&child.val, &inherited(&format, None), 0).ok().flatten().map(|t| clean(&t)),
                cells: columns
                    .iter()
                    .map(|c| cells.iter().find(|(n, _)| n == c).map(|(_, text)| clean(text)))
                    .collect(),
            })
            .collect();
        let count = |text: &str| text.chars().count();
        let title = |r: &GridRow| count(&r.title()) + if r.value.is_some() { 1 } else { 4 };
        let width = made.iter().map(title).max().unwrap_or(0);
        let cell = |text: &str| count(text) + if text == OPEN { 1 } else { 4 };
        let widths = (0..columns.len()).map(|i| {
            let cells = made.iter().filter_map(|r| r.cells.get(i)?.as_deref());
            let head = columns.get(i).map_or(0, |c| count(c) + 1);
            cells.map(cell).chain([head, NARROW]).max().unwrap_or(NARROW)
        });
        let widths = widths.collect();
        Ok(DxGrid { columns, rows: made, width, widths })
    }

    fn cell(&self, child: &Child, format: &Format) -> String {
        if let Some(text) = &child.text {
            return text.clone();
        }
        if child.closed {
            return OPEN.into();
        }
        match self.text(&child.val, &inherited(format, child.format.as_ref()), 0) {
            Ok(Some(text)) => text,
            Ok(None) if matches!(child.val, Val::Absent) => String::new(),
            Ok(None) => OPEN.into(),
            Err(why) => why,
        }
    }
}

/// A cell that has members of its own.
const OPEN: &str = "{...}";
