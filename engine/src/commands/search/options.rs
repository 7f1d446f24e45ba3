//! The type, the flags and the pattern of `s`.

use crate::command::CommandError;
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::{Layout, Session};

/// Longest pattern, bytes.
const MAX_PATTERN: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Words,
    Dwords,
    Qwords,
    Ascii,
    Wide,
    AsciiTexts,
    WideTexts,
}

impl Kind {
    /// Bytes of one object of the range.
    pub(super) fn unit(self) -> u64 {
        match self {
            Kind::Bytes | Kind::Ascii | Kind::AsciiTexts => 1,
            Kind::Words | Kind::Wide | Kind::WideTexts => 2,
            Kind::Dwords => 4,
            Kind::Qwords => 8,
        }
    }

    /// Hits lie at multiples of this from the start of the range. Texts may lie anywhere.
    pub(super) fn step(self) -> u64 {
        match self {
            Kind::Words | Kind::Dwords | Kind::Qwords => self.unit(),
            _ => 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) kind: Kind,
    /// `w`.
    pub(super) writable: bool,
    /// `1`.
    pub(super) addresses_only: bool,
    /// `s`.
    pub(super) save: bool,
    /// `r`.
    pub(super) among_saved: bool,
    /// `n`.
    pub(super) max_saved: usize,
    /// `l`, characters.
    pub(super) min_length: usize,
}

impl Options {
    /// Takes `-[flags]type`.
    pub(super) fn take(args: &mut Cursor<'_>, session: &Session) -> Result<Options, CommandError> {
        let mut options = Options {
            kind: Kind::Bytes,
            writable: false,
            addresses_only: false,
            save: false,
            among_saved: false,
            max_saved: 1024,
            min_length: 3,
        };
        let at = args.pos();
        if !args.raw().starts_with('-') {
            return Ok(options);
        }
        args.eat_char('-');
        if args.raw().starts_with('[') {
            let Some(end) = args.raw().find(']') else { return Err(args.syntax_error()) };
            let flags = args.raw().get(1..end).unwrap_or("");
            options.flags(flags, session).map_err(|e| CommandError::Expr(e.shifted(at + 2)))?;
            args.advance(end + 1);
        }
        let letters = args.peek();
        options.kind = match letters {
            "" | "b" if args.raw().starts_with(letters) => Kind::Bytes,
            "w" => Kind::Words,
            "d" => Kind::Dwords,
            "q" => Kind::Qwords,
            "a" => Kind::Ascii,
            "u" => Kind::Wide,
            "sa" => Kind::AsciiTexts,
            "su" => Kind::WideTexts,
            "v" if session.sel.layout == Layout::Modern => Kind::Ascii,
            "v" => {
                let text = "s -v (objects of a type) is not built in.";
                return Err(CommandError::message(text));
            }
            // `s -[w] range`: no type.
            _ if args.raw().starts_with(char::is_whitespace) => return Ok(options),
            _ if session.sel.layout == Layout::Modern => {
                // A type, and the address right behind it.
                let kinds = [
                    ("sa", Kind::AsciiTexts),
                    ("su", Kind::WideTexts),
                    ("a", Kind::Ascii),
                    ("u", Kind::Wide),
                    ("b", Kind::Bytes),
                    ("w", Kind::Words),
                    ("d", Kind::Dwords),
                    ("q", Kind::Qwords),
                ];
                let found = kinds.iter().find(|(name, _)| args.raw().starts_with(name));
                let Some((name, kind)) = found else {
                    return Err(CommandError::caret(args.pos(), "Syntax error"));
                };
                options.kind = *kind;
                args.advance(name.len());
                return Ok(options);
            }
            _ => return Err(ExprError::new(ErrorKind::Syntax, at).into()),
        };
        args.advance(letters.len());
        Ok(options)
    }

