//! `~`: threads.

pub(crate) mod report;
