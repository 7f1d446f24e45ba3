//! Microsoft PDB files, read lazily.
//!
//! `pdb2` reads the container (pages, streams, identity, module list, string table). Records are decoded here, by
//! readers that cannot run past their bytes, because `pdb2` borrows every record from a stream object that then
//! cannot be kept, panics on some damaged records (slice indexes, overflow checks), knows no name hash tables or
//! address map, and takes a section's size in the file for its size in memory.

mod address;
mod bytes;
mod container;
mod frames;
mod hash;
mod ids;
mod inlines;
mod leaf;
mod lines;
mod locals;
mod module;
mod msfz;
mod names;
mod query;
mod records;
mod source;
mod tpi;
mod typeinfo;
mod undecorate;

use crate::provider::variable::Variable;
use crate::provider::{InlineSite, SourceLine, Symbol, SymbolProvider, SymbolSource};
use crate::types::{TypeId, TypeProvider};
use crate::unwind::FrameData;
use container::{Container, StreamBytes};
use dumpscope_core::base::{CodeView, Guid};
use dumpscope_core::{Machine, Rva};
use frames::FrameTable;
use hash::PublicLayout;
use module::ModuleSymbols;
use pdb2::{StringRef, StringTable};
use records::Record;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tpi::TypeStream;

pub use msfz::convert_msfz;

/// Why a PDB cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdbError {
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Io(#[source] std::io::Error),
    /// The file is no PDB 7.0 file.
    #[error("not a PDB file")]
    NotPdb,
    /// The file is a PDB 2.0 file.
    #[error("a PDB 2.0 file (of Visual C++ 6 or older): its symbols cannot be read")]
    OldFormat,
    /// The file is MSFZ-compressed and must be converted first.
    #[error("an MSFZ-compressed PDB, not converted yet")]
    Msfz,
    /// The file belongs to another build of the module.
    #[error("belongs to another build: {found} age {found_age}, wanted {wanted} age {wanted_age}")]
    Mismatch {
        /// GUID of the file.
        found: Guid,
        /// Age of the file.
        found_age: u32,
        /// GUID of the module.
        wanted: Guid,
        /// Age of the module.
        wanted_age: u32,
    },
    /// The file belongs to another build of a module that names it by time.
    #[error(
        "belongs to another build: time {found:08x} age {found_age}, wanted {wanted:08x} age {wanted_age}"
    )]
    OtherTime {
        /// Time of the file.
        found: u32,
        /// Age of the file.
        found_age: u32,
        /// Time in the module's record.
        wanted: u32,
        /// Age in the module's record.
        wanted_age: u32,
    },
    /// The file has no list of modules (a compiler's type file, for example).
    #[error("has no debug information stream")]
    NoDebugInformation,
    /// The file is damaged; the text says where.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl From<pdb2::Error> for PdbError {
    fn from(e: pdb2::Error) -> PdbError {
        match e {
            pdb2::Error::UnrecognizedFileFormat => PdbError::NotPdb,
            pdb2::Error::StreamNotFound(_) => PdbError::NoDebugInformation,
            pdb2::Error::IoError(e) if e.kind() != std::io::ErrorKind::UnexpectedEof => PdbError::Io(e),
            other => PdbError::Damaged(other.to_string()),
        }
    }
}

/// An open PDB. Module streams, types and tables are read when a question first needs them.
#[derive(Debug)]
pub struct PdbProvider {
    path: String,
    container: Container,
    source: SymbolSource,
    modules: Vec<OnceLock<Option<Arc<ModuleSymbols>>>>,
    records: OnceLock<Option<StreamBytes>>,
    publics: OnceLock<Option<(StreamBytes, PublicLayout)>>,
    globals: OnceLock<Option<StreamBytes>>,
    data: OnceLock<names::DataTable>,
    by_plain_name: OnceLock<names::PlainNames>,
    strings: OnceLock<Option<StringTable<'static>>>,
    frames: OnceLock<FrameTable>,
    types: OnceLock<Option<TypeStream>>,
    ids: OnceLock<Option<TypeStream>>,
    type_names: OnceLock<typeinfo::TypeNames>,
}

