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
            printable(&narrow(known.split(|&b| b == 0).next().unwrap_or_default()))
        };
        Some(format!("\"{text}\""))
    }
}

/// A text as the engine shows it in values: blanks other than the plain one are dots, and at the first other character
/// that cannot be shown it ends with `???`.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' => out.push('.'),
            ' '..='~' => out.push(c),
            c if u32::from(c) > 0xff => out.push(c),
            _ => {
                out.push_str("???");
                break;
            }
        }
    }
    out
}

/// Bytes as text; what is not ASCII keeps its code, the character set of the process is not known.
fn latin(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(s) => s.to_owned(),
        Err(_) => bytes.iter().map(|&b| char::from(b)).collect(),
    }
}

/// Bytes as text, each a character of its own.
fn narrow(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
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
    let c = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| (' '..='~').contains(c));
    c.map_or("''".to_owned(), |c| format!("'{c}'"))
}

/// A `float` with ten digits, a `double` with twenty, as C's `%g` of the old Microsoft runtime writes them.
#[must_use]
pub fn float(value: f64, bytes: u8) -> String {
    general(value, if bytes == 4 { 10 } else { 20 })
}

/// `%.<precision>g` of the Microsoft runtime of WinDbg's day: exponents have three digits.
#[must_use]
pub fn general(value: f64, precision: usize) -> String {
    if value.is_nan() {
        // The sign of a quiet "not a number" tells an indefinite result.
        return if value.is_sign_negative() { "-1.#IND".into() } else { "1.#QNAN".into() };
    }
    if value.is_infinite() {
        return if value < 0.0 { "-1.#INF".into() } else { "1.#INF".into() };
    }
    let precision = precision.max(1);
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    // `{:e}` rounds to the precision; its exponent decides which form is shorter.
    let scientific = format!("{value:.*e}", precision.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    let digits = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:03}", trim(mantissa), exponent.unsigned_abs());
    }
    let decimals = usize::try_from(digits.saturating_sub(1).saturating_sub(exponent)).unwrap_or(0);
    trim(&format!("{value:.decimals$}"))
}

