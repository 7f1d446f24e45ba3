//! Where a dump's bytes come from: a mapped file or owned memory. The only file of this crate with `unsafe`.
//!
//! # The contract of the mapping
//! The file is mapped read-only and private. Its bytes are only ever seen as `&[u8]`, every one of which is
//! checked as untrusted input, and no text is assumed to be valid UTF-8. What cannot be excluded: another program that *shortens*
//! the file while it is open makes the next access a `SIGBUS` (an in-page error on Windows), which ends the
//! process; and one that *writes* to it can change bytes between two reads. The second leads to wrong answers
//! at most: no parser relies on reading the same value twice for memory safety, since all of them go through
//! bounds-checked slices. Dumps are finished files; this is the trade that every mapping debugger makes.

use crate::error::OpenError;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug)]
enum Data {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

/// The bytes of a dump, shared and cheap to clone, and how many of them count.
#[derive(Clone, Debug)]
pub struct Source {
    data: Arc<Data>,
    len: usize,
}

impl Source {
    /// Bytes in memory.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Source {
        let len = bytes.len();
        Source { data: Arc::new(Data::Owned(bytes)), len }
    }

    /// Maps an open file; `path` is for the error only.
    ///
    /// # Errors
    /// It is not a regular file or the system cannot map it.
    pub fn map(file: &File, path: &Path) -> Result<Source, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
        }
        if meta.len() == 0 {
            return Ok(Source::from_bytes(Vec::new()));
        }
        let map = map_file(file).map_err(io)?;
        let len = map.len();
        Ok(Source { data: Arc::new(Data::Mapped(map)), len })
    }

    /// The same bytes, cut off after `len`: what a file whose copy was interrupted looks like.
    #[must_use]
    pub fn truncated(&self, len: usize) -> Source {
        Source { data: Arc::clone(&self.data), len: len.min(self.len) }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let all: &[u8] = match &*self.data {
            Data::Mapped(m) => m,
            Data::Owned(v) => v,
        };
        all.get(..self.len).unwrap_or(all)
    }
}

#[allow(
    unsafe_code,
    reason = "mapping a file is unsafe by nature; the module's documentation is the contract"
)]
fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: see the contract at the top of this file: read-only, private, only seen as untrusted bytes.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_view_shares_the_bytes() {
        let s = Source::from_bytes(vec![1, 2, 3]);
        assert_eq!(s.truncated(2).bytes(), &[1, 2]);
        assert_eq!(s.truncated(2).truncated(9).bytes(), &[1, 2]);
        assert_eq!(s.bytes(), &[1, 2, 3]);
    }

    #[test]
    fn an_empty_file_and_a_folder_do_not_fail_badly() {
        let file = tempfile::tempfile().unwrap();
        assert!(Source::map(&file, Path::new("x")).unwrap().bytes().is_empty());
        #[cfg(unix)]
        assert!(Source::map(&File::open("/").unwrap(), Path::new("/")).is_err());
    }
}
