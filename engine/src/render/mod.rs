//! Renderings of reports: plain or coloured text, JSON.

mod ansi;
mod guard;
mod json;
mod text;

pub use ansi::sgr;
pub use guard::Guarded;
pub use json::{JsonSink, JsonWriter};
pub use text::TextSink;
