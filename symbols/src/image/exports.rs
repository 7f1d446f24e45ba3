//! The export table of an image in memory.

use super::headers::{ImageError, PeHeaders, directory, read_block, u16_at, u32_at};
use dumpscope_core::{ReadMemory, Rva, Va};

/// Most exported functions; ordinals have 16 bits.
pub const MAX_EXPORTS: u32 = 0x1_0000;
/// Longest exported name, bytes. Decorated C++ names reach some thousands.
const MAX_NAME: usize = 4096;
/// Largest export directory that is read as one block. Its size counts the names too.
const MAX_DIRECTORY: u32 = 16 << 20;

/// One exported address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportEntry {
    /// Address.
    pub rva: Rva,
    /// Name as it is in the table, `OrdinalN` for an export without a name. Untrusted.
    pub name: String,
    /// Ordinal, with the table's base.
    pub ordinal: u32,
    /// False for an export by ordinal only.
    pub named: bool,
}

/// The export table of an image.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ExportTable {
    /// Exports in table order, without forwarders (they lie in other modules).
    pub entries: Vec<ExportEntry>,
    /// Number of exports whose name or address could not be read.
    pub unreadable: usize,
}

impl ExportTable {
    /// Reads the export table of the image at `base`. An image without one gives an empty table.
    ///
    /// # Errors
    /// The directory is not in memory, or it is larger than any linker makes it.
    pub fn read(mem: &dyn ReadMemory, base: Va, headers: &PeHeaders) -> Result<ExportTable, ImageError> {
        let Some(dir) = headers.directory(directory::EXPORT) else {
            return Ok(ExportTable::default());
        };
        if dir.size > MAX_DIRECTORY || dir.rva.0.checked_add(dir.size).is_none() {
            return Err(ImageError::Damaged { what: "the export directory is too large" });
        }
        // The block is read once: names usually lie behind the tables, inside the directory's size.
        let mut block = vec![0u8; usize::try_from(dir.size.max(40)).unwrap_or(40)];
        let got = mem.read_at(dir.rva.va(base), &mut block).got;
        block.truncate(got);
        if block.len() < 40 {
            return Err(ImageError::Unreadable { what: "the export directory" });
        }
        let source = Source { mem, base, start: dir.rva.0, block };
        let field = |at| u32_at(&source.block, at).unwrap_or(0);
        let ordinal_base = field(16);
        let functions = field(20).min(MAX_EXPORTS);
        let names = field(24).min(MAX_EXPORTS);
        let addresses = source.table(field(28), functions, 4, "the export addresses")?;
        let name_rvas = source.table(field(32), names, 4, "the export names")?;
        let ordinals = source.table(field(36), names, 2, "the export ordinals")?;

        let inside = |rva: u32| rva.checked_sub(dir.rva.0).is_some_and(|d| d < dir.size);
        let mut table = ExportTable::default();
        let mut named = vec![false; addresses.len() / 4];
        for i in 0..name_rvas.len() / 4 {
            let index = u16_at(&ordinals, i * 2).map(usize::from);
            let rva = index.and_then(|x| u32_at(&addresses, x * 4));
            let (Some(index), Some(rva), Some(at)) = (index, rva, u32_at(&name_rvas, i * 4)) else {
                table.unreadable += 1;
                continue;
            };
            if let Some(n) = named.get_mut(index) {
                *n = true;
            }
            if rva == 0 || inside(rva) {
                continue;
            }
            let Some(name) = source.name(at).filter(|n| !n.is_empty()) else {
                table.unreadable += 1;
                continue;
            };
            let ordinal = ordinal_base.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX));
            table.entries.push(ExportEntry { rva: Rva(rva), name, ordinal, named: true });
        }
        for (index, _) in named.iter().enumerate().filter(|(_, n)| !**n) {
            let Some(rva) = u32_at(&addresses, index * 4).filter(|&r| r != 0 && !inside(r)) else { continue };
            let ordinal = ordinal_base.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX));
            let name = format!("Ordinal{ordinal}");
            table.entries.push(ExportEntry { rva: Rva(rva), name, ordinal, named: false });
        }
        Ok(table)
    }
}

/// The directory's block with the image behind it.
struct Source<'a> {
    mem: &'a dyn ReadMemory,
    base: Va,
    start: u32,
    block: Vec<u8>,
}

impl Source<'_> {
    /// `count` entries of `width` bytes at `rva`.
    fn table(&self, rva: u32, count: u32, width: u32, what: &'static str) -> Result<Vec<u8>, ImageError> {
        let len = usize::try_from(count * width).unwrap_or(0);
        if let Some(bytes) = self.local(rva).and_then(|b| b.get(..len)) {
            return Ok(bytes.to_vec());
        }
        // The count is at most 65536, so this allocates at most 256 KiB.
        read_block(self.mem, Rva(rva).va(self.base), len, what)
    }

    fn name(&self, rva: u32) -> Option<String> {
        if let Some(bytes) = self.local(rva)
            && let Some(end) = bytes.iter().take(MAX_NAME).position(|&b| b == 0)
        {
            return bytes.get(..end).map(|b| String::from_utf8_lossy(b).into_owned());
        }
        let at = Rva(rva).va(self.base);
        let bytes = self.mem.c_str(at, MAX_NAME)?;
        // A name that is cut off by a hole would be another name.
        (self.mem.u8(at.offset(bytes.len() as u64)) == Some(0)).then_some(())?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The block's bytes from `rva` on.
    fn local(&self, rva: u32) -> Option<&[u8]> {
        let at = usize::try_from(rva.checked_sub(self.start)?).ok()?;
        self.block.get(at..)
    }
}
