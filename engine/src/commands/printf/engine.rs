//! `.printf` as today's engine reads and answers it.

use super::{MAX_WIDTH, Spec, quote_end};
use crate::command::{CommandError, Invocation};
use crate::doc::{Fragment, Sink};
use crate::lang::Cursor;
use crate::lang::numbers::{general, scientific};
use crate::session::Session;
use dumpscope_core::ReadMemory;
use dumpscope_core::base::text::escape;

/// Shown for a text that cannot be read: the engine's full dumps and its small ones fail in different ways.
fn no_text(session: &Session) -> &'static str {
    let full = session.dump().memory64_list().value().is_some();
    if full { "<HRESULT 0x80004002>" } else { "<Win32 error 0n30>" }
}

/// A text without the tags of WinDbg's windows (`<b>`, `<link cmd="…">`), its entities resolved: what stands there as plain
/// text.
fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        let is_tag = tag.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
        match tag.split_once('>').filter(|(inside, _)| is_tag && !inside.contains('<')) {
            Some((_, behind)) => rest = behind,
            // A sign that opens nothing.
            None => {
                out.push('<');
                rest = tag;
            }
        }
    }
    out.push_str(rest);
    let out = out.replace("&lt;", "<").replace("&gt;", ">");
    out.replace("&quot;", "\"").replace("&amp;", "&")
}

pub(super) fn run(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let mut tags = false;
    while args.peek().starts_with('/') {
        let at = args.pos();
        match args.word().unwrap_or("").get(1..).unwrap_or("") {
            "D" => tags = true,
            "d" | "ow" | "os" | "oe" | "od" | "on" | "ov" => {}
            _ => return Err(CommandError::caret(at + 1, "Syntax error")),
        }
    }
    let at = args.pos();
    let Some(body) = args.raw().strip_prefix('"') else {
        return Err(CommandError::caret(at.min(args.whole().trim_end().len()), "Quotes required"));
    };
    let end = quote_end(body).unwrap_or(body.len());
    let format = body.get(..end).unwrap_or("");
    if format.is_empty() {
        return Err(CommandError::caret(at + 1, "Non-empty string required"));
    }
    args.advance(end + 2);
    let mut text = String::new();
    let format = unescaped(format);
    // The engine quotes the line as far as the text, which it has ended and read.
    let error = |at: usize, words: &str| CommandError::Cut {
        at,
        text: words.to_owned(),
        until: inv.text.find('"').map_or(0, |i| i + 1),
        tail: format.clone(),
    };
    let result = all(session, &format, &mut args, &mut text, &error).and_then(|()| {
        let at = args.pos();
        if args.is_empty() { Ok(()) } else { Err(error(at + 1, "Extra character error in")) }
    });
    let text = if tags { without_tags(&text) } else { text };
    session.emit(sink, &Fragment(text))?;
    result
}

/// A text without its escapes; `\\x` takes all hexadecimal digits that follow.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next().unwrap_or('\\') {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            // The engine's output has no carriage returns.
            'r' => out.push('\n'),
            'b' => out.push('\u{8}'),
            'x' => {
                let mut code = 0u32;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(16)) {
                    code = code.wrapping_mul(16).wrapping_add(digit) & 0xff;
                    chars.next();
                }
                out.extend(char::from_u32(code));
            }
            other => out.push(other),
        }
    }
    out
}

fn all(
    session: &Session,
    format: &str,
    args: &mut Cursor<'_>,
    out: &mut String,
    error: &dyn Fn(usize, &str) -> CommandError,
) -> Result<(), CommandError> {
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(rest.get(..at).unwrap_or(""));
        rest = rest.get(at + 1..).unwrap_or("");
        if let Some(tail) = rest.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        rest = conversion(session, rest, args, out, error)?;
    }
    out.push_str(rest);
    Ok(())
}

/// Takes `, expression`.
fn next(
    session: &Session,
    args: &mut Cursor<'_>,
    error: &dyn Fn(usize, &str) -> CommandError,
) -> Result<u64, CommandError> {
    let at = args.pos();
    if !args.eat_char(',') {
        return Err(error(at, "Comma expected in"));
    }
    args.expr(session)
}

