//! Header and stream directory.

use crate::base::FileOff;
use crate::bytes::{Cursor, clipped};
use crate::error::{OpenError, Warning};
use crate::stream::DirectoryEntry;
use std::collections::HashSet;

/// `MINIDUMP_HEADER`: 32 bytes.
const HEADER_SIZE: usize = 32;
/// `MINIDUMP_DIRECTORY`: 12 bytes.
const ENTRY_SIZE: usize = 12;
/// `UnusedStream`: dbghelp fills directory entries that it reserved and did not need with it.
pub(crate) const UNUSED_STREAM: u32 = 0;
/// Directory entries read. Real dumps have about 20.
const MAX_STREAMS: usize = 0x1_0000;
const PLACE: &str = "MINIDUMP_HEADER";

/// `MINIDUMP_HEADER` and the directory behind it.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) version: u32,
    pub(crate) time: u32,
    pub(crate) flags: u64,
    pub(crate) directory: Vec<DirectoryEntry>,
    pub(crate) warnings: Vec<Warning>,
}

/// Reads header and directory. A directory that is cut off gives the entries that are there.
pub(crate) fn parse(file: &[u8]) -> Result<Header, OpenError> {
    if !file.starts_with(b"MDMP") {
        return Err(OpenError::NotAMinidump(describe(file)));
    }
    let truncated = |what, offset: u64, need: usize| OpenError::Truncated {
        what,
        offset: FileOff(offset),
        need: need as u64,
        have: file.len() as u64,
    };
    let mut c = Cursor::new(file, FileOff(4));
    c.skip(4);
    let fields = (c.u32(), c.u32(), c.u32(), c.u32(), c.u32(), c.u64());
    let (Some(version), Some(count), Some(rva), Some(_checksum), Some(time), Some(flags)) = fields else {
        return Err(truncated("the header", 0, HEADER_SIZE));
    };
    let mut header = Header { version, time, flags, directory: Vec::new(), warnings: Vec::new() };
    if version & 0xffff != 0xa793 {
        header.warn(Some(4), format!("version {version:#x} instead of 0x....a793"));
    }
    let mut announced = count as usize;
    if announced > MAX_STREAMS {
        header.warn(Some(8), format!("{count} streams are announced, the first {MAX_STREAMS} are read"));
        announced = MAX_STREAMS;
    }
    let need = announced.saturating_mul(ENTRY_SIZE);
    let raw = clipped(file, rva.into(), need as u64).unwrap_or_default();
    if announced > 0 && raw.len() < ENTRY_SIZE {
        return Err(truncated("the stream directory", rva.into(), need));
    }
    if raw.len() < need {
        let there = raw.len() / ENTRY_SIZE;
        header.warn(
            Some(rva.into()),
            format!("the directory has {announced} streams, {there} lie in the file"),
        );
    }
    let mut c = Cursor::new(raw, FileOff(rva.into()));
    while let (Some(stream_type), Some(size), Some(offset)) = (c.u32(), c.u32(), c.u32()) {
        header.directory.push(DirectoryEntry { stream_type, size, offset: FileOff(offset.into()) });
    }
    header.check_directory();
    Ok(header)
}

impl Header {
    fn warn(&mut self, offset: Option<u64>, text: String) {
        self.warnings.push(Warning { place: PLACE, offset: offset.map(FileOff), text });
    }

    /// Duplicates and overlaps are told, not repaired: the first of two streams with one type counts.
    fn check_directory(&mut self) {
        let mut seen = HashSet::new();
        let mut duplicates: Vec<u32> = Vec::new();
        let mut spans: Vec<(u64, u64, u32)> = Vec::new();
        for e in &self.directory {
            if e.stream_type == UNUSED_STREAM {
                continue;
            }
            if !seen.insert(e.stream_type) {
                duplicates.push(e.stream_type);
            }
            if e.size > 0 {
                spans.push((e.offset.0, e.offset.0.saturating_add(e.size.into()), e.stream_type));
            }
        }
        duplicates.sort_unstable();
        duplicates.dedup();
        for t in duplicates.into_iter().take(16) {
            self.warn(None, format!("stream type {t:#x} occurs more than once; the first one is used"));
        }
        spans.sort_unstable();
        let mut texts = Vec::new();
        let mut last: Option<(u64, u32)> = None;
        for (start, end, stream_type) in spans {
            if let Some((last_end, last_type)) = last
                && start < last_end
                && texts.len() < 16
            {
                texts.push((start, format!("streams {last_type:#x} and {stream_type:#x} overlap")));
            }
            if last.is_none_or(|(e, _)| e < end) {
                last = Some((end, stream_type));
            }
        }
        for (at, text) in texts {
            self.warn(Some(at), text);
        }
    }

