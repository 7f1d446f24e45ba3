//! Tokens to a tree.

use super::ast::{BinOp, Expr, Func, FuncArg, UnOp};
use super::error::{ErrorKind, ExprError};
use super::lex::{self, Token};

/// Deepest nesting of brackets and unary operators.
const MAX_DEPTH: usize = 64;
/// Most operators in one expression: its tree is walked by recursion.
const MAX_NODES: usize = 1000;

/// A tree and where its text ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The tree.
    pub expr: Expr,
    /// Byte offset of the first character that does not belong to it (blanks before it skipped).
    pub end: usize,
}

/// Parses the expression at the start of `text`; what follows it is left alone. `radix`: base of numbers without
/// a prefix.
///
/// # Errors
/// What is wrong and where.
pub fn parse(text: &str, radix: u32) -> Result<Parsed, ExprError> {
    let mut parser = Parser::new(text, radix)?;
    let expr = parser.binary(1, 0)?;
    Ok(Parsed { expr, end: parser.at })
}

/// Parses a text that must be one expression to its end.
///
/// # Errors
/// What is wrong and where.
pub fn parse_all(text: &str, radix: u32) -> Result<Expr, ExprError> {
    let parsed = parse(text, radix)?;
    if text.get(parsed.end..).is_some_and(|rest| !rest.trim().is_empty()) {
        return Err(ExprError::new(ErrorKind::ExtraCharacter, parsed.end));
    }
    Ok(parsed.expr)
}

