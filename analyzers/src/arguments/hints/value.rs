//! Values of a known kind in words.

use super::structs::{fields, utc};
use super::text::text_at;
use crate::Target;
use crate::hint_table::Kind;
use crate::model::{CriticalSection, Hint, HintSource};
use dumpscope_core::{Machine, ReadMemory, Va};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Most handles of an array that are shown; Windows waits for at most 64.
const MAX_HANDLES: u64 = 64;
/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// Where a value is read.
pub(super) struct Cx<'a> {
    pub(super) target: &'a Target,
    pub(super) machine: Machine,
}

impl Cx<'_> {
    /// What a value of this kind means. `other` gives the value of the argument with a name.
    /// `name`: the parameter's own name.
    pub(super) fn hint(
        &self,
        kind: &Kind,
        name: &str,
        bits: u64,
        other: &dyn Fn(&str) -> Option<u64>,
    ) -> Option<Hint> {
        let at = Va(bits);
        let memory = self.target.dump.memory();
        let (text, place) = match kind {
            Kind::Handle => (self.handle(name, bits)?, None),
            Kind::Handles(count) => (self.handles(at, other(count)?)?, Some(at)),
            Kind::Wide | Kind::Narrow => (quote(&text_at(self.target, at, 1)?), Some(at)),
            Kind::Counted(count, wide) => (quote(&self.counted(at, other(count)?, *wide)?), Some(at)),
            Kind::Bstr => {
                // The length in bytes lies before the text (OLE Automation, `SysAllocString`).
                let bytes = u64::from(memory.u32(at.back(4))?);
                (quote(&self.counted(at, bytes / 2, true)?), Some(at))
            }
            Kind::HString => (quote(&self.hstring(at)?), Some(at)),
            Kind::UnicodeString => (quote(&memory.unicode_string(at, self.machine)?), Some(at)),
            Kind::ObjectAttributes => {
                // OBJECT_ATTRIBUTES: Length, RootDirectory, ObjectName.
                let name = memory.ptr(at.offset(2 * self.machine.ptr_size() as u64), self.machine)?;
                (quote(&memory.unicode_string(name, self.machine)?), Some(at))
            }
            Kind::CriticalSection => (self.critical_section(at)?, Some(at)),
            Kind::SrwLock | Kind::ConditionVariable | Kind::Code => {
                (self.target.name_of(at).filter(|_| bits != 0)?, Some(at))
            }
            Kind::Milliseconds => match bits & 0xffff_ffff {
                0xffff_ffff => ("for ever".to_owned(), None),
                ms => (format!("{ms} ms"), None),
            },
            Kind::Time => (self.time(at)?, None),
            Kind::FileTime => (utc(memory.u64(at)?)?, Some(at)),
            Kind::SystemTime => (self.system_time(at)?, Some(at)),
            Kind::Guid => {
                let guid = memory.guid(at)?;
                let name = self.target.hints().guid_name(&guid).map(|n| format!("{n} ")).unwrap_or_default();
                (format!("{name}{{{guid}}}"), Some(at))
            }
            Kind::Message => (message(bits)?, None),
            Kind::Values(id) => (dumpscope_win32::table().value_text(*id, bits)?, None),
            Kind::Access(id) => (access(*id, bits)?, None),
            Kind::Number(8) => (format!("0x{:x}", memory.u64(at)?), Some(at)),
            Kind::Number(_) => (format!("0x{:x}", memory.u32(at)?), Some(at)),
            Kind::Bool => (if bits & 0xffff_ffff == 0 { "FALSE" } else { "TRUE" }.to_owned(), None),
            Kind::SocketAddress => (self.socket_address(at)?, Some(at)),
            Kind::Object => {
                let functions = memory.ptr(at, self.machine).filter(|_| bits != 0)?;
                (format!("object of {}", self.target.name_of(functions)?), Some(at))
            }
            Kind::Structure(id) => (self.structure(*id, at)?, Some(at)),
            Kind::ByValue(id) => (fields(*id, self.machine, &bits.to_le_bytes())?, None),
            // The function has not returned: what lies there may be of before.
            Kind::Output if bits != 0 => ("for output".to_owned(), Some(at)),
            Kind::Output | Kind::Pointer | Kind::Plain => return None,
        };
        Some(Hint { text, source: HintSource::Table, at: place })
    }

    pub(super) fn handle(&self, name: &str, value: u64) -> Option<String> {
        let all_ones = if self.machine.is_64() { u64::MAX } else { 0xffff_ffff };
        let name = name.to_ascii_lowercase();
        // Of files and sockets the same number says that they could not be opened.
        let no_process =
            ["file", "socket", "pipe", "device", "find", "mapping"].iter().any(|w| name.contains(w));
        if name.contains("key")
            && let Some(root) = root_key(value)
        {
            return Some(root.to_owned());
        }
        match value {
            0 => return None,
            v if v == all_ones && (no_process || name == "s") => return Some("INVALID_HANDLE_VALUE".into()),
            v if v == all_ones => return Some("the current process".into()),
            v if v == all_ones - 1 => return Some("the current thread".into()),
            _ => {}
        }
        let data = self.target.dump.handles().value()?;
        let handle = data.handles.iter().find(|h| h.value == value)?;
        let kind = handle.type_name.as_deref().unwrap_or("object");
        let name = handle.object_name.as_deref().filter(|n| !n.is_empty());
        Some(name.map_or_else(|| kind.to_owned(), |n| format!("{kind} {}", quote(n))))
    }

    fn handles(&self, at: Va, count: u64) -> Option<String> {
        if !(1..=MAX_HANDLES).contains(&count) {
            return None;
        }
        let size = self.machine.ptr_size() as u64;
        let one = |n: u64| {
            let value = self.target.dump.memory().ptr(at.offset(n.wrapping_mul(size)), self.machine)?.0;
            Some(match self.handle("", value) {
                Some(what) => format!("{value:x} {what}"),
                None => format!("{value:x}"),
            })
        };
        let list: Option<Vec<String>> = (0..count).map(one).collect();
        Some(list?.join(", "))
    }

    fn critical_section(&self, at: Va) -> Option<String> {
        let section = CriticalSection::read(self.target.dump.memory().as_ref(), at, self.machine)?;
        let name = self.target.name_of(at).map(|n| format!("{n}, ")).unwrap_or_default();
        let held = match section.owner_tid() {
            Some(tid) if section.is_locked() => format!("held by thread {:x}", tid.0),
            _ => "free".to_owned(),
        };
        Some(format!("{name}{held}"))
    }

    /// `10.0.0.7:5432`: `sockaddr_in` and `sockaddr_in6` of the Windows SDK's `ws2def.h` and `ws2ipdef.h`.
    fn socket_address(&self, at: Va) -> Option<String> {
        let mut raw = [0u8; 28];
        let got = self.target.dump.memory().read_at(at, &mut raw).got;
        let raw = raw.get(..got)?;
        let family = u16::from_le_bytes(*raw.first_chunk()?);
        let port = u16::from_be_bytes(*raw.get(2..)?.first_chunk()?);
        match family {
            2 => Some(format!("{}:{port}", Ipv4Addr::from(*raw.get(4..)?.first_chunk::<4>()?))),
            23 => Some(format!("[{}]:{port}", Ipv6Addr::from(*raw.get(8..)?.first_chunk::<16>()?))),
            _ => None,
        }
    }

    fn time(&self, at: Va) -> Option<String> {
        if at.is_null() {
            return Some("for ever".into());
        }
        let value = self.target.dump.memory().u64(at)?.cast_signed();
        match value {
            i64::MIN | i64::MAX => Some("for ever".into()),
            v if v <= 0 => Some(format!("{} ms", v.unsigned_abs() / MS)),
            v => Some(
                utc(v.cast_unsigned())
                    .map_or_else(|| "until a point in time".into(), |t| format!("until {t}")),
            ),
        }
    }
}

