//! Symbols of all modules of a process, loaded when they are first asked for.

use crate::provider::{InlineSite, SourceLine, Symbol, SymbolProvider, SymbolSource};
use dumpscope_core::{ModuleInfo, ReadMemory, Va};
use std::path::PathBuf;
use std::sync::Arc;

/// Where symbols and images are looked for.
#[derive(Clone, Debug, Default)]
pub struct SymbolConfig {
    /// Symbol path in WinDbg's syntax; empty means "none".
    pub symbol_path: String,
    /// Image path, `;`-separated folders.
    pub image_path: String,
    /// Cache folder for downloads; `None` takes the user's cache folder.
    pub cache: Option<PathBuf>,
    /// Never use the network.
    pub offline: bool,
}

/// What is known of a module's symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SymbolState {
    /// Nobody asked yet.
    Deferred,
    /// Loaded; the best source, and the file when it is one.
    Loaded(SymbolSource, Option<String>),
    /// Looked for and not found; a line that says what was looked for and where.
    NotFound(String),
}

/// An address with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Index of the module in [`SymbolManager::modules`].
    pub module: usize,
    /// The symbol; `None` when the module has no name for the address.
    pub symbol: Option<Symbol>,
    /// Bytes from the symbol's start, or from the module's base without a symbol.
    pub displacement: u64,
}

/// All modules of a process with their symbol files.
#[derive(Debug)]
pub struct SymbolManager {
    modules: Vec<ModuleInfo>,
}

impl SymbolManager {
    /// Symbols for `modules`; nothing is read yet.
    pub fn new(modules: Vec<ModuleInfo>, memory: Arc<dyn ReadMemory>, config: SymbolConfig) -> SymbolManager {
        let _ = (memory, config);
        SymbolManager { modules }
    }

    /// The modules, in the dump's order.
    pub fn modules(&self) -> &[ModuleInfo] {
        &self.modules
    }

    /// Index of the module that holds `va`.
    pub fn module_at(&self, va: Va) -> Option<usize> {
        self.modules.iter().position(|m| m.contains(va))
    }

    /// Indexes of the modules with this WinDbg name (any letter case) or file name.
    pub fn modules_named(&self, name: &str) -> Vec<usize> {
        (0..self.modules.len())
            .filter(|&i| {
                self.modules.get(i).is_some_and(|m| {
                    m.name.eq_ignore_ascii_case(name) || m.file_name.eq_ignore_ascii_case(name)
                })
            })
            .collect()
    }

    /// What is known of a module's symbols, without loading anything.
    pub fn state(&self, module: usize) -> SymbolState {
        let _ = module;
        SymbolState::Deferred
    }

    /// Loads a module's symbols if that has not been done, and gives its sources, best first.
    pub fn providers(&self, module: usize) -> Arc<[Arc<dyn SymbolProvider>]> {
        let _ = module;
        Arc::new([])
    }

    /// Forgets what was loaded or not found (`.reload`), for one module or all.
    pub fn reload(&self, module: Option<usize>) {
        let _ = module;
    }

    /// The configuration in force.
    pub fn config(&self) -> SymbolConfig {
        SymbolConfig::default()
    }

    /// Changes the configuration; what was found stays, what was not found is looked for again.
    pub fn set_config(&self, config: SymbolConfig) {
        let _ = config;
    }

    /// Name of an address. `None` when no module holds it.
    pub fn resolve(&self, va: Va) -> Option<Resolved> {
        let module = self.module_at(va)?;
        let displacement = va.distance_from(self.modules.get(module)?.base)?;
        Some(Resolved { module, symbol: None, displacement })
    }

    /// The next symbol above `va` in its module.
    pub fn next_after(&self, va: Va) -> Option<Symbol> {
        let _ = va;
        None
    }

    /// Source line of `va` in the outermost function.
    pub fn line(&self, va: Va) -> Option<SourceLine> {
        let _ = va;
        None
    }

    /// Inlined calls that cover `va`, innermost first.
    pub fn inlines(&self, va: Va) -> Vec<InlineSite> {
        let _ = va;
        Vec::new()
    }

    /// x86 frame data for `va`.
    pub fn frame_data(&self, va: Va) -> Option<crate::unwind::FrameData> {
        let _ = va;
        None
    }

    /// Symbols by exact name, best source first: `module` limits the search to one module.
    pub fn by_name(&self, module: Option<usize>, name: &str) -> Vec<(usize, Symbol)> {
        let _ = (module, name);
        Vec::new()
    }

    /// `module!name+0x12`, `module+0x12` or nothing.
    pub fn format(&self, va: Va) -> Option<String> {
        let r = self.resolve(va)?;
        let module = &self.modules.get(r.module)?.name;
        Some(match (&r.symbol, r.displacement) {
            (Some(s), 0) => format!("{module}!{}", s.name),
            (Some(s), d) => format!("{module}!{}+0x{d:x}", s.name),
            (None, 0) => module.clone(),
            (None, d) => format!("{module}+0x{d:x}"),
        })
    }
}
