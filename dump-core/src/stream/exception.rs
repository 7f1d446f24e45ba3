//! ExceptionStream (6).

use super::{Stream, StreamCx, id};
use crate::base::{FileOff, Machine, ReadMemory, Tid, Va};
use crate::error::Parsed;

/// `MINIDUMP_EXCEPTION_STREAM`; for its context see `Dump::exception_context`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionStream {
    /// The thread that raised it.
    pub tid: Tid,
    /// The record.
    pub record: ExceptionRecord,
    /// Where its context lies.
    pub context_offset: FileOff,
    /// Bytes of the context; 0 without one.
    pub context_size: u32,
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

impl ExceptionRecord {
    /// The `EXCEPTION_RECORD` at an address. `None` when not all of it but its parameters is in the dump.
    ///
    /// Source: winnt.h, `EXCEPTION_RECORD32` and `EXCEPTION_RECORD64`.
    pub fn read<M: ReadMemory + ?Sized>(memory: &M, at: Va, machine: Machine) -> Option<ExceptionRecord> {
        let size = machine.ptr_size() as u64;
        let code = memory.u32(at)?;
        let flags = memory.u32(at.offset(4))?;
        let nested = memory.ptr(at.offset(8), machine)?;
        let address = memory.ptr(at.offset(8).offset(size), machine)?;
        let count = memory.u32(at.offset(8).offset(size.wrapping_mul(2)))?.min(MAX_PARAMETERS as u32);
        // On 64-bit systems four bytes of padding follow the count.
        let first = at.offset(8).offset(size.wrapping_mul(3));
        let parameters = (0..u64::from(count))
            .map_while(|i| memory.ptr(first.offset(i.wrapping_mul(size)), machine))
            .map(|va| va.0)
            .collect();
        Some(ExceptionRecord { code, flags, nested, address, parameters })
    }
}

/// Words that an `EXCEPTION_RECORD` can hold.
const MAX_PARAMETERS: usize = 15;

impl Stream for ExceptionStream {
    const NUMBER: u32 = id::EXCEPTION;
    const NAME: &'static str = "ExceptionStream";
    const ABOUT: &'static str = "the exception and its context";
    type Value = ExceptionStream;

    /// Parses the stream: thread id, alignment, a 64-bit `MINIDUMP_EXCEPTION` of 152 bytes, context location.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
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
        cx.done(ExceptionStream {
            tid,
            record: ExceptionRecord { code: code.unwrap_or(0), flags, nested, address, parameters },
            context_offset: FileOff(context_offset.unwrap_or(0).into()),
            context_size: if context_offset.is_some() { context_size } else { 0 },
        })
    }

    fn summary(e: &Self::Value) -> String {
        let r = &e.record;
        format!("code {:08x} at {:#x}, thread {:x}", r.code, r.address.0, e.tid.0)
    }
}
