//! Answers about addresses and names.

use super::PdbProvider;
use super::address::SecOff;
use super::container::Contribution;
use super::hash::{Public, find, public, publics_until};
use super::inlines::{Site, sites};
use super::lines::LineHit;
use super::module::{ModuleSymbols, Piece, PieceKind};
use super::records::Record;
use super::undecorate::undecorate;
use crate::provider::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolSource};
use crate::types::TypeId;
use dumpscope_core::Rva;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shown for an inlined function whose id record is missing.
const NO_NAME: &str = "<unknown inlined function>";
/// Most contributions that are looked through for the next symbol.
const MAX_AHEAD: usize = 64;

/// A procedure and a place in it.
pub(super) struct Procedure<'a> {
    /// Index of its object file.
    pub(super) index: u16,
    pub(super) module: &'a ModuleSymbols,
    pub(super) piece: Piece,
    pub(super) at: SecOff,
}

impl Procedure<'_> {
    /// True when the compiler wrote the debug information for optimized code.
    pub(super) fn optimized(&self) -> bool {
        let record = self.module.record(self.piece.record).map(|r| r.decode());
        matches!(record, Some(Record::Proc { flags, .. }) if flags & 0x80 != 0)
    }
}

impl PdbProvider {
    pub(super) fn symbol_at(&self, rva: Rva) -> Option<Symbol> {
        let at = self.container.map.place(rva)?;
        let (from, code, module) = match self.container.contribution(at) {
            Ok(c) => (c.start, c.code, self.module(c.module)),
            Err(Some((start, size))) => return Some(self.placeholder(start, size)),
            // Nothing is said about this section: the nearest public symbol is all there is.
            Err(None) => (SecOff::new(at.section, 0), true, None),
        };
        if code && let Some(module) = module {
            if let Some(piece) = module.piece_at(at) {
                return self.piece_symbol(module, piece, rva, at);
            }
            // Code behind a function that ended is not that function's.
            if let (Some(before), _) = module.around(at)
                && before.start >= from
                && self.public_before(at, from).is_none_or(|p| p.place <= before.start)
            {
                let start = before.start.plus(before.len);
                return Some(self.placeholder(start, self.hole_end(at).offset.saturating_sub(start.offset)));
            }
        }
        let public = self.public_before(at, from);
        if !code
            && let (Some((place, record)), _) = self.data_table().around(at)
            && place >= from
            && public.is_none_or(|p| p.place <= place)
            && let Some(Record::Data { name, ty, .. }) = self.global_record(record)
        {
            let size = self.size_of_type(ty);
            let start = self.seen_from(rva, at, place)?;
            return Some(self.make_symbol(start, size, SymbolKind::Data, false, name));
        }
        match public {
            Some(p) => Some(self.public_symbol(&p, self.seen_from(rva, at, p.place)?)),
            None => Some(self.placeholder(from, self.hole_end(at).offset.saturating_sub(from.offset))),
        }
    }

    /// The start of a symbol such that the distance to `rva` is the distance in the program as it was linked: with
    /// OMAP the pieces of a function lie apart, and WinDbg's displacements count as if they did not.
    fn seen_from(&self, rva: Rva, at: SecOff, start: SecOff) -> Option<Rva> {
        if self.container.map.has_omap() {
            at.since(start).map(|d| Rva(rva.0.wrapping_sub(d)))
        } else {
            self.container.map.rva(start)
        }
    }

