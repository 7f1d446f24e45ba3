//! From what the user names (files, folders, patterns) to a list of dump files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file to analyze, or something that was named and leads to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file.
    Dump(PathBuf),
    /// Nothing: its row is an error row.
    Nothing {
        /// What was named.
        named: PathBuf,
        /// Why it leads to no dump, one line.
        reason: String,
    },
}

impl Input {
    /// The path that its row shows.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Input::Dump(path) | Input::Nothing { named: path, .. } => path,
        }
    }
}

/// Endings that make a file a dump without looking into it.
const ENDINGS: [&str; 6] = [".dmp", ".mdmp", ".dmp.zst", ".dmp.gz", ".mdmp.zst", ".mdmp.gz"];

/// The dump files that `named` leads to: a file is taken as it is, a folder is searched with all its subfolders for
/// files with a dump's ending or a dump's first bytes, a pattern (`*`, `?`, `[...]`, `**`) is expanded and its
/// matches are treated alike. The order is by name; links to folders are not followed, and told. A folder that cannot be
/// read is an input that leads to nothing.
#[must_use]
pub fn find_dumps(named: &Path, left: &mut LeftOut) -> Vec<Input> {
    let found = match std::fs::metadata(named) {
        Ok(meta) if meta.is_dir() => {
            let mut found = Vec::new();
            search(named, &mut found, left);
            if found.is_empty() { Err("no dump in this folder".to_owned()) } else { Ok(found) }
        }
        Ok(_) => Ok(vec![Input::Dump(named.into())]),
        Err(e) => match pattern_of(named) {
            Some(pattern) => expand(pattern, left),
            None => Err(e.to_string()),
        },
    };
    found.unwrap_or_else(|reason| vec![Input::Nothing { named: named.into(), reason }])
}

/// The files that a path means where no folder is searched: itself, or when there is no such file and it is a pattern,
/// what that matches, by name. A pattern that matches nothing is itself.
#[must_use]
pub fn files_of(named: &Path) -> Vec<PathBuf> {
    if std::fs::symlink_metadata(named).is_ok() {
        return vec![named.into()];
    }
    let mut found = pattern_of(named).and_then(|p| matches(p).ok()).unwrap_or_default();
    found.retain(|path| !path.is_dir());
    found.sort();
    if found.is_empty() { vec![named.into()] } else { found }
}

/// What a search left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Links to folders, which are not followed.
    pub links: usize,
    /// The first of them.
    pub first_link: Option<PathBuf>,
}

/// Leaves out what leads to a file that was there before, by another spelling or through a link: each file is one
/// dump. The first spelling stays.
#[must_use]
pub fn once_each(inputs: Vec<Input>) -> Vec<Input> {
    let mut seen = BTreeSet::new();
    let real = |i: &Input| std::fs::canonicalize(i.path()).unwrap_or_else(|_| i.path().into());
    inputs.into_iter().filter(|i| seen.insert(real(i))).collect()
}

fn pattern_of(named: &Path) -> Option<&str> {
    named.to_str().filter(|s| s.contains(['*', '?', '[']))
}

/// What a pattern matches.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let options = glob::MatchOptions { case_sensitive: !cfg!(windows), ..glob::MatchOptions::default() };
    let found = glob::glob_with(pattern, options).map_err(|e| format!("bad pattern: {e}"))?;
    // Entries that cannot be read are left out: a pattern over a tree with a closed folder still works.
    Ok(found.flatten().collect())
}

fn expand(pattern: &str, left: &mut LeftOut) -> Result<Vec<Input>, String> {
    let mut found = Vec::new();
    let matches = matches(pattern)?;
    let matched = !matches.is_empty();
    for path in matches {
        if path.is_dir() {
            search(&path, &mut found, left);
        } else {
            found.push(Input::Dump(path));
        }
    }
    found.sort_by(|a: &Input, b| a.path().cmp(b.path()));
    found.dedup();
    match (found.is_empty(), matched) {
        (false, _) => Ok(found),
        (true, true) => Err("no dump in the folders that match".into()),
        (true, false) => Err("no file matches".into()),
    }
}

