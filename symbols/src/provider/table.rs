//! A table of named addresses: what exports, COFF symbols and publics have in common.

use super::{Symbol, SymbolKind, SymbolSource};
use crate::demangle::{self, Decoration};
use dumpscope_core::Rva;
use std::sync::OnceLock;

/// A name at an address, as the source has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Start.
    pub(crate) rva: Rva,
    /// Bytes, when the source says.
    pub(crate) size: Option<u32>,
    /// First address that no longer belongs to it whatever the size: end of the section or the next known
    /// start of something else.
    pub(crate) limit: u32,
    /// Name as the source has it.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: SymbolKind,
}

/// Entries in address order, several per address allowed.
#[derive(Debug)]
pub(crate) struct SymbolTable {
    source: SymbolSource,
    decoration: Decoration,
    entries: Vec<Entry>,
    /// (lower-case undecorated name, entry) of the decorated ones; built when a name is first looked for.
    undecorated: OnceLock<Vec<(String, usize)>>,
}

impl SymbolTable {
    /// Sorts the entries: by address, and at one address the name that an answer shows comes first.
    ///
    /// Of several names at one address a debugger shows one. WinDbg takes the first that its symbol handler
    /// meets, which for exports is the first in the name table, in alphabetical order; it shows `Nt` before
    /// `Zw` names. Here: code before data, names before ordinals, fewer leading underscores, then alphabetical.
    pub(crate) fn new(source: SymbolSource, decoration: Decoration, mut entries: Vec<Entry>) -> SymbolTable {
        entries.sort_by(|a, b| {
            a.rva
                .cmp(&b.rva)
                .then_with(|| preference(a).cmp(&preference(b)))
                .then_with(|| a.name.cmp(&b.name))
        });
        entries.dedup_by(|b, a| a.rva == b.rva && a.name == b.name);
        SymbolTable { source, decoration, entries, undecorated: OnceLock::new() }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The preferred entry of the nearest address at or below `rva` that covers it.
    pub(crate) fn lookup(&self, rva: Rva) -> Option<Symbol> {
        let after = self.entries.partition_point(|e| e.rva <= rva);
        let nearest = self.entries.get(after.checked_sub(1)?)?;
        let first = self.entries.partition_point(|e| e.rva < nearest.rva);
        let found = self.entries.get(first..after)?.iter().find(|e| covers(e, rva))?;
        Some(self.symbol(found))
    }

    /// The preferred entry of the first address above `rva`.
    pub(crate) fn next_after(&self, rva: Rva) -> Option<Symbol> {
        self.entries.get(self.entries.partition_point(|e| e.rva <= rva)).map(|e| self.symbol(e))
    }

    /// Entries with this name, decorated or not.
    pub(crate) fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        let same = |a: &str| if ignore_case { a.eq_ignore_ascii_case(name) } else { a == name };
        let mut found: Vec<usize> =
            self.entries.iter().enumerate().filter(|(_, e)| same(&e.name)).map(|(i, _)| i).collect();
        let index = self.undecorated.get_or_init(|| self.undecorate());
        let key = name.to_ascii_lowercase();
        let first = index.partition_point(|(n, _)| *n < key);
        found.extend(index.iter().skip(first).take_while(|(n, _)| *n == key).map(|(_, i)| *i));
        found.sort_unstable();
        found.dedup();
        let symbols = found.into_iter().filter_map(|i| self.entries.get(i)).map(|e| self.symbol(e));
        symbols.filter(|s| same(&s.name) || s.decorated.as_deref().is_some_and(same)).collect()
    }

    /// Calls `f` for every entry in address order until it returns false.
    pub(crate) fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        for e in &self.entries {
            if !f(&self.symbol(e)) {
                return;
            }
        }
    }

    fn undecorate(&self) -> Vec<(String, usize)> {
        let mut index: Vec<(String, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(i, e)| {
                let name = demangle::stack_name(&e.name, self.decoration);
                (name != e.name).then(|| (name.to_ascii_lowercase(), i))
            })
            .collect();
        index.sort();
        index
    }

    fn symbol(&self, e: &Entry) -> Symbol {
        let name = demangle::stack_name(&e.name, self.decoration).into_owned();
        let decorated = (name != e.name).then(|| e.name.clone());
        Symbol { rva: e.rva, size: e.size, name, decorated, kind: e.kind, source: self.source }
    }
}

fn covers(e: &Entry, rva: Rva) -> bool {
    let inside = e.size.is_none_or(|s| rva.0.wrapping_sub(e.rva.0) < s);
    rva == e.rva || (inside && rva.0 < e.limit)
}

/// Smaller is shown.
fn preference(e: &Entry) -> (u8, bool, usize) {
    let kind = match e.kind {
        SymbolKind::Function => 0,
        SymbolKind::Unknown => 1,
        SymbolKind::Data => 2,
        SymbolKind::Placeholder => 3,
    };
    let ordinal = e.name.strip_prefix("Ordinal").is_some_and(|r| r.bytes().all(|b| b.is_ascii_digit()));
    (kind, ordinal, e.name.bytes().take_while(|&b| b == b'_').count())
}
