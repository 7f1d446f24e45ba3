//! The shared Java dumps, unpacked.

use std::io::Error;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The archives' window: 2^27 bytes.
const WINDOW_LOG: u32 = 27;
/// What the packed names end with.
const PACKED: &str = ".mini.dmp.zst";

/// The folder with the unpacked Java dumps (`NAME-VERSION.dmp`) and the one with what is true of them
/// (`NAME-VERSION/jstack.txt`); `None` without `shared/java`. Unpacked once, beside the build; `DUMPSCOPE_JAVA_DUMPS`
/// names a folder where that was done.
#[must_use]
pub fn java_dumps() -> Option<(PathBuf, PathBuf)> {
    static FOLDER: OnceLock<Option<(PathBuf, PathBuf)>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let shared = crate::shared()?.join("java");
            let truth = shared.join("truth");
            if let Some(folder) = std::env::var_os("DUMPSCOPE_JAVA_DUMPS") {
                return Some((folder.into(), truth));
            }
            let folder = std::env::temp_dir().join("dumpscope-java-dumps");
            let folder = option_env!("CARGO_TARGET_TMPDIR").map_or(folder, |d| Path::new(d).join("java"));
            unpack(&shared.join("mini"), &folder).ok().map(|()| (folder, truth))
        })
        .clone()
}

fn unpack(packed: &Path, folder: &Path) -> Result<(), Error> {
    if folder.is_dir() {
        return Ok(());
    }
    // Unpacked under another name first: a stopped run leaves no half folder behind.
    let half = folder.with_extension(std::process::id().to_string());
    std::fs::create_dir_all(&half)?;
    for entry in std::fs::read_dir(packed)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(PACKED));
        let Some(name) = name else { continue };
        let mut decoder = zstd::Decoder::new(std::fs::File::open(&path)?)?;
        decoder.window_log_max(WINDOW_LOG)?;
        std::io::copy(&mut decoder, &mut std::fs::File::create(half.join(format!("{name}.dmp")))?)?;
    }
    match std::fs::rename(&half, folder) {
        // Another process was faster.
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&half),
        done => done,
    }
}
