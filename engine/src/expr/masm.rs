//! MASM expressions: read and evaluated in one pass, as WinDbg's engine does: what stands before an error has been
//! evaluated, and the error that comes first in the text is the one that is told.

use super::env::{Env, RegisterMiss, SymbolMiss};
use super::error::{ErrorKind, ExprError};
use super::functions;
use super::lex::{self, Token};

/// Deepest nesting of brackets and unary operators.
const MAX_DEPTH: usize = 64;
/// Most operators in one expression.
const MAX_NODES: usize = 1000;

/// An operator with one operand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UnOp {
    Plus,
    Minus,
    Not,
    /// Bits 16 to 31.
    Hi,
    /// Bits 0 to 15.
    Low,
    /// The word of so many bytes at the address.
    Read(usize),
    /// The pointer at the address.
    Poi,
}

const WORDS: &[(&str, UnOp)] = &[
    ("not", UnOp::Not),
    ("hi", UnOp::Hi),
    ("low", UnOp::Low),
    ("by", UnOp::Read(1)),
    ("wo", UnOp::Read(2)),
    ("dwo", UnOp::Read(4)),
    ("qwo", UnOp::Read(8)),
    ("poi", UnOp::Poi),
];

/// An operator with two operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BinOp {
    Mul,
    Div,
    Mod,
    Add,
    Sub,
    Shl,
    Shr,
    Sar,
    Eq,
    Ne,
    Lt,
    Gt,
    Le,
    Ge,
    And,
    Xor,
    Or,
}

/// Operators by text.
const OPERATORS: &[(&str, BinOp)] = &[
    ("*", BinOp::Mul),
    ("/", BinOp::Div),
    ("%", BinOp::Mod),
    ("mod", BinOp::Mod),
    ("+", BinOp::Add),
    ("-", BinOp::Sub),
    ("<<", BinOp::Shl),
    (">>", BinOp::Shr),
    (">>>", BinOp::Sar),
    ("=", BinOp::Eq),
    ("==", BinOp::Eq),
    ("!=", BinOp::Ne),
    ("<", BinOp::Lt),
    (">", BinOp::Gt),
    ("<=", BinOp::Le),
    (">=", BinOp::Ge),
    ("&", BinOp::And),
    ("and", BinOp::And),
    ("^", BinOp::Xor),
    ("xor", BinOp::Xor),
    ("|", BinOp::Or),
    ("or", BinOp::Or),
];

impl BinOp {
    /// How strongly it binds. `&`, `^` and `|` are one level.
    fn level(self) -> u8 {
        match self {
            BinOp::Mul | BinOp::Div | BinOp::Mod => 5,
            BinOp::Add | BinOp::Sub => 4,
            BinOp::Shl | BinOp::Shr | BinOp::Sar => 3,
            BinOp::Eq | BinOp::Ne | BinOp::Lt | BinOp::Gt | BinOp::Le | BinOp::Ge => 2,
            BinOp::And | BinOp::Xor | BinOp::Or => 1,
        }
    }

    /// The value; `None` for a division by zero. Comparisons and division are signed, `>>` is not; shift counts are
    /// taken modulo 64, as the processor does.
    fn apply(self, a: u64, b: u64) -> Option<u64> {
        let (x, y) = (a as i64, b as i64);
        let count = (b & 63) as u32;
        Some(match self {
            BinOp::Mul => a.wrapping_mul(b),
            BinOp::Div if y == 0 => return None,
            BinOp::Div => x.wrapping_div(y) as u64,
            BinOp::Mod if y == 0 => return None,
            BinOp::Mod => x.wrapping_rem(y) as u64,
            BinOp::Add => a.wrapping_add(b),
            BinOp::Sub => a.wrapping_sub(b),
            BinOp::Shl => a << count,
            BinOp::Shr => a >> count,
            BinOp::Sar => (x >> count) as u64,
            BinOp::Eq => (a == b).into(),
            BinOp::Ne => (a != b).into(),
            BinOp::Lt => (x < y).into(),
            BinOp::Gt => (x > y).into(),
            BinOp::Le => (x <= y).into(),
            BinOp::Ge => (x >= y).into(),
            BinOp::And => a & b,
            BinOp::Xor => a ^ b,
            BinOp::Or => a | b,
        })
    }
}

