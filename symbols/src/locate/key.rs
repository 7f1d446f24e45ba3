//! What identifies the files of a module.

use super::{SafeName, UnsafeName};
use dumpscope_core::ModuleInfo;
use dumpscope_core::base::{CodeView, Guid};
use std::fmt;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A program database.
    Pdb,
    /// A Breakpad `.sym` file.
    Breakpad,
    /// The image itself.
    Image,
}

/// Name and identity of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    /// What it is.
    pub kind: FileKind,
    /// The folder's name in a store: the name of the file that it was made for.
    pub folder: SafeName,
    /// The file's own name.
    pub file: SafeName,
    /// Identity as stores write it: GUID and age, or time stamp and size. Empty when the dump does not tell.
    pub id: String,
}

/// The id of a PDB as stores write it: 32 hex digits and the age without leading zeros, upper case.
fn guid_age(guid: &Guid, age: u32) -> String {
    let digits: String = guid.to_string().chars().filter(|c| *c != '-').collect();
    format!("{}{age:X}", digits.to_ascii_uppercase())
}

/// The keys of a module's files: PDB, Breakpad file, image; those that the dump tells.
///
/// # Errors
/// The second list tells the names that cannot be looked for.
#[must_use]
pub fn keys(module: &ModuleInfo) -> (Vec<FileKey>, Vec<UnsafeName>) {
    let mut keys = Vec::new();
    let mut refused = Vec::new();
    let mut add = |name: Result<SafeName, UnsafeName>, make: &dyn Fn(SafeName) -> Vec<FileKey>| match name {
        Ok(name) => keys.extend(make(name)),
        Err(e) => refused.push(e),
    };
    let debug = |id: String, pdb: bool| {
        move |name: SafeName| {
            let sym = FileKey {
                kind: FileKind::Breakpad,
                file: name.breakpad(),
                folder: name.clone(),
                id: id.clone(),
            };
            let pdb_key = FileKey { kind: FileKind::Pdb, file: name.clone(), folder: name, id: id.clone() };
            if pdb { vec![pdb_key, sym] } else { vec![sym] }
        }
    };
    match &module.codeview {
        // A linker that makes no PDB writes an identity without a name (`--build-id` of MinGW's).
        Some(CodeView::Pdb70 { guid, age, path }) if path.is_empty() => {
            add(SafeName::leaf(&module.path), &|name: SafeName| {
                let pdb = SafeName::new(&swap_ending(name.as_str(), "pdb"));
                pdb.map_or_else(|_| Vec::new(), debug(guid_age(guid, *age), true))
            });
        }
        Some(CodeView::Pdb70 { guid, age, path }) => {
            add(SafeName::leaf(path), &debug(guid_age(guid, *age), true));
        }
        Some(CodeView::Pdb20 { signature, age, path }) => {
            add(SafeName::leaf(path), &debug(format!("{signature:08X}{age:X}"), true));
        }
        Some(CodeView::Elf { build_id }) => {
            // Breakpad takes the first 16 bytes of a build id as a GUID and adds the age 0.
            let mut guid = [0u8; 16];
            guid.iter_mut().zip(build_id).for_each(|(to, from)| *to = *from);
            add(SafeName::leaf(&module.path), &debug(guid_age(&Guid::from_bytes(&guid), 0), false));
        }
        Some(CodeView::Unknown { .. }) | None => {
            add(SafeName::leaf(&module.path), &|name: SafeName| {
                let pdb = SafeName::new(&swap_ending(name.as_str(), "pdb"));
                pdb.map_or_else(|_| Vec::new(), debug(String::new(), false))
            });
        }
    }
    let id = format!("{:08X}{:x}", module.timestamp, module.size);
    add(SafeName::leaf(&module.path), &|name: SafeName| {
        vec![FileKey { kind: FileKind::Image, folder: name.clone(), file: name, id: id.clone() }]
    });
    (keys, refused)
}

fn swap_ending(name: &str, ending: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}.{ending}")
}

/// `ntdll.pdb {GUID-and-age}`, for messages.
impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.id.is_empty() { Ok(()) } else { write!(f, " {}", self.id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::tests::module;

    #[test]
    fn keys_of_a_module() {
        let mut m = module("kernel32", 0, 0xf4000);
        m.timestamp = 0x44ab_9a84;
        let mut guid = [0u8; 16];
        guid.copy_from_slice(&[
            0x5c, 0x78, 0xe8, 0xbc, 0xb4, 0x57, 0x45, 0x42, 0xa6, 0x69, 0x89, 0x6b, 0x6a, 0x19, 0xb9, 0x54,
        ]);
        m.codeview = Some(CodeView::Pdb70 {
            guid: Guid::from_bytes(&guid),
            age: 0x1a,
            path: "d:\\w\\kernel32.pdb".into(),
        });
        let (k, refused) = keys(&m);
        assert!(refused.is_empty());
        let shown: Vec<_> = k.iter().map(|k| (k.kind, k.folder.to_string(), k.to_string())).collect();
        let id = "BCE8785C57B44245A669896B6A19B9541A";
        assert_eq!(
            shown,
            [
                (FileKind::Pdb, "kernel32.pdb".into(), format!("kernel32.pdb {id}")),
                (FileKind::Breakpad, "kernel32.pdb".into(), format!("kernel32.sym {id}")),
                (FileKind::Image, "kernel32.dll".into(), "kernel32.dll 44AB9A84f4000".into()),
            ]
        );
    }

    #[test]
    fn hostile_names_give_no_key() {
        let mut m = module("x", 0, 0x1000);
        m.path = "C:\\nul".into();
        m.codeview = Some(CodeView::Pdb20 { signature: 1, age: 2, path: "a\u{202e}b".into() });
        let (k, refused) = keys(&m);
        assert!(k.is_empty());
        assert_eq!(refused.len(), 2);
        assert!(!refused[0].to_string().contains('\u{202e}'));
    }

    #[test]
    fn ids_of_old_pdbs_and_elf() {
        let mut m = module("x", 0, 0x1000);
        m.codeview = Some(CodeView::Pdb20 { signature: 0x3b7d_8475, age: 0xab, path: "x.pdb".into() });
        assert_eq!(keys(&m).0[0].id, "3B7D8475AB");
        m.path = "/usr/lib/libx.so.1".into();
        let build_id = vec![0x10, 0xfa, 0xa6, 0xbb, 0xaa, 0xb8, 0x3d, 0xb3];
        m.codeview = Some(CodeView::Elf { build_id });
        let k = &keys(&m).0[0];
        assert_eq!(k.id, "BBA6FA10B8AAB33D00000000000000000");
        assert_eq!(k.file.as_str(), "libx.so.1.sym");
    }
}
