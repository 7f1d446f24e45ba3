//! CommentStreamA (10) and CommentStreamW (11): raw text that may lack its terminator.

use super::{Stream, StreamCx, id};
use crate::bytes::{c_text, utf16_text};
use crate::error::Parsed;

/// Longest comment that is decoded, bytes.
const MAX_COMMENT: usize = 1 << 20;

pub(crate) struct CommentStreamA;

impl Stream for CommentStreamA {
    const NUMBER: u32 = id::COMMENT_A;
    const NAME: &'static str = "CommentStreamA";
    const ABOUT: &'static str = "a comment, ANSI";
    type Value = String;

    /// Parses CommentStreamA. ANSI text of an unknown code page: what is not UTF-8 becomes U+FFFD.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let text = c_text(raw(&cx));
        cx.done(text)
    }

    fn summary(text: &Self::Value) -> String {
        text.clone()
    }
}

pub(crate) struct CommentStreamW;

impl Stream for CommentStreamW {
    const NUMBER: u32 = id::COMMENT_W;
    const NAME: &'static str = "CommentStreamW";
    const ABOUT: &'static str = "a comment, UTF-16";
    type Value = String;

    /// Parses CommentStreamW.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let text = utf16_text(raw(&cx));
        cx.done(text)
    }

    fn summary(text: &Self::Value) -> String {
        text.clone()
    }
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
