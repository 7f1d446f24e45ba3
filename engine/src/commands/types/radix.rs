//! `.enable_long_status` and `.force_radix_output`: 32-bit numbers with a sign are written in the default radix.

use crate::session::Session;
use dumpscope_symbols::types::{Base, BaseKind, Type, TypeId, TypeProvider, bare};

/// Deepest nesting of pointers and arrays that is looked through.
const MAX_LEVELS: usize = 16;

/// The text of a value as `dt`, `dv` and `??` show it under these settings.
pub(super) fn in_radix(session: &Session, types: &dyn TypeProvider, id: TypeId, text: String) -> String {
    if !session.language.radix_numbers {
        return text;
    }
    let mut t = bare(types, id).1;
    for _ in 0..MAX_LEVELS {
        t = match t {
            Type::Pointer { to: inner, .. } | Type::Array { element: inner, .. } => bare(types, inner).1,
            _ => break,
        };
    }
    let radix = session.sel.radix;
    match t {
        Type::Base(Base { kind: BaseKind::Int, size: 4, .. }) | Type::Enum { .. } => {
            replaced(&text, "0n", radix).unwrap_or(text)
        }
        Type::Base(Base { kind: BaseKind::UInt, size: 4, .. }) if radix == 10 => {
            replaced(&text, "0x", radix).unwrap_or(text)
        }
        _ => text,
    }
}

/// The text with its last number behind `mark` in another radix.
fn replaced(text: &str, mark: &str, radix: u32) -> Option<String> {
    let at = text.rfind(mark)?;
    let (before, rest) = (text.get(..at)?, text.get(at + mark.len()..)?);
    let end = rest.find(|c: char| c != '-' && !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at_checked(end)?;
    let value = match mark {
        "0n" => digits.parse::<i64>().ok()? as u32,
        _ => u32::from_str_radix(digits, 16).ok()?,
    };
    let number = match radix {
        10 => format!("0n{value}"),
        8 => format!("0t{value:o}"),
        _ if value < 10 => value.to_string(),
        _ => format!("0x{value:x}"),
    };
    Some(format!("{before}{number}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn the_last_number_counts() {
        let hex = |text: &str| replaced(text, "0n", 16).unwrap();
        assert_eq!(hex("0n-70000"), "0xfffeee90");
        assert_eq!(hex("0x00a34000  -> 0n-5"), "0x00a34000  -> 0xfffffffb");
        assert_eq!(hex("[5] 0n0"), "[5] 0");
        assert_eq!(hex("Green (0n5)"), "Green (5)");
        assert_eq!(replaced("0xfeedface", "0x", 10).unwrap(), "0n4277009102");
        assert_eq!(replaced("true", "0n", 16), None);
    }
}
