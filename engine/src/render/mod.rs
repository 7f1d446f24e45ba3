//! Renderings of reports: plain or coloured text, JSON.

mod ansi;
mod guard;
mod indent;
mod json;
mod text;

pub use ansi::sgr;
pub use guard::Guarded;
pub(crate) use indent::write_indented;
pub use json::{JsonSink, JsonWriter, exec_schema};
pub use text::TextSink;
