//! Places of this machine: plain files, packed ones, pointers, names in any case.

use super::Watch;
use super::client::{Outcome, Walk};
use super::create::Temp;
use super::download::Failed;
use super::names::{POINTER, follow, home};
use super::unpack::{self, ENDINGS, Wrapping};
use crate::locate::{FileKey, FileKind, Layout, folder_layouts, packed_name, store_layouts};
use std::path::{Path, PathBuf};

/// The names under which a file may lie where `layout` says, and whether that is a pointer to it.
fn names(layout: &Layout, in_store: bool, kind: FileKind) -> Vec<(Layout, bool)> {
    let Some((file, dir)) = layout.split_last() else { return Vec::new() };
    let at = |more: &[&str]| {
        dir.iter().map(String::as_str).chain(more.iter().copied()).map(str::to_owned).collect()
    };
    let mut out = vec![(at(&[file]), false), (at(&[&packed_name(file)]), false)];
    out.extend(ENDINGS.iter().map(|ending| (at(&[&format!("{file}{ending}")]), false)));
    if in_store {
        if kind == FileKind::Pdb {
            out.push((at(&["msfz0", file]), false));
        }
        out.push((at(&[POINTER]), true));
    }
    out
}

fn joined(root: &Path, layout: &Layout) -> PathBuf {
    layout.iter().fold(root.to_owned(), |dir, part| dir.join(part))
}

impl<T> Walk<'_, T> {
    /// Looks in a folder: as it is written everywhere first, then whatever the case of its letters.
    pub(super) fn local(
        &mut self,
        root: &Path,
        is_folder: bool,
        stores: &[PathBuf],
        key: &FileKey,
    ) -> Option<(T, PathBuf)> {
        let mut places: Vec<(Layout, bool)> = Vec::new();
        if is_folder {
            for layout in folder_layouts(key, self.wanted.image) {
                places.extend(names(&layout, false, key.kind));
            }
        }
        for layout in store_layouts(key) {
            places.extend(names(&layout, true, key.kind));
        }
        let told = self.attempts.len();
        for (layout, is_pointer) in &places {
            if let Some(found) = self.at(&joined(root, layout), *is_pointer, root, stores, key) {
                return Some(found);
            }
        }
        for (layout, is_pointer) in &places {
            for path in self.client.listings.spellings(root, layout) {
                if let Some(found) = self.at(&path, *is_pointer, root, stores, key) {
                    return Some(found);
                }
            }
        }
        if self.attempts.len() == told && !places.is_empty() {
            self.say(key, &root.to_string_lossy(), Outcome::Missing);
        }
        None
    }

    fn at(
        &mut self,
        path: &Path,
        is_pointer: bool,
        root: &Path,
        stores: &[PathBuf],
        key: &FileKey,
    ) -> Option<(T, PathBuf)> {
        let target = match is_pointer {
            true => match follow(path, root)? {
                Ok(target) => target,
                Err(why) => {
                    self.say(key, &path.to_string_lossy(), Outcome::Wrong(why));
                    return None;
                }
            },
            false => path.is_file().then(|| path.to_owned())?,
        };
        match self.checked(&target, stores, key) {
            Ok(found) => {
                self.say(key, &path.to_string_lossy(), Outcome::Found);
                Some(found)
            }
            Err(Failed::Stopped) => {
                self.say(key, &path.to_string_lossy(), Outcome::Stopped);
                None
            }
            Err(Failed::Wrong(why) | Failed::Disk(why)) => {
                self.say(key, &target.to_string_lossy(), Outcome::Wrong(why));
                None
            }
            Err(_) => None,
        }
    }

    /// Opens a file, a packed one after unpacking it; gives where it lies then.
    fn checked(&self, path: &Path, stores: &[PathBuf], key: &FileKey) -> Result<(T, PathBuf), Failed> {
        let disk = |e: std::io::Error| Failed::Disk(e.to_string());
        if std::fs::metadata(path).map_err(disk)?.len() == 0 {
            return Err(Failed::Wrong("the file is empty".into()));
        }
        let open = |path: &Path, shown: &Path| (self.wanted.open)(path, shown, key).map_err(Failed::Wrong);
        if unpack::wrapping(path).map_err(disk)? == Wrapping::None {
            let file = open(path, path)?;
            // The copy is what is read from now on: `cache*` is there for places that are slow.
            if let Some(copy) = self.copied(path, stores, key)
                && let Ok(file) = open(&copy, &copy)
            {
                return Ok((file, copy));
            }
            return Ok((file, path.to_owned()));
        }
        let store = stores.first().map(PathBuf::as_path).or(self.wanted.cache);
        let to = store.and_then(|s| home(s, key));
        // Unpacked before, and not packed anew since.
        if let Some(to) = &to
            && is_newer(to, path)
            && let Ok(file) = open(to, to)
        {
            return Ok((file, to.clone()));
        }
        let kept = store.filter(|s| to.is_some() && Temp::new(s).is_ok());
        let temp = || match kept {
            Some(store) => Temp::new(store).map_err(disk),
            None => Temp::of_system().map_err(disk),
        };
        let limit = self.client.policy.max_unpacked;
        let temp = unpack::unpacked(path, &temp, limit, &|| self.watch.cancelled())?
            .ok_or_else(|| Failed::Wrong("not packed any more".into()))?;
        let shown = if kept.is_some() { to.as_deref() } else { None }.unwrap_or(path);
        let file = open(temp.path(), shown)?;
        if let (Some(to), Some(_)) = (&to, kept)
            && temp.keep(to).is_ok()
        {
            self.copied(to, stores.get(1..).unwrap_or_default(), key);
        }
        Ok((file, shown.to_owned()))
    }
}

fn is_newer(a: &Path, b: &Path) -> bool {
    let time = |p: &Path| std::fs::metadata(p).and_then(|m| m.modified()).ok();
    matches!((time(a), time(b)), (Some(a), Some(b)) if a >= b)
}
