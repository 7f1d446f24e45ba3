//! One answer out of several sources of a module: for each question the best source wins.
//!
//! All functions take the sources best first, as [`crate::SymbolManager::providers`] gives them.

use super::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolProvider};
use dumpscope_core::Rva;
use std::sync::Arc;

/// The symbol that holds `rva`.
///
/// A placeholder of a better source (code that has no name there) hides the neighbours of worse ones: only a
/// symbol that starts inside the hole names it.
pub(crate) fn lookup(providers: &[Arc<dyn SymbolProvider>], rva: Rva) -> Option<Symbol> {
    let mut hole: Option<Symbol> = None;
    for p in providers {
        let Some(symbol) = p.lookup(rva) else { continue };
        if symbol.kind == SymbolKind::Placeholder {
            hole.get_or_insert(symbol);
        } else if hole.as_ref().is_none_or(|h| symbol.rva >= h.rva) {
            return Some(symbol);
        }
    }
    None
}

/// The nearest symbol above `rva`; of two at one address the better source's.
pub(crate) fn next_after(providers: &[Arc<dyn SymbolProvider>], rva: Rva) -> Option<Symbol> {
    providers.iter().filter_map(|p| p.next_after(rva)).min_by_key(|s| (s.rva, s.source))
}

/// Source line and inlined calls of `rva`, both from the best source that knows either: lines of one source and
/// inlined calls of another do not fit together.
pub(crate) fn position(
    providers: &[Arc<dyn SymbolProvider>],
    rva: Rva,
) -> (Option<SourceLine>, Vec<InlineSite>) {
    for p in providers {
        let (line, inlines) = (p.line(rva), p.inlines(rva));
        if line.is_some() || !inlines.is_empty() {
            return (line, inlines);
        }
    }
    (None, Vec::new())
}

/// Symbols with a name; what several sources say of one address is one symbol.
pub(crate) fn by_name(providers: &[Arc<dyn SymbolProvider>], name: &str, ignore_case: bool) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = Vec::new();
    for p in providers {
        for s in p.by_name(name, ignore_case) {
            if !found.iter().any(|f| f.rva == s.rva && f.source != s.source) {
                found.push(s);
            }
        }
    }
    found
}
