//! Image files of this machine, seen as the loader maps them.

use super::headers::{DataDirectory, ImageError, PeHeaders, Section, directory, read_block, u16_at, u32_at};
use crate::file::FileBytes;
use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{ModuleInfo, ReadMemory, Rva, Va};
use std::path::Path;
use std::sync::Arc;

/// Largest image that is mapped.
const MAX_IMAGE: u32 = 1 << 31;
/// Most blocks of base relocations that are applied.
const MAX_RELOCATION_BLOCKS: usize = 1 << 20;

/// An image file that belongs to a module.
#[derive(Debug)]
pub struct ImageFile {
    path: String,
    file: FileBytes,
    headers: PeHeaders,
}

/// Part of an image as it lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePart {
    /// Start.
    pub rva: Rva,
    /// Bytes, relocated to the module's base.
    pub bytes: Arc<[u8]>,
}

/// Why an image file was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageFileError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no image.
    #[error("cannot be used: {0}")]
    Image(#[from] ImageError),
    /// It is another build of the module.
    #[error(
        "is another build: time stamp {found_time:08X} and size {found_size:x}, the module has {time:08X} and {size:x}"
    )]
    Mismatch {
        /// Time stamp of the file.
        found_time: u32,
        /// `SizeOfImage` of the file.
        found_size: u32,
        /// Time stamp of the module.
        time: u32,
        /// Size of the module.
        size: u32,
    },
}

impl ImageFile {
    /// Opens an image file and checks that it is the module's, by time stamp and size as symbol stores do. `shown` is
    /// where the file is going to lie, which may be elsewhere.
    ///
    /// # Errors
    /// It cannot be read, is no image, or another build.
    pub fn open(path: &Path, shown: &Path, module: &ModuleInfo) -> Result<ImageFile, ImageFileError> {
        let image = ImageFile::from_bytes(FileBytes::open(path)?, &shown.display().to_string())?;
        let h = &image.headers;
        if (h.timestamp, h.size_of_image) != (module.timestamp, module.size) {
            return Err(ImageFileError::Mismatch {
                found_time: h.timestamp,
                found_size: h.size_of_image,
                time: module.timestamp,
                size: module.size,
            });
        }
        Ok(image)
    }

    /// An image of bytes in memory, in file layout.
    ///
    /// # Errors
    /// It is no image, or a larger one than any loader maps.
    pub fn from_bytes(file: FileBytes, path: &str) -> Result<ImageFile, ImageError> {
        let headers = PeHeaders::read(&Flat(file.bytes()), Va(0))?;
        if headers.size_of_image > MAX_IMAGE {
            return Err(ImageError::Damaged { what: "SizeOfImage is too large" });
        }
        Ok(ImageFile { path: path.to_owned(), file, headers })
    }

    /// Its path on this machine.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What its headers say.
    #[must_use]
    pub fn headers(&self) -> &PeHeaders {
        &self.headers
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.file.bytes()
    }

    /// Full name of a section: names of more than 8 characters lie in the COFF string table (`/4` stands for
    /// offset 4 in it), which the loader does not map.
    #[must_use]
    pub fn section_name(&self, section: &Section) -> String {
        let offset = section.name.strip_prefix('/').and_then(|d| d.parse::<u32>().ok());
        offset.and_then(|o| self.coff_string(o)).unwrap_or_else(|| section.name.clone())
    }

    /// A text of the COFF string table, which lies behind the symbol table.
    pub(crate) fn coff_string(&self, offset: u32) -> Option<String> {
        let symbols = u64::from(self.headers.symbol_count).checked_mul(18)?;
        let table = u64::from(self.headers.symbol_table).checked_add(symbols)?;
        let at = usize::try_from(table.checked_add(offset.into())?).ok()?;
        (self.headers.symbol_table != 0 && offset >= 4).then_some(())?;
        let rest = self.bytes().get(at..)?;
        let end = memchr::memchr(0, rest.get(..rest.len().min(64 * 1024))?)?;
        Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
    }

