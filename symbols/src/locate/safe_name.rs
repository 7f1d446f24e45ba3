//! File names out of a dump that may become part of a path.

use dumpscope_core::base::text::{escape, is_unsafe};
use std::fmt;

/// Longest name, bytes. File systems allow 255; stores add an ending of their own.
pub const MAX_NAME: usize = 200;

/// A file name that stays inside the folder it is joined to, on every system.
///
/// No separators, no drive or stream colons, no `..`, no device names, no control or text-order characters, no
/// trailing dots or blanks (Windows drops them), at most [`MAX_NAME`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeName(String);

/// Why a name from a dump cannot be looked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name \"{name}\" {why}, so no file is looked for")]
pub struct UnsafeName {
    /// The name, escaped and cut to 80 characters.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl SafeName {
    /// Checks a file name.
    ///
    /// # Errors
    /// The name is not safe; see the type.
    pub fn new(name: &str) -> Result<SafeName, UnsafeName> {
        let refuse = |why| {
            let shown: String = name.chars().take(80).collect();
            Err(UnsafeName { name: escape(&shown).into_owned(), why })
        };
        if name.is_empty() {
            return refuse("is empty");
        }
        if name.len() > MAX_NAME {
            return refuse("is too long");
        }
        if name.contains(['/', '\\']) {
            return refuse("holds a path separator");
        }
        if name.chars().any(is_unsafe) {
            return refuse("holds control characters");
        }
        if name.contains([':', '*', '?', '"', '<', '>', '|']) {
            return refuse("holds characters that no file name has");
        }
        if name.ends_with(['.', ' ']) || name.starts_with(' ') {
            return refuse("starts or ends with a blank or ends with a dot");
        }
        if is_device(name) {
            return refuse("is a device name");
        }
        Ok(SafeName(name.to_owned()))
    }

    /// The last part of a path of either system, checked.
    ///
    /// # Errors
    /// That part is not safe.
    pub fn leaf(path: &str) -> Result<SafeName, UnsafeName> {
        SafeName::new(path.rsplit(['/', '\\']).next().unwrap_or(path))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with its ending (any letter case) exchanged for `.sym`, or `.sym` appended when it is another.
    #[must_use]
    pub fn breakpad(&self) -> SafeName {
        let stem = match self.0.rsplit_once('.') {
            Some((stem, end)) if end.eq_ignore_ascii_case("pdb") && !stem.is_empty() => stem,
            _ => &self.0,
        };
        SafeName(format!("{stem}.sym"))
    }

    /// The name in lower case.
    #[must_use]
    pub fn to_lower(&self) -> SafeName {
        SafeName(self.0.to_ascii_lowercase())
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names that Windows gives to devices, with any ending: `con`, `NUL.txt`, `com1`.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ').to_ascii_lowercase();
    if matches!(stem.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    number.is_some_and(|n| {
        let mut chars = n.chars();
        matches!(chars.next(), Some('0'..='9' | '¹' | '²' | '³')) && chars.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "...",
            "a/b",
            "a\\b",
            "C:x",
            "x:stream",
            "con",
            "NUL.pdb",
            "com1",
            "COM¹.dll",
            "lpt9 .x",
            "aux",
            "x.",
            "x ",
            " x",
            "a\0b",
            "a\nb",
            "a\u{202e}b",
            "a*b",
            "a?b",
            "conin$",
        ] {
            assert!(SafeName::new(bad).is_err(), "{bad:?}");
        }
        assert!(SafeName::new(&"x".repeat(MAX_NAME + 1)).is_err());
        assert!(SafeName::leaf("C:\\x\\..").is_err());
        assert!(SafeName::leaf("/x/").is_err());
    }

    #[test]
    fn real_names_are_taken() {
        for good in
            ["ntdll.pdb", "a..b", ".pdb", "com.pdb", "com10.dll", "console", "msvcrt-ruby200.pdb", "日本.pdb"]
        {
            assert_eq!(SafeName::new(good).unwrap().as_str(), good);
        }
        assert_eq!(SafeName::leaf("..\\..\\x.pdb").unwrap().as_str(), "x.pdb");
        assert_eq!(SafeName::leaf("C:/lab/ruby.pdb").unwrap().as_str(), "ruby.pdb");
        assert!(SafeName::new(&"x".repeat(MAX_NAME)).is_ok());
    }

    #[test]
    fn breakpad_names() {
        let sym = |n: &str| SafeName::new(n).unwrap().breakpad().to_string();
        assert_eq!(sym("ntdll.pdb"), "ntdll.sym");
        assert_eq!(sym("NTDLL.PDB"), "NTDLL.sym");
        assert_eq!(sym("libfoo.so"), "libfoo.so.sym");
        assert_eq!(sym(".pdb"), ".pdb.sym");
    }
}
