//! ExceptionStream (6).

use crate::base::{Tid, Va};

/// `MINIDUMP_EXCEPTION_STREAM` without its context; see `Dump::exception_context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionStream {
    /// The thread that raised it.
    pub tid: Tid,
    /// The record.
    pub record: ExceptionRecord,
}

/// An `EXCEPTION_RECORD`, from the stream or from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// `ExceptionCode`.
    pub code: u32,
    /// `ExceptionFlags`.
    pub flags: u32,
    /// Address of a nested record, or 0.
    pub nested: Va,
    /// Address of the instruction.
    pub address: Va,
    /// `ExceptionInformation`, at most 15 words.
    pub parameters: Vec<u64>,
}
