//! The tree of a `dx` expression.

pub(crate) use crate::expr::cpp::Unary;

use crate::expr::cpp::Binary;
use std::sync::Arc;

/// A step from a type to one made of it, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrap {
    /// `*`.
    Pointer,
    /// `&`.
    Reference,
    /// `[n]`.
    Array(u64),
}

/// A type as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypeText {
    /// Name without keywords, perhaps with a module before it.
    pub(crate) name: String,
    /// CodeView's number, for built-in types.
    pub(crate) built_in: Option<u32>,
    /// What is made of it.
    pub(crate) wraps: Vec<Wrap>,
}

/// `(a, b) => …`.
#[derive(Debug, PartialEq)]
pub(crate) struct LambdaText {
    pub(crate) names: Vec<String>,
    pub(crate) body: Expr,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    /// A name, perhaps with `module!` and scopes.
    Name(String),
    /// `@name` and `@$name`, without `@`.
    Special(String),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `a.b`, `a->b` with true.
    Member(Box<Expr>, String, bool),
    Index(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Cast(TypeText, Box<Expr>),
    SizeOfType(TypeText),
    SizeOf(Box<Expr>),
    /// `new { A = 1 }`.
    Object(Vec<(String, Expr)>),
    Lambda(Arc<LambdaText>),
    /// `@$name = a`.
    Assign(String, Box<Expr>),
    Comma(Box<Expr>, Box<Expr>),
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Radix {
    Hex,
    Decimal,
    Octal,
    Binary,
}

/// How texts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextForm {
    /// `s8`, `su`: the size of a character is given.
    pub(crate) wide: Option<bool>,
    /// In quotation marks.
    pub(crate) quoted: bool,
}

/// Format specifiers behind an expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) radix: Option<Radix>,
    pub(crate) text: Option<TextForm>,
    /// `[n]` or `n`.
    pub(crate) count: Option<u64>,
    /// The expression of a count that is none of the digits alone (`[len]`).
    pub(crate) count_text: Option<String>,
    /// `!`.
    pub(crate) raw: bool,
    /// `en`, `nd`, `na` and the like: taken, without effect on what is shown here.
    pub(crate) named: Option<&'static str>,
}
