//! Words to actions: session, command registry, command language, expressions, output model, JSON documents.
//!
//! [`run_line`] is the one entry for the TUI's command window, `exec`, scripts and tests. A command builds a typed
//! report; text, styled spans and JSON are renderings of it. No terminal, no clap, no printing.
#![forbid(unsafe_code)]

pub mod batch;
pub mod command;
mod commands;
pub mod diff;
pub mod doc;
pub mod document;
mod dx;
pub mod expr;
pub mod files;
pub mod fmt;
pub mod forms;
pub mod host;
mod image;
pub mod known;
pub mod lang;
mod natvis;
pub mod redact;
pub mod render;
mod run;
pub mod session;
pub mod shrink;
pub mod tables;

pub use command::{COMMANDS, Command, CommandError, Invocation, Needs};
pub use commands::win32_names;
pub use doc::{Answer, Line, Link, Part, RenderCx, Report, Role, Sink, Span};
pub use host::{Host, HostError};
pub use render::{Guarded, JsonSink, JsonWriter, TextSink};
pub use run::{LineStatus, panic_text, run_line};
pub use session::{Layout, Selection, Session};
