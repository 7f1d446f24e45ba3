//! What lies over the panes.

use super::lines::{self, Look};
use super::{block, theme};
use crate::state::{Ask, Popup, State};
use crate::update::palette;
use dumpscope_engine::Role;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

/// A frame in the middle of the screen.
fn open(state: &State, title: &str, width: u16, height: u16, frame: &mut Frame<'_>) -> Rect {
    let all = frame.area();
    let (width, height) = (width.min(all.width), height.min(all.height));
    let area =
        Rect { x: all.x + (all.width - width) / 2, y: all.y + (all.height - height) / 3, width, height };
    let buf = frame.buffer_mut();
    Clear.render(area, buf);
    block(state.settings.theme, state.settings.ascii, true).render(area, buf);
    let style = theme::style(state.settings.theme, Role::Heading);
    buf.set_stringn(area.x + 1, area.y, format!("[{title}]"), usize::from(width.saturating_sub(2)), style);
    area.inner(ratatui::layout::Margin { horizontal: 1, vertical: 1 })
}

pub(super) fn draw(state: &State, popup: &Popup, frame: &mut Frame<'_>) {
    let all = frame.area();
    let theme = state.settings.theme;
    match popup {
        Popup::Read(title, doc) => {
            let inner = open(state, title, 100, all.height.saturating_sub(4).max(3), frame);
            let look = Look { theme, ascii: state.settings.ascii, focused: false };
            lines::draw(doc, inner, look, &|_| false, &|_| None, frame.buffer_mut());
            let more = if doc.top + usize::from(inner.height) < doc.len() { "PgDn: more  " } else { "" };
            let text = format!(" {more}Esc: close ");
            frame.buffer_mut().set_stringn(
                inner.x,
                inner.bottom(),
                text,
                usize::from(inner.width),
                theme::border(theme, true),
            );
        }
        Popup::Palette(input, at) => {
            let items = palette(state, &input.text());
            let inner = open(state, "Palette", 96, 17, frame);
            let y = inner.y;
            let buf = frame.buffer_mut();
            let (x, _) = buf.set_stringn(inner.x, y, "> ", 2, theme::style(theme, Role::Prompt));
            buf.set_stringn(
                x,
                y,
                input.text(),
                usize::from(inner.right().saturating_sub(x)),
                theme::style(theme, Role::Plain),
            );
            let list: Vec<(String, String)> = items.into_iter().map(|(a, b, _)| (a, b)).collect();
            let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
            choices(state, &list, *at, below, frame);
            cursor(x, y, &input.before(), inner, frame);
        }
        Popup::Menu(title, items, at) => {
            let list: Vec<(String, String)> = items.iter().map(|(t, _)| (t.clone(), String::new())).collect();
            let height = u16::try_from(list.len()).unwrap_or(20).saturating_add(2);
            let inner = open(state, title, 50, height, frame);
            choices(state, &list, *at, inner, frame);
        }
        Popup::Ask(ask, input) => {
            let label = match ask {
                Ask::Search(_) => "Search: ",
                Ask::Filter => "Show only lines with: ",
                Ask::Address => "Address expression: ",
                Ask::SavePane => "Save the pane to: ",
                Ask::SaveTranscript => "Save the output to: ",
                Ask::Open => "Open the dump: ",
            };
            // In the place of the status line: the pane stays in view.
            let line = Rect { y: all.bottom() - 1, height: 1, ..all };
            let buf = frame.buffer_mut();
            Clear.render(line, buf);
            let style = theme::style(theme, Role::Prompt);
            let (x, y) = buf.set_stringn(line.x + 1, line.y, label, usize::from(line.width), style);
            let room = usize::from(line.right().saturating_sub(x));
            let text = input.text();
            let skip = input.cursor().saturating_sub(room.saturating_sub(1));
            let shown: String = text.chars().skip(skip).collect();
            let before: String = input.before().chars().skip(skip).collect();
            buf.set_stringn(x, y, shown, room, theme::style(theme, Role::Plain));
            if let Some((role, text)) = &state.notice {
                let width = u16::try_from(text.width()).unwrap_or(u16::MAX);
                if width < line.width / 3 {
                    buf.set_stringn(
                        line.right() - width - 1,
                        y,
                        text,
                        usize::from(width),
                        theme::style(theme, *role),
                    );
                }
            }
            cursor(x, y, &before, line, frame);
            if *ask == Ask::Open && !state.start.paths.is_empty() {
                let list: Vec<(String, String)> =
                    state.start.paths.iter().take(10).map(|p| (p.clone(), String::new())).collect();
                let inner = open(state, "Files", 96, 12, frame);
                choices(state, &list, usize::MAX, inner, frame);
            }
        }
    }
}

fn cursor(x: u16, y: u16, before: &str, area: Rect, frame: &mut Frame<'_>) {
    let at = x.saturating_add(u16::try_from(before.width()).unwrap_or(0));
    frame.set_cursor_position(Position { x: at.min(area.right()), y });
}

/// A list with the selected item in view.
pub(super) fn choices(
    state: &State,
    items: &[(String, String)],
    at: usize,
    area: Rect,
    frame: &mut Frame<'_>,
) {
    let theme = state.settings.theme;
    let rows = usize::from(area.height).max(1);
    let first = if at == usize::MAX { 0 } else { at.saturating_sub(rows - 1) };
    let buf = frame.buffer_mut();
    for (y, (i, (text, right))) in (area.y..area.bottom()).zip(items.iter().enumerate().skip(first)) {
        let mut style = theme::style(theme, Role::Plain);
        if i == at {
            style = style.add_modifier(Modifier::REVERSED);
            buf.set_style(Rect { y, height: 1, ..area }, style);
        }
        let width = usize::from(area.width);
        let text = dumpscope_core::base::text::escape(text);
        buf.set_stringn(area.x, y, format!(" {text}"), width, style);
        let used = text.width() + 3;
        if used < width && !right.is_empty() {
            let room = width - used;
            let shown: String = right.chars().take(room).collect();
            let x = area.right().saturating_sub(u16::try_from(shown.width()).unwrap_or(0));
            let dim = theme::style(theme, Role::Dim);
            let style = if i == at { style } else { dim };
            buf.set_stringn(x, y, shown, room, style);
        }
    }
}
