//! Text to tokens.

use crate::expr::{ErrorKind, ExprError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A number and its CodeView type.
    Number(u64, u32),
    /// A name, perhaps with `module!` and scopes.
    Name(String),
    /// `@reg`.
    Register(String),
    /// `@$name` or `$name`, lower case, without `$`.
    Pseudo(String),
    /// `@@masm(...)` or `@@(...)`.
    Masm(String),
    /// `#NAME`.
    Macro(String),
    Op(&'static str),
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) at: usize,
    pub(super) end: usize,
    pub(super) token: Token,
}

/// Most tokens of an expression.
const MAX_TOKENS: usize = 4096;

const OPS: &[&str] = &[
    "->", "<<=", ">>=", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=",
    "%=", "&=", "|=", "^=", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "=", "<", ">", "(", ")", "[",
    "]", ",", ".", "?", ":",
];

/// CodeView's numbers of the types of literals.
pub(super) const INT: u32 = 0x74;
pub(super) const FLOAT: u32 = 0x40;
pub(super) const DOUBLE: u32 = 0x41;
pub(super) const UINT: u32 = 0x75;
pub(super) const INT64: u32 = 0x76;
pub(super) const UINT64: u32 = 0x77;
const CHAR: u32 = 0x70;
const WCHAR: u32 = 0x71;
const SHORT: u32 = 0x11;

/// The tokens of a text, and what is wrong behind the last of them. `modern`: numbers are those of today's engine.
pub(super) fn tokens(text: &str, modern: bool) -> (Vec<Placed>, Option<ExprError>) {
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        let tail = text.get(at..).unwrap_or("");
        at += tail.len() - tail.trim_start().len();
        let rest = text.get(at..).unwrap_or("");
        let Some(first) = rest.chars().next() else { return (out, None) };
        let found = if out.len() >= MAX_TOKENS { Err(ErrorKind::Syntax) } else { one(rest, first, modern) };
        let (token, len) = match found {
            Ok(found) => found,
            Err(kind) => return (out, Some(ExprError::new(kind, at))),
        };
        out.push(Placed { at, end: at + len, token });
        at += len;
    }
}

fn one(rest: &str, first: char, modern: bool) -> Result<(Token, usize), ErrorKind> {
    let fraction = |s: &str| s.get(1..).is_some_and(|t| t.starts_with(|c: char| c.is_ascii_digit()));
    if first.is_ascii_digit() || (first == '.' && fraction(rest)) {
        return number(rest, modern);
    }
    match first {
        '\'' => return character(rest, CHAR),
        'L' if rest.starts_with("L'") => {
            let (token, len) = character(rest.get(1..).unwrap_or(""), WCHAR)?;
            return Ok((token, len + 1));
        }
        '"' => return Err(ErrorKind::At("String literals not allowed in")),
        'L' if rest.starts_with("L\"") => return Err(ErrorKind::At("String literals not allowed in")),
        '@' => return at_sign(rest),
        // `$!name` is a local variable.
        '$' if rest.starts_with("$!") => {
            let name = ident(rest.get(2..).unwrap_or(""));
            return Ok((Token::Name(name.to_owned()), 2 + name.len()));
        }
        '$' if modern => return Err(ErrorKind::At("Unexpected character in")),
        '$' | '#' => {
            let name = ident(rest.get(1..).unwrap_or(""));
            if name.is_empty() {
                return Err(ErrorKind::Syntax);
            }
            let token = match first {
                '$' => Token::Pseudo(name.to_ascii_lowercase()),
                _ => Token::Macro(name.to_owned()),
            };
            return Ok((token, 1 + name.len()));
        }
        _ => {}
    }
    if is_start(first) || first == '`' {
        let len = name_len(rest);
        if len > 0 {
            return Ok((Token::Name(rest.get(..len).unwrap_or("").to_owned()), len));
        }
    }
    match OPS.iter().find(|op| rest.starts_with(**op)) {
        Some(op) => Ok((Token::Op(op), op.len())),
        None => Err(ErrorKind::Syntax),
    }
}

fn is_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn ident(s: &str) -> &str {
    let end = s.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(s.len());
    s.get(..end).unwrap_or("")
}

