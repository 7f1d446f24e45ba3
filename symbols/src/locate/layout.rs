//! Where in a folder or a store a file lies: names of folders and of the file, joined by nobody yet.

use super::{FileKey, FileKind};

/// Names of folders, then the file's.
pub type Layout = Vec<String>;

/// In a plain folder: the file itself, and in WinDbg's subfolders by the image's kind (`dll`, `exe`) with and without
/// `symbols` before it.
#[must_use]
pub fn folder_layouts(key: &FileKey, image: &str) -> Vec<Layout> {
    let file = key.file.as_str().to_owned();
    let mut layouts = vec![vec![file.clone()]];
    let ending = image.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let ending =
        ending.filter(|e| (1..=4).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_alphanumeric()));
    if key.kind == FileKind::Pdb
        && let Some(ending) = ending
    {
        layouts.push(vec![ending.clone(), file.clone()]);
        layouts.push(vec!["symbols".into(), ending, file]);
    }
    layouts
}

/// In a store: `name/ID/file`, and `na/name/ID/file` in a two-tier one.
#[must_use]
pub fn store_layouts(key: &FileKey) -> Vec<Layout> {
    if key.id.is_empty() {
        return Vec::new();
    }
    let (folder, file) = (key.folder.as_str(), key.file.as_str());
    let plain = vec![folder.to_owned(), key.id.clone(), file.to_owned()];
    let mut layouts = vec![plain.clone()];
    layouts.extend(tier(folder).map(|t| std::iter::once(t).chain(plain).collect()));
    layouts
}

/// The upper folder of a two-tier store for a name.
#[must_use]
pub fn tier(folder: &str) -> Option<String> {
    let tier: String = folder.chars().take(2).collect();
    // A name may start with two dots, or with one and nothing else: no folder of a store does.
    tier.chars().any(|c| c != '.').then_some(tier)
}

/// `foo.pdb` as a store names its compressed form: `foo.pd_`.
#[must_use]
pub fn packed_name(name: &str) -> String {
    let mut chars: Vec<char> = name.chars().collect();
    chars.pop();
    chars.push('_');
    chars.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::keys;
    use crate::manager::tests::module;
    use dumpscope_core::base::{CodeView, Guid};

    #[test]
    fn folders_and_stores() {
        let mut m = module("ruby", 0x40_0000, 0x1000);
        m.timestamp = 0x5000_00ab;
        m.codeview =
            Some(CodeView::Pdb70 { guid: Guid::default(), age: 1, path: "C:\\lab\\Ruby.pdb".into() });
        let (keys, _) = keys(&m);
        let texts = |layouts: Vec<Layout>| layouts.iter().map(|l| l.join("/")).collect::<Vec<_>>();
        let zero = "0".repeat(32);
        assert_eq!(
            texts(folder_layouts(&keys[0], "ruby.DLL")),
            ["Ruby.pdb", "dll/Ruby.pdb", "symbols/dll/Ruby.pdb"]
        );
        assert_eq!(
            texts(store_layouts(&keys[0])),
            [format!("Ruby.pdb/{zero}1/Ruby.pdb"), format!("Ru/Ruby.pdb/{zero}1/Ruby.pdb")]
        );
        assert_eq!(texts(store_layouts(&keys[1]))[0], format!("Ruby.pdb/{zero}1/Ruby.sym"));
        assert_eq!(texts(folder_layouts(&keys[2], "ruby.dll")), ["ruby.dll"]);
        assert_eq!(texts(store_layouts(&keys[2]))[0], "ruby.dll/500000AB1000/ruby.dll");
        assert_eq!((tier(".."), tier(".pdb")), (None, Some(".p".into())));
        assert_eq!(packed_name("foo.pdb"), "foo.pd_");
    }
}
