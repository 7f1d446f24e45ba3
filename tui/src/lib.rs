//! WinDbg's windows in a terminal: panes that show what the engine's commands return.
//!
//! [`state::State`] is all that the program knows; [`update::update`] applies a [`msg::Msg`] to it and says what to
//! do; [`view::view`] draws it. All three are plain code without terminal, thread or file; [`run`] is the rest. A
//! pane is a command line of the engine with a rule when to run it anew: nothing is analyzed here.
#![forbid(unsafe_code)]

pub mod complete;
pub mod config;
pub mod fuzzy;
pub mod graph;
pub mod input;
pub mod key;
pub mod keymap;
pub mod layout;
pub mod msg;
pub mod panes;
mod runtime;
pub mod state;
pub mod text;
pub mod update;
pub mod view;
pub mod work;
mod wrap;

pub use runtime::{Demo, Workers, sessions};
pub use runtime::{Options, Stopper, Symbols, run};
