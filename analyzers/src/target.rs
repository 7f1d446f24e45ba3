//! What every analysis receives.

use crate::foreign::{ForeignDump, read_foreign};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory};
use dumpscope_symbols::unwind::UnwindCache;
use dumpscope_symbols::{SymbolConfig, SymbolManager};
use std::sync::{Arc, OnceLock};

/// An open dump and the symbols of its modules. Immutable and shareable; the symbol manager changes inside.
#[derive(Debug)]
pub struct Target {
    /// The dump.
    pub dump: Arc<Dump>,
    /// Symbols of its modules, in the order of [`Dump::modules`].
    pub symbols: SymbolManager,
    /// Image headers that stack walks have read.
    pub unwind: UnwindCache,
    /// What is known of a dump of another system; empty until somebody asks.
    foreign: OnceLock<Option<ForeignDump>>,
}

impl Target {
    /// Joins a dump with a symbol configuration; nothing is loaded yet.
    #[must_use]
    pub fn new(dump: Dump, config: SymbolConfig) -> Target {
        let dump = Arc::new(dump);
        let memory: Arc<dyn ReadMemory> = dump.memory().clone();
        let symbols = SymbolManager::new(dump.modules().to_vec(), memory, config);
        Target { dump, symbols, unwind: UnwindCache::default(), foreign: OnceLock::new() }
    }

    /// Architecture of the process itself: x86 for a 32-bit process in a 64-bit dump.
    #[must_use]
    pub fn process_machine(&self) -> Machine {
        if self.dump.is_wow64() { Machine::X86 } else { self.dump.machine() }
    }

    /// What another reader says of a dump of Linux, macOS or another system; `None` for Windows dumps, and when
    /// that reader cannot read it.
    #[must_use]
    pub fn foreign(&self) -> Option<&ForeignDump> {
        self.foreign.get_or_init(|| read_foreign(self)).as_ref()
    }
}
