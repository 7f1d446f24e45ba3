//! Single registers: names, types, text.

use crate::doc::{Line, RenderCx, Report, Role};
use crate::fmt::{self, Hex};
use crate::lang::{numbers, registers};
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, Va};
use serde_json::{Value as Json, json};

/// A register as it is shown.
pub(super) struct Value {
    pub(super) name: String,
    text: String,
    json: Json,
}

impl Value {
    pub(super) fn pseudo(session: &Session, name: &str, value: u64) -> Value {
        let wide = session.sel.machine.is_64();
        let modern = session.sel.layout == Layout::Modern;
        let mut text = fmt::addr(Va(value), wide).replace('`', "");
        if modern && !wide && value >> 32 != 0 {
            // Today's engine marks what does not fit.
            text = format!("{:08x}*", value & 0xffff_ffff);
        }
        Value { name: format!("${}", name.to_ascii_lowercase()), text, json: json!(Hex(value)) }
    }
}

impl Value {
    /// `rax=00000000`00000010  `: the form of `r.` in today's engine.
    pub(super) fn as_address(&self, wide: bool) -> String {
        match u64::from_str_radix(&self.text, 16) {
            Ok(value) => format!("{}={}  ", self.name, fmt::addr(Va(value), wide)),
            Err(_) => format!("{}={}  ", self.name, self.text),
        }
    }
}

pub(super) struct ValuesReport(pub(super) Vec<Value>);

impl Report for ValuesReport {
    fn kind(&self) -> &'static str {
        "register_values"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut line = Line::new();
        for (i, value) in self.0.iter().enumerate() {
            line = line.text(if i > 0 { " " } else { "" }).role(Role::Register, value.name.as_str());
            line = line.text("=").role(Role::Value, value.text.as_str());
        }
        emit(line);
    }

    fn json(&self) -> Json {
        let pairs = self.0.iter().map(|v| (v.name.clone(), v.json.clone()));
        json!({ "registers": pairs.collect::<serde_json::Map<_, _>>() })
    }
}

/// A register by name, with perhaps a type (`ub`, `4f`, `16ub`). `Err`: no such register (`None`) or why its value is
/// not known.
pub(super) fn by_name(session: &Session, name: &str, kind: Option<&str>) -> Result<Value, Option<String>> {
    let name = name.to_ascii_lowercase();
    let Some(context) = session.context() else {
        return Err(Some("The dump has no registers for this thread.".into()));
    };
    let prefixes = if session.sel.machine == Machine::Arm64 { ["v", "q"] } else { ["xmm", "xmm"] };
    let number = prefixes.iter().find_map(|p| name.strip_prefix(p)?.parse::<usize>().ok());
    if let Some(number) = number {
        let limit = if session.sel.machine == Machine::Arm64 { 32 } else { 16 };
        return match context.vectors.get(number) {
            Some(raw) => {
                let text = match kind {
                    Some(kind) => columns(session, typed(*raw, 16, kind).ok_or(None)?, kind),
                    None if session.sel.layout == Layout::Modern => wide_floats(*raw),
                    None => floats(*raw),
                };
                Ok(Value { name, text, json: json!(format!("{raw:#034x}")) })
            }
            None if number < limit => Err(Some("The dump's context has no vector registers.".into())),
            None => Err(None),
        };
    }
    if let Some(number) = name.strip_prefix("st").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n < 8) {
        return match context.x87.get(number) {
            Some(raw) => Ok(Value { name, text: extended(*raw), json: json!(format!("{raw:#x}")) }),
            None => Err(Some("The dump's context has no floating-point registers.".into())),
        };
    }
    let control = ["fpcw", "fpsw", "fptw"].iter().position(|n| *n == name);
    if let Some(raw) =
        control.and_then(|n| context.x87.get(8 + n)).filter(|_| session.sel.layout == Layout::Modern)
    {
        let width = if session.sel.machine == Machine::X86 { 8 } else { 4 };
        return Ok(Value { name, text: format!("{raw:0width$x}"), json: json!(Hex(*raw as u64)) });
    }
    // Today's engine knows the flags as `efl` only.
    if name == "eflags" && session.sel.layout == Layout::Modern {
        return Err(None);
    }
    // `ip` and the like are the names of pseudo-registers (`@$ip`), not of registers.
    match registers::lookup(&name, &context.regs, Some(&context)) {
        Ok((value, bits)) => {
            let whole = if session.sel.machine.is_64() { 64 } else { 32 };
            let fixed = ["efl", "cs", "ds", "es", "fs", "gs", "ss"].contains(&name.as_str());
            let text = match kind {
                Some(kind) => {
                    columns(session, typed(value.into(), (bits / 8).max(1) as usize, kind).ok_or(None)?, kind)
                }
                // Today's engine shows a segment of 32-bit code with eight digits.
                None if whole == 32 && fixed && session.sel.layout == Layout::Modern => {
                    format!("{value:08x}")
                }
                None if bits < 8 => format!("{value:x}"),
                // Today's engine pads whole registers only.
                None if session.sel.layout == Layout::Modern && bits < whole && !fixed => {
                    format!("{value:x}")
                }
                None => format!("{value:0width$x}", width = (bits / 4) as usize),
            };
            Ok(Value { name, text, json: json!(Hex(value)) })
        }
        Err(crate::expr::RegisterMiss::NoSuch) => Err(None),
        Err(crate::expr::RegisterMiss::Unknown) => {
            Err(Some(format!("The value of {name} is not known here.")))
        }
    }
}

