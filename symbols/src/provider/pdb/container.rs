//! The file's streams: identity, list of modules, section contributions. `pdb2` reads the container.

use super::PdbError;
use super::address::{AddressMap, SecOff};
use super::bytes::Bytes;
use super::source::FileSource;
use dumpscope_core::Machine;
use dumpscope_core::base::Guid;
use pdb2::{FallibleIterator, PDB, StreamIndex, StringTable};
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Most modules (object files) that a PDB may list; the largest real ones have some ten thousand.
const MAX_MODULES: usize = 1 << 20;
/// Index of the DBI stream.
const DBI: u16 = 3;
const NO_STREAM: u16 = 0xffff;
/// `IMAGE_SCN_CNT_CODE | IMAGE_SCN_MEM_EXECUTE`.
const CODE: u32 = 0x2000_0020;

/// Bytes of one stream, as the container parser gives them (its type has no public name): no further copy.
pub(super) struct StreamBytes(Box<dyn Deref<Target = [u8]> + Send + Sync>);

impl StreamBytes {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for StreamBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamBytes({} bytes)", self.bytes().len())
    }
}

/// One object file of the program.
#[derive(Clone, Debug)]
pub(super) struct ModuleEntry {
    /// Stream with its symbols and lines; `None` when it has none.
    pub(super) stream: Option<u16>,
    /// Bytes of symbols at the start of the stream.
    pub(super) symbols: u32,
    /// Bytes of the older line format behind them.
    pub(super) c11: u32,
    /// Bytes of C13 lines behind that.
    pub(super) c13: u32,
    /// Path of the object file. Untrusted.
    pub(super) name: String,
}

/// A piece of a section that one object file filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contribution {
    pub(super) start: SecOff,
    pub(super) size: u32,
    pub(super) module: u16,
    pub(super) code: bool,
}

/// Indexes of further streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamIds {
    pub(super) globals: u16,
    pub(super) publics: u16,
    pub(super) records: u16,
    pub(super) fpo: u16,
    pub(super) frame_data: u16,
}

/// An open PDB file.
#[derive(Debug)]
pub(super) struct Container {
    pdb: Mutex<PDB<'static, FileSource>>,
    pub(super) guid: Guid,
    /// Seconds since 1970 of the file's creation: what `NB10` records name it by.
    pub(super) signature: u32,
    /// The linker's age; the image's must be equal.
    pub(super) age: u32,
    pub(super) machine: Machine,
    pub(super) stripped: bool,
    pub(super) modules: Vec<ModuleEntry>,
    /// Sorted by start.
    pub(super) contributions: Vec<Contribution>,
    pub(super) map: AddressMap,
    pub(super) ids: StreamIds,
}

/// Runs container code of `pdb2`, which panics on some damaged files (slice indexes, overflow checks).
pub(super) fn guard<T>(f: impl FnOnce() -> Result<T, PdbError>) -> Result<T, PdbError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(PdbError::Damaged("not readable".to_owned())))
}

impl Container {
    /// Opens a file and reads what every question needs; module streams stay unread.
    pub(super) fn open(path: &Path) -> Result<Container, PdbError> {
        // Opening a pipe would wait for somebody to write to it.
        if !std::fs::metadata(path).map_err(PdbError::Io)?.is_file() {
            return Err(PdbError::NotPdb);
        }
        let mut file = File::open(path).map_err(PdbError::Io)?;
        let mut magic = [0u8; 24];
        match file.read_exact(&mut magic) {
            Ok(()) if magic.starts_with(super::msfz::MAGIC) => return Err(PdbError::Msfz),
            Ok(()) if magic.starts_with(b"Microsoft C/C++ program ") => return Err(PdbError::OldFormat),
            Ok(()) if !magic.starts_with(b"Microsoft C/C++ MSF 7.00") => return Err(PdbError::NotPdb),
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(PdbError::NotPdb),
            Err(e) => return Err(PdbError::Io(e)),
        }
        let source = FileSource::new(file).map_err(PdbError::Io)?;
        guard(|| Container::read(source))
    }

    fn read(source: FileSource) -> Result<Container, PdbError> {
        let mut pdb = PDB::open(source)?;
        let info = pdb.pdb_information()?;
        let (data1, data2, data3, data4) = info.guid.as_fields();
        let guid = Guid { data1, data2, data3, data4: *data4 };
        let signature = info.signature;

        let dbi = pdb.debug_information()?;
        let age = dbi.age().unwrap_or(info.age);
        let mut modules = Vec::new();
        let mut list = dbi.modules()?;
        // A damaged tail must not cost the names of the modules before it.
        while let Ok(Some(m)) = list.next() {
            if modules.len() >= MAX_MODULES {
                return Err(PdbError::Damaged("too many modules".to_owned()));
            }
            let i = m.info();
            modules.push(ModuleEntry {
                stream: (i.stream.0 != NO_STREAM).then_some(i.stream.0),
                symbols: i.symbols_size,
                c11: i.lines_size,
                c13: i.c13_lines_size,
                name: m.module_name().into_owned(),
            });
        }
        let contributions = contributions(&dbi)?;
        let stripped = dbi.is_stripped();
        drop(dbi);

        let raw = pdb.raw_stream(StreamIndex(DBI))?.ok_or(PdbError::NoDebugInformation)?;
        let header = Header::parse(raw.as_slice()).ok_or(PdbError::NoDebugInformation)?;
        drop(raw);
        let mut optional = |index: u16| match index {
            NO_STREAM => Ok(None),
            i => pdb.raw_stream(StreamIndex(i)),
        };
        let sections = optional(header.sections)?;
        let original = optional(header.original_sections)?;
        let map = match original {
            Some(o) => {
                let from_src = optional(header.omap_from_src)?;
                let to_src = optional(header.omap_to_src)?;
                AddressMap::new(o.as_slice(), from_src.as_deref(), to_src.as_deref())
            }
            None => AddressMap::new(sections.as_deref().unwrap_or_default(), None, None),
        };
        let machine = Machine::from_pe(header.machine);
        let ids = header.ids;
        Ok(Container {
            pdb: Mutex::new(pdb),
            guid,
            signature,
            age,
            machine,
            stripped,
            modules,
            contributions,
            map,
            ids,
        })
    }

