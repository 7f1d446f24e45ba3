//! One answer out of several sources of a module: for each question the best source wins.
//!
//! All functions take the sources best first, as [`crate::SymbolManager::providers`] gives them.

use super::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolProvider, SymbolSource};
use dumpscope_core::Rva;
use std::sync::Arc;

/// The symbol that holds `rva`.
///
/// A placeholder of a better source (code that has no name there) hides the neighbours of worse ones: only a
/// symbol that starts inside the hole names it. A symbol of unknown size (a public name) ends where an export
/// starts that the better source does not know. One that it does know is no end: code that a tool rearranged
/// belongs to functions that start elsewhere.
pub(crate) fn lookup(providers: &[Arc<dyn SymbolProvider>], rva: Rva) -> Option<Symbol> {
    let mut hole: Option<Symbol> = None;
    let mut found: Option<(Symbol, &Arc<dyn SymbolProvider>)> = None;
    for p in providers {
        if found.is_some() && p.source() != SymbolSource::Exports {
            continue;
        }
        let Some(symbol) = p.lookup(rva) else { continue };
        match &found {
            Some((better, by)) if symbol.rva > better.rva && !starts_at(by.as_ref(), symbol.rva) => {
                found = Some((symbol, p));
            }
            Some(_) => {}
            None if symbol.kind == SymbolKind::Placeholder => {
                hole.get_or_insert(symbol);
            }
            None if hole.as_ref().is_none_or(|h| symbol.rva >= h.rva) => {
                if symbol.size.is_some() || symbol.rva == rva {
                    return Some(symbol);
                }
                found = Some((symbol, p));
            }
            None => {}
        }
    }
    found.map(|f| f.0)
}

/// True when the source knows a symbol that starts at `rva`.
fn starts_at(provider: &dyn SymbolProvider, rva: Rva) -> bool {
    provider.lookup(rva).is_some_and(|s| s.rva == rva && s.kind != SymbolKind::Placeholder)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of a few symbols: start, size (0: unknown), name.
    #[derive(Debug)]
    struct Few(SymbolSource, Vec<(u32, u32, &'static str)>);

    impl SymbolProvider for Few {
        fn source(&self) -> SymbolSource {
            self.0
        }
        fn lookup(&self, rva: Rva) -> Option<Symbol> {
            let s = self
                .1
                .iter()
                .rfind(|(start, size, _)| *start <= rva.0 && (*size == 0 || rva.0 - start < *size))?;
            let kind = if s.2.is_empty() { SymbolKind::Placeholder } else { SymbolKind::Function };
            let size = (s.1 != 0).then_some(s.1);
            Some(Symbol { rva: Rva(s.0), size, name: s.2.into(), decorated: None, kind, source: self.0 })
        }
        fn next_after(&self, rva: Rva) -> Option<Symbol> {
            let s = self.1.iter().find(|(start, ..)| *start > rva.0)?;
            self.lookup(Rva(s.0))
        }
        fn by_name(&self, name: &str, _: bool) -> Vec<Symbol> {
            self.1.iter().filter(|s| s.2 == name).filter_map(|s| self.lookup(Rva(s.0))).collect()
        }
        fn each(&self, _: &mut dyn FnMut(&Symbol) -> bool) {}
    }

    fn sources() -> Vec<Arc<dyn SymbolProvider>> {
        vec![
            Arc::new(Few(SymbolSource::PrivatePdb, vec![(0x100, 0x10, "private"), (0x200, 0x40, "")])),
            Arc::new(Few(SymbolSource::Breakpad, vec![(0x100, 0x80, "sym"), (0x300, 0, "public")])),
            Arc::new(Few(
                SymbolSource::Exports,
                vec![(0x80, 0, "first"), (0x108, 0, "inside"), (0x210, 0, "hidden"), (0x380, 0, "later")],
            )),
        ]
    }

    #[test]
    fn the_best_source_wins_and_says_which() {
        let p = sources();
        let at = |rva| lookup(&p, Rva(rva)).map(|s| (s.name, s.source));
        assert_eq!(at(0x90), Some(("first".into(), SymbolSource::Exports)));
        assert_eq!(at(0x10c), Some(("private".into(), SymbolSource::PrivatePdb)));
        assert_eq!(at(0x11c), Some(("sym".into(), SymbolSource::Breakpad)));
        // A hole: the neighbour does not reach into it, a name that starts in it counts.
        assert_eq!(at(0x208), None);
        assert_eq!(at(0x218), Some(("hidden".into(), SymbolSource::Exports)));
        // A public name ends at the next export.
        assert_eq!(at(0x310), Some(("public".into(), SymbolSource::Breakpad)));
        assert_eq!(at(0x390), Some(("later".into(), SymbolSource::Exports)));
    }

    #[test]
    fn next_and_by_name_join_the_sources() {
        let p = sources();
        assert_eq!(next_after(&p, Rva(0x100)).unwrap().name, "inside");
        let next = next_after(&p, Rva(0x90)).unwrap();
        assert_eq!((next.name.as_str(), next.source), ("private", SymbolSource::PrivatePdb));
        assert_eq!(by_name(&p, "sym", false).len(), 1);
        assert_eq!(by_name(&p, "none", false), Vec::new());
    }
}
