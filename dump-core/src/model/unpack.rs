//! Opens a dump file, and unpacks `.zst` and `.gz` files to a temporary file first.

use crate::error::OpenError;
use crate::source::Source;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Largest unpacked dump, bytes (64 GiB). A packed file that grows beyond it is refused: a file of a few
/// kilobytes can unpack to any size.
pub const MAX_UNPACKED: u64 = 64 << 30;

/// How an unpacked dump begins. What begins otherwise is not unpacked to its end.
const DUMP_MAGIC: &[u8] = b"MDMP";

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: u32 = 0xfd2f_b528;

/// Told (bytes written, bytes of the packed file read, packed file's size); false stops.
type Progress<'a> = dyn FnMut(u64, u64, u64) -> bool + 'a;

/// Maps a dump file, unpacked when its first bytes say that it is packed.
pub(super) fn open(path: &Path, progress: &mut Progress<'_>) -> Result<Source, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    // Opening a pipe that nobody writes to waits for ever, and so does reading its first bytes.
    let kind = std::fs::metadata(path).map_err(io)?;
    if !kind.is_file() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut file = File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    let mut magic = [0u8; 4];
    let got = read_full(&mut file, &mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let packed = PackedFile { path, size: meta.len(), limit: MAX_UNPACKED };
    if got >= 2 && magic.starts_with(GZIP_MAGIC) {
        packed.gzip(file, progress)
    } else if got == 4 && is_zstd(u32::from_le_bytes(magic)) {
        packed.zstd(file, progress)
    } else {
        Source::map(&file, path)
    }
}

/// A Zstandard frame, or a skippable frame that may stand before it.
fn is_zstd(magic: u32) -> bool {
    magic == ZSTD_MAGIC || magic & 0xffff_fff0 == 0x184d_2a50
}

fn read_full(file: &mut impl Read, buf: &mut [u8]) -> std::io::Result<usize> {
    let mut got = 0;
    while let Some(room) = buf.get_mut(got..).filter(|r| !r.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(n) => got = got.saturating_add(n),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

struct PackedFile<'a> {
    path: &'a Path,
    size: u64,
    limit: u64,
}

impl PackedFile<'_> {
    fn error(&self, reason: impl ToString) -> OpenError {
        OpenError::Unpack { path: self.path.to_owned(), reason: reason.to_string() }
    }

    fn gzip(&self, file: File, progress: &mut Progress<'_>) -> Result<Source, OpenError> {
        let mut out = self.unpacked()?;
        let mut decoder = flate2::bufread::MultiGzDecoder::new(BufReader::new(Counting { file, read: 0 }));
        loop {
            let more = self.copy_chunk(&mut decoder, &mut out)?;
            let read = decoder.get_ref().get_ref().read;
            self.tell(progress, out.written, read)?;
            if !more {
                return Source::map(&out.file, self.path);
            }
        }
    }

    fn zstd(&self, file: File, progress: &mut Progress<'_>) -> Result<Source, OpenError> {
        use ruzstd::decoding::StreamingDecoder;
        use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
        let mut out = self.unpacked()?;
        let mut input = BufReader::new(Counting { file, read: 0 });
        // A file is a row of frames; each one takes at least its magic, so the file's size bounds the loop.
        while !out.is_something_else && !at_end(&mut input).map_err(|e| self.error(e))? {
            let mut decoder = match StreamingDecoder::new(&mut input) {
                Ok(decoder) => decoder,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    std::io::copy(&mut (&mut input).take(length.into()), &mut std::io::sink())
                        .map_err(|e| self.error(e))?;
                    continue;
                }
                Err(e) => return Err(self.error(e)),
            };
            loop {
                let more = self.copy_chunk(&mut decoder, &mut out)?;
                let read = decoder.get_ref().get_ref().read;
                self.tell(progress, out.written, read)?;
                if !more {
                    break;
                }
            }
        }
        Source::map(&out.file, self.path)
    }

    fn unpacked(&self) -> Result<Unpacked, OpenError> {
        let file = tempfile::tempfile().map_err(|e| self.error(format!("no temporary file: {e}")))?;
        Ok(Unpacked { file, written: 0, head: Vec::new(), is_something_else: false })
    }

    fn tell(&self, progress: &mut Progress<'_>, written: u64, read: u64) -> Result<(), OpenError> {
        if progress(written, read.min(self.size), self.size) { Ok(()) } else { Err(self.error("stopped")) }
    }

    /// Moves at most one buffer; false at the end, and when what came first is no dump's beginning: the reader of
    /// the header then says what is wrong with it.
    fn copy_chunk(&self, from: &mut impl Read, to: &mut Unpacked) -> Result<bool, OpenError> {
        let mut buf = vec![0u8; 1 << 18];
        let n = read_full(from, &mut buf).map_err(|e| self.error(e))?;
        let got = buf.get(..n).unwrap_or_default();
        to.written = to.written.saturating_add(n as u64);
        if to.written > self.limit {
            return Err(self.error(format!("larger than {} GiB unpacked", self.limit >> 30)));
        }
        to.file.write_all(got).map_err(|e| self.error(format!("writing the temporary file: {e}")))?;
        let wanted = DUMP_MAGIC.len().saturating_sub(to.head.len());
        to.head.extend(got.iter().take(wanted));
        to.is_something_else = !DUMP_MAGIC.starts_with(&to.head);
        Ok(n > 0 && !to.is_something_else)
    }
}

