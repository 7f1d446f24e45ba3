//! Batch triage: dumps in, one document with verdicts out.
//!
//! [`triage`] is the library's entry: give it files, folders and patterns, get a [`Document`] of plain data.
//! [`triage_each`] hands out the rows as they become ready, in the order of the inputs, so that thousands of dumps
//! need the memory of a few. The same input gives the same document, whatever the
//! number of jobs.
//!
//! ```no_run
//! use dumpscope_engine::batch::{TriageOptions, triage};
//! let document = triage(&["app.dmp".into()], &TriageOptions::default(), &|_| {});
//! let lines: Vec<String> = document
//!     .dumps
//!     .iter()
//!     .map(|dump| match (&dump.verdict, &dump.error) {
//!         (Some(verdict), _) => format!("{}: {}", dump.path, verdict.summary),
//!         (None, Some(error)) => format!("{}: {}", dump.path, error.message),
//!         (None, None) => dump.path.clone(),
//!     })
//!     .collect();
//! ```

mod bounds;
mod each;
mod incidents;
mod inputs;
pub(crate) mod one;
pub(crate) mod rows;
mod script;
mod worker;

pub use each::triage_each;
pub use incidents::Incidents;
pub use inputs::{Input, LeftOut, files_of, find_dumps, once_each};
pub use one::{describe_target, triage_target};
pub use worker::{Progressed, Tables, Workers, grace, own_path, serve, worker_main};

use crate::document::{Buckets, Document, settle};
use crate::known::KnownIssues;
use crate::redact::Redactor;
use dumpscope_analyzers::Cancel;
use dumpscope_analyzers::Target;
use dumpscope_analyzers::hint_table::HintTable;
use dumpscope_analyzers::patterns::Patterns;
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How to triage.
#[derive(Clone, Debug, Default)]
pub struct TriageOptions {
    /// Where symbols and images are looked for.
    pub symbols: SymbolConfig,
    /// Patterns of waits; `None`: the built-in ones.
    pub patterns: Option<Arc<Patterns>>,
    /// What arguments of well-known functions mean; `None`: the built-in table.
    pub hints: Option<Arc<HintTable>>,
    /// Known issues; `None`: the built-in ones.
    pub known: Option<Arc<KnownIssues>>,
    /// Takes out of the rows what is private.
    pub redact: Option<Redactor>,
    /// Dumps analyzed at the same time; 0 takes one for each processor.
    pub jobs: usize,
    /// Time for one dump. When it is used up the row holds what was found so far, with a warning.
    pub budget: Option<Duration>,
    /// Stops everything: the dumps that were not begun get error rows of kind `stopped`.
    pub cancel: Cancel,
    /// Child processes that do the work, so that a dump which ends its process, hangs or takes all memory costs one
    /// row. `None`, and wherever something is redacted: it is done in this process. With them a dump that takes longer
    /// than the budget and a grace is given up.
    pub workers: Option<Workers>,
}

impl TriageOptions {
    /// An open dump with these symbols and tables.
    #[must_use]
    pub fn target(&self, dump: Dump) -> Target {
        self.shared_target(Arc::new(dump))
    }

    /// As [`TriageOptions::target`], for a dump that others use too.
    #[must_use]
    pub fn shared_target(&self, dump: Arc<Dump>) -> Target {
        let mut target = Target::shared(dump, self.symbols.clone());
        if let Some(patterns) = &self.patterns {
            target.set_patterns(patterns.clone());
        }
        if let Some(hints) = &self.hints {
            target.set_hints(hints.clone());
        }
        target
    }
}

/// How far the work is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A dump was begun.
    Begun {
        /// Its position in the list.
        index: usize,
    },
    /// A packed dump is being unpacked.
    Unpacking {
        /// Its position in the list.
        index: usize,
        /// Bytes of the packed file read so far.
        done: u64,
        /// Bytes of the packed file.
        total: u64,
    },
    /// A file comes from a symbol server.
    Download {
        /// Position in the list of the dump that needs it.
        index: usize,
        /// The file. Untrusted.
        file: String,
        /// Bytes so far.
        done: u64,
        /// All bytes, when known.
        total: Option<u64>,
    },
    /// A dump is finished.
    Finished {
        /// Its position in the list.
        index: usize,
    },
}

/// Takes notes on how far the work is, from any thread.
pub type Observer<'a> = &'a (dyn Fn(Progress) + Sync);

/// Analyzes the dumps that `paths` lead to (see [`find_dumps`]). A dump that cannot be analyzed, and a path that
/// leads to none, gives an error row; nothing here fails as a whole. A file named twice gives one row.
pub fn triage(paths: &[PathBuf], options: &TriageOptions, observer: Observer<'_>) -> Document {
    let mut left = LeftOut::default();
    let inputs: Vec<Input> = once_each(paths.iter().flat_map(|p| find_dumps(p, &mut left)).collect());
    let mut document = Document::new();
    let mut buckets = Buckets::default();
    let mut incidents = Incidents::default();
    triage_each(&inputs, options, observer, &mut |row| {
        buckets.add(&row);
        incidents.add(&row);
        document.dumps.push(row);
    });
    document.buckets = buckets.rows();
    let mut incidents = incidents.rows();
    if let Some(redactor) = &options.redact {
        redactor.incidents(&mut incidents);
    }
    settle(&mut document.dumps, &incidents);
    document.incidents = Some(incidents);
    document
}