    /// The bytes of a section in the file; what the file holds of it.
    #[must_use]
    pub fn section_bytes(&self, section: &Section) -> &[u8] {
        let size = if section.virtual_size == 0 {
            section.raw_size
        } else {
            section.raw_size.min(section.virtual_size)
        };
        let start = usize::try_from(section.raw_offset).unwrap_or(usize::MAX);
        let rest = self.bytes().get(start..).unwrap_or(&[]);
        rest.get(..rest.len().min(usize::try_from(size).unwrap_or(usize::MAX))).unwrap_or(&[])
    }

    /// The image as memory whose addresses are RVAs.
    #[must_use]
    pub fn memory(&self) -> ImageMemory<'_> {
        ImageMemory { image: self }
    }

    /// What the image tells of the memory of a process that loaded it at `base`: headers, code and constants.
    ///
    /// Left out is what a process changes: writable sections, and the import addresses, which the file holds
    /// only in the form for the loader.
    #[must_use]
    pub fn parts(&self, base: Va) -> Vec<ImagePart> {
        const WRITE: u32 = 0x8000_0000;
        const DISCARDABLE: u32 = 0x0200_0000;
        let headers = usize::try_from(self.headers.size_of_headers).unwrap_or(0).min(0x1_0000);
        // The sections of a sound file do not share bytes.
        let mut left = self.bytes().len();
        let mut parts = Vec::new();
        if let Some(bytes) = self.bytes().get(..headers.min(self.bytes().len())) {
            parts.push((0u32, bytes.to_vec()));
        }
        for s in self.headers.sections.iter().filter(|s| s.characteristics & (WRITE | DISCARDABLE) == 0) {
            let bytes = self.section_bytes(s);
            let Some(rest) = left.checked_sub(bytes.len()) else { break };
            left = rest;
            if s.rva.0.checked_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX)).is_some() {
                parts.push((s.rva.0, bytes.to_vec()));
            }
        }
        self.relocate(base, &mut parts);
        let imports = self.headers.directory(directory::IMPORT_ADDRESSES);
        parts
            .into_iter()
            .flat_map(|(rva, bytes)| without(rva, &bytes, imports))
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(|(rva, bytes)| ImagePart { rva: Rva(rva), bytes: bytes.into() })
            .collect()
    }

    /// Applies the base relocations to the parts.
    fn relocate(&self, base: Va, parts: &mut [(u32, Vec<u8>)]) {
        let delta = base.0.wrapping_sub(self.headers.image_base.0);
        let Some(dir) = self.headers.directory(directory::RELOCATIONS).filter(|_| delta != 0) else { return };
        let Ok(size) = usize::try_from(dir.size.min(MAX_IMAGE)) else { return };
        let size = size.min(self.bytes().len());
        let Ok(table) = read_block(&self.memory(), dir.rva.va(Va(0)), size, "relocations") else { return };
        let mut at = 0usize;
        for _ in 0..MAX_RELOCATION_BLOCKS {
            let (Some(page), Some(len)) = (u32_at(&table, at), u32_at(&table, at.saturating_add(4))) else {
                return;
            };
            let len = usize::try_from(len).unwrap_or(0);
            let Some(entries) = table.get(at.saturating_add(8)..at.saturating_add(len)).filter(|_| len >= 8)
            else {
                return;
            };
            for i in 0..entries.len() / 2 {
                let entry = u16_at(entries, i * 2).unwrap_or(0);
                patch(parts, page.wrapping_add(u32::from(entry & 0xfff)), entry >> 12, delta);
            }
            at = at.saturating_add(len);
        }
    }
}

/// One relocation: 3 is a 32-bit address, 10 a 64-bit one; the other kinds are of other machines.
fn patch(parts: &mut [(u32, Vec<u8>)], rva: u32, kind: u16, delta: u64) {
    for (start, bytes) in parts {
        let at = rva.checked_sub(*start).and_then(|d| usize::try_from(d).ok());
        let Some(place) = at.and_then(|a| bytes.get_mut(a..)) else { continue };
        match kind {
            3 => {
                if let Some(p) = place.first_chunk_mut::<4>() {
                    let [a, b, c, d, ..] = delta.to_le_bytes();
                    *p = u32::from_le_bytes(*p).wrapping_add(u32::from_le_bytes([a, b, c, d])).to_le_bytes();
                    return;
                }
            }
            10 => {
                if let Some(p) = place.first_chunk_mut::<8>() {
                    *p = u64::from_le_bytes(*p).wrapping_add(delta).to_le_bytes();
                    return;
                }
            }
            _ => return,
        }
    }
}

