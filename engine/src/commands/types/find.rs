//! Finds the type that a name means.

use crate::expr::TypeSet;
use crate::expr::cpp::Ty;
use crate::session::Session;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::SymbolState;
use dumpscope_symbols::types::{Type, TypeId, builtin, size_of};

/// WinDbg's name of the module that the types are of.
pub(crate) fn module_name<'a>(session: &'a Session, set: &TypeSet) -> Option<&'a str> {
    Some(session.target.symbols.name_in(set.module()?, set.machine()))
}

/// Address of a static member, and whether it has storage: WinDbg shows one without storage at its module's base.
pub(crate) fn static_member(session: &Session, set: &TypeSet, class: &str, name: &str) -> (Option<Va>, bool) {
    let Some(module) = set.module().and_then(|m| session.target.symbols.modules().get(m)) else {
        return (None, false);
    };
    let symbols = set.provider().map(|p| p.by_name(&format!("{class}::{name}"), false));
    match symbols.unwrap_or_default().first() {
        Some(s) => (Some(s.rva.va(module.base)), true),
        None => (Some(module.base), false),
    }
}

/// The definitions with a name, smallest first.
fn named(set: &TypeSet, name: &str, ignore_case: bool) -> Vec<TypeId> {
    let mut ids = set.types().find_type(name, ignore_case);
    ids.sort_by_key(|id| (size_of(set.types(), *id).unwrap_or(0), *id));
    ids
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

/// Finds `module!name`, or `name` in any module; last among the built-in layouts and, when no module is named or it is `win32`,
/// in the Win32 table.
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
    if module == Some(WIN32) && symbols.modules_named_in(WIN32, machine).is_empty() {
        return in_table(machine, name);
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
    let Some(id) = own else {
        // A name of another module is of that module only.
        return if module.is_none() { in_table(machine, name) } else { None };
    };
    let set = TypeSet::built_in(machine, module.and(modules.first().copied()));
    Some(Found { set, id, name: name.to_owned(), sizes: Vec::new() })
}

/// The module that stands for the Win32 table.
pub(crate) const WIN32: &str = "win32";

/// A type of the Win32 table.
fn in_table(machine: Machine, name: &str) -> Option<Found> {
    let set = TypeSet::win32(machine);
    [false, true].into_iter().find_map(|ignore_case| of_names(set.clone(), name, ignore_case))
}

/// The largest definition of a name in a set of types.
fn of_names(set: TypeSet, name: &str, ignore_case: bool) -> Option<Found> {
    let ids = named(&set, name, ignore_case);
    let id = ids.last().copied()?;
    let mut sizes: Vec<u64> = ids.iter().map(|id| size_of(set.types(), *id).unwrap_or(0)).collect();
    sizes.dedup();
    if sizes.len() < 2 {
        sizes.clear();
    }
    Some(Found { set, id, name: name.to_owned(), sizes })
}

/// Most enumerations that are looked through for a name.
const MAX_ENUMS: usize = 1 << 14;

/// The enumeration with a value of this name (`module!name`, or `name` in the module of the selected frame and those that
/// are loaded), and the value.
pub(crate) fn enumerator(session: &Session, text: &str) -> Option<(Ty, u64)> {
    let symbols = &session.target.symbols;
    let machine = session.sel.machine;
    let (module, name) = match text.split_once('!') {
        Some((module, name)) => (Some(module).filter(|m| !m.is_empty()), name),
        None => (None, text),
    };
    let modules: Vec<usize> = match module {
        Some(module) => symbols.modules_named_in(module, machine),
        None => session.scope_module().into_iter().collect(),
    };
    for index in modules {
        for provider in symbols.providers(index).iter().filter(|p| p.types().is_some()) {
            let set = TypeSet::of(provider, machine, index);
            let types = set.types();
            let mut enums = Vec::new();
            types.each_type(&mut |id, _| {
                if matches!(types.get_type(id), Type::Enum { .. }) {
                    enums.push(id);
                }
                enums.len() < MAX_ENUMS && !session.cancel.is_cancelled()
            });
            for id in enums {
                if let Some(found) = types.enumerators(id).into_iter().find(|e| e.name == name) {
                    return Some((Ty { set, id, stars: 0, alias: None }, found.value as u64));
                }
            }
        }
    }
    None
}

fn in_module(session: &Session, index: usize, name: &str) -> Option<Found> {
    let providers = session.target.symbols.providers(index);
    for ignore_case in [false, true] {
        for provider in providers.iter().filter(|p| p.types().is_some()) {
            let set = TypeSet::of(provider, session.sel.machine, index);
            if let Some(found) = of_names(set, name, ignore_case) {
                return Some(found);
            }
        }
    }
    None
}
