//! Where functions start and end.

use crate::session::Session;
use dumpscope_core::{Machine, ReadMemory, Rva, Va};

/// Most entries of an exception directory that are believed.
const MAX_ENTRIES: u64 = 1 << 20;
/// Most chained unwind infos of one function.
const MAX_CHAIN: usize = 32;

/// A `RUNTIME_FUNCTION` of x64 (Microsoft's "x64 exception handling"): begin, end, unwind info, as addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) base: Va,
    pub(super) begin: Va,
    pub(super) end: Va,
    pub(super) info: Va,
}

/// The entry that covers `va`, by binary search in the image's exception directory in memory.
pub(super) fn entry(session: &Session, va: Va) -> Option<Entry> {
    if session.sel.machine != Machine::Amd64 {
        return None;
    }
    let memory = &**session.dump().memory();
    let symbols = &session.target.symbols;
    let base = symbols.modules().get(symbols.module_at(va)?)?.base;
    let header = base.offset(memory.u32(base.offset(0x3c))?.into());
    // PE32+: data directories start at 112 in the optional header, which starts at 24; the exception directory is
    // the fourth.
    if memory.u32(header)? != 0x4550 || memory.u16(header.offset(24))? != 0x20b {
        return None;
    }
    let directory = header.offset(24 + 112 + 3 * 8);
    let table = base.offset(memory.u32(directory)?.into());
    let count = u64::from(memory.u32(directory.offset(4))?) / 12;
    let rva = va.rva(base)?;
    let (mut low, mut high) = (0, count.min(MAX_ENTRIES));
    while low < high {
        let middle = low + (high - low) / 2;
        let at = table.offset(middle * 12);
        let (begin, end) = (Rva(memory.u32(at)?), Rva(memory.u32(at.offset(4))?));
        if rva < begin {
            high = middle;
        } else if rva >= end {
            low = middle + 1;
        } else {
            let info = Rva(memory.u32(at.offset(8))?).va(base);
            return Some(Entry { base, begin: begin.va(base), end: end.va(base), info });
        }
    }
    None
}

/// Start and end (excluded) of the function part that holds `va`, from unwind data.
pub(super) fn part(session: &Session, va: Va) -> Option<(Va, Va)> {
    entry(session, va).map(|e| (e.begin, e.end))
}

/// Start of the function that holds `va`: from unwind data, else the symbol's.
pub(super) fn function_start(session: &Session, va: Va) -> Option<Va> {
    if let Some(entry) = entry(session, va) {
        return Some(main_part(session, entry).unwrap_or(entry.begin));
    }
    let resolved = session.target.symbols.resolve(va)?;
    resolved.symbol?;
    Some(va.back(resolved.displacement))
}

/// The handler of the function that holds `va`, and what it is for (`ehandler`: exceptions, `uhandler`: unwinding).
pub(crate) fn handler(session: &Session, va: Va) -> Option<(Va, &'static str)> {
    let entry = entry(session, va)?;
    let memory = session.dump().memory();
    let flags = memory.u8(entry.info)? >> 3;
    // UNW_FLAG_EHANDLER 1, UNW_FLAG_UHANDLER 2; the handler's RVA follows the codes.
    let kind = match flags & 7 {
        1 | 3 => "ehandler",
        2 => "uhandler",
        _ => return None,
    };
    let codes = u64::from(memory.u8(entry.info.offset(2))?);
    let rva = memory.u32(entry.info.offset(4 + codes.div_ceil(2) * 4))?;
    Some((Rva(rva).va(entry.base), kind))
}

/// Follows chained unwind infos (`UNW_FLAG_CHAININFO`, 4) to the part that the others belong to.
fn main_part(session: &Session, entry: Entry) -> Option<Va> {
    let memory = &**session.dump().memory();
    let (mut start, mut info) = (entry.begin, entry.info);
    for _ in 0..MAX_CHAIN {
        // Version in the low three bits, flags above.
        let flags = memory.u8(info)? >> 3;
        if flags & 4 == 0 {
            return Some(start);
        }
        // The parent's RUNTIME_FUNCTION follows the codes, whose number is rounded up to an even one.
        let codes = u64::from(memory.u8(info.offset(2))?);
        let parent = info.offset(4 + codes.div_ceil(2) * 4);
        start = Rva(memory.u32(parent)?).va(entry.base);
        info = Rva(memory.u32(parent.offset(8))?).va(entry.base);
    }
    None
}
