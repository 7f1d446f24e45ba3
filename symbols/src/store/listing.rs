//! Names in folders of this machine, found whatever their case: stores made on Windows do not care.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Most entries of one folder that are kept; in a larger one only the exact name is found.
const MAX_ENTRIES: usize = 500_000;
/// Most folders that are kept.
const MAX_FOLDERS: usize = 256;
/// Most spellings of one name that are looked at.
const MAX_SPELLINGS: usize = 8;

/// Entries by their name in lower case.
type Names = BTreeMap<String, Vec<OsString>>;

/// The listings of folders, read when an exact name leads nowhere, and again when the folder has changed.
#[derive(Debug, Default)]
pub(super) struct Listings {
    folders: Mutex<BTreeMap<PathBuf, (SystemTime, Arc<Names>)>>,
}

impl Listings {
    /// Reads every folder again.
    pub(super) fn forget(&self) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Files below `root` whose names differ from `parts` in nothing but the case of letters, in the order of their
    /// names. The exact spelling is not among them.
    pub(super) fn spellings(&self, root: &Path, parts: &[String]) -> Vec<PathBuf> {
        let mut out = Vec::new();
        // Those file systems find them by themselves.
        if !cfg!(windows) {
            let exact = parts.iter().fold(root.to_owned(), |dir, part| dir.join(part));
            self.descend(root, parts, &exact, &mut out);
        }
        out
    }

    fn descend(&self, dir: &Path, parts: &[String], exact: &Path, out: &mut Vec<PathBuf>) {
        let Some((name, rest)) = parts.split_first() else {
            if dir != exact && dir.is_file() {
                out.push(dir.to_owned());
            }
            return;
        };
        let Some(names) = self.names(dir) else { return };
        for spelling in names.get(&name.to_lowercase()).into_iter().flatten().take(MAX_SPELLINGS) {
            if out.len() < MAX_SPELLINGS {
                self.descend(&dir.join(spelling), rest, exact, out);
            }
        }
    }

    fn names(&self, dir: &Path) -> Option<Arc<Names>> {
        let changed = std::fs::metadata(dir).ok().filter(std::fs::Metadata::is_dir)?.modified().ok()?;
        {
            let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, names)) = folders.get(dir)
                && *at == changed
            {
                return Some(names.clone());
            }
        }
        let mut names = Names::new();
        for entry in std::fs::read_dir(dir).ok()?.flatten().take(MAX_ENTRIES) {
            let name = entry.file_name();
            if let Some(text) = name.to_str() {
                names.entry(text.to_lowercase()).or_default().push(name);
            }
        }
        names.values_mut().for_each(|spellings| spellings.sort());
        let names = Arc::new(names);
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.len() >= MAX_FOLDERS {
            folders.clear();
        }
        folders.insert(dir.to_owned(), (changed, names.clone()));
        Some(names)
    }
}

#[cfg(all(test, not(windows)))]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found() {
        let root = tempfile::tempdir().unwrap();
        let parts: Vec<String> = ["MyApp.pdb", "4BF5", "MyApp.pdb"].map(str::to_owned).into();
        let listings = Listings::default();
        assert!(listings.spellings(root.path(), &parts).is_empty());
        for path in ["MYAPP.PDB/4bf5/myapp.PDB", "myapp.pdb/4BF5/other.pdb", "MyApp.pdb/4BF5/MyApp.pdb"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        listings.forget();
        assert_eq!(listings.spellings(root.path(), &parts), [root.path().join("MYAPP.PDB/4bf5/myapp.PDB")]);
        let umlaut = ["ÄPP.pdb".to_owned()];
        std::fs::write(root.path().join("äpp.PDB"), b"x").unwrap();
        listings.forget();
        assert_eq!(listings.spellings(root.path(), &umlaut), [root.path().join("äpp.PDB")]);
    }
}
