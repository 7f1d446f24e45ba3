//! Reads pieces of a PDB file for the container parser.

use pdb2::{Source, SourceSlice, SourceView};
use std::fmt;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// A file of which only the pages of the streams in use are read.
///
/// Not a memory map: a PDB can be replaced or cut while it is open (another debugger's cache), and that must be an
/// error here, not a fault. Two streams never share a page, so nothing longer than the file is a valid request.
pub(super) struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    pub(super) fn new(file: File) -> Result<FileSource> {
        let len = file.metadata()?.len();
        Ok(FileSource { file, len })
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileSource({} bytes)", self.len)
    }
}

#[derive(Debug)]
struct Owned(Vec<u8>);

impl SourceView<'static> for Owned {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl Source<'static> for FileSource {
    fn view(&mut self, slices: &[SourceSlice]) -> Result<Box<dyn SourceView<'static> + Send + Sync>> {
        let mut total = 0u64;
        for s in slices {
            let end = s.offset.checked_add(s.size as u64);
            if end.is_none_or(|e| e > self.len) {
                return Err(Error::new(ErrorKind::UnexpectedEof, "a page lies outside the file"));
            }
            total = total.saturating_add(s.size as u64);
        }
        if total > self.len {
            return Err(Error::new(ErrorKind::InvalidData, "a stream is longer than the file"));
        }
        let mut bytes = vec![0u8; usize::try_from(total).map_err(|_| Error::from(ErrorKind::OutOfMemory))?];
        let mut rest = bytes.as_mut_slice();
        for s in slices {
            let Some((part, tail)) = rest.split_at_mut_checked(s.size) else {
                return Err(Error::from(ErrorKind::UnexpectedEof));
            };
            self.file.seek(SeekFrom::Start(s.offset))?;
            self.file.read_exact(part)?;
            rest = tail;
        }
        Ok(Box::new(Owned(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn refuses_more_than_the_file_holds() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1, 2, 3, 4]).unwrap();
        let mut source = FileSource::new(file).unwrap();
        let slice = |offset, size| SourceSlice { offset, size };
        assert_eq!(source.view(&[slice(1, 2), slice(0, 1)]).unwrap().as_slice(), &[2, 3, 1]);
        assert!(source.view(&[slice(3, 2)]).is_err());
        assert!(source.view(&[slice(0, 4), slice(0, 4)]).is_err());
        assert!(source.view(&[slice(u64::MAX, 4)]).is_err());
    }
}