/// Adds all dumps below `folder`, by name.
fn search(folder: &Path, found: &mut Vec<Input>, left: &mut LeftOut) {
    let walk = walkdir::WalkDir::new(folder).follow_links(false).sort_by_file_name();
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                let named = e.path().unwrap_or(folder).to_owned();
                let reason = e.io_error().map_or_else(|| e.to_string(), ToString::to_string);
                found.push(Input::Nothing { named, reason });
                continue;
            }
        };
        // A link to a file is a file here, a link to a folder is left out: no circles.
        if entry.path().is_file() {
            if is_dump(entry.path()) {
                found.push(Input::Dump(entry.into_path()));
            }
        } else if entry.path_is_symlink() && entry.depth() > 0 && entry.path().is_dir() {
            left.links = left.links.saturating_add(1);
            left.first_link.get_or_insert_with(|| entry.path().to_owned());
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

    fn names(dir: &Path, found: &[Input]) -> Vec<String> {
        let name = |i: &Input| match i {
            Input::Dump(p) => p.strip_prefix(dir).unwrap().to_string_lossy().replace('\\', "/"),
            Input::Nothing { reason, .. } => reason.clone(),
        };
        found.iter().map(name).collect()
    }

    fn find(dir: &Path, named: &str) -> Vec<String> {
        names(dir, &find_dumps(&dir.join(named), &mut LeftOut::default()))
    }

    #[test]
    fn folders_are_searched_by_ending_and_by_magic() {
        let dir = tree();
        let all = ["a/b/deep.DMP", "a/core", "a/one.mdmp", "a/packed.dmp.zst"];
        assert_eq!(find(dir.path(), ""), all);
        assert_eq!(find(dir.path(), "empty"), ["no dump in this folder"]);
    }

    #[test]
    fn patterns_and_files() {
        let dir = tree();
        assert_eq!(find(dir.path(), "a/*.mdmp"), ["a/one.mdmp"]);
        assert_eq!(find(dir.path(), "a/notes.txt"), ["a/notes.txt"]);
        assert_eq!(find(dir.path(), "*.zip"), ["no file matches"]);
        let nothing = find_dumps(&dir.path().join("nothing"), &mut LeftOut::default());
        assert!(matches!(nothing[..], [Input::Nothing { .. }]));
    }

    #[test]
    fn patterns_of_files_search_no_folder() {
        let dir = tree();
        let files = |named: &str| files_of(&dir.path().join(named));
        assert_eq!(files("a/[bo]*"), [dir.path().join("a/one.mdmp")]);
        assert_eq!(files("?"), [dir.path().join("?")], "a folder alone");
        assert_eq!(files("a"), [dir.path().join("a")]);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_left_out_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tree();
        std::os::unix::fs::symlink(dir.path().join("empty"), dir.path().join("a/link")).unwrap();
        let closed = dir.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o0)).unwrap();
        let mut left = LeftOut::default();
        let found = find_dumps(dir.path(), &mut left);
        assert_eq!((left.links, left.first_link), (1, Some(dir.path().join("a/link"))));
        // Who may read everything reads closed folders, too.
        let open = std::fs::read_dir(&closed).is_ok();
        let told = found.iter().any(|i| matches!(i, Input::Nothing { named, .. } if *named == closed));
        assert_eq!(told, !open);
    }

    #[test]
    fn a_file_is_one_input_whatever_its_spellings() {
        let dir = tree();
        let a = dir.path().join("a");
        let mut named = vec![a.clone(), a.clone(), a.join("b/../core"), a.join("nothing"), a.join("nothing")];
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(a.join("core"), &link).unwrap();
            named.push(link);
        }
        if cfg!(not(unix)) {
            named.push(a.join("core"));
        }
        let found = once_each(named.iter().flat_map(|p| find_dumps(p, &mut LeftOut::default())).collect());
        let got = names(dir.path(), &found);
        assert_eq!(got[..4], ["a/b/deep.DMP", "a/core", "a/one.mdmp", "a/packed.dmp.zst"]);
        assert!(got.len() == 5 && matches!(found[4], Input::Nothing { .. }), "{got:?}");
    }
}
