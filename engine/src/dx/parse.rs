//! Text to tree.

use super::ast::{Expr, Format, LambdaText, Radix, TextForm, TypeText, Unary, Wrap};
use crate::expr::cpp::Binary;
use std::sync::Arc;

/// Deepest nesting.
const MAX_DEPTH: usize = 48;
/// Most parts of one expression: trees are walked by recursion.
const MAX_NODES: usize = 1024;

/// Operators with two operands and how strongly they bind; longer ones first.
const BINARY: &[(&str, Binary, u8)] = &[
    ("<<", Binary::Shl, 8),
    (">>", Binary::Shr, 8),
    ("<=", Binary::Le, 7),
    (">=", Binary::Ge, 7),
    ("==", Binary::Eq, 6),
    ("!=", Binary::Ne, 6),
    ("&&", Binary::Both, 2),
    ("||", Binary::Either, 1),
    ("*", Binary::Mul, 10),
    ("/", Binary::Div, 10),
    ("%", Binary::Rem, 10),
    ("+", Binary::Add, 9),
    ("-", Binary::Sub, 9),
    ("<", Binary::Lt, 7),
    (">", Binary::Gt, 7),
    ("&", Binary::And, 5),
    ("^", Binary::Xor, 4),
    ("|", Binary::Or, 3),
];

/// Built-in types by their words, with CodeView's numbers.
const BUILT_IN: &[(&str, u32)] = &[
    ("void", 0x03),
    ("bool", 0x30),
    ("char", 0x70),
    ("signed char", 0x10),
    ("unsigned char", 0x20),
    ("wchar_t", 0x71),
    ("char16_t", 0x7a),
    ("char32_t", 0x7b),
    ("short", 0x11),
    ("short int", 0x11),
    ("unsigned short", 0x21),
    ("unsigned short int", 0x21),
    ("int", 0x74),
    ("signed", 0x74),
    ("signed int", 0x74),
    ("unsigned", 0x75),
    ("unsigned int", 0x75),
    ("long", 0x12),
    ("long int", 0x12),
    ("unsigned long", 0x22),
    ("unsigned long int", 0x22),
    ("long long", 0x76),
    ("unsigned long long", 0x77),
    ("__int64", 0x76),
    ("unsigned __int64", 0x77),
    ("__int32", 0x74),
    ("unsigned __int32", 0x75),
    ("__int16", 0x11),
    ("unsigned __int16", 0x21),
    ("__int8", 0x70),
    ("unsigned __int8", 0x20),
    ("float", 0x40),
    ("double", 0x41),
];

const WORDS: &[&str] = &[
    "void", "bool", "char", "signed", "unsigned", "wchar_t", "char16_t", "char32_t", "short", "int", "long",
    "__int64", "__int32", "__int16", "__int8", "float", "double",
];

const KEYWORDS: &[&str] = &["const", "volatile", "struct", "class", "union", "enum"];

/// Parses all of `text`: the expression and what stands behind its last comma, when that is a format.
///
/// # Errors
/// The engine's words for what is wrong.
pub(crate) fn parse(text: &str) -> Result<(Expr, Format), String> {
    let mut p = Parser { text, at: 0, nodes: 0 };
    let mut node = p.expression(0)?;
    let mut format = Format::default();
    while p.eat(",") {
        let rest = p.rest();
        // A number behind a comma is a count; any other expression is one.
        if let Some(found) = read_format(rest) {
            format = merge(format, found);
            p.at = text.len();
            break;
        }
        let first = rest.split(',').next().unwrap_or("");
        if let Some(found) = read_format(first) {
            format = merge(format, found);
            p.at += first.len();
            continue;
        }
        let next = p.expression(0)?;
        node = Expr::Comma(Box::new(node), Box::new(next));
    }
    p.blanks();
    if p.at < text.len() {
        return Err(format!("Unexpected token at '{}'", p.rest()));
    }
    Ok((node, format))
}

