//! Names in stores: where a file lies in a local one, and which URLs a server is asked for.

use crate::locate::{FileKey, FileKind, store_paths};
use dumpscope_core::base::text::escape;
use std::path::{Path, PathBuf};
use url::Url;

/// Where a file goes in a local store: two-tier when the store says so.
pub(super) fn home(root: &Path, key: &FileKey) -> PathBuf {
    let paths = store_paths(root, key);
    let tiered = root.join("index2.txt").is_file();
    let at = if tiered { paths.get(1) } else { None };
    at.or(paths.first()).cloned().unwrap_or_else(|| root.join(key.folder.as_str()).join(key.file.as_str()))
}

/// `foo.pdb` as a store names its compressed form: `foo.pd_`.
pub(super) fn compressed(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(packed_name(&name))
}

fn packed_name(name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    chars.pop();
    chars.push('_');
    chars.into_iter().collect()
}

/// Longest `file.ptr` that is read, bytes.
const MAX_POINTER: u64 = 4096;

/// The target of a `file.ptr`. Only targets inside the same store are followed: a pointer is a file from
/// elsewhere and must not open other files of this machine.
pub(super) fn follow(pointer: &Path, root: &Path) -> Option<Result<PathBuf, String>> {
    let size = std::fs::metadata(pointer).ok().filter(std::fs::Metadata::is_file)?.len();
    if size > MAX_POINTER {
        return Some(Err("file.ptr is too long".into()));
    }
    let text = std::fs::read_to_string(pointer).ok()?;
    let text = text.trim();
    let text = text.strip_prefix("PATH:").unwrap_or(text);
    if let Some(message) = text.strip_prefix("MSG:") {
        return Some(Err(format!("file.ptr says: {}", escape(message.trim()))));
    }
    let inside = || {
        let root = root.canonicalize().ok()?;
        let target = root.join(text).canonicalize().ok()?;
        (target.starts_with(&root) && target.is_file()).then_some(target)
    };
    let refused = || format!("file.ptr leads out of the store or to nothing: {}", escape(text));
    Some(inside().ok_or_else(refused))
}

/// What is asked for, in order: as stores write it, its packed form, both in lower case, then MSFZ.
pub(super) fn requests(key: &FileKey, tiered: bool) -> Vec<Vec<String>> {
    if key.id.is_empty() {
        return Vec::new();
    }
    let packs = key.kind != FileKind::Breakpad;
    let mut out: Vec<Vec<String>> = Vec::new();
    let mut add = |parts: [&str; 3], extra: Option<&str>| {
        let [folder, id, file] = parts;
        let mut segments = Vec::new();
        if tiered {
            segments.push(folder.chars().take(2).collect());
        }
        segments.extend([folder.to_owned(), id.to_owned()]);
        segments.extend(extra.map(str::to_owned));
        segments.push(file.to_owned());
        if !out.contains(&segments) {
            out.push(segments);
        }
    };
    let (folder, file) = (key.folder.as_str(), key.file.as_str());
    let (low_folder, low_file) = (key.folder.to_lower(), key.file.to_lower());
    let low_id = key.id.to_ascii_lowercase();
    add([folder, &key.id, file], None);
    if packs {
        add([folder, &key.id, &packed_name(file)], None);
    }
    if low_folder.as_str() != folder {
        add([low_folder.as_str(), &key.id, low_file.as_str()], None);
    }
    add([low_folder.as_str(), &low_id, low_file.as_str()], None);
    if key.kind == FileKind::Pdb {
        add([folder, &key.id, file], Some("msfz0"));
    }
    out
}

pub(super) fn joined(base: &Url, segments: &[String]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// A URL for people: without user, password and query.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}
