//! `.formats`: a number in all forms; `n`: the number base.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::lang::numbers::general;
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use serde_json::json;

pub(crate) const FORMATS: Command = Command {
    name: ".formats",
    group: "expressions",
    syntax: ".formats expression",
    summary: "Shows a number in all forms",
    help: "Hexadecimal, decimal, octal, binary, characters, a time (seconds since 1970, or a FILETIME when the number is \
           larger; in UTC), floats. The widths are those of the effective machine's pointers.",
    examples: &[
        (".formats 1c407e62", "A number as a time and more"),
        (".formats @$ip", "The instruction pointer"),
    ],
    run: run_formats,
    ..Command::BASE
};

pub(crate) const N: Command = Command {
    name: "n",
    group: "expressions",
    syntax: "n [8 | 10 | 16]",
    summary: "Shows or sets the base of numbers without a prefix",
    help: "The base counts for numbers in expressions; what commands print does not change. `0n`, `0x`, `0t` and `0y` \
           always have their own base.",
    examples: &[("n", "Shows the base"), ("n 16", "Hexadecimal, as at the start")],
    run: run_n,
    ..Command::BASE
};

struct Formats {
    value: u64,
    wide: bool,
    /// All 64 bits, which the engine's fractions are of.
    full: u64,
}

impl Formats {
    fn bytes(&self) -> Vec<u8> {
        let all = self.value.to_be_bytes();
        all.get(if self.wide { 0 } else { 4 }..).unwrap_or_default().to_vec()
    }

    fn signed(&self) -> i64 {
        if self.wide { self.value as i64 } else { i64::from(self.value as u32 as i32) }
    }

    fn time(&self, modern: bool) -> String {
        if modern && self.value == 0 {
            return "unavailable".to_owned();
        }
        // Today's engine takes a number of 32 bits for a signed one, also one with its sign extended.
        let negative = self.value >> 31 == 1 || self.value as i64 >> 31 == -1;
        if modern && negative {
            return "***** Invalid".to_owned();
        }
        match u32::try_from(self.value) {
            Ok(seconds) => fmt::time_stamp(seconds),
            // A FILETIME is signed; negative ones are no times.
            Err(_) if self.value >> 63 == 1 => "***** Invalid FILETIME".to_owned(),
            Err(_) => fmt::time_zone(self.value, 0),
        }
    }

    fn octal(&self) -> String {
        if self.wide { format!("{:022o}", self.value) } else { format!("{:011o}", self.value) }
    }

    fn binary(&self) -> String {
        self.bytes().iter().map(|b| format!("{b:08b}")).collect::<Vec<_>>().join(" ")
    }

    fn chars(&self) -> String {
        // Today's engine takes 7f for a character: a control character stays out of what is printed.
        let shown = |b: &u8| if (0x20..=0x7e).contains(b) { char::from(*b) } else { '.' };
        self.bytes().iter().map(shown).collect()
    }

    fn floats(&self) -> (f32, f32) {
        (f32::from_bits(self.value as u32), f32::from_bits((self.full >> 32) as u32))
    }
}

impl Report for Formats {
    fn kind(&self) -> &'static str {
        "formats"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("Evaluate expression:"));
        let mut row = |label: &str, text: String| {
            emit(Line::new().role(Role::Label, format!("  {label:<9}")).role(Role::Value, text));
        };
        row("Hex:", fmt::addr(Va(self.value), self.wide));
        row("Decimal:", self.signed().to_string());
        if cx.layout == Layout::Modern {
            row("Decimal (unsigned) :", format!(" {}", self.value));
        }
        row("Octal:", self.octal());
        row("Binary:", self.binary());
        row("Chars:", self.chars());
        row("Time:", self.time(cx.layout == Layout::Modern));
        let (low, high) = self.floats();
        row("Float:", format!("low {} high {}", general(low.into(), 6), general(high.into(), 6)));
        row("Double:", general(f64::from_bits(self.full), 6));
    }

    fn json(&self) -> serde_json::Value {
        let (low, high) = self.floats();
        json!({
            "hex": Hex(self.value), "decimal": self.signed(), "unsigned": self.value, "octal": self.octal(),
            "binary": self.binary(), "chars": self.chars(), "time": self.time(false),
            "float": { "low": low, "high": high }, "double": f64::from_bits(self.value),
        })
    }
}

fn run_formats(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let full = args.expr(session)?;
    let modern = session.sel.layout == Layout::Modern;
    if !modern {
        args.end()?;
    }
    let value = full;
    let wide = session.sel.machine.is_64() || u32::try_from(value).is_err();
    // A sign-extended register is a 32-bit number.
    let (value, wide) = match (session.sel.machine.is_64(), value as i64 >> 31) {
        (false, -1) => (value & 0xffff_ffff, false),
        _ => (value, wide),
    };
    session.language.last_expr = value;
    let full = if modern { full } else { value };
    session.emit(sink, &Formats { value, wide, full })?;
    // Today's engine tells what stands behind the number afterwards.
    args.end()
}

fn run_n(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    match args.word() {
        None => {}
        Some("8") => session.sel.radix = 8,
        Some("10") => session.sel.radix = 10,
        Some("16") => session.sel.radix = 16,
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    }
    args.end()?;
    let line = Line(vec![Span::new(Role::Plain, format!("base is {}", session.sel.radix))]);
    session.emit(sink, &Message(vec![line]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let f = Formats { value: 0x7ff6_0f62_1a40, wide: true, full: 0x7ff6_0f62_1a40 };
        assert_eq!(f.octal(), "0000003777301730415100");
        assert_eq!(f.binary(), "00000000 00000000 01111111 11110110 00001111 01100010 00011010 01000000");
        assert_eq!(f.chars(), ".....b.@");
        assert_eq!(f.time(false), "Tue Jun 12 20:11:19.676 1601 (UTC + 0:00)");
        assert_eq!(general(f64::from_bits(f.value), 6), "6.95125e-310");
        let f = Formats { value: 0xffff_ffff, wide: false, full: 0xffff_ffff };
        assert_eq!((f.signed(), f.octal().as_str()), (-1, "37777777777"));
        assert_eq!(
            Formats { value: u64::MAX, wide: true, full: u64::MAX }.time(false),
            "***** Invalid FILETIME"
        );
    }
}
