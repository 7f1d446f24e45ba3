//! The headers of a PE image in memory.
//!
//! A reader of our own: `goblin` wants the whole file as one slice in file layout, while here the bytes come
//! from a dump, in memory layout, with holes.
//!
//! Layout: PE/COFF specification of Microsoft, the same in all builds.

use dumpscope_core::{Machine, ReadMemory, Rva, Va};

/// Most section headers that are read; Windows' loader takes 96.
const MAX_SECTIONS: u16 = 256;
/// Data directories of the format.
const DIRECTORIES: usize = 16;

/// Indexes of data directories.
pub mod directory {
    /// Export table.
    pub const EXPORT: usize = 0;
    /// Resources.
    pub const RESOURCE: usize = 2;
    /// `.pdata`.
    pub const EXCEPTION: usize = 3;
    /// Base relocations.
    pub const RELOCATIONS: usize = 5;
    /// Debug directory.
    pub const DEBUG: usize = 6;
    /// Import address table.
    pub const IMPORT_ADDRESSES: usize = 12;
}

/// Why an image could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The bytes are not there.
    #[error("{what} is not readable")]
    Unreadable {
        /// Which part of the image.
        what: &'static str,
    },
    /// The bytes are no PE image.
    #[error("no PE image: {what}")]
    NotAnImage {
        /// What was wrong.
        what: &'static str,
    },
    /// A part of the image contradicts itself.
    #[error("damaged image: {what}")]
    Damaged {
        /// What was wrong.
        what: &'static str,
    },
}

/// A data directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DataDirectory {
    /// Start.
    pub rva: Rva,
    /// Bytes.
    pub size: u32,
}

/// A section header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Name, up to 8 bytes. Untrusted. `/4` style names point into a string table that is not mapped.
    pub name: String,
    /// Start in memory.
    pub rva: Rva,
    /// Bytes in memory.
    pub virtual_size: u32,
    /// Bytes in the file.
    pub raw_size: u32,
    /// Start in the file.
    pub raw_offset: u32,
    /// `IMAGE_SCN_*` bits.
    pub characteristics: u32,
}

impl Section {
    /// True when the section holds code that can run.
    #[must_use]
    pub fn is_code(&self) -> bool {
        self.characteristics & 0x2000_0020 != 0
    }

    /// Bytes that the section takes in memory.
    #[must_use]
    pub fn mapped_size(&self) -> u32 {
        if self.virtual_size == 0 { self.raw_size } else { self.virtual_size }
    }

    /// True when `rva` lies in the section.
    #[must_use]
    pub fn contains(&self, rva: Rva) -> bool {
        rva.0.checked_sub(self.rva.0).is_some_and(|d| d < self.mapped_size())
    }
}

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeHeaders {
    /// Architecture.
    pub machine: Machine,
    /// `TimeDateStamp`.
    pub timestamp: u32,
    /// `CheckSum`.
    pub checksum: u32,
    /// `SizeOfImage`, bytes.
    pub size_of_image: u32,
    /// `SizeOfHeaders`, bytes.
    pub size_of_headers: u32,
    /// `ImageBase`: the address that the linker chose, or the load address in memory.
    pub image_base: Va,
    /// `AddressOfEntryPoint`.
    pub entry: Rva,
    /// `IMAGE_FILE_*` bits.
    pub characteristics: u32,
    /// File offset of the COFF symbol table, 0 without one.
    pub symbol_table: u32,
    /// Entries of the COFF symbol table.
    pub symbol_count: u32,
    /// Data directories, zero where the image has fewer than 16.
    pub directories: [DataDirectory; DIRECTORIES],
    /// Sections, in header order.
    pub sections: Vec<Section>,
}

