//! What the header of an image in memory tells: for modules that the module stream lacks or describes in part.
//!
//! Layout: PE/COFF specification. All reads are single fields, so a header of which only a part was captured
//! gives that part.

use crate::base::{CodeView, Machine, ReadMemory, Va};
use crate::stream::module_list::decode_codeview;

/// Entries of the debug directory that are looked at.
const MAX_DEBUG_ENTRIES: u32 = 32;
/// Longest CodeView record that is read, bytes.
const MAX_CODEVIEW: u32 = 4096;
/// `IMAGE_DEBUG_TYPE_CODEVIEW`.
const DEBUG_CODEVIEW: u32 = 2;

/// Fields of an image's headers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImageHeader {
    pub(super) machine: Machine,
    pub(super) timestamp: u32,
    pub(super) checksum: u32,
    pub(super) size: u32,
    /// Address and size of the debug directory.
    debug: Option<(Va, u32)>,
}

/// Reads the headers of the image at `base`. `None` when they are not in the dump or are no PE headers.
pub(super) fn header<M: ReadMemory>(memory: &M, base: Va) -> Option<ImageHeader> {
    if memory.u16(base)? != 0x5a4d {
        return None;
    }
    let nt = base.checked_add(memory.u32(base.offset(0x3c))?.into())?;
    if memory.u32(nt)? != 0x4550 {
        return None;
    }
    let machine = Machine::from_pe(memory.u16(nt.offset(4))?);
    let timestamp = memory.u32(nt.offset(8))?;
    let optional = nt.offset(0x18);
    // SizeOfImage and CheckSum lie at the same place in both forms of the optional header, the data directories
    // do not: the form is told by its magic.
    let directories = match memory.u16(optional) {
        Some(0x10b) => Some(optional.offset(0x60)),
        Some(0x20b) => Some(optional.offset(0x70)),
        _ => None,
    };
    let debug = directories.and_then(|d| {
        let count = memory.u32(d.back(4))?;
        let rva = memory.u32(d.offset(6 * 8))?;
        let size = memory.u32(d.offset(6 * 8 + 4))?;
        (count > 6 && rva != 0).then(|| (base.offset(rva.into()), size))
    });
    Some(ImageHeader {
        machine,
        timestamp,
        checksum: memory.u32(optional.offset(0x40)).unwrap_or(0),
        size: memory.u32(optional.offset(0x38)).unwrap_or(0),
        debug,
    })
}

/// The CodeView record that the debug directory names.
pub(super) fn codeview<M: ReadMemory>(memory: &M, base: Va, image: &ImageHeader) -> Option<CodeView> {
    let (directory, size) = image.debug?;
    // An entry is 28 bytes: type at 0xC, size of the data at 0x10, its RVA at 0x14.
    for i in 0..(size / 28).min(MAX_DEBUG_ENTRIES) {
        let entry = directory.offset(u64::from(i).wrapping_mul(28));
        if memory.u32(entry.offset(0xc))? != DEBUG_CODEVIEW {
            continue;
        }
        let len = memory.u32(entry.offset(0x10))?.min(MAX_CODEVIEW);
        let rva = memory.u32(entry.offset(0x14))?;
        let mut raw = vec![0u8; usize::try_from(len).ok()?];
        let got = memory.read_at(base.offset(rva.into()), &mut raw).got;
        return decode_codeview(raw.get(..got)?).filter(|cv| !matches!(cv, CodeView::Unknown { .. }));
    }
    None
}
