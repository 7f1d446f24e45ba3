//! `.printf`.

mod engine;

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Fragment, Sink};
use crate::lang::Cursor;
use crate::lang::numbers::{general, scientific};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};

pub(crate) const PRINTF: Command = Command {
    name: ".printf",
    group: "script",
    syntax: ".printf [/D] \"format\" [, argument]…",
    summary: "Prints values in a format",
    help: "The conversions are C's (`%d %i %u %x %X %o %c %e %f %g %s %%` with flags, width and precision, `I64`, `l`, \
           `h`) and WinDbg's: `%p` an address of the target, `%N` a pointer, `%ma` `%mu` the ANSI or UTF-16 text at an \
           address, `%msa` `%msu` the text of an `ANSI_STRING` or `UNICODE_STRING` at an address, `%y` the symbol of an \
           address, `%ly` the symbol with its source line. `\\n`, `\\t`, `\\\"` and `\\\\` work. No line break is added. \
           `/D` is accepted.",
    examples: &[
        (".printf \"%d %x\\n\", 0n10, 0n10", "Prints `10 a`"),
        (".printf \"%y\\n\", @$ip", "The symbol at the instruction pointer"),
    ],
    run,
    ..Command::BASE
};

/// Longest width or precision, and longest text behind `%ma`.
const MAX_WIDTH: usize = 4096;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Modern {
        return engine::run(session, inv, sink);
    }
    let mut args = inv.cursor();
    while args.peek().starts_with('/') {
        args.word();
    }
    let at = args.pos();
    let raw = args.raw();
    // The format is quoted; without quotes it reaches to the first comma.
    let (format, len) = match raw.strip_prefix('"') {
        Some(body) => {
            let end = quote_end(body).ok_or_else(|| CommandError::caret(at, "Syntax error"))?;
            (body.get(..end).unwrap_or(""), end + 2)
        }
        None => {
            let end = raw.find(',').unwrap_or(raw.len());
            (raw.get(..end).unwrap_or("").trim_end(), end)
        }
    };
    args.advance(len);
    let text = format_text(session, format, &mut args)?;
    session.emit(sink, &Fragment(text))
}

fn quote_end(body: &str) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(i),
            _ => {}
        }
    }
    None
}

/// Flags, width and precision of a conversion.
#[derive(Clone, Copy, Debug, Default)]
struct Spec {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    /// Bits of the argument: 32 unless `I64`, `ll`, `p`.
    bits: u32,
}

impl Spec {
    fn pad(&self, prefix: &str, body: &str) -> String {
        let len = prefix.chars().count() + body.chars().count();
        let fill = self.width.saturating_sub(len);
        match (self.left, self.zero) {
            (true, _) => format!("{prefix}{body}{}", " ".repeat(fill)),
            (false, true) => format!("{prefix}{}{body}", "0".repeat(fill)),
            (false, false) => format!("{}{prefix}{body}", " ".repeat(fill)),
        }
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.space) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        }
    }

    fn text(&self, text: &str) -> String {
        let cut: String = match self.precision {
            Some(n) => text.chars().take(n).collect(),
            None => text.to_owned(),
        };
        Spec { zero: false, ..*self }.pad("", &cut)
    }
}

fn format_text(session: &Session, format: &str, args: &mut Cursor<'_>) -> Result<String, CommandError> {
    let mut out = String::new();
    let mut rest = format;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or("");
        match c {
            '\\' => {
                let next = rest.chars().next().unwrap_or('\\');
                rest = rest.get(next.len_utf8()..).unwrap_or("");
                out.push(match next {
                    'n' => '\n',
                    't' => '\t',
                    'r' => continue,
                    other => other,
                });
            }
            '%' => rest = conversion(session, rest, args, &mut out)?,
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Takes `, expression`.
fn next_value(session: &Session, args: &mut Cursor<'_>) -> Result<u64, CommandError> {
    args.eat_char(',');
    args.expr(session)
}

/// One conversion, `text` being what follows `%`; gives what is left.
fn conversion<'f>(
    session: &Session,
    text: &'f str,
    args: &mut Cursor<'_>,
    out: &mut String,
) -> Result<&'f str, CommandError> {
    let mut spec = Spec { bits: 32, ..Spec::default() };
    let mut rest = text;
    while let Some(c) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
        match c {
            '-' => spec.left = true,
            '0' => spec.zero = true,
            '+' => spec.plus = true,
            ' ' => spec.space = true,
            _ => spec.alternate = true,
        }
        rest = rest.get(1..).unwrap_or("");
    }
    let number = |rest: &mut &'f str, args: &mut Cursor<'_>| -> Result<usize, CommandError> {
        if let Some(tail) = rest.strip_prefix('*') {
            *rest = tail;
            return Ok(usize::try_from(next_value(session, args)?).unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
        }
        let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let value = rest.get(..len).and_then(|d| d.parse().ok()).unwrap_or(0usize);
        *rest = rest.get(len..).unwrap_or("");
        Ok(value.min(MAX_WIDTH))
    };
    spec.width = number(&mut rest, args)?;
    if let Some(tail) = rest.strip_prefix('.') {
        rest = tail;
        spec.precision = Some(number(&mut rest, args)?);
    }
    for (name, bits) in [("I64", 64), ("I32", 32), ("ll", 64), ("hh", 8), ("h", 16)] {
        if let Some(tail) = rest.strip_prefix(name) {
            (rest, spec.bits) = (tail, bits);
            break;
        }
    }
    // Longer names first: `msa` before `ma`, `ly` before `l` and a conversion.
    const NAMES: [&str; 7] = ["msa", "msu", "ma", "mu", "ly", "y", "N"];
    if let Some(name) = NAMES.iter().find(|n| rest.starts_with(**n)) {
        let value = next_value(session, args)?;
        out.push_str(&of_target(session, name, value, &spec));
        return Ok(rest.get(name.len()..).unwrap_or(""));
    }
    rest = rest.strip_prefix('l').unwrap_or(rest);
    let Some(kind) = rest.chars().next() else { return Ok("") };
    let left = rest.get(kind.len_utf8()..).unwrap_or("");
    if kind == '%' {
        out.push('%');
        return Ok(left);
    }
    if !"diuxXocCeEfgGps".contains(kind) {
        out.push('%');
        out.push(kind);
        return Ok(left);
    }
    let value = next_value(session, args)?;
    out.push_str(&plain(session, kind, value, spec));
    Ok(left)
}

