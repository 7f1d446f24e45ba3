//! From an address in a method's code to the offset in its IL, which line tables count in.
//!
//! Encoding: `debuginfostore.cpp` and `nibblestream.h` of dotnet/runtime (MIT); the native array of `readytorun.h`'s debug
//! info section: `nativeformat.h`. Seen on 8.0.33, 9.0.22 and 10.0.14.

use super::Clr;
use super::code::{Code, CodeKind};
use super::layout::{Field, Release};
use super::mem::{grown, some, u16_at, u32_at};
use dumpscope_core::{ReadMemory, Va};

/// Longest map that is read, bytes.
const MAX_BYTES: usize = 256 << 10;
/// Most entries of a map.
const MAX_ENTRIES: u64 = 200_000;
/// Section of a ReadyToRun image with debug info.
const DEBUG_INFO: u32 = 105;
/// Most sections of a ReadyToRun image.
const MAX_SECTIONS: u32 = 256;

/// Numbers in groups of three bits, the highest first; bit 3 of a nibble says that more follow; low nibble first.
struct Nibbles<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The same for whoever reads what stands behind.
pub(super) struct DebugNumbers<'a>(Nibbles<'a>);

impl DebugNumbers<'_> {
    pub(super) fn new(bytes: &[u8]) -> DebugNumbers<'_> {
        DebugNumbers(Nibbles { bytes, at: 0 })
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.0.number()
    }

    /// A number with its sign in the lowest bit.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let raw = self.0.number()?;
        let value = i64::try_from(raw >> 1).ok()?;
        Some(if raw & 1 == 1 { -value } else { value })
    }
}

impl Nibbles<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        loop {
            let byte = *self.bytes.get(self.at / 2)?;
            let nibble = if self.at.is_multiple_of(2) { byte & 15 } else { byte >> 4 };
            self.at += 1;
            value = value.checked_mul(8)? | u64::from(nibble & 7);
            if nibble & 8 == 0 {
                return Some(value);
            }
        }
    }

    /// The bytes behind, from the next whole one.
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at.div_ceil(2)..).unwrap_or_default()
    }
}

impl Clr {
    /// The IL offset of `va` in `code`; negative numbers (prologue, epilogue, no code of the program's) are `None`.
    pub(super) fn il_offset(&self, code: &Code, va: Va) -> Option<u32> {
        let offset = va.distance_from(code.start)?;
        let is_packed = self.core.layout.release >= Release::V10;
        let at = self.debug_info(code)?;
        let decode = |bytes: &[u8]| if is_packed { packed(bytes) } else { nibbles(bytes) };
        let map = grown(self.core.memory(), at, MAX_BYTES, decode)?;
        let (_, il) = map.iter().take_while(|(native, _)| *native <= offset).last()?;
        u32::try_from(*il).ok()
    }

    /// The list of variables of a method's code.
    pub(super) fn variable_info(&self, code: &Code) -> Option<Vec<u8>> {
        let at = self.debug_info(code)?;
        grown(self.core.memory(), at, MAX_BYTES, |bytes| self.variable_part(bytes))
    }

    fn variable_part(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut header = Nibbles { bytes, at: 0 };
        let (map, variables) = match (self.core.layout.release >= Release::V10, header.number()?) {
            // A header with more sizes begins with 0.
            (true, 0) => {
                let sizes = (header.number()?, header.number()?);
                for _ in 0..3 {
                    header.number()?;
                }
                sizes
            }
            (_, map) => (map, header.number()?),
        };
        let from = usize::try_from(map).ok()?;
        let to = from.checked_add(usize::try_from(variables).ok()?)?;
        header.rest().get(from..to).map(<[u8]>::to_vec)
    }

    /// Where the map begins, behind everything before it.
    fn debug_info(&self, code: &Code) -> Option<Va> {
        let memory = self.core.memory();
        Some(match code.kind {
            CodeKind::Stub => return None,
            CodeKind::ReadyToRun => {
                let image = self.image(code.owner)?;
                let array = section(memory, image.header?, code.image, DEBUG_INFO)?;
                let element = native_array(memory, array, code.index)?;
                // 0: the data follow; else they are that many bytes before.
                let (back, len) = native_number(memory, element)?;
                if back == 0 { element.offset(len) } else { element.back(back.into()) }
            }
            CodeKind::Jit => {
                let at = self.core.target(code.owner, Field::CodeDebugInfo)?;
                let flags = memory.u8(at)?;
                let mut at = at.offset(1);
                if flags & 1 != 0 {
                    // Where code may be replaced while it runs: a header and 4 bytes for each place.
                    let (header, count) =
                        if self.core.layout.release >= Release::V10 { (40, 16) } else { (32, 8) };
                    let count = memory.u32(at.offset(count))?;
                    at = at.offset(header + u64::from(count) * 4);
                }
                if flags & 2 != 0 {
                    let size = memory.u32(at)?;
                    at = at.offset(4 + u64::from(size));
                }
                at
            }
        })
    }
}

