//! Text to tokens.

use super::error::{ErrorKind, ExprError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(u64),
    /// A bare word that is no number; may hold one `!`.
    Word(String),
    /// `@name`, without `@`.
    Register(String),
    /// `$name` or `@$name`, without `$`, lower case; true with `@`.
    Pseudo(String, bool),
    /// `$!name`.
    Local(String),
    /// `@!"module!name"`.
    Quoted(String),
    /// `` `...` ``.
    Line(String),
    /// `@@c++(...)` or `@@(...)`: the text inside, and where it begins.
    Cpp((String, usize)),
    /// `@@masm(`.
    Masm,
    /// `"..."`.
    Text(String),
    /// An operator or bracket.
    Op(&'static str),
    End,
}

pub(super) fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '?' | '@' | '~')
}

const OPS: &[&str] = &[
    ">>>", "<<", ">>", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "&", "|", "^", "=", "<", ">", "(",
    ")", "[", "]", ",", ":", ".", "~",
];

/// The token at `start` (after blanks): where it begins, what it is, where it ends.
pub(super) fn next(text: &str, start: usize, radix: u32) -> Result<(usize, Token, usize), ExprError> {
    let tail = text.get(start..).unwrap_or("");
    let at = start + (tail.len() - tail.trim_start().len());
    let rest = text.get(at..).unwrap_or("");
    let Some(first) = rest.chars().next() else { return Ok((at, Token::End, at)) };
    let done = |token, len: usize| Ok((at, token, at + len));
    match first {
        '"' => {
            let body = rest.get(1..).unwrap_or("");
            let end = body.find('"').ok_or_else(|| ExprError::new(ErrorKind::Syntax, at))?;
            done(Token::Text(body.get(..end).unwrap_or("").to_owned()), end + 2)
        }
        '\'' => characters(rest, at),
        '~' => done(Token::Op("~"), 1),
        '`' => {
            let body = rest.get(1..).unwrap_or("");
            let end = body.find('`').ok_or_else(|| ExprError::new(ErrorKind::Syntax, at))?;
            done(Token::Line(body.get(..end).unwrap_or("").to_owned()), end + 2)
        }
        '@' => at_sign(rest, at),
        '$' => {
            let (prefix, is_local) = if rest.starts_with("$!") { (2, true) } else { (1, false) };
            let name = ident(rest.get(prefix..).unwrap_or(""));
            if name.is_empty() {
                return Err(ExprError::new(ErrorKind::CouldntResolve, at));
            }
            let len = prefix + name.len();
            done(
                if is_local {
                    Token::Local(name.to_owned())
                } else {
                    Token::Pseudo(name.to_ascii_lowercase(), false)
                },
                len,
            )
        }
        c if is_word_char(c) || (c == '!' && !rest.starts_with("!=")) => word(rest, at, radix),
        _ => match OPS.iter().find(|op| rest.starts_with(**op)) {
            Some(op) => done(Token::Op(op), op.len()),
            None => Err(ExprError::new(ErrorKind::Syntax, at)),
        },
    }
}

fn is_symbol_start(s: &str) -> bool {
    s.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '?' | '@' | '~'))
}

fn ident(s: &str) -> &str {
    let end = s.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(s.len());
    s.get(..end).unwrap_or("")
}

fn at_sign(rest: &str, at: usize) -> Result<(usize, Token, usize), ExprError> {
    let syntax = || ExprError::new(ErrorKind::Syntax, at);
    if let Some(body) = rest.strip_prefix("@!\"") {
        let end = body.find('"').ok_or_else(syntax)?;
        return Ok((at, Token::Quoted(body.get(..end).unwrap_or("").to_owned()), at + end + 4));
    }
    if let Some(body) = rest.strip_prefix("@@") {
        let open = body.find('(').ok_or_else(syntax)?;
        let kind = body.get(..open).unwrap_or("").trim().to_ascii_lowercase();
        if kind == "masm" {
            return Ok((at, Token::Masm, at + 2 + open + 1));
        }
        if !kind.is_empty() && kind != "c++" {
            return Err(ExprError::new(ErrorKind::Caret("Syntax error"), at));
        }
        let inner = body.get(open + 1..).unwrap_or("");
        let unclosed = || ExprError::new(ErrorKind::Syntax, at + rest.len());
        let len = balanced(inner).ok_or_else(unclosed)?;
        let token = Token::Cpp((inner.get(..len).unwrap_or("").to_owned(), at + 2 + open + 1));
        return Ok((at, token, at + 2 + open + 1 + len + 1));
    }
    if let Some(name) = rest.strip_prefix("@$!").map(ident).filter(|n| !n.is_empty()) {
        return Ok((at, Token::Local(name.to_owned()), at + 3 + name.len()));
    }
    let (prefix, pseudo) = if rest.starts_with("@$") { (2, true) } else { (1, false) };
    let name = ident(rest.get(prefix..).unwrap_or(""));
    if name.is_empty() {
        return Err(ExprError::new(ErrorKind::BadRegister, at));
    }
    let end = at + prefix + name.len();
    let name = name.to_ascii_lowercase();
    Ok((at, if pseudo { Token::Pseudo(name, true) } else { Token::Register(name) }, end))
}

