//! Files that the user names beside the dumps: reports, logs, scripts, tables. A slip of the hand must not cost the dump,
//! and no file takes all memory.

use dumpscope_engine::files::spare_dumps;
use std::fs::File;
use std::io::{BufWriter, Error, Read, Result};
use std::path::Path;

/// Makes a file, or empties an old one.
///
/// # Errors
/// What the system said, or that the file is a dump.
pub(crate) fn create(path: &Path) -> Result<BufWriter<File>> {
    spare_dumps(path)?;
    File::create(path).map(BufWriter::new)
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