/// Parses and evaluates the expression at the start of `text`; gives the value and the offset of what follows (blanks
/// before it skipped).
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn evaluate(text: &str, env: &dyn Env) -> Result<(u64, usize), ExprError> {
    let mut parser = Masm::new(text, env);
    if parser.token == Ok(Token::End) {
        return Err(ExprError::new(ErrorKind::Missing, parser.at));
    }
    let value = parser.binary(1, 0)?;
    Ok((value, parser.at))
}

/// As [`evaluate`], for a text that must be one expression to its end.
///
/// # Errors
/// What is wrong and where.
pub fn evaluate_all(text: &str, env: &dyn Env) -> Result<u64, ExprError> {
    let (value, end) = evaluate(text, env)?;
    if text.get(end..).is_some_and(|rest| !rest.trim().is_empty()) {
        return Err(ExprError::new(ErrorKind::ExtraCharacter, end));
    }
    Ok(value)
}

pub(super) struct Masm<'a> {
    text: &'a str,
    pub(super) env: &'a dyn Env,
    radix: u32,
    /// Where the current token begins.
    pub(super) at: usize,
    /// Where it ends.
    end: usize,
    /// Where the token before it began: what a reading or a division that fails is blamed on.
    pub(super) last: usize,
    /// The current token, or why there is none: an error only matters when somebody needs the token.
    pub(super) token: Result<Token, ExprError>,
    nodes: usize,
}

impl<'a> Masm<'a> {
    fn new(text: &'a str, env: &'a dyn Env) -> Masm<'a> {
        let token = Ok(Token::End);
        let mut parser = Masm { text, env, radix: env.radix(), at: 0, end: 0, last: 0, token, nodes: 0 };
        parser.advance();
        parser
    }

    pub(super) fn advance(&mut self) {
        self.last = self.at;
        match lex::next(self.text, self.end, self.radix) {
            Ok((at, token, end)) => (self.at, self.token, self.end) = (at, Ok(token), end),
            Err(error) => (self.at, self.end, self.token) = (error.at, error.at, Err(error)),
        }
    }

    pub(super) fn error<T>(&self, kind: ErrorKind) -> Result<T, ExprError> {
        Err(ExprError::new(kind, self.at))
    }

    /// The place that a failure is blamed on: in the old layout the operator or function, in the engine's the token
    /// that was read last.
    fn blamed(&self, operator: usize) -> usize {
        if self.env.modern() { self.last } else { operator }
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(&self.token, Ok(Token::Op(o)) if *o == op)
    }

    pub(super) fn expect(&mut self, op: &str) -> Result<(), ExprError> {
        if !self.is_op(op) {
            return self.error(ErrorKind::Syntax);
        }
        self.advance();
        Ok(())
    }

    pub(super) fn count(&mut self) -> Result<(), ExprError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { self.error(ErrorKind::Syntax) } else { Ok(()) }
    }

    pub(super) fn binary(&mut self, level: u8, depth: usize) -> Result<u64, ExprError> {
        let mut left = self.unary(depth)?;
        while let Some(op) = self.operator() {
            if op.level() < level {
                break;
            }
            let at = self.at;
            self.count()?;
            self.advance();
            let right = self.binary(op.level() + 1, depth + 1)?;
            left =
                op.apply(left, right).ok_or_else(|| ExprError::new(ErrorKind::Operand, self.blamed(at)))?;
        }
        Ok(left)
    }

    fn operator(&self) -> Option<BinOp> {
        let text = match self.token.as_ref().ok()? {
            Token::Op(op) => op,
            Token::Word(w) => w.as_str(),
            _ => return None,
        };
        OPERATORS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, op)| *op)
    }

    fn unary(&mut self, depth: usize) -> Result<u64, ExprError> {
        if depth > MAX_DEPTH {
            return self.error(ErrorKind::Syntax);
        }
        let op = match &self.token {
            Ok(Token::Op("+")) => Some(UnOp::Plus),
            Ok(Token::Op("-")) => Some(UnOp::Minus),
            Ok(Token::Op("~")) => Some(UnOp::Not),
            Ok(Token::Word(w)) => {
                WORDS.iter().find(|(name, _)| w.eq_ignore_ascii_case(name)).map(|(_, op)| *op)
            }
            _ => None,
        };
        // `&app!main` is `app!main`.
        if self.is_op("&")
            && self
                .text
                .get(self.end..)
                .is_some_and(|t| t.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        {
            self.count()?;
            self.advance();
            return self.unary(depth + 1);
        }
        let Some(op) = op else { return self.primary(depth) };
        let at = self.at;
        self.count()?;
        self.advance();
        let value = self.unary(depth + 1)?;
        let place = self.blamed(at);
        Ok(match op {
            UnOp::Plus => value,
            UnOp::Minus => value.wrapping_neg(),
            UnOp::Not => u64::from(value == 0),
            UnOp::Hi => value >> 16 & 0xffff,
            UnOp::Low => value & 0xffff,
            UnOp::Read(bytes) => read(self.env, value, bytes, place)?,
            UnOp::Poi if self.env.machine().is_64() => read(self.env, value, 8, place)?,
            UnOp::Poi => extend(read(self.env, value, 4, place)?, 32),
        })
    }

    fn primary(&mut self, depth: usize) -> Result<u64, ExprError> {
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
            Token::Op(".") => self.leaf(|env| pseudo(env, "ip", at)),
            Token::Op(_) if self.env.modern() => self.error(ErrorKind::Missing),
            Token::Op(_) | Token::Text(_) => self.error(ErrorKind::Syntax),
            Token::Number(n) => self.leaf(|_| Ok(n)),
            Token::Register(name) => self.leaf(|env| register(env, &name, at)),
            Token::Local(name) => self.leaf(|env| match env.local(&name) {
                Some(found) => local(found, &name, at),
                None => Err(ExprError::new(ErrorKind::CouldntResolve, at)),
            }),
            Token::Line(text) => self.leaf(|env| line(env, &text, at)),
            Token::Cpp(text) => self.leaf(|env| cpp(env, &text, at)),
            Token::Quoted(text) => self.leaf(|env| {
                let (module, name) = text.split_once('!').unwrap_or(("", &text));
                symbol(env, module, name, at)
            }),
            Token::Pseudo(name, sign) => {
                self.advance();
                if let Some(function) = functions::find(&name) {
                    return functions::call(self, function, at, depth);
                }
                match pseudo(self.env, &name, at) {
                    // Without `@` it might have been a symbol.
                    Err(e)
                        if !sign && e.kind == ErrorKind::BadRegister && self.env.pseudo(&name).is_none() =>
                    {
                        Err(ExprError::new(ErrorKind::CouldntResolve, at))
                    }
                    other => other,
                }
            }
            Token::Word(word) => {
                self.advance();
                if let Some((module, name)) = word.split_once('!') {
                    return symbol(self.env, module, name, at);
                }
                let is_segment =
                    ["cs", "ds", "es", "fs", "gs", "ss"].iter().any(|s| word.eq_ignore_ascii_case(s));
                if is_segment && self.is_op(":") {
                    self.advance();
                    let name = word.to_ascii_lowercase();
                    let bad = || ExprError::new(ErrorKind::BadRegister, at);
                    let base = self.env.segment(&name).ok_or_else(bad)?;
                    return Ok(base.wrapping_add(self.unary(depth + 1)?));
                }
                bare_word(self.env, &word, at)
            }
        }
    }

    /// The value of one token, which is passed.
    fn leaf(&mut self, value: impl FnOnce(&dyn Env) -> Result<u64, ExprError>) -> Result<u64, ExprError> {
        self.advance();
        value(self.env)
    }
}

