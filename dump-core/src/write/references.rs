//! Where streams name other places of the file: every RVA that has to change when bytes move.
//!
//! Layouts: as the readers in `stream`; each of them says where it is from.

use crate::base::{FileOff, Va};
use crate::bytes::Cursor;
use crate::stream::{StreamCx, id};
use std::collections::BTreeSet;

/// What lies at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A `MINIDUMP_STRING`.
    Text,
    /// A text of bytes with its length before it.
    ByteText,
    /// Bytes of a known number.
    Bytes,
    /// Where a module's symbols are: a CodeView or a miscellaneous record, with a path in it.
    Debug,
    /// The memory of a thread's stack, which begins at this address.
    Stack(Va),
}

/// A field that holds a file offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// Where the field lies.
    pub(crate) at: u64,
    /// The field has 64 bits, else 32.
    pub(crate) wide: bool,
    /// The offset that it holds.
    pub(crate) to: u64,
    /// Bytes there.
    pub(crate) len: u64,
    /// What they are.
    pub(crate) kind: Kind,
}

/// Longest text that is followed, bytes; as the readers have it.
const MAX_TEXT: u32 = 0x1_0000;
/// Records of a handle's chain.
const MAX_CHAIN: usize = 16;
/// Entries of a list of Crashpad's.
const MAX_ENTRIES: u32 = 0x1000;

/// Streams whose bytes name no other place: they can be moved as they are.
const PLAIN: [u32; 20] = [
    id::MEMORY_LIST,
    id::MEMORY64_LIST,
    id::COMMENT_A,
    id::COMMENT_W,
    id::FUNCTION_TABLE,
    id::MISC_INFO,
    id::MEMORY_INFO_LIST,
    id::THREAD_INFO_LIST,
    id::HANDLE_OPERATION_LIST,
    id::TOKEN,
    id::SYSTEM_MEMORY_INFO,
    id::PROCESS_VM_COUNTERS,
    id::ASSERTION_INFO,
    id::LINUX_PROC_STATUS,
    id::LINUX_LSB_RELEASE,
    id::LINUX_CMD_LINE,
    0x4767_0001,
    0x4767_0003,
    0x4767_0007,
    0x4767_0009,
];

/// True when it is known where the stream leads to.
pub(crate) fn is_known(stream: u32) -> bool {
    PLAIN.contains(&stream) || finder(stream).is_some()
}

/// Collects the references of a stream. Takes any bytes; a stream of another kind has none.
pub(crate) fn references(cx: &StreamCx<'_>) -> Vec<Reference> {
    let mut out = Out { cx, found: Vec::new() };
    if let Some(find) = finder(cx.entry.stream_type) {
        // Where the bytes end, so do the references.
        let _ = find(&mut out);
    }
    out.found
}

type Finder = fn(&mut Out<'_, '_>) -> Option<()>;

fn finder(stream: u32) -> Option<Finder> {
    Some(match stream {
        id::THREAD_LIST => |out| threads(out, 48),
        id::THREAD_EX_LIST => |out| threads(out, 64),
        id::MODULE_LIST => modules,
        id::EXCEPTION => exception,
        id::SYSTEM_INFO => system,
        id::HANDLE_DATA => handles,
        id::UNLOADED_MODULE_LIST => unloaded,
        id::THREAD_NAMES => thread_names,
        id::CRASHPAD_INFO => crashpad,
        _ => return None,
    })
}

struct Out<'c, 'a> {
    cx: &'c StreamCx<'a>,
    found: Vec<Reference>,
}

impl<'a> Out<'_, 'a> {
    fn add(&mut self, at: FileOff, to: u32, len: u64, kind: Kind) {
        if to != 0 {
            self.found.push(Reference { at: at.0, wide: false, to: to.into(), len, kind });
        }
    }

    /// A field at the cursor that leads to a `MINIDUMP_STRING`.
    fn text(&mut self, c: &mut Cursor<'_>) -> Option<()> {
        let (at, to) = (c.offset(), c.u32()?);
        self.add(at, to, self.text_len(to.into(), 2), Kind::Text);
        Some(())
    }

    /// The same of a text of bytes.
    fn byte_text(&mut self, c: &mut Cursor<'_>) -> Option<()> {
        let (at, to) = (c.offset(), c.u32()?);
        self.add(at, to, self.text_len(to.into(), 1), Kind::ByteText);
        Some(())
    }

    /// Bytes of a text with its length before it, and with room for a terminator.
    fn text_len(&self, to: u64, unit: u64) -> u64 {
        let head = self.cx.slice(to, 4).and_then(|raw| raw.try_into().ok()).map_or(0, u32::from_le_bytes);
        if head > MAX_TEXT { 4 } else { u64::from(head).saturating_add(4).saturating_add(unit) }
    }

    /// `MINIDUMP_LOCATION_DESCRIPTOR`: size, then offset.
    fn location(&mut self, c: &mut Cursor<'_>) -> Option<(u32, u32)> {
        self.located(c, Kind::Bytes)
    }

    /// The same of what is known to be of a kind.
    fn located(&mut self, c: &mut Cursor<'_>, kind: Kind) -> Option<(u32, u32)> {
        let (size, at, to) = (c.u32()?, c.offset(), c.u32()?);
        if size > 0 {
            self.add(at, to, size.into(), kind);
        }
        Some((size, to))
    }

    /// What a location leads to.
    fn behind(&self, (size, to): (u32, u32)) -> Option<Cursor<'a>> {
        let found = (size > 0 && to > 0).then(|| self.cx.slice(to.into(), size.into())).flatten();
        found.map(|raw| Cursor::new(raw, FileOff(to.into())))
    }
}

