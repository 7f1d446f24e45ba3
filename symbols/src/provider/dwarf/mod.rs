//! Names, lines and inlined calls from the DWARF sections of an image file (MinGW, Wine, Rust's GNU target).
//!
//! Built on `gimli` alone. `addr2line` answers "which line", but neither where a function starts nor where an
//! inlined call does, so that its units would have to be read a second time here.
//!
//! The sections of an image *in a dump* are no help: their names are longer than 8 characters, so the header
//! holds `/4` and the like, and the string table that these point into is not mapped.

mod inline;
mod lines;
mod unit;

use super::ranges::{Range, Ranges};
use super::table::{Entry, SymbolTable};
use super::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolProvider, SymbolSource};
use crate::demangle::{self, Decoration};
use crate::image::ImageFile;
use dumpscope_core::{Machine, Rva};
use gimli::{EndianArcSlice, LittleEndian};
use std::sync::{Arc, OnceLock};
use unit::UnitData;

/// Bytes of a section.
type Reader = EndianArcSlice<LittleEndian>;

/// Most units of an image.
const MAX_UNITS: usize = 1 << 20;
/// Most address ranges of one unit, function or inlined call.
const MAX_RANGES: usize = 1 << 16;
/// Longest chain of references from a function to the entry with its name.
const MAX_REFERENCES: usize = 8;

/// The DWARF of one image.
pub struct Dwarf {
    file: String,
    image_base: u64,
    decoration: Decoration,
    sections: gimli::Dwarf<Reader>,
    units: OnceLock<Units>,
    all: OnceLock<SymbolTable>,
}

/// Compilation units, read when an address or a name in them is asked for.
struct Units {
    list: Vec<UnitEntry>,
    /// Which unit holds an RVA.
    ranges: Ranges<usize>,
    /// Units that do not say where their code is.
    anywhere: Vec<usize>,
}

struct UnitEntry {
    unit: gimli::Unit<Reader>,
    data: OnceLock<UnitData>,
}

impl Dwarf {
    /// Takes the sections of an image file; `None` when it has no DWARF. They are read when they are asked for.
    #[must_use]
    pub fn new(image: &ImageFile) -> Option<Dwarf> {
        let section = |name: &str| {
            image.headers().sections.iter().find(|s| s.name.starts_with('/') && image.section_name(s) == name)
        };
        section(".debug_info")?;
        let load = |id: gimli::SectionId| -> Result<Reader, gimli::Error> {
            let bytes = section(id.name()).map_or(&[][..], |s| image.section_bytes(s));
            Ok(Reader::new(Arc::from(bytes), LittleEndian))
        };
        let mut sections = gimli::Dwarf::load(load).ok()?;
        sections.populate_abbreviations_cache(gimli::AbbreviationsCacheStrategy::Duplicates);
        Some(Dwarf {
            file: image.path().to_owned(),
            image_base: image.headers().image_base.0,
            decoration: match image.headers().machine {
                Machine::X86 => Decoration::X86Dwarf,
                _ => Decoration::CxxOnly,
            },
            sections,
            units: OnceLock::new(),
            all: OnceLock::new(),
        })
    }

    fn units(&self) -> &Units {
        self.units.get_or_init(|| {
            let mut list = Vec::new();
            let mut ranges = Vec::new();
            let mut anywhere = Vec::new();
            let mut headers = self.sections.units();
            while let (Ok(Some(header)), true) = (headers.next(), list.len() < MAX_UNITS) {
                let Ok(unit) = self.sections.unit(header) else { continue };
                let found = self.sections.unit_ranges(&unit).map(|r| self.rvas(r)).unwrap_or_default();
                if found.is_empty() {
                    anywhere.push(list.len());
                }
                let index = list.len();
                ranges.extend(found.into_iter().map(|(start, size)| Range { start, size, value: index }));
                list.push(UnitEntry { unit, data: OnceLock::new() });
            }
            Units { list, ranges: Ranges::new(ranges), anywhere }
        })
    }

