//! Writes `win32/data/win32.bin`, the table of all of Win32, from Microsoft's metadata.
//!
//! The metadata (`Windows.Win32.winmd`, `Windows.Wdk.winmd`, MIT or Apache-2.0) is part of the crate `windows-bindgen`,
//! which cargo brings as a dependency of this program; nothing else of that crate is used.
//!
//! ```text
//! cargo run --manifest-path win32-table/Cargo.toml            writes the file
//! cargo run --manifest-path win32-table/Cargo.toml -- --check says whether it would be the same
//! ```

mod blocks;
mod bytes;
mod constants;
mod layout;
mod mend;
mod meta;
mod model;
mod words;
mod write;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut model = meta::read(&folder(here)?)?;
    mend::mend(&mut model);
    let bytes = write::write(&model);
    let path = here.join("../win32/data/win32.bin");
    if std::env::args().any(|a| a == "--check") {
        let have = std::fs::read(&path).with_context(|| path.display().to_string())?;
        if have != bytes {
            bail!("{} is not what the metadata says: write it anew", path.display());
        }
        println!("{}: {} bytes, the same", path.display(), bytes.len());
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    std::fs::write(&path, &bytes)?;
    println!("{}: {} bytes", path.display(), bytes.len());
    Ok(())
}

/// Where cargo has the metadata.
fn folder(here: &Path) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = here.join("Cargo.toml");
    let out = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--manifest-path"])
        .arg(&manifest)
        .output()
        .context("cargo metadata")?;
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).context("what cargo metadata says")?;
    let packages = json["packages"].as_array().context("packages")?;
    let package = packages.iter().find(|p| p["name"] == "windows-bindgen").context("windows-bindgen")?;
    let manifest = PathBuf::from(package["manifest_path"].as_str().context("its manifest")?);
    Ok(manifest.parent().context("its folder")?.join("default"))
}
