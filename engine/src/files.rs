//! Checks on files that the user names beside the dumps: a slip of the hand must not cost a dump.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

/// First bytes of minidumps, and of the two packings that they come in (gzip, Zstandard).
const DUMPS: [&[u8]; 3] = [b"MDMP", &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];

/// Refuses a path, or a link to one, at which a dump lies.
///
/// # Errors
/// Says that it is a dump.
pub fn spare_dumps(path: &Path) -> Result<()> {
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

/// Refuses a pipe: opening it waits for its other end, and nothing could stop that.
///
/// # Errors
/// Says that it is a pipe.
#[cfg(unix)]
pub fn refuse_pipe(path: &Path) -> Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match path.metadata() {
        Ok(m) if m.file_type().is_fifo() => Err(Error::other("this is a pipe, not a file")),
        _ => Ok(()),
    }
}

/// As above; elsewhere pipes have no paths in folders.
#[cfg(not(unix))]
pub fn refuse_pipe(_: &Path) -> Result<()> {
    Ok(())
}