impl PeHeaders {
    /// Reads the headers of the image at `base`.
    ///
    /// # Errors
    /// Headers are missing from memory, or the bytes are no PE image.
    pub fn read(mem: &dyn ReadMemory, base: Va) -> Result<PeHeaders, ImageError> {
        let dos = read_block(mem, base, 0x40, "DOS header")?;
        if dos.get(..2) != Some(b"MZ") {
            return Err(ImageError::NotAnImage { what: "no MZ signature" });
        }
        let lfanew = u32_at(&dos, 0x3c).unwrap_or(0);
        if lfanew > 0x1000_0000 {
            return Err(ImageError::NotAnImage { what: "e_lfanew is out of range" });
        }
        let pe = base.offset(u64::from(lfanew));
        let head = read_block(mem, pe, 24, "PE header")?;
        if head.get(..4) != Some(b"PE\0\0") {
            return Err(ImageError::NotAnImage { what: "no PE signature" });
        }
        let field = |at| u32_at(&head, at).unwrap_or(0);
        let half = |at| u16_at(&head, at).unwrap_or(0);
        let optional_size = half(20);
        let optional = read_block(mem, pe.offset(24), usize::from(optional_size), "optional header")?;
        let table_at = pe.offset(24).offset(u64::from(optional_size));
        let (image_base, count_at) = match u16_at(&optional, 0) {
            Some(0x10b) => (u32_at(&optional, 28).map(u64::from), 92),
            Some(0x20b) => (u64_at(&optional, 24), 108),
            _ => return Err(ImageError::NotAnImage { what: "unknown optional header" }),
        };
        let opt = |at| u32_at(&optional, at).unwrap_or(0);
        let mut directories = [DataDirectory::default(); DIRECTORIES];
        let count = usize::try_from(opt(count_at)).unwrap_or(usize::MAX).min(DIRECTORIES);
        for (i, slot) in directories.iter_mut().enumerate().take(count) {
            let at = count_at + 4 + i * 8;
            *slot = DataDirectory { rva: Rva(opt(at)), size: opt(at + 4) };
        }
        Ok(PeHeaders {
            machine: Machine::from_pe(half(4)),
            timestamp: field(8),
            checksum: opt(64),
            size_of_image: opt(56),
            size_of_headers: opt(60),
            image_base: Va(image_base.unwrap_or(0)),
            entry: Rva(opt(16)),
            characteristics: u32::from(half(22)),
            symbol_table: field(12),
            symbol_count: field(16),
            directories,
            sections: read_sections(mem, table_at, half(6).min(MAX_SECTIONS)),
        })
    }

    /// A data directory; `None` when it is absent or empty.
    #[must_use]
    pub fn directory(&self, index: usize) -> Option<DataDirectory> {
        self.directories.get(index).copied().filter(|d| d.rva.0 != 0 && d.size != 0)
    }

    /// The section that holds `rva`.
    #[must_use]
    pub fn section_at(&self, rva: Rva) -> Option<&Section> {
        self.sections.iter().find(|s| s.contains(rva))
    }
}

/// Section headers, as many as are readable: an image whose header page is cut off still has its first ones.
fn read_sections(mem: &dyn ReadMemory, at: Va, count: u16) -> Vec<Section> {
    let mut raw = vec![0u8; usize::from(count) * 40];
    let got = mem.read_at(at, &mut raw).got;
    raw.truncate(got);
    raw.as_chunks::<40>()
        .0
        .iter()
        .map(|h| {
            let field = |at| u32_at(h, at).unwrap_or(0);
            let name = h.split_at(8).0;
            let name = name.split(|&b| b == 0).next().unwrap_or(name);
            Section {
                name: String::from_utf8_lossy(name).into_owned(),
                virtual_size: field(8),
                rva: Rva(field(12)),
                raw_size: field(16),
                raw_offset: field(20),
                characteristics: field(36),
            }
        })
        .collect()
}

/// Reads exactly `len` bytes; callers bound `len`.
pub(super) fn read_block(
    mem: &dyn ReadMemory,
    va: Va,
    len: usize,
    what: &'static str,
) -> Result<Vec<u8>, ImageError> {
    let mut buf = vec![0u8; len];
    if mem.read_at(va, &mut buf).got < len {
        return Err(ImageError::Unreadable { what });
    }
    Ok(buf)
}

pub(super) fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*b.get(at..)?.first_chunk()?))
}
