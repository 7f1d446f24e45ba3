//! `k` and its family.

mod flags;
pub(crate) mod report;
