//! C++ expressions, as `??` and `@@c++()` take them: text to tree ([`parse()`]), tree to a typed value ([`eval()`]).
//!
//! Pure code: what an expression needs of the target it asks a [`CppEnv`]. Numbers are decimal here.

mod ast;
mod eval;
mod lex;
mod parse;
#[cfg(test)]
mod tests;
mod value;

pub use ast::{Binary, Macro, Node, TypeName, Unary};
pub use eval::{CppEnv, eval};
pub use parse::parse;
pub use value::{Ty, Value};

use super::error::ExprError;

/// Parses and evaluates a C++ expression.
///
/// # Errors
/// What is wrong and at which byte of `text`.
pub fn evaluate(text: &str, env: &dyn CppEnv) -> Result<Value, ExprError> {
    // A name that is a variable too is not taken for a type.
    let is_type = |name: &str| env.variable(name).is_none() && env.find_type(name).is_some();
    eval(&parse(text, &is_type)?, env)
}
