//! The table of runtimes. A new one is a folder and a row.

use crate::{Process, Reader, dotnet, java, named, ruby};
use std::sync::Arc;

/// A runtime found in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Index of its module in [`Process::modules`].
    pub module: usize,
    /// True when only the module's name and version tell: its image is not readable.
    pub by_name: bool,
}

/// A kind of runtime.
#[derive(Debug)]
pub struct Kind {
    /// As in [`crate::Runtime::name`].
    pub name: &'static str,
    /// True for the file name that such a module usually has.
    pub is_file: fn(&str) -> bool,
    /// Finds all of them in a process; by exports, whatever the module is called.
    pub recognise: fn(&Process) -> Vec<Recognised>,
    /// Makes the reader. Reads little; the rest is read when asked for.
    pub open: fn(&Arc<Process>, &Recognised) -> Arc<dyn Reader>,
}

/// All of them.
pub const RUNTIMES: &[Kind] = &[
    dotnet::KIND,
    java::KIND,
    ruby::KIND,
    named::FRAMEWORK_KIND,
    named::MONO_KIND,
    named::AHEAD_OF_TIME_KIND,
];

/// Most runtimes of one process that are read.
const MAX_RUNTIMES: usize = 16;

/// True for the file name of a module that may hold a runtime: its image is worth looking for.
#[must_use]
pub fn is_runtime_file(name: &str) -> bool {
    RUNTIMES.iter().any(|kind| (kind.is_file)(name))
}

/// Finds the runtimes of a process, in table order, then module order.
#[must_use]
pub fn find(process: &Arc<Process>) -> Vec<Arc<dyn Reader>> {
    let all = RUNTIMES.iter().flat_map(|kind| {
        (kind.recognise)(process).into_iter().map(move |found| (kind.open)(process, &found))
    });
    all.take(MAX_RUNTIMES).collect()
}