/// One conversion, `text` being what follows `%`; gives what is left.
fn conversion<'f>(
    session: &Session,
    text: &'f str,
    args: &mut Cursor<'_>,
    out: &mut String,
    error: &dyn Fn(usize, &str) -> CommandError,
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
            let value = next(session, args, error)?;
            return Ok(usize::try_from(value).unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
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
    // `ll` is C's 64 bits of a value that is cut to 32 before.
    let mut long = false;
    for (name, bits) in [("I64", 64), ("I32", 32), ("ll", 32), ("hh", 16), ("h", 16), ("w", 32)] {
        if let Some(tail) = rest.strip_prefix(name) {
            (rest, spec.bits, long) = (tail, bits, name == "ll");
            break;
        }
    }
    const NAMES: [&str; 6] = ["msa", "msu", "ma", "mu", "ly", "y"];
    if let Some(name) = NAMES.iter().find(|n| rest.starts_with(**n)) {
        let value = next(session, args, error)?;
        out.push_str(&of_target(session, name, value, &spec));
        return Ok(rest.get(name.len()..).unwrap_or(""));
    }
    rest = rest.strip_prefix('l').unwrap_or(rest);
    let kind = rest.chars().next().unwrap_or('\0');
    let left = rest.get(kind.len_utf8()..).unwrap_or("");
    if matches!(kind, 's' | 'S') {
        return Err(error(args.pos(), "Unsupported format type in"));
    }
    let value = next(session, args, error)?;
    let wide = session.sel.machine.is_64();
    let text = match kind {
        'p' | 'N' => {
            let value = if wide { value } else { value & 0xffff_ffff };
            // `%N` is the debugger's own pointer, which has 64 bits.
            let digits = if spec.width > 0 {
                1
            } else if wide || kind == 'N' {
                16
            } else {
                8
            };
            let text = format!("{value:0digits$x}");
            spec.pad("", &if kind == 'N' { text.to_uppercase() } else { text })
        }
        'd' | 'i' if long => spec.pad("", &(value & 0xffff_ffff).to_string()),
        'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'c' | 'C' => plain(kind, value, spec),
        'e' | 'E' | 'f' | 'g' | 'G' => fraction(kind, f64::from_bits(value), spec),
        _ => return Err(error(args.whole().len() - args.raw().len(), "Unknown format control character")),
    };
    out.push_str(&text);
    Ok(left)
}

/// C's conversions of whole numbers.
fn plain(kind: char, value: u64, spec: Spec) -> String {
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
        'o' => spec.pad(if spec.alternate { "0" } else { "" }, &precise(format!("{unsigned:o}"))),
        _ => {
            let c = u32::try_from(unsigned & 0xff).ok().and_then(char::from_u32).unwrap_or('.');
            spec.text(&escape(&c.to_string()))
        }
    }
}

/// C's conversions of numbers with a fraction, as the Microsoft runtime of WinDbg's day writes them.
fn fraction(kind: char, number: f64, spec: Spec) -> String {
    let precision = spec.precision.unwrap_or(6).min(300);
    let magnitude = number.abs();
    let body = match kind {
        _ if !magnitude.is_finite() => {
            // What is no number has digits behind its point, too.
            let text = general(number, precision);
            let text = text.trim_start_matches('-').to_owned();
            let missing = precision.saturating_sub(text.len().saturating_sub(2));
            if matches!(kind, 'f' | 'e' | 'E') { format!("{text}{}", "0".repeat(missing)) } else { text }
        }
        'f' => format!("{magnitude:.precision$}"),
        'e' | 'E' => scientific(magnitude, precision),
        _ => general(magnitude, precision),
    };
    spec.pad(spec.sign(number.is_sign_negative()), &body)
}

/// WinDbg's own conversions.
fn of_target(session: &Session, name: &str, value: u64, spec: &Spec) -> String {
    let va = session.address(value);
    let machine = session.sel.machine;
    let memory = session.dump().memory();
    let ansi = |bytes: &[u8]| bytes.iter().map(|b| char::from(*b)).collect::<String>();
    let counted = || -> Option<Vec<u8>> {
        let length = usize::from(memory.u16(va)?);
        let buffer = memory.ptr(va.offset(machine.ptr_size() as u64), machine)?;
        let mut bytes = vec![0u8; length];
        (memory.read_at(buffer, &mut bytes).got == length).then_some(bytes)
    };
    let text = match name {
        "ma" => memory.c_str(va, MAX_WIDTH).map(|b| ansi(&b)),
        "mu" => memory.w_str(va, MAX_WIDTH),
        "msa" => counted().map(|b| ansi(&b)),
        "msu" => counted().map(|b| {
            let units: Vec<u16> = b.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
            String::from_utf16_lossy(&units)
        }),
        _ => {
            let address = crate::fmt::addr(va, machine.is_64());
            let mut text = match session.name_of(va) {
                Some(name) => format!("{name} ({address})"),
                None => address,
            };
            let line = session.target.symbols.line(va).filter(|_| name == "ly" && session.sel.lines);
            if let Some(line) = line {
                text.push_str(&format!(" [{} @ {}]", line.file, line.line));
            }
            Some(text)
        }
    };
    spec.text(&text.unwrap_or_else(|| no_text(session).to_owned()))
}