/// The bytes at `rva` without those of `hole`.
fn without(rva: u32, bytes: &[u8], hole: Option<DataDirectory>) -> Vec<(u32, Vec<u8>)> {
    let Some(hole) = hole else { return vec![(rva, bytes.to_vec())] };
    let cut = |at: u32| usize::try_from(at.saturating_sub(rva)).unwrap_or(usize::MAX).min(bytes.len());
    let (from, to) = (cut(hole.rva.0), cut(hole.rva.0.saturating_add(hole.size)));
    let tail = rva.saturating_add(u32::try_from(to).unwrap_or(u32::MAX));
    vec![
        (rva, bytes.get(..from).unwrap_or(&[]).to_vec()),
        (tail, bytes.get(to.max(from)..).unwrap_or(&[]).to_vec()),
    ]
}

/// An image file as memory; addresses are RVAs.
#[derive(Debug)]
pub struct ImageMemory<'a> {
    image: &'a ImageFile,
}

impl ImageMemory<'_> {
    /// File bytes from `rva` to the end of their section, and how many zeros follow them there.
    fn at(&self, rva: u32) -> Option<(&[u8], u32)> {
        let headers = &self.image.headers;
        if let Some(s) = headers.section_at(Rva(rva)) {
            let skip = rva.checked_sub(s.rva.0)?;
            let bytes = self.image.section_bytes(s);
            let rest = bytes.get(usize::try_from(skip).ok()?..).unwrap_or(&[]);
            let left = s.mapped_size().checked_sub(skip)?;
            return Some((rest, left.saturating_sub(u32::try_from(rest.len()).unwrap_or(u32::MAX))));
        }
        let end = usize::try_from(headers.size_of_headers).ok()?.min(self.image.bytes().len());
        let rest = self.image.bytes().get(..end)?.get(usize::try_from(rva).ok()?..)?;
        (!rest.is_empty()).then_some((rest, 0))
    }
}

impl ReadMemory for ImageMemory<'_> {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0usize;
        while got < buf.len() {
            let at = va.0.checked_add(got as u64).and_then(|a| u32::try_from(a).ok());
            let Some((bytes, zeros)) = at.and_then(|a| self.at(a)) else { break };
            let Some(room) = buf.get_mut(got..) else { break };
            let n = bytes.len().min(room.len());
            if let (Some(to), Some(from)) = (room.get_mut(..n), bytes.get(..n)) {
                to.copy_from_slice(from);
            }
            let fill = usize::try_from(zeros).unwrap_or(0).min(room.len().saturating_sub(n));
            if let Some(rest) = room.get_mut(n..n.saturating_add(fill)) {
                rest.fill(0);
            }
            if n.saturating_add(fill) == 0 {
                break;
            }
            got = got.saturating_add(n).saturating_add(fill);
        }
        Read { got, provenance: Provenance::Image }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        let rva = u32::try_from(va.0).ok()?;
        if self.at(rva).is_some() {
            return Some(va);
        }
        self.image.headers.sections.iter().map(|s| s.rva.0).filter(|r| *r > rva).min().map(|r| Va(r.into()))
    }
}

/// A file's bytes as memory whose addresses are file offsets.
struct Flat<'a>(&'a [u8]);

