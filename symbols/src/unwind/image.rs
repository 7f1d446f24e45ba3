//! What unwinding needs of a PE image, read from the memory of the process: sections and the exception directory.
//!
//! Layout: PE/COFF specification (`IMAGE_DOS_HEADER.e_lfanew`, `IMAGE_FILE_HEADER`, `IMAGE_OPTIONAL_HEADER`,
//! `IMAGE_SECTION_HEADER`). The loaded form counts: all addresses are RVAs.

use super::dwarf;
use dumpscope_core::{Machine, ReadMemory, Rva, Va};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// `IMAGE_DIRECTORY_ENTRY_EXCEPTION`.
const EXCEPTION_DIRECTORY: u32 = 3;
/// `IMAGE_SCN_MEM_EXECUTE`.
const EXECUTE: u32 = 0x2000_0000;
/// The Windows loader refuses images with more sections.
const MAX_SECTIONS: u16 = 96;

/// One section of a loaded image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    /// Name bytes; long names are `/` and a number.
    pub(crate) name: [u8; 8],
    /// Start.
    pub(crate) rva: Rva,
    /// Bytes in memory.
    pub(crate) size: u32,
    /// `IMAGE_SCN_*`.
    pub(crate) flags: u32,
}

/// Headers of a loaded image.
#[derive(Debug)]
pub(crate) struct Image {
    /// Load address.
    pub(crate) base: Va,
    /// Its architecture.
    pub(crate) machine: Machine,
    /// The exception directory (`.pdata`): start and bytes.
    pub(crate) pdata: Option<(Rva, u32)>,
    /// Sections in the header's order.
    pub(crate) sections: Vec<Section>,
    dwarf: OnceLock<Option<dwarf::Table>>,
}

impl Image {
    /// Reads the headers at `base`. `None` when they are not readable or are no PE headers.
    pub(crate) fn read(mem: &dyn ReadMemory, base: Va, size: u32) -> Option<Image> {
        if mem.u16(base)? != 0x5a4d {
            return None;
        }
        let pe = mem.u32(base.offset(0x3c))?;
        if pe > size {
            return None;
        }
        let nt = base.offset(pe.into());
        if mem.u32(nt)? != 0x4550 {
            return None;
        }
        let machine = Machine::from_pe(mem.u16(nt.offset(4))?);
        let count = mem.u16(nt.offset(6))?.min(MAX_SECTIONS);
        let optional_size = mem.u16(nt.offset(20))?;
        let optional = nt.offset(24);
        // The directory count and the directories lie behind fields that are wider in PE32+.
        let count_at = match mem.u16(optional)? {
            0x10b => 92,
            0x20b => 108,
            _ => return None,
        };
        let directories = mem.u32(optional.offset(count_at))?;
        let mut pdata = None;
        if directories > EXCEPTION_DIRECTORY {
            let at = optional.offset(count_at + 4 + u64::from(EXCEPTION_DIRECTORY) * 8);
            let (rva, bytes) = (mem.u32(at)?, mem.u32(at.offset(4))?);
            if rva != 0 && bytes != 0 && rva < size {
                pdata = Some((Rva(rva), bytes.min(size.saturating_sub(rva))));
            }
        }
        let table = optional.offset(optional_size.into());
        let mut sections = Vec::new();
        for i in 0..u64::from(count) {
            let at = table.offset(i * 40);
            let mut name = [0u8; 8];
            if mem.read_at(at, &mut name).got < name.len() {
                break;
            }
            let fields = (mem.u32(at.offset(8)), mem.u32(at.offset(12)), mem.u32(at.offset(36)));
            let (Some(bytes), Some(rva), Some(flags)) = fields else { break };
            sections.push(Section { name, rva: Rva(rva), size: bytes, flags });
        }
        Some(Image { base, machine, pdata, sections, dwarf: OnceLock::new() })
    }

    /// Call frame information of the image, read and indexed at the first question.
    pub(super) fn dwarf(&self, mem: &dyn ReadMemory) -> Option<&dwarf::Table> {
        self.dwarf.get_or_init(|| dwarf::Table::read(mem, self)).as_ref()
    }

    /// True when `rva` lies in an executable section; `None` when the sections are not known.
    pub(crate) fn is_code(&self, rva: Rva) -> Option<bool> {
        if self.sections.is_empty() {
            return None;
        }
        Some(
            self.sections
                .iter()
                .any(|s| s.flags & EXECUTE != 0 && rva.0.checked_sub(s.rva.0).is_some_and(|d| d < s.size)),
        )
    }
}

/// Image headers read so far, shared by the walks over one dump. Only what could be read is kept, so an image
/// that becomes readable later (a new image path) is found then.
#[derive(Debug, Default)]
pub struct UnwindCache(Mutex<BTreeMap<Va, Arc<Image>>>);

impl UnwindCache {
    /// The image at `base`, read now if it is not known.
    pub(crate) fn image(&self, mem: &dyn ReadMemory, base: Va, size: u32) -> Option<Arc<Image>> {
        let mut images = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = images.get(&base) {
            return Some(image.clone());
        }
        let image = Arc::new(Image::read(mem, base, size)?);
        images.insert(base, image.clone());
        Some(image)
    }
}
