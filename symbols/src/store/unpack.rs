//! Packed files as they should lie in the store: CAB, gzip and zstd expanded, MSFZ converted.

use super::create::Temp;
use super::download::Failed;
use super::transport::Head;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What a file's first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// As it should be.
    None,
    /// A cabinet with one file.
    Cab,
    /// A compressed PDB.
    Msfz,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// First bytes and what they say.
const MAGICS: &[(&[u8], Wrapping)] = &[
    (b"MSCF", Wrapping::Cab),
    (b"Microsoft MSFZ Container", Wrapping::Msfz),
    (&[0x1f, 0x8b, 0x08], Wrapping::Gzip),
    (&[0x28, 0xb5, 0x2f, 0xfd], Wrapping::Zstd),
];

/// Endings of files that are packed by other programs than a store's.
pub(super) const ENDINGS: [&str; 2] = [".gz", ".zst"];

/// Looks at the first bytes.
pub(super) fn wrapping(path: &Path) -> std::io::Result<Wrapping> {
    let mut start = Vec::new();
    File::open(path)?.take(32).read_to_end(&mut start)?;
    let magic = MAGICS.iter().find(|(magic, _)| start.starts_with(magic));
    Ok(magic.map_or(Wrapping::None, |(_, wrapping)| *wrapping))
}

/// Most layers of packing: a gzip answer with a CAB that holds an MSFZ file.
const MAX_LAYERS: usize = 3;

/// Takes bytes of an unpacked file: bounded, and stopped when the user says so.
struct Sink<'a> {
    to: &'a mut Temp,
    what: &'static str,
    left: u64,
    limit: u64,
    stop: &'a dyn Fn() -> bool,
}

impl Sink<'_> {
    fn take(&mut self, from: &mut impl Read) -> Result<(), Failed> {
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            if (self.stop)() {
                return Err(Failed::Stopped);
            }
            let got = match from.read(&mut buffer) {
                Ok(got) => got,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(bad(self.what, &e)),
            };
            let Some(part) = buffer.get(..got).filter(|p| !p.is_empty()) else { return Ok(()) };
            self.left = self.left.checked_sub(got as u64).ok_or_else(|| too_large(self.what, self.limit))?;
            self.to.file().write_all(part).map_err(|e| Failed::Disk(e.to_string()))?;
        }
    }
}

fn bad(what: &str, why: &dyn std::fmt::Display) -> Failed {
    Failed::Wrong(format!("bad {what}: {why}"))
}

fn too_large(what: &str, limit: u64) -> Failed {
    Failed::Wrong(format!("the {what} expands to more than {limit} bytes"))
}

/// Unwraps `path` until nothing is packed any more; `None`: nothing was. `temp` makes files for the results, of at
/// most `limit` bytes each.
///
/// # Errors
/// A damaged or too large file, a full disk, or a stop.
pub(super) fn unpacked(
    path: &Path,
    temp: &dyn Fn() -> Result<Temp, Failed>,
    limit: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Temp>, Failed> {
    let mut last: Option<Temp> = None;
    for _ in 0..=MAX_LAYERS {
        let from = last.as_ref().map_or(path, Temp::path);
        let wrapping = wrapping(from).map_err(|e| Failed::Disk(e.to_string()))?;
        if wrapping == Wrapping::None {
            return Ok(last);
        }
        let mut to = temp()?;
        expand(from, &mut to, wrapping, limit, stop)?;
        last = Some(to);
    }
    Err(Failed::Wrong(format!("packed more than {MAX_LAYERS} times")))
}

fn expand(
    from: &Path,
    to: &mut Temp,
    wrapping: Wrapping,
    limit: u64,
    stop: &dyn Fn() -> bool,
) -> Result<(), Failed> {
    let what = match wrapping {
        Wrapping::None => return Ok(()),
        Wrapping::Msfz => {
            // Unpacked in memory: bounded more tightly than what goes to disk.
            let limit = limit.min(2 << 30);
            return crate::provider::pdb::convert_msfz(from, to.path(), limit)
                .map_err(|e| Failed::Wrong(e.to_string()));
        }
        Wrapping::Cab => "CAB",
        Wrapping::Gzip => "gzip file",
        Wrapping::Zstd => "zstd file",
    };
    let mut sink = Sink { to, what, left: limit, limit, stop };
    // The crates below check much, not all: what still panics in them is a damaged file, too.
    let work = AssertUnwindSafe(|| match wrapping {
        Wrapping::Cab => cab_file(from, &mut sink),
        Wrapping::Gzip => {
            let file = open(from)?;
            sink.take(&mut flate2::bufread::MultiGzDecoder::new(file))
        }
        _ => zstd(open(from)?, &mut sink),
    });
    catch_unwind(work).unwrap_or_else(|_| Err(Failed::Wrong(format!("bad {what}"))))
}

fn open(path: &Path) -> Result<BufReader<File>, Failed> {
    File::open(path).map(BufReader::new).map_err(|e| Failed::Disk(e.to_string()))
}

/// A file is a row of frames; each one takes at least its magic, so the file's size bounds the loop.
fn zstd(mut input: BufReader<File>, sink: &mut Sink<'_>) -> Result<(), Failed> {
    use ruzstd::decoding::StreamingDecoder;
    use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
    while !input.fill_buf().map_err(|e| Failed::Disk(e.to_string()))?.is_empty() {
        match StreamingDecoder::new(&mut input) {
            Ok(mut decoder) => sink.take(&mut decoder)?,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                std::io::copy(&mut (&mut input).take(length.into()), &mut std::io::sink())
                    .map_err(|e| Failed::Disk(e.to_string()))?;
            }
            Err(e) => return Err(bad(sink.what, &e)),
        }
    }
    Ok(())
}

