//! Text to tree.

mod format;
mod literals;
mod types;

pub(crate) use format::read_format;

use super::ast::{Expr, Format, LambdaText, Unary};
use crate::expr::cpp::Binary;
use format::merge;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dx::ast::{Radix, Wrap};

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
