//! Child processes that analyze the dumps of a batch one after the other: a dump that ends its process, hangs or
//! takes all memory costs one row, and the others are there.
//!
//! A worker is told what a [`super::TriageOptions`] holds ([`wire::Setup`]), then one dump after the other, a line of
//! JSON each on its stdin; it answers on its stdout ([`wire::Said`]). It limits its own memory ([`limit`]) and leaves
//! when its stdin ends: it never outlives who started it. [`process`] is the side that asks, [`serve`] the side that works.

mod lane;
mod limit;
mod process;
mod serve;
mod short;
mod wire;

pub(super) use lane::Lane;
pub use serve::{Progressed, serve, worker_main};

use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Private memory of a worker where nobody says another limit, bytes.
const DEFAULT_MEMORY: u64 = 1 << 30;

/// True once [`worker_main`] was called: then a child of this very program is a worker.
static SERVES: AtomicBool = AtomicBool::new(false);

/// The argument by which [`worker_main`] knows that its program was started as a worker.
const ARGUMENT: &str = "dumpscope-worker";

/// How workers are started and what they may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// The program: one that calls [`worker_main`] first, or `dumpscope`.
    pub program: PathBuf,
    /// Its arguments: `worker` for `dumpscope`.
    pub args: Vec<OsString>,
    /// The tables of [`super::TriageOptions`] once more, as texts.
    pub tables: Tables,
    /// Private memory of each, bytes; the mapped dump does not count. `None`: no limit.
    pub memory: Option<u64>,
}

impl Workers {
    /// This very program, which calls [`worker_main`] first.
    ///
    /// # Errors
    /// The system does not tell where the program is, or the program did not call [`worker_main`]: its children would do
    /// what it does, and start children of their own.
    pub fn this_program() -> std::io::Result<Workers> {
        if !SERVES.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("this program does not call worker_main() first"));
        }
        Ok(Workers::new(own_path()?, [ARGUMENT.into()]))
    }

    /// A program with arguments, no tables and the default limit of memory.
    pub fn new(program: PathBuf, args: impl IntoIterator<Item = OsString>) -> Workers {
        Workers {
            program,
            args: args.into_iter().collect(),
            tables: Tables::default(),
            memory: Some(DEFAULT_MEMORY),
        }
    }
}

/// The running program's file, on Linux even after a newer version took its name.
///
/// # Errors
/// The system does not tell.
pub fn own_path() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    if cfg!(target_os = "linux") && !own.is_file() {
        return Ok(PathBuf::from(format!("/proc/{}/exe", std::process::id())));
    }
    Ok(own)
}

/// What the user laid over the built-in tables, as TOML texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// Patterns of waits.
    pub patterns: Option<String>,
    /// What arguments mean.
    pub hints: Option<String>,
    /// Known issues.
    pub known: Option<String>,
}

/// What a worker may take beyond the budget to write what it has: after that it is ended. A busy machine gets some
/// seconds for the smallest budget, too.
#[must_use]
pub fn grace(budget: Duration) -> Duration {
    let least = Duration::from_secs(3).saturating_sub(budget);
    Duration::from_millis(750).saturating_add(budget / 20).max(least)
}

#[cfg(test)]
mod tests;
