//! The COM library of the process: which module it is, and what its symbols say of its structures.

use crate::Target;
use dumpscope_core::Machine;
use dumpscope_symbols::SymbolState;
use dumpscope_symbols::types::{Row, RowKind, TypeProvider, rows, size_of};

/// Modules that COM's calls are in: the first one since Windows 8, the second one before.
const NAMES: [&str; 2] = ["combase", "ole32"];

/// True for the file of the COM library.
pub(super) fn is_library(file_name: &str) -> bool {
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem);
    NAMES.iter().any(|n| stem.eq_ignore_ascii_case(n))
}

/// Indexes of the library's modules of this architecture.
pub(super) fn modules(target: &Target, machine: Machine) -> Vec<usize> {
    NAMES.iter().flat_map(|n| target.symbols.modules_named_in(n, machine)).collect()
}

/// The library's modules as the dump has them.
pub(super) fn in_library(target: &Target, at: dumpscope_core::Va) -> bool {
    target.dump.module_at(at).is_some_and(|m| is_library(&m.file_name))
}

/// What the library's symbols say of the first of these types that they know. Symbols that no stack needed are not
/// loaded for this: no thread is in the library then.
pub(super) fn of_type<T>(
    target: &Target,
    machine: Machine,
    names: &[&str],
    read: impl Fn(&Fields<'_>) -> Option<T>,
) -> Option<T> {
    for index in modules(target, machine) {
        if target.symbols.state(index) == SymbolState::Deferred {
            continue;
        }
        let providers = target.symbols.providers(index);
        for types in providers.iter().filter_map(|p| p.types()) {
            let ids = names.iter().filter_map(|n| types.find_type(n, false).first().copied());
            // A type without rows is declared, not defined.
            let mut found = ids.map(|id| Fields { types, rows: rows(types, id) });
            if let Some(out) = found.find_map(|f| read(&f)) {
                return Some(out);
            }
        }
    }
    None
}

/// The members of a type.
pub(super) struct Fields<'a> {
    types: &'a dyn TypeProvider,
    rows: Vec<Row>,
}

impl Fields<'_> {
    fn row(&self, name: &str) -> Option<(u64, &Row)> {
        self.rows.iter().filter(|r| r.name == name).find_map(|r| match r.kind {
            RowKind::Field(offset) => Some((offset, r)),
            _ => None,
        })
    }

    /// Offset of a member, bytes.
    pub(super) fn offset(&self, name: &str) -> Option<u64> {
        self.row(name).map(|(o, _)| o)
    }

    /// Offset and size of a member, bytes.
    pub(super) fn place(&self, name: &str) -> Option<(u64, Option<u64>)> {
        self.row(name).map(|(o, r)| (o, size_of(self.types, r.ty)))
    }

    /// Offset of a member of a member.
    pub(super) fn inner(&self, outer: &str, name: &str) -> Option<u64> {
        let (at, row) = self.row(outer)?;
        let inner = Fields { types: self.types, rows: rows(self.types, row.ty) };
        at.checked_add(inner.offset(name)?)
    }
}
