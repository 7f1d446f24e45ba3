//! No line of output is a command to the program that reads it: build servers take lines that begin with `::name` or
//! `##name[` (and `##[` anywhere) for their own, and names in a dump are what their author wants.

use std::io::{self, Write};

/// Passes text on; the first character of what a build server would take for a command is written as a number.
#[derive(Debug)]
pub struct Guarded<W: Write> {
    out: W,
    /// Only blanks since the last line break.
    at_start: bool,
    /// What a line begins with, until it can be told: `:`, `#` or `##`.
    held: Vec<u8>,
    /// `#` in a row, written already.
    hashes: usize,
    done: Vec<u8>,
}

impl<W: Write> Guarded<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Guarded<W> {
        Guarded { out, at_start: true, held: Vec::new(), hashes: 0, done: Vec::new() }
    }

    fn byte(&mut self, b: u8) {
        if self.at_start {
            match (self.held.as_slice(), b) {
                (b"", b' ' | b'\t' | b'\n' | b'\r') => self.done.push(b),
                (b"", b':' | b'#') | (b"#", b'#') => self.held.push(b),
                (b":", b':') => self.begin(b"\\x3a:", b""),
                (b"##", b'[' | b'a'..=b'z' | b'A'..=b'Z') => self.begin(b"\\x23#", &[b]),
                _ => {
                    let held = std::mem::take(&mut self.held);
                    self.begin(&held, &[b]);
                }
            }
            return;
        }
        match b {
            b'\n' => (self.at_start, self.hashes) = (true, 0),
            b'#' => self.hashes = self.hashes.saturating_add(1),
            b'[' if self.hashes > 1 => {
                self.hashes = 0;
                self.done.extend(b"\\x5b");
                return;
            }
            _ => self.hashes = 0,
        }
        self.done.push(b);
    }

    /// The line has begun.
    fn begin(&mut self, first: &[u8], then: &[u8]) {
        self.held.clear();
        self.at_start = false;
        self.done.extend(first);
        self.hashes = first.iter().rev().take_while(|b| **b == b'#').count();
        if first.starts_with(b"\\") {
            self.hashes = 0;
        }
        then.iter().for_each(|b| self.byte(*b));
    }
}

impl<W: Write> Write for Guarded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().for_each(|b| self.byte(*b));
        let done = std::mem::take(&mut self.done);
        self.out.write_all(&done)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A line that is not told to its end is written as it is: a command is more than this.
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.at_start = false;
            self.out.write_all(&held)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(text: &str, at_once: usize) -> String {
        let mut out = Vec::new();
        let mut guard = Guarded::new(&mut out);
        for part in text.as_bytes().chunks(at_once) {
            guard.write_all(part).unwrap();
        }
        guard.flush().unwrap();
        drop(guard);
        String::from_utf8(out).unwrap()
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
        }
    }
}
