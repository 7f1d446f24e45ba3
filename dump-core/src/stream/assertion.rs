//! AssertionInfoStream (0x47670002): a failed assertion, as Breakpad's handler was told.
//!
//! Layout: `MDRawAssertionInfo` of Breakpad's `minidump_format.h`: three texts of 128 UTF-16 units, line, type.

use super::{Stream, StreamCx, id};
use crate::bytes::utf16_text;
use crate::error::Parsed;

/// A failed assertion. Texts are untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assertion {
    /// What was not true.
    pub expression: String,
    /// Where.
    pub function: String,
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u32,
    /// 0 unknown, 1 invalid parameter of the C runtime, 2 a pure virtual call.
    pub kind: u32,
}

/// Bytes of a text.
const TEXT: usize = 256;

pub(crate) struct AssertionInfoStream;

impl Stream for AssertionInfoStream {
    const NUMBER: u32 = id::ASSERTION_INFO;
    const NAME: &'static str = "AssertionInfoStream";
    const ABOUT: &'static str = "Breakpad: a failed assertion";
    type Value = Assertion;

    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let mut c = cx.cursor();
        let mut read = || {
            let mut text = || c.take(TEXT).map(utf16_text);
            let (expression, function, file) = (text()?, text()?, text()?);
            Some(Assertion { expression, function, file, line: c.u32()?, kind: c.u32()? })
        };
        let found = read();
        if found.is_none() {
            cx.warn(Some(cx.entry.offset), "the stream is too small");
        }
        cx.done(found.unwrap_or_default())
    }

    fn summary(assertion: &Self::Value) -> String {
        assertion.expression.clone()
    }
}