/// Length of a name: identifiers joined by `::`, one `module!` before them, `` `anonymous namespace' `` among them.
pub(super) fn name_len(rest: &str) -> usize {
    let mut len = 0;
    let mut bang = false;
    loop {
        let tail = rest.get(len..).unwrap_or("");
        let part = match tail.strip_prefix('`') {
            Some(body) => match body.find('\'') {
                Some(end) => end + 2,
                None => return len,
            },
            None => {
                let start = tail.strip_prefix('~').unwrap_or(tail);
                let word = start
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$')))
                    .unwrap_or(start.len());
                if word == 0 { 0 } else { word + (tail.len() - start.len()) }
            }
        };
        if part == 0 {
            return len;
        }
        len += part;
        let tail = rest.get(len..).unwrap_or("");
        let follows = |s: &str| s.starts_with(|c: char| is_start(c) || matches!(c, '`' | '~'));
        if tail.starts_with("::") && follows(tail.get(2..).unwrap_or("")) {
            len += 2;
        } else if !bang && tail.starts_with('!') && follows(tail.get(1..).unwrap_or("")) {
            bang = true;
            len += 1;
        } else {
            return len;
        }
    }
}

/// A number with a fraction or an exponent, as a token whose number is its bits.
fn fraction(rest: &str) -> Option<(Token, usize)> {
    let digits = |from: usize| {
        let tail = rest.get(from..).unwrap_or("");
        tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
    };
    let whole = digits(0);
    let mut len = whole;
    let at = |n: usize| rest.as_bytes().get(n).copied().unwrap_or(0);
    if at(len) == b'.' && at(len + 1) != b'.' {
        len += 1 + digits(len + 1);
    }
    if matches!(at(len), b'e' | b'E') {
        let sign = usize::from(matches!(at(len + 1), b'+' | b'-'));
        let power = digits(len + 1 + sign);
        len += if power > 0 { 1 + sign + power } else { 0 };
    }
    if len == whole {
        return None;
    }
    let text = rest.get(..len)?;
    Some(match at(len) {
        b'f' | b'F' => (Token::Number(text.parse::<f32>().ok()?.to_bits().into(), FLOAT), len + 1),
        _ => (Token::Number(text.parse::<f64>().ok()?.to_bits(), DOUBLE), len),
    })
}

fn number(rest: &str, modern: bool) -> Result<(Token, usize), ErrorKind> {
    if let Some(found) = fraction(rest) {
        return Ok(found);
    }
    let lower = rest.to_ascii_lowercase();
    // `0n`, `0t` and `0y` are MASM's; the old layout takes them here, too.
    let prefixes: &[(&str, u32)] =
        if modern { &[("0x", 16)] } else { &[("0x", 16), ("0n", 10), ("0t", 8), ("0y", 2)] };
    let prefixed = prefixes.iter().find_map(|(p, base)| Some((2usize, *base, lower.strip_prefix(p)?)));
    let (skip, base, digits) = prefixed.unwrap_or_else(|| {
        let octal = lower.starts_with('0') && lower.chars().nth(1).is_some_and(|c| c.is_digit(8));
        (0, if octal { 8 } else { 10 }, lower.as_str())
    });
    let len = digits.find(|c: char| !(c.is_digit(base) || c == '`')).unwrap_or(digits.len());
    let value = digits
        .get(..len)
        .unwrap_or("")
        .chars()
        .filter(|c| *c != '`')
        .try_fold(0u64, |acc, c| acc.checked_mul(base.into())?.checked_add(c.to_digit(base)?.into()));
    let value = value.ok_or(ErrorKind::Overflow)?;
    let tail = digits.get(len..).unwrap_or("");
    let suffix_len = tail.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tail.len());
    let suffix = tail.get(..suffix_len).unwrap_or("");
    let (unsigned, long) = match suffix {
        "" | "l" => (false, false),
        "u" | "ul" | "lu" => (true, false),
        "ll" => (false, !modern),
        "i64" => (false, true),
        "ull" | "llu" | "ui64" => (true, true),
        // What follows is no part of the number.
        _ if modern => {
            // The engine passes over letters that end numbers.
            let letters = suffix.len() - suffix.trim_start_matches(['f', 'F', 'l', 'L', 'u', 'U']).len();
            let number = Token::Number(value, literal(value, base, false, false));
            return Ok((number, skip + len + letters));
        }
        _ => return Err(ErrorKind::Syntax),
    };
    Ok((Token::Number(value, literal(value, base, unsigned, long)), skip + len + suffix_len))
}

