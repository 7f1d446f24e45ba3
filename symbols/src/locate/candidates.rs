//! Places where a file of a module could lie.

use super::{Element, FileKey, FileKind, Store, SymbolPath};
use dumpscope_core::ModuleInfo;
use std::path::{Path, PathBuf};

/// A place to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What should be there.
    pub key: FileKey,
    /// Where.
    pub path: PathBuf,
}

/// Every local place for the files of `module`, in the order in which they are tried: kinds in the order of
/// their worth (PDB, Breakpad file, image), within a kind the elements of `path` from left to right.
///
/// `default` is the folder of the default store (`srv**…`, `cache*`), when there is one. Existence is not
/// checked; elements with a URL give no place of their own.
#[must_use]
pub fn candidates(module: &ModuleInfo, path: &SymbolPath, default: Option<&Path>) -> Vec<Candidate> {
    let (keys, _) = super::keys(module);
    let mut found = Vec::new();
    for key in keys {
        for element in &path.elements {
            match element {
                Element::Folder(dir) => {
                    push(&mut found, &key, folder_paths(dir, &key, &module.file_name));
                    push(&mut found, &key, store_paths(dir, &key));
                }
                Element::Chain(stores) => {
                    for store in stores {
                        push(
                            &mut found,
                            &key,
                            local(store, default).map_or(Vec::new(), |d| store_paths(d, &key)),
                        );
                    }
                }
                Element::Cache(store) => {
                    push(
                        &mut found,
                        &key,
                        local(store, default).map_or(Vec::new(), |d| store_paths(d, &key)),
                    );
                }
                Element::Unc(_) | Element::Invalid { .. } => {}
            }
        }
    }
    found
}

fn push(found: &mut Vec<Candidate>, key: &FileKey, paths: Vec<PathBuf>) {
    for path in paths {
        if !found.iter().any(|c| c.path == path) {
            found.push(Candidate { key: key.clone(), path });
        }
    }
}

fn local<'a>(store: &'a Store, default: Option<&'a Path>) -> Option<&'a Path> {
    match store {
        Store::Dir(dir) => Some(dir),
        Store::Default => default,
        Store::Url(_) | Store::Unc(_) => None,
    }
}

/// Places in a plain folder: the file itself, and WinDbg's subfolders by the image's kind (`dll`, `exe`) with
/// and without `symbols` before it.
#[must_use]
pub fn folder_paths(dir: &Path, key: &FileKey, image: &str) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let ending = image.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let ending =
        ending.filter(|e| (1..=4).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_alphanumeric()));
    for file in spellings(key.file.as_str(), key.file.to_lower().as_str()) {
        paths.push(dir.join(&file));
        if key.kind == FileKind::Pdb
            && let Some(ending) = &ending
        {
            paths.push(dir.join(ending).join(&file));
            paths.push(dir.join("symbols").join(ending).join(&file));
        }
    }
    paths
}

/// Places in a store: `name/ID/file`, and `na/name/ID/file` in a two-tier one. Names as the dump has them and in
/// lower case, ids as stores write them and in lower case: a store made on Windows does not care.
#[must_use]
pub fn store_paths(root: &Path, key: &FileKey) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if key.id.is_empty() {
        return paths;
    }
    let names = spellings(key.folder.as_str(), key.folder.to_lower().as_str());
    let files = spellings(key.file.as_str(), key.file.to_lower().as_str());
    for (i, folder) in names.iter().enumerate() {
        let file = files.get(i).or(files.first()).map_or(key.file.as_str(), String::as_str);
        for id in spellings(&key.id, &key.id.to_ascii_lowercase()) {
            paths.push(root.join(folder).join(&id).join(file));
            let tier: String = folder.chars().take(2).collect();
            // A name may start with two dots, or with one and nothing else: no folder of a store does.
            if tier.chars().any(|c| c != '.') {
                paths.push(root.join(tier).join(folder).join(&id).join(file));
            }
        }
    }
    paths
}

fn spellings(exact: &str, lower: &str) -> Vec<String> {
    if exact == lower { vec![exact.into()] } else { vec![exact.into(), lower.into()] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::tests::module;
    use dumpscope_core::base::{CodeView, Guid};

    fn ruby() -> ModuleInfo {
        let mut m = module("ruby", 0x40_0000, 0x1000);
        m.timestamp = 0x5000_00ab;
        m.codeview =
            Some(CodeView::Pdb70 { guid: Guid::default(), age: 1, path: "C:\\lab\\Ruby.pdb".into() });
        m
    }

    fn texts(path: &str, default: Option<&str>) -> Vec<String> {
        let found = candidates(&ruby(), &SymbolPath::parse(path), default.map(Path::new));
        found.iter().map(|c| c.path.to_string_lossy().replace('\\', "/")).collect()
    }

    #[test]
    fn a_plain_folder_has_all_layouts() {
        let got = texts("/s", None);
        let zero = "0".repeat(32);
        for want in [
            "/s/Ruby.pdb".to_owned(),
            "/s/ruby.pdb".to_owned(),
            "/s/symbols/dll/ruby.pdb".to_owned(),
            format!("/s/Ruby.pdb/{zero}1/Ruby.pdb"),
            format!("/s/Ru/Ruby.pdb/{zero}1/Ruby.pdb"),
            format!("/s/Ruby.pdb/{zero}1/Ruby.sym"),
            "/s/Ruby.sym".to_owned(),
            "/s/ruby.dll".to_owned(),
            "/s/ruby.dll/500000AB1000/ruby.dll".to_owned(),
            "/s/ruby.dll/500000ab1000/ruby.dll".to_owned(),
        ] {
            assert!(got.contains(&want), "{want} in {got:#?}");
        }
        let kinds = candidates(&ruby(), &SymbolPath::parse("/a;/b"), None);
        assert!(kinds.is_sorted_by_key(|c| c.key.kind));
    }

    #[test]
    fn stores_without_flat_files_and_urls_without_places() {
        assert!(texts("srv*https://x", None).is_empty());
        assert!(texts("srv**https://x", None).is_empty());
        assert!(texts("srv**https://x", Some("/d")).iter().all(|p| p.starts_with("/d/")));
        let got = texts("cache*/c;srv*/a*https://x", None);
        assert!(got.iter().all(|p| p.starts_with("/c/") || p.starts_with("/a/")));
        assert!(!got.contains(&"/a/ruby.pdb".to_owned()));
    }
}
