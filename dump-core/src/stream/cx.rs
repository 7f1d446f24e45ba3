//! What every stream parser gets: the file, its own bytes, and a place for warnings.

use super::DirectoryEntry;
use crate::base::{FileOff, Machine, Va};
use crate::bytes::{Cursor, clipped, exact, utf16_text};
use crate::error::{Parsed, Warning};
use std::cell::{Cell, RefCell};

/// Warnings kept per stream; the rest is counted.
const MAX_WARNINGS: usize = 32;
/// Longest string taken from a dump, bytes of UTF-16. Windows' own strings end at 64 KiB.
const MAX_TEXT: u32 = 0x1_0000;
/// Text decoded per stream, bytes: many entries that name one long string must not fill the memory.
const TEXT_BUDGET: usize = 64 << 20;

/// Why a string could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Outside the file.
    Outside,
    /// Longer than any string of Windows.
    TooLong,
}

/// The view of one stream.
#[derive(Debug)]
pub(crate) struct StreamCx<'a> {
    /// SDK name of the stream, for warnings.
    pub(crate) place: &'static str,
    /// The whole file: RVAs in streams are file offsets.
    pub(crate) file: &'a [u8],
    /// Directory entry.
    pub(crate) entry: DirectoryEntry,
    /// Of which machine the dump is: see [`StreamCx::va`].
    pub(crate) machine: Machine,
    warnings: RefCell<Vec<Warning>>,
    dropped: Cell<usize>,
    text_left: Cell<usize>,
}

