//! Values as text: the form of `dt` fields, and the form of `dv`, `kP`, `x` and `??`.

use super::{
    Base, BaseKind, MAX_DEPTH, PointerKind, Type, TypeId, TypeProvider, bare, cpp_name, dt_name, size_of,
};
use dumpscope_core::{Machine, ReadMemory, Va};

/// Longest text that is shown behind a string, in characters.
const MAX_TEXT: usize = 512;
/// Shown for a value whose memory the dump does not have.
pub const UNREADABLE: &str = "????";

/// Where a value's bytes are.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// In memory.
    Memory(Va),
    /// At hand (a register); what lies behind them is not known.
    Bytes(&'a [u8]),
}

impl Data<'_> {
    /// The data `by` bytes further.
    #[must_use]
    pub fn offset(self, by: u64) -> Self {
        match self {
            Data::Memory(va) => Data::Memory(va.offset(by)),
            Data::Bytes(b) => {
                Data::Bytes(usize::try_from(by).ok().and_then(|n| b.get(n..)).unwrap_or_default())
            }
        }
    }
}

/// What formatting a value needs.
pub struct ValueCx<'a> {
    /// Types.
    pub types: &'a dyn TypeProvider,
    /// Memory.
    pub mem: &'a dyn ReadMemory,
    /// The architecture: pointers have its size, 64-bit addresses a grave accent in the middle.
    pub machine: Machine,
    /// Name of a code address with its displacement (`combase!Foo+0`), for function pointers.
    pub symbol: &'a dyn Fn(Va) -> Option<String>,
}

impl std::fmt::Debug for ValueCx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValueCx").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl ValueCx<'_> {
    /// Exactly `N` bytes; `None` when not all are known.
    fn bytes<const N: usize>(&self, data: Data<'_>) -> Option<[u8; N]> {
        let mut buf = [0u8; N];
        self.fill(data, &mut buf)?;
        Some(buf)
    }

    fn fill(&self, data: Data<'_>, buf: &mut [u8]) -> Option<()> {
        match data {
            Data::Memory(va) => (self.mem.read_at(va, buf).got == buf.len()).then_some(()),
            Data::Bytes(b) => {
                buf.copy_from_slice(b.get(..buf.len())?);
                Some(())
            }
        }
    }

    /// An unsigned number of 1, 2, 4, 8 or 16 bytes.
    #[must_use]
    pub fn unsigned(&self, data: Data<'_>, size: u64) -> Option<u128> {
        if size > 16 {
            return None;
        }
        let mut buf = [0u8; 16];
        self.fill(data, buf.get_mut(..usize::try_from(size).ok()?)?)?;
        Some(u128::from_le_bytes(buf))
    }

    fn signed(&self, data: Data<'_>, size: u64) -> Option<i128> {
        let value = self.unsigned(data, size)?.cast_signed();
        let shift = u32::try_from(128u64.checked_sub(size.checked_mul(8)?)?).ok()?;
        Some(value.checked_shl(shift).unwrap_or(0).checked_shr(shift).unwrap_or(0))
    }

    /// The integer that a value is: numbers, enumerations, pointers, bit fields. `None` for others, or when the
    /// memory is not known.
    #[must_use]
    pub fn integer(&self, ty: TypeId, data: Data<'_>) -> Option<i128> {
        let (_, t) = bare(self.types, ty);
        match t {
            Type::Base(Base { kind: BaseKind::Int | BaseKind::Char, size, .. }) => {
                self.signed(data, size.into())
            }
            Type::Base(Base {
                kind: BaseKind::UInt | BaseKind::UChar | BaseKind::WChar | BaseKind::Bool,
                size,
                ..
            }) => self.unsigned(data, size.into()).map(u128::cast_signed),
            Type::Pointer { size, .. } => self.unsigned(data, size.into()).map(u128::cast_signed),
            // An enumeration of enumerations does not end by itself.
            Type::Enum { underlying, .. } => match bare(self.types, underlying).1 {
                Type::Base(_) => self.integer(underlying, data),
                _ => None,
            },
            Type::BitField { of, pos, len } => self.bits(of, pos, len, data).map(u128::cast_signed),
            _ => None,
        }
    }

    fn bits(&self, of: TypeId, pos: u8, len: u8, data: Data<'_>) -> Option<u128> {
        let size = size_of(self.types, of).filter(|s| *s <= 16)?;
        let word = self.unsigned(data, size)?;
        let mask = u128::MAX.checked_shr(128u32.checked_sub(len.into())?).unwrap_or(0);
        Some(word.checked_shr(pos.into())? & mask)
    }

    /// An address as WinDbg writes it in values: `0x005bfdb8`, ``0x00007ff6`0f620000``.
    #[must_use]
    pub fn address(&self, va: u64) -> String {
        if self.machine.is_64() {
            format!("0x{:08x}`{:08x}", va >> 32, va & 0xffff_ffff)
        } else {
            format!("0x{va:08x}")
        }
    }

    /// Text before a NUL at `va`, quoted; `None` when nothing is readable. Untrusted.
    #[must_use]
    pub fn text(&self, va: Va, wide: bool) -> Option<String> {
        let text = if wide {
            w_text(self.mem, va)?
        } else {
            let mut buf = [0u8; MAX_TEXT];
            let got = self.mem.read_at(va, &mut buf).got;
            let known = buf.get(..got).filter(|b| !b.is_empty())?;
            latin(known.split(|&b| b == 0).next().unwrap_or_default())
        };
        Some(format!("\"{text}\""))
    }
}