fn merge(a: Format, b: Format) -> Format {
    Format {
        radix: b.radix.or(a.radix),
        text: b.text.or(a.text),
        count: b.count.or(a.count),
        count_text: b.count_text.or(a.count_text),
        raw: a.raw || b.raw,
        named: b.named.or(a.named),
    }
}

/// A format as it stands behind a comma: `x`, `[4]su`, `3`, `!`.
pub(crate) fn read_format(text: &str) -> Option<Format> {
    let mut rest = text.trim();
    let mut format = Format::default();
    if let Some(inner) = rest.strip_prefix('[') {
        let end = closing(inner)?;
        let count = inner.get(..end)?.trim();
        match number(count) {
            Some(n) => format.count = Some(n),
            None => format.count_text = Some(count.to_owned()),
        }
        rest = inner.get(end + 1..)?.trim();
        if rest.is_empty() {
            return Some(format);
        }
    } else if let Some(n) = number(rest) {
        format.count = Some(n);
        return Some(format);
    }
    if let Some(inner) = rest.strip_prefix('!') {
        format.raw = true;
        rest = inner.trim();
        if rest.is_empty() {
            return Some(format);
        }
    }
    let text = |wide, quoted| Some(TextForm { wide, quoted });
    match rest {
        "x" | "h" => format.radix = Some(Radix::Hex),
        "d" => format.radix = Some(Radix::Decimal),
        "o" => format.radix = Some(Radix::Octal),
        "b" => format.radix = Some(Radix::Binary),
        "s" => format.text = text(None, true),
        "sb" => format.text = text(None, false),
        "s8" => format.text = text(Some(false), true),
        "s8b" => format.text = text(Some(false), false),
        "su" | "bstr" => format.text = text(Some(true), true),
        "sub" => format.text = text(Some(true), false),
        "en" => format.named = Some("en"),
        "nd" => format.named = Some("nd"),
        "na" => format.named = Some("na"),
        _ if rest.starts_with("view(") && rest.ends_with(')') => format.named = Some("view"),
        _ => return None,
    }
    Some(format)
}

