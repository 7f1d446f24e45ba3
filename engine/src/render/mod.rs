//! Renderings of reports: plain or coloured text, JSON.

mod ansi;
mod json;
mod text;

pub use ansi::sgr;
pub use json::JsonSink;
pub use text::TextSink;