struct Parser<'a> {
    text: &'a str,
    radix: u32,
    /// Where the current token begins.
    at: usize,
    /// Where it ends.
    end: usize,
    /// The current token, or why there is none: an error only matters when somebody needs the token.
    token: Result<Token, ExprError>,
    nodes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, radix: u32) -> Result<Parser<'a>, ExprError> {
        let mut parser = Parser { text, radix, at: 0, end: 0, token: Ok(Token::End), nodes: 0 };
        parser.advance();
        if parser.token == Ok(Token::End) {
            return Err(ExprError::new(ErrorKind::Missing, 0));
        }
        Ok(parser)
    }

    fn advance(&mut self) {
        match lex::next(self.text, self.end, self.radix) {
            Ok((at, token, end)) => (self.at, self.token, self.end) = (at, Ok(token), end),
            Err(error) => (self.at, self.end, self.token) = (error.at, error.at, Err(error)),
        }
    }

    fn error<T>(&self, kind: ErrorKind) -> Result<T, ExprError> {
        Err(ExprError::new(kind, self.at))
    }

    fn is_op(&self, op: &str) -> bool {
        matches!(&self.token, Ok(Token::Op(o)) if *o == op)
    }

    fn expect(&mut self, op: &str) -> Result<(), ExprError> {
        if !self.is_op(op) {
            return self.error(ErrorKind::Syntax);
        }
        self.advance();
        Ok(())
    }

    fn count(&mut self) -> Result<(), ExprError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { self.error(ErrorKind::Syntax) } else { Ok(()) }
    }

    fn binary(&mut self, level: u8, depth: usize) -> Result<Expr, ExprError> {
        let mut left = self.unary(depth)?;
        while let Some(op) = self.operator() {
            if op.level() < level {
                break;
            }
            let at = self.at;
            self.count()?;
            self.advance();
            let right = self.binary(op.level() + 1, depth + 1)?;
            left = Expr::Binary(op, Box::new(left), Box::new(right), at);
        }
        Ok(left)
    }

    fn operator(&self) -> Option<BinOp> {
        match self.token.as_ref().ok()? {
            Token::Op(op) => Some(match *op {
                "*" => BinOp::Mul,
                "/" => BinOp::Div,
                "%" => BinOp::Mod,
                "+" => BinOp::Add,
                "-" => BinOp::Sub,
                "<<" => BinOp::Shl,
                ">>" => BinOp::Shr,
                ">>>" => BinOp::Sar,
                "=" | "==" => BinOp::Eq,
                "!=" => BinOp::Ne,
                "<" => BinOp::Lt,
                ">" => BinOp::Gt,
                "<=" => BinOp::Le,
                ">=" => BinOp::Ge,
                "&" => BinOp::And,
                "^" => BinOp::Xor,
                "|" => BinOp::Or,
                _ => return None,
            }),
            Token::Word(w) => match w.to_ascii_lowercase().as_str() {
                "mod" => Some(BinOp::Mod),
                "and" => Some(BinOp::And),
                "xor" => Some(BinOp::Xor),
                "or" => Some(BinOp::Or),
                _ => None,
            },
            _ => None,
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, ExprError> {
        if depth > MAX_DEPTH {
            return self.error(ErrorKind::Syntax);
        }
        let op = match &self.token {
            Ok(Token::Op("+")) => Some(UnOp::Plus),
            Ok(Token::Op("-")) => Some(UnOp::Minus),
            Ok(Token::Op("&")) => Some(UnOp::AddressOf),
            Ok(Token::Word(w)) => {
                UnOp::WORDS.iter().find(|(name, _)| w.eq_ignore_ascii_case(name)).map(|(_, op)| *op)
            }
            _ => None,
        };
        let Some(op) = op else { return self.primary(depth) };
        let at = self.at;
        self.count()?;
        self.advance();
        let operand = self.unary(depth + 1)?;
        Ok(Expr::Unary(op, Box::new(operand), at))
    }

    fn primary(&mut self, depth: usize) -> Result<Expr, ExprError> {
        let at = self.at;
        let token = std::mem::replace(&mut self.token, Ok(Token::End))?;
        match token {
            Token::End => self.error(ErrorKind::Missing),
            Token::Op(open @ ("(" | "[")) => {
                self.advance();
                let inner = self.binary(1, depth + 1)?;
                self.expect(if open == "(" { ")" } else { "]" })?;
                Ok(inner)
            }
            Token::Masm => {
                self.advance();
                let inner = self.binary(1, depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Op(".") => self.leaf(Expr::Dot(at)),
            Token::Op(_) | Token::Text(_) => self.error(ErrorKind::Syntax),
            Token::Number(n) => self.leaf(Expr::Number(n)),
            Token::Register(name) => self.leaf(Expr::Register(name, at)),
            Token::Local(name) => self.leaf(Expr::Local(name, at)),
            Token::Line(line) => self.leaf(Expr::Line(line, at)),
            Token::Cpp(text) => self.leaf(Expr::Cpp(text, at)),
            Token::Quoted(text) => {
                let (module, name) = text.split_once('!').unwrap_or(("", &text));
                self.leaf(Expr::Symbol(module.to_owned(), name.to_owned(), at))
            }
            Token::Pseudo(name) => {
                self.advance();
                if !self.is_op("(") {
                    return Ok(Expr::Pseudo(name, at));
                }
                let func = Func::NAMES.iter().find(|(n, _)| n.get(1..) == Some(&name));
                let Some((_, func)) = func else { return Err(ExprError::new(ErrorKind::Syntax, at)) };
                self.call(*func, at, depth)
            }
            Token::Word(word) => {
                self.advance();
                if let Some((module, name)) = word.split_once('!') {
                    return Ok(Expr::Symbol(module.to_owned(), name.to_owned(), at));
                }
                let is_segment =
                    ["cs", "ds", "es", "fs", "gs", "ss"].iter().any(|s| word.eq_ignore_ascii_case(s));
                if is_segment && self.is_op(":") {
                    self.advance();
                    let offset = self.unary(depth + 1)?;
                    return Ok(Expr::Segment(word.to_ascii_lowercase(), Box::new(offset), at));
                }
                Ok(Expr::Word(word, at))
            }
        }
    }

    fn leaf(&mut self, expr: Expr) -> Result<Expr, ExprError> {
        self.advance();
        Ok(expr)
    }

    fn call(&mut self, func: Func, at: usize, depth: usize) -> Result<Expr, ExprError> {
        self.expect("(")?;
        let mut args = Vec::new();
        loop {
            self.count()?;
            if let Ok(Token::Text(text)) = &self.token {
                args.push(FuncArg::Text(text.clone()));
                self.advance();
            } else {
                args.push(FuncArg::Value(self.binary(1, depth + 1)?));
            }
            if self.is_op(")") {
                break;
            }
            self.expect(",")?;
        }
        self.advance();
        let texts = args.iter().filter(|a| matches!(a, FuncArg::Text(_))).count();
        let wanted = match func {
            Func::Iment => (1, 0),
            Func::Vvalid => (2, 0),
            Func::Fnsucc => (3, 0),
            Func::Scmp | Func::Sicmp | Func::Spat => (2, 2),
        };
        if (args.len(), texts) != wanted {
            return Err(ExprError::new(ErrorKind::Syntax, at));
        }
        Ok(Expr::Call(func, args, at))
    }
}
