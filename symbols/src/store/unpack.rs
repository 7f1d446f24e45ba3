//! What came from a server as it should lie in the store: CAB files expanded, MSFZ files converted.

use super::create::Temp;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
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
    // The crates below check much, not all: what still panics in them is a damaged cabinet, too.
    catch_unwind(AssertUnwindSafe(|| expand(from, to, limit))).unwrap_or_else(|_| Err("bad CAB".into()))
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

fn expand(from: &Path, to: &Temp, limit: u64) -> Result<(), String> {
    let mut file = File::open(from).map_err(|e| e.to_string())?;
    if first_file_start(&mut file).map_err(|e| format!("bad CAB: {e}"))? != 0 {
        return Err("bad CAB: its file does not begin where the data does".into());
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let to = Temp::new(dir.path()).unwrap();
        expand_cab(&from, &to, 1 << 20)?;
        Ok(std::fs::read(to.path()).unwrap())
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
