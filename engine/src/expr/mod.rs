//! MASM expressions, WinDbg's default: text to tree ([`parse()`]), tree to value ([`eval`]).
//!
//! Pure code: what an expression needs of the target it asks an [`Env`].

mod ast;
pub mod cpp;
mod env;
mod error;
mod eval;
mod lex;
mod parse;
mod pattern;
mod typeset;

pub use ast::{BinOp, Expr, Func, FuncArg, UnOp};
pub use env::{Env, RegisterMiss, SymbolMiss};
pub use error::{ErrorKind, ExprError};
pub use eval::eval;
pub use parse::{Parsed, parse, parse_all};
pub use pattern::{MAX_PATTERN, wildcard_match};
pub use typeset::TypeSet;

/// Parses and evaluates the expression at the start of `text`; gives the value and the offset of what follows.
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn evaluate(text: &str, env: &dyn Env) -> Result<(u64, usize), ExprError> {
    let parsed = parse(text, env.radix())?;
    Ok((eval(&parsed.expr, env)?, parsed.end))
}

#[cfg(test)]
mod tests;
