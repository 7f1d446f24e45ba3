//! Names, lines, types and unwinding for the modules of a Windows process.
//!
//! Takes memory through [`dumpscope_core::ReadMemory`] and modules as [`dumpscope_core::ModuleInfo`]; knows no
//! dump. Network access is behind one feature. Every answer names its source.
#![forbid(unsafe_code)]

pub mod demangle;
pub mod file;
pub mod image;
pub mod locate;
pub mod manager;
pub mod provider;
pub mod store;
pub mod types;
pub mod unwind;

pub use manager::{Resolved, SymbolConfig, SymbolManager, SymbolState, wrapped};
pub use provider::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolProvider, SymbolSource};
pub use unwind::{EndReason, Frame, Limits, Trust, UnwindIssue, Walk};