/// Floats in columns, as today's engine shows them.
fn columns(session: &Session, text: String, kind: &str) -> String {
    let width = match kind.trim_start_matches(|c: char| c.is_ascii_digit()) {
        "f" => 12,
        "d" => 22,
        _ => return text,
    };
    if session.sel.layout != Layout::Modern {
        return text;
    }
    text.split(' ').map(|lane| format!("{lane:>width$}")).collect::<Vec<_>>().join(" ")
}

/// Four floats in columns, as today's engine shows one vector.
fn wide_floats(raw: u128) -> String {
    let all = floats(raw);
    all.split(' ').map(|lane| format!("{lane:>12}")).collect::<Vec<_>>().join(" ")
}

/// Four floats, the highest first, as WinDbg shows a vector.
pub(super) fn floats(raw: u128) -> String {
    let lane = |n: u32| numbers::general(f64::from(f32::from_bits((raw >> (n * 32)) as u32)), 6);
    [lane(3), lane(2), lane(1), lane(0)].join(" ")
}

/// A value by its type: `[count](i|u)(b|w|d|q)`, `[count]f`, `[count]d`; the highest lane first.
fn typed(raw: u128, size: usize, kind: &str) -> Option<String> {
    let digits = kind.find(|c: char| !c.is_ascii_digit()).unwrap_or(kind.len());
    let count: Option<usize> = kind.get(..digits).filter(|d| !d.is_empty()).and_then(|d| d.parse().ok());
    let kind = kind.get(digits..)?;
    let bytes = match kind {
        "ib" | "ub" => 1,
        "iw" | "uw" => 2,
        "id" | "ud" | "f" => 4,
        "iq" | "uq" | "d" => 8,
        _ => return None,
    };
    let lanes = count.unwrap_or((size / bytes).max(1)).clamp(1, 16 / bytes);
    let lane = |n: usize| {
        let value = (raw >> (n * bytes * 8)) as u64;
        let shift = 64 - 8 * bytes as u32;
        let (unsigned, signed) = (value << shift >> shift, (value << shift) as i64 >> shift);
        match kind {
            "f" => numbers::general(f64::from(f32::from_bits(unsigned as u32)), 6),
            "d" => numbers::general(f64::from_bits(unsigned), 6),
            k if k.starts_with('i') => signed.to_string(),
            _ => format!("{unsigned:0width$x}", width = bytes * 2),
        }
    };
    Some((0..lanes).rev().map(lane).collect::<Vec<_>>().join(" "))
}

/// An 80-bit float: its value to double precision, and its bits (sign, exponent, mantissa).
pub(super) fn extended(raw: u128) -> String {
    let (mantissa, exponent) = (raw as u64, (raw >> 64 & 0x7fff) as i32);
    let sign = u8::from(raw >> 79 & 1 == 1);
    format!("{} ({sign}:{exponent:04x}:{mantissa:016x})", numbers::scientific(long_double(raw), 17))
}

/// An 80-bit number with 21 digits, an exponent of four and a place for the sign.
pub(super) fn long_float(raw: u128) -> String {
    let text = format!("{:.21e}", long_double(raw));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let space = if mantissa.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{space}{mantissa}e{sign}{:04}", exponent.unsigned_abs())
}

/// An 80-bit number, as near as a double is.
pub(crate) fn long_double(raw: u128) -> f64 {
    let mantissa = raw as u64;
    let sign = raw >> 79 & 1 == 1;
    let exponent = (raw >> 64 & 0x7fff) as i32;
    let magnitude = match (exponent, mantissa) {
        (0, 0) => 0.0,
        (0x7fff, m) if m << 1 == 0 => f64::INFINITY,
        (0x7fff, _) => f64::NAN,
        // Two steps: the scale alone may be outside of double's range.
        (e, m) => {
            m as f64 * 2f64.powi((e - 16_383 - 63) / 2) * 2f64.powi((e - 16_383 - 63) - (e - 16_383 - 63) / 2)
        }
    };
    if sign { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_lanes() {
        let raw = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0eff_u128;
        assert_eq!(typed(raw, 16, "16ub").unwrap(), "00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e ff");
        assert_eq!(typed(raw, 16, "ib").unwrap().split(' ').next_back(), Some("-1"));
        assert_eq!(typed(raw, 16, "2uq").unwrap(), "0001020304050607 08090a0b0c0d0eff");
        assert_eq!(typed(raw, 16, "zz"), None);
        assert_eq!(typed(u128::from(1.5f32.to_bits()), 16, "f").unwrap(), "0 0 0 1.5");
    }

    #[test]
    fn extended_floats() {
        // 1.0: exponent 16383, mantissa with its explicit top bit.
        assert!(extended(0x3fff_8000_0000_0000_0000).starts_with("1.00000000000000000e+000 (0:3fff:"));
        assert!(extended(0).starts_with("0.00000000000000000e+000"));
        assert!(extended(0xc000_8000_0000_0000_0000).starts_with("-2.0000"));
    }
}
