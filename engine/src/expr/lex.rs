//! Text to tokens.

use super::error::{ErrorKind, ExprError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Number(u64),
    /// A bare word that is no number; may hold one `!`.
    Word(String),
    /// `@name`, without `@`.
    Register(String),
    /// `$name` or `@$name`, without `$`, lower case.
    Pseudo(String),
    /// `$!name`.
    Local(String),
    /// `@!"module!name"`.
    Quoted(String),
    /// `` `...` ``.
    Line(String),
    /// `@@c++(...)` or `@@(...)`: the text inside.
    Cpp(String),
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
    ")", "[", "]", ",", ":", ".", "!",
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
                return Err(ExprError::new(ErrorKind::Syntax, at));
            }
            let len = prefix + name.len();
            done(
                if is_local {
                    Token::Local(name.to_owned())
                } else {
                    Token::Pseudo(name.to_ascii_lowercase())
                },
                len,
            )
        }
        c if is_word_char(c) || (c == '!' && is_symbol_start(rest.get(1..).unwrap_or(""))) => {
            word(rest, at, radix)
        }
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
            return Err(syntax());
        }
        let inner = body.get(open + 1..).unwrap_or("");
        let len = balanced(inner).ok_or_else(syntax)?;
        let token = Token::Cpp(inner.get(..len).unwrap_or("").to_owned());
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
    Ok((at, if pseudo { Token::Pseudo(name) } else { Token::Register(name) }, end))
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

/// A word that starts at `rest`'s first character: a number, or a name with perhaps a `module!` before it.
fn word(rest: &str, at: usize, radix: u32) -> Result<(usize, Token, usize), ExprError> {
    let mut end = 0;
    let mut bang = false;
    let mut chars = rest.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let next = rest.get(i + c.len_utf8()..).unwrap_or("");
        let take = is_word_char(c)
            || (c == '!' && !bang && is_symbol_start(next))
            || (c == '`'
                && rest.get(..i).is_some_and(number_like)
                && next.starts_with(|n: char| n.is_ascii_hexdigit()));
        if take {
            bang |= c == '!';
            end = i + c.len_utf8();
        } else if c == ':' && next.starts_with(':') && next.get(1..).is_some_and(is_symbol_start) {
            chars.next();
            end = i + 2;
        } else {
            break;
        }
    }
    let name = rest.get(..end).unwrap_or("");
    if !bang && let Some((value, len)) = number(name, radix) {
        let value = value.ok_or_else(|| ExprError::new(ErrorKind::Overflow, at))?;
        return Ok((at, Token::Number(value), at + len));
    }
    Ok((at, Token::Word(name.to_owned()), at + end))
}

fn number_like(s: &str) -> bool {
    let digits = s.strip_prefix("0x").or_else(|| s.strip_prefix("0X")).unwrap_or(s);
    digits.chars().all(|c| c.is_ascii_hexdigit() || c == '`')
}

/// The number at the start of a word, and its length; `None` when the word is a name. A word that starts with a
/// decimal digit is a number as far as its digits go (`28ebe0L1` is `28ebe0`, then `L1`); one that starts with a
/// letter must be one to its end.
#[allow(clippy::option_option, reason = "no number, a number too large, a number: three outcomes")]
fn number(word: &str, radix: u32) -> Option<(Option<u64>, usize)> {
    let lower = word.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0n", 10), ("0t", 8), ("0y", 2)]
        .iter()
        .find_map(|(p, base)| lower.strip_prefix(p).map(|digits| (digits, *base)));
    if let Some((digits, base)) = prefixed {
        let len = digit_len(digits, base);
        return Some((value(digits.get(..len)?, base), len + 2));
    }
    let hex = digit_len(&lower, 16);
    if hex > 0 && lower.get(hex..) == Some("h") {
        return Some((value(lower.get(..hex)?, 16), hex + 1));
    }
    let len = digit_len(&lower, radix);
    if len == 0 || (len < lower.len() && !lower.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    Some((value(lower.get(..len)?, radix), len))
}

fn digit_len(s: &str, base: u32) -> usize {
    s.find(|c: char| !(c.is_digit(base) || c == '`')).unwrap_or(s.len())
}

/// `None` when the digits do not fit in 64 bits; no digits are 0 (`0x` is 0).
fn value(digits: &str, base: u32) -> Option<u64> {
    digits
        .chars()
        .filter(|c| *c != '`')
        .try_fold(0u64, |acc, c| acc.checked_mul(u64::from(base))?.checked_add(u64::from(c.to_digit(base)?)))
}
