//! The runtime's modules: which image each has, and its metadata.

use super::core::Core;
use super::layout::Field;
use super::mem::{Sparse, block};
use super::metadata::Metadata;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::image::{PeHeaders, directory};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// `IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR`.
const CLI_HEADER: usize = 14;
/// Largest metadata that is read. That of System.Private.CoreLib has 4 MB.
const MAX_METADATA: usize = 128 << 20;
/// Longest path, UTF-16 units.
const MAX_PATH: usize = 1024;
/// Most modules that are kept.
const MAX_MODULES: usize = 1 << 16;

/// A module of the runtime (an assembly's file).
#[derive(Debug)]
pub(super) struct Module {
    /// Where its image lies; 0 for a module made at run time.
    pub(super) base: Va,
    /// The image lies in file layout: addresses in it go through the section table.
    pub(super) flat: bool,
    /// Path or name of its file; empty when nothing says it. Untrusted.
    path: String,
    address: Va,
    metadata: OnceLock<Option<Metadata>>,
}

impl Module {
    /// Path or name of its file; empty when nothing says it. Untrusted.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Its file's name.
    pub(super) fn file(&self, core: &Core) -> String {
        let name = self.path.rsplit(['\\', '/']).next().unwrap_or_default();
        if !name.is_empty() {
            return name.to_owned();
        }
        self.metadata(core).and_then(Metadata::module).unwrap_or_default()
    }

    /// Its metadata; `None` when that is not in the dump.
    pub(super) fn metadata(&self, core: &Core) -> Option<&Metadata> {
        self.metadata.get_or_init(|| self.read_metadata(core)).as_ref()
    }

    fn read_metadata(&self, core: &Core) -> Option<Metadata> {
        // Modules made at run time keep a copy of theirs: size, bytes.
        if let Some(at) = core.target(self.address, Field::ModuleDynamic) {
            let size = usize::try_from(core.memory().u32(at)?).ok()?;
            return Metadata::parse(Sparse::read(&core.process.memory, at.offset(4), size, MAX_METADATA)?);
        }
        image_metadata(&core.process.memory, self.base, self.flat)
    }
}

/// The metadata of the image at `base`. CLI header: ECMA-335, partition II, 25.3.3.
fn image_metadata(memory: &Arc<dyn ReadMemory>, base: Va, flat: bool) -> Option<Metadata> {
    let image = Image::read(memory.as_ref(), base, flat)?;
    let cli = image.at(image.headers.directory(CLI_HEADER)?.rva.0)?;
    let at = image.at(memory.u32(cli.offset(8))?)?;
    let size = usize::try_from(memory.u32(cli.offset(12))?).ok()?;
    Metadata::parse(Sparse::read(memory, at, size, MAX_METADATA)?)
}

/// Most entries of a debug directory.
const MAX_DEBUG: u64 = 32;
/// `IMAGE_DEBUG_TYPE_CODEVIEW`, and the type of an embedded portable PDB.
const CODEVIEW: u32 = 2;
const EMBEDDED: u32 = 17;
/// Most bytes of one, packed.
const MAX_EMBEDDED: usize = 64 << 20;

/// The portable PDB of the image at `base`: name, and its id (the GUID of the CodeView entry and that entry's stamp).
pub(super) fn line_table(memory: &dyn ReadMemory, base: Va) -> Option<(String, [u8; 20])> {
    debug_entry(memory, base, CODEVIEW, |entry, record| {
        // "RSDS", GUID, age, path.
        if memory.u32(record)? != 0x5344_5352 {
            return None;
        }
        let mut id = [0u8; 20];
        if memory.read_at(record.offset(4), id.first_chunk_mut::<16>()?).got < 16 {
            return None;
        }
        id.last_chunk_mut::<4>()?.copy_from_slice(&memory.u32(entry.offset(4))?.to_le_bytes());
        let path = memory.c_str(record.offset(24), MAX_PATH)?;
        Some((String::from_utf8_lossy(&path).into_owned(), id))
    })
}