/// 8 and 9: numbers in nibbles.
fn nibbles(bytes: &[u8]) -> Option<Vec<(u64, i64)>> {
    let mut header = Nibbles { bytes, at: 0 };
    let (size, _variables) = (header.number()?, header.number()?);
    if size == 0 {
        return None;
    }
    let mut body = Nibbles { bytes: header.rest(), at: 0 };
    let count = body.number()?.min(MAX_ENTRIES);
    let mut native = 0u64;
    let mut out = Vec::new();
    for _ in 0..count {
        native = native.checked_add(body.number()?)?;
        let il = body.number()?.cast_signed().checked_sub(3)?;
        body.number()?;
        out.push((native, il));
    }
    Some(out)
}

/// 10: entries of fixed width: 2 bits source, native delta, IL offset plus 3.
fn packed(bytes: &[u8]) -> Option<Vec<(u64, i64)>> {
    let mut header = Nibbles { bytes, at: 0 };
    // A header with more sizes begins with 0.
    let size = match header.number()? {
        0 => {
            let size = header.number()?;
            for _ in 0..4 {
                header.number()?;
            }
            size
        }
        size => {
            header.number()?;
            size
        }
    };
    if size == 0 {
        return None;
    }
    let mut widths = Nibbles { bytes: header.rest(), at: 0 };
    let count = widths.number()?.min(MAX_ENTRIES);
    let native_bits = usize::try_from(widths.number()?.checked_add(1)?).ok().filter(|n| *n <= 32)?;
    let il_bits = usize::try_from(widths.number()?.checked_add(1)?).ok().filter(|n| *n <= 32)?;
    let entries = widths.rest();
    let bits = |at: usize, count: usize| -> Option<u64> {
        let mut value = 0u64;
        for i in 0..count {
            let bit = at + i;
            value |= u64::from(*entries.get(bit / 8)? >> (bit % 8) & 1) << i;
        }
        Some(value)
    };
    let mut native = 0u64;
    let mut out = Vec::new();
    for i in 0..usize::try_from(count).ok()? {
        let at = i * (2 + native_bits + il_bits) + 2;
        native = native.checked_add(bits(at, native_bits)?)?;
        out.push((native, bits(at + native_bits, il_bits)?.cast_signed() - 3));
    }
    Some(out)
}

/// A section of a ReadyToRun image, by number.
pub(super) fn section(memory: &dyn ReadMemory, header: Va, image: Va, wanted: u32) -> Option<Va> {
    let count = memory.u32(header.offset(12))?.min(MAX_SECTIONS);
    let entries = some(memory, header.offset(16), usize::try_from(count).ok()? * 12);
    let entry = entries.chunks_exact(12).find(|e| u32_at(e, 0) == Some(wanted))?;
    Some(image.offset(u32_at(entry, 4)?.into()))
}

/// A number of the native format and its bytes: the lowest bits of the first byte say how many.
fn native_number(memory: &dyn ReadMemory, at: Va) -> Option<(u32, u64)> {
    let bytes = some(memory, at, 5);
    let byte = |i: usize| bytes.get(i).map(|b| u32::from(*b));
    let first = byte(0)?;
    Some(match first.trailing_ones() {
        0 => (first >> 1, 1),
        1 => (first >> 2 | byte(1)? << 6, 2),
        2 => (first >> 3 | byte(1)? << 5 | byte(2)? << 13, 3),
        3 => (first >> 4 | byte(1)? << 4 | byte(2)? << 12 | byte(3)? << 20, 4),
        _ => (u32_at(&bytes, 1)?, 5),
    })
}

/// An element of a native array: blocks of 16, each a tree whose nodes say which halves exist.
fn native_array(memory: &dyn ReadMemory, at: Va, index: u32) -> Option<Va> {
    let (header, len) = native_number(memory, at)?;
    let (count, entry) = (header >> 2, header & 3);
    if index >= count {
        return None;
    }
    let table = at.offset(len);
    let block = u64::from(index / 16);
    let width = 1u64.checked_shl(entry).filter(|w| *w <= 4)?;
    let raw = some(memory, table.offset(block * width), 4);
    let offset = match width {
        1 => u64::from(*raw.first()?),
        2 => u64::from(u16_at(&raw, 0)?),
        _ => u64::from(u32_at(&raw, 0)?),
    };
    let mut at = table.offset(offset);
    for bit in [8u32, 4, 2, 1] {
        let (node, len) = native_number(memory, at)?;
        if index & bit != 0 {
            if node & 2 != 0 {
                at = at.offset(u64::from(node >> 2));
                continue;
            }
        } else if node & 1 != 0 {
            at = at.offset(len);
            continue;
        }
        return (node & 3 == 0 && node >> 2 == index & 15).then(|| at.offset(len));
    }
    Some(at)
}
