//! What the terminal sends, as messages.

use crate::key::{Code, Key};
use crate::msg::{Mouse, Msg};
use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind, read,
};
use std::sync::mpsc::Sender;

/// Reads events in a thread of its own until nobody listens.
pub(super) fn listen(tx: Sender<Msg>) {
    let built = std::thread::Builder::new().name("keys".into()).spawn(move || {
        loop {
            let msg = match read() {
                Ok(event) => message(event),
                // The terminal is gone.
                Err(_) => Some(Msg::Terminate),
            };
            let last = matches!(msg, Some(Msg::Terminate));
            if msg.is_some_and(|m| tx.send(m).is_err()) || last {
                return;
            }
        }
    });
    // Without keys there is no use in going on; the loop ends when the last sender is gone.
    drop(built);
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(e) if e.kind != KeyEventKind::Release => key(e).map(Msg::Key),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(w, h) => Some(Msg::Resize(w, h)),
        Event::Mouse(e) => {
            let what = match e.kind {
                MouseEventKind::Down(MouseButton::Left) => Mouse::Click,
                MouseEventKind::Drag(MouseButton::Left) => Mouse::Drag,
                MouseEventKind::ScrollUp => Mouse::WheelUp,
                MouseEventKind::ScrollDown => Mouse::WheelDown,
                _ => return None,
            };
            Some(Msg::Mouse { what, x: e.column, y: e.row })
        }
        _ => None,
    }
}

fn key(e: KeyEvent) -> Option<Key> {
    let has = |m| e.modifiers.contains(m);
    let mut key = Key {
        code: Code::Esc,
        ctrl: has(KeyModifiers::CONTROL),
        alt: has(KeyModifiers::ALT),
        shift: has(KeyModifiers::SHIFT),
    };
    key.code = match e.code {
        KeyCode::Char(c) => {
            // Capitals are characters of their own; with Ctrl and Alt the letter case does not matter.
            key.shift = false;
            // Windows reports AltGr as both: that is a character.
            if key.ctrl && key.alt && !c.is_ascii_alphabetic() {
                (key.ctrl, key.alt) = (false, false);
            }
            Code::Char(if key.ctrl || key.alt { c.to_ascii_lowercase() } else { c })
        }
        KeyCode::F(n) => Code::F(n),
        KeyCode::Enter => Code::Enter,
        KeyCode::Esc => Code::Esc,
        KeyCode::Tab => Code::Tab,
        KeyCode::BackTab => {
            key.shift = true;
            Code::Tab
        }
        KeyCode::Backspace => Code::Backspace,
        KeyCode::Delete => Code::Delete,
        KeyCode::Insert => Code::Insert,
        KeyCode::Up => Code::Up,
        KeyCode::Down => Code::Down,
        KeyCode::Left => Code::Left,
        KeyCode::Right => Code::Right,
        KeyCode::Home => Code::Home,
        KeyCode::End => Code::End,
        KeyCode::PageUp => Code::PageUp,
        KeyCode::PageDown => Code::PageDown,
        _ => return None,
    };
    Some(key)
}
