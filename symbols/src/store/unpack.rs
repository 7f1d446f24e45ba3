//! What came from a server as it should lie in the store: CAB files expanded, MSFZ files converted.

use super::create::Temp;
use std::fs::File;
use std::io::{Read, Write};
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
}

/// Looks at the first bytes.
pub(super) fn wrapping(path: &Path) -> std::io::Result<Wrapping> {
    let mut start = Vec::new();
    File::open(path)?.take(32).read_to_end(&mut start)?;
    Ok(if start.starts_with(b"MSCF") {
        Wrapping::Cab
    } else if start.starts_with(b"Microsoft MSFZ Container") {
        Wrapping::Msfz
    } else {
        Wrapping::None
    })
}

/// Expands the one file of a cabinet.
///
/// # Errors
/// No cabinet, not exactly one file, more than `limit` bytes (whatever its header claims), or a full disk.
pub(super) fn expand_cab(from: &Path, to: &Temp, limit: u64) -> Result<(), String> {
    let file = File::open(from).map_err(|e| e.to_string())?;
    let mut cabinet =
        cab::Cabinet::new(std::io::BufReader::new(file)).map_err(|e| format!("bad CAB: {e}"))?;
    let mut names = cabinet.folder_entries().flat_map(cab::FolderEntry::file_entries);
    let (first, second) = (names.next(), names.next());
    let entry = match (first, second) {
        (Some(entry), None) => entry,
        (None, _) => return Err("the CAB is empty".into()),
        (Some(_), Some(_)) => return Err("the CAB holds more than one file".into()),
    };
    if u64::from(entry.uncompressed_size()) > limit {
        return Err(too_large(limit));
    }
    // The name in the cabinet is only used to find it again: never a path.
    let name = entry.name().to_owned();
    let reader = cabinet.read_file(&name).map_err(|e| format!("bad CAB: {e}"))?;
    let mut out = File::create(to.path()).map_err(|e| e.to_string())?;
    let mut reader = reader.take(limit.saturating_add(1));
    let mut total = 0u64;
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let got = reader.read(&mut buffer).map_err(|e| format!("bad CAB: {e}"))?;
        let Some(part) = buffer.get(..got).filter(|p| !p.is_empty()) else { return Ok(()) };
        total = total.saturating_add(got as u64);
        if total > limit {
            return Err(too_large(limit));
        }
        out.write_all(part).map_err(|e| e.to_string())?;
    }
}

fn too_large(limit: u64) -> String {
    format!("the CAB expands to more than {limit} bytes")
}
