//! Names from the export table of an image.

use super::table::{Entry, SymbolTable};
use super::{Symbol, SymbolKind, SymbolProvider, SymbolSource};
use crate::demangle::Decoration;
use crate::image::{ExportTable, ImageError, PeHeaders};
use dumpscope_core::{Machine, ReadMemory, Rva, Va};

/// The exports of a module.
///
/// An export has no size: it is taken to reach to the next one in its section, and an address behind it may
/// belong to a function that is not exported. That is what WinDbg shows with "export symbols".
#[derive(Debug)]
pub struct Exports {
    table: SymbolTable,
}

impl Exports {
    /// Reads the exports of the image at `base`.
    ///
    /// # Errors
    /// Headers or export directory are missing from memory or damaged.
    pub fn read(mem: &dyn ReadMemory, base: Va, headers: &PeHeaders) -> Result<Exports, ImageError> {
        let exports = ExportTable::read(mem, base, headers)?;
        let end = headers.size_of_image;
        let entries = exports
            .entries
            .into_iter()
            .map(|e| {
                let section = headers.section_at(e.rva);
                let kind = match section {
                    Some(s) if s.is_code() => SymbolKind::Function,
                    Some(_) => SymbolKind::Data,
                    None => SymbolKind::Unknown,
                };
                let limit = section.map_or(end, |s| s.rva.0.saturating_add(s.mapped_size()));
                Entry { rva: e.rva, size: None, limit, name: e.name, kind }
            })
            .collect();
        let decoration =
            if headers.machine == Machine::X86 { Decoration::X86Export } else { Decoration::CxxOnly };
        Ok(Exports { table: SymbolTable::new(SymbolSource::Exports, decoration, entries) })
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when the image exports nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl SymbolProvider for Exports {
    fn source(&self) -> SymbolSource {
        SymbolSource::Exports
    }

    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        self.table.lookup(rva)
    }

    fn next_after(&self, rva: Rva) -> Option<Symbol> {
        self.table.next_after(rva)
    }

    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        self.table.by_name(name, ignore_case)
    }

    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        self.table.each(f);
    }
}