/// The type of a whole number: the first that holds it; of decimal ones only signed types.
fn literal(value: u64, base: u32, unsigned: bool, long: bool) -> u32 {
    let small = u32::try_from(value).is_ok();
    match (unsigned, long || !small) {
        (false, false) if value > 0x7fff_ffff => {
            if base == 10 {
                INT64
            } else {
                UINT
            }
        }
        (false, false) => INT,
        (true, false) => UINT,
        (false, true) if i64::try_from(value).is_err() => UINT64,
        (false, true) => INT64,
        (true, true) => UINT64,
    }
}

/// `'a'`; of several characters the number that they make, the first the highest.
fn character(rest: &str, ty: u32) -> Result<(Token, usize), ErrorKind> {
    let mut value = 0u64;
    let mut count = 0usize;
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        let code = match c {
            '\'' if count > 0 => {
                let ty = match (ty, count) {
                    (CHAR, 2) => SHORT,
                    (CHAR, 3..) => INT,
                    _ => ty,
                };
                return Ok((Token::Number(value, ty), i + 1));
            }
            '\'' => return Err(ErrorKind::Syntax),
            '\\' => match chars.next().ok_or(ErrorKind::Syntax)?.1 {
                'n' => 10,
                't' => 9,
                'r' => 13,
                '0' => 0,
                'x' => {
                    let mut code = 0u32;
                    while let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(16)) {
                        code = code.wrapping_mul(16).wrapping_add(digit);
                        chars.next();
                    }
                    code
                }
                other => other.into(),
            },
            other => other.into(),
        };
        if ty == CHAR && code > 0xff {
            return Err(ErrorKind::Syntax);
        }
        value = value << 8 | u64::from(code);
        count += 1;
    }
    Err(ErrorKind::Syntax)
}

fn at_sign(rest: &str) -> Result<(Token, usize), ErrorKind> {
    if let Some(body) = rest.strip_prefix("@@") {
        let open = body.find('(').ok_or(ErrorKind::Syntax)?;
        let kind = body.get(..open).unwrap_or("").trim().to_ascii_lowercase();
        let inner = body.get(open + 1..).unwrap_or("");
        let len = closing(inner).ok_or(ErrorKind::Syntax)?;
        let text = inner.get(..len).unwrap_or("").to_owned();
        let end = 2 + open + 1 + len + 1;
        return match kind.as_str() {
            "" | "masm" => Ok((Token::Masm(text), end)),
            // The same evaluator: brackets. The parser reads the text again.
            "c++" => Ok((Token::Masm(format!("@@c++({text})")), end)),
            _ => Err(ErrorKind::Syntax),
        };
    }
    let (prefix, pseudo) = if rest.starts_with("@$") { (2, true) } else { (1, false) };
    // `@!"module!name"` forces a symbol.
    if let Some(body) = rest.strip_prefix("@!\"") {
        let end = body.find('"').ok_or(ErrorKind::Syntax)?;
        return Ok((Token::Name(body.get(..end).unwrap_or("").to_owned()), end + 4));
    }
    // `@$!name` is a local variable.
    if let Some(name) = rest.strip_prefix("@$!").map(ident).filter(|n| !n.is_empty()) {
        return Ok((Token::Name(name.to_owned()), 3 + name.len()));
    }
    let name = ident(rest.get(prefix..).unwrap_or(""));
    if name.is_empty() {
        return Err(ErrorKind::BadRegister);
    }
    let len = prefix + name.len();
    let name = name.to_ascii_lowercase();
    Ok((if pseudo { Token::Pseudo(name) } else { Token::Register(name) }, len))
}

/// Length of the text before the bracket that closes one opened before it.
fn closing(s: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in s.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(i),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}