/// Bytes as text; what is not ASCII keeps its code, the character set of the process is not known.
fn latin(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.to_owned(),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    }
}

fn w_text(mem: &dyn ReadMemory, va: Va) -> Option<String> {
    let mut buf = [0u8; MAX_TEXT * 2];
    let got = mem.read_at(va, &mut buf).got;
    let known = buf.get(..got)?.as_chunks::<2>().0;
    if known.is_empty() {
        return None;
    }
    let units: Vec<u16> = known.iter().map(|c| u16::from_le_bytes(*c)).take_while(|&u| u != 0).collect();
    Some(String::from_utf16_lossy(&units))
}

/// Unsigned numbers: digits below ten, else hex; above 32 bits with a grave accent.
fn hex(value: u128) -> String {
    match value {
        0..10 => value.to_string(),
        10..=0xffff_ffff => format!("0x{value:x}"),
        0x1_0000_0000..=0xffff_ffff_ffff_ffff => format!("0x{:08x}`{:08x}", value >> 32, value & 0xffff_ffff),
        _ => format!("0x{value:x}"),
    }
}

fn quoted(code: u128) -> String {
    let c = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| *c >= ' ' && *c != '\u{7f}');
    c.map_or("''".to_owned(), |c| format!("'{c}'"))
}

fn float(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || (1e-5..1e16).contains(&magnitude) || !value.is_finite() {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// Special values that an aggregate is shown with.
fn special(cx: &ValueCx<'_>, name: &str, size: Option<u64>, data: Data<'_>) -> Option<String> {
    let ptr = u64::try_from(cx.machine.ptr_size()).ok()?;
    let pointer = |at: u64| cx.unsigned(data.offset(at), ptr).and_then(|v| u64::try_from(v).ok());
    match (name, size?) {
        ("_GUID" | "GUID", 16) => Some(
            cx.bytes(data)
                .map_or(UNREADABLE.into(), |b| format!("{{{}}}", dumpscope_core::base::Guid::from_bytes(&b))),
        ),
        ("_LIST_ENTRY" | "LIST_ENTRY", s) if s == ptr.saturating_mul(2) => {
            let Some((a, b)) = pointer(0).zip(pointer(ptr)) else { return Some(UNREADABLE.into()) };
            Some(format!("[ {} - {} ]", cx.address(a), cx.address(b)))
        }
        ("_LARGE_INTEGER" | "_ULARGE_INTEGER", 8) => {
            Some(cx.unsigned(data, 8).map_or(UNREADABLE.into(), |v| match v {
                0..10 => format!("0x{v}"),
                _ => hex(v),
            }))
        }
        ("_UNICODE_STRING" | "_STRING" | "_ANSI_STRING", s) if s == ptr.saturating_mul(2) => {
            let wide = name == "_UNICODE_STRING";
            let Some((length, buffer)) = cx.unsigned(data, 2).zip(pointer(ptr)) else {
                return Some(UNREADABLE.into());
            };
            if length == 0 {
                return Some("\"\"".into());
            }
            let mut raw = vec![0u8; usize::try_from(length).ok()?];
            if cx.mem.read_at(Va(buffer), &mut raw).got < raw.len() {
                return Some(read_error(&cx.address(buffer)));
            }
            let text = if wide {
                let units: Vec<u16> = raw.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
                String::from_utf16_lossy(&units)
            } else {
                latin(&raw)
            };
            Some(format!("\"{text}\""))
        }
        _ => None,
    }
}

fn enumerator(types: &dyn TypeProvider, ty: TypeId, value: i128) -> Option<String> {
    types.enumerators(ty).into_iter().find(|e| e.value == value).map(|e| e.name)
}

/// A field's value as `dt` writes it, trailing blanks included. Untrusted.
#[must_use]
pub fn dt_value(cx: &ValueCx<'_>, ty: TypeId, data: Data<'_>) -> String {
    dt_at(cx, ty, data, 0).unwrap_or_else(|| UNREADABLE.to_owned())
}

fn dt_at(cx: &ValueCx<'_>, ty: TypeId, data: Data<'_>, depth: usize) -> Option<String> {
    let (ty, t) = bare(cx.types, ty);
    if depth >= MAX_DEPTH {
        return Some("...".into());
    }
    let inner = depth.saturating_add(1);
    Some(match t {
        Type::Base(b) => {
            let value = cx.unsigned(data, b.size.into());
            match b.kind {
                BaseKind::Void => "Void".into(),
                BaseKind::Int => format!("0n{}", cx.signed(data, b.size.into())?),
                BaseKind::UInt => hex(value?),
                BaseKind::Bool => value?.to_string(),
                BaseKind::Char => format!("{} {}", cx.signed(data, 1)?, quoted(value?)),
                BaseKind::UChar | BaseKind::WChar => {
                    let v = value?;
                    let number = if v == 0 { "0".to_owned() } else { format!("0x{v:x}") };
                    format!("{number} {}", quoted(v))
                }
                BaseKind::Float => format!("{} ", float(number_of(cx, b, data)?)),
                BaseKind::Other => return None,
            }
        }
        Type::Enum { .. } => {
            let value = cx.integer(ty, data)?;
            let number = if value < 0 { format!("0n{value}") } else { hex(value.cast_unsigned()) };
            match enumerator(cx.types, ty, value) {
                Some(name) => format!("{number} ( {name} )"),
                None => format!("{number} (No matching name)"),
            }
        }
        Type::BitField { of, pos, len } => {
            let value = cx.bits(of, pos, len, data)?;
            let digits = format!("0y{value:0width$b}", width = usize::from(len));
            // WinDbg adds the number where the digits are hard to count.
            if len > 4 { format!("{digits} ({})", hex(value)) } else { digits }
        }
        Type::Pointer { to, size, kind } => {
            let va = u64::try_from(cx.unsigned(data, size.into())?).ok()?;
            if kind == PointerKind::Member {
                return Some(hex(va.into()));
            }
            if va == 0 {
                return Some("(null) ".into());
            }
            pointer_dt(cx, va, to, inner)
        }
        Type::Array { element, count, .. } => {
            let (_, e) = bare(cx.types, element);
            match e {
                Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. }) => {
                    format!("[{count}]  \"{}\"", char_array(cx, data, count)?)
                }
                Type::Base(Base { kind: BaseKind::WChar, size: 2, .. }) => {
                    format!("[{count}]  \"{}\"", wide_array(cx, data, count)?)
                }
                _ if count == 0 => dt_name(cx.types, ty),
                _ => format!("[{count}] {}", dt_at(cx, element, data, inner)?),
            }
        }
        Type::Udt { name, size, .. } => match special(cx, &name, size, data) {
            Some(text) => format!("{name} {text}"),
            None => name,
        },
        Type::Function { .. } | Type::FunctionTable(_) | Type::Modified(_) | Type::Unknown => {
            dt_name(cx.types, ty)
        }
    })
}

