//! The shared .NET dumps, unpacked.

use std::io::{Error, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The archive's window: 2^31 bytes.
const WINDOW_LOG: u32 = 31;

/// The folder with the unpacked .NET dumps (`NAME-VERSION.dmp`) and the one with what is true of them; `None` without
/// `shared/dotnet`. Unpacked once, beside the build; `DUMPSCOPE_DOTNET_DUMPS` names a folder where that was done.
#[must_use]
pub fn dotnet_dumps() -> Option<(PathBuf, PathBuf)> {
    static FOLDER: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let shared = crate::shared()?.join("dotnet");
            let truth = shared.join("truth");
            if let Some(folder) = std::env::var_os("DUMPSCOPE_DOTNET_DUMPS") {
                return Some((folder.into(), truth));
            }
            let folder = std::env::temp_dir().join("dumpscope-dotnet-dumps");
            let folder = option_env!("CARGO_TARGET_TMPDIR").map_or(folder, |d| Path::new(d).join("dotnet"));
            unpack(&shared, &folder).ok().map(|()| (folder, truth))
        })
        .clone()
}

fn unpack(shared: &Path, folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    // Unpacked under another name first: a stopped run leaves no half folder behind.
    let half = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&half)?;
    tar::Archive::new(decoder(&shared.join("dumps.tar.zst"))?).unpack(&half)?;
    let small = "custom-10-createdump-mini.dmp";
    let mut out = std::fs::File::create(half.join(small))?;
    std::io::copy(&mut decoder(&shared.join(small).with_extension("dmp.zst"))?, &mut out)?;
    match std::fs::rename(&half, folder) {
        // Another process was faster.
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&half),
        done => done,
    }
}

fn decoder(path: &Path) -> Result<impl Read, Error> {
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path)?)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}