    /// The last public symbol in `from..=at`.
    fn public_before(&self, at: SecOff, from: SecOff) -> Option<Public<'_>> {
        let (order, records) = (self.public_order(), self.records());
        let i = publics_until(order, records, at).checked_sub(1)?;
        public(order, records, i).filter(|p| p.place >= from && p.place <= at)
    }

    fn public_symbol(&self, p: &Public<'_>, rva: Rva) -> Symbol {
        let kind = if p.code { SymbolKind::Function } else { SymbolKind::Data };
        self.make_symbol(rva, None, kind, true, p.name)
    }

    fn placeholder(&self, start: SecOff, size: u32) -> Symbol {
        Symbol {
            rva: self.container.map.rva(start).unwrap_or_default(),
            size: Some(size),
            name: String::new(),
            decorated: None,
            kind: SymbolKind::Placeholder,
            source: self.source,
        }
    }

    /// Where the unnamed code around `at` ends: the end of its contribution or the next symbol in it.
    fn hole_end(&self, at: SecOff) -> SecOff {
        let Ok(c) = self.container.contribution(at) else { return at.plus(1) };
        let mut end = c.start.plus(c.size);
        let next = self.module(c.module).and_then(|m| m.around(at).1.map(|p| p.start));
        let (order, records) = (self.public_order(), self.records());
        let public = public(order, records, publics_until(order, records, at)).map(|p| p.place);
        for place in next.into_iter().chain(public) {
            if place.section == at.section && place > at {
                end = end.min(place);
            }
        }
        end
    }

    fn piece_symbol(&self, module: &ModuleSymbols, piece: &Piece, rva: Rva, at: SecOff) -> Option<Symbol> {
        let start = self.seen_from(rva, at, piece.start)?;
        match piece.kind {
            PieceKind::Trampoline(target) => {
                let name = self.trampoline_name(piece.start, target);
                Some(self.make_symbol(start, Some(piece.len), SymbolKind::Function, false, name.as_bytes()))
            }
            PieceKind::Separate(parent) => {
                let Record::Proc { start, name, .. } = module.record(parent)?.decode() else { return None };
                // The piece may lie before the function: displacements count from the function all the same.
                let start = self.container.map.rva(start)?;
                Some(self.make_symbol(start, None, SymbolKind::Function, false, name))
            }
            PieceKind::Proc | PieceKind::Thunk => {
                let record = module.record(piece.record)?.decode();
                let name = record.name()?;
                Some(self.make_symbol(start, Some(piece.len), SymbolKind::Function, false, name))
            }
        }
    }

    pub(super) fn symbol_after(&self, rva: Rva) -> Option<Symbol> {
        let at = self.container.map.place(rva)?;
        let (order, records) = (self.public_order(), self.records());
        let public = public(order, records, publics_until(order, records, at));
        let mut best: Option<(SecOff, Symbol)> = None;
        let mut offer = |place: SecOff, symbol: Option<Symbol>| {
            if let Some(symbol) = symbol
                && place.section == at.section
                && best.as_ref().is_none_or(|b| place < b.0)
            {
                best = Some((place, symbol));
            }
        };
        // Private names first: a public one for the same place does not replace them.
        let list = &self.container.contributions;
        let from = list.partition_point(|c| c.start <= at).saturating_sub(1);
        for c in list.iter().skip(from).take(MAX_AHEAD).filter(|c| c.code && c.start.section == at.section) {
            let Some(module) = self.module(c.module) else { continue };
            let behind = SecOff::new(at.section, at.offset.max(c.start.offset.saturating_sub(1)));
            if let (_, Some(piece)) = module.around(behind)
                && let Some(start) = self.container.map.rva(piece.start)
            {
                offer(piece.start, self.piece_symbol(module, piece, start, piece.start));
                break;
            }
        }
        if let (_, Some((place, record))) = self.data_table().around(at)
            && let Some(Record::Data { name, ty, .. }) = self.global_record(record)
        {
            let start = self.container.map.rva(place);
            let size = self.size_of_type(ty);
            offer(place, start.map(|s| self.make_symbol(s, size, SymbolKind::Data, false, name)));
        }
        if let Some(p) = public {
            let start = self.container.map.rva(p.place);
            offer(p.place, start.map(|s| self.public_symbol(&p, s)));
        }
        best.map(|b| b.1)
    }

    /// The constant with this name: its type and value.
    pub(super) fn constant_named(&self, name: &str) -> Option<(TypeId, i128)> {
        find(self.global_hash(), self.records(), name, false).iter().find_map(|raw| match raw.decode() {
            Record::Constant { ty, value, .. } => Some((TypeId(ty), value)),
            _ => None,
        })
    }

    pub(super) fn symbols_named(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        let mut out: Vec<Symbol> = Vec::new();
        for raw in find(self.global_hash(), self.records(), name, ignore_case) {
            match raw.decode() {
                Record::ProcRef { module, offset, .. } => {
                    add_to(&mut out, module.checked_sub(1).and_then(|m| self.proc_symbol(m, offset)));
                }
                Record::Data { place, ty, name, .. } => {
                    let size = self.size_of_type(ty);
                    let rva = self.container.map.rva(place);
                    add_to(&mut out, rva.map(|r| self.make_symbol(r, size, SymbolKind::Data, false, name)));
                }
                _ => {}
            }
        }
        let as_public = |place, code, name: &[u8]| {
            let kind = if code { SymbolKind::Function } else { SymbolKind::Data };
            self.container.map.rva(place).map(|r| self.make_symbol(r, None, kind, true, name))
        };
        let same = |n: &str| if ignore_case { n.eq_ignore_ascii_case(name) } else { n == name };
        let plain = |decorated: &[u8]| undecorate(decorated, self.container.machine);
        // Undecorated C names first (`_exit` is the linker's name of `exit`, and also a name of its own), and as a
        // last resort the linker's name.
        let mut linker_names = Vec::new();
        for raw in find(self.public_hash(), self.records(), name, ignore_case) {
            let Record::Public { code, place, name } = raw.decode() else { continue };
            if same(&plain(name)) {
                add_to(&mut out, as_public(place, code, name));
            } else {
                linker_names.push((place, code, name));
            }
        }
        if out.is_empty() {
            for record in self.publics_plainly_named(name) {
                if let Some(Record::Public { code, place, name }) = self.global_record(record)
                    && same(&plain(name))
                {
                    add_to(&mut out, as_public(place, code, name));
                }
            }
        }
        if out.is_empty() {
            linker_names
                .into_iter()
                .for_each(|(place, code, name)| add_to(&mut out, as_public(place, code, name)));
        }
        out
    }

    fn proc_symbol(&self, module: u16, record: u32) -> Option<Symbol> {
        let module = self.module(module)?;
        let Record::Proc { start, len, name, .. } = module.record(record)?.decode() else { return None };
        let rva = self.container.map.rva(start)?;
        Some(self.make_symbol(rva, Some(len), SymbolKind::Function, false, name))
    }

    /// The contribution and the object file that hold a place.
    fn module_at(&self, at: SecOff) -> Option<(Contribution, &Arc<ModuleSymbols>)> {
        let c = self.container.contribution(at).ok()?;
        Some((c, self.module(c.module)?))
    }

    /// The procedure that holds `rva`.
    pub(super) fn procedure_at(&self, rva: Rva) -> Option<Procedure<'_>> {
        let at = self.container.map.place(rva)?;
        let (c, module) = self.module_at(at)?;
        let piece = module.piece_at(at).filter(|p| p.kind == PieceKind::Proc)?;
        Some(Procedure { index: c.module, module, piece: *piece, at })
    }

    /// The inlined calls that cover a place in a procedure, outermost first.
    pub(super) fn sites_at(&self, p: &Procedure<'_>) -> Vec<Site> {
        let Some(offset) = p.at.since(p.piece.start) else { return Vec::new() };
        let lines = p.module.lines();
        sites(p.module.records(p.piece.record), offset, &|id| lines.inlinee(id))
    }

    pub(super) fn line_at(&self, rva: Rva) -> Option<SourceLine> {
        let at = self.container.map.place(rva)?;
        let (_, module) = self.module_at(at)?;
        let hit = module.lines().find(module.line_bytes(), at)?;
        self.source_line(module, hit, at)
    }

    /// Where the code of a line of a source file starts; of the next line with code when it has none.
    pub(super) fn address_of_line(&self, file: &str, line: u32) -> Option<Rva> {
        let mut best: Option<(u32, SecOff)> = None;
        for i in 0..self.container.modules.len() {
            let Ok(index) = u16::try_from(i) else { break };
            let has_lines = self.container.modules.get(i).is_some_and(|m| m.c13 > 0);
            let Some(module) = self.module(index).filter(|_| has_lines) else { continue };
            let (table, bytes) = (module.lines(), module.line_bytes());
            let mut names: BTreeMap<u32, bool> = BTreeMap::new();
            let hit = table.first_from(bytes, line, &mut |id| {
                *names.entry(id).or_insert_with(|| {
                    let name = table.file_name(bytes, id).and_then(|n| self.string(n));
                    name.is_some_and(|n| is_end_of_path(&n, file))
                })
            });
            best = best.into_iter().chain(hit).min();
        }
        self.container.map.rva(best?.1)
    }

    fn source_line(&self, module: &ModuleSymbols, hit: LineHit, at: SecOff) -> Option<SourceLine> {
        let name = module.lines().file_name(module.line_bytes(), hit.file)?;
        Some(SourceLine {
            file: self.string(name)?,
            line: hit.line,
            displacement: at.since(hit.start)?,
            source: self.source,
        })
    }

    pub(super) fn inlines_at(&self, rva: Rva) -> Vec<InlineSite> {
        let Some(p) = self.procedure_at(rva) else { return Vec::new() };
        let (module, piece, at) = (p.module, p.piece, p.at);
        let found = self.sites_at(&p);
        let site = |s: &Site| {
            let line = s.at.filter(|r| r.line != 0).and_then(|r| {
                let hit = LineHit { file: r.file, line: r.line, start: piece.start.plus(r.start) };
                self.source_line(module, hit, at)
            });
            let id = self.resolve(p.index, s.inlinee);
            Some(InlineSite {
                name: id.and_then(|id| self.function_name(id)).unwrap_or_else(|| NO_NAME.to_owned()),
                line,
                start: self.seen_from(rva, at, piece.start.plus(s.start)).or_else(|| {
                    // A first range behind the address: the distance is negative, as WinDbg shows it.
                    self.container.map.rva(piece.start.plus(s.start))
                })?,
                source: SymbolSource::PrivatePdb,
            })
        };
        found.iter().rev().filter_map(site).collect()
    }
}

/// True when `end` is the path or its last parts, in any letter case and with either separator.
fn is_end_of_path(path: &str, end: &str) -> bool {
    let plain = |s: &str| s.replace('\\', "/").to_lowercase();
    let (path, end) = (plain(path), plain(end));
    path.strip_suffix(&end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/') || end.starts_with('/'))
}

fn add_to(out: &mut Vec<Symbol>, symbol: Option<Symbol>) {
    if let Some(s) = symbol
        && !out.iter().any(|o| o.rva == s.rva)
    {
        out.push(s);
    }
}