impl ReadMemory for Flat<'_> {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let rest = usize::try_from(va.0).ok().and_then(|at| self.0.get(at..)).unwrap_or(&[]);
        let got = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..got), rest.get(..got)) {
            to.copy_from_slice(from);
        }
        Read { got, provenance: Provenance::Image }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        (va.0 < self.0.len() as u64).then_some(va)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::testing::ImageBuilder;

    fn image(plus: bool) -> ImageFile {
        let bytes = ImageBuilder::new(plus).export("f", 0x1010).export("g", 0x1020).build();
        ImageFile::from_bytes(FileBytes::from(bytes), "x.dll").unwrap()
    }

    #[test]
    fn reads_cross_sections_and_stop_at_the_end() {
        let image = image(true);
        let mem = image.memory();
        let mut buf = [1u8; 0x30];
        assert_eq!(mem.read_at(Va(0x1ff0), &mut buf).got, 0x30);
        assert_eq!(mem.read_at(Va(0x4ff0), &mut buf).got, 0x10);
        assert_eq!(mem.read_at(Va(0x9000), &mut buf).got, 0);
        assert_eq!(mem.read_at(Va(u64::MAX), &mut buf).got, 0);
        assert_eq!(mem.next_readable(Va(0x500)), Some(Va(0x1000)));
    }

    #[test]
    fn parts_leave_out_what_a_process_changes() {
        let parts = image(true).parts(Va(0x1000_0000));
        let starts: Vec<u32> = parts.iter().map(|p| p.rva.0).collect();
        assert_eq!(starts, [0, 0x1000, 0x2000, 0x4000]);
    }

    #[test]
    fn relocations_move_addresses() {
        let mut bytes = ImageBuilder::new(false).build();
        // ImageBase 0x400000; at 0x1100 an address; relocations in .rdata.
        bytes[0x98 + 28..][..4].copy_from_slice(&0x40_0000u32.to_le_bytes());
        bytes[0x1100..][..4].copy_from_slice(&0x40_3000u32.to_le_bytes());
        let block = [0x1000u32.to_le_bytes(), 12u32.to_le_bytes(), [0x00, 0x31, 0x00, 0x00]].concat();
        bytes[0x2000..][..12].copy_from_slice(&block);
        let dir = 0x98 + 96 + 8 * directory::RELOCATIONS;
        bytes[dir..][..4].copy_from_slice(&0x2000u32.to_le_bytes());
        bytes[dir + 4..][..4].copy_from_slice(&12u32.to_le_bytes());
        let image = ImageFile::from_bytes(FileBytes::from(bytes), "x.dll").unwrap();
        let word = |base| {
            let parts = image.parts(Va(base));
            let text = parts.iter().find(|p| p.rva == Rva(0x1000)).unwrap();
            u32_at(&text.bytes, 0x100).unwrap()
        };
        assert_eq!(word(0x40_0000), 0x40_3000);
        assert_eq!(word(0x7700_0000), 0x7700_3000);
    }

    #[test]
    fn the_import_addresses_are_a_hole() {
        let hole = Some(DataDirectory { rva: Rva(0x2010), size: 0x10 });
        let parts = without(0x2000, &[7; 0x40], hole);
        let shape: Vec<_> = parts.iter().map(|(rva, b)| (*rva, b.len())).collect();
        assert_eq!(shape, [(0x2000, 0x10), (0x2020, 0x20)]);
        let outside = without(0x3000, &[7; 0x40], hole);
        assert_eq!(outside.iter().map(|(_, b)| b.len()).sum::<usize>(), 0x40);
    }

    #[test]
    fn damaged_images_never_panic() {
        let good = ImageBuilder::new(true).export("f", 0x1010).export("_g@8", 0x1020).build();
        let mut seed = 0x1234_5678_9abc_def1u64;
        for round in 0..4000 {
            let mut bytes = good.clone();
            for _ in 0..4 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                // Headers and export directory.
                let at = (seed >> 8) as usize % 0x300;
                let at = if round % 2 == 0 { at } else { 0x4000 + at % 0x80 };
                bytes[at] = (seed >> 40) as u8;
            }
            let Ok(image) = ImageFile::from_bytes(FileBytes::from(bytes), "x") else { continue };
            let _ = crate::provider::Exports::read(&image.memory(), Va(0), image.headers());
            let total: usize = image.parts(Va(0x5000_0000)).iter().map(|p| p.bytes.len()).sum();
            assert!(total <= 256 * 0x6000);
        }
    }
}
