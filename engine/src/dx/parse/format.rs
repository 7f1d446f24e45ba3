//! Formats behind a comma.

use crate::dx::ast::{Format, Radix, TextForm};

/// What both say; the later one wins.
pub(super) fn merge(a: Format, b: Format) -> Format {
    Format {
        radix: b.radix.or(a.radix),
        text: b.text.or(a.text),
        count: b.count.or(a.count),
        count_text: b.count_text.or(a.count_text),
        raw: a.raw || b.raw,
        named: b.named.or(a.named),
    }
}

/// A format as it stands behind a comma: `x`, `[4]su`, `3`, `!`.
pub(crate) fn read_format(text: &str) -> Option<Format> {
    let mut rest = text.trim();
    let mut format = Format::default();
    if let Some(inner) = rest.strip_prefix('[') {
        let end = closing(inner)?;
        let count = inner.get(..end)?.trim();
        match number(count) {
            Some(n) => format.count = Some(n),
            None => format.count_text = Some(count.to_owned()),
        }
        rest = inner.get(end + 1..)?.trim();
        if rest.is_empty() {
            return Some(format);
        }
    } else if let Some(n) = number(rest) {
        format.count = Some(n);
        return Some(format);
    }
    if let Some(inner) = rest.strip_prefix('!') {
        format.raw = true;
        rest = inner.trim();
        if rest.is_empty() {
            return Some(format);
        }
    }
    let text = |wide, quoted| Some(TextForm { wide, quoted });
    match rest {
        "x" | "h" => format.radix = Some(Radix::Hex),
        "d" => format.radix = Some(Radix::Decimal),
        "o" => format.radix = Some(Radix::Octal),
        "b" => format.radix = Some(Radix::Binary),
        "s" => format.text = text(None, true),
        "sb" => format.text = text(None, false),
        "s8" => format.text = text(Some(false), true),
        "s8b" => format.text = text(Some(false), false),
        "su" | "bstr" => format.text = text(Some(true), true),
        "sub" => format.text = text(Some(true), false),
        "en" => format.named = Some("en"),
        "nd" => format.named = Some("nd"),
        "na" => format.named = Some("na"),
        _ if rest.starts_with("view(") && rest.ends_with(')') => format.named = Some("view"),
        _ => return None,
    }
    Some(format)
}

/// Where the bracket that is open at the start of a text closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(i),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `4` or `0x4`.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
