//! The start screen.

use super::{popup, theme};
use crate::state::State;
use dumpscope_engine::Role;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use unicode_width::UnicodeWidthStr;

pub(super) fn draw(state: &State, frame: &mut Frame<'_>) {
    let theme = state.settings.theme;
    let all = frame.area();
    let width = all.width.min(96);
    let x = all.x + (all.width - width) / 2;
    let mut y = all.y + all.height / 8;
    let room = usize::from(width);
    let buf = frame.buffer_mut();
    let mut line = |text: &str, role: Role, y: u16| {
        if y < all.bottom() {
            buf.set_stringn(x, y, text, room, theme::style(theme, role));
        }
    };
    line("dumpscope", Role::Heading, y);
    line("Says why a Windows process crashed or hung, from its dump.", Role::Plain, y + 1);
    y += 3;
    line("Open a dump (Tab completes the path, Enter opens it):", Role::Label, y);
    y += 1;
    let label = "> ";
    line(label, Role::Prompt, y);
    let text = state.start.path.text();
    let before = state.start.path.before();
    let inside = room.saturating_sub(3);
    let skip = before.chars().count().saturating_sub(inside);
    let shown: String = text.chars().skip(skip).collect();
    if y < all.bottom() {
        buf.set_stringn(x + 2, y, &shown, inside, theme::style(theme, Role::Plain));
    }
    let cursor: String = before.chars().skip(skip).collect();
    let path_y = y;
    y += 1;
    let names: Vec<(String, String)> =
        state.start.paths.iter().take(8).map(|p| (p.clone(), String::new())).collect();
    let height = u16::try_from(names.len()).unwrap_or(0).min(all.bottom().saturating_sub(y));
    popup::choices(state, &names, usize::MAX, Rect { x, y, width, height }, frame);
    y += height + 1;
    let mut items: Vec<(String, String)> = state.recent.iter().map(|p| (p.clone(), String::new())).collect();
    items.push(("The dump that comes with the program (--demo)".into(), String::new()));
    if y < all.bottom() {
        let heading = if items.len() > 1 { "Or choose (Up, Down):" } else { "Or (Down):" };
        frame.buffer_mut().set_stringn(x, y, heading, room, theme::style(theme, Role::Label));
        y += 1;
        let height = u16::try_from(items.len()).unwrap_or(1).min(all.bottom().saturating_sub(y + 2));
        let at = state.start.at.checked_sub(1).unwrap_or(usize::MAX);
        popup::choices(state, &items, at, Rect { x, y, width, height }, frame);
    }
    let last = all.bottom() - 1;
    let (role, text) = match &state.notice {
        Some((role, text)) => (*role, text.as_str()),
        None => (Role::Dim, "F1 help   Esc leaves"),
    };
    frame.buffer_mut().set_stringn(x, last, text, room, theme::style(theme, role));
    if state.start.at == 0 && state.popups.is_empty() && path_y < all.bottom() {
        let at = x.saturating_add(2).saturating_add(u16::try_from(cursor.width()).unwrap_or(0));
        frame.set_cursor_position(Position { x: at.min(all.right()), y: path_y });
    }
}