/// The packed portable PDB inside the image at `base`: "MPDB", bytes of it unpacked, then deflate. Source: "PE/COFF
/// specification of .NET", the debug directory's entry of type 17 (dotnet/runtime, MIT).
pub(super) fn packed_line_table(memory: &dyn ReadMemory, base: Va) -> Option<Vec<u8>> {
    debug_entry(memory, base, EMBEDDED, |entry, record| {
        let size = usize::try_from(memory.u32(entry.offset(16))?).ok()?;
        block(memory, record, size, MAX_EMBEDDED)
    })
}

/// Asks the entries of a type in an image's debug directory: address of the entry, address of its data. Layout:
/// `IMAGE_DEBUG_DIRECTORY` of the PE/COFF specification.
fn debug_entry<T>(
    memory: &dyn ReadMemory,
    base: Va,
    kind: u32,
    ask: impl Fn(Va, Va) -> Option<T>,
) -> Option<T> {
    [false, true].into_iter().find_map(|flat| {
        let image = Image::read(memory, base, flat)?;
        let directory = image.headers.directory(directory::DEBUG)?;
        let entries = image.at(directory.rva.0)?;
        (0..u64::from(directory.size / 28).min(MAX_DEBUG)).find_map(|i| {
            let entry = entries.offset(i * 28);
            let data = memory.u32(entry.offset(20)).filter(|_| memory.u32(entry.offset(12)) == Some(kind))?;
            ask(entry, image.at(data)?)
        })
    })
}

/// An image in memory, in either layout.
pub(super) struct Image {
    pub(super) base: Va,
    pub(super) headers: PeHeaders,
    flat: bool,
}

impl Image {
    pub(super) fn read(memory: &dyn ReadMemory, base: Va, flat: bool) -> Option<Image> {
        Some(Image { base, headers: PeHeaders::read(memory, base).ok()?, flat })
    }

    /// The address of an RVA.
    pub(super) fn at(&self, rva: u32) -> Option<Va> {
        let inside = if self.flat {
            let holds = |s: &&dumpscope_symbols::image::Section| {
                rva.checked_sub(s.rva.0).is_some_and(|d| d < s.virtual_size.max(s.raw_size))
            };
            let section = self.headers.sections.iter().find(holds)?;
            (rva - section.rva.0).checked_add(section.raw_offset)?
        } else {
            rva
        };
        Some(self.base.offset(inside.into()))
    }
}

/// Modules that were looked at.
#[derive(Debug, Default)]
pub(super) struct Modules(Mutex<BTreeMap<Va, Arc<Module>>>);

impl Modules {
    /// The module whose record is at `address`.
    pub(super) fn get(&self, core: &Core, address: Va) -> Arc<Module> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = known.get(&address) {
            return Arc::clone(module);
        }
        let module = Arc::new(read(core, address));
        if known.len() < MAX_MODULES {
            known.insert(address, Arc::clone(&module));
        }
        module
    }
}

fn read(core: &Core, address: Va) -> Module {
    let path = core.target(address, Field::ModulePath).and_then(|p| core.memory().w_str(p, MAX_PATH));
    let image = core
        .target(address, Field::ModulePeAssembly)
        .and_then(|assembly| core.target(assembly, Field::PeAssemblyImage))
        .and_then(|image| {
            let loaded = core.target(image, Field::PeImageLoaded);
            // The slot before it holds the layout of an image that was only read, not loaded.
            loaded.or_else(|| core.deref(core.at(image, Field::PeImageLoaded)?.back(8)))
        })
        .and_then(|layout| {
            let base = core.target(layout, Field::LayoutBase)?;
            Some((base, core.u32(layout, Field::LayoutFlags)? & 1 == 0))
        });
    let described = || core.target(address, Field::ModuleBase).map(|base| (base, false));
    let (base, flat) = image.or_else(described).unwrap_or_default();
    let file = || core.process.modules.iter().find(|m| m.base == base).map(|m| m.path.clone());
    let path = path.filter(|p| !p.is_empty()).or_else(file).unwrap_or_default();
    Module { base, flat, path, address, metadata: OnceLock::new() }
}
