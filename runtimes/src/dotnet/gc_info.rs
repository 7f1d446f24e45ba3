//! Which stack slots and registers hold live references at a call: the method's GC info.
//!
//! What it names the runtime itself would report to the collector: a reference in such a slot is alive, not left over.
//! Encoding: `gcinfoencoder.cpp` and `gcinfotypes.h` of dotnet/runtime (MIT), x64. Versions 2 (8), 3 (9) and 4 (10),
//! checked at every return address of some 250 frames of each.

use super::mem::some;
use dumpscope_core::{ReadMemory, Va};

/// Longest GC info that is read, bytes.
const MAX_BYTES: usize = 64 << 10;
/// Most slots, safe points and interruptible ranges of a method.
const MAX_COUNT: u64 = 16 << 10;

/// Where a reference lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A register, in the processor's numbering.
    Register(u8),
    /// Bytes from the caller's stack pointer.
    CallerSp(i64),
    /// Bytes from the stack pointer.
    Sp(i64),
    /// Bytes from the frame register.
    FrameRegister(i64),
}

/// A slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) place: Place,
    /// It points into an object, not to its start.
    pub(super) interior: bool,
}

/// Decoded slot table of a method.
#[derive(Debug)]
pub(super) struct GcInfo {
    version: u64,
    bytes: Vec<u8>,
    /// Bit behind the slot table.
    behind: usize,
    safe_points: Vec<u64>,
    /// Interruptible ranges: start, end.
    ranges: Vec<(u64, u64)>,
    slots: Vec<Slot>,
    /// Slots before this index are alive at some calls only.
    tracked: usize,
    /// Frame register, in the processor's numbering.
    pub(super) frame_register: Option<u8>,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn read(&mut self, count: u32) -> Option<u64> {
        let mut value = 0u64;
        for i in 0..count.min(64) {
            let byte = u64::from(*self.bytes.get(self.at >> 3)?);
            value |= (byte >> (self.at & 7) & 1) << i;
            self.at += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }

    /// A number in groups of `base` bits, the lowest first, each followed by a bit that says whether more come.
    fn number(&mut self, base: u32) -> Option<u64> {
        self.groups(base).map(|(value, _)| value)
    }

    /// The same with a sign in the highest bit.
    fn signed(&mut self, base: u32) -> Option<i64> {
        let (value, bits) = self.groups(base)?;
        let unused = 64u32.checked_sub(bits)?;
        Some((value << unused).cast_signed() >> unused)
    }

    fn groups(&mut self, base: u32) -> Option<(u64, u32)> {
        let (mut value, mut shift) = (0u64, 0u32);
        while shift + base <= 64 {
            let group = self.read(base + 1)?;
            value |= (group & ((1 << base) - 1)) << shift;
            shift += base;
            if group >> base & 1 == 0 {
                return Some((value, shift));
            }
        }
        None
    }

    fn count(&mut self, base: u32) -> Option<usize> {
        self.number(base).filter(|n| *n <= MAX_COUNT).and_then(|n| usize::try_from(n).ok())
    }
}

impl GcInfo {
    /// Decodes the GC info at `at`.
    pub(super) fn read(memory: &dyn ReadMemory, at: Va, version: u64) -> Option<GcInfo> {
        // Most are short: one page, then all that is allowed.
        let short = some(memory, at, 1024);
        GcInfo::decode(short, version).or_else(|| GcInfo::decode(some(memory, at, MAX_BYTES), version))
    }