    /// Address ranges as RVAs; those outside the image (of code that the linker dropped) are left out.
    fn rvas(&self, mut ranges: impl RangeSource) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for _ in 0..MAX_RANGES {
            let Some(range) = ranges.next_range() else { break };
            let start = range.begin.checked_sub(self.image_base).and_then(|r| u32::try_from(r).ok());
            let size = range.end.checked_sub(range.begin).and_then(|s| u32::try_from(s).ok());
            if let (Some(start), Some(size @ 1..)) = (start, size) {
                found.push((start, size));
            }
        }
        found
    }

    fn unit(&self, index: usize) -> Option<(&gimli::Unit<Reader>, &UnitData)> {
        let entry = self.units().list.get(index)?;
        Some((&entry.unit, entry.data.get_or_init(|| UnitData::read(self, &entry.unit))))
    }

    /// The function that holds `rva`: unit and range with the offset of its entry.
    fn function(&self, rva: Rva) -> Option<(usize, &Range<usize>)> {
        let units = self.units();
        let named = units.ranges.innermost(rva.0).map(|r| r.value);
        named.into_iter().chain(units.anywhere.iter().copied()).find_map(|index| {
            let (_, data) = self.unit(index)?;
            Some((index, data.functions.innermost(rva.0)?))
        })
    }

    /// The name of a function's entry, raw.
    fn name(&self, unit: usize, offset: usize) -> Option<String> {
        let (mut unit, mut offset) = (unit, offset);
        for _ in 0..MAX_REFERENCES {
            let (_, data) = self.unit(unit)?;
            match data.names.get(&offset)? {
                unit::Name::Text(name) => return Some(name.clone()),
                unit::Name::Same(reference) => (unit, offset) = self.follow(unit, *reference)?,
            }
        }
        None
    }

    /// The unit and offset that a reference leads to.
    fn follow(&self, unit: usize, reference: unit::Reference) -> Option<(usize, usize)> {
        match reference {
            unit::Reference::Here(offset) => Some((unit, offset)),
            unit::Reference::Anywhere(offset) => {
                let list = &self.units().list;
                let start = |e: &UnitEntry| e.unit.header.debug_info_offset().map_or(usize::MAX, |o| o.0);
                let index = list.partition_point(|e| start(e) <= offset).checked_sub(1)?;
                let inside = gimli::DebugInfoOffset(offset).to_unit_offset(&list.get(index)?.unit.header)?;
                Some((index, inside.0))
            }
        }
    }

    fn all(&self) -> &SymbolTable {
        self.all.get_or_init(|| {
            let mut entries = Vec::new();
            for index in 0..self.units().list.len() {
                let Some((_, data)) = self.unit(index) else { continue };
                entries.extend(data.functions.items().iter().filter_map(|f| {
                    let name = self.name(index, f.value)?;
                    let limit = f.start.saturating_add(f.size);
                    let kind = SymbolKind::Function;
                    Some(Entry { rva: Rva(f.start), size: Some(f.size), limit, name, kind })
                }));
            }
            SymbolTable::new(SymbolSource::Dwarf, self.decoration, entries)
        })
    }
}

impl SymbolProvider for Dwarf {
    fn source(&self) -> SymbolSource {
        SymbolSource::Dwarf
    }

    fn file(&self) -> Option<&str> {
        Some(&self.file)
    }

    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        let (unit, f) = self.function(rva)?;
        let raw = self.name(unit, f.value)?;
        let name = demangle::stack_name(&raw, self.decoration).into_owned();
        Some(Symbol {
            rva: Rva(f.start),
            size: Some(f.size),
            decorated: (name != raw).then_some(raw),
            name,
            kind: SymbolKind::Function,
            source: SymbolSource::Dwarf,
        })
    }

    fn next_after(&self, rva: Rva) -> Option<Symbol> {
        self.all().next_after(rva)
    }

    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        self.all().by_name(name, ignore_case)
    }

    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        self.all().each(f);
    }

    fn line(&self, rva: Rva) -> Option<SourceLine> {
        self.frames(rva).0
    }

    fn inlines(&self, rva: Rva) -> Vec<InlineSite> {
        self.frames(rva).1
    }
}

impl Dwarf {
    /// Source positions of `rva`: of the function, and of the inlined calls, innermost first.
    fn frames(&self, rva: Rva) -> (Option<SourceLine>, Vec<InlineSite>) {
        let Some((index, f)) = self.function(rva) else { return (None, Vec::new()) };
        let Some((unit, data)) = self.unit(index) else { return (None, Vec::new()) };
        let mut position = data.line(self, unit, rva);
        let mut sites = Vec::new();
        // The innermost position belongs to the innermost call; each call says where it was called from.
        for call in inline::calls(self, unit, f.value, rva).into_iter().rev() {
            let (at, offset) = self.follow(index, call.origin).unwrap_or((index, usize::MAX));
            let raw = self.name(at, offset).unwrap_or_else(|| "<unknown inlined function>".into());
            sites.push(InlineSite {
                name: demangle::stack_name(&raw, self.decoration).into_owned(),
                line: position.take(),
                start: Rva(call.start),
                source: SymbolSource::Dwarf,
            });
            position =
                lines::file_name(self, unit, call.file).filter(|_| call.line != 0).map(|file| SourceLine {
                    file,
                    line: call.line,
                    displacement: rva.0.saturating_sub(call.covering),
                    source: SymbolSource::Dwarf,
                });
        }
        (position, sites)
    }
}

/// Without the sections.
impl std::fmt::Debug for Dwarf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dwarf").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The range iterators of `gimli`, which share no trait.
trait RangeSource {
    fn next_range(&mut self) -> Option<gimli::Range>;
}

impl RangeSource for gimli::RangeIter<Reader> {
    fn next_range(&mut self) -> Option<gimli::Range> {
        self.next().ok().flatten()
    }
}

#[cfg(test)]
mod tests;