/// WinDbg's words where a text would stand.
fn read_error(address: &str) -> String {
    format!("\"--- memory read error at address {address} ---\"")
}

fn pointer_dt(cx: &ValueCx<'_>, va: u64, to: TypeId, depth: usize) -> String {
    let address = cx.address(va);
    let (_, target) = bare(cx.types, to);
    match target {
        Type::Base(Base { kind: BaseKind::Void, .. }) => format!("{address} Void"),
        Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. }) => match cx.text(Va(va), false) {
            Some(text) => format!("{address}  {text}"),
            None => format!("{address}  {}", read_error(&address)),
        },
        Type::Base(Base { kind: BaseKind::WChar, size: 2, .. }) => match cx.text(Va(va), true) {
            Some(text) => format!("{address}  {text}"),
            None => format!("{address}  {}", read_error(&address)),
        },
        Type::Udt { name, .. } => format!("{address} {name}"),
        Type::Function { .. } => {
            let name = (cx.symbol)(Va(va)).unwrap_or_default();
            format!("{address} {} {name}", dt_name(cx.types, to))
        }
        Type::FunctionTable(_) | Type::Unknown | Type::Modified(_) => format!("{address} "),
        _ => {
            let value = dt_at(cx, to, Data::Memory(Va(va)), depth).unwrap_or_else(|| "??".into());
            format!("{address}  -> {value}")
        }
    }
}