/// The registry's own keys (`winreg.h` of the Windows SDK): 32 bits, of which 64-bit programs extend the sign.
fn root_key(value: u64) -> Option<&'static str> {
    let number = u32::try_from(value & 0xffff_ffff).ok()?;
    if value >> 32 != 0 && value >> 32 != 0xffff_ffff {
        return None;
    }
    let names = [
        (0x8000_0000, "HKEY_CLASSES_ROOT"),
        (0x8000_0001, "HKEY_CURRENT_USER"),
        (0x8000_0002, "HKEY_LOCAL_MACHINE"),
        (0x8000_0003, "HKEY_USERS"),
        (0x8000_0004, "HKEY_PERFORMANCE_DATA"),
        (0x8000_0005, "HKEY_CURRENT_CONFIG"),
        (0x8000_0007, "HKEY_CURRENT_USER_LOCAL_SETTINGS"),
    ];
    names.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

pub(super) fn quote(text: &str) -> String {
    format!("\"{text}\"")
}

/// Rights in words: `GENERIC_READ|GENERIC_WRITE` (bits 28 to 31), then those of the object's kind.
fn access(own: dumpscope_win32::TypeId, bits: u64) -> Option<String> {
    let table = dumpscope_win32::table();
    let (generic, rest) = (bits & 0xf000_0000, bits & 0x0fff_ffff);
    let words = |id, bits: u64| if bits == 0 { None } else { table.value_text(id, bits) };
    let family = table.types_named("GENERIC_ACCESS_RIGHTS");
    let parts: Vec<String> =
        family.first().and_then(|id| words(*id, generic)).into_iter().chain(words(own, rest)).collect();
    (!parts.is_empty()).then(|| parts.join("|"))
}

/// The name of a window message. From 0x400 on its meaning is the window class's own (`WM_USER` and `WM_APP` of the Windows
/// SDK's `winuser.h`).
fn message(number: u64) -> Option<String> {
    let from = |name: &str, first: u64| match number.saturating_sub(first) {
        0 => name.to_owned(),
        n => format!("{name}+0x{n:x}"),
    };
    match number {
        0x400..0x8000 => return Some(from("WM_USER", 0x400)),
        0x8000..0xc000 => return Some(from("WM_APP", 0x8000)),
        0xc000..0x1_0000 => return Some("a registered message".into()),
        _ => {}
    }
    let table = dumpscope_win32::table();
    let family = *table.types_named("WM").first()?;
    table.value_text(family, number)
}
