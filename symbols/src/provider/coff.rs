//! Names from the COFF symbol table of an image file (MinGW and Rust's GNU target leave it in).

use super::table::{Entry, SymbolTable};
use super::{Symbol, SymbolKind, SymbolProvider, SymbolSource};
use crate::demangle::Decoration;
use crate::image::ImageFile;
use dumpscope_core::{Machine, Rva};
use std::sync::{Arc, OnceLock};

/// Bytes of a symbol record.
const RECORD: usize = 18;
/// Most records that are read.
const MAX_RECORDS: usize = 1 << 24;

/// The COFF symbols of one image.
#[derive(Debug)]
pub struct Coff {
    image: Arc<ImageFile>,
    table: OnceLock<SymbolTable>,
}

impl Coff {
    /// Takes the symbol table of an image file, to be read when it is first asked for; `None` when it has none.
    #[must_use]
    pub fn new(image: &Arc<ImageFile>) -> Option<Coff> {
        let headers = image.headers();
        let found = headers.symbol_table != 0 && headers.symbol_count != 0;
        found.then(|| Coff { image: Arc::clone(image), table: OnceLock::new() })
    }

    fn table(&self) -> &SymbolTable {
        self.table.get_or_init(|| {
            let decoration = match self.image.headers().machine {
                Machine::X86 => Decoration::X86Linker,
                _ => Decoration::CxxOnly,
            };
            let entries = Coff::entries(&self.image).unwrap_or_default();
            SymbolTable::new(SymbolSource::Coff, decoration, entries)
        })
    }

    fn entries(image: &ImageFile) -> Option<Vec<Entry>> {
        let headers = image.headers();
        let start = usize::try_from(headers.symbol_table).ok().filter(|s| *s != 0)?;
        let count = usize::try_from(headers.symbol_count).ok()?;
        let raw = image.bytes().get(start..)?;
        // What the file really holds bounds the count.
        let raw = raw.get(..raw.len().min(count.min(MAX_RECORDS).checked_mul(RECORD)?))?;
        let mut entries = Vec::new();
        let mut skip = 0u8;
        for record in raw.as_chunks::<RECORD>().0 {
            if let Some(left) = skip.checked_sub(1) {
                skip = left;
                continue;
            }
            let [name @ .., v0, v1, v2, v3, s0, s1, t0, t1, class, aux] = record;
            skip = *aux;
            let section = u16::from_le_bytes([*s0, *s1]);
            let value = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
            let kind = u16::from_le_bytes([*t0, *t1]);
            // External and static symbols; a static one with a record behind it is a section.
            if !(*class == 2 || (*class == 3 && *aux == 0)) {
                continue;
            }
            let index = usize::from(section).checked_sub(1);
            let Some(section) = index.and_then(|i| headers.sections.get(i)) else { continue };
            let Some(rva) = section.rva.0.checked_add(value).filter(|_| value < section.mapped_size()) else {
                continue;
            };
            let Some(name) = symbol_name(image, name).filter(|n| !n.is_empty() && !n.starts_with('.')) else {
                continue;
            };
            let kind = match (kind == 0x20, section.is_code()) {
                (true, _) => SymbolKind::Function,
                (false, true) => SymbolKind::Unknown,
                (false, false) => SymbolKind::Data,
            };
            let limit = section.rva.0.saturating_add(section.mapped_size());
            entries.push(Entry { rva: Rva(rva), size: None, limit, name, kind });
        }
        Some(entries)
    }
}

/// A name of up to 8 bytes, or four zeros and an offset in the string table.
fn symbol_name(image: &ImageFile, raw: &[u8]) -> Option<String> {
    if let [0, 0, 0, 0, a, b, c, d] = raw {
        return image.coff_string(u32::from_le_bytes([*a, *b, *c, *d]));
    }
    let text = raw.split(|&b| b == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

impl SymbolProvider for Coff {
    fn source(&self) -> SymbolSource {
        SymbolSource::Coff
    }

    fn file(&self) -> Option<&str> {
        Some(self.image.path())
    }

    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        self.table().lookup(rva)
    }

    fn next_after(&self, rva: Rva) -> Option<Symbol> {
        self.table().next_after(rva)
    }

    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        self.table().by_name(name, ignore_case)
    }

    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        self.table().each(f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::FileBytes;

    fn coff(file: &str) -> Coff {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/images").join(file);
        let image = ImageFile::from_bytes(FileBytes::from(std::fs::read(path).unwrap()), file).unwrap();
        Coff::new(&Arc::new(image)).unwrap()
    }

    #[test]
    fn names_of_both_machines() {
        for file in ["dwarf-x64.dll", "dwarf-x86.dll"] {
            let c = coff(file);
            assert_eq!(c.lookup(Rva(0x1004)).unwrap().name, "shop::Cart::total", "{file}");
            assert_eq!(c.lookup(Rva(0x1034)).unwrap().name, "checkout");
            assert_eq!(c.lookup(Rva(0x1064)).unwrap().name, "hidden");
            assert_eq!(c.by_name("counter", false).first().map(|s| s.kind), Some(SymbolKind::Data));
            assert_eq!(c.next_after(Rva(0x1000)).unwrap().name, "checkout");
        }
        assert_eq!(
            coff("dwarf-x86.dll").lookup(Rva(0x1064)).unwrap().decorated.as_deref(),
            Some("_hidden@8")
        );
    }
}
