//! Types of one source.

use dumpscope_core::Machine;
use dumpscope_symbols::SymbolProvider;
use dumpscope_symbols::types::{TypeProvider, builtin, win32};
use std::sync::Arc;

/// Types of one source: those of a symbol file, or dumpscope's own. Type ids are only good with their source.
#[derive(Clone, Debug)]
pub struct TypeSet {
    provider: Option<Arc<dyn SymbolProvider>>,
    machine: Machine,
    module: Option<usize>,
    /// Of the Win32 table, when no file has them.
    win32: bool,
}

impl TypeSet {
    /// The types of a module's symbol file; `module` is its index.
    #[must_use]
    pub fn of(provider: &Arc<dyn SymbolProvider>, machine: Machine, module: usize) -> TypeSet {
        TypeSet { provider: Some(Arc::clone(provider)), machine, module: Some(module), win32: false }
    }

    /// dumpscope's own layouts; `module` is the one that they were asked for.
    #[must_use]
    pub fn built_in(machine: Machine, module: Option<usize>) -> TypeSet {
        TypeSet { provider: None, machine, module, win32: false }
    }

    /// The types of the Win32 table.
    #[must_use]
    pub fn win32(machine: Machine) -> TypeSet {
        TypeSet { provider: None, machine, module: None, win32: true }
    }

    /// The types.
    #[must_use]
    pub fn types(&self) -> &dyn TypeProvider {
        let own = || if self.win32 { win32(self.machine) } else { builtin(self.machine) };
        self.provider.as_deref().and_then(|p| p.types()).unwrap_or_else(own)
    }

    /// True for dumpscope's own layouts and those of the Win32 table.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.provider.is_none()
    }

    /// Index of the module that the types are of.
    #[must_use]
    pub fn module(&self) -> Option<usize> {
        self.module
    }

    /// The symbol file.
    #[must_use]
    pub fn provider(&self) -> Option<&Arc<dyn SymbolProvider>> {
        self.provider.as_ref()
    }

    /// In whose view it was asked for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }
}