fn extend(value: u64, bits: u32) -> u64 {
    if bits == 32 { value as u32 as i32 as i64 as u64 } else { value }
}

/// A register's value: on a 32-bit machine sign-extended.
fn sized(env: &dyn Env, (value, bits): (u64, u32)) -> u64 {
    if env.machine().is_64() { value } else { extend(value, bits) }
}

/// In a 32-bit view addresses have 32 bits: a sign-extended register is still the address it holds.
pub(super) fn address(env: &dyn Env, value: u64) -> u64 {
    if env.machine().is_64() { value } else { value & 0xffff_ffff }
}

pub(super) fn read(env: &dyn Env, va: u64, size: usize, at: usize) -> Result<u64, ExprError> {
    let mut buf = [0u8; 8];
    let part = buf.get_mut(..size).unwrap_or(&mut []);
    if env.read(address(env, va), part) < size {
        return Err(ExprError::new(ErrorKind::Memory, at));
    }
    Ok(u64::from_le_bytes(buf))
}

fn register(env: &dyn Env, name: &str, at: usize) -> Result<u64, ExprError> {
    env.register(name).map(|r| sized(env, r)).map_err(|miss| register_error(miss, name, at))
}

fn pseudo(env: &dyn Env, name: &str, at: usize) -> Result<u64, ExprError> {
    match env.pseudo(name) {
        Some(Ok(value)) => Ok(value),
        Some(Err(miss)) => Err(register_error(miss, name, at)),
        None => Err(ExprError::new(ErrorKind::BadRegister, at)),
    }
}