fn threads(out: &mut Out<'_, '_>, entry: usize) -> Option<()> {
    let (list, count) = out.cx.counted_list(entry);
    for n in 0..count {
        let mut c = list.at(list.pos().checked_add(n.checked_mul(entry)?)?);
        c.skip(24)?;
        let (start, size, at, to) = (out.cx.va(c.u64()?), c.u32()?, c.offset(), c.u32()?);
        if size > 0 {
            out.add(at, to, size.into(), Kind::Stack(start));
        }
        out.location(&mut c)?;
        if entry == 64 {
            // The backing store of Itanium: address, then a location.
            let (start, size, at, to) = (out.cx.va(c.u64()?), c.u32()?, c.offset(), c.u32()?);
            if size > 0 {
                out.add(at, to, size.into(), Kind::Stack(start));
            }
        }
    }
    Some(())
}

fn modules(out: &mut Out<'_, '_>) -> Option<()> {
    let (mut list, count) = out.cx.counted_list(108);
    for _ in 0..count {
        let mut c = list;
        list.skip(108)?;
        c.skip(20)?;
        out.text(&mut c)?;
        c.skip(52)?;
        out.located(&mut c, Kind::Debug)?;
        out.located(&mut c, Kind::Debug)?;
    }
    Some(())
}

fn exception(out: &mut Out<'_, '_>) -> Option<()> {
    let mut c = out.cx.cursor();
    c.skip(160)?;
    out.location(&mut c).map(|_| ())
}

fn system(out: &mut Out<'_, '_>) -> Option<()> {
    let mut c = out.cx.cursor();
    c.skip(24)?;
    out.text(&mut c)
}

fn handles(out: &mut Out<'_, '_>) -> Option<()> {
    let (mut list, size, count) = out.cx.sized_list(false, 32)?;
    let mut chained = BTreeSet::new();
    for _ in 0..count {
        let mut c = list;
        list.skip(size)?;
        c.skip(8)?;
        out.text(&mut c)?;
        out.text(&mut c)?;
        if size < 40 {
            continue;
        }
        c.skip(16)?;
        let (mut at, mut to) = (c.offset(), c.u32()?);
        for _ in 0..MAX_CHAIN {
            let head = out.cx.slice(to.into(), 12).filter(|_| to != 0);
            let Some(mut record) = head.map(|raw| Cursor::new(raw, FileOff(to.into()))) else {
                out.add(at, to, 0, Kind::Bytes);
                break;
            };
            let (next_at, next, _, len) = (record.offset(), record.u32()?, record.u32()?, record.u32()?);
            out.add(at, to, u64::from(len).saturating_add(12), Kind::Bytes);
            // Records that several handles name are followed once.
            if !chained.insert(to) {
                break;
            }
            (at, to) = (next_at, next);
        }
    }
    Some(())
}

fn unloaded(out: &mut Out<'_, '_>) -> Option<()> {
    let (mut list, size, count) = out.cx.sized_list(false, 24)?;
    for _ in 0..count {
        let mut c = list;
        list.skip(size)?;
        c.skip(20)?;
        out.text(&mut c)?;
    }
    Some(())
}

fn thread_names(out: &mut Out<'_, '_>) -> Option<()> {
    let (mut c, count) = out.cx.counted_list(12);
    for _ in 0..count {
        c.skip(4)?;
        let (at, to) = (c.offset().0, c.u64()?);
        let len = out.text_len(to, 2);
        out.found.push(Reference { at, wide: true, to, len, kind: Kind::Text });
    }
    Some(())
}

fn crashpad(out: &mut Out<'_, '_>) -> Option<()> {
    let mut c = out.cx.cursor();
    c.skip(36)?;
    let (simple, modules) = (out.location(&mut c)?, out.location(&mut c)?);
    dictionary(out, simple);
    let mut list = out.behind(modules)?;
    for _ in 0..list.u32()?.min(MAX_ENTRIES) {
        list.skip(4)?;
        let info = out.location(&mut list)?;
        if let Some(mut c) = out.behind(info) {
            let _ = crashpad_module(out, &mut c);
        }
    }
    Some(())
}

fn crashpad_module(out: &mut Out<'_, '_>, c: &mut Cursor<'_>) -> Option<()> {
    c.skip(4)?;
    let (texts, simple) = (out.location(c)?, out.location(c)?);
    dictionary(out, simple);
    if let Some(mut list) = out.behind(texts) {
        let _ = (0..list.u32()?.min(MAX_ENTRIES)).try_for_each(|_| out.byte_text(&mut list));
    }
    // Older writers have no objects.
    let objects = out.location(c)?;
    let mut list = out.behind(objects)?;
    for _ in 0..list.u32()?.min(MAX_ENTRIES) {
        out.byte_text(&mut list)?;
        list.skip(4)?;
        out.byte_text(&mut list)?;
    }
    Some(())
}

fn dictionary(out: &mut Out<'_, '_>, at: (u32, u32)) {
    let Some(mut list) = out.behind(at) else { return };
    let count = list.u32().unwrap_or(0).min(MAX_ENTRIES);
    let _ = (0..count).try_for_each(|_| {
        out.byte_text(&mut list)?;
        out.byte_text(&mut list)
    });
}
