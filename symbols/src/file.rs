//! Bytes of symbol and image files.

use std::io;
use std::path::Path;
use std::sync::Arc;

/// The bytes of a file, shared and cheap to clone.
#[derive(Clone)]
pub struct FileBytes {
    data: Arc<Vec<u8>>,
}

impl FileBytes {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or it is no regular file.
    pub fn open(path: &Path) -> io::Result<FileBytes> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(FileBytes::from(std::fs::read(path)?))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(data: Vec<u8>) -> FileBytes {
        FileBytes { data: Arc::new(data) }
    }
}

/// The size, not the bytes.
impl std::fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileBytes({} bytes)", self.bytes().len())
    }
}
