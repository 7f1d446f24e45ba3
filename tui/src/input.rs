//! The line at the prompt: editing and history.

use crate::key::{Code, Key};

/// Longest line, characters: WinDbg's limit.
pub const MAX_LINE: usize = 4096;
/// Lines that the history keeps.
const MAX_HISTORY: usize = 1000;

/// A line that is edited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    chars: Vec<char>,
    cursor: usize,
}

impl Input {
    /// A line with the cursor at its end.
    #[must_use]
    pub fn new(text: &str) -> Input {
        let mut input = Input::default();
        input.insert(text);
        input
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// The text up to the cursor.
    #[must_use]
    pub fn before(&self) -> String {
        self.chars.iter().take(self.cursor).collect()
    }

    /// True without text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// The cursor, in characters from the start.
    #[must_use]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Replaces all of it.
    pub fn set(&mut self, text: &str) {
        *self = Input::new(text);
    }

    /// Inserts at the cursor. Control characters are dropped; a line break becomes `;`, as pasted lines are
    /// commands.
    pub fn insert(&mut self, text: &str) {
        for c in text.trim_end_matches(['\n', '\r']).replace("\r\n", "\n").chars() {
            let c = if c == '\n' || c == '\r' { ';' } else { c };
            if !c.is_control() && self.chars.len() < MAX_LINE {
                self.chars.insert(self.cursor, c);
                self.cursor += 1;
            }
        }
    }

    /// Replaces the `n` characters before the cursor.
    pub fn replace_before(&mut self, n: usize, text: &str) {
        let from = self.cursor.saturating_sub(n);
        self.chars.drain(from..self.cursor);
        self.cursor = from;
        self.insert(text);
    }

    /// Edits by a key; false when the key is no editing key.
    pub fn key(&mut self, key: Key) -> bool {
        match (key.code, key.ctrl, key.alt) {
            (Code::Char('a'), true, false) | (Code::Home, false, _) => self.cursor = 0,
            (Code::Char('e'), true, false) | (Code::End, false, _) => self.cursor = self.chars.len(),
            (Code::Char('u'), true, false) => {
                self.chars.drain(..self.cursor);
                self.cursor = 0;
            }
            (Code::Char('k'), true, false) => self.chars.truncate(self.cursor),
            (Code::Char('w'), true, false) | (Code::Backspace, true, _) | (Code::Backspace, _, true) => {
                let from = self.word_left();
                self.chars.drain(from..self.cursor);
                self.cursor = from;
            }
            (Code::Char(c), false, false) => self.insert(c.encode_utf8(&mut [0; 4])),
            (Code::Backspace, ..) => {
                if let Some(at) = self.cursor.checked_sub(1) {
                    self.chars.remove(at);
                    self.cursor = at;
                }
            }
            (Code::Delete, ..) => {
                if self.cursor < self.chars.len() {
                    self.chars.remove(self.cursor);
                }
            }
            (Code::Left, true, _) => self.cursor = self.word_left(),
            (Code::Right, true, _) => self.cursor = self.word_right(),
            (Code::Left, false, false) => self.cursor = self.cursor.saturating_sub(1),
            (Code::Right, false, false) => self.cursor = (self.cursor + 1).min(self.chars.len()),
            _ => return false,
        }
        true
    }

    fn word_left(&self) -> usize {
        let before = self.chars.get(..self.cursor).unwrap_or_default();
        let end = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |p| p + 1);
        before.get(..end).unwrap_or_default().iter().rposition(|c| c.is_whitespace()).map_or(0, |p| p + 1)
    }

    fn word_right(&self) -> usize {
        let after = self.chars.get(self.cursor..).unwrap_or_default();
        let start = after.iter().position(|c| !c.is_whitespace()).unwrap_or(after.len());
        let word = after.get(start..).unwrap_or_default();
        self.cursor + start + word.iter().position(|c| c.is_whitespace()).unwrap_or(word.len())
    }
}

/// Lines typed before, and where the reader is among them.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Vec<String>,
    /// Position while going through; the line that was typed before is kept.
    at: Option<(usize, String)>,
}

impl History {
    /// A history with these lines, oldest first.
    #[must_use]
    pub fn new(lines: Vec<String>) -> History {
        History { lines, at: None }
    }

    /// All lines, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Adds a line; one that is there already moves to the end.
    pub fn push(&mut self, line: &str) {
        self.at = None;
        if line.trim().is_empty() {
            return;
        }
        self.lines.retain(|l| l != line);
        self.lines.push(line.to_owned());
        if self.lines.len() > MAX_HISTORY {
            self.lines.remove(0);
        }
    }

    /// The previous (`back`) or next line; lines must begin with what was typed.
    pub fn step(&mut self, back: bool, typed: &str) -> Option<String> {
        let (at, prefix) = self.at.clone().unwrap_or((self.lines.len(), typed.to_owned()));
        let fits = |l: &&String| l.starts_with(&prefix);
        let found = if back {
            self.lines.iter().take(at).rposition(|l| fits(&l))
        } else {
            self.lines.iter().skip(at + 1).position(|l| fits(&l)).map(|p| p + at + 1)
        };
        match found {
            Some(i) => {
                self.at = Some((i, prefix));
                self.lines.get(i).cloned()
            }
            None if back => None,
            // Behind the newest stands what was typed.
            None => self.at.take().map(|(_, typed)| typed),
        }
    }

    /// Ends going through the lines.
    pub fn leave(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_edited() {
        let mut i = Input::new("dt ntdll!_TEB");
        let ctrl = |c| Key { ctrl: true, ..Key::char(c) };
        i.key(ctrl('w'));
        assert_eq!(i.text(), "dt ");
        i.insert("a\u{1b}b\nk\n");
        assert_eq!(i.text(), "dt ab;k");
        i.key(ctrl('a'));
        i.key(Key::plain(Code::Delete));
        i.key(Key { ctrl: true, ..Key::plain(Code::Right) });
        assert_eq!((i.text().as_str(), i.cursor()), ("t ab;k", 1));
        i.key(ctrl('k'));
        i.key(Key::plain(Code::Backspace));
        assert!(i.is_empty());
        i.insert(&"x".repeat(5000));
        assert_eq!(i.text().len(), MAX_LINE);
    }

    #[test]
    fn history_finds_lines_that_begin_as_typed() {
        let mut h = History::default();
        for l in ["k", "dt a", "lm", "dt b", "k"] {
            h.push(l);
        }
        assert_eq!(h.lines(), ["dt a", "lm", "dt b", "k"]);
        assert_eq!(h.step(true, "d").as_deref(), Some("dt b"));
        assert_eq!(h.step(true, "dt b").as_deref(), Some("dt a"));
        assert_eq!(h.step(true, "dt a"), None);
        assert_eq!(h.step(false, "dt a").as_deref(), Some("dt b"));
        assert_eq!(h.step(false, "dt b").as_deref(), Some("d"));
        assert_eq!(h.step(false, "d"), None);
    }
}
