//! A session: the target and what is selected in it.

use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, ThreadIdx};
use std::sync::Arc;

/// Which WinDbg's layout output has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Layout {
    /// The layout of `shared/article` (2016 and before): the default.
    #[default]
    Classic,
    /// The layout of WinDbg 2023: frame numbers, wider columns.
    Modern,
}

/// What is selected: small and cloneable, so that a command can run in a worker on a clone.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Current thread; `None` when the dump has none.
    pub thread: Option<ThreadIdx>,
    /// Selected row of the stack (`.frame`).
    pub frame: u32,
    /// Effective machine (`.effmach`).
    pub machine: Machine,
    /// Context set by `.ecxr` or `.cxr`; replaces the thread's.
    pub context: Option<Context>,
    /// Default number base: 16, 10 or 8.
    pub radix: u32,
    /// Layout of output.
    pub layout: Layout,
    /// `.kframes`.
    pub max_frames: usize,
}

/// One dump in use.
#[derive(Debug, Clone)]
pub struct Session {
    /// Path of the dump as the user gave it.
    pub path: String,
    /// The dump and its symbols.
    pub target: Arc<Target>,
    /// What is selected.
    pub sel: Selection,
    /// Asked to stop.
    pub cancel: Cancel,
}
