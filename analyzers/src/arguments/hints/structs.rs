//! What lies in memory behind arguments: counted texts, times, structures of the Win32 table.

use super::value::{Cx, quote};
use crate::hint_table::Kind;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::types::file_time;
use dumpscope_win32::{Arch, Base, Definition, Ty, TypeId, table};

/// Longest text that is shown, characters.
const LONGEST: u64 = 256;
/// Most fields of a structure that is shown whole.
const MAX_FIELDS: usize = 4;
/// Most bytes of such a structure.
const MAX_BYTES: usize = 32;

impl Cx<'_> {
    /// A text of `count` units: UTF-16 or bytes.
    pub(super) fn counted(&self, at: Va, count: u64, wide: bool) -> Option<String> {
        let shown = count.min(LONGEST);
        let size = usize::try_from(shown).ok()?.checked_mul(if wide { 2 } else { 1 })?;
        let mut raw = vec![0; size];
        if at.is_null() || self.target.dump.memory().read_at(at, &mut raw).got < size {
            return None;
        }
        let mut text = if wide {
            let units: Vec<u16> = raw.as_chunks::<2>().0.iter().map(|u| u16::from_le_bytes(*u)).collect();
            String::from_utf16(&units).ok()?
        } else {
            String::from_utf8(raw).ok()?
        };
        // A length that counts the zero at the end.
        if text.ends_with('\0') {
            text.pop();
        }
        if text.contains('\0') {
            return None;
        }
        if shown < count {
            text.push('…');
        }
        Some(text)
    }

    /// The text of an `HSTRING`: flags, length, two unused words, a pointer to the text (the header of the MIT-licensed
    /// crate `windows-strings`; Windows 8 to 11).
    pub(super) fn hstring(&self, at: Va) -> Option<String> {
        if at.is_null() {
            return Some(String::new()); // null is the empty string
        }
        let memory = self.target.dump.memory();
        let length = u64::from(memory.u32(at.offset(4))?);
        let text = memory.ptr(at.offset(16), self.machine)?;
        self.counted(text, length, true)
    }

    /// `SYSTEMTIME` of the Windows SDK's `minwinbase.h`: year, month, day of the week, day, hour, minute, second, ms.
    pub(super) fn system_time(&self, at: Va) -> Option<String> {
        let raw: [u8; 16] = self.target.dump.memory().bytes(at)?;
        let mut words = raw.as_chunks::<2>().0.iter().map(|w| u16::from_le_bytes(*w));
        let mut next = || words.next();
        let (year, month, week, day) = (next()?, next()?, next()?, next()?);
        let (hour, minute, second, ms) = (next()?, next()?, next()?, next()?);
        let fits = (1601..=9999).contains(&year)
            && (1..=12).contains(&month)
            && week < 7
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60
            && ms < 1000;
        fits.then(|| format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}"))
    }

    /// What a structure says, as far as it can be told in a few words.
    pub(super) fn structure(&self, id: TypeId, at: Va) -> Option<String> {
        if at.is_null() {
            return None;
        }
        let name = table().type_info(id)?.name;
        let memory = self.target.dump.memory();
        let word = self.machine.ptr_size() as u64;
        let pointer = |n: u64| memory.ptr(at.offset(n * word), self.machine).map(|p| p.0);
        match name.as_str() {
            // Internal, InternalHigh, Offset (64 bits), hEvent.
            "OVERLAPPED" => {
                let offset = memory.u64(at.offset(2 * word))?;
                let event = memory.ptr(at.offset(2 * word + 8), self.machine)?.0;
                // Its lowest bit keeps a completion port out.
                let told = self.handle("", event & !1).map(|e| format!(" {e}")).unwrap_or_default();
                Some(match event {
                    0 => format!("offset 0x{offset:x}, no event"),
                    _ => format!("offset 0x{offset:x}, event {event:x}{told}"),
                })
            }
            // Window, message.
            "MSG" => {
                let number = u64::from(memory.u32(at.offset(word))?);
                let text = self.hint(&Kind::Message, "", number, &|_| None).map(|h| h.text);
                let text = text.unwrap_or_else(|| format!("message {number:x}"));
                Some(format!("{text} for window {:x}", pointer(0)?))
            }
            // Length, buffer.
            "WSABUF" => Some(format!("0x{:x} bytes at {:x}", memory.u32(at)?, pointer(1)?)),
            // Length, maximum, buffer.
            "ANSI_STRING" | "STRING" => {
                let length = u64::from(memory.u16(at)?);
                Some(quote(&self.counted(Va(pointer(1)?), length, false)?))
            }
            // Seconds, microseconds.
            "TIMEVAL" => {
                let part = |n| memory.u32(at.offset(n)).map(u32::cast_signed);
                let (seconds, micros) = (part(0)?, part(4)?);
                Some(format!("{} ms", i64::from(seconds) * 1000 + i64::from(micros) / 1000))
            }
            // How many, sockets.
            "FD_SET" => {
                let count = u64::from(memory.u32(at)?);
                if !(1..=64).contains(&count) {
                    return (count == 0).then(|| "no socket".to_owned());
                }
                let one = |n: u64| Some(format!("{:x}", pointer(n.checked_add(1)?)?));
                let all: Option<Vec<String>> = (0..count).map(one).collect();
                Some(format!("sockets {}", all?.join(", ")))
            }
            _ => {
                let size = table().size_of(&Ty::Named(id), arch(self.machine))?.bytes;
                let mut raw = vec![0; usize::try_from(size).ok().filter(|s| *s <= MAX_BYTES)?];
                let got = memory.read_at(at, &mut raw).got;
                fields(id, self.machine, raw.get(..got)?)
            }
        }
    }
}

fn arch(machine: Machine) -> Arch {
    match machine {
        Machine::X86 => Arch::X86,
        Machine::Arm64 => Arch::Arm64,
        _ => Arch::X64,
    }
}

/// The fields of a small structure of numbers: `x 1, y 2`.
pub(super) fn fields(id: TypeId, machine: Machine, raw: &[u8]) -> Option<String> {
    let arch = arch(machine);
    if !matches!(table().definition(table().for_arch(id, arch))?, Definition::Struct { .. }) {
        return None;
    }
    let layout = table().layout(id, arch).filter(|l| (1..=MAX_FIELDS).contains(&l.len()))?;
    let mut parts = Vec::new();
    for (at, field) in layout {
        let Ty::Base(base) = field.ty else { return None };
        let bytes = raw.get(usize::try_from(at).ok()?..)?;
        let value = match base {
            Base::U8 | Base::Bool => i64::from(*bytes.first()?),
            Base::I8 => i64::from(bytes.first()?.cast_signed()),
            Base::U16 => u16::from_le_bytes(*bytes.first_chunk()?).into(),
            Base::I16 => i16::from_le_bytes(*bytes.first_chunk()?).into(),
            Base::U32 => u32::from_le_bytes(*bytes.first_chunk()?).into(),
            Base::I32 => i32::from_le_bytes(*bytes.first_chunk()?).into(),
            _ => return None,
        };
        parts.push(format!("{} {value}", field.name));
    }
    Some(parts.join(", "))
}

/// A point in time as 100 ns units since 1601; `None`: it lies in no year that programs know.
pub(super) fn utc(ticks: u64) -> Option<String> {
    // The years 1601 to 9999.
    (1..2_650_467_744_000_000_000).contains(&ticks).then(|| format!("{} UTC", file_time(ticks)))
}