impl<'a> StreamCx<'a> {
    pub(crate) fn new(
        place: &'static str,
        file: &'a [u8],
        entry: DirectoryEntry,
        machine: Machine,
    ) -> StreamCx<'a> {
        StreamCx {
            place,
            file,
            entry,
            machine,
            warnings: RefCell::default(),
            dropped: Cell::new(0),
            text_left: Cell::new(TEXT_BUDGET),
        }
    }

    /// The stream's bytes, as far as the file has them (a warning says when it has not).
    pub(crate) fn cursor(&self) -> Cursor<'a> {
        let size = u64::from(self.entry.size);
        let data = clipped(self.file, self.entry.offset.0, size).unwrap_or_default();
        if (data.len() as u64) < size {
            self.warn(
                Some(self.entry.offset),
                format!("the stream needs {size:#x} bytes, the file has {:#x} of them", data.len()),
            );
        }
        Cursor::new(data, self.entry.offset)
    }

    pub(crate) fn warn(&self, offset: Option<FileOff>, text: impl Into<String>) {
        let mut list = self.warnings.borrow_mut();
        if list.len() < MAX_WARNINGS {
            list.push(Warning { place: self.place, offset, text: text.into() });
        } else {
            self.dropped.set(self.dropped.get().saturating_add(1));
        }
    }

    /// Ends the parse: fine without warnings, damaged with them.
    pub(crate) fn done<T>(self, value: T) -> Parsed<T> {
        let mut list = self.warnings.into_inner();
        let dropped = self.dropped.get();
        if dropped > 0 {
            let text = format!("{dropped} more warnings about this stream");
            list.push(Warning { place: self.place, offset: None, text });
        }
        if list.is_empty() { Parsed::Fine(value) } else { Parsed::Damaged(value, list) }
    }

    /// Exactly `len` bytes anywhere in the file.
    pub(crate) fn slice(&self, offset: u64, len: u64) -> Option<&'a [u8]> {
        exact(self.file, offset, len)
    }

    /// An address field. Fields of 64 bits in dumps of 32-bit machines may be sign-extended (as the debugger
    /// engine keeps such addresses): what does not fit otherwise is cut to 32 bits.
    pub(crate) fn va(&self, raw: u64) -> Va {
        let sign_extended = raw >= 0xffff_ffff_8000_0000;
        Va(if self.machine == Machine::X86 && sign_extended { raw & 0xffff_ffff } else { raw })
    }

    /// Takes `n` from the text budget.
    pub(crate) fn charge(&self, n: usize) -> Option<()> {
        let left = self.text_left.get().checked_sub(n)?;
        self.text_left.set(left);
        Some(())
    }

    /// A `MINIDUMP_STRING`: length in bytes, then UTF-16 without a counted terminator.
    pub(crate) fn string(&self, offset: u64) -> Result<String, Fault> {
        let head = self.slice(offset, 4).ok_or(Fault::Outside)?;
        let len = u32::from_le_bytes(head.try_into().map_err(|_| Fault::Outside)?);
        if len > MAX_TEXT {
            return Err(Fault::TooLong);
        }
        let start = offset.checked_add(4).ok_or(Fault::Outside)?;
        let raw = self.slice(start, len.into()).ok_or(Fault::Outside)?;
        self.charge(raw.len()).ok_or(Fault::TooLong)?;
        Ok(utf16_text(raw))
    }

    /// As [`StreamCx::string`]; RVA 0 is no string, a bad one is a warning that names `what`.
    pub(crate) fn string_or_warn(&self, rva: u64, what: &str) -> Option<String> {
        if rva == 0 {
            return None;
        }
        match self.string(rva) {
            Ok(text) => Some(text),
            Err(fault) => {
                let why = match fault {
                    Fault::Outside => "lies outside the file",
                    Fault::TooLong => "is too long",
                };
                self.warn(Some(FileOff(rva)), format!("{what} {why}"));
                None
            }
        }
    }

    /// Start of the entries of a list that has only a count before them, and how many entries are there.
    ///
    /// Some writers pad the 32-bit count to 8 bytes. The stream's size decides: the padded form when it fits
    /// exactly, else the plain one. A count that does not fit is cut to what the bytes hold.
    pub(crate) fn counted_list(&self, entry_size: usize) -> (Cursor<'a>, usize) {
        let mut c = self.cursor();
        let Some(count) = c.u32() else {
            if self.entry.size < 4 {
                self.warn(Some(self.entry.offset), "the stream is too small for its count");
            }
            return (c, 0);
        };
        let need = u64::from(count).saturating_mul(entry_size as u64);
        if need.saturating_add(8) == u64::from(self.entry.size) {
            c = c.at(8);
        }
        (c, self.fit(&c, count.into(), entry_size))
    }

    /// `count` cut to the entries that the rest of the stream holds, with a warning when it was cut.
    pub(crate) fn fit(&self, c: &Cursor<'_>, count: u64, entry_size: usize) -> usize {
        let room = c.left().checked_div(entry_size).unwrap_or(0);
        match usize::try_from(count) {
            Ok(n) if n <= room => n,
            _ => {
                self.warn(Some(c.offset()), format!("{count} entries are announced, {room} are there"));
                room
            }
        }
    }

    /// Reads a list header `{SizeOfHeader u32, SizeOfEntry u32, count}` (`count` of 4 or 8 bytes) and returns a
    /// cursor at the first entry, the entry size and the number of entries that are there. `min_entry` is the
    /// smallest entry that can be decoded.
    pub(crate) fn sized_list(
        &self,
        wide_count: bool,
        min_entry: usize,
    ) -> Option<(Cursor<'a>, usize, usize)> {
        let mut c = self.cursor();
        let header = c.u32();
        let entry = c.u32();
        let count = if wide_count { c.u64() } else { c.u32().map(u64::from) };
        let (Some(header), Some(entry), Some(count)) = (header, entry, count) else {
            self.warn(Some(self.entry.offset), "the stream is too small for its header");
            return None;
        };
        let (header, entry) = (header as usize, entry as usize);
        if header < c.pos() || entry < min_entry {
            if count > 0 {
                let text = format!("header size {header} or entry size {entry} is too small");
                self.warn(Some(self.entry.offset), text);
            }
            return None;
        }
        let c = c.at(header);
        let count = self.fit(&c, count, entry);
        Some((c, entry, count))
    }
    /// The entries of a list of [`StreamCx::counted_list`], each decoded from its `size` bytes.
    pub(crate) fn counted_entries<T>(&self, size: usize, entry: impl FnMut(&[u8]) -> Option<T>) -> Vec<T> {
        let (c, count) = self.counted_list(size);
        entries(c, size, count, entry)
    }

    /// The same for [`StreamCx::sized_list`].
    pub(crate) fn sized_entries<T>(
        &self,
        wide_count: bool,
        min_entry: usize,
        entry: impl FnMut(&[u8]) -> Option<T>,
    ) -> Vec<T> {
        let list = self.sized_list(wide_count, min_entry);
        list.map_or_else(Vec::new, |(c, size, count)| entries(c, size, count, entry))
    }
}

fn entries<T>(
    mut c: Cursor<'_>,
    size: usize,
    count: usize,
    mut entry: impl FnMut(&[u8]) -> Option<T>,
) -> Vec<T> {
    let mut out = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(raw) = c.take(size) else { break };
        out.extend(entry(raw));
    }
    out
}
