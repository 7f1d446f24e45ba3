//! Texts in the streams of a dump, where they lie.

use super::references::{Kind, references};
use crate::base::FileOff;
use crate::bytes::clipped;
use crate::model::Dump;
use crate::stream::{StreamCx, id};
use std::collections::BTreeMap;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TextForm {
    /// UTF-16, little-endian.
    Utf16,
    /// Bytes: ASCII, UTF-8 or a code page.
    Bytes,
    /// No text, but bytes that the program worked on: registers, parameters. Texts may stand anywhere in them.
    Data,
}

/// A text of a stream or one that a stream names. Untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    /// Where its bytes lie.
    pub at: FileOff,
    /// Its bytes, without length and terminator.
    pub bytes: Vec<u8>,
    /// How it is written.
    pub form: TextForm,
}

/// Bytes of all texts together: many entries that name one long text must not fill the memory.
const MAX_BYTES: usize = 64 << 20;

/// Streams that are nothing but text.
const WHOLE: [(u32, TextForm); 10] = [
    (id::COMMENT_A, TextForm::Bytes),
    (id::COMMENT_W, TextForm::Utf16),
    (id::ASSERTION_INFO, TextForm::Utf16),
    (id::LINUX_PROC_STATUS, TextForm::Bytes),
    (id::LINUX_LSB_RELEASE, TextForm::Bytes),
    (id::LINUX_CMD_LINE, TextForm::Bytes),
    (0x4767_0003, TextForm::Bytes),
    (0x4767_0007, TextForm::Bytes),
    (0x4767_0009, TextForm::Bytes),
    (id::MISC_INFO, TextForm::Utf16),
];

/// Streams of numbers with room for others.
const DATA: [u32; 4] = [id::EXCEPTION, id::MEMORY_INFO_LIST, id::SYSTEM_MEMORY_INFO, id::PROCESS_VM_COUNTERS];

/// All texts of the streams: names of modules, handles and threads, CodeView paths, annotations, comments; and registers, in which parts of texts lie that were copied. One that several
/// entries name comes once, one that the file's end cuts as far as it is there. `None`: together they are too long.
#[must_use]
pub fn texts(dump: &Dump) -> Option<Vec<FileText>> {
    let file = dump.file_bytes();
    let mut found: BTreeMap<(u64, TextForm), &[u8]> = BTreeMap::new();
    let mut left = MAX_BYTES;
    // False when the texts are too long.
    let mut add = |at: u64, len: u64, form: TextForm| {
        let bytes = clipped(file, at, len).unwrap_or_default();
        let have = found.entry((at, form)).or_default();
        if bytes.len() > have.len() {
            // Entries may say different lengths of what lies at one place: the longest counts.
            let Some(rest) = left.checked_sub(bytes.len()) else { return false };
            left = rest;
            *have = bytes;
        }
        true
    };
    for entry in dump.directory() {
        let whole = WHOLE.iter().find(|(number, _)| *number == entry.stream_type);
        if whole.is_some_and(|(_, form)| !add(entry.offset.0, entry.size.into(), *form)) {
            return None;
        }
        if DATA.contains(&entry.stream_type) && !add(entry.offset.0, entry.size.into(), TextForm::Data) {
            return None;
        }
        for r in references(&StreamCx::new("", file, *entry, dump.machine())) {
            let mut text = |skip: u64, tail: u64, form| {
                let len = r.len.saturating_sub(skip).saturating_sub(tail);
                add(r.to.saturating_add(skip), len, form)
            };
            let fits = match r.kind {
                Kind::Text => text(4, 2, TextForm::Utf16),
                Kind::ByteText => text(4, 1, TextForm::Bytes),
                Kind::Debug => match clipped(file, r.to, 4) {
                    // The path of a PDB stands behind signature, GUID and age; in the older form behind signature, offset,
                    // time and age.
                    Some(b"RSDS") => text(24, 0, TextForm::Bytes),
                    Some(b"NB10") => text(16, 0, TextForm::Bytes),
                    // `IMAGE_DEBUG_MISC` says in which form its path is; of other records nothing is known.
                    _ => text(0, 0, TextForm::Bytes) && text(0, 0, TextForm::Utf16),
                },
                Kind::Bytes => text(0, 0, TextForm::Data),
                Kind::Stack(_) => true,
            };
            if !fits {
                return None;
            }
        }
    }
    found.retain(|_, bytes| !bytes.is_empty());
    let text = |((at, form), bytes): ((u64, TextForm), &[u8])| FileText {
        at: FileOff(at),
        bytes: bytes.to_vec(),
        form,
    };
    Some(found.into_iter().map(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dump with a list of modules, each of which names `record` as its CodeView record, and `tail` behind all.
    fn dump(modules: u32, record: &[u8], size: u32) -> Dump {
        let mut bytes = b"MDMP\x93\xa7\0\0".to_vec();
        let list = 44u32;
        let end = list + 4 + 108 * modules;
        for word in [1, 32, 0, 0, 0, 0, id::MODULE_LIST, 4 + 108 * modules, list, modules] {
            bytes.extend(word.to_le_bytes());
        }
        for n in 0..modules {
            let mut row = [0u8; 108];
            row[..8].copy_from_slice(&(0x1_0000u64 * u64::from(n + 1)).to_le_bytes());
            row[8..12].copy_from_slice(&0x1000u32.to_le_bytes());
            row[76..80].copy_from_slice(&size.to_le_bytes());
            row[80..84].copy_from_slice(&(end + n).to_le_bytes());
            bytes.extend(row);
        }
        bytes.extend(record);
        Dump::from_bytes(bytes).unwrap()
    }

    #[test]
    fn paths_of_all_records_and_cut_ones() {
        let found = |record: &[u8], size| {
            let texts = texts(&dump(1, record, size)).unwrap();
            texts.into_iter().map(|t| (t.form, t.bytes)).collect::<Vec<_>>()
        };
        let nb10 = b"NB10\0\0\0\0\x11\x22\x33\x44\x01\0\0\0C:\\me\\a.pdb\0";
        assert_eq!(found(nb10, nb10.len() as u32), [(TextForm::Bytes, nb10[16..].to_vec())]);
        assert_eq!(found(nb10, 0x100), [(TextForm::Bytes, nb10[16..].to_vec())], "as far as it is there");
        let misc = b"\x01\0\0\0\x10\x01\0\0\0\0\0\0C:\\me\\a.dbg\0";
        let both = [(TextForm::Utf16, misc.to_vec()), (TextForm::Bytes, misc.to_vec())];
        assert_eq!(found(misc, misc.len() as u32), both);
    }

    #[test]
    fn too_many_texts_are_none() {
        let record = [b"RSDS".as_slice(), &[b'x'; 1 << 20]].concat();
        assert!(texts(&dump(20, &record, 1 << 20)).is_some());
        assert!(texts(&dump(70, &record, 1 << 20)).is_none());
    }
}
