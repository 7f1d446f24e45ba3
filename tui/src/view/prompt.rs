//! The command window: output, prompt, help for the command being typed, candidates.

use super::lines::{self, Look};
use super::theme;
use crate::complete::command_at;
use crate::state::{Phase, State};
use dumpscope_engine::Role;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Candidates on screen.
const LIST: usize = 8;

pub(super) fn draw(state: &State, area: Rect, focused: bool, frame: &mut Frame<'_>) {
    if area.height == 0 || area.width < 4 {
        return;
    }
    let theme = state.settings.theme;
    // The last line helps with the command, the one above is the prompt.
    let help = u16::from(area.height > 2);
    let output = Rect { height: area.height.saturating_sub(1 + help), ..area };
    let prompt_line = Rect { y: area.y + output.height, height: 1, ..area };
    let typing = focused && !state.in_output;
    let look = Look { theme, ascii: state.settings.ascii, focused: focused && state.in_output };
    let buf = frame.buffer_mut();
    lines::draw(&state.transcript, output, look, &|_| false, &|_| None, buf);

    let busy = state.dump().and_then(|d| d.command.as_ref());
    let prompt = match (busy, state.dump().map(|d| &d.phase)) {
        (Some(_), _) => "*BUSY* ".to_owned(),
        (None, Some(Phase::Opening(..))) => "opening ".to_owned(),
        _ => state.prompt(),
    };
    let style = theme::style(theme, Role::Prompt);
    let (x, _) = buf.set_stringn(prompt_line.x, prompt_line.y, &prompt, usize::from(area.width), style);
    let room = usize::from(prompt_line.right().saturating_sub(x));
    // A long line is scrolled so that the cursor is in view.
    let text = state.input.text();
    let before = state.input.before().width();
    let skip = before.saturating_sub(room.saturating_sub(1));
    let mut column = 0usize;
    let shown: String = text
        .chars()
        .skip_while(|c| {
            let skipped = column < skip;
            column = column.saturating_add(c.width().unwrap_or(0));
            skipped
        })
        .collect();
    buf.set_stringn(x, prompt_line.y, shown, room, theme::style(theme, Role::Plain));
    let cursor = x.saturating_add(u16::try_from(before - skip.min(before)).unwrap_or(0));

    if help > 0 {
        let y = prompt_line.y + 1;
        if let Some(command) = command_at(&state.input.before()) {
            let bold = theme::style(theme, Role::Heading);
            let width = usize::from(area.width);
            let (x, _) = buf.set_stringn(area.x, y, command.syntax, width, bold);
            let rest = usize::from(area.right().saturating_sub(x));
            let text = format!("  {}", command.summary);
            buf.set_stringn(x, y, text, rest, theme::style(theme, Role::Dim));
        } else if state.input.is_empty() && state.transcript.is_empty() {
            let text = "Type a command (.help lists them), or Tab to go through the panes.";
            buf.set_stringn(area.x, y, text, usize::from(area.width), theme::style(theme, Role::Dim));
        }
    }
    if typing {
        candidates(state, area, prompt_line.y, x, frame);
        if state.popups.is_empty() {
            frame.set_cursor_position(Position { x: cursor.min(area.right()), y: prompt_line.y });
        }
    }
}

/// The list of candidates above the prompt.
fn candidates(state: &State, area: Rect, prompt_y: u16, x: u16, frame: &mut Frame<'_>) {
    let Some((found, at)) = &state.candidates else { return };
    let theme = state.settings.theme;
    let rows = found.items.len().min(LIST).min(usize::from(prompt_y));
    let Some(height) = u16::try_from(rows).ok().filter(|h| *h > 0) else { return };
    let wide = found.items.iter().map(|(t, _)| t.width()).max().unwrap_or(0).min(48);
    let left = x.min(area.right().saturating_sub(20)).max(area.x);
    let width = area.right().saturating_sub(left);
    let list = Rect { x: left, y: prompt_y - height, width, height };
    let buf = frame.buffer_mut();
    let first = at.saturating_sub(rows - 1);
    for (y, (i, (text, what))) in (list.y..list.bottom()).zip(found.items.iter().enumerate().skip(first)) {
        let mut style = theme::bar(theme);
        if i == *at {
            style = style.add_modifier(Modifier::REVERSED | Modifier::BOLD);
        }
        let shown = dumpscope_core::base::text::escape(text);
        let line = format!(" {shown:<wide$}  {what}");
        let columns = usize::from(width);
        let line = format!("{line:<columns$}");
        buf.set_stringn(list.x, y, line, usize::from(width), style);
    }
}
