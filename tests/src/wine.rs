//! Dumps of programs that ran under Wine (`fixtures/wine`), unpacked.

use std::io::{Error, Read};
use std::path::Path;

/// The archive's window: 2^27 bytes. The dumps share most of their bytes.
const WINDOW_LOG: u32 = 27;

/// The dumps, by name (`srw_dead-x64`), in the order of the names.
///
/// # Errors
///
/// When the archive cannot be read.
pub fn wine_dumps() -> Result<Vec<(String, Vec<u8>)>, Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wine/wine.tar.zst");
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut out = Vec::new();
    for entry in tar::Archive::new(decoder).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        out.push((name, bytes));
    }
    out.sort();
    Ok(out)
}