    fn flags(&mut self, text: &str, session: &Session) -> Result<(), ExprError> {
        let mut at = 0;
        while let Some(c) = text.get(at..).and_then(|t| t.chars().next()) {
            at += c.len_utf8();
            match c {
                'w' | 'W' => self.writable = true,
                '1' => self.addresses_only = true,
                's' | 'S' => self.save = true,
                'r' | 'R' => self.among_saved = true,
                'l' | 'L' | 'n' | 'N' => {
                    let rest = text.get(at..).unwrap_or("");
                    let start = rest.len() - rest.trim_start().len();
                    let digits = rest.trim_start();
                    let len = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
                    let number = digits.get(..len).unwrap_or("");
                    let (value, _) = session.eval(number).map_err(|e| e.shifted(at + start))?;
                    let value = usize::try_from(value).unwrap_or(usize::MAX);
                    at += start + len;
                    if matches!(c, 'l' | 'L') {
                        self.min_length = value.max(1)
                    } else {
                        self.max_saved = value
                    }
                }
                c if c.is_whitespace() => {}
                _ => return Err(ExprError::new(ErrorKind::Syntax, at - c.len_utf8())),
            }
        }
        Ok(())
    }
}

/// The engine's answer to nothing where something must be.
pub(super) fn missing(args: &Cursor<'_>, words: &str) -> CommandError {
    let end = args.whole().trim_end().len();
    match words.ends_with("from") {
        true => CommandError::Expr(ExprError::new(ErrorKind::CaretWhole("Search pattern missing from"), end)),
        false => CommandError::caret(end, words),
    }
}

/// The engine's answer to something behind a quoted text: it quotes the line up to the text's end.
pub(super) fn behind_text(args: &mut Cursor<'_>) -> CommandError {
    let at = args.pos();
    let before = args.whole().get(..at).unwrap_or("").trim_end();
    let until = before.len().saturating_sub(1);
    CommandError::Cut { at: at + 1, text: "Extra character error in".into(), until, tail: String::new() }
}

/// The bytes to look for.
pub(super) fn pattern(kind: Kind, args: &mut Cursor<'_>, session: &Session) -> Result<Vec<u8>, CommandError> {
    let at = args.pos();
    let modern = session.sel.layout == Layout::Modern;
    let mut out = Vec::new();
    if modern && args.is_empty() {
        let texts = matches!(kind, Kind::Ascii | Kind::Wide);
        return Err(missing(
            args,
            if texts { "Non-empty string required" } else { "Search pattern missing from" },
        ));
    }
    match kind {
        Kind::Ascii | Kind::Wide if modern && args.raw().trim_start().starts_with('"') => {
            // One text; what follows is told by the caller.
            let text = args.word().unwrap_or("");
            if kind == Kind::Ascii {
                out.extend_from_slice(text.as_bytes());
            } else {
                text.encode_utf16().for_each(|u| out.extend_from_slice(&u.to_le_bytes()));
            }
        }
        Kind::Ascii | Kind::Wide => {
            let text = args.take_rest();
            let text = text.strip_prefix('"').map_or(text, |t| t.strip_suffix('"').unwrap_or(t));
            if kind == Kind::Ascii {
                out.extend_from_slice(text.as_bytes());
            } else {
                text.encode_utf16().for_each(|u| out.extend_from_slice(&u.to_le_bytes()));
            }
        }
        _ => {
            let size = usize::try_from(kind.unit()).unwrap_or(1);
            while !args.is_empty() && out.len() <= MAX_PATTERN {
                let _ = args.pos();
                let quote = args.raw().chars().next().filter(|c| matches!(c, '"' | '\''));
                if let (Some(quote), 1, false) = (quote, size, modern) {
                    let body = args.raw().get(1..).unwrap_or("");
                    let len = body.find(quote).ok_or_else(|| args.syntax_error())?;
                    out.extend_from_slice(body.get(..len).unwrap_or("").as_bytes());
                    args.advance(len + 2);
                    continue;
                }
                let value = args.expr(session)?;
                if modern && size < 8 && value >> (size * 8) != 0 && (value as i64) >> (size * 8 - 1) != -1 {
                    return Err(CommandError::caret(args.whole().len() - args.raw().len(), "Overflow error"));
                }
                out.extend_from_slice(value.to_le_bytes().get(..size).unwrap_or_default());
            }
        }
    }
    if out.is_empty() {
        return Err(ExprError::new(ErrorKind::Missing, at).into());
    }
    if out.len() > MAX_PATTERN {
        return Err(CommandError::caret(at, "Range error"));
    }
    Ok(out)
}
