//! A cursor over a command's arguments.

use crate::command::CommandError;
use crate::expr::{ErrorKind, ExprError};
use crate::session::{Layout, Session};
use dumpscope_core::Va;

/// Longest range without `L?`, bytes.
const MAX_RANGE: u64 = 256 << 20;
/// Longest range that is shown at all, bytes: the whole memory of a 32-bit process.
const MAX_SHOWN: u64 = 1 << 32;

/// A range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: Va,
    /// Number of objects.
    pub count: u64,
    /// Bytes of one object.
    pub unit: u64,
    /// True when the user gave a length or an end.
    pub given: bool,
}

impl Range {
    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.count.saturating_mul(self.unit)
    }
}

/// Reads a command's arguments from left to right. Positions in errors count in the whole command text.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at byte `pos` of a command's text.
    #[must_use]
    pub fn new(text: &'a str, pos: usize) -> Cursor<'a> {
        Cursor { text, pos: pos.min(text.len()) }
    }

    /// Byte offset of the next argument in the command text.
    #[must_use]
    pub fn pos(&mut self) -> usize {
        self.skip_blanks();
        self.pos
    }

    /// What is left, without blanks before and after it.
    #[must_use]
    pub fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("").trim()
    }

    /// What is left, exactly as typed.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    /// The whole command text.
    #[must_use]
    pub fn whole(&self) -> &'a str {
        self.text
    }

    /// True when nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    fn skip_blanks(&mut self) {
        let rest = self.raw();
        self.pos += rest.len() - rest.trim_start().len();
    }

    /// The next word, up to a blank; left where it is.
    #[must_use]
    pub fn peek(&self) -> &'a str {
        let rest = self.raw().trim_start();
        rest.get(..rest.find(char::is_whitespace).unwrap_or(rest.len())).unwrap_or("")
    }

    /// Takes the next word, up to a blank; a quoted word without its quotes, blanks in it included.
    pub fn word(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let rest = self.raw();
        if let Some(body) = rest.strip_prefix('"') {
            let len = body.find('"').unwrap_or(body.len());
            self.advance(len + 2);
            return body.get(..len);
        }
        let word = self.peek();
        self.pos += word.len();
        (!word.is_empty()).then_some(word)
    }

    /// Takes the next word if it is `word` (any letter case).
    pub fn eat(&mut self, word: &str) -> bool {
        let same = self.peek().eq_ignore_ascii_case(word) && !word.is_empty();
        if same {
            self.word();
        }
        same
    }

    /// Takes the next character (after blanks) if it is `c`.
    pub fn eat_char(&mut self, c: char) -> bool {
        self.skip_blanks();
        let same = self.raw().starts_with(c);
        if same {
            self.pos += c.len_utf8();
        }
        same
    }

    /// Skips `len` bytes.
    pub fn advance(&mut self, len: usize) {
        let to = self.pos.saturating_add(len).min(self.text.len());
        // Never into the middle of a character.
        self.pos = (to..=self.text.len()).find(|i| self.text.is_char_boundary(*i)).unwrap_or(to);
    }

    /// Takes a switch: a word of `/` or `-` and a letter (`/c`, `-a`, `-hang`); gives what follows the sign.
    pub fn switch(&mut self) -> Option<&'a str> {
        let name = self.peek().strip_prefix(['/', '-'])?;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[') {
            return None;
        }
        self.word();
        Some(name)
    }

    /// Takes everything that is left, trimmed.
    pub fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.pos = self.text.len();
        rest
    }

    /// Takes a MASM expression.
    ///
    /// # Errors
    /// What is wrong and where; `Numeric expression missing` when nothing is left.
    pub fn expr(&mut self, session: &Session) -> Result<u64, CommandError> {
        self.skip_blanks();
        match session.eval(self.raw()) {
            Ok((value, len)) => {
                self.pos = (self.pos + len).min(self.text.len());
                Ok(value)
            }
            Err(e) => Err(CommandError::Expr(e.shifted(self.pos))),
        }
    }

    /// Takes the next word as an expression of its own: for the number of a switch, behind which another switch may
    /// follow (`/pS 2 /ps 1` is no division).
    ///
    /// # Errors
    /// As [`Cursor::expr`].
    pub fn word_expr(&mut self, session: &Session) -> Result<u64, CommandError> {
        let at = self.pos();
        let word = self.word().unwrap_or("");
        let fail = |e: ExprError| CommandError::Expr(e.shifted(at));
        let (value, end) = session.eval(word).map_err(fail)?;
        if end < word.len() {
            return Err(fail(ExprError::new(ErrorKind::ExtraCharacter, end)));
        }
        Ok(value)
    }

    /// Takes a MASM expression if something is left.
    ///
    /// # Errors
    /// As [`Cursor::expr`].
    pub fn opt_expr(&mut self, session: &Session) -> Result<Option<u64>, CommandError> {
        if self.is_empty() { Ok(None) } else { self.expr(session).map(Some) }
    }

    /// Takes an expression as an address of the effective machine.
    ///
    /// # Errors
    /// As [`Cursor::expr`].
    pub fn address(&mut self, session: &Session) -> Result<Va, CommandError> {
        let value = self.expr(session).map_err(|e| match e {
            CommandError::Expr(e) if session.sel.layout == Layout::Modern => {
                CommandError::Expr(e.of_address())
            }
            other => other,
        })?;
        Ok(session.address(value))
    }

    /// Takes an address if something is left.
    ///
    /// # Errors
    /// As [`Cursor::expr`].
    pub fn opt_address(&mut self, session: &Session) -> Result<Option<Va>, CommandError> {
        Ok(self.opt_expr(session)?.map(|v| session.address(v)))
    }

    /// Takes a range of objects of `unit` bytes: `addr`, `addr L n`, `addr L?n`, `addr L-n`, `addr end` (the end is
    /// included). `start` is used when there is no address, `count` when there is no length.
    ///
    /// # Errors
    /// As [`Cursor::expr`], and `Range error` over 256 MB without `L?`, over 4 GB, and beyond the last address.
    pub fn range(
        &mut self,
        session: &Session,
        start: Option<Va>,
        count: u64,
        unit: u64,
    ) -> Result<Range, CommandError> {
        let (range, at) = self.any_range(session, start, count, unit)?;
        let bytes = range.count.checked_mul(range.unit);
        // What has a default length may lie at the end of memory.
        let room = if range.given { room(session, range.start) } else { u64::MAX };
        if bytes.is_none_or(|bytes| bytes > MAX_SHOWN.min(room)) {
            return Err(range_error(at));
        }
        Ok(range)
    }

    /// As [`Cursor::range`]; a range that goes on behind the last address ends there. For searches, which skip what the
    /// dump does not hold.
    ///
    /// # Errors
    /// As [`Cursor::expr`], and `Range error` over 256 MB without `L?`.
    pub fn search_range(&mut self, session: &Session, unit: u64) -> Result<Range, CommandError> {
        let (range, _) = self.any_range(session, None, 0, unit)?;
        let most = room(session, range.start) / range.unit;
        Ok(Range { count: range.count.min(most), ..range })
    }

    /// A range and where its length stands.
    fn any_range(
        &mut self,
        session: &Session,
        start: Option<Va>,
        count: u64,
        unit: u64,
    ) -> Result<(Range, usize), CommandError> {
        let unit = unit.max(1);
        let modern = session.sel.layout == Layout::Modern;
        let start = match start {
            Some(start) if self.is_empty() || (!modern && self.length_at().is_some()) => start,
            _ => self.range_start(session)?,
        };
        let at = self.pos();
        // The engine points behind what it has read.
        let place = |args: &Cursor<'_>| match modern {
            true => args.text.get(..args.pos).map_or(args.pos, |t| t.trim_end().len()),
            false => at,
        };
        let Some((sign, len)) = self.length_at() else {
            // What is no address belongs to the command.
            let other = modern
                && !self.raw().starts_with(|c: char| c.is_alphanumeric() || "@$(._`[&+-~'".contains(c));
            if self.is_empty() || other {
                return Ok((Range { start, count, unit, given: false }, at));
            }
            let end = self.address(session)?;
            let at = place(self);
            let bytes = end.distance_from(start).ok_or_else(|| range_error(at))?;
            if bytes > MAX_RANGE {
                return Err(range_error(at));
            }
            return Ok((Range { start, count: bytes / unit + 1, unit, given: true }, at));
        };
        self.pos += len;
        let count = self.expr(session).map_err(|e| match e {
            CommandError::Expr(mut e) if modern && e.kind == ErrorKind::Missing => {
                e.kind = ErrorKind::MissingLength;
                CommandError::Expr(e)
            }
            other => other,
        })?;
        let at = place(self);
        let bytes = count.checked_mul(unit);
        if sign != Some('?') && bytes.is_none_or(|bytes| bytes > MAX_RANGE) {
            return Err(range_error(at));
        }
        let back = bytes.filter(|_| sign == Some('-')).unwrap_or(0);
        let start = session.address(start.back(back).0);
        Ok((Range { start, count, unit, given: true }, at))
    }

    /// The address of a range. The engine reads it apart from a length behind it.
    ///
    /// # Errors
    /// As [`Cursor::expr`].
    pub fn range_start(&mut self, session: &Session) -> Result<Va, CommandError> {
        if session.sel.layout == Layout::Classic {
            return self.address(session);
        }
        self.skip_blanks();
        let raw = self.raw();
        let command = raw.get(..raw.find(';').unwrap_or(raw.len())).unwrap_or(raw);
        let length = command.match_indices([' ', '\t']).find(|(i, _)| {
            command.get(i + 1..).is_some_and(|t| t.starts_with(['L', 'l']) && t.len() > 1 && length_text(t))
        });
        let Some((cut, _)) = length else { return self.address(session) };
        let until = self.pos + cut + 1;
        let mut inner = Cursor { text: self.text.get(..until).unwrap_or(self.text), pos: self.pos };
        let found = inner.address(session);
        self.pos = inner.pos;
        found.map_err(|e| match e {
            CommandError::Expr(mut e) => {
                e.until = Some(until);
                CommandError::Expr(e)
            }
            other => other,
        })
    }

    /// `L`, `L?` or `L-` at the cursor, before a count: the sign and the bytes to skip.
    fn length_at(&mut self) -> Option<(Option<char>, usize)> {
        self.skip_blanks();
        let rest = self.raw();
        let tail = rest.strip_prefix(['L', 'l'])?;
        if tail.trim().is_empty() {
            return Some((None, 1));
        }
        match tail.chars().next()? {
            c @ ('?' | '-') => Some((Some(c), 2)),
            _ if ["dwo(", "poi(", "wo(", "by(", "qwo("].iter().any(|f| tail.starts_with(f)) => {
                Some((None, 1))
            }
            // A word such as `lib!foo` is no length: after `L` comes a number, a register or a bracket.
            c if c.is_whitespace() || c.is_ascii_digit() || matches!(c, '(' | '@' | '$') => Some((None, 1)),
            _ => {
                let word = tail.get(..tail.find(|c: char| !c.is_alphanumeric()).unwrap_or(tail.len()))?;
                let after = tail.get(word.len()..)?;
                let hex = word.chars().all(|c| c.is_ascii_hexdigit());
                (hex && !after.starts_with(['!', '_'])).then_some((None, 1))
            }
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// `Extra character error`.
    pub fn end(&mut self) -> Result<(), CommandError> {
        let at = self.pos();
        if self.is_empty() { Ok(()) } else { Err(ExprError::new(ErrorKind::ExtraCharacter, at).into()) }
    }

    /// A syntax error at the next argument.
    #[must_use]
    pub fn syntax_error(&mut self) -> CommandError {
        ExprError::new(ErrorKind::Syntax, self.pos()).into()
    }
}

/// True for a text that starts with a length of a range.
fn length_text(text: &str) -> bool {
    Cursor { text, pos: 0 }.length_at().is_some()
}

/// Bytes from an address to the last one of the effective machine, both included (one less where all of them are more
/// than a number holds).
fn room(session: &Session, start: Va) -> u64 {
    let last = session.address(u64::MAX);
    last.distance_from(start).map_or(0, |d| d.saturating_add(1))
}

fn range_error(at: usize) -> CommandError {
    ExprError::new(ErrorKind::Range, at).into()
}
