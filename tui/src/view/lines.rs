//! A pane's lines as cells.

use super::theme;
use crate::config::Theme;
use crate::text::{Doc, Row};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthChar;

/// How a pane's lines are drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub theme: Theme,
    pub ascii: bool,
    /// The pane has the keys.
    pub focused: bool,
}

/// Draws the lines on screen. `mark` says what stands in front of a line (the selected thread), `tail` what is shown
/// in place of its text from a column on.
pub(super) fn draw(
    doc: &Doc,
    area: Rect,
    look: Look,
    mark: &dyn Fn(&Row) -> bool,
    tail: &dyn Fn(&Row) -> Option<(usize, String)>,
    buf: &mut Buffer,
) {
    let needle = doc.search.to_lowercase();
    let wrapped = doc.wrapped_at();
    for y in 0..area.height {
        let Some((shown, part)) = doc.at_screen_line(y.into()) else { return };
        let Some(row) = doc.row(shown) else { return };
        // The first column on this line of the screen.
        let left = wrapped.map_or(doc.left, |columns| part.saturating_mul(columns));
        let here = look.focused && shown == doc.cursor;
        let line = Rect { y: area.y + y, height: 1, ..area };
        if here {
            buf.set_style(line, theme::cursor_line(look.theme));
        }
        let marked = mark(row);
        let sign = match (here, marked, look.ascii) {
            (_, true, true) => "*",
            (_, true, false) => "●",
            (true, false, true) => ">",
            (true, false, false) => "▸",
            (false, false, _) => " ",
        };
        let sign = if part > 0 { " " } else { sign };
        buf.set_stringn(line.x, line.y, sign, 1, theme::border(look.theme, here || marked));
        let selected = if here { doc.link } else { None };
        let text = Rect { x: line.x + 1, width: line.width.saturating_sub(1), ..line };
        let tail = tail(row).filter(|_| left == 0);
        if let Some((column, tail)) = tail {
            let column = u16::try_from(column).unwrap_or(0).min(text.width);
            spans(row, 0, selected, here, Rect { width: column, ..text }, Look { ascii: true, ..look }, buf);
            let x = text.x + column;
            let style = theme::style(look.theme, dumpscope_engine::Role::Plain);
            // Over the sign that the line goes on.
            let x = x.saturating_sub(1);
            buf.set_stringn(
                x,
                text.y,
                format!(" {tail}"),
                usize::from(text.right().saturating_sub(x)),
                style,
            );
        } else {
            spans(row, left, selected, here, text, look, buf);
            if wrapped.is_none() {
                cut_sign(row, left, text, look, buf);
            }
        }
        if !needle.is_empty() && row.folded.contains(&needle) {
            hits(row, &needle, left, text, look.theme, buf);
        }
    }
}

/// Draws a line from column `left` on.
fn spans(
    row: &Row,
    left: usize,
    selected: Option<usize>,
    here: bool,
    area: Rect,
    look: Look,
    buf: &mut Buffer,
) {
    let mut column = 0usize;
    let mut links = 0usize;
    let end = left.saturating_add(usize::from(area.width));
    for span in &row.line.0 {
        let mut style = theme::style(look.theme, span.role);
        if span.link.is_some() {
            if here || look.theme == Theme::None {
                style = style.add_modifier(Modifier::UNDERLINED);
            }
            if selected == Some(links) {
                style = style.add_modifier(Modifier::REVERSED);
            }
            links += 1;
        }
        // Wholly in view is the common case: one write.
        let width = unicode_width::UnicodeWidthStr::width(span.text.as_str());
        if column >= left && column.saturating_add(width) <= end {
            put(&span.text, column - left, style, area, buf);
            column += width;
            continue;
        }
        for c in span.text.chars() {
            let width = c.width().unwrap_or(0);
            if column >= left && column.saturating_add(width) <= end {
                put(c.encode_utf8(&mut [0; 4]), column - left, style, area, buf);
            } else if column >= left {
                return;
            }
            column = column.saturating_add(width);
        }
    }
}

/// Marks a line that goes on to the right of the screen.
fn cut_sign(row: &Row, left: usize, area: Rect, look: Look, buf: &mut Buffer) {
    if row.width() > left.saturating_add(area.width.into()) && area.width > 0 {
        let sign = if look.ascii { ">" } else { "›" };
        buf.set_stringn(area.right() - 1, area.y, sign, 1, theme::border(look.theme, true));
    }
}

fn put(text: &str, column: usize, style: Style, area: Rect, buf: &mut Buffer) {
    let Ok(column) = u16::try_from(column) else { return };
    let x = area.x.saturating_add(column);
    if x < area.right() {
        buf.set_stringn(x, area.y, text, usize::from(area.right() - x), style);
    }
}

/// Marks what was searched for.
fn hits(row: &Row, needle: &str, left: usize, area: Rect, theme: Theme, buf: &mut Buffer) {
    // Positions in the folded text are those on screen as long as folding changes no widths; elsewhere the line is
    // found but its mark may be off.
    let mut from = 0usize;
    while let Some(at) = row.folded.get(from..).and_then(|t| t.find(needle)) {
        let at = from + at;
        let before = row.folded.get(..at).unwrap_or("");
        let column = unicode_width::UnicodeWidthStr::width(before);
        let width = unicode_width::UnicodeWidthStr::width(needle);
        let (start, end) = (column.max(left) - left, column.saturating_add(width).saturating_sub(left));
        let (Ok(start), Ok(end)) = (u16::try_from(start), u16::try_from(end)) else { return };
        let x = area.x.saturating_add(start).min(area.right());
        let right = area.x.saturating_add(end).min(area.right());
        if column.saturating_add(width) > left && x < right {
            buf.set_style(Rect::new(x, area.y, right - x, 1), theme::hit(theme));
        }
        from = at + needle.len();
    }
}