/// `%d` and the other conversions of C.
fn plain(session: &Session, kind: char, value: u64, spec: Spec) -> String {
    let shift = 64 - spec.bits;
    let unsigned = value << shift >> shift;
    let precise = |digits: String| match spec.precision {
        Some(n) if digits.len() < n => format!("{}{digits}", "0".repeat(n - digits.len())),
        _ => digits,
    };
    match kind {
        'd' | 'i' => {
            let signed = (value << shift) as i64 >> shift;
            spec.pad(spec.sign(signed < 0), &precise(signed.unsigned_abs().to_string()))
        }
        'u' => spec.pad("", &precise(unsigned.to_string())),
        'x' => spec
            .pad(if spec.alternate && unsigned != 0 { "0x" } else { "" }, &precise(format!("{unsigned:x}"))),
        'X' => spec
            .pad(if spec.alternate && unsigned != 0 { "0X" } else { "" }, &precise(format!("{unsigned:X}"))),
        'o' => spec.pad("", &precise(format!("{unsigned:o}"))),
        'c' | 'C' => {
            let c = u32::try_from(unsigned).ok().and_then(char::from_u32).unwrap_or('.');
            spec.text(&escape(&c.to_string()))
        }
        'e' | 'E' | 'f' | 'g' | 'G' => {
            let number = f64::from_bits(value);
            let precision = spec.precision.unwrap_or(6).min(300);
            let magnitude = number.abs();
            let body = match kind {
                'f' if magnitude.is_finite() => format!("{magnitude:.precision$}"),
                'e' | 'E' => scientific(magnitude, precision),
                _ => general(magnitude, precision),
            };
            spec.pad(spec.sign(number.is_sign_negative() && !number.is_nan()), &body)
        }
        // A string of the debugger: the target's is %ma.
        's' => of_target(session, "ma", value, &spec),
        _ => of_target(session, "N", value, &spec),
    }
}

/// WinDbg's own conversions.
fn of_target(session: &Session, name: &str, value: u64, spec: &Spec) -> String {
    let va = session.address(value);
    let machine = session.sel.machine;
    let memory = session.dump().memory();
    let missing = || "????????".to_owned();
    let ansi = |bytes: Vec<u8>| {
        let text: String =
            bytes.iter().map(|b| if matches!(b, 0x20..=0x7e) { char::from(*b) } else { '.' }).collect();
        text
    };
    let counted = || -> Option<(Va, usize)> {
        let (length, maximum) = (memory.u16(va)?, memory.u16(va.offset(2))?);
        let buffer = memory.ptr(va.offset(machine.ptr_size() as u64), machine)?;
        (length <= maximum).then_some((buffer, usize::from(length)))
    };
    let text = match name {
        "ma" => memory.c_str(va, MAX_WIDTH).map_or_else(missing, ansi),
        "mu" => memory.w_str(va, MAX_WIDTH).unwrap_or_else(missing),
        "msa" => counted()
            .and_then(|(buffer, len)| {
                let mut bytes = vec![0u8; len];
                (memory.read_at(buffer, &mut bytes).got == len).then(|| ansi(bytes))
            })
            .unwrap_or_else(missing),
        "msu" => memory.unicode_string(va, machine).unwrap_or_else(missing),
        "y" | "ly" => {
            let mut text = session.name_of(va).map_or_else(String::new, |n| format!("{n} "));
            text.push_str(&format!("({})", crate::fmt::addr(va, machine.is_64())));
            if let Some(line) = session.target.symbols.line(va).filter(|_| name == "ly") {
                text.push_str(&format!(" [{} @ {}]", line.file, line.line));
            }
            text
        }
        // %p: an address, all digits, no backtick; %N is the debugger's own pointer, which is 64-bit here.
        _ => {
            let digits = if machine.is_64() { 16 } else { 8 };
            return spec.pad("", &format!("{:0digits$x}", va.0));
        }
    };
    spec.text(&escape(&text))
}
