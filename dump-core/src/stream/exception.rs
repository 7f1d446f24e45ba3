//! ExceptionStream (6).

use super::StreamCx;
use crate::base::{FileOff, Tid, Va};
use crate::error::Parsed;

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

/// Words that an `EXCEPTION_RECORD` can hold.
const MAX_PARAMETERS: usize = 15;

/// The stream and where its context lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExceptionEntry {
    pub(crate) stream: ExceptionStream,
    pub(crate) context_offset: FileOff,
    pub(crate) context_size: u32,
}

/// Parses the stream: thread id, alignment, a 64-bit `MINIDUMP_EXCEPTION` of 152 bytes, context location.
pub(crate) fn parse(cx: StreamCx<'_>) -> Parsed<ExceptionEntry> {
    let mut c = cx.cursor();
    let tid = Tid(c.u32().unwrap_or(0));
    let _alignment = c.u32();
    let code = c.u32();
    let flags = c.u32().unwrap_or(0);
    let nested = cx.va(c.u64().unwrap_or(0));
    let address = c.u64();
    let announced = c.u32().unwrap_or(0) as usize;
    let _alignment = c.u32();
    let mut parameters = Vec::new();
    for i in 0..MAX_PARAMETERS {
        let Some(word) = c.u64() else { break };
        if i < announced {
            parameters.push(cx.va(word).0);
        }
    }
    if announced > MAX_PARAMETERS {
        cx.warn(
            Some(cx.entry.offset),
            format!("{announced} exception parameters are announced, 15 can be there"),
        );
    }
    let address = cx.va(address.unwrap_or(0));
    let context_size = c.u32().unwrap_or(0);
    let context_offset = c.u32();
    if context_offset.is_none() && cx.entry.size < 168 {
        cx.warn(Some(cx.entry.offset), format!("{} bytes instead of 168", cx.entry.size));
    }
    cx.done(ExceptionEntry {
        stream: ExceptionStream {
            tid,
            record: ExceptionRecord { code: code.unwrap_or(0), flags, nested, address, parameters },
        },
        context_offset: FileOff(context_offset.unwrap_or(0).into()),
        context_size: if context_offset.is_some() { context_size } else { 0 },
    })
}
