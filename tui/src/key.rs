//! Keys: what a terminal can send, how a person writes them (`ctrl+p`, `alt+1`, `shift+tab`).

use std::fmt;

/// The key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// A character, as typed: capitals are capitals.
    Char(char),
    /// A function key.
    F(u8),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab; with shift also what terminals call BackTab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Insert.
    Insert,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// A key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The key.
    pub code: Code,
    /// With Ctrl.
    pub ctrl: bool,
    /// With Alt.
    pub alt: bool,
    /// With Shift; never set for characters.
    pub shift: bool,
}

impl Key {
    /// A key without modifiers.
    #[must_use]
    pub fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false, shift: false }
    }

    /// A character without modifiers.
    #[must_use]
    pub fn char(c: char) -> Key {
        Key::plain(Code::Char(c))
    }

    /// Reads `ctrl+p`, `Alt+1`, `F6`, `shift+tab`, `pgup`, `?`; `None` when it is no key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Key> {
        let mut key = Key::plain(Code::Esc);
        let mut rest = text;
        let part = |text: &'_ str| -> Option<(String, usize)> {
            let (head, tail) = text.split_once('+').filter(|(h, t)| !h.is_empty() && !t.is_empty())?;
            Some((head.to_ascii_lowercase(), text.len() - tail.len()))
        };
        while let Some((head, len)) = part(rest) {
            match head.as_str() {
                "ctrl" | "control" => key.ctrl = true,
                "alt" | "meta" => key.alt = true,
                "shift" => key.shift = true,
                _ => return None,
            }
            rest = rest.get(len..)?;
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (Some(c), None) => Code::Char(c),
            _ => named(&rest.to_ascii_lowercase())?,
        };
        if let Code::Char(c) = key.code {
            // With Ctrl and Alt terminals do not tell capitals apart.
            let small = key.ctrl || key.alt;
            key.code = Code::Char(match (small, key.shift) {
                (true, _) => c.to_ascii_lowercase(),
                (false, true) => c.to_ascii_uppercase(),
                (false, false) => c,
            });
            key.shift = false;
        }
        Some(key)
    }
}

const NAMES: &[(&str, Code)] = &[
    ("Enter", Code::Enter),
    ("Esc", Code::Esc),
    ("Tab", Code::Tab),
    ("Backspace", Code::Backspace),
    ("Del", Code::Delete),
    ("Ins", Code::Insert),
    ("Up", Code::Up),
    ("Down", Code::Down),
    ("Left", Code::Left),
    ("Right", Code::Right),
    ("Home", Code::Home),
    ("End", Code::End),
    ("PgUp", Code::PageUp),
    ("PgDn", Code::PageDown),
    ("Space", Code::Char(' ')),
];

fn named(lower: &str) -> Option<Code> {
    if let Some(n) = lower.strip_prefix('f').and_then(|n| n.parse().ok()) {
        return (1..=24).contains(&n).then_some(Code::F(n));
    }
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(lower)).map(|(_, code)| *code)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (on, name) in [(self.ctrl, "Ctrl+"), (self.alt, "Alt+"), (self.shift, "Shift+")] {
            if on {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::F(n) => write!(f, "F{n}"),
            Code::Char(c) if c != ' ' && (self.ctrl || self.alt) => write!(f, "{}", c.to_uppercase()),
            code => match (NAMES.iter().find(|(_, c)| *c == code), code) {
                (Some((name, _)), _) => f.write_str(name),
                (None, Code::Char(c)) => write!(f, "{c}"),
                (None, _) => Ok(()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in ["Ctrl+P", "Alt+1", "F6", "Shift+Tab", "PgUp", "?", "Alt+Shift+Left", "g", "G", "Space"] {
            assert_eq!(Key::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Key::parse("ctrl+p"), Some(Key { ctrl: true, ..Key::char('p') }));
        assert_eq!(Key::parse("+"), Some(Key::char('+')));
        assert_eq!(Key::parse("ctrl++"), Some(Key { ctrl: true, ..Key::char('+') }));
        assert_eq!(Key::parse("hyper+x"), None);
        assert_eq!(Key::parse("f99"), None);
        assert_eq!(Key::parse(""), None);
    }
}