/// A table pointer's value as `dt` writes it.
#[must_use]
pub fn table_pointer(cx: &ValueCx<'_>, data: Data<'_>) -> String {
    let size = u64::try_from(cx.machine.ptr_size()).unwrap_or(8);
    match cx.unsigned(data, size).and_then(|v| u64::try_from(v).ok()) {
        Some(va) => format!("{} ", cx.address(va)),
        None => UNREADABLE.to_owned(),
    }
}

fn char_array(cx: &ValueCx<'_>, data: Data<'_>, count: u64) -> Option<String> {
    let mut buf = vec![0u8; usize::try_from(count).ok()?.min(MAX_TEXT)];
    cx.fill(data, &mut buf)?;
    Some(latin(buf.split(|&b| b == 0).next().unwrap_or_default()))
}

fn wide_array(cx: &ValueCx<'_>, data: Data<'_>, count: u64) -> Option<String> {
    let mut buf = vec![0u8; usize::try_from(count).ok()?.min(MAX_TEXT).checked_mul(2)?];
    cx.fill(data, &mut buf)?;
    let units: Vec<u16> =
        buf.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).take_while(|&u| u != 0).collect();
    Some(String::from_utf16_lossy(&units))
}

fn number_of(cx: &ValueCx<'_>, base: Base, data: Data<'_>) -> Option<f64> {
    match base.size {
        // Through text: 3.14f is 3.14, not 3.140000104904175.
        4 => cx.bytes(data).map(f32::from_le_bytes).and_then(|v| v.to_string().parse().ok()),
        8 => cx.bytes(data).map(f64::from_le_bytes),
        _ => None,
    }
}

/// A value as `dv`, `kP`, `x` and `??` write it; `None` when its memory is not known. Untrusted.
#[must_use]
pub fn inline_value(cx: &ValueCx<'_>, ty: TypeId, data: Data<'_>) -> Option<String> {
    let (ty, t) = bare(cx.types, ty);
    Some(match t {
        Type::Base(b) => {
            let value = cx.unsigned(data, b.size.into());
            match b.kind {
                BaseKind::Void | BaseKind::Other => return None,
                BaseKind::Int => format!("0n{}", cx.signed(data, b.size.into())?),
                BaseKind::UInt => hex(value?),
                BaseKind::Bool => if value? == 0 { "false" } else { "true" }.to_owned(),
                BaseKind::Char => format!("0n{} {}", cx.signed(data, 1)?, quoted(value?)),
                BaseKind::UChar | BaseKind::WChar => format!("0x{:x} {}", value?, quoted(value?)),
                BaseKind::Float => float(number_of(cx, b, data)?),
            }
        }
        Type::Enum { .. } => {
            let value = cx.integer(ty, data)?;
            match enumerator(cx.types, ty, value) {
                Some(name) => format!("{name} (0n{value})"),
                None => format!("0n{value} (No matching enumerant)"),
            }
        }
        Type::BitField { of, pos, len } => hex(cx.bits(of, pos, len, data)?),
        Type::Pointer { to, size, kind } => {
            let va = u64::try_from(cx.unsigned(data, size.into())?).ok()?;
            if kind == PointerKind::Member {
                return Some(hex(va.into()));
            }
            pointer_inline(cx, va, to)
        }
        Type::Array { element, count, .. } => {
            let name = cpp_name(cx.types, ty);
            match bare(cx.types, element).1 {
                Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. }) => {
                    format!("{name} \"{}\"", char_array(cx, data, count)?)
                }
                Type::Base(Base { kind: BaseKind::WChar, size: 2, .. }) => {
                    format!("{name} \"{}\"", wide_array(cx, data, count)?)
                }
                _ => name,
            }
        }
        Type::Udt { name, size, .. } => {
            let full = cpp_name(cx.types, ty);
            match special(cx, &name, size, data) {
                Some(text) if name == "_GUID" => text,
                Some(text) => format!("{full} {text}"),
                None => full,
            }
        }
        Type::Function { .. } | Type::FunctionTable(_) | Type::Modified(_) | Type::Unknown => return None,
    })
}

fn pointer_inline(cx: &ValueCx<'_>, va: u64, to: TypeId) -> String {
    let address = cx.address(va);
    let text = |wide| match va {
        0 => "\"\"".to_owned(),
        _ => cx.text(Va(va), wide).unwrap_or_else(|| read_error(&address)),
    };
    match bare(cx.types, to).1 {
        Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. }) => {
            format!("{address} {}", text(false))
        }
        Type::Base(Base { kind: BaseKind::WChar, size: 2, .. }) => format!("{address} {}", text(true)),
        Type::Udt { name, size, .. } if name == "_GUID" && va != 0 => {
            match special(cx, &name, size, Data::Memory(Va(va))) {
                Some(guid) if guid != UNREADABLE => format!("{address} {guid}"),
                _ => address,
            }
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests;