/// Takes off an answer's `Content-Encoding`. None was asked for, but some servers store files encoded and send them as
/// they are. What has a magic number of its own is unpacked with everything else that is packed ([`unpacked`]).
///
/// # Errors
/// A coding that is not known here, or a damaged or too large file.
pub(super) fn decoded(
    temp: Temp,
    head: &Head,
    next: &dyn Fn() -> Result<Temp, Failed>,
    limit: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Temp, Failed> {
    match head.encoding.as_deref().unwrap_or_default() {
        "" | "identity" | "gzip" | "x-gzip" | "zstd" => Ok(temp),
        "deflate" => {
            let mut to = next()?;
            let mut sink = Sink { to: &mut to, what: "deflate answer", left: limit, limit, stop };
            let mut file = open(temp.path())?;
            // With zlib's header as it should be, or without as some servers send it: its first two bytes are a
            // multiple of 31.
            let start = file.fill_buf().map_err(|e| Failed::Disk(e.to_string()))?;
            let word = start.first_chunk().map_or(1, |b| u16::from_be_bytes(*b));
            if word % 31 == 0 && word & 0x0f00 == 0x0800 {
                sink.take(&mut flate2::bufread::ZlibDecoder::new(file))?;
            } else {
                sink.take(&mut flate2::bufread::DeflateDecoder::new(file))?;
            }
            Ok(to)
        }
        other => {
            let name: String = other.chars().take(40).collect();
            let name = dumpscope_core::base::text::escape(&name).into_owned();
            Err(Failed::Wrong(format!(
                "the server sends it in the coding \"{name}\", which was not asked for"
            )))
        }
    }
}

/// Where the first file begins in its folder. A single file begins at its start; `cab` runs past its list of blocks
/// on the way to a start behind the last block.
fn first_file_start(file: &mut File) -> std::io::Result<u32> {
    let mut word = [0u8; 4];
    // CFHEADER.coffFiles, then CFFILE.uoffFolderStart.
    file.seek(SeekFrom::Start(16))?;
    file.read_exact(&mut word)?;
    file.seek(SeekFrom::Start(u64::from(u32::from_le_bytes(word)).saturating_add(4)))?;
    file.read_exact(&mut word)?;
    file.rewind()?;
    Ok(u32::from_le_bytes(word))
}

/// Expands the one file of a cabinet.
fn cab_file(from: &Path, sink: &mut Sink<'_>) -> Result<(), Failed> {
    let bad = |why: &dyn std::fmt::Display| bad("CAB", why);
    let mut file = File::open(from).map_err(|e| Failed::Disk(e.to_string()))?;
    if first_file_start(&mut file).map_err(|e| bad(&e))? != 0 {
        return Err(bad(&"its file does not begin where the data does"));
    }
    let mut cabinet = cab::Cabinet::new(BufReader::new(file)).map_err(|e| bad(&e))?;
    let mut names = cabinet.folder_entries().flat_map(cab::FolderEntry::file_entries);
    let (first, second) = (names.next(), names.next());
    let entry = match (first, second) {
        (Some(entry), None) => entry,
        (None, _) => return Err(Failed::Wrong("the CAB is empty".into())),
        (Some(_), Some(_)) => return Err(Failed::Wrong("the CAB holds more than one file".into())),
    };
    if u64::from(entry.uncompressed_size()) > sink.limit {
        return Err(too_large("CAB", sink.limit));
    }
    // The name in the cabinet is only used to find it again: never a path.
    let name = entry.name().to_owned();
    let mut reader = cabinet.read_file(&name).map_err(|e| bad(&e))?;
    sink.take(&mut reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn cabinet() -> Vec<u8> {
        let mut builder = cab::CabinetBuilder::new();
        builder.add_folder(cab::CompressionType::MsZip).add_file("x.pdb");
        let mut writer = builder.build(std::io::Cursor::new(Vec::new())).unwrap();
        while let Some(mut file) = writer.next_file().unwrap() {
            file.write_all(&[7; 5000]).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn expanded(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("x.pd_");
        std::fs::write(&from, bytes).unwrap();
        let temp = || Ok(Temp::new(dir.path()).unwrap());
        match unpacked(&from, &temp, 1 << 20, &|| false) {
            Ok(Some(to)) => Ok(std::fs::read(to.path()).unwrap()),
            Ok(None) => Err("not packed".into()),
            Err(e) => Err(format!("{e:?}")),
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn packed_files_of_all_kinds_and_in_each_other() {
        let plain = [7u8; 5000];
        assert_eq!(expanded(&gzip(&plain)).unwrap(), plain);
        assert_eq!(expanded(&zstd(&plain)).unwrap(), plain);
        assert_eq!(expanded(&gzip(&cabinet())).unwrap(), plain);
        assert_eq!(expanded(&gzip(&gzip(&zstd(&plain)))).unwrap(), plain);
        assert!(expanded(&gzip(&gzip(&gzip(&gzip(&plain))))).unwrap_err().contains("more than 3 times"));
        // Frames and members in a row are one file; a skippable frame is none of it.
        let two = [gzip(&plain), gzip(&plain)].concat();
        assert_eq!(expanded(&two).unwrap().len(), 10_000);
        let two = [zstd(&plain), b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec(), zstd(&plain)].concat();
        assert_eq!(expanded(&two).unwrap().len(), 10_000);
        for bytes in [gzip(&plain), zstd(&plain)] {
            for len in 5..bytes.len() {
                assert!(expanded(&bytes[..len]).is_err(), "{len}");
            }
        }
    }

    #[test]
    fn bombs_are_bounded() {
        for bytes in [gzip(&vec![0; 4 << 20]), zstd(&vec![0; 4 << 20])] {
            assert!(bytes.len() < 1 << 16);
            assert!(expanded(&bytes).unwrap_err().contains("expands to more than 1048576 bytes"));
        }
    }

    #[test]
    fn codings_of_answers() {
        let dir = tempfile::tempdir().unwrap();
        let decode = |coding: &str, bytes: &[u8]| {
            let mut temp = Temp::new(dir.path()).unwrap();
            temp.file().write_all(bytes).unwrap();
            let head = Head { encoding: Some(coding.into()), ..Head::default() };
            let next = || Ok(Temp::new(dir.path()).unwrap());
            let done = decoded(temp, &head, &next, 1 << 20, &|| false);
            done.map(|t| std::fs::read(t.path()).unwrap())
        };
        let plain = [7u8; 5000];
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&plain).unwrap();
        assert_eq!(decode("deflate", &zlib.finish().unwrap()).unwrap(), plain);
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        raw.write_all(&plain).unwrap();
        assert_eq!(decode("deflate", &raw.finish().unwrap()).unwrap(), plain);
        assert_eq!(decode("identity", b"x").unwrap(), b"x");
        assert!(matches!(decode("br", b"x"), Err(Failed::Wrong(why)) if why.contains("coding \"br\"")));
        assert!(matches!(decode("deflate", b"xx"), Err(Failed::Wrong(_))));
    }

    #[test]
    fn a_file_that_begins_behind_the_data_is_refused() {
        let mut bytes = cabinet();
        assert_eq!(expanded(&bytes).unwrap(), [7; 5000]);
        // Found by the fuzz target `packed_file`: the crate indexed past its list of blocks.
        let at = u32::from_le_bytes(bytes[16..20].try_into().unwrap()) as usize + 4;
        bytes[at..at + 4].copy_from_slice(&0x1_0000u32.to_le_bytes());
        assert!(expanded(&bytes).unwrap_err().contains("does not begin"));
    }

    #[test]
    fn cut_cabinets_are_errors() {
        let bytes = cabinet();
        for len in (0..bytes.len()).step_by(7) {
            assert!(expanded(&bytes[..len]).is_err(), "{len}");
        }
    }
}
