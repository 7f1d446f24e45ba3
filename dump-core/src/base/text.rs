//! The one constructor for text that comes from a dump, an image or a symbol file.

use std::borrow::Cow;

/// True for characters that must not reach a terminal or a document as they are: controls, line and paragraph
/// separators, characters that reorder text or cannot be seen (two names would look the same), and values that
/// are no characters. Joiners stay: scripts need them.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
        || matches!(c, '\u{200b}' | '\u{00ad}' | '\u{180e}')
        || ('\u{2060}'..='\u{2064}').contains(&c)
        || ('\u{fff9}'..='\u{fffb}').contains(&c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
        || (c as u32) & 0xfffe == 0xfffe
}

/// Escapes unsafe characters as `\x1b` or `\u{202e}`; text without them is returned as it is.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_unsafe(c) {
            out.push(c);
        } else if (c as u32) < 0x100 {
            out.push_str(&format!("\\x{:02x}", c as u32));
        } else {
            out.push_str(&format!("\\u{{{:x}}}", c as u32));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reorders_hides_or_controls_is_written_as_a_number() {
        assert_eq!(escape("a\u{1b}[0m\u{202e}b"), "a\\x1b[0m\\u{202e}b");
        assert_eq!(escape("a\u{200b}\u{ad}\u{2060}\u{e0041}"), "a\\u{200b}\\xad\\u{2060}\\u{e0041}");
        assert_eq!(escape("\u{fffe}\u{ffff}\u{10ffff}"), "\\u{fffe}\\u{ffff}\\u{10ffff}");
        assert!(matches!(escape("Größe 尺寸 \u{1f41b}"), Cow::Borrowed(_)));
    }
}
