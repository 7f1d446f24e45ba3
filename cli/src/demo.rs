//! The bundled demo dump (`--demo`): a ruby.exe that waits in a COM call, built by the `fixtures` crate.

use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const BYTES: &[u8] = include_bytes!("../../fixtures/data/demo.dmp");

/// The demo as a file, removed when this is dropped.
pub(crate) struct Demo {
    path: PathBuf,
    _folder: TempDir,
}

impl Demo {
    /// Writes it into a temporary folder.
    pub(crate) fn unpack() -> io::Result<Demo> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("demo.dmp");
        std::fs::write(&path, BYTES)?;
        Ok(Demo { path, _folder: folder })
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