    fn decode(bytes: Vec<u8>, version: u64) -> Option<GcInfo> {
        if !(2..=4).contains(&version) {
            return None;
        }
        let old = version < 4;
        let mut b = Bits { bytes: &bytes, at: 0 };
        let slim = !b.flag()?;
        let flags = match slim {
            true if b.flag()? => 0x40,
            true => 0,
            false => b.read(10)?,
        };
        if old {
            // The kind of the return value; gone in version 4.
            b.read(if slim { 2 } else { 4 })?;
        }
        let code = b.number(8)?;
        let (cookie, generic) = (flags & 4 != 0, flags & 0x30 != 0);
        if cookie {
            b.number(5)?;
            b.number(3)?;
        } else if generic || (old && flags & 2 != 0) {
            b.number(5)?;
        }
        if old && flags & 2 != 0 {
            b.signed(6)?;
        }
        if cookie {
            b.signed(6)?;
        }
        if old && flags & 8 != 0 {
            b.signed(6)?;
        }
        if generic {
            b.signed(6)?;
        }
        let frame_register = if flags & 0x40 == 0 {
            None
        } else if slim {
            Some(5)
        } else {
            u8::try_from(b.number(3)? ^ 5).ok()
        };
        if flags & 0x100 != 0 {
            b.number(4)?;
        }
        if flags & 0x200 != 0 {
            b.signed(6)?;
        }
        if !slim {
            b.number(3)?;
        }
        let (points, range_count) = (b.count(2)?, if slim { 0 } else { b.count(1)? });
        let width = if code <= 1 { 0 } else { 64 - (code - 1).leading_zeros() };
        let safe_points: Option<Vec<_>> = (0..points).map(|_| b.read(width)).collect();
        let (mut ranges, mut last) = (Vec::new(), 0u64);
        for _ in 0..range_count {
            let start = last.checked_add(b.number(6)?)?;
            last = start.checked_add(b.number(6)?)?.checked_add(1)?;
            ranges.push((start, last));
        }
        let (slots, tracked) = slots(&mut b)?;
        let behind = b.at;
        Some(GcInfo {
            version,
            behind,
            safe_points: safe_points?,
            ranges,
            slots,
            tracked,
            frame_register,
            bytes,
        })
    }

    /// Slots that are alive at a call whose return address is `offset` bytes behind the method's start.
    pub(super) fn live(&self, offset: u64) -> Vec<Slot> {
        let (tracked, untracked) = self.slots.split_at_checked(self.tracked).unwrap_or_default();
        let live = self.mask(offset).unwrap_or_default();
        let mut out: Vec<_> = tracked.iter().zip(live).filter(|(_, live)| *live).map(|(s, _)| *s).collect();
        out.extend_from_slice(untracked);
        out
    }

    fn mask(&self, offset: u64) -> Option<Vec<bool>> {
        if self.tracked == 0 {
            return None;
        }
        // Versions 2 and 3 store the last byte of the call, 4 the return address.
        let wanted = if self.version >= 4 { offset } else { offset.checked_sub(1)? };
        let mut b = Bits { bytes: &self.bytes, at: self.behind };
        let mut indirect = 0;
        if !self.safe_points.is_empty() && b.flag()? {
            indirect = u32::try_from(b.number(3)?.checked_add(1)?).ok().filter(|n| *n <= 32)?;
        }
        let points = self.safe_points.len();
        if let Some(index) = self.safe_points.iter().position(|p| *p == wanted) {
            if indirect == 0 {
                b.at = b.at.checked_add(index.checked_mul(self.tracked)?)?;
                return self.plain(&mut b);
            }
            let width = usize::try_from(indirect).ok()?;
            let table = b.at;
            b.at = table.checked_add(index.checked_mul(width)?)?;
            let low = usize::try_from(b.read(indirect)?).ok()?;
            let end = table.checked_add(points.checked_mul(width)?)?;
            b.at = end.next_multiple_of(8).checked_add(low)?;
            return self.compressed(&mut b);
        }
        if self.ranges.is_empty() || indirect != 0 {
            return None;
        }
        b.at = b.at.checked_add(points.checked_mul(self.tracked)?)?;
        self.interruptible(b, offset.checked_sub(1)?)
    }

    fn plain(&self, b: &mut Bits<'_>) -> Option<Vec<bool>> {
        (0..self.tracked).map(|_| b.flag()).collect()
    }

