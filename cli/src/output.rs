//! Files that the user names beside the dumps: reports, logs, scripts, tables. A slip of the hand must not cost the dump,
//! and no file takes all memory.

use std::fs::File;
use std::io::{BufWriter, Error, Read, Result};
use std::path::Path;

/// First bytes of minidumps, and of the two packings that they come in (gzip, Zstandard).
const DUMPS: [&[u8]; 3] = [b"MDMP", &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Makes a file, or empties an old one.
///
/// # Errors
/// What the system said, or that the file is a dump.
pub(crate) fn create(path: &Path) -> Result<BufWriter<File>> {
    spare_dumps(path)?;
    File::create(path).map(BufWriter::new)
}

/// Refuses a path, or a link to one, at which a dump lies.
///
/// # Errors
/// Says that it is a dump.
pub(crate) fn spare_dumps(path: &Path) -> Result<()> {
    // Nothing but a file is read: a pipe would wait for its other end.
    if !path.metadata().is_ok_and(|m| m.is_file()) {
        return Ok(());
    }
    let mut first = Vec::new();
    // What cannot be read can be no dump that is being looked at.
    let read = File::open(path).and_then(|f| f.take(4).read_to_end(&mut first));
    if read.is_ok() && DUMPS.iter().any(|d| first.starts_with(d)) {
        return Err(Error::other("this file is a dump or a packed one: it is not overwritten"));
    }
    Ok(())
}

/// Largest table that is read, bytes.
const MAX_TABLE: u64 = 16 << 20;

/// Reads a table of patterns or hints.
///
/// # Errors
/// What the system said, or that it is too large.
pub(crate) fn read_table(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_TABLE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TABLE {
        return Err(Error::other("it is larger than 16 MiB"));
    }
    Ok(text)
}

/// Refuses a pipe: opening it waits for its other end, and nothing could stop that.
///
/// # Errors
/// Says that it is a pipe.
#[cfg(unix)]
pub(crate) fn refuse_pipe(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match path.metadata() {
        Ok(m) if m.file_type().is_fifo() => Err(Error::other("this is a pipe, not a file")),
        _ => Ok(()),
    }
}

/// As above; elsewhere pipes have no paths in folders.
#[cfg(not(unix))]
pub(crate) fn refuse_pipe(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn dumps_are_spared() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, bytes) in [("a.dmp", b"MDMP\x93\xa7".as_slice()), ("b.gz", b"\x1f\x8b\x08")] {
            std::fs::write(at(name), bytes).unwrap();
            assert!(create(&at(name)).is_err(), "{name}");
            assert_eq!(std::fs::read(at(name)).unwrap(), bytes);
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("a.dmp"), at("link")).unwrap();
            std::fs::hard_link(at("a.dmp"), at("hard")).unwrap();
            assert!(create(&at("link")).is_err() && create(&at("hard")).is_err());
        }
        std::fs::write(at("report"), "an old report").unwrap();
        create(&at("report")).unwrap().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(at("report")).unwrap(), b"new");
        assert!(create(&at("fresh")).is_ok());
    }
}