/// Opens a PDB file. With `expected`, its GUID and age must be the module's.
///
/// # Errors
///
/// See [`PdbError`].
pub fn open(path: &Path, expected: Option<(&Guid, u32)>) -> Result<Arc<PdbProvider>, PdbError> {
    open_as(path, path, expected)
}

/// As [`open`], of a file that is going to lie at `shown`.
fn open_as(path: &Path, shown: &Path, expected: Option<(&Guid, u32)>) -> Result<Arc<PdbProvider>, PdbError> {
    let container = Container::open(path)?;
    if let Some((guid, age)) = expected
        && (container.guid != *guid || container.age != age)
    {
        return Err(PdbError::Mismatch {
            found: container.guid,
            found_age: container.age,
            wanted: *guid,
            wanted_age: age,
        });
    }
    // Four bytes of symbols are the format's number only.
    let private = !container.stripped && container.modules.iter().any(|m| m.symbols > 4 && m.c13 > 0);
    Ok(Arc::new(PdbProvider {
        path: shown.display().to_string(),
        source: if private { SymbolSource::PrivatePdb } else { SymbolSource::PublicPdb },
        modules: container.modules.iter().map(|_| OnceLock::new()).collect(),
        container,
        records: OnceLock::new(),
        publics: OnceLock::new(),
        globals: OnceLock::new(),
        data: OnceLock::new(),
        by_plain_name: OnceLock::new(),
        strings: OnceLock::new(),
        frames: OnceLock::new(),
        types: OnceLock::new(),
        ids: OnceLock::new(),
        type_names: OnceLock::new(),
    }))
}

/// Opens the PDB that a module's debug record names: `RSDS` by GUID and age, `NB10` by time and age. `shown` is where
/// the file is going to lie, which may be elsewhere.
///
/// # Errors
///
/// See [`PdbError`]; [`PdbError::NotPdb`] when the record names no PDB.
pub fn open_for(path: &Path, shown: &Path, record: &CodeView) -> Result<Arc<PdbProvider>, PdbError> {
    match record {
        CodeView::Pdb70 { guid, age, .. } => open_as(path, shown, Some((guid, *age))),
        CodeView::Pdb20 { signature, age, .. } => {
            let file = open_as(path, shown, None)?;
            let (found, found_age) = (file.container.signature, file.container.age);
            if (found, found_age) == (*signature, *age) {
                return Ok(file);
            }
            Err(PdbError::OtherTime { found, found_age, wanted: *signature, wanted_age: *age })
        }
        _ => Err(PdbError::NotPdb),
    }
}

impl PdbProvider {
    /// Seconds since 1970 of the file's creation.
    #[must_use]
    pub fn signature(&self) -> u32 {
        self.container.signature
    }

