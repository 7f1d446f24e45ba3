//! Which module is a Ruby, and which version.

use crate::{Process, Recognised};

/// Exports that every Ruby since 1.9 has, and nothing else.
const EXPORTS: &[&str] = &["ruby_version", "ruby_description"];
/// Longest version text, bytes.
const MAX_VERSION: usize = 32;

/// True for the usual names of Ruby's DLL: `x64-ucrt-ruby310.dll`, `msvcrt-ruby200.dll`.
pub(super) fn is_file(name: &str) -> bool {
    version_in_name(name).is_some()
}

/// The version in a file name: its last three digits.
fn version_in_name(name: &str) -> Option<Version> {
    let name = name.to_ascii_lowercase();
    let (_, digits) = name.strip_suffix(".dll")?.rsplit_once("ruby")?;
    let [major, minor, _] = digits.as_bytes() else { return None };
    let digit = |d: &u8| d.is_ascii_digit().then(|| u16::from(d - b'0'));
    Some(Version { major: digit(major)?, minor: digit(minor)? })
}

/// Modules of the process that are a Ruby.
pub(super) fn recognise(process: &Process) -> Vec<Recognised> {
    let is_one = |m: &usize| EXPORTS.iter().all(|name| process.export(*m, name).is_some());
    let found: Vec<_> = (0..process.modules.len())
        .filter(is_one)
        .map(|module| Recognised { module, by_name: false })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let named = process.modules.iter().enumerate().filter(|(_, m)| is_file(&m.file_name));
    named
        .filter(|(i, _)| process.headers(*i).is_none())
        .map(|(module, _)| Recognised { module, by_name: true })
        .collect()
}

/// Major and minor number: what layouts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) major: u16,
    pub(super) minor: u16,
}

impl Version {
    /// Both, to match on.
    pub(super) fn pair(self) -> (u16, u16) {
        (self.major, self.minor)
    }
}

/// The version and its text; from the export, else from the file's name.
pub(super) fn version(process: &Process, found: &Recognised) -> Option<(Version, String)> {
    let exported = || {
        let at = process.export(found.module, "ruby_version")?;
        let text = String::from_utf8(process.memory.c_str(at, MAX_VERSION)?).ok()?;
        let mut parts = text.split('.');
        let version = Version { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? };
        Some((version, text))
    };
    let named = || {
        let version = version_in_name(&process.modules.get(found.module)?.file_name)?;
        Some((version, format!("{}.{}", version.major, version.minor)))
    };
    exported().or_else(named)
}