fn symbol(env: &dyn Env, module: &str, name: &str, at: usize) -> Result<u64, ExprError> {
    let module = Some(module).filter(|m| !m.is_empty());
    env.symbol(module, name).map_err(|miss| symbol_error(env, miss, module, name, at))
}

fn local(found: Option<u64>, name: &str, at: usize) -> Result<u64, ExprError> {
    found.ok_or_else(|| {
        let mut error = ExprError::new(ErrorKind::Memory, at);
        error.note =
            Some(format!("{name} is nowhere at this place in the code: the compiler did not keep it."));
        error
    })
}

/// Numbers were taken by the lexer; a word may be a local variable, a symbol, a module or a register. A full-width
/// register name is taken as the register at once: looking for a symbol of that name would load the symbols of
/// every module.
fn bare_word(env: &dyn Env, word: &str, at: usize) -> Result<u64, ExprError> {
    // Without a sign it is the instruction pointer, however wide.
    let whole = env.modern() && env.machine().is_64() && word.eq_ignore_ascii_case("eip");
    let register = env.register(if whole { "rip" } else { word });
    let pointer_bits = if env.machine().is_64() { 64 } else { 32 };
    if let Ok(found) = register
        && found.1 == pointer_bits
    {
        return Ok(sized(env, found));
    }
    if let Some(found) = env.local(word) {
        return local(found, word, at);
    }
    match env.symbol(None, word) {
        Ok(value) => Ok(value),
        Err(SymbolMiss::NotFound) => match register {
            Ok(found) => Ok(sized(env, found)),
            Err(RegisterMiss::Unknown) => Err(register_error(RegisterMiss::Unknown, word, at)),
            Err(RegisterMiss::NoSuch) => Err(symbol_error(env, SymbolMiss::NotFound, None, word, at)),
        },
        Err(miss) => Err(symbol_error(env, miss, None, word, at)),
    }
}

fn symbol_error(env: &dyn Env, miss: SymbolMiss, module: Option<&str>, name: &str, at: usize) -> ExprError {
    let kind = match miss {
        SymbolMiss::NotFound => ErrorKind::CouldntResolve,
        SymbolMiss::Ambiguous => ErrorKind::Ambiguous,
    };
    let mut error = ExprError::new(kind, at);
    if miss == SymbolMiss::Ambiguous && env.modern() {
        error.before = env.matches(module, name);
    }
    error
}

fn register_error(miss: RegisterMiss, name: &str, at: usize) -> ExprError {
    let mut error = ExprError::new(ErrorKind::BadRegister, at);
    if miss == RegisterMiss::Unknown {
        error.note = Some(format!("The value of {name} is not known here."));
    }
    error
}

/// `module!file:line`, `file:line`.
fn line(env: &dyn Env, text: &str, at: usize) -> Result<u64, ExprError> {
    let (module, rest) = match text.split_once('!') {
        Some((m, rest)) => (Some(m), rest),
        None => (None, text),
    };
    // `+4` behind the number: that many bytes on.
    let found = rest.rsplit_once(':').and_then(|(file, line)| {
        let (line, more) = line.split_once('+').unwrap_or((line, ""));
        let more = if more.is_empty() { 0 } else { u64::from_str_radix(more, 16).ok()? };
        Some(env.source_line(module, file, line.parse().ok()?)?.wrapping_add(more))
    });
    if found.is_none() && !rest.contains(':') {
        // A file without a line is looked for all the same.
        env.source_line(module, rest, u32::MAX);
    }
    let kind = if env.modern() { ErrorKind::NoInformation } else { ErrorKind::CouldntResolve };
    found.ok_or_else(|| ExprError::new(kind, at))
}

/// The text between the brackets of `@@c++(…)` that begins at `at`.
fn cpp(env: &dyn Env, (text, inside): &(String, usize), at: usize) -> Result<u64, ExprError> {
    match env.cpp(text) {
        Some(Ok(value)) => Ok(value),
        // In the engine's layout the place inside counts, in the old one the whole.
        Some(Err(error)) if env.modern() => Err(error.shifted(*inside)),
        Some(Err(error)) => Err(ExprError::new(ErrorKind::Unsupported(error.message(text)), at)),
        None => {
            let kind = ErrorKind::Unsupported("C++ expressions are not available here.".into());
            Err(ExprError::new(kind, at))
        }
    }
}
