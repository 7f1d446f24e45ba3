//! What every analysis receives.

use dumpscope_core::ReadMemory;
use dumpscope_core::model::Dump;
use dumpscope_symbols::{SymbolConfig, SymbolManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An open dump and the symbols of its modules. Immutable and shareable; the symbol manager changes inside.
#[derive(Debug)]
pub struct Target {
    /// The dump.
    pub dump: Arc<Dump>,
    /// Symbols of its modules, in the order of [`Dump::modules`].
    pub symbols: SymbolManager,
}

impl Target {
    /// Joins a dump with a symbol configuration; nothing is loaded yet.
    #[must_use]
    pub fn new(dump: Dump, config: SymbolConfig) -> Target {
        let dump = Arc::new(dump);
        let memory: Arc<dyn ReadMemory> = dump.memory().clone();
        let symbols = SymbolManager::new(dump.modules().to_vec(), memory, config);
        Target { dump, symbols }
    }
}

/// A request to stop, shared between who works and who waits.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True when somebody asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
