//! What `dt` is asked about: a type, a variable, or what lies at an address.

use super::{Found, find};
use crate::expr::TypeSet;
use crate::session::Session;
use dumpscope_analyzers::Scope;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::provider::variable::Location;
use dumpscope_symbols::types::{Type, TypeId, bare, cpp_name, size_of};
use dumpscope_symbols::{Symbol, SymbolState};

/// What a name means.
pub(super) enum Subject {
    /// A type.
    Type(Found),
    /// A variable or function.
    Object(Box<Object>),
}

/// A variable or function.
pub(crate) struct Object {
    pub(crate) set: TypeSet,
    pub(crate) id: TypeId,
    pub(crate) name: String,
    /// Its bytes; why they are not known.
    pub(crate) place: Result<Stored, &'static str>,
    /// WinDbg's line above a local variable. Untrusted.
    pub(crate) heading: Option<String>,
}

/// Finds what a name means: a local variable, a type, a global variable or function, in this order, as WinDbg does.
pub(super) fn subject(session: &Session, name: &str) -> Option<Subject> {
    if !name.contains('!')
        && let Some(scope) = session.scope()
        && let Some(object) = local(session, &scope, name)
    {
        return Some(Subject::Object(Box::new(object)));
    }
    if let Some(found) = find(session, name) {
        return Some(Subject::Type(found));
    }
    global(session, name).map(|o| Subject::Object(Box::new(o)))
}

/// As [`subject`], as today's engine does it: the selected frame's module may stand before a local variable, and a name
/// in the letter case that was typed comes before a type in another.
pub(super) fn engine_subject(session: &Session, name: &str) -> Option<Subject> {
    let found = subject(session, name);
    let plain = name.rsplit_once('!').map_or(name, |(_, plain)| plain);
    if let Some(Subject::Type(t)) = &found
        && !t.set.types().find_type(plain, false).is_empty()
    {
        return found;
    }
    if let Some((module, plain)) = name.split_once('!')
        && let Some(scope) = session.scope()
        && session.target.symbols.modules_named_in(module, session.sel.machine).contains(&scope.module)
        && let Some(object) = local(session, &scope, plain).filter(|o| o.name == plain)
    {
        return Some(Subject::Object(Box::new(object)));
    }
    if let Some(Subject::Type(_)) = &found
        && let Some(object) = global(session, name).filter(|o| o.name == plain)
    {
        return Some(Subject::Object(Box::new(object)));
    }
    found
}

/// A variable of a frame.
pub(crate) fn local(session: &Session, scope: &Scope, name: &str) -> Option<Object> {
    let variable = scope.variable(name)?.clone();
    let provider = scope.provider();
    let set = TypeSet::of(provider, session.sel.machine, scope.module);
    let place = match scope.locate(&variable) {
        Location::Memory(va, _) => format!("0x{:x}", va.0),
        Location::Register(part, _) => part.name.to_owned(),
        Location::Pieces(_) => "several places".to_owned(),
        Location::Unavailable(_) => "<unavailable>".to_owned(),
    };
    let modern = session.sel.layout == crate::session::Layout::Modern;
    let ty = match bare(set.types(), variable.ty).1 {
        // Today's engine does not count.
        Type::Array { element, .. } if modern => format!("{}[]", plain_name(&set, element)),
        _ => plain_name(&set, variable.ty),
    };
    let heading = format!("Local var @ {place} Type {ty}");
    Some(Object {
        id: variable.ty,
        name: variable.name.clone(),
        place: scope.stored(&variable),
        heading: Some(heading),
        set,
    })
}

/// A name without `struct` and the like, stars without blanks: `CMessageCall*`.
pub(super) fn plain_name(set: &TypeSet, id: TypeId) -> String {
    let name = cpp_name(set.types(), id).replace(" *", "*").replace("* [", "*[");
    let words = ["struct ", "class ", "union ", "enum ", "interface "];
    let bare = words.iter().find_map(|w| name.strip_prefix(w)).unwrap_or(&name);
    bare.to_owned()
}

/// A global variable or function whose type is known.
pub(crate) fn global(session: &Session, name: &str) -> Option<Object> {
    let symbols = &session.target.symbols;
    let (module, plain) = match name.split_once('!') {
        Some((module, plain)) => (Some(module).filter(|m| !m.is_empty()), plain),
        None => (None, name),
    };
    // Without a module only those whose symbols are loaded: a name of nothing must not load all.
    let modules: Vec<usize> = match module {
        Some(module) => symbols.modules_named_in(module, session.sel.machine),
        None => (0..symbols.modules().len()).filter(|&i| symbols.state(i) != SymbolState::Deferred).collect(),
    };
    modules.into_iter().find_map(|m| {
        symbols.by_name(Some(m), plain).into_iter().find_map(|(m, symbol)| typed(session, m, &symbol))
    })
}

/// The variable or function that starts at an address.
pub(super) fn at(session: &Session, va: Va) -> Option<Object> {
    let resolved = session.target.symbols.resolve(va)?;
    let symbol = resolved.symbol.filter(|_| resolved.displacement == 0)?;
    let prefix = session.target.symbols.name_in(resolved.module, session.sel.machine);
    let mut object = typed(session, resolved.module, &symbol)?;
    object.heading = Some(escape(&format!("{prefix}!{}", symbol.name)).into_owned());
    Some(object)
}

fn typed(session: &Session, module: usize, symbol: &Symbol) -> Option<Object> {
    let symbols = &session.target.symbols;
    let base = symbols.modules().get(module)?.base;
    let providers = symbols.providers(module);
    let found = providers.iter().find_map(|p| {
        let id = p.data_type(symbol.rva).or_else(|| p.function_type(symbol.rva))?;
        p.types().is_some().then_some((p, id))
    });
    let (provider, id) = found?;
    Some(Object {
        set: TypeSet::of(provider, session.sel.machine, module),
        id,
        name: symbol.name.clone(),
        place: Ok(Stored::Memory(symbol.rva.va(base))),
        heading: None,
    })
}

/// The structure behind a type: itself, or what it points to.
pub(super) fn aggregate(set: &TypeSet, id: TypeId) -> Option<TypeId> {
    let (id, t) = bare(set.types(), id);
    match t {
        Type::Udt { .. } => Some(id),
        Type::Pointer { to, .. } => match bare(set.types(), to) {
            (id, Type::Udt { .. }) => Some(id),
            _ => None,
        },
        Type::Array { element, .. } => match bare(set.types(), element) {
            (id, Type::Udt { .. }) => Some(id),
            _ => None,
        },
        _ => None,
    }
}

/// `Name[3]`: the name and the number.
pub(super) fn subscript(name: &str) -> (&str, Option<u64>) {
    let parts = name.strip_suffix(']').and_then(|n| n.rsplit_once('['));
    match parts.and_then(|(n, i)| Some((n, i.trim().parse().ok()?))) {
        Some((n, i)) => (n, Some(i)),
        None => (name, None),
    }
}

/// The element of an object that is an array or a pointer.
pub(super) fn element(session: &Session, object: &mut Object, index: u64) -> Option<()> {
    let types = object.set.types();
    let (element, start) = match (bare(types, object.id).1, &object.place) {
        (Type::Array { element, .. }, Ok(Stored::Memory(va))) => (element, *va),
        (Type::Pointer { to, .. }, Ok(stored)) => (to, session.pointer_in(stored)?),
        _ => return None,
    };
    let by = size_of(types, element)?.checked_mul(index)?;
    object.place = Ok(Stored::Memory(start.checked_add(by)?));
    object.id = element;
    object.heading = None;
    Some(())
}
