//! C++ expressions, as `??` and `@@c++()` take them: text to tree ([`parse()`]), tree to a typed value ([`eval()`]).
//!
//! Pure code: what an expression needs of the target it asks a [`CppEnv`]. Numbers are decimal here.

mod ast;
mod eval;
mod lex;
mod numbers;
mod parse;
#[cfg(test)]
mod tests;
mod value;

pub use ast::{Binary, Macro, Node, TypeName, Unary};
pub use eval::{CppEnv, eval};
pub(crate) use numbers::{compare, is_comparison};
pub use parse::parse;
pub(crate) use parse::{BUILT_IN, template_len};
pub use value::{Ty, Value};

use super::error::{ErrorKind, ExprError};

/// The names of a world as the parser sees them.
struct Known<'a>(&'a dyn CppEnv);

impl parse::Names for Known<'_> {
    fn modern(&self) -> bool {
        self.0.modern()
    }

    // A name that is a variable too is not taken for a type.
    fn is_type(&self, name: &str) -> bool {
        self.0.variable(name).is_none() && self.0.find_type(name).is_some()
    }

    fn is_known(&self, name: &str) -> bool {
        self.0.variable(name).is_some() || self.0.enumerator(name).is_some()
    }
}

/// Parses and evaluates the C++ expression at the start of `text`; gives the value and the offset of what follows.
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn evaluate_prefix(text: &str, env: &dyn CppEnv) -> Result<(Value, usize), ExprError> {
    let (node, end) = parse(text, &Known(env))?;
    Ok((eval(&node, env)?, end))
}

/// As [`evaluate_prefix`], for a text that must be one expression to its end.
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn evaluate(text: &str, env: &dyn CppEnv) -> Result<Value, ExprError> {
    let (value, end) = evaluate_prefix(text, env)?;
    if text.get(end..).is_some_and(|rest| !rest.trim().is_empty()) {
        return Err(ExprError::new(ErrorKind::Syntax, end));
    }
    Ok(value)
}
