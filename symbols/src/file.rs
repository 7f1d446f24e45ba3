//! Bytes of symbol and image files.

use dumpscope_core::error::OpenError;
use dumpscope_core::source::Source;
use std::fs::File;
use std::io;
use std::path::Path;

/// The bytes of a file, shared and cheap to clone.
#[derive(Clone)]
pub struct FileBytes {
    data: Source,
}

impl FileBytes {
    /// Maps a file; the contract of the mapping is [`Source`]'s.
    ///
    /// # Errors
    /// It cannot be read, or it is no regular file.
    pub fn open(path: &Path) -> io::Result<FileBytes> {
        // Asked before opening: opening a pipe would wait for its other end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        match Source::map(&File::open(path)?, path) {
            Ok(data) => Ok(FileBytes { data }),
            Err(OpenError::Io { source, .. }) => Err(source),
            Err(e) => Err(io::Error::other(e)),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.data.bytes()
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(data: Vec<u8>) -> FileBytes {
        FileBytes { data: Source::from_bytes(data) }
    }
}

/// The size, not the bytes.
impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({} bytes)", self.bytes().len())
    }
}