    /// The file's GUID.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.container.guid
    }

    /// The linker's age.
    #[must_use]
    pub fn age(&self) -> u32 {
        self.container.age
    }

    /// The architecture that the program was made for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.container.machine
    }

    /// True when the program was rearranged after linking (OMAP).
    #[must_use]
    pub fn is_rearranged(&self) -> bool {
        self.container.map.has_omap()
    }

    fn module(&self, index: u16) -> Option<&Arc<ModuleSymbols>> {
        let slot = self.modules.get(usize::from(index))?;
        slot.get_or_init(|| self.read_module(index).map(Arc::new)).as_ref()
    }

    /// Reads a module's stream without keeping it.
    fn read_module(&self, index: u16) -> Option<ModuleSymbols> {
        let entry = self.container.modules.get(usize::from(index))?;
        Some(ModuleSymbols::new(entry, self.container.stream(entry.stream?)?))
    }

    fn records(&self) -> &[u8] {
        let stream = self.records.get_or_init(|| self.container.stream(self.container.ids.records));
        stream.as_ref().map_or(&[], StreamBytes::bytes)
    }

    fn publics(&self) -> Option<(&[u8], &PublicLayout)> {
        let slot = self.publics.get_or_init(|| {
            let stream = self.container.stream(self.container.ids.publics)?;
            let layout = PublicLayout::parse(stream.bytes());
            Some((stream, layout))
        });
        slot.as_ref().map(|(s, l)| (s.bytes(), l))
    }

    /// Public symbols in address order.
    fn public_order(&self) -> &[u8] {
        self.publics().and_then(|(s, l)| s.get(l.order.clone())).unwrap_or_default()
    }

    fn public_hash(&self) -> &[u8] {
        self.publics().and_then(|(s, l)| s.get(l.hash.clone())).unwrap_or_default()
    }

    fn global_hash(&self) -> &[u8] {
        let stream = self.globals.get_or_init(|| self.container.stream(self.container.ids.globals));
        stream.as_ref().map_or(&[], StreamBytes::bytes)
    }

    /// A string by its offset in the file's table of strings.
    fn string(&self, offset: u32) -> Option<String> {
        let table = self.strings.get_or_init(|| self.container.strings()).as_ref()?;
        let text = table.get(StringRef(offset)).ok()?;
        Some(String::from_utf8_lossy(text.as_bytes()).into_owned())
    }

    fn type_stream(&self) -> Option<&TypeStream> {
        self.types.get_or_init(|| TypeStream::read(&self.container, 2)).as_ref()
    }

    fn ids(&self) -> Option<&TypeStream> {
        self.ids.get_or_init(|| TypeStream::read(&self.container, 4)).as_ref()
    }
}

impl SymbolProvider for PdbProvider {
    fn source(&self) -> SymbolSource {
        self.source
    }

    fn file(&self) -> Option<&str> {
        Some(&self.path)
    }

    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        self.symbol_at(rva)
    }

    fn next_after(&self, rva: Rva) -> Option<Symbol> {
        self.symbol_after(rva)
    }

    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        self.symbols_named(name, ignore_case)
    }

    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        self.each_symbol(f);
    }

    fn line(&self, rva: Rva) -> Option<SourceLine> {
        self.line_at(rva)
    }

    fn line_address(&self, file: &str, line: u32) -> Option<Rva> {
        self.address_of_line(file, line)
    }

    fn inlines(&self, rva: Rva) -> Vec<InlineSite> {
        self.inlines_at(rva)
    }

    fn variables(&self, rva: Rva) -> Option<Vec<Variable>> {
        self.variables_at(rva)
    }

    fn function_type(&self, rva: Rva) -> Option<TypeId> {
        self.function_type_at(rva)
    }

    fn data_type(&self, rva: Rva) -> Option<TypeId> {
        let at = self.container.map.place(rva)?;
        let (place, record) = self.data_table().around(at).0?;
        match self.global_record(record)? {
            Record::Data { ty, .. } if place == at => Some(TypeId(ty)),
            _ => None,
        }
    }

    fn constant(&self, name: &str) -> Option<(TypeId, i128)> {
        self.constant_named(name)
    }

    fn types(&self) -> Option<&dyn TypeProvider> {
        self.type_stream().is_some().then_some(self as &dyn TypeProvider)
    }

    fn param_bytes(&self, rva: Rva) -> Option<u32> {
        match self.frame_data(rva)? {
            FrameData::Fpo { params, .. } | FrameData::Program { params, .. } => Some(params),
            FrameData::Cfi { .. } => None,
        }
    }

    fn frame_data(&self, rva: Rva) -> Option<FrameData> {
        match self.container.machine {
            Machine::X86 => {}
            Machine::Amd64 => return self.simple_frame(rva),
            _ => return None,
        }
        let table = self.frames.get_or_init(|| FrameTable {
            fpo: self.container.stream(self.container.ids.fpo),
            programs: self.container.stream(self.container.ids.frame_data),
        });
        table.find(&self.container.map, rva, &|offset| self.string(offset))
    }
}
