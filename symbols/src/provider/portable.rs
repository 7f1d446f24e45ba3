//! Portable PDBs: file and line of a .NET method's IL offset.
//!
//! Layout: "Portable PDB v1.0 Format Specification" of dotnet/runtime (MIT): a metadata file (ECMA-335, partition II, 24)
//! with the streams `#Pdb` (id, row counts of the assembly's tables), `#~` (tables) and `#Blob`. Read here because only two
//! tables are wanted: documents (0x30) and the sequence points of methods (0x31).

use crate::file::FileBytes;
use std::io::Read;

/// Number of the table of documents, and of that of methods.
const DOCUMENT: usize = 0x30;
const METHOD: usize = 0x31;
/// Most sequence points of a method.
const MAX_POINTS: usize = 1 << 16;
/// Longest path of a source file, bytes.
const MAX_PATH: usize = 4096;

/// An open portable PDB.
#[derive(Debug)]
pub struct PortablePdb {
    file: FileBytes,
    id: [u8; 20],
    blob: usize,
    /// Where the tables are: start, row size, rows.
    documents: (usize, usize, u32),
    methods: (usize, usize, u32),
    /// Bytes of an offset into `#Blob`, and of a row number of a document.
    wide_blob: usize,
    wide_document: usize,
}

/// A position in a source file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The file as the compiler wrote it. Untrusted.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

impl PortablePdb {
    /// Reads the tables' places; `None` when the bytes are no portable PDB.
    #[must_use]
    pub fn parse(file: FileBytes) -> Option<PortablePdb> {
        let b = file.bytes();
        if u32_at(b, 0)? != 0x424a_5342 {
            return None;
        }
        let version = usize::try_from(u32_at(b, 12)?).ok()?;
        let mut at = version.checked_add(16)?;
        let count = u16_at(b, at.checked_add(2)?)?;
        at = at.checked_add(4)?;
        let (mut pdb, mut tables, mut blob) = (None, None, None);
        for _ in 0..count.min(16) {
            let offset = usize::try_from(u32_at(b, at)?).ok()?;
            let name_at = at.checked_add(8)?;
            let name: Vec<u8> = b.get(name_at..)?.iter().copied().take(32).take_while(|c| *c != 0).collect();
            match name.as_slice() {
                b"#Pdb" => pdb = Some(offset),
                b"#~" => tables = Some(offset),
                b"#Blob" => blob = Some(offset),
                _ => {}
            }
            at = name_at.checked_add((name.len() + 1).next_multiple_of(4))?;
        }
        let (pdb, tables) = (pdb?, tables?);
        let id = *b.get(pdb..)?.first_chunk::<20>()?;
        let heaps = *b.get(tables.checked_add(6)?)?;
        let valid = u64_at(b, tables.checked_add(8)?)?;
        let mut rows = [0u32; 64];
        let mut at = tables.checked_add(24)?;
        for (i, slot) in rows.iter_mut().enumerate() {
            if valid >> i & 1 == 1 {
                *slot = u32_at(b, at)?;
                at = at.checked_add(4)?;
            }
        }
        // The tables before these two belong to assemblies: a PDB has none.
        if rows.iter().take(DOCUMENT).any(|n| *n != 0) {
            return None;
        }
        let wide_blob: usize = if heaps & 4 != 0 { 4 } else { 2 };
        let wide_guid: usize = if heaps & 2 != 0 { 4 } else { 2 };
        let (documents, methods) = (*rows.get(DOCUMENT)?, *rows.get(METHOD)?);
        let wide_document: usize = if documents > 0xffff { 4 } else { 2 };
        let document = 2 * wide_blob + 2 * wide_guid;
        let behind = at.checked_add(document.checked_mul(usize::try_from(documents).ok()?)?)?;
        Some(PortablePdb {
            id,
            blob: blob?,
            documents: (at, document, documents),
            methods: (behind, wide_document + wide_blob, methods),
            wide_blob,
            wide_document,
            file,
        })
    }

    /// Unpacks one that was inside an image: "MPDB", bytes of it unpacked, then deflate. `None` also when it has more
    /// than `most` bytes.
    #[must_use]
    pub fn unpack(packed: &[u8], most: u64) -> Option<PortablePdb> {
        let (head, deflated) = packed.split_first_chunk::<8>()?;
        let size = u32_at(head, 4).filter(|size| head.starts_with(b"MPDB") && u64::from(*size) <= most)?;
        let mut out = Vec::new();
        flate2::read::DeflateDecoder::new(deflated).take(size.into()).read_to_end(&mut out).ok()?;
        PortablePdb::parse(FileBytes::from(out))
    }