    /// The first stream of a type.
    pub(crate) fn find(&self, stream_type: u32) -> Option<DirectoryEntry> {
        self.directory.iter().find(|e| e.stream_type == stream_type).copied()
    }
}

/// What a file that is no minidump seems to be.
fn describe(file: &[u8]) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"PAGEDU64", "a 64-bit kernel or complete dump"),
        (b"PAGEDUMP", "a 32-bit kernel or complete dump"),
        (b"USERDU64", "an old 64-bit user dump"),
        (b"USERDUMP", "an old 32-bit user dump"),
        (b"\x7fELF", "an ELF file or core dump"),
        (b"MZ", "a program or DLL"),
        (b"PK\x03\x04", "a zip archive: unpack it first"),
        (b"MSCF", "a cabinet archive: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
        (b"Microsoft C/C++ MSF", "a PDB file"),
    ];
    if file.is_empty() {
        return "the file is empty".into();
    }
    match known.iter().find(|(magic, _)| file.starts_with(magic)) {
        Some((_, what)) => format!("it is {what}"),
        None => {
            let head: Vec<String> = file.iter().take(4).map(|b| format!("{b:02x}")).collect();
            format!("it starts with {} instead of `MDMP`", head.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(streams: &[(u32, u32, u32)], announced: u32) -> Vec<u8> {
        let mut b = b"MDMP".to_vec();
        for v in [0x1234_a793u32, announced, 32, 0, 0x5000_0000, 0x1826, 0] {
            b.extend(v.to_le_bytes());
        }
        for &(t, s, o) in streams {
            b.extend(t.to_le_bytes());
            b.extend(s.to_le_bytes());
            b.extend(o.to_le_bytes());
        }
        b
    }

    #[test]
    fn a_cut_directory_gives_what_is_there() {
        let h = parse(&dump(&[(3, 4, 0x100), (0, 0, 0)], 5)).unwrap();
        assert_eq!((h.directory.len(), h.flags, h.time), (2, 0x1826, 0x5000_0000));
        assert!(h.warnings[0].text.contains("5 streams, 2 lie"), "{:?}", h.warnings);
        assert!(matches!(
            parse(&dump(&[], 1)),
            Err(OpenError::Truncated { what: "the stream directory", .. })
        ));
        assert!(matches!(parse(b"MDMP"), Err(OpenError::Truncated { what: "the header", .. })));
        assert!(parse(&dump(&[], 0)).unwrap().directory.is_empty());
    }

    #[test]
    fn duplicates_and_overlaps_are_told() {
        let h = parse(&dump(&[(3, 4, 0x100), (4, 8, 0xfe), (3, 4, 0x200), (0, 9, 0), (0, 9, 0)], 5)).unwrap();
        assert_eq!(h.find(3).unwrap().offset, FileOff(0x100));
        let texts: Vec<&str> = h.warnings.iter().map(|w| w.text.as_str()).collect();
        assert_eq!(
            texts,
            ["stream type 0x3 occurs more than once; the first one is used", "streams 0x4 and 0x3 overlap"]
        );
    }

    #[test]
    fn other_files_are_named() {
        let text = |b: &[u8]| parse(b).unwrap_err().to_string();
        assert_eq!(text(b""), "not a minidump: the file is empty");
        assert_eq!(text(b"PAGEDU64...."), "not a minidump: it is a 64-bit kernel or complete dump");
        assert_eq!(text(b"hello"), "not a minidump: it starts with 68 65 6c 6c instead of `MDMP`");
    }
}
