//! Files appear in a store whole or not at all: lock, temporary file, rename.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The folder in a cache that holds locks, temporary files and what is remembered.
pub(super) fn private_dir(cache: &Path) -> PathBuf {
    cache.join(".dumpscope")
}

/// A file name made of a text: 64-bit FNV-1a, which only has to spread (records tell whose they are).
pub(super) fn hashed(text: &str) -> String {
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// A lock between processes and threads; released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Waits for the lock of `what` in `cache`, as long as `stop` allows. `Ok(None)`: stopped.
pub(super) fn lock(cache: &Path, what: &str, stop: &dyn Fn() -> bool) -> io::Result<Option<Lock>> {
    let dir = private_dir(cache).join("locks");
    fs::create_dir_all(&dir)?;
    let file = File::options().create(true).truncate(false).write(true).open(dir.join(hashed(what)))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => {}
            // File systems without locks: the rename still keeps the store whole, only work is done twice.
            Err(TryLockError::Error(_)) => return Ok(Some(Lock { _file: file })),
        }
        if stop() {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A temporary file in the cache's own folder; removed when dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Temp {
    path: PathBuf,
    kept: bool,
}

impl Temp {
    /// A new name; nothing is created yet.
    pub(super) fn new(cache: &Path) -> io::Result<Temp> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = private_dir(cache).join("tmp");
        fs::create_dir_all(&dir)?;
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        Ok(Temp { path: dir.join(format!("{}-{n}", std::process::id())), kept: false })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves it to its place in the store; the place's folder is made.
    pub(super) fn keep(mut self, to: &Path) -> io::Result<()> {
        if let Some(dir) = to.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::rename(&self.path, to)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes temporary files that a killed process left, when they are older than a day.
pub(super) fn sweep(cache: &Path) {
    let Ok(entries) = fs::read_dir(private_dir(cache).join("tmp")) else { return };
    for entry in entries.flatten().take(1000) {
        let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if old.is_some_and(|age| age > Duration::from_secs(24 * 3600)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes a small file whole.
pub(super) fn write_whole(to: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let temp = Temp { path: dir.join(format!(".{}-{n}", std::process::id())), kept: false };
    File::create(temp.path())?.write_all(bytes)?;
    temp.keep(to)
}

/// Copies a file into a store, whole.
pub(super) fn copy_whole(from: &Path, cache: &Path, to: &Path) -> io::Result<()> {
    let temp = Temp::new(cache)?;
    fs::copy(from, temp.path())?;
    temp.keep(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_exclude_and_stop() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path(), "a", &|| false).unwrap().unwrap();
        assert!(lock(dir.path(), "a", &|| true).unwrap().is_none());
        assert!(lock(dir.path(), "b", &|| true).unwrap().is_some());
        drop(held);
        assert!(lock(dir.path(), "a", &|| true).unwrap().is_some());
    }

    #[test]
    fn a_dropped_temp_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let temp = Temp::new(dir.path()).unwrap();
        fs::write(temp.path(), b"x").unwrap();
        let path = temp.path().to_owned();
        drop(temp);
        assert!(!path.exists());
        let temp = Temp::new(dir.path()).unwrap();
        fs::write(temp.path(), b"y").unwrap();
        temp.keep(&dir.path().join("a/b/c")).unwrap();
        assert_eq!(fs::read(dir.path().join("a/b/c")).unwrap(), b"y");
    }
}