    /// A mask that may be written as runs.
    fn compressed(&self, b: &mut Bits<'_>) -> Option<Vec<bool>> {
        if !b.flag()? {
            return self.plain(b);
        }
        // Runs of slots that are not alive have another base than the others; the first may be of either kind.
        let mut skip = !b.flag()?;
        let base = |skip: bool| if skip { 4 } else { 2 };
        let mut at = b.count(base(skip))?;
        let mut out = vec![false; self.tracked];
        skip = !skip;
        let mut report = true;
        while at < self.tracked {
            let end = at.checked_add(b.count(base(skip))?)?.checked_add(1)?.min(self.tracked);
            if report {
                out.get_mut(at..end)?.fill(true);
            }
            at = end;
            skip = !skip;
            report = !report;
        }
        Some(out)
    }

    /// Code that can be interrupted anywhere: chunks of 64 offsets, each with the state at its end and the changes.
    fn interruptible(&self, mut b: Bits<'_>, offset: u64) -> Option<Vec<bool>> {
        let (mut length, mut place) = (0u64, None);
        for (start, end) in &self.ranges {
            if *start <= offset && offset < *end {
                place = Some(length + (offset - start));
            }
            length = length.checked_add(end - start)?;
        }
        let place = place?;
        let chunks = usize::try_from(length.div_ceil(64)).ok()?;
        let mine = usize::try_from(place / 64).ok()?;
        let width = u32::try_from(b.number(3)?).ok().filter(|n| *n <= 32)?;
        if width == 0 {
            return None;
        }
        let bits = usize::try_from(width).ok()?;
        let table = b.at;
        let mut chunk = mine;
        let pointer = loop {
            b.at = table.checked_add(chunk.checked_mul(bits)?)?;
            match b.read(width)? {
                0 => chunk = chunk.checked_sub(1)?,
                pointer => break usize::try_from(pointer).ok()?,
            }
        };
        let end = table.checked_add(chunks.checked_mul(bits)?)?;
        b.at = end.next_multiple_of(8).checked_add(pointer)?.checked_sub(1)?;
        let could = self.compressed(&mut b)?;
        let mut out = vec![false; self.tracked];
        let mut last = Vec::new();
        for i in (0..self.tracked).filter(|i| could.get(*i).copied().unwrap_or(false)) {
            last.push((i, b.flag()?));
        }
        for (i, mut live) in last {
            if chunk == mine {
                while b.flag()? {
                    // The state is that of the chunk's end: changes behind the place are undone.
                    if b.read(6)? > place % 64 {
                        live = !live;
                    }
                }
            }
            *out.get_mut(i)? = live;
        }
        Some(out)
    }
}

/// The slot table: registers, stack slots, untracked stack slots.
fn slots(b: &mut Bits<'_>) -> Option<(Vec<Slot>, usize)> {
    let registers = if b.flag()? { b.count(2)? } else { 0 };
    let (stack, untracked) = if b.flag()? { (b.count(2)?, b.count(1)?) } else { (0, 0) };
    let mut out = Vec::new();
    let (mut register, mut flags) = (0u64, 0u64);
    for i in 0..registers {
        if i == 0 || flags != 0 {
            register = b.number(3)?;
            flags = b.read(2)?;
        } else {
            register = register.checked_add(b.number(2)?)?.checked_add(1)?;
        }
        out.push(Slot { place: Place::Register(u8::try_from(register).ok()?), interior: flags & 1 != 0 });
    }
    for count in [stack, untracked] {
        let (mut offset, mut flags) = (0i64, 0u64);
        for i in 0..count {
            let base = b.read(2)?;
            if i == 0 || flags != 0 {
                offset = b.signed(6)?;
                flags = b.read(2)?;
            } else {
                offset = offset.checked_add(b.number(4)?.cast_signed())?;
            }
            let bytes = offset.checked_mul(8)?;
            let place = match base {
                0 => Place::CallerSp(bytes),
                1 => Place::Sp(bytes),
                2 => Place::FrameRegister(bytes),
                _ => return None,
            };
            out.push(Slot { place, interior: flags & 1 != 0 });
        }
    }
    Some((out, registers.checked_add(stack)?))
}
