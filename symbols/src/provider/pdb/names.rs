//! Tables over all symbols that some questions need, made once when first asked for.

use super::PdbProvider;
use super::address::SecOff;
use super::hash::{hash, public, record_at};
use super::module::PieceKind;
use super::records::{Record, Records};
use super::undecorate::undecorate;
use crate::provider::{Symbol, SymbolKind, SymbolSource};

/// A variable's place and the offset of its record.
pub(super) type DataAt = (SecOff, u32);

/// Variables by address, from the global symbol records.
#[derive(Debug, Default)]
pub(super) struct DataTable(Vec<(SecOff, u32)>);

impl DataTable {
    fn new(records: &[u8]) -> DataTable {
        let mut all: Vec<(SecOff, u32)> = Records::new(records, 0)
            .filter_map(|raw| match raw.decode() {
                Record::Data { place, .. } => Some((place, raw.offset)),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        DataTable(all)
    }

    /// The last variable that starts at or before `at`, and the first one after it: place and record.
    pub(super) fn around(&self, at: SecOff) -> (Option<DataAt>, Option<DataAt>) {
        let next = self.0.partition_point(|d| d.0 <= at);
        (next.checked_sub(1).and_then(|i| self.0.get(i)).copied(), self.0.get(next).copied())
    }
}

/// Records of public symbols by the hash of their undecorated name.
#[derive(Debug, Default)]
pub(super) struct PlainNames(Vec<(u32, u32)>);

/// One row of [`AllSymbols`].
#[derive(Clone, Copy, Debug)]
struct Row {
    place: SecOff,
    size: Option<u32>,
    kind: SymbolKind,
    public: bool,
    name: (u32, u32),
}

/// All symbols in address order, with their names in one piece of memory.
#[derive(Debug, Default)]
struct AllSymbols {
    rows: Vec<Row>,
    names: Vec<u8>,
}

impl AllSymbols {
    fn push(&mut self, place: SecOff, size: Option<u32>, kind: SymbolKind, public: bool, name: &[u8]) {
        let start = self.names.len();
        let Some(span) = u32::try_from(start).ok().zip(u32::try_from(name.len()).ok()) else { return };
        self.names.extend_from_slice(name);
        self.rows.push(Row { place, size, kind, public, name: span });
    }

    fn name(&self, row: &Row) -> &[u8] {
        let start = row.name.0 as usize;
        self.names.get(start..start.saturating_add(row.name.1 as usize)).unwrap_or_default()
    }
}

impl PdbProvider {
    pub(super) fn data_table(&self) -> &DataTable {
        self.data.get_or_init(|| DataTable::new(self.records()))
    }

    /// Records of public symbols whose undecorated name is `name`; a hash decides, so names must be compared.
    pub(super) fn publics_plainly_named(&self, name: &str) -> Vec<u32> {
        let machine = self.container.machine;
        let table = self.by_plain_name.get_or_init(|| {
            let (order, records) = (self.public_order(), self.records());
            let mut all: Vec<(u32, u32)> = (0..order.len() / 4)
                .filter_map(|i| public(order, records, i))
                .map(|p| (hash(undecorate(p.name, machine).as_bytes()), p.record))
                .collect();
            all.sort_unstable();
            PlainNames(all)
        });
        let want = hash(name.as_bytes());
        let from = table.0.partition_point(|e| e.0 < want);
        let hits = table.0.get(from..).unwrap_or_default().iter().take_while(|e| e.0 == want);
        hits.map(|e| e.1).collect()
    }

    /// Calls `f` for all symbols in address order.
    pub(super) fn each_symbol(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        let mut all = AllSymbols::default();
        self.add_pieces(&mut all);
        let records = self.records();
        for raw in Records::new(records, 0) {
            if let Record::Data { place, name, .. } = raw.decode() {
                all.push(place, None, SymbolKind::Data, false, name);
            }
        }
        let order = self.public_order();
        for p in (0..order.len() / 4).filter_map(|i| public(order, records, i)) {
            let kind = if p.code { SymbolKind::Function } else { SymbolKind::Data };
            all.push(p.place, None, kind, true, p.name);
        }
        // Private names come first; a public one for the same place says nothing new.
        let mut rows = std::mem::take(&mut all.rows);
        rows.sort_by(|a, b| {
            (a.place, a.public).cmp(&(b.place, b.public)).then_with(|| all.name(a).cmp(all.name(b)))
        });
        let mut private_at = None;
        let mut last: Option<Row> = None;
        for row in rows {
            if !row.public {
                private_at = Some(row.place);
            } else if private_at == Some(row.place) {
                continue;
            }
            if last.is_some_and(|l| l.place == row.place && all.name(&l) == all.name(&row)) {
                continue;
            }
            last = Some(row);
            let Some(rva) = self.container.map.rva(row.place) else { continue };
            let symbol = self.make_symbol(rva, row.size, row.kind, row.public, all.name(&row));
            if !f(&symbol) {
                return;
            }
        }
    }

    /// A symbol from its parts; public names are undecorated.
    pub(super) fn make_symbol(
        &self,
        rva: dumpscope_core::Rva,
        size: Option<u32>,
        kind: SymbolKind,
        public: bool,
        name: &[u8],
    ) -> Symbol {
        let text = String::from_utf8_lossy(name).into_owned();
        let (name, decorated) = if public {
            let plain = undecorate(name, self.container.machine);
            let decorated = (plain != text).then_some(text);
            (plain, decorated)
        } else {
            (text, None)
        };
        let source = if public { SymbolSource::PublicPdb } else { SymbolSource::PrivatePdb };
        Symbol { rva, size, name, decorated, kind, source }
    }

    fn add_pieces(&self, all: &mut AllSymbols) {
        for i in 0..self.modules.len() {
            let Ok(index) = u16::try_from(i) else { break };
            // What is in memory already is used; the rest is read once and dropped again.
            let kept = self.modules.get(i).and_then(|m| m.get());
            let read = if kept.is_none() { self.read_module(index) } else { None };
            let Some(module) = kept.and_then(|k| k.as_deref()).or(read.as_ref()) else { continue };
            for piece in module.pieces() {
                let Some(record) = module.record(piece.record).map(|r| r.decode()) else { continue };
                match (piece.kind, record.name()) {
                    (PieceKind::Proc | PieceKind::Thunk, Some(name)) => {
                        all.push(piece.start, Some(piece.len), SymbolKind::Function, false, name);
                    }
                    (PieceKind::Trampoline(target), _) => {
                        let name = self.trampoline_name(piece.start, target);
                        all.push(piece.start, Some(piece.len), SymbolKind::Function, false, name.as_bytes());
                    }
                    _ => {}
                }
            }
        }
    }

    /// `ILT+5(_main)`, as WinDbg names the linker's jumps.
    pub(super) fn trampoline_name(&self, start: SecOff, target: SecOff) -> String {
        let (order, records) = (self.public_order(), self.records());
        let until = super::hash::publics_until(order, records, target);
        let public = until.checked_sub(1).and_then(|i| public(order, records, i));
        let name = public.filter(|p| p.place == target).map_or(&b""[..], |p| p.name);
        let offset = start.offset.saturating_sub(self.publics().map_or(0, |(_, l)| l.thunks_at));
        format!("ILT+{offset}({})", String::from_utf8_lossy(name))
    }

    /// The global record at a byte offset, decoded.
    pub(super) fn global_record(&self, offset: u32) -> Option<Record<'_>> {
        record_at(self.records(), offset).map(|r| r.decode())
    }
}
