//! How dumps are opened and judged.

use dumpscope_analyzers::Cancel;
use dumpscope_engine::batch::TriageOptions;
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::time::Duration;

/// How dumps are opened and judged. Without symbols, network and limits unless they are set.
///
/// ```
/// let options = dumpscope::Options::new()
///     .symbol_path("srv*/var/symbols")
///     .budget(std::time::Duration::from_secs(30))
///     .jobs(2);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options {
    symbol_path: String,
    image_path: String,
    cache: Option<PathBuf>,
    budget: Option<Duration>,
    jobs: usize,
    cancel: Cancel,
}

impl Options {
    /// No symbols but what the dump itself holds, no limits.
    #[must_use]
    pub fn new() -> Options {
        Options::default()
    }

    /// Where symbols are looked for, in WinDbg's syntax. A URL in it is asked with the feature `net` only.
    #[must_use]
    pub fn symbol_path(mut self, path: impl Into<String>) -> Options {
        self.symbol_path = path.into();
        self
    }

    /// Where program files are looked for, in the same syntax.
    #[must_use]
    pub fn image_path(mut self, path: impl Into<String>) -> Options {
        self.image_path = path.into();
        self
    }

    /// Where files of servers go that have no store before them in the path.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Options {
        self.cache = Some(folder.into());
        self
    }

    /// Time for one dump of [`crate::triage`]: the best answer so far is given then.
    #[must_use]
    pub fn budget(mut self, time: Duration) -> Options {
        self.budget = Some(time);
        self
    }

    /// Dumps of [`crate::triage`] that are judged at the same time; 0 is one for each processor.
    #[must_use]
    pub fn jobs(mut self, jobs: usize) -> Options {
        self.jobs = jobs;
        self
    }

    /// What stops the work from another thread.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Options {
        self.cancel = cancel;
        self
    }

    /// The same for the engine.
    pub(crate) fn triage(&self) -> TriageOptions {
        TriageOptions {
            symbols: SymbolConfig {
                symbol_path: self.symbol_path.clone(),
                image_path: self.image_path.clone(),
                cache: self.cache.clone(),
                offline: cfg!(not(feature = "net")),
                store: client(),
                fresh: false,
            },
            budget: self.budget,
            jobs: self.jobs,
            cancel: self.cancel.clone(),
            ..TriageOptions::default()
        }
    }
}

/// The client that asks servers; without credentials.
#[cfg(feature = "net")]
fn client() -> Option<std::sync::Arc<dumpscope_symbols::store::Client>> {
    use dumpscope_symbols::store::{Auth, Client, Http, Policy, SystemClock, Unwatched};
    use std::sync::Arc;
    let policy = Policy::default();
    let http = Http::new(policy.connect).ok()?;
    Some(Arc::new(Client::new(
        Arc::new(http),
        Arc::new(SystemClock),
        policy,
        Auth::default(),
        Arc::new(Unwatched),
    )))
}

#[cfg(not(feature = "net"))]
fn client() -> Option<std::sync::Arc<dumpscope_symbols::store::Client>> {
    None
}
