//! Numbers, characters, texts.

use super::Parser;
use crate::dx::ast::Expr;

fn escaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        c => c,
    }
}

impl Parser<'_> {
    pub(super) fn numeral(&mut self) -> Result<Expr, String> {
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

    pub(super) fn character(&mut self) -> Result<Expr, String> {
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

    pub(super) fn text_literal(&mut self) -> Result<Expr, String> {
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
