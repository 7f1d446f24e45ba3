//! Names and types.

use super::format::number;
use super::{Parser, is_word, word_len};
use crate::dx::ast::{TypeText, Wrap};
use crate::expr::cpp::{BUILT_IN, template_len};

/// Built-in types that `??` does not know, with CodeView's numbers.
const SIZED: &[(&str, u32)] = &[
    ("__int32", 0x74),
    ("unsigned __int32", 0x75),
    ("__int16", 0x11),
    ("unsigned __int16", 0x21),
    ("__int8", 0x70),
    ("unsigned __int8", 0x20),
];

const WORDS: &[&str] = &[
    "void", "bool", "char", "signed", "unsigned", "wchar_t", "char16_t", "char32_t", "short", "int", "long",
    "__int64", "__int32", "__int16", "__int8", "float", "double",
];

const KEYWORDS: &[&str] = &["const", "volatile", "struct", "class", "union", "enum"];

impl Parser<'_> {
    /// `(type)` before an operand.
    pub(super) fn cast(&mut self) -> Option<TypeText> {
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
    pub(super) fn type_text(&mut self) -> Option<TypeText> {
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
                let (_, number) = BUILT_IN.iter().chain(SIZED).find(|(n, _)| *n == text)?;
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
    pub(super) fn qualified(&mut self, ty: bool) -> Option<String> {
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
            if let Some(len) = template_len(self.rest(), |c| is_word(c) || " ,:*&[]()!'`$-".contains(c)) {
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
}