/// What came out of a packed file so far.
struct Unpacked {
    file: File,
    written: u64,
    /// The first bytes, as many as tell a dump.
    head: Vec<u8>,
    is_something_else: bool,
}

fn at_end(input: &mut impl std::io::BufRead) -> std::io::Result<bool> {
    input.fill_buf().map(<[u8]>::is_empty)
}

/// Counts what was read of the packed file.
struct Counting {
    file: File,
    read: u64,
}

impl Read for Counting {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buf)?;
        self.read = self.read.saturating_add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn open_bytes(bytes: &[u8], progress: &mut Progress<'_>) -> Result<Vec<u8>, OpenError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        open(file.path(), progress).map(|s| s.bytes().to_vec())
    }

    fn plain(len: usize) -> Vec<u8> {
        b"MDMP".iter().copied().chain((4..len).map(|i| (i / 7 % 251) as u8)).collect()
    }

    #[test]
    fn packed_files_are_told_by_their_first_bytes() {
        let data = plain(700_000);
        for packed in [zstd(&data), gzip(&data), data.clone()] {
            assert!(open_bytes(&packed, &mut |_, _, _| true).unwrap() == data);
        }
        for short in [&b""[..], b"M", b"MDM"] {
            assert_eq!(open_bytes(short, &mut |_, _, _| true).unwrap(), short);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let error = open(folder.path(), &mut |_, _, _| true).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }

    #[test]
    fn several_frames_and_skippable_ones() {
        let (a, b) = (plain(5000), plain(300));
        // The first bytes may be spread over frames.
        let spread = [zstd(b"MD"), zstd(b"MP"), zstd(b"more")].concat();
        assert_eq!(open_bytes(&spread, &mut |_, _, _| true).unwrap(), b"MDMPmore");
        let mut packed = vec![0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        packed.extend(zstd(&a));
        packed.extend([0x5f, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]);
        packed.extend(zstd(&b));
        assert_eq!(open_bytes(&packed, &mut |_, _, _| true).unwrap(), [a.clone(), b.clone()].concat());
        let mut packed = gzip(&a);
        packed.extend(gzip(&b));
        assert_eq!(open_bytes(&packed, &mut |_, _, _| true).unwrap(), [a, b].concat());
    }

    #[test]
    fn progress_is_told_and_can_stop() {
        let data = plain(900_000);
        for packed in [zstd(&data), gzip(&data)] {
            let size = packed.len() as u64;
            let mut last = (0, 0);
            open_bytes(&packed, &mut |written, read, whole| {
                assert_eq!(whole, size);
                assert!(written >= last.0 && read >= last.1 && read <= size);
                last = (written, read);
                true
            })
            .unwrap();
            assert_eq!(last, (900_000, size));
            let error = open_bytes(&packed, &mut |_, _, _| false).unwrap_err();
            assert!(error.to_string().ends_with("cannot unpack: stopped"), "{error}");
        }
    }

    #[test]
    fn cut_and_broken_files_are_errors() {
        let data = plain(900_000);
        for packed in [zstd(&data), gzip(&data)] {
            for cut in [5, packed.len() / 2, packed.len() - 1] {
                assert!(matches!(
                    open_bytes(&packed[..cut], &mut |_, _, _| true),
                    Err(OpenError::Unpack { .. })
                ));
            }
        }
        let mut junk = zstd(&data);
        junk.extend(b"junk behind the frame");
        assert!(open_bytes(&junk, &mut |_, _, _| true).is_err());
    }

    #[test]
    fn what_does_not_begin_as_a_dump_is_not_unpacked_to_its_end() {
        let zeros = vec![0u8; 3 << 20];
        for packed in [zstd(&zeros), gzip(&zeros), [zstd(b"MD"), zstd(&zeros)].concat()] {
            let mut most = 0;
            let got = open_bytes(&packed, &mut |written, _, _| {
                most = written;
                true
            });
            assert!(most <= (1 << 18) + 2, "{most}");
            // Enough for a reader of the header to say what it is not.
            assert_eq!(got.unwrap().len() as u64, most);
        }
    }

    #[test]
    fn the_size_is_limited() {
        let mut bomb = vec![0u8; 3 << 20];
        bomb[..4].copy_from_slice(DUMP_MAGIC);
        let packed = zstd(&bomb);
        assert!(packed.len() < 4096, "zeros pack well: {}", packed.len());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&packed).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let limited = PackedFile { path: Path::new("bomb"), size: packed.len() as u64, limit: 1 << 20 };
        let mut most = 0;
        let error = limited.zstd(file, &mut |written, _, _| {
            most = written;
            true
        });
        assert!(error.unwrap_err().to_string().contains("larger than"));
        assert!(most <= 1 << 20);
    }
}
