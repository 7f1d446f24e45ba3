//! Tokens to a tree.

use super::ast::{Binary, Macro, Node, TypeName, Unary};
use super::lex::{self, Placed, Token};
use crate::expr::{ErrorKind, ExprError};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most operators: the tree is walked by recursion.
const MAX_NODES: usize = 256;

/// What the parser asks about names.
pub trait Names {
    /// True for the rules and messages of today's engine.
    fn modern(&self) -> bool;
    /// True for a type and no variable.
    fn is_type(&self, name: &str) -> bool;
    /// True for anything that has a value.
    fn is_known(&self, name: &str) -> bool;
}

/// Parses the C++ expression at the start of `text`; gives the tree and where it ends.
///
/// # Errors
/// What is wrong and where.
pub fn parse(text: &str, names: &dyn Names) -> Result<(Node, usize), ExprError> {
    let modern = names.modern();
    let (tokens, bad) = lex::tokens(text, modern);
    let mut parser = Parser { text, tokens, bad, pos: 0, nodes: 0, names, modern };
    if parser.tokens.is_empty() && parser.bad.is_none() {
        return parser.error(ErrorKind::Missing);
    }
    let node = parser.comma(0)?;
    match parser.peek() {
        Some(Placed { token: Token::Op("=" | "+=" | "-=" | "*=" | "/=" | "++" | "--"), at, .. }) => {
            let text = "A dump cannot be changed.";
            Err(ExprError::new(ErrorKind::Unsupported(text.into()), *at))
        }
        _ => {
            let end = parser.at();
            Ok((node, end))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    /// What is wrong behind the last token.
    bad: Option<ExprError>,
    pos: usize,
    nodes: usize,
    names: &'a dyn Names,
    modern: bool,
}

/// Built-in types by their words in order, with CodeView's numbers.
pub(crate) const BUILT_IN: &[(&str, u32)] = &[
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
    ("int64", 0x76),
    ("unsigned int64", 0x77),
    ("__int64", 0x76),
    ("unsigned __int64", 0x77),
    ("float", 0x40),
    ("double", 0x41),
];

/// Casts by name.
const CASTS: &[&str] = &["static_cast", "reinterpret_cast", "const_cast"];

const WORDS: &[&str] = &[
    "void", "bool", "char", "signed", "unsigned", "wchar_t", "char16_t", "char32_t", "short", "int", "long",
    "int64", "__int64", "float", "double",
];

impl Parser<'_> {
    fn peek(&self) -> Option<&Placed> {
        self.tokens.get(self.pos)
    }

    fn at(&self) -> usize {
        let end = self.bad.as_ref().map_or(self.text.len(), |e| e.at);
        self.peek().map_or(end, |p| p.at)
    }

    fn error<T>(&self, kind: ErrorKind) -> Result<T, ExprError> {
        if let (None, Some(bad)) = (self.peek(), &self.bad) {
            return Err(bad.clone());
        }
        let kind = if self.modern && kind == ErrorKind::Missing { ErrorKind::Syntax } else { kind };
        Err(ExprError::new(kind, self.at()))
    }

    /// Where an error of an operator at `at` is placed once its operands are read: in the engine at what follows them.
    fn blamed(&self, at: usize) -> usize {
        if self.modern { self.at() } else { at }
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Some(Placed { token: Token::Op(o), .. }) if *o == op)
    }

    fn eat(&mut self, op: &str) -> bool {
        let is = self.is_op(op);
        self.pos += usize::from(is);
        is
    }

    fn expect(&mut self, op: &str) -> Result<(), ExprError> {
        if self.eat(op) {
            return Ok(());
        }
        self.error(if self.modern { ErrorKind::At("Unexpected token") } else { ErrorKind::Syntax })
    }

    fn count(&mut self, depth: usize) -> Result<(), ExprError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES || depth > MAX_DEPTH { self.error(ErrorKind::Syntax) } else { Ok(()) }
    }

    /// All of it: expressions between commas, of which the last counts.
    fn comma(&mut self, depth: usize) -> Result<Node, ExprError> {
        let mut node = self.choice(depth)?;
        while self.eat(",") {
            let next = self.choice(depth)?;
            node = Node::Comma(Box::new(node), Box::new(next));
        }
        Ok(node)
    }

    fn choice(&mut self, depth: usize) -> Result<Node, ExprError> {
        self.count(depth)?;
        let test = self.binary(1, depth + 1)?;
        if !self.eat("?") {
            return Ok(test);
        }
        let yes = self.choice(depth + 1)?;
        self.expect(":")?;
        let no = self.choice(depth + 1)?;
        Ok(Node::Choice(Box::new(test), Box::new(yes), Box::new(no)))
    }

    fn binary(&mut self, level: u8, depth: usize) -> Result<Node, ExprError> {
        let mut left = self.unary(depth)?;
        loop {
            let Some(Placed { at, token: Token::Op(op), .. }) = self.peek() else { return Ok(left) };
            let (at, found) = (*at, Binary::TABLE.iter().find(|(text, ..)| text == op));
            let Some((_, op, binds)) = found.filter(|(_, _, binds)| *binds >= level) else { return Ok(left) };
            self.count(depth)?;
            self.pos += 1;
            let right = self.binary(binds + 1, depth + 1)?;
            let at = self.blamed(at);
            left = Node::Binary(*op, Box::new(left), Box::new(right), at);
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Node, ExprError> {
        self.count(depth)?;
        let at = self.at();
        let op = match self.peek().map(|p| &p.token) {
            Some(Token::Op("+")) => Some(Unary::Plus),
            Some(Token::Op("-")) => Some(Unary::Minus),
            Some(Token::Op("!")) => Some(Unary::Not),
            Some(Token::Op("~")) => Some(Unary::Invert),
            Some(Token::Op("*")) => Some(Unary::Deref),
            Some(Token::Op("&")) => Some(Unary::AddressOf),
            _ => None,
        };
        if let Some(op) = op {
            self.pos += 1;
            let inner = self.unary(depth + 1)?;
            return Ok(Node::Unary(op, Box::new(inner), self.blamed(at)));
        }
        if matches!(self.peek(), Some(Placed { token: Token::Name(n), .. }) if n == "sizeof") {
            self.pos += 1;
            let start = self.pos;
            if self.eat("(")
                && let Some(ty) = self.type_name()?
                && self.eat(")")
            {
                return Ok(Node::SizeOfType(ty, at));
            }
            self.pos = start;
            return Ok(Node::SizeOf(Box::new(self.unary(depth + 1)?), at));
        }
        if self.is_op("(") {
            let start = self.pos;
            self.pos += 1;
            if let Some(ty) = self.type_name()?
                && self.eat(")")
            {
                return Ok(Node::Cast(ty, Box::new(self.unary(depth + 1)?), at));
            }
            self.pos = start;
        }
        self.postfix(depth + 1)
    }

    /// True for a word of a built-in type's name behind these.
    fn is_type_word(&self, word: &str, before: &[String]) -> bool {
        if !self.modern {
            return WORDS.contains(&word);
        }
        match before {
            [] => !matches!(word, "int64" | "__int64" | "signed" | "unsigned") && WORDS.contains(&word),
            _ => false,
        }
    }

    /// `unsigned` and the word behind it, as the engine reads them: what there is not is a name that is not known.
    fn unsigned(&mut self) -> Result<Option<TypeName>, ExprError> {
        let at = self.at();
        let Some(Placed { token: Token::Name(first), .. }) = self.peek() else { return Ok(None) };
        if !self.modern || !matches!(first.as_str(), "unsigned" | "signed") {
            return Ok(None);
        }
        let mut text = first.clone();
        self.pos += 1;
        if let Some(Placed { token: Token::Name(word), .. }) = self.peek() {
            text = format!("{text} {word}");
            self.pos += 1;
        }
        let known = |(n, _): &&(&str, u32)| *n == text && text.contains(' ') && !text.contains("int64");
        match BUILT_IN.iter().find(known) {
            Some((_, number)) => Ok(Some(TypeName { name: text, built_in: Some(*number), stars: 0 })),
            None => Err(ExprError::new(ErrorKind::CouldntResolve, at)),
        }
    }

    /// A type at the cursor; `None`, and the cursor anywhere, when there is none.
    fn type_name(&mut self) -> Result<Option<TypeName>, ExprError> {
        let mut keyword = false;
        let mut words: Vec<String> = Vec::new();
        let mut name: Option<String> = None;
        let unsigned = self.unsigned()?;
        while let Some(Placed { token: Token::Name(word), .. }) = self.peek() {
            match word.as_str() {
                _ if unsigned.is_some() => break,
                "const" | "volatile" => {}
                "struct" | "class" | "union" | "enum" | "interface" if name.is_none() && words.is_empty() => {
                    keyword = true;
                }
                w if self.is_type_word(w, &words) && name.is_none() && !keyword => words.push(w.to_owned()),
                // The engine reads one word, or one behind `unsigned`.
                _ if self.modern && !words.is_empty() => break,
                _ if name.is_none() && words.is_empty() => {
                    let Some(full) = self.templated(keyword) else { return Ok(None) };
                    name = Some(full);
                    continue;
                }
                _ => return Ok(None),
            }
            self.pos += 1;
        }
        let built_in = if let Some(unsigned) = unsigned {
            words.push(unsigned.name);
            unsigned.built_in
        } else if name.is_none() {
            let text = words.join(" ");
            match BUILT_IN.iter().find(|(n, _)| *n == text) {
                Some((_, number)) => Some(*number),
                None => return Ok(None),
            }
        } else {
            None
        };
        let mut stars = 0u8;
        loop {
            if self.eat("*") || self.eat("&") {
                stars = stars.checked_add(1).map_or_else(|| self.error(ErrorKind::Syntax), Ok)?;
            } else if matches!(self.peek(), Some(Placed { token: Token::Name(n), .. }) if n == "const" || n == "volatile")
            {
                self.pos += 1;
            } else {
                break;
            }
        }
        Ok(Some(TypeName { name: name.unwrap_or_else(|| words.join(" ")), built_in, stars }))
    }

    /// A type's name at the cursor, with its template arguments.
    fn templated(&mut self, keyword: bool) -> Option<String> {
        let Placed { at, end, token: Token::Name(word) } = self.peek()? else { return None };
        let (at, mut end, plain) = (*at, *end, word.clone());
        let mut name = None;
        if self.text.get(end..).is_some_and(|t| t.starts_with('<')) {
            // `a::b<c>::d<e>`: each list in turn.
            while let Some(len) = self.text.get(end..).and_then(|t| template_len(t, |c| c != ';')) {
                end += len;
                let tail = self.text.get(end..).unwrap_or("");
                if let Some(scoped) = tail.strip_prefix("::") {
                    end += 2 + lex::name_len(scoped);
                }
            }
            name = self.text.get(at..end).filter(|n| keyword || self.names.is_type(n)).map(str::to_owned);
        }
        if let Some(name) = name {
            while self.peek().is_some_and(|p| p.at < end) {
                self.pos += 1;
            }
            return Some(name);
        }
        self.pos += 1;
        // `(name *)` is a cast whatever the name is: nothing else can mean it.
        let starred = matches!(self.peek(), Some(Placed { token: Token::Op("*"), .. })) && {
            let mut i = self.pos;
            while matches!(self.tokens.get(i), Some(Placed { token: Token::Op("*"), .. })) {
                i += 1;
            }
            matches!(self.tokens.get(i), Some(Placed { token: Token::Op(")"), .. }))
        };
        (keyword || starred || self.names.is_type(&plain)).then_some(plain)
    }

    fn postfix(&mut self, depth: usize) -> Result<Node, ExprError> {
        let mut node = self.primary(depth)?;
        loop {
            let at = self.at();
            if self.is_op(".") || self.is_op("->") {
                let arrow = self.is_op("->");
                self.pos += 1;
                self.count(depth)?;
                let Some(Placed { token: Token::Name(name), .. }) = self.peek() else {
                    return self.error(ErrorKind::Syntax);
                };
                let name_at = self.at();
                node = Node::Member(Box::new(node), name.clone(), arrow, at, name_at);
                self.pos += 1;
            } else if self.eat("[") {
                self.count(depth)?;
                let index = self.choice(depth + 1)?;
                self.expect("]")?;
                node = Node::Index(Box::new(node), Box::new(index), at);
            } else if self.is_op("(") {
                // The tree says so once what is called is known.
                return Ok(Node::Call(Box::new(node), at));
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self, depth: usize) -> Result<Node, ExprError> {
        let Some(Placed { at, token, .. }) = self.peek().cloned() else {
            return self.error(ErrorKind::Missing);
        };
        self.pos += 1;
        match token {
            Token::Number(n, ty) => Ok(Node::Number(n, ty)),
            Token::Register(name) => Ok(Node::Register(name, at)),
            Token::Pseudo(name) => Ok(Node::Pseudo(name, at)),
            Token::Masm(text) => Ok(Node::Masm(text, at)),
            Token::Op("(") => {
                let inner = self.comma(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Macro(name) => self.macro_call(&name, at, depth),
            Token::Name(name) => match name.as_str() {
                _ if self.modern && self.is_type_word(&name, &[]) && self.is_op("(") => {
                    // `int(5)`.
                    self.pos += 1;
                    let inner = self.comma(depth + 1)?;
                    self.expect(")")?;
                    let built_in = BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, number)| *number);
                    Ok(Node::Cast(TypeName { name, built_in, stars: 0 }, Box::new(inner), at))
                }
                "true" | "false" | "nullptr" if self.modern => {
                    Err(ExprError::new(ErrorKind::CouldntResolve, at))
                }
                "true" => Ok(Node::Number(1, 0x30)),
                "false" => Ok(Node::Number(0, 0x30)),
                "nullptr" => Ok(Node::Number(0, lex::INT)),
                "static_cast" | "reinterpret_cast" | "const_cast" => {
                    self.expect("<")?;
                    let ty = self.type_name()?.map_or_else(|| self.error(ErrorKind::Syntax), Ok)?;
                    self.expect(">")?;
                    self.expect("(")?;
                    let inner = self.choice(depth + 1)?;
                    self.expect(")")?;
                    Ok(Node::Cast(ty, Box::new(inner), at))
                }
                // An error in a name comes before those behind it.
                _ if self.modern && !CASTS.contains(&name.as_str()) && !self.names.is_known(&name) => {
                    Err(ExprError::new(ErrorKind::CouldntResolve, at))
                }
                _ => Ok(Node::Name(name, at)),
            },
            Token::Op(_) => {
                self.pos -= 1;
                self.error(ErrorKind::Syntax)
            }
        }
    }

    fn macro_call(&mut self, name: &str, at: usize, depth: usize) -> Result<Node, ExprError> {
        let Some((_, which)) = Macro::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) else {
            let kind = if self.modern { ErrorKind::Syntax } else { ErrorKind::CouldntResolve };
            return Err(ExprError::new(kind, at));
        };
        self.expect("(")?;
        let takes_value = matches!(which, Macro::ContainsField | Macro::ContainingRecord | Macro::NumberOf);
        let takes_type = matches!(which, Macro::FieldOffset | Macro::FieldSize | Macro::ContainingRecord);
        let mut values = Vec::new();
        if takes_value {
            values.push(self.choice(depth + 1)?);
        }
        if *which == Macro::ContainsField {
            self.expect(",")?;
            values.push(self.choice(depth + 1)?);
        }
        let mut ty = None;
        if takes_type {
            if takes_value {
                self.expect(",")?;
            }
            ty = Some(self.type_name()?.map_or_else(|| self.error(ErrorKind::CouldntResolve), Ok)?);
        }
        let mut path = Vec::new();
        if *which != Macro::NumberOf {
            self.expect(",")?;
            loop {
                let Some(Placed { token: Token::Name(name), .. }) = self.peek() else {
                    return self.error(ErrorKind::Syntax);
                };
                path.push(name.clone());
                self.pos += 1;
                if !self.eat(".") {
                    break;
                }
                self.count(depth)?;
            }
        }
        self.expect(")")?;
        Ok(Node::Macro(*which, values, ty, path, at))
    }
}

/// Length of a template's argument list at the start of a text, of characters that may stand in one.
pub(crate) fn template_len(text: &str, may: impl Fn(char) -> bool) -> Option<usize> {
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
            c if may(c) => {}
            _ => return None,
        }
    }
    None
}
