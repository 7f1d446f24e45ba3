//! CommentStreamA (10) and CommentStreamW (11): raw text that may lack its terminator.

use super::StreamCx;
use crate::bytes::{c_text, utf16_text};
use crate::error::Parsed;

/// Longest comment that is decoded, bytes.
const MAX_COMMENT: usize = 1 << 20;

/// Parses CommentStreamA. ANSI text of an unknown code page: what is not UTF-8 becomes U+FFFD.
pub(crate) fn parse_a(cx: StreamCx<'_>) -> Parsed<String> {
    let text = c_text(raw(&cx));
    cx.done(text)
}

/// Parses CommentStreamW.
pub(crate) fn parse_w(cx: StreamCx<'_>) -> Parsed<String> {
    let text = utf16_text(raw(&cx));
    cx.done(text)
}

fn raw<'a>(cx: &StreamCx<'a>) -> &'a [u8] {
    let mut c = cx.cursor();
    if c.left() > MAX_COMMENT {
        cx.warn(
            Some(cx.entry.offset),
            format!("a comment of {:#x} bytes is cut to {MAX_COMMENT:#x}", c.left()),
        );
    }
    c.take(c.left().min(MAX_COMMENT)).unwrap_or_default()
}
