//! Types and variables: `dt`, `dv`, `??`, and what other commands share with them.

mod dt;
mod dv;
mod engine_dt;
mod evaluate;
mod fields;
mod find;
mod layout;
mod looks;
mod radix;
mod report;
mod rows;
mod subject;
mod symbol;
mod wild;

pub(crate) use dt::DT;
pub(crate) use dv::{DV, list_locals};
pub(crate) use evaluate::TYPED;
pub(crate) use find::{Found, enumerator, find, static_member};
pub(crate) use subject::{Object, global, local};
pub(crate) use symbol::{SymbolType, returned_value, symbol_type};
