//! Names in stores: where a file lies in a local one, and which URLs a server is asked for.

use crate::locate::{FileKey, FileKind, StoreUrl, packed_name, store_layouts, tier};
use dumpscope_core::base::text::escape;
use std::path::{Path, PathBuf};
use url::Url;

/// Where a file goes in a local store: two-tier when the store says so. `None`: nothing tells its identity.
pub(super) fn home(root: &Path, key: &FileKey) -> Option<PathBuf> {
    let layouts = store_layouts(key);
    let tiered = root.join("index2.txt").is_file();
    let at = if tiered { layouts.get(1) } else { None };
    let parts = at.or(layouts.first())?;
    Some(parts.iter().fold(root.to_owned(), |dir, part| dir.join(part)))
}

/// Name of a pointer to the file.
pub(super) const POINTER: &str = "file.ptr";
/// Longest pointer that is read, bytes.
pub(super) const MAX_POINTER: u64 = 4096;

/// What a pointer says: the target, or a message.
fn pointed(text: &str) -> Result<&str, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if let Some(message) = text.strip_prefix("MSG:") {
        return Err(format!("file.ptr says: {}", escape(message.trim())));
    }
    Ok(text.strip_prefix("PATH:").unwrap_or(text).trim())
}

fn leads_out(text: &str) -> String {
    let text: String = crate::locate::redacted(text).chars().take(300).collect();
    format!("file.ptr leads out of the store or to nothing: {}", escape(&text))
}

/// The target of a `file.ptr`. Only targets inside the same store are followed: a pointer is a file from
/// elsewhere and must not open other files of this machine.
pub(super) fn follow(pointer: &Path, root: &Path) -> Option<Result<PathBuf, String>> {
    let size = std::fs::metadata(pointer).ok().filter(std::fs::Metadata::is_file)?.len();
    if size > MAX_POINTER {
        return Some(Err("file.ptr is too long".into()));
    }
    let text = std::fs::read_to_string(pointer).ok()?;
    let text = match pointed(&text) {
        Ok(text) => text,
        Err(message) => return Some(Err(message)),
    };
    let inside = |text: &str| {
        let root = root.canonicalize().ok()?;
        let target = root.join(text).canonicalize().ok()?;
        (target.starts_with(&root) && target.is_file()).then_some(target)
    };
    let found = inside(text).or_else(|| inside(&text.replace('\\', "/")));
    Some(found.ok_or_else(|| leads_out(text)))
}

/// The target of a `file.ptr` that a server sent: on that server, and nowhere else.
pub(super) fn follow_url(base: &StoreUrl, text: &str) -> Result<Url, String> {
    let text = pointed(text)?;
    let base = base.secret();
    if let Ok(mut url) = Url::parse(text) {
        if url.origin() != base.origin() || url.host_str().is_none() {
            return Err(leads_out(text));
        }
        // What opens the store opens its files.
        let _ = url.set_username(base.username());
        let _ = url.set_password(base.password());
        if url.query().is_none() {
            url.set_query(base.query());
        }
        return Ok(url);
    }
    let parts: Vec<&str> = text.split(['/', '\\']).collect();
    let plain = |p: &&str| !p.is_empty() && **p != *"." && **p != *".." && !p.contains(':');
    if text.is_empty() || !parts.iter().all(plain) {
        return Err(leads_out(text));
    }
    let parts: Vec<String> = parts.into_iter().map(str::to_owned).collect();
    Ok(joined(base, &parts))
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
            segments.extend(tier(folder));
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

/// Where a server may keep a pointer to the file; Breakpad's stores have none.
pub(super) fn pointer_request(key: &FileKey, tiered: bool) -> Option<Vec<String>> {
    let mut first = requests(key, tiered).into_iter().next().filter(|_| key.kind != FileKind::Breakpad)?;
    first.pop();
    first.push(POINTER.into());
    Some(first)
}

pub(super) fn joined(base: &Url, segments: &[String]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_of_servers_stay_on_the_server() {
        let base = StoreUrl::parse("https://u:p@s.example/sym?sig=1").unwrap();
        let to = |text| follow_url(&base, text).map(|u| u.to_string());
        assert_eq!(
            to("PATH:https://s.example/other/a.pdb").unwrap(),
            "https://u:p@s.example/other/a.pdb?sig=1"
        );
        assert_eq!(to("a.pdb\\1\\b.pdb\r\n").unwrap(), "https://u:p@s.example/sym/a.pdb/1/b.pdb?sig=1");
        for out in [
            "",
            "PATH:/etc/passwd",
            "..\\x",
            "a//b",
            "\\\\server\\share\\x.pdb",
            "C:\\x.pdb",
            "http://s.example/x",
            "https://s.example:444/x",
            "https://evil.example/x",
            "file:///etc/passwd",
        ] {
            assert!(to(out).unwrap_err().contains("leads out"), "{out}");
        }
        assert_eq!(to("MSG: gone\u{1b}").unwrap_err(), "file.ptr says: gone\\x1b");
    }
}
