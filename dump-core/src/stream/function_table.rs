//! FunctionTableStream (13): unwind tables that the program made at run time (JIT compilers).

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Va};
use crate::error::Parsed;

/// `MINIDUMP_FUNCTION_TABLE_DESCRIPTOR`: 32 bytes.
const DESCRIPTOR: usize = 32;
/// Tables read.
const MAX_TABLES: usize = 0x1_0000;

/// All tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionTables {
    /// Bytes of one entry: 12 on x64 (`RUNTIME_FUNCTION`), 8 on ARM64.
    pub entry_size: u32,
    /// In the dump's order.
    pub tables: Vec<FunctionTable>,
}

/// One table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionTable {
    /// First address that it covers.
    pub minimum: Va,
    /// Address after the last one.
    pub maximum: Va,
    /// What the entries' RVAs count from.
    pub base: Va,
    /// Number of entries.
    pub entry_count: u32,
    /// Where the entries lie in the dump.
    pub entries: FileOff,
}

pub(crate) struct FunctionTableStream;

impl Stream for FunctionTableStream {
    const NUMBER: u32 = id::FUNCTION_TABLE;
    const NAME: &'static str = "FunctionTableStream";
    const ABOUT: &'static str = "unwind tables made at run time";
    type Value = FunctionTables;

    /// Parses the stream. Header of 24 bytes {its size, descriptor size, native descriptor size, entry size, tables,
    /// padding behind the header}; per table a descriptor, the system's own descriptor, entries and padding.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = cx.cursor();
        let mut c = all;
        let head = (c.u32(), c.u32(), c.u32(), c.u32(), c.u32(), c.u32());
        let (Some(header), Some(descriptor), Some(native), Some(entry), Some(count), Some(pad)) = head else {
            if cx.entry.size < 24 {
                cx.warn(Some(cx.entry.offset), "the stream is too small for its header");
            }
            return cx.done(FunctionTables::default());
        };
        let mut out = FunctionTables { entry_size: entry, tables: Vec::new() };
        let (header, descriptor) = (header as usize, descriptor as usize);
        if header < 24 || descriptor < DESCRIPTOR {
            if count > 0 {
                cx.warn(
                    Some(cx.entry.offset),
                    format!("header sizes {header} and {descriptor} are too small"),
                );
            }
            return cx.done(out);
        }
        let mut c = all.at(header.saturating_add(pad as usize));
        for i in 0..(count as usize).min(MAX_TABLES) {
            let mut table = || {
                let start = c.pos();
                let (minimum, maximum, base) = (Va(c.u64()?), Va(c.u64()?), Va(c.u64()?));
                let (entry_count, pad) = (c.u32()?, c.u32()?);
                c = c.at(start);
                c.skip(descriptor.checked_add(native as usize)?)?;
                let entries = c.offset();
                c.skip(usize::try_from(u64::from(entry).checked_mul(entry_count.into())?).ok()?)?;
                // The last table's padding may be missing.
                let _ = c.skip((pad as usize).min(c.left()));
                Some(FunctionTable { minimum, maximum, base, entry_count, entries })
            };
            match table() {
                Some(t) => out.tables.push(t),
                None => {
                    cx.warn(Some(cx.entry.offset), format!("{count} tables are announced, {i} are there"));
                    break;
                }
            }
        }
        cx.done(out)
    }

    fn summary(t: &Self::Value) -> String {
        count(t.tables.len(), "table")
    }
}