    /// Bytes of it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.bytes().len() as u64
    }

    /// Its id: the GUID and the stamp that the image's debug directory names.
    #[must_use]
    pub fn id(&self) -> &[u8; 20] {
        &self.id
    }

    fn wide(&self, at: usize, bytes: usize) -> Option<u32> {
        let b = self.file.bytes();
        if bytes == 4 { u32_at(b, at) } else { u16_at(b, at).map(u32::from) }
    }

    fn row((start, size, rows): (usize, usize, u32), row: u32) -> Option<usize> {
        let index = row.checked_sub(1).filter(|_| row <= rows)?;
        start.checked_add(size.checked_mul(usize::try_from(index).ok()?)?)
    }

    fn blob_at(&self, offset: u32) -> Option<&[u8]> {
        let bytes = self.file.bytes().get(self.blob.checked_add(usize::try_from(offset).ok()?)?..)?;
        let mut reader = Reader { bytes, at: 0 };
        let len = usize::try_from(reader.unsigned()?).ok()?;
        bytes.get(reader.at..reader.at.checked_add(len)?)
    }

    /// The source position of an IL offset in the method with a row number.
    #[must_use]
    pub fn position(&self, method: u32, il_offset: u32) -> Option<Position> {
        let at = Self::row(self.methods, method)?;
        let mut document = self.wide(at, self.wide_document)?;
        let blob = self.wide(at.checked_add(self.wide_document)?, self.wide_blob)?;
        if blob == 0 {
            return None;
        }
        let mut r = Reader { bytes: self.blob_at(blob)?, at: 0 };
        r.unsigned()?;
        if document == 0 {
            document = r.unsigned()?;
        }
        let (mut il, mut line, mut column) = (0u32, None::<i64>, 0i64);
        let mut best = None;
        for n in 0..MAX_POINTS {
            if r.at >= r.bytes.len() {
                break;
            }
            let delta = r.unsigned()?;
            if n > 0 && delta == 0 {
                document = r.unsigned()?;
                continue;
            }
            il = if n == 0 { delta } else { il.checked_add(delta)? };
            let lines = r.unsigned()?;
            let columns = if lines == 0 { i64::from(r.unsigned()?) } else { r.signed()? };
            if il > il_offset && best.is_some() {
                break;
            }
            if lines == 0 && columns == 0 {
                // Code that nobody wrote.
                continue;
            }
            let (first, start) = match line {
                None => (i64::from(r.unsigned()?), i64::from(r.unsigned()?)),
                Some(before) => (before.checked_add(r.signed()?)?, column.checked_add(r.signed()?)?),
            };
            (line, column) = (Some(first), start);
            if il <= il_offset || best.is_none() {
                best = Some((document, first));
            }
        }
        let (document, line) = best?;
        Some(Position { file: self.document(document)?, line: u32::try_from(line).ok()? })
    }

    /// A document's name: a separator and parts, each a blob of its own.
    fn document(&self, row: u32) -> Option<String> {
        let at = Self::row(self.documents, row)?;
        let name = self.blob_at(self.wide(at, self.wide_blob)?)?;
        let (separator, rest) = name.split_first()?;
        let mut r = Reader { bytes: rest, at: 0 };
        let mut out = Vec::new();
        let mut first = true;
        while r.at < rest.len() && out.len() < MAX_PATH {
            if !first && *separator != 0 {
                out.push(*separator);
            }
            first = false;
            let part = r.unsigned()?;
            if part != 0 {
                out.extend_from_slice(self.blob_at(part)?);
            }
        }
        Some(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Compressed numbers.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn encoded(&mut self) -> Option<(u32, u32)> {
        let byte = |i: usize| self.bytes.get(self.at.checked_add(i)?).map(|b| u32::from(*b));
        let first = byte(0)?;
        let (value, len) = match first {
            0..0x80 => (first, 1),
            0x80..0xc0 => ((first & 0x3f) << 8 | byte(1)?, 2),
            _ => ((first & 0x1f) << 24 | byte(1)? << 16 | byte(2)? << 8 | byte(3)?, 4),
        };
        self.at += len;
        Some((
            value,
            match len {
                1 => 6,
                2 => 13,
                _ => 28,
            },
        ))
    }

    fn unsigned(&mut self) -> Option<u32> {
        self.encoded().map(|(v, _)| v)
    }

    /// The sign is the lowest bit.
    fn signed(&mut self) -> Option<i64> {
        let (value, bits) = self.encoded()?;
        let half = i64::from(value >> 1);
        Some(if value & 1 == 1 { half - (1i64 << bits) } else { half })
    }
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

fn u64_at(b: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*b.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PDB with one document `C:\a.cs` and one method: line 10 at IL 0, nothing at 5, line 12 at 8.
    fn small() -> Vec<u8> {
        // Blobs: at 1 "C:", at 4 "a.cs", at 9 the name, at 13 the points.
        let mut blob = vec![0];
        blob.extend_from_slice(&[2, b'C', b':']);
        blob.extend_from_slice(&[4, b'a', b'.', b'c', b's']);
        blob.extend_from_slice(&[3, b'\\', 1, 4]);
        let points = [0, /* header */ 0, 0, 5, 10, 3, 5, 0, 0, 3, 0, 4, 4, 2];
        blob.push(points.len() as u8);
        blob.extend_from_slice(&points);
        let mut tables = vec![0u8; 24];
        tables[8..16].copy_from_slice(&(1u64 << DOCUMENT | 1 << METHOD).to_le_bytes());
        tables.extend_from_slice(&1u32.to_le_bytes());
        tables.extend_from_slice(&1u32.to_le_bytes());
        tables.extend_from_slice(&[9, 0, 0, 0, 0, 0, 0, 0]);
        tables.extend_from_slice(&[1, 0, 13, 0]);
        let pdb: Vec<u8> = (0..32).collect();
        let mut out = b"BSJB\x01\0\x01\0\0\0\0\0\x04\0\0\0v1\0\0\0\0\x03\0".to_vec();
        let parts: [(&[u8], &[u8]); 3] =
            [(b"#Pdb\0\0\0\0", &pdb), (b"#~\0\0", &tables), (b"#Blob\0\0\0", &blob)];
        let mut at = out.len() + parts.iter().map(|(n, _)| 8 + n.len()).sum::<usize>();
        for (name, bytes) in parts {
            out.extend_from_slice(&(at as u32).to_le_bytes());
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(name);
            at += bytes.len();
        }
        parts.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
        out
    }

    #[test]
    fn one_inside_an_image_is_unpacked() {
        let whole = small();
        let mut packed = b"MPDB".to_vec();
        packed.extend_from_slice(&(whole.len() as u32).to_le_bytes());
        let mut encoder = flate2::write::DeflateEncoder::new(packed, flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &whole).unwrap();
        let packed = encoder.finish().unwrap();
        let size = whole.len() as u64;
        assert_eq!(PortablePdb::unpack(&packed, size).unwrap().position(1, 0).unwrap().line, 10);
        assert!(PortablePdb::unpack(&packed, size - 1).is_none());
        // A size that is too small cuts it off.
        let mut short = packed.clone();
        short[4..8].copy_from_slice(&40u32.to_le_bytes());
        assert!(PortablePdb::unpack(&short, size).is_none());
        (0..packed.len()).for_each(|n| {
            let cut = PortablePdb::unpack(&packed[..n], size);
            assert!(cut.is_none_or(|p| n > 8 && p.id()[1] == 1));
        });
    }

    #[test]
    fn the_last_point_at_or_before_an_offset_counts() {
        let pdb = PortablePdb::parse(small().into()).unwrap();
        assert_eq!(pdb.id()[..3], [0, 1, 2]);
        let line = |il| pdb.position(1, il).map(|p| (p.file, p.line));
        let at = |n| Some(("C:\\a.cs".to_owned(), n));
        assert_eq!([line(0), line(4), line(6), line(8), line(100)], [at(10), at(10), at(10), at(12), at(12)]);
        assert_eq!(pdb.position(2, 0), None);
    }

    #[test]
    fn cut_files_are_no_pdbs_or_give_nothing() {
        let whole = small();
        for len in 0..whole.len() {
            if let Some(pdb) = PortablePdb::parse(whole[..len].to_vec().into()) {
                let _ = pdb.position(1, 4);
            }
        }
    }
}