    /// Reads a stream. `None` when it does not exist or cannot be read.
    pub(super) fn stream(&self, index: u16) -> Option<StreamBytes> {
        if index == NO_STREAM {
            return None;
        }
        let mut pdb = self.pdb.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = guard(|| Ok(pdb.raw_stream(StreamIndex(index))?));
        let stream = stream.ok().flatten()?;
        Some(StreamBytes(Box::new(stream)))
    }

    /// Reads the table of strings (file names, frame programs).
    pub(super) fn strings(&self) -> Option<StringTable<'static>> {
        let mut pdb = self.pdb.lock().unwrap_or_else(PoisonError::into_inner);
        guard(|| Ok(pdb.string_table()?)).ok()
    }

    /// The contribution that covers `at`, or, as `Err`, the hole around it: where it starts and its size, when the
    /// section has contributions at all.
    pub(super) fn contribution(&self, at: SecOff) -> Result<Contribution, Option<(SecOff, u32)>> {
        let next = self.contributions.partition_point(|c| c.start <= at);
        let before = next.checked_sub(1).and_then(|i| self.contributions.get(i));
        if let Some(c) = before
            && at.since(c.start).is_some_and(|d| d < c.size)
        {
            return Ok(*c);
        }
        let Some(c) = before.filter(|c| c.start.section == at.section) else { return Err(None) };
        let start = c.start.plus(c.size);
        let end = match self.contributions.get(next) {
            Some(n) if n.start.section == at.section => n.start.offset,
            _ => at.offset.saturating_add(1),
        };
        Err(Some((start, end.saturating_sub(start.offset))))
    }
}

fn contributions(dbi: &pdb2::DebugInformation<'_>) -> Result<Vec<Contribution>, PdbError> {
    let mut out = Vec::new();
    let mut list = dbi.section_contributions()?;
    while let Ok(Some(c)) = list.next() {
        let Ok(module) = u16::try_from(c.module) else { continue };
        if c.size != 0 {
            out.push(Contribution {
                start: SecOff::new(c.offset.section, c.offset.offset),
                size: c.size,
                module,
                code: c.characteristics.0 & CODE != 0,
            });
        }
    }
    out.sort_by_key(|c| c.start);
    Ok(out)
}

/// What is needed of the DBI stream's header and of its last part, the list of optional streams. `pdb2` keeps both
/// to itself.
struct Header {
    ids: StreamIds,
    machine: u16,
    omap_to_src: u16,
    omap_from_src: u16,
    sections: u16,
    original_sections: u16,
}

impl Header {
    /// Layout: `NewDBIHdr` of microsoft-pdb's `dbi.h`, 64 bytes; seven substreams follow, the last of which holds
    /// the optional stream indexes.
    fn parse(dbi: &[u8]) -> Option<Header> {
        let mut b = Bytes::at(dbi, 12)?;
        let globals = b.u16()?;
        let _version = b.u16()?;
        let publics = b.u16()?;
        let _build = b.u16()?;
        let records = b.u16()?;
        let mut b = Bytes::at(dbi, 24)?;
        let mut skip = 64usize;
        for _ in 0..5 {
            skip = skip.checked_add(usize::try_from(b.u32()?).ok()?)?;
        }
        let _type_server = b.u32()?;
        let optional_size = usize::try_from(b.u32()?).ok()?;
        skip = skip.checked_add(usize::try_from(b.u32()?).ok()?)?;
        let machine = Bytes::at(dbi, 58)?.u16()?;
        let end = skip.checked_add(optional_size)?;
        let optional = dbi.get(skip..end.min(dbi.len())).unwrap_or_default();
        let index = |i: usize| Bytes::at(optional, i.saturating_mul(2)).and_then(|mut b| b.u16());
        let index = |i| index(i).unwrap_or(NO_STREAM);
        Some(Header {
            ids: StreamIds { globals, publics, records, fpo: index(0), frame_data: index(9) },
            machine,
            omap_to_src: index(3),
            omap_from_src: index(4),
            sections: index(5),
            original_sections: index(10),
        })
    }
}
