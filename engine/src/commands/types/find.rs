//! Finds the type that a name means.

use crate::session::Session;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::SymbolProvider;
use dumpscope_symbols::types::{TypeId, TypeProvider, builtin, size_of};
use std::sync::Arc;

/// A type with the source that knows it.
pub(super) struct Found {
    provider: Option<Arc<dyn SymbolProvider>>,
    machine: Machine,
    module: Option<usize>,
    pub(super) id: TypeId,
    /// Name without its module.
    pub(super) name: String,
    /// Sizes of all definitions, smallest first, when they differ; else empty.
    pub(super) sizes: Vec<u64>,
}

/// Finds `module!name`, or `name` in all modules; last among the built-in layouts. Modules whose symbols were not
/// loaded yet are loaded.
pub(super) fn find(session: &Session, text: &str) -> Option<Found> {
    let symbols = &session.target.symbols;
    let machine = session.sel.machine;
    let (modules, name) = match text.split_once('!') {
        Some((module, name)) => (symbols.modules_named(module), name),
        None => ((0..symbols.modules().len()).collect(), text),
    };
    for exact in [true, false] {
        for &module in &modules {
            for provider in symbols.providers(module).iter() {
                let Some(types) = provider.types() else { continue };
                let mut ids = types.find_type(name, !exact);
                if ids.is_empty() {
                    continue;
                }
                ids.sort_by_key(|id| (size_of(types, *id).unwrap_or(0), *id));
                let mut sizes: Vec<u64> = ids.iter().map(|id| size_of(types, *id).unwrap_or(0)).collect();
                sizes.dedup();
                let id = *ids.last()?;
                let sizes = if sizes.len() > 1 { sizes } else { Vec::new() };
                let provider = Some(Arc::clone(provider));
                return Some(Found {
                    provider,
                    machine,
                    module: Some(module),
                    id,
                    name: name.to_owned(),
                    sizes,
                });
            }
        }
    }
    let id = *builtin(machine).find_type(name, true).first()?;
    let module = modules.first().copied().filter(|_| text.contains('!'));
    Some(Found { provider: None, machine, module, id, name: name.to_owned(), sizes: Vec::new() })
}

impl Found {
    pub(super) fn types(&self) -> &dyn TypeProvider {
        self.provider.as_deref().and_then(|p| p.types()).unwrap_or_else(|| builtin(self.machine))
    }

    pub(super) fn is_built_in(&self) -> bool {
        self.provider.is_none()
    }

    pub(super) fn module_name(&self, session: &Session) -> Option<String> {
        Some(session.target.symbols.modules().get(self.module?)?.name.clone())
    }

    /// Address of a static member, and whether it has storage: WinDbg shows one without storage at its module's
    /// base.
    pub(super) fn static_member(&self, session: &Session, class: &str, name: &str) -> (Option<Va>, bool) {
        let Some(module) = self.module.and_then(|m| session.target.symbols.modules().get(m)) else {
            return (None, false);
        };
        let symbols = self.provider.as_ref().map(|p| p.by_name(&format!("{class}::{name}"), false));
        match symbols.unwrap_or_default().first() {
            Some(s) => (Some(s.rva.va(module.base)), true),
            None => (Some(module.base), false),
        }
    }
}
