//! No line of output is a command to the program that reads it: build servers take lines that begin with `::name` (after
//! any blanks) or `##name[`, some take `##[` and `##vso[` anywhere, and names in a dump are what their author wants.

use std::io::{self, Write};

/// Passes text on; a character of what a build server would take for a command is written as a number.
#[derive(Debug)]
pub struct Guarded<W: Write> {
    out: W,
    /// How the bracket of a command is written.
    bracket: &'static [u8],
    /// What is looked at after a line break.
    start: At,
    at: At,
    /// What a line begins with, until it can be told: `:`, `#` or `##`, or a part of a character.
    held: Vec<u8>,
    done: Vec<u8>,
}

/// What stands before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Only blanks since the last line break.
    Start,
    /// So many `#`.
    Hashes(usize),
    /// `##` and letters.
    Name,
}

/// Inside of a line.
const INSIDE: At = At::Hashes(0);

impl<W: Write> Guarded<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Guarded<W> {
        Guarded::with(out, b"\\x5b", At::Start)
    }

    /// For lines that begin with what this program says, and not with a text from a dump.
    pub fn inside(out: W) -> Guarded<W> {
        Guarded::with(out, b"\\x5b", INSIDE)
    }

    /// For JSON: it stays the same document, and its lines begin with what is no command.
    pub fn json(out: W) -> Guarded<W> {
        Guarded::with(out, b"\\u005b", INSIDE)
    }

    fn with(out: W, bracket: &'static [u8], start: At) -> Guarded<W> {
        Guarded { out, bracket, start, at: start, held: Vec::new(), done: Vec::new() }
    }

    fn byte(&mut self, b: u8) {
        match self.at {
            At::Start => self.first(b),
            _ if matches!(b, b'\n' | b'\r') => self.pass(b, self.start),
            At::Hashes(n) => match b {
                b'#' => self.pass(b, At::Hashes(n.saturating_add(1))),
                b'[' if n > 1 => self.done.extend(self.bracket),
                _ if n > 1 && b.is_ascii_alphabetic() => self.pass(b, At::Name),
                _ => self.pass(b, INSIDE),
            },
            At::Name => match b {
                b'[' => {
                    self.done.extend(self.bracket);
                    self.at = INSIDE;
                }
                b'#' => self.pass(b, At::Hashes(1)),
                _ if b.is_ascii_alphanumeric() => self.pass(b, At::Name),
                _ => self.pass(b, INSIDE),
            },
        }
    }

    fn pass(&mut self, b: u8, at: At) {
        self.done.push(b);
        self.at = at;
    }

    /// A byte before which the line has only blanks.
    fn first(&mut self, b: u8) {
        match (self.held.as_slice(), b) {
            (b"", b' ' | b'\t' | b'\n' | b'\r' | 0xb | 0xc) => self.done.push(b),
            (b"", b':' | b'#') | (b"#", b'#') => self.held.push(b),
            (b":", b':') => self.begin(b"\\x3a:", b""),
            (b"##", b'[' | b'a'..=b'z' | b'A'..=b'Z') => self.begin(b"\\x23#", &[b]),
            (b"" | [0x80..=0xff, ..], 0x80..) => {
                self.held.push(b);
                self.first_char();
            }
            _ => {
                let held = std::mem::take(&mut self.held);
                self.begin(&held, &[b]);
            }
        }
    }

    /// A character that is no ASCII, as far as it is there: after other blanks the line still begins.
    fn first_char(&mut self) {
        let blank = match std::str::from_utf8(&self.held) {
            Ok(text) => text.chars().all(char::is_whitespace),
            // The rest of it comes.
            Err(e) if e.error_len().is_none() => return,
            Err(_) => false,
        };
        let held = std::mem::take(&mut self.held);
        if blank {
            self.done.extend(held);
        } else {
            self.begin(&held, b"");
        }
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let written = self.out.write_all(&self.done);
        self.done.clear();
        written
    }

    /// The line has begun.
    fn begin(&mut self, first: &[u8], then: &[u8]) {
        self.held.clear();
        self.done.extend(first);
        let hashes = first.iter().rev().take_while(|b| **b == b'#').count();
        // What was written as a number is no command any more.
        self.at = if first.starts_with(b"\\") { INSIDE } else { At::Hashes(hashes) };
        then.iter().for_each(|b| self.byte(*b));
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some((b, after)) = rest.split_first() {
            let special = |b: &u8| matches!(b, b'#' | b'\n' | b'\r');
            let plain = match self.at {
                INSIDE => rest.iter().position(special).unwrap_or(rest.len()),
                _ => 0,
            };
            if let Some((text, more)) = rest.split_at_checked(plain).filter(|_| plain > 0) {
                self.done.extend(text);
                rest = more;
            } else {
                self.byte(*b);
                rest = after;
            }
        }
        self.pass_on().map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A line that is not told to its end is written as it is: a command is more than this.
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.begin(&held, b"");
            self.pass_on()?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(text: &str, at_once: usize) -> String {
        through(Guarded::new, text, at_once)
    }

    fn through(guard: fn(Vec<u8>) -> Guarded<Vec<u8>>, text: &str, at_once: usize) -> String {
        let mut guard = guard(Vec::new());
        for part in text.as_bytes().chunks(at_once) {
            guard.write_all(part).unwrap();
        }
        guard.flush().unwrap();
        String::from_utf8(guard.out).unwrap()
    }

    #[test]
    fn no_line_begins_as_a_command() {
        for at_once in [1, 2, 7, 1000] {
            let is = |text: &str, wanted: &str| assert_eq!(guarded(text, at_once), wanted);
            is("::error::x", "\\x3a:error::x");
            is("a\n  ::set-env::x\n", "a\n  \\x3a:set-env::x\n");
            is("##vso[task.x]\n\t##[error]", "\\x23#vso[task.x]\n\t\\x23#[error]");
            is("a ##[error] b", "a ##\\x5berror] b");
            is("std::vector\n# a\n## b [c]\n:d\n#", "std::vector\n# a\n## b [c]\n:d\n#");
            is("a#[0] b##", "a#[0] b##");
            is("a ##vso[task.x] ###[b] #a[0]", "a ##vso\\x5btask.x] ###\\x5bb] #a[0]");
            is("a\r::error::b", "a\r\\x3a:error::b");
            // Blanks that are no ASCII (.NET takes them for blanks), and letters.
            is("\u{a0}\u{3000} ::error::x\n\u{85}##x[", "\u{a0}\u{3000} \\x3a:error::x\n\u{85}\\x23#x[");
            is("\u{e9}::x \u{a0}::y\n\u{3042}", "\u{e9}::x \u{a0}::y\n\u{3042}");
        }
    }
    #[test]
    fn json_stays_the_same_document() {
        let text = "##[error] ##vso[task.x] a#[0] [1]\n::error::";
        let value = serde_json::json!({ "##[a": [text, ["##vso["]] });
        for at_once in [1, 3, 1000] {
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let out = through(Guarded::json, &json, at_once);
                assert!(!out.contains("##[") && !out.contains("##vso["), "{out}");
                assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), value);
            }
        }
    }
}
