//! Files appear in a store whole or not at all: lock, temporary file, rename.
//!
//! A cache may be shared by users, machines and containers, which may have equal process ids: temporary files have
//! random names and are created exclusively, and no link below the store's root is followed when something is written.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use tempfile::TempPath;

/// The folder in a cache that holds locks, temporary files and what is remembered.
pub(super) fn private_dir(cache: &Path) -> PathBuf {
    cache.join(PRIVATE)
}

const PRIVATE: &str = ".dumpscope";

/// A file name made of a text: 64-bit FNV-1a, which only has to spread (records tell whose they are).
pub(super) fn hashed(text: &str) -> String {
    let hash =
        text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Makes the folders of `inside` below `root`; a link among them is not followed.
fn folders(root: &Path, inside: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(root)?;
    let mut dir = root.to_owned();
    for part in inside.components() {
        let Component::Normal(name) = part else { return Err(io::ErrorKind::InvalidInput.into()) };
        dir.push(name);
        if let Err(e) = fs::create_dir(&dir)
            && e.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(e);
        }
        if !fs::symlink_metadata(&dir)?.is_dir() {
            return Err(io::Error::other(format!("{} is a link or a file, not a folder", dir.display())));
        }
    }
    Ok(dir)
}

/// A lock between processes and threads; released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Waits for the lock of `what` in `cache`, as long as `stop` allows. `Ok(None)`: stopped.
pub(super) fn lock(cache: &Path, what: &str, stop: &dyn Fn() -> bool) -> io::Result<Option<Lock>> {
    let path = folders(cache, &Path::new(PRIVATE).join("locks"))?.join(hashed(what));
    if fs::symlink_metadata(&path).is_ok_and(|m| !m.is_file()) {
        return Err(io::Error::other(format!("{} is a link or a folder, not a file", path.display())));
    }
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
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

/// A temporary file in a store's own folder; removed when dropped, unless it was kept.
#[derive(Debug)]
pub(super) struct Temp {
    root: PathBuf,
    file: File,
    path: TempPath,
}

impl Temp {
    /// A new file in the folder of `root` that is ours.
    pub(super) fn new(root: &Path) -> io::Result<Temp> {
        let dir = folders(root, &Path::new(PRIVATE).join("tmp"))?;
        Temp::in_dir(root, &dir)
    }

    /// A new file among the system's temporary ones, which is never kept.
    pub(super) fn of_system() -> io::Result<Temp> {
        let dir = std::env::temp_dir();
        Temp::in_dir(&dir, &dir)
    }

    fn in_dir(root: &Path, dir: &Path) -> io::Result<Temp> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("").suffix(".tmp").rand_bytes(16);
        // A store is for all whom its folders let in: the creator's mask decides, as for any file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let (file, path) = builder.tempfile_in(dir)?.into_parts();
        Ok(Temp { root: root.to_owned(), file, path })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, to write.
    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Moves it to its place in the store whose temporary file it is; the place's folders are made.
    pub(super) fn keep(self, to: &Path) -> io::Result<()> {
        let inside = to.parent().and_then(|dir| dir.strip_prefix(&self.root).ok());
        folders(&self.root, inside.ok_or(io::ErrorKind::InvalidInput)?)?;
        let Temp { file, path, .. } = self;
        drop(file);
        let Err(failed) = path.persist(to) else { return Ok(()) };
        // Windows: somebody has the old file open. What std does there works for most such files; where it does not,
        // the old one can at least be moved away.
        if fs::rename(&failed.path, to).is_ok() {
            let _ = failed.path.keep();
            return Ok(());
        }
        let Ok(aside) =
            tempfile::Builder::new().prefix("old-").tempfile_in(failed.path.parent().unwrap_or(to))
        else {
            return Err(failed.error);
        };
        let aside = aside.into_temp_path();
        let _ = fs::remove_file(&aside);
        if !to.is_file() || fs::rename(to, &aside).is_err() {
            return Err(failed.error);
        }
        match fs::rename(&failed.path, to) {
            Ok(()) => {
                let _ = failed.path.keep();
                Ok(())
            }
            Err(e) => {
                let _ = fs::rename(&aside, to);
                Err(e)
            }
        }
    }
}

/// Removes temporary files that a killed process left, when they are older than a day.
pub(super) fn sweep(cache: &Path) {
    let dir = private_dir(cache).join("tmp");
    if !fs::symlink_metadata(&dir).is_ok_and(|m| m.is_dir()) {
        return;
    }
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().take(1000) {
        let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if old.is_some_and(|age| age > Duration::from_secs(24 * 3600)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes a small file whole.
pub(super) fn write_whole(root: &Path, to: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temp = Temp::new(root)?;
    temp.file().write_all(bytes)?;
    temp.keep(to)
}

/// Copies a file into a store, whole.
pub(super) fn copy_whole(from: &Path, root: &Path, to: &Path) -> io::Result<()> {
    let mut temp = Temp::new(root)?;
    io::copy(&mut File::open(from)?, temp.file())?;
    temp.keep(to)
}

/// Why files in a store may be exchanged by somebody else; `None`: they may not, or it is not known (Windows).
#[must_use]
pub fn open_to_others(dir: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        for dir in [dir.to_owned(), private_dir(dir)] {
            let Ok(meta) = fs::metadata(&dir) else { continue };
            if meta.is_dir() && meta.mode() & 0o002 != 0 {
                let dir = dir.display();
                return Some(format!("{dir} can be written by every user of this machine: chmod o-w {dir}"));
            }
        }
        None
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
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
        let mut temp = Temp::new(dir.path()).unwrap();
        temp.file().write_all(b"x").unwrap();
        let path = temp.path().to_owned();
        drop(temp);
        assert!(!path.exists());
        let mut temp = Temp::new(dir.path()).unwrap();
        temp.file().write_all(b"y").unwrap();
        temp.keep(&dir.path().join("a/b/c")).unwrap();
        assert_eq!(fs::read(dir.path().join("a/b/c")).unwrap(), b"y");
        let temp = Temp::new(dir.path()).unwrap();
        assert!(temp.keep(&dir.path().join("../c")).is_err());
    }

    #[test]
    fn a_file_that_is_open_and_mapped_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("a/b");
        write_whole(dir.path(), &to, &[1; 10_000]).unwrap();
        let open = File::open(&to).unwrap();
        let mapped = crate::file::FileBytes::open(&to).unwrap();
        write_whole(dir.path(), &to, b"new").unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"new");
        assert_eq!(mapped.bytes(), [1; 10_000]);
        drop(open);
        assert_eq!(fs::read_dir(private_dir(dir.path()).join("tmp")).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed_to_write() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(other.path(), dir.path().join("foo.pdb")).unwrap();
        let write = |to: &str| write_whole(dir.path(), &dir.path().join(to), b"x");
        assert!(write("foo.pdb/1/foo.pdb").unwrap_err().to_string().contains("is a link"));
        assert!(write("bar.pdb/1/bar.pdb").is_ok());
        // A link in the file's own place is replaced, not written through.
        symlink(other.path().join("target"), dir.path().join("bar.pdb/1/baz.pdb")).unwrap();
        assert!(write("bar.pdb/1/baz.pdb").is_ok());
        let tmp = private_dir(dir.path()).join("tmp");
        fs::remove_dir(&tmp).unwrap();
        symlink(other.path(), &tmp).unwrap();
        assert!(write("bar.pdb/2/bar.pdb").is_err());
        let locks = private_dir(dir.path()).join("locks");
        fs::create_dir(&locks).unwrap();
        symlink(other.path().join("target"), locks.join(hashed("a"))).unwrap();
        assert!(lock(dir.path(), "a", &|| true).is_err());
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
        assert_eq!(open_to_others(dir.path()), None);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open_to_others(dir.path()).unwrap().contains("chmod o-w"));
    }
}
