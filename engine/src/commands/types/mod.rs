//! Types and variables: `dt`, `dv`, and what other commands share with them.

mod dt;
mod dv;
mod fields;
mod find;
mod report;
mod rows;
mod subject;
mod wild;

pub(crate) use dt::DT;
pub(crate) use dv::DV;
pub(crate) use find::{Found, TypeSet};