/// Where the bracket that is open at the start of a text closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(i),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the word at the start of a text; 0 for none.
fn word_len(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Length of a template's argument list at the start of a text.
fn template_len(text: &str) -> Option<usize> {
    if !text.starts_with('<') {
        return None;
    }
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ if is_word(c) || " ,:*&[]()!'`$-".contains(c) => {}
            _ => return None,
        }
    }
    None
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn starts(&mut self, token: &str) -> bool {
        self.blanks();
        self.rest().starts_with(token)
    }

    fn eat(&mut self, token: &str) -> bool {
        let is = self.starts(token);
        self.at += if is { token.len() } else { 0 };
        is
    }

    fn missing<T>(&mut self, what: &str) -> Result<T, String> {
        self.blanks();
        Err(match self.rest() {
            "" => format!("Expected {what} at end of expression"),
            rest => format!("Expected {what} at '{rest}'"),
        })
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { self.missing(&format!("'{token}'")) }
    }

    fn count(&mut self, depth: usize) -> Result<(), String> {
        self.nodes += 1;
        match self.nodes > MAX_NODES || depth > MAX_DEPTH {
            true => Err("The expression is too long or nested too deeply".into()),
            false => Ok(()),
        }
    }

    /// The next word, behind blanks.
    fn word(&mut self) -> Option<&'a str> {
        self.blanks();
        let len = word_len(self.rest());
        let word = self.rest().get(..len).filter(|w| !w.is_empty())?;
        self.at += len;
        Some(word)
    }

    fn expression(&mut self, depth: usize) -> Result<Expr, String> {
        self.count(depth)?;
        if let Some(lambda) = self.lambda(depth)? {
            return Ok(lambda);
        }
        let start = self.at;
        if self.eat("@$")
            && let Some(name) = self.word()
            && self.starts("=")
            && !self.starts("==")
            && !self.starts("=>")
        {
            self.eat("=");
            let value = self.expression(depth + 1)?;
            return Ok(Expr::Assign(name.to_owned(), Box::new(value)));
        }
        self.at = start;
        let test = self.binary(1, depth + 1)?;
        if !self.eat("?") {
            return Ok(test);
        }
        let yes = self.expression(depth + 1)?;
        self.expect(":")?;
        let no = self.expression(depth + 1)?;
        Ok(Expr::Choice(Box::new(test), Box::new(yes), Box::new(no)))
    }

    fn lambda(&mut self, depth: usize) -> Result<Option<Expr>, String> {
        let start = self.at;
        let mut names = Vec::new();
        let listed = self.eat("(");
        while let Some(word) = self.word() {
            names.push(word.to_owned());
            if !listed || !self.eat(",") {
                break;
            }
        }
        if (!listed || self.eat(")")) && self.eat("=>") && (listed || !names.is_empty()) {
            let body = self.expression(depth + 1)?;
            return Ok(Some(Expr::Lambda(Arc::new(LambdaText { names, body }))));
        }
        self.at = start;
        Ok(None)
    }

    fn operator(&mut self, level: u8) -> Option<(Binary, u8)> {
        self.blanks();
        let rest = self.rest();
        let (text, op, binds) = BINARY.iter().find(|(text, ..)| rest.starts_with(text))?;
        if *binds < level {
            return None;
        }
        self.at += text.len();
        Some((*op, *binds))
    }

    fn binary(&mut self, level: u8, depth: usize) -> Result<Expr, String> {
        let mut left = self.unary(depth)?;
        while let Some((op, binds)) = self.operator(level) {
            self.count(depth)?;
            let right = self.binary(binds + 1, depth + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, String> {
        self.count(depth)?;
        self.blanks();
        const OPS: &[(char, Unary)] = &[
            ('+', Unary::Plus),
            ('-', Unary::Minus),
            ('!', Unary::Not),
            ('~', Unary::Invert),
            ('*', Unary::Deref),
            ('&', Unary::AddressOf),
        ];
        if let Some((c, op)) = OPS.iter().find(|(c, _)| self.rest().starts_with(*c)) {
            self.at += c.len_utf8();
            return Ok(Expr::Unary(*op, Box::new(self.unary(depth + 1)?)));
        }
        let start = self.at;
        if self.word() == Some("sizeof") {
            let inside = self.at;
            if self.eat("(")
                && let Some(ty) = self.type_text()
                && self.eat(")")
            {
                return Ok(Expr::SizeOfType(ty));
            }
            self.at = inside;
            return Ok(Expr::SizeOf(Box::new(self.unary(depth + 1)?)));
        }
        self.at = start;
        if let Some(ty) = self.cast() {
            return Ok(Expr::Cast(ty, Box::new(self.unary(depth + 1)?)));
        }
        self.postfix(depth + 1)
    }

    /// `(type)` before an operand.
    fn cast(&mut self) -> Option<TypeText> {
        let start = self.at;
        let found = self.eat("(").then(|| self.type_text()).flatten();
        if let Some(ty) = found
            && self.eat(")")
        {
            self.blanks();
            let next = self.rest().chars().next();
            let plain = ty.built_in.is_none() && ty.wraps.is_empty();
            let operand = match next {
                Some(c) if is_word(c) || matches!(c, '@' | '"' | '\'') => true,
                Some('(' | '*' | '&' | '-' | '~' | '!' | '+' | '.') => !plain,
                _ => false,
            };
            if operand {
                return Some(ty);
            }
        }
        self.at = start;
        None
    }

    /// A type at the cursor; `None`, and the cursor anywhere, when there is none.
    fn type_text(&mut self) -> Option<TypeText> {
        let mut words: Vec<&str> = Vec::new();
        let mut name: Option<String> = None;
        loop {
            self.blanks();
            let word = self.rest().get(..word_len(self.rest())).unwrap_or("");
            match word {
                "" => break,
                w if KEYWORDS.contains(&w) => self.at += w.len(),
                w if WORDS.contains(&w) && name.is_none() => {
                    words.push(w);
                    self.at += w.len();
                }
                _ if name.is_none() && words.is_empty() => name = Some(self.qualified(true)?),
                _ => break,
            }
        }
        let (name, built_in) = match name {
            Some(name) => (name, None),
            None => {
                let text = words.join(" ");
                let (_, number) = BUILT_IN.iter().find(|(n, _)| *n == text)?;
                (text, Some(*number))
            }
        };
        let mut wraps = Vec::new();
        self.stars(&mut wraps);
        let mut outer = Vec::new();
        let start = self.at;
        if self.eat("(") {
            self.stars(&mut outer);
            if outer.is_empty() || !self.eat(")") {
                self.at = start;
                outer.clear();
            }
        }
        let mut lengths = Vec::new();
        while self.eat("[") {
            self.blanks();
            let end = self.rest().find(|c: char| !c.is_ascii_alphanumeric())?;
            lengths.push(Wrap::Array(number(self.rest().get(..end)?)?));
            self.at += end;
            if !self.eat("]") {
                return None;
            }
        }
        // `int [3][4]` is three of `int [4]`.
        wraps.extend(lengths.into_iter().rev());
        wraps.extend(outer);
        (wraps.len() <= 16).then_some(TypeText { name, built_in, wraps })
    }

    fn stars(&mut self, wraps: &mut Vec<Wrap>) {
        loop {
            self.blanks();
            let keyword = ["const", "volatile"].iter().find(|k| self.rest().starts_with(**k));
            if self.eat("*") {
                wraps.push(Wrap::Pointer);
            } else if self.starts("&") && !self.starts("&&") {
                self.at += 1;
                wraps.push(Wrap::Reference);
            } else if let Some(keyword) = keyword {
                self.at += keyword.len();
            } else {
                return;
            }
        }
    }

    /// `module!name`, `a::b<c>::d`. `ty`: a template list may end it.
    fn qualified(&mut self, ty: bool) -> Option<String> {
        self.blanks();
        let mut name = String::new();
        // The engine takes blanks into a module's name.
        let rest = self.rest();
        if let Some(bang) = rest.find('!') {
            let before = rest.get(..bang).unwrap_or("");
            let module = !before.is_empty() && before.chars().all(|c| is_word(c) || c == ' ');
            let next = rest.get(bang + 1..).unwrap_or("");
            if module && word_len(before) > 0 && (word_len(next) > 0 || next.starts_with(['`', '?', '~'])) {
                name.push_str(before);
                name.push('!');
                self.at += bang + 1;
            }
        }
        loop {
            let rest = self.rest();
            let mut len = word_len(rest.strip_prefix('~').unwrap_or(rest));
            len += usize::from(len > 0 && rest.starts_with('~'));
            if len == 0 {
                return None;
            }
            name.push_str(rest.get(..len)?);
            self.at += len;
            if let Some(len) = template_len(self.rest()) {
                let after = self.rest().get(len..).unwrap_or("").trim_start();
                let ends = after.starts_with([')', '*', '&', '>', '['])
                    || after.is_empty()
                    || after.starts_with('(');
                if after.starts_with("::") || (ty && ends) {
                    name.push_str(self.rest().get(..len)?);
                    self.at += len;
                }
            }
            match self.rest().strip_prefix("::") {
                Some(_) => {
                    name.push_str("::");
                    self.at += 2;
                }
                None => return Some(name),
            }
        }
    }

    fn postfix(&mut self, depth: usize) -> Result<Expr, String> {
        let mut node = self.primary(depth)?;
        loop {
            self.count(depth)?;
            let arrow = self.starts("->");
            if arrow || self.starts(".") {
                self.at += if arrow { 2 } else { 1 };
                match self.word() {
                    Some(name) => node = Expr::Member(Box::new(node), name.to_owned(), arrow),
                    None => return self.missing("identifier"),
                }
            } else if self.eat("[") {
                let index = self.expression(depth + 1)?;
                self.expect("]")?;
                node = Expr::Index(Box::new(node), Box::new(index));
            } else if self.eat("(") {
                let arguments = self.arguments(depth)?;
                node = Expr::Call(Box::new(node), arguments);
            } else {
                return Ok(node);
            }
        }
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Expr>, String> {
        let mut out = Vec::new();
        if self.eat(")") {
            return Ok(out);
        }
        loop {
            out.push(self.expression(depth + 1)?);
            if !self.eat(",") {
                self.expect(")")?;
                return Ok(out);
            }
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Expr, String> {
        self.blanks();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return self.missing("expression") };
        if first.is_ascii_digit()
            || (first == '.'
                && rest.get(1..2).is_some_and(|c| c.as_bytes().first().is_some_and(u8::is_ascii_digit)))
        {
            return self.numeral();
        }
        if rest.starts_with("L\"") || first == '"' {
            return self.text_literal();
        }
        match first {
            '\'' => return self.character(),
            '(' => {
                self.at += 1;
                let inner = self.expression(depth + 1)?;
                self.expect(")")?;
                return Ok(inner);
            }
            '@' => {
                let dollar = rest.get(1..).is_some_and(|r| r.starts_with('$'));
                let from = 1 + usize::from(dollar);
                let len = rest.get(from..).map_or(0, |r| r.find(|c| !is_word(c)).unwrap_or(r.len()));
                if len == 0 {
                    return self.missing("expression");
                }
                self.at += from + len;
                return Ok(Expr::Special(rest.get(1..from + len).unwrap_or("").to_owned()));
            }
            _ => {}
        }
        let start = self.at;
        match self.word() {
            Some("true") => return Ok(Expr::Bool(true)),
            Some("false") => return Ok(Expr::Bool(false)),
            Some("nullptr" | "null") => return Ok(Expr::Int(0)),
            Some("new") if self.starts("{") => return self.object(depth),
            _ => {}
        }
        self.at = start;
        match self.qualified(false) {
            Some(name) => Ok(Expr::Name(name)),
            None => {
                self.at = start;
                self.missing("expression")
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Expr, String> {
        self.expect("{")?;
        let mut members = Vec::new();
        while !self.eat("}") {
            let start = self.at;
            let named = self.word().filter(|_| self.starts("=") && !self.starts("==")).map(str::to_owned);
            match named {
                Some(name) => {
                    self.expect("=")?;
                    members.push((name, self.expression(depth + 1)?));
                }
                None => {
                    // `new { a.Id }` is called `Id`.
                    self.at = start;
                    let value = self.expression(depth + 1)?;
                    let name = match &value {
                        Expr::Member(_, name, _) | Expr::Name(name) => name.clone(),
                        _ => return self.missing("'='"),
                    };
                    members.push((name, value));
                }
            }
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Expr::Object(members))
    }

    fn numeral(&mut self) -> Result<Expr, String> {
        let rest = self.rest();
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let digits = rest.get(..len).unwrap_or("");
        let tail = rest.get(len..).unwrap_or("");
        let point =
            tail.starts_with('.') && tail.get(1..2).is_some_and(|c| c.chars().all(|c| c.is_ascii_digit()));
        if point && digits.chars().all(|c| c.is_ascii_digit()) {
            let more = tail.get(1..).unwrap_or("");
            let more = more.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(more.len());
            let text = rest.get(..len + 1 + more).unwrap_or("");
            self.at += text.len();
            return match text.trim_end_matches(['f', 'F', 'l', 'L']).parse() {
                Ok(f) => Ok(Expr::Float(f)),
                Err(_) => Err(format!("Unexpected token at '{text}'")),
            };
        }
        let lower = digits.to_ascii_lowercase();
        let (body, radix) = match lower.get(..2) {
            Some("0x") => (lower.get(2..), 16),
            Some("0n") => (lower.get(2..), 10),
            Some("0t") => (lower.get(2..), 8),
            Some("0y") => (lower.get(2..), 2),
            _ if lower.len() > 1 && lower.starts_with('0') => (lower.get(1..), 8),
            _ => (Some(lower.as_str()), 10),
        };
        let body = body.unwrap_or("").trim_end_matches(['u', 'l']);
        match u64::from_str_radix(body, radix) {
            Ok(n) => {
                self.at += len;
                Ok(Expr::Int(if n > i64::MAX as u64 && radix == 10 { n.into() } else { (n as i64).into() }))
            }
            Err(_) => Err(format!("Unexpected token at '{rest}'")),
        }
    }

    fn character(&mut self) -> Result<Expr, String> {
        let inner = self.rest().get(1..).unwrap_or("");
        let mut chars = inner.chars();
        let (value, len) = match chars.next() {
            Some('\\') => match chars.next() {
                Some(c) => (escaped(c), 1 + c.len_utf8()),
                None => return self.missing("expression"),
            },
            Some(c) if c != '\'' => (c, c.len_utf8()),
            _ => return self.missing("expression"),
        };
        if !inner.get(len..).is_some_and(|r| r.starts_with('\'')) {
            return self.missing("expression");
        }
        self.at += len + 2;
        Ok(Expr::Int(u32::from(value).into()))
    }

    fn text_literal(&mut self) -> Result<Expr, String> {
        let rest = self.rest();
        let from = rest.find('"').unwrap_or(0) + 1;
        let mut out = String::new();
        let mut chars = rest.get(from..).unwrap_or("").char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += from + i + 1;
                    return Ok(Expr::Text(out));
                }
                '\\' => out.extend(chars.next().map(|(_, c)| escaped(c))),
                c => out.push(c),
            }
        }
        self.missing("expression")
    }
}

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        parse(text).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_as_the_engine_says_it() {
        assert_eq!(wrong(""), "Expected expression at end of expression");
        assert_eq!(wrong("(1"), "Expected ')' at end of expression");
        assert_eq!(wrong("1)"), "Unexpected token at ')'");
        assert_eq!(wrong("1 2"), "Unexpected token at '2'");
        assert_eq!(wrong("\"abc"), "Expected expression at '\"abc'");
    }

    #[test]
    fn formats_are_told_from_expressions() {
        assert_eq!(parse("255,x").unwrap().1.radix, Some(Radix::Hex));
        assert_eq!(parse("a,[4]su").unwrap().1.count, Some(4));
        assert_eq!(parse("a,3").unwrap().1.count, Some(3));
        assert!(parse("a,!").unwrap().1.raw);
        assert!(matches!(parse("255,X").unwrap().0, Expr::Comma(..)));
        assert!(matches!(parse("@$f = (x => x * 2), @$f(4)").unwrap().0, Expr::Comma(..)));
    }

    #[test]
    fn casts_and_types() {
        let Expr::Unary(Unary::Deref, inner) = parse("*(app!Point(*)[2])app!g").unwrap().0 else { panic!() };
        let Expr::Cast(ty, _) = *inner else { panic!() };
        assert_eq!((ty.name.as_str(), ty.wraps), ("app!Point", vec![Wrap::Array(2), Wrap::Pointer]));
        assert!(matches!(parse("(x => x + 1)(5)").unwrap().0, Expr::Call(..)));
        assert!(matches!(parse("(app!Color)5").unwrap().0, Expr::Cast(..)));
        assert!(matches!(parse("(5).ToDisplayString()").unwrap().0, Expr::Call(..)));
        assert_eq!(
            parse("-q app!g").unwrap().0,
            Expr::Unary(Unary::Minus, Box::new(Expr::Name("q app!g".into())))
        );
        assert_eq!(parse("a!b::C<int>::d").unwrap().0, Expr::Name("a!b::C<int>::d".into()));
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"-".repeat(100_000)).is_err());
        assert!(parse(&"1+".repeat(100_000)).is_err());
    }
}