/// Length of the text before the parenthesis that closes one opened before it.
fn balanced(s: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quoted = false;
    for (i, c) in s.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 0 => return Some(i),
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `'abcd'`: the bytes as a number, the first the highest; of more than eight the last eight.
fn characters(rest: &str, at: usize) -> Result<(usize, Token, usize), ExprError> {
    let body = rest.get(1..).unwrap_or("");
    let end = body.find('\'').ok_or_else(|| ExprError::new(ErrorKind::Syntax, at))?;
    let value = body.bytes().take(end).fold(0u64, |n, b| n << 8 | u64::from(b));
    Ok((at, Token::Number(value), at + end + 2))
}

/// A word that starts at `rest`'s first character: a number, or a name with perhaps a `module!` before it.
fn word(rest: &str, at: usize, radix: u32) -> Result<(usize, Token, usize), ExprError> {
    if let Some((value, len)) = number(rest, radix) {
        let fail = |kind| Err(ExprError::new(kind, at));
        let tail = rest.get(len..).unwrap_or("");
        // A length may follow directly (`28ebe0L1`); anything else that goes on is no number.
        let length =
            tail.strip_prefix(['l', 'L']).is_some_and(|t| t.starts_with(|c: char| c.is_ascii_hexdigit()));
        if !length && tail.starts_with(|c: char| is_word_char(c) || c == '.') {
            return fail(ErrorKind::Syntax);
        }
        return match value {
            Some(value) => Ok((at, Token::Number(value), at + len)),
            None => fail(ErrorKind::Overflow),
        };
    }
    let mut end = 0;
    let mut bang = false;
    let mut quoted = false;
    let mut chars = rest.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let next = rest.get(i + c.len_utf8()..).unwrap_or("");
        // `` `vftable' `` and `` `anonymous namespace'::x ``: quotes of undecorated names.
        let quote = bang && (c == '`' || (quoted && (c == '\'' || c == ' ')));
        if is_word_char(c) || quote || (c == '!' && !bang) {
            quoted = (quoted || c == '`') && c != '\'';
            bang |= c == '!';
            end = i + c.len_utf8();
        } else if c == ':' && next.starts_with(':') && next.get(1..).is_some_and(is_name_start) {
            chars.next();
            end = i + 2;
        } else {
            break;
        }
    }
    let name = rest.get(..end).unwrap_or("");
    if name.ends_with('!') {
        return Err(ExprError::new(ErrorKind::Syntax, at));
    }
    Ok((at, Token::Word(name.to_owned()), at + end))
}

fn is_name_start(s: &str) -> bool {
    is_symbol_start(s) || s.starts_with('`')
}

/// The number at the start of a text, and its length; `None` when the text starts with a name. A word that starts with a
/// decimal digit is a number as far as its digits go; one that starts with a letter must be one to its end.
#[allow(clippy::option_option, reason = "no number, a number too large, a number: three outcomes")]
fn number(text: &str, radix: u32) -> Option<(Option<u64>, usize)> {
    let word = text.find(|c: char| !(is_word_char(c) || matches!(c, '`' | '!'))).unwrap_or(text.len());
    let word = text.get(..word)?;
    let lower = word.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0n", 10), ("0t", 8), ("0y", 2)]
        .iter()
        .find_map(|(p, base)| lower.strip_prefix(p).map(|digits| (digits, *base)));
    if let Some((digits, base)) = prefixed {
        // `0n-5` is -5.
        if base == 10 && digits.is_empty() && text.get(2..).is_some_and(|t| t.starts_with('-')) {
            let tail = text.get(3..).unwrap_or("");
            let len = digit_len(tail, base);
            if len > 0 {
                return Some((value(tail.get(..len)?, base).map(u64::wrapping_neg), 3 + len));
            }
        }
        let len = digit_len(digits, base);
        return Some((value(digits.get(..len)?, base), len + 2));
    }
    let hex = digit_len(&lower, 16);
    if hex > 0 && lower.get(hex..) == Some("h") {
        return Some((value(lower.get(..hex)?, 16), hex + 1));
    }
    let len = digit_len(&lower, radix);
    let starts_with_digit = lower.starts_with(|c: char| c.is_ascii_digit());
    if starts_with_digit {
        return Some((value(lower.get(..len)?, radix), len));
    }
    if len == 0 || len < lower.len() || lower.starts_with('`') {
        return None;
    }
    Some((value(lower.get(..len)?, radix), len))
}

fn digit_len(s: &str, base: u32) -> usize {
    s.find(|c: char| !(c.is_digit(base) || (c == '`' && base == 16))).unwrap_or(s.len())
}

/// More digits than this are not checked for what they lose.
const CHECKED_DIGITS: usize = 20;

/// `None` when the digits do not fit in 64 bits; no digits are 0 (`0x` is 0).
fn value(digits: &str, base: u32) -> Option<u64> {
    let digits = digits.chars().filter(|c| *c != '`');
    let wraps = digits.clone().count() > CHECKED_DIGITS;
    digits.map(|c| u64::from(c.to_digit(base).unwrap_or(0))).try_fold(0u64, |acc, digit| {
        let base = u64::from(base);
        if wraps {
            return Some(acc.wrapping_mul(base).wrapping_add(digit));
        }
        acc.checked_mul(base)?.checked_add(digit)
    })
}
