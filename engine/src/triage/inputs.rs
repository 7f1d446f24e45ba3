//! From what the user names (files, folders, patterns) to a list of dump files.

use std::path::{Path, PathBuf};

/// Something named on the command line that leads to no dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No such file or folder, and no pattern.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was named.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pattern that is malformed.
    #[error("{pattern}: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A pattern that matches nothing.
    #[error("{0}: no file matches")]
    NoMatch(String),
    /// A folder without a dump in it.
    #[error("{}: no dump in this folder", .0.display())]
    EmptyFolder(PathBuf),
}

/// Endings that make a file a dump without looking into it.
const ENDINGS: [&str; 6] = [".dmp", ".mdmp", ".dmp.zst", ".dmp.gz", ".mdmp.zst", ".mdmp.gz"];

/// The dump files that `named` leads to: a file is taken as it is, a folder is searched with all its subfolders for
/// files with a dump's ending or a dump's first bytes, a pattern (`*`, `?`, `[...]`, `**`) is expanded and its
/// matches are treated alike. The order is by name; links to folders are not followed.
///
/// # Errors
/// It does not exist, is a bad pattern, or leads to no dump.
pub fn find_dumps(named: &Path) -> Result<Vec<PathBuf>, InputError> {
    match std::fs::metadata(named) {
        Ok(meta) if meta.is_dir() => {
            let mut found = Vec::new();
            search(named, &mut found);
            if found.is_empty() { Err(InputError::EmptyFolder(named.into())) } else { Ok(found) }
        }
        Ok(_) => Ok(vec![named.into()]),
        Err(source) => match named.to_str().filter(|s| s.contains(['*', '?', '['])) {
            Some(pattern) => expand(pattern),
            None => Err(InputError::Io { path: named.into(), source }),
        },
    }
}

fn expand(pattern: &str) -> Result<Vec<PathBuf>, InputError> {
    let bad = |e: glob::PatternError| InputError::Pattern { pattern: pattern.into(), reason: e.to_string() };
    let mut found = Vec::new();
    let mut matched = false;
    // Entries that cannot be read are left out: a pattern over a tree with a closed folder still works.
    for path in glob::glob(pattern).map_err(bad)?.flatten() {
        matched = true;
        if path.is_dir() {
            search(&path, &mut found);
        } else {
            found.push(path);
        }
    }
    found.sort();
    found.dedup();
    match (found.is_empty(), matched) {
        (false, _) => Ok(found),
        (true, true) => Err(InputError::EmptyFolder(pattern.into())),
        (true, false) => Err(InputError::NoMatch(pattern.into())),
    }
}

/// Adds all dumps below `folder`, by name.
fn search(folder: &Path, found: &mut Vec<PathBuf>) {
    let walk = walkdir::WalkDir::new(folder).follow_links(false).sort_by_file_name();
    for entry in walk.into_iter().flatten() {
        // A link to a file is a file here, a link to a folder is left out: no circles.
        if entry.path().is_file() && is_dump(entry.path()) {
            found.push(entry.into_path());
        }
    }
}

fn is_dump(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    ENDINGS.iter().any(|e| name.ends_with(e)) || has_magic(path)
}

fn has_magic(path: &Path) -> bool {
    use std::io::Read;
    let mut magic = [0u8; 4];
    std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut magic)).is_ok() && &magic == b"MDMP"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        for (name, bytes) in [
            ("a/b/deep.DMP", &b"x"[..]),
            ("a/one.mdmp", b""),
            ("a/core", b"MDMP and more"),
            ("a/notes.txt", b"no"),
            ("a/packed.dmp.zst", b""),
        ] {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn names(dir: &Path, found: &[PathBuf]) -> Vec<String> {
        let name = |p: &PathBuf| p.strip_prefix(dir).unwrap().to_string_lossy().replace('\\', "/");
        found.iter().map(name).collect()
    }

    #[test]
    fn folders_are_searched_by_ending_and_by_magic() {
        let dir = tree();
        let found = find_dumps(dir.path()).unwrap();
        assert_eq!(names(dir.path(), &found), ["a/b/deep.DMP", "a/core", "a/one.mdmp", "a/packed.dmp.zst"]);
        assert!(matches!(find_dumps(&dir.path().join("empty")), Err(InputError::EmptyFolder(_))));
    }

    #[test]
    fn patterns_and_files() {
        let dir = tree();
        let found = find_dumps(&dir.path().join("a/*.mdmp")).unwrap();
        assert_eq!(names(dir.path(), &found), ["a/one.mdmp"]);
        let file = dir.path().join("a/notes.txt");
        assert_eq!(find_dumps(&file).unwrap(), [file.clone()]);
        assert!(matches!(find_dumps(&dir.path().join("*.zip")), Err(InputError::NoMatch(_))));
        assert!(matches!(find_dumps(&dir.path().join("nothing")), Err(InputError::Io { .. })));
    }
}
