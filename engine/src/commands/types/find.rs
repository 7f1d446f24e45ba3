//! Finds the type that a name means.

use crate::session::Session;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::types::{TypeId, TypeProvider, builtin, size_of};
use dumpscope_symbols::{SymbolProvider, SymbolState};
use std::sync::Arc;

/// Types of one source: those of a symbol file, or dumpscope's own.
#[derive(Clone, Debug)]
pub(crate) struct TypeSet {
    provider: Option<Arc<dyn SymbolProvider>>,
    machine: Machine,
    module: Option<usize>,
}

impl TypeSet {
    /// The types of a module's symbol file.
    pub(crate) fn of(provider: &Arc<dyn SymbolProvider>, machine: Machine, module: usize) -> TypeSet {
        TypeSet { provider: Some(Arc::clone(provider)), machine, module: Some(module) }
    }

    /// dumpscope's own layouts.
    pub(crate) fn built_in(machine: Machine) -> TypeSet {
        TypeSet { provider: None, machine, module: None }
    }

    pub(crate) fn types(&self) -> &dyn TypeProvider {
        self.provider.as_deref().and_then(|p| p.types()).unwrap_or_else(|| builtin(self.machine))
    }

    pub(crate) fn is_built_in(&self) -> bool {
        self.provider.is_none()
    }

    /// WinDbg's name of the module that the types are of.
    pub(crate) fn module_name<'a>(&self, session: &'a Session) -> Option<&'a str> {
        Some(session.target.symbols.name_in(self.module?, self.machine))
    }

    /// Address of a static member, and whether it has storage: WinDbg shows one without storage at its module's
    /// base.
    pub(crate) fn static_member(&self, session: &Session, class: &str, name: &str) -> (Option<Va>, bool) {
        let Some(module) = self.module.and_then(|m| session.target.symbols.modules().get(m)) else {
            return (None, false);
        };
        let symbols = self.provider.as_ref().map(|p| p.by_name(&format!("{class}::{name}"), false));
        match symbols.unwrap_or_default().first() {
            Some(s) => (Some(s.rva.va(module.base)), true),
            None => (Some(module.base), false),
        }
    }

    /// The definitions with a name; of the exact letter case if there are any.
    fn named(&self, name: &str, ignore_case: bool) -> Vec<TypeId> {
        let mut ids = self.types().find_type(name, ignore_case);
        ids.sort_by_key(|id| (size_of(self.types(), *id).unwrap_or(0), *id));
        ids
    }
}

/// A type with the source that knows it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) set: TypeSet,
    /// The largest of the definitions.
    pub(crate) id: TypeId,
    /// Name without its module.
    pub(crate) name: String,
    /// Sizes of all definitions, smallest first, when they differ; else empty.
    pub(crate) sizes: Vec<u64>,
}

/// Finds `module!name`, or `name` in any module; last among the built-in layouts.
///
/// A name without a module is looked for in the module of the selected frame, then in those whose symbols are loaded.
/// The symbols of the other modules are loaded one after the other only when the name is none of the built-in ones:
/// for those ntdll's symbols decide.
pub(crate) fn find(session: &Session, text: &str) -> Option<Found> {
    let symbols = &session.target.symbols;
    let machine = session.sel.machine;
    let (module, name) = match text.split_once('!') {
        Some((module, name)) => (Some(module).filter(|m| !m.is_empty()), name),
        None => (None, text),
    };
    if name.is_empty() {
        return None;
    }
    let own = builtin(machine).find_type(name, true).first().copied();
    let modules = match module {
        Some(module) => symbols.modules_named_in(module, machine),
        None => {
            let mut first: Vec<usize> = Vec::new();
            first.extend(session.scope_module());
            let all = 0..symbols.modules().len();
            first.extend(all.clone().filter(|&i| symbols.state(i) != SymbolState::Deferred));
            first.extend(symbols.modules_named_in("ntdll", machine));
            first.dedup();
            if own.is_none() {
                first.extend(all);
            }
            first
        }
    };
    let mut seen = Vec::new();
    for index in modules.iter().copied() {
        if session.cancel.is_cancelled() {
            return None;
        }
        if !seen.contains(&index) {
            seen.push(index);
            if let Some(found) = in_module(session, index, name) {
                return Some(found);
            }
        }
    }
    let set = TypeSet { module: module.and(modules.first().copied()), ..TypeSet::built_in(machine) };
    Some(Found { set, id: own?, name: name.to_owned(), sizes: Vec::new() })
}

fn in_module(session: &Session, index: usize, name: &str) -> Option<Found> {
    let providers = session.target.symbols.providers(index);
    for ignore_case in [false, true] {
        for provider in providers.iter().filter(|p| p.types().is_some()) {
            let set = TypeSet::of(provider, session.sel.machine, index);
            let ids = set.named(name, ignore_case);
            let Some(id) = ids.last().copied() else { continue };
            let mut sizes: Vec<u64> = ids.iter().map(|id| size_of(set.types(), *id).unwrap_or(0)).collect();
            sizes.dedup();
            if sizes.len() < 2 {
                sizes.clear();
            }
            return Some(Found { set, id, name: name.to_owned(), sizes });
        }
    }
    None
}
