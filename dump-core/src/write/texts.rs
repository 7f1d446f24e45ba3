//! Texts in the streams of a dump, where they lie.

use super::references::{Kind, references};
use crate::base::FileOff;
use crate::bytes::{clipped, exact};
use crate::model::Dump;
use crate::stream::{StreamCx, id};
use std::collections::BTreeSet;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// UTF-16, little-endian.
    Utf16,
    /// Bytes: ASCII, UTF-8 or a code page.
    Bytes,
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

/// All texts of the streams: names of modules, handles and threads, CodeView paths, annotations, comments. One that several
/// entries name comes once.
#[must_use]
pub fn texts(dump: &Dump) -> Vec<FileText> {
    let file = dump.file_bytes();
    let mut out = Vec::new();
    let (mut seen, mut left) = (BTreeSet::new(), MAX_BYTES);
    let mut add = |at: u64, bytes: Option<&[u8]>, form: TextForm| {
        let Some(bytes) = bytes.filter(|b| !b.is_empty() && b.len() <= left) else { return };
        if seen.insert(at) {
            left = left.saturating_sub(bytes.len());
            out.push(FileText { at: FileOff(at), bytes: bytes.to_vec(), form });
        }
    };
    for entry in dump.directory() {
        if let Some((_, form)) = WHOLE.iter().find(|(number, _)| *number == entry.stream_type) {
            add(entry.offset.0, clipped(file, entry.offset.0, entry.size.into()), *form);
        }
        for r in references(&StreamCx::new("", file, *entry, dump.machine())) {
            let (skip, tail, form) = match r.kind {
                Kind::Text => (4, 2, TextForm::Utf16),
                Kind::ByteText => (4, 1, TextForm::Bytes),
                // The path of a PDB stands behind signature, GUID and age.
                Kind::Bytes if exact(file, r.to, 4) == Some(b"RSDS") => (24, 0, TextForm::Bytes),
                _ => continue,
            };
            let len = r.len.saturating_sub(skip).saturating_sub(tail);
            let at = r.to.saturating_add(skip);
            add(at, exact(file, at, len), form);
        }
    }
    out.sort_by_key(|t| t.at);
    out
}