/// What a well-known aggregate is shown as (`{guid}`, `"text"`); `None` for others. Untrusted.
#[must_use]
pub fn special_value(cx: &ValueCx<'_>, ty: TypeId, data: Data<'_>) -> Option<String> {
    match bare(cx.types, ty).1 {
        Type::Udt { name, size, .. } => special(cx, &name, size, data),
        _ => None,
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
            let (a, b) = pointer(0).zip(pointer(ptr))?;
            // Without leading zeros in a 32-bit view.
            let short = |va: u64| if ptr == 8 { cx.address(va) } else { format!("{va:#x}") };
            Some(format!("[ {} - {} ]", short(a), short(b)))
        }
        ("_FILETIME" | "FILETIME", 8) => Some(file_time(u64::try_from(cx.unsigned(data, 8)?).ok()?)),
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

/// 100 ns units since 1601 as the engine shows them: `Jan 1 00:00:00 1970`.
#[must_use]
pub fn file_time(ticks: u64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = ticks / 10_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0 in the Gregorian calendar, counted in eras of 400 years (146,097 days).
    let days = days.saturating_add(584_694);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let name = usize::try_from((month + 2) % 12).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("");
    format!("{name} {date} {:02}:{:02}:{:02} {year}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn enumerator(types: &dyn TypeProvider, ty: TypeId, value: i128) -> Option<String> {
    types.enumerators(ty).into_iter().find(|e| e.value == value).map(|e| e.name)
}

/// A field's value as `dt` writes it, trailing blanks included. Untrusted.
#[must_use]
pub fn dt_value(cx: &ValueCx<'_>, ty: TypeId, data: Data<'_>) -> String {
    dt_at(cx, ty, data, 0).unwrap_or_else(|| unread(cx.types, ty))
}

/// What stands for a value of this type whose memory is not known.
#[must_use]
pub fn unread(types: &dyn TypeProvider, ty: TypeId) -> String {
    match bare(types, ty).1 {
        Type::Pointer { .. } | Type::FunctionTable(_) => format!("{UNREADABLE} "),
        _ => "??".to_owned(),
    }
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
                BaseKind::Float => format!("{} ", float(number_of(cx, b, data)?, b.size)),
                BaseKind::Other => return None,
            }
        }
        Type::Enum { underlying, .. } => {
            let value = cx.integer(ty, data)?;
            let bits = size_of(cx.types, underlying).unwrap_or(4).saturating_mul(8).min(64);
            let shift = u32::try_from(64u64.saturating_sub(bits)).unwrap_or(0);
            let raw = (value as u64).wrapping_shl(shift).wrapping_shr(shift);
            match (enumerator(cx.types, ty, value), bits) {
                (Some(name), _) => format!("{raw:x} ( {name} )"),
                (None, 8) => format!("{} (No matching name)", dt_at(cx, underlying, data, inner)?),
                (None, _) => format!("0x{raw:x} (No matching name)"),
            }
        }
        Type::BitField { of, pos, len } => {
            let value = cx.bits(of, pos, len, data)?;
            let digits = format!("0y{value:0width$b}", width = usize::from(len));
            // WinDbg adds the number where the digits are hard to count.
            match bare(cx.types, of) {
                (of, Type::Enum { .. }) => match enumerator(cx.types, of, value.cast_signed()) {
                    Some(name) => format!("{digits} ( {value:x}, {name} )"),
                    None => format!("{digits} ( {value:x} )"),
                },
                _ if len > 4 => format!("{digits} (0x{value:x})"),
                _ => digits,
            }
        }
        Type::Pointer { to, size, kind } => {
            let va = u64::try_from(cx.unsigned(data, size.into())?).ok()?;
            let _ = kind;
            if va == 0 {
                return Some("(null) ".into());
            }
            pointer_dt(cx, va, to, inner)
        }
        Type::Array { element, count, .. } => {
            let (_, e) = bare(cx.types, element);
            match e {
                Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. }) => {
                    format!("[{count}]  {}", array_text(cx, data, char_array(cx, data, count)))
                }
                Type::Base(Base { kind: BaseKind::WChar, size: 2, .. }) => {
                    format!("[{count}]  {}", array_text(cx, data, wide_array(cx, data, count)))
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

/// A text in quotes, or why it cannot be read.
fn array_text(cx: &ValueCx<'_>, data: Data<'_>, text: Option<String>) -> String {
    match (text, data) {
        (Some(text), _) => format!("\"{text}\""),
        (None, Data::Memory(va)) => read_error(&cx.address(va.0)),
        (None, Data::Bytes(_)) => read_error(&cx.address(0)),
    }
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
        // What a list's links lead to is shown with its own links.
        Type::Udt { name, size, .. } if matches!(name.as_str(), "_LIST_ENTRY" | "LIST_ENTRY") => {
            match special(cx, &name, size, Data::Memory(Va(va))) {
                Some(links) => format!("{address} {name} {links}"),
                None => format!("{address} {name}"),
            }
        }
        Type::Udt { name, .. } => format!("{address} {name}"),
        Type::Function { .. } => {
            let name = (cx.symbol)(Va(va)).unwrap_or_default();
            format!("{address} {} {name}", dt_name(cx.types, to))
        }
        Type::FunctionTable(_) | Type::Unknown | Type::Modified(_) => format!("{address} "),
        Type::Array { element, count, .. } => {
            let value = dt_at(cx, element, Data::Memory(Va(va)), depth).unwrap_or_else(|| "??".into());
            format!("{address} [{count}]  -> {value}")
        }
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
        None => format!("{UNREADABLE} "),
    }
}

fn char_array(cx: &ValueCx<'_>, data: Data<'_>, count: u64) -> Option<String> {
    let mut buf = vec![0u8; usize::try_from(count).ok()?.min(MAX_TEXT)];
    cx.fill(data, &mut buf)?;
    Some(printable(&narrow(buf.split(|&b| b == 0).next().unwrap_or_default())))
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
        4 => cx.bytes(data).map(f32::from_le_bytes).map(f64::from),
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
                BaseKind::Float => float(number_of(cx, b, data)?, b.size),
            }
        }
        Type::Enum { underlying, .. } => {
            let value = cx.integer(ty, data)?;
            let name = enumerator(cx.types, ty, value);
            // The engine shows every enumeration's number as a signed one.
            let bits = size_of(cx.types, underlying).unwrap_or(4).saturating_mul(8).min(64);
            let shift = u32::try_from(64u64.saturating_sub(bits)).unwrap_or(0);
            let value = (value as i64).wrapping_shl(shift).wrapping_shr(shift);
            match name {
                Some(name) => format!("{name} (0n{value})"),
                None => format!("0n{value} (No matching enumerant)"),
            }
        }
        Type::BitField { of, pos, len } => {
            let value = cx.bits(of, pos, len, data)?;
            match bare(cx.types, of).1 {
                Type::Base(Base { kind: BaseKind::Bool, .. }) => {
                    if value == 0 { "false" } else { "true" }.into()
                }
                Type::Base(Base { kind: BaseKind::Int, .. }) => {
                    let shift = 128u32.saturating_sub(len.into()).min(127);
                    format!("0n{}", value.cast_signed().wrapping_shl(shift).wrapping_shr(shift))
                }
                _ => hex(value),
            }
        }
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
