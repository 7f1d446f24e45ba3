//! MASM expressions, WinDbg's default: text to value ([`evaluate`]).
//!
//! Pure code: what an expression needs of the target it asks an [`Env`].

pub mod cpp;
mod env;
mod error;
mod functions;
mod lex;
mod masm;
mod pattern;
mod typeset;

pub use env::{Env, RegisterMiss, SymbolMiss};
pub use error::{ErrorKind, ExprError};
pub use masm::{evaluate, evaluate_all};
pub use pattern::{MAX_PATTERN, wildcard_match};
pub use typeset::TypeSet;

#[cfg(test)]
mod tests;
