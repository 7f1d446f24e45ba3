//! What every analysis receives.

use crate::hint_table::HintTable;
use crate::memo::Memo;
use crate::model::ForeignDump;
use crate::patterns::Patterns;
use dumpscope_core::memory::ImageSection;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::unwind::UnwindCache;
use dumpscope_symbols::{SymbolConfig, SymbolManager};
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// In which generation of the symbol configuration a module's image file was looked for, to fill holes in
    /// the dump's memory; 0: never.
    mapped: Vec<AtomicU64>,
    /// What is known of a dump of another system; empty until somebody asks.
    pub(crate) foreign: OnceLock<Option<ForeignDump>>,
    /// What analyses have worked out.
    memo: Memo,
    /// Patterns of waits; the built-in ones are parsed when they are first asked for: many commands need none.
    patterns: OnceLock<Arc<Patterns>>,
    /// What arguments of well-known functions mean; parsed when first asked for, too.
    hints: OnceLock<Arc<HintTable>>,
}

impl Target {
    /// Joins a dump with a symbol configuration; nothing is loaded yet.
    #[must_use]
    pub fn new(dump: Dump, config: SymbolConfig) -> Target {
        Target::shared(Arc::new(dump), config)
    }

    /// As [`Target::new`], for a dump that others use too (with another symbol configuration).
    #[must_use]
    pub fn shared(dump: Arc<Dump>, config: SymbolConfig) -> Target {
        let memory: Arc<dyn ReadMemory> = dump.memory().clone();
        let symbols = SymbolManager::new(dump.modules().to_vec(), memory, config);
        let mapped = symbols.modules().iter().map(|_| AtomicU64::new(0)).collect();
        Target {
            dump,
            symbols,
            unwind: UnwindCache::default(),
            mapped,
            foreign: OnceLock::new(),
            memo: Memo::default(),
            patterns: OnceLock::new(),
            hints: OnceLock::new(),
        }
    }

    /// Uses other patterns of waits than the built-in ones.
    pub fn set_patterns(&mut self, patterns: Arc<Patterns>) {
        self.patterns = OnceLock::from(patterns);
        self.memo = Memo::default();
    }

    /// Patterns of waits.
    #[must_use]
    pub fn patterns(&self) -> &Patterns {
        self.patterns.get_or_init(Patterns::built_in)
    }

    /// Uses another table of what arguments mean than the built-in one.
    pub fn set_hints(&mut self, hints: Arc<HintTable>) {
        self.hints = OnceLock::from(hints);
        self.memo = Memo::default();
    }

    /// What arguments of well-known functions mean, and names of GUIDs.
    #[must_use]
    pub fn hints(&self) -> &HintTable {
        self.hints.get_or_init(HintTable::built_in)
    }

    /// Makes the code and constants of the module at `va` readable when the dump does not hold them and its
    /// image file is on the image path or the symbol path. Tried once for each module and configuration; cheap
    /// afterwards.
    pub fn map_image(&self, va: Va) {
        let Some(index) = self.symbols.module_at(va) else { return };
        let (Some(tried), Some(module)) = (self.mapped.get(index), self.symbols.modules().get(index)) else {
            return;
        };
        let now = self.symbols.generation();
        if tried.swap(now, Ordering::AcqRel) == now {
            return;
        }
        let memory = self.dump.memory();
        if memory.u8(module.base).is_some() && memory.u8(va).is_some() {
            return;
        }
        let Some(image) = self.symbols.image(index) else { return };
        let parts = image.parts(module.base).into_iter();
        let sections: Vec<_> = parts.map(|p| ImageSection { rva: p.rva, bytes: p.bytes }).collect();
        memory.add_image(module.base, &sections);
    }

    /// Architecture of the process itself: x86 for a 32-bit process in a 64-bit dump.
    #[must_use]
    pub fn process_machine(&self) -> Machine {
        if self.dump.is_wow64() { Machine::X86 } else { self.dump.machine() }
    }

    /// `module!name+0x12` of an address, as the process itself sees it; `None` when no module holds it. Not escaped.
    #[must_use]
    pub fn name_of(&self, va: Va) -> Option<String> {
        self.symbols.format(va, self.process_machine()).or_else(|| {
            let (module, offset) = self.unloaded_at(va)?;
            Some(if offset == 0 { module } else { format!("{module}+0x{offset:x}") })
        })
    }

    /// The unloaded module that was at `va`, as WinDbg writes it (`<Unloaded_plugin.dll>`), and the offset in it.
    /// `None` where a module is loaded now. Not escaped.
    #[must_use]
    pub fn unloaded_at(&self, va: Va) -> Option<(String, u64)> {
        if self.symbols.module_at(va).is_some() {
            return None;
        }
        let module = self.dump.unloaded_at(va)?;
        let name = module.name.rsplit(['\\', '/']).next().unwrap_or_default();
        Some((format!("<Unloaded_{name}>"), va.distance_from(module.base)?))
    }

    /// What an analysis keeps in a type of its own, as long as the symbols stay the same; fresh at the first question.
    pub(crate) fn memo<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.memo.of(self.symbols.generation())
    }

    /// True under Wine: its ntdll exports what Windows' has not.
    #[must_use]
    pub fn is_wine(&self) -> bool {
        let ntdll = self.symbols.modules_named("ntdll");
        ntdll.into_iter().any(|m| !self.symbols.by_name(Some(m), "wine_get_version").is_empty())
    }
}
