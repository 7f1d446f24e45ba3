//! Values of a known kind in words.

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
    pub(super) fn hint(&self, kind: &Kind, bits: u64, other: &dyn Fn(&str) -> Option<u64>) -> Option<Hint> {
        let at = Va(bits);
        let memory = self.target.dump.memory();
        let (text, place) = match kind {
            Kind::Handle => (self.handle(bits)?, None),
            Kind::Handles(count) => (self.handles(at, other(count)?)?, Some(at)),
            Kind::Wide | Kind::Narrow => (quote(&text_at(self.target, at, 1)?), Some(at)),
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
            Kind::Guid => {
                let guid = memory.guid(at)?;
                let name = self.target.hints().guid_name(&guid).map(|n| format!("{n} ")).unwrap_or_default();
                (format!("{name}{{{guid}}}"), Some(at))
            }
            Kind::Message => (message(bits)?, None),
            Kind::Values(id) => (dumpscope_win32::table().value_text(*id, bits)?, None),
            Kind::Bool => (if bits & 0xffff_ffff == 0 { "FALSE" } else { "TRUE" }.to_owned(), None),
            Kind::SocketAddress => (self.socket_address(at)?, Some(at)),
            Kind::Object => {
                let functions = memory.ptr(at, self.machine).filter(|_| bits != 0)?;
                (format!("object of {}", self.target.name_of(functions)?), Some(at))
            }
            // The function has not returned: what lies there may be of before.
            Kind::Output if bits != 0 => ("for output".to_owned(), Some(at)),
            Kind::Output | Kind::Pointer | Kind::Plain => return None,
        };
        Some(Hint { text, source: HintSource::Table, at: place })
    }

    fn handle(&self, value: u64) -> Option<String> {
        let all_ones = if self.machine.is_64() { u64::MAX } else { 0xffff_ffff };
        match value {
            0 => return None,
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
            Some(match self.handle(value) {
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
            _ => Some("until a point in time".into()),
        }
    }
}

fn quote(text: &str) -> String {
    format!("\"{text}\"")
}

/// The name of a window message.
fn message(number: u64) -> Option<String> {
    let table = dumpscope_win32::table();
    let family = *table.types_named("WM").first()?;
    table.value_text(family, number)
}
