//! The tree of an expression. Its `Display` is MASM text that parses to an equal tree (positions aside).

use std::fmt;

/// An operator with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnOp {
    /// `+`.
    Plus,
    /// `-`.
    Minus,
    /// `not`: 1 for zero, else 0.
    Not,
    /// `hi`: bits 16 to 31.
    Hi,
    /// `low`: bits 0 to 15.
    Low,
    /// `by`: the byte at the address.
    By,
    /// `wo`: the 16-bit word at the address.
    Wo,
    /// `dwo`: the 32-bit word at the address.
    Dwo,
    /// `qwo`: the 64-bit word at the address.
    Qwo,
    /// `poi`: the pointer at the address.
    Poi,
    /// `&` before a symbol: the same value.
    AddressOf,
}

impl UnOp {
    pub(super) const WORDS: &[(&str, UnOp)] = &[
        ("not", UnOp::Not),
        ("hi", UnOp::Hi),
        ("low", UnOp::Low),
        ("by", UnOp::By),
        ("wo", UnOp::Wo),
        ("dwo", UnOp::Dwo),
        ("qwo", UnOp::Qwo),
        ("poi", UnOp::Poi),
    ];

    fn text(self) -> &'static str {
        match self {
            UnOp::Plus => "+",
            UnOp::Minus => "-",
            UnOp::AddressOf => "&",
            other => UnOp::WORDS.iter().find(|(_, op)| *op == other).map_or("", |(w, _)| w),
        }
    }
}

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinOp {
    /// `*`.
    Mul,
    /// `/`, unsigned.
    Div,
    /// `%` or `mod`, unsigned.
    Mod,
    /// `+`.
    Add,
    /// `-`.
    Sub,
    /// `<<`.
    Shl,
    /// `>>`, logical.
    Shr,
    /// `>>>`, arithmetic.
    Sar,
    /// `=` or `==`.
    Eq,
    /// `!=`.
    Ne,
    /// `<`, unsigned.
    Lt,
    /// `>`, unsigned.
    Gt,
    /// `<=`, unsigned.
    Le,
    /// `>=`, unsigned.
    Ge,
    /// `&` or `and`.
    And,
    /// `^` or `xor`.
    Xor,
    /// `|` or `or`.
    Or,
}

impl BinOp {
    /// How strongly it binds, from 1 (`|`) to 7 (`*`).
    pub(super) fn level(self) -> u8 {
        match self {
            BinOp::Mul | BinOp::Div | BinOp::Mod => 7,
            BinOp::Add | BinOp::Sub => 6,
            BinOp::Shl | BinOp::Shr | BinOp::Sar => 5,
            BinOp::Eq | BinOp::Ne | BinOp::Lt | BinOp::Gt | BinOp::Le | BinOp::Ge => 4,
            BinOp::And => 3,
            BinOp::Xor => 2,
            BinOp::Or => 1,
        }
    }

    fn text(self) -> &'static str {
        match self {
            BinOp::Mul => "*",
            BinOp::Div => "/",
            BinOp::Mod => "%",
            BinOp::Add => "+",
            BinOp::Sub => "-",
            BinOp::Shl => "<<",
            BinOp::Shr => ">>",
            BinOp::Sar => ">>>",
            BinOp::Eq => "==",
            BinOp::Ne => "!=",
            BinOp::Lt => "<",
            BinOp::Gt => ">",
            BinOp::Le => "<=",
            BinOp::Ge => ">=",
            BinOp::And => "&",
            BinOp::Xor => "^",
            BinOp::Or => "|",
        }
    }
}

/// A MASM function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Func {
    /// `$iment(base)`: entry point of the image.
    Iment,
    /// `$vvalid(address, length)`: 1 when all bytes are known.
    Vvalid,
    /// `$fnsucc(function, value, flag)`.
    Fnsucc,
    /// `$scmp("a", "b")`: -1, 0 or 1.
    Scmp,
    /// `$sicmp("a", "b")`: the same, any letter case.
    Sicmp,
    /// `$spat("text", "pattern")`: 1 when the pattern matches.
    Spat,
}

impl Func {
    pub(super) const NAMES: &[(&str, Func)] = &[
        ("$iment", Func::Iment),
        ("$vvalid", Func::Vvalid),
        ("$fnsucc", Func::Fnsucc),
        ("$scmp", Func::Scmp),
        ("$sicmp", Func::Sicmp),
        ("$spat", Func::Spat),
    ];
}

/// An argument of a function.
#[derive(Clone, Debug, PartialEq)]
pub enum FuncArg {
    /// A number.
    Value(Expr),
    /// A quoted text.
    Text(String),
}

/// An expression. Each leaf that can fail keeps its byte offset, for messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number.
    Number(u64),
    /// `.`: the instruction pointer.
    Dot(usize),
    /// A bare word that is no number: symbol, module or register.
    Word(String, usize),
    /// `module!name`; an empty module means any (`!name`).
    Symbol(String, String, usize),
    /// `@reg`.
    Register(String, usize),
    /// `$name` or `@$name`, lower case, without `$`.
    Pseudo(String, usize),
    /// `$!name`: a local variable.
    Local(String, usize),
    /// `` `module!file:line` ``, without the grave accents.
    Line(String, usize),
    /// `fs:expr`.
    Segment(String, Box<Expr>, usize),
    /// `@@c++(text)`.
    Cpp(String, usize),
    /// One operand.
    Unary(UnOp, Box<Expr>, usize),
    /// Two operands.
    Binary(BinOp, Box<Expr>, Box<Expr>, usize),
    /// A function.
    Call(Func, Vec<FuncArg>, usize),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Number(n) => write!(f, "0x{n:x}"),
            Expr::Dot(_) => f.write_str("."),
            Expr::Word(w, _) => f.write_str(w),
            Expr::Symbol(m, n, _) if n.chars().all(super::lex::is_word_char) => write!(f, "{m}!{n}"),
            Expr::Symbol(m, n, _) => write!(f, "@!\"{m}!{n}\""),
            Expr::Register(r, _) => write!(f, "@{r}"),
            Expr::Pseudo(p, _) => write!(f, "@${p}"),
            Expr::Local(l, _) => write!(f, "$!{l}"),
            Expr::Line(l, _) => write!(f, "`{l}`"),
            Expr::Segment(s, e, _) => write!(f, "{s}:({e})"),
            Expr::Cpp(t, _) => write!(f, "@@c++({t})"),
            Expr::Unary(op, e, _) => write!(f, "{}({e})", op.text()),
            Expr::Binary(op, a, b, _) => write!(f, "({a} {} {b})", op.text()),
            Expr::Call(func, args, _) => {
                let name = Func::NAMES.iter().find(|(_, x)| x == func).map_or("", |(n, _)| n);
                write!(f, "{name}(")?;
                for (i, arg) in args.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    match arg {
                        FuncArg::Value(e) => write!(f, "{e}")?,
                        FuncArg::Text(t) => write!(f, "\"{t}\"")?,
                    }
                }
                f.write_str(")")
            }
        }
    }
}
