//! The folders that dumps are opened from, and nothing outside of them.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Deepest folder below a root that is listed.
const MAX_DEPTH: usize = 4;
/// Most folder entries that are looked at.
const MAX_ENTRIES: usize = 20_000;
/// Most files that are listed.
const MAX_FILES: usize = 500;

/// One answer for what is not there and for what is outside: who asks learns nothing of other folders.
const NOT_HERE: &str =
    "no such dump in the folders that this server may read; `list_dumps` shows what there is";

/// Folders, without links in their paths.
#[derive(Clone, Debug)]
pub(super) struct Roots(Vec<PathBuf>);

impl Roots {
    /// The folders that were named; without any the current one.
    pub(super) fn new(named: &[PathBuf]) -> anyhow::Result<Roots> {
        let here = [PathBuf::from(".")];
        let named = if named.is_empty() { &here[..] } else { named };
        named.iter().map(|dir| super::folder(dir)).collect::<anyhow::Result<_>>().map(Roots).context("--root")
    }

    /// The file that a client names, relative to a root or as a whole path: its true path, and what is shown of it.
    pub(super) fn find(&self, named: &str) -> Result<(PathBuf, String), &'static str> {
        let path = Path::new(named);
        let found = match path.is_absolute() {
            true => self.inside(path),
            false => self.0.iter().find_map(|root| self.inside(&root.join(path))),
        };
        found.ok_or(NOT_HERE)
    }

    /// A file below a root, after all links.
    fn inside(&self, path: &Path) -> Option<(PathBuf, String)> {
        let path = path.canonicalize().ok()?;
        let root = self.0.iter().find(|root| path.starts_with(root))?;
        let shown = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
        // A pipe would wait for its other end.
        path.metadata().is_ok_and(|m| m.is_file()).then_some((path, shown))
    }

    /// Files below the roots that look like dumps, by name; true when there are more.
    pub(super) fn list(&self) -> (Vec<String>, bool) {
        let (mut out, mut seen) = (Vec::new(), 0usize);
        for root in &self.0 {
            walk(root, root, 0, &mut seen, &mut out);
        }
        out.sort();
        out.dedup();
        let more = seen >= MAX_ENTRIES || out.len() >= MAX_FILES;
        (out, more)
    }
}

fn walk(root: &Path, dir: &Path, depth: usize, seen: &mut usize, out: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        *seen = seen.saturating_add(1);
        if *seen >= MAX_ENTRIES || out.len() >= MAX_FILES {
            return;
        }
        // Links are not followed.
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && depth < MAX_DEPTH {
            walk(root, &path, depth.saturating_add(1), seen, out);
        } else if kind.is_file()
            && let Ok(shown) = path.strip_prefix(root)
        {
            let shown = shown.to_string_lossy().replace('\\', "/");
            let name = shown.to_ascii_lowercase();
            let name = name.trim_end_matches(".zst").trim_end_matches(".gz");
            if [".dmp", ".mdmp"].iter().any(|end| name.ends_with(end)) {
                out.push(shown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["in/deep", "in2"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["in/a.dmp", "in/deep/b.dmp", "out.dmp", "in2/c.dmp", "in/d.txt"] {
            std::fs::write(at(file), "x").unwrap();
        }
        let roots = Roots::new(&[at("in")]).unwrap();
        let shown = |named: &str| roots.find(named).map(|f| f.1);
        assert_eq!(shown("a.dmp").unwrap(), "a.dmp");
        assert_eq!(shown("deep/../deep/b.dmp").unwrap(), "deep/b.dmp");
        assert_eq!(shown(&at("in/a.dmp").to_string_lossy()).unwrap(), "a.dmp");
        for outside in ["../out.dmp", "../in2/c.dmp", "/etc/passwd", "", ".", "deep", "gone.dmp", "a.dmp\0"] {
            assert_eq!(shown(outside), Err(NOT_HERE), "{outside:?}");
        }
        assert_eq!(shown(&at("in2/c.dmp").to_string_lossy()), Err(NOT_HERE), "a name that only begins alike");
        assert_eq!(roots.list(), (vec!["a.dmp".to_owned(), "deep/b.dmp".to_owned()], false));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_nowhere_outside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("in");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("out.dmp"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("out.dmp"), root.join("link.dmp")).unwrap();
        std::os::unix::fs::symlink(dir.path(), root.join("up")).unwrap();
        let roots = Roots::new(&[root]).unwrap();
        assert!(roots.find("link.dmp").is_err() && roots.find("up/out.dmp").is_err());
        assert!(roots.list().0.is_empty());
    }
}
