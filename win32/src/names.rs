//! Structures by the names that C headers have for them.

use crate::format::Table;
use crate::ty::{Arch, TypeId};
use std::sync::LazyLock;

/// Other names, each with that of the metadata and the one on x86: `win32/data/names.txt` says where they are from.
static NAMES: LazyLock<Vec<(&str, &str, &str)>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut words = line.split(' ');
        let (name, of) = (words.next()?, words.next()?);
        Some((name, of, words.next().unwrap_or(of)))
    };
    include_str!("../data/names.txt").lines().filter(|l| !l.starts_with('#')).filter_map(line).collect()
});

/// What headers put behind a name that they choose by a macro: the one for UTF-16, the newest one.
const CHOSEN: &[&str] = &["W", "_W", "_LH", "W_V2", "_V2"];

impl Table {
    /// The types of a name as headers of C have it: with a tag's marks in front (`_GUID`, `tagMSG`), without the mark of the
    /// form for UTF-16 behind (`STARTUPINFO`), by another name of the same structure (`RTL_CRITICAL_SECTION`). Letter case
    /// counts.
    #[must_use]
    pub fn types_of_headers(&self, name: &str, arch: Arch) -> Vec<TypeId> {
        let plain = name.trim_start_matches('_');
        let untagged = plain.strip_prefix("tag").unwrap_or(plain);
        let direct = [name, plain, untagged].map(str::to_owned).into_iter();
        let chosen = CHOSEN.iter().map(|suffix| format!("{untagged}{suffix}"));
        let other = other_name(untagged, arch).or_else(|| other_name(name, arch)).map(str::to_owned);
        let tries = direct.chain(other).chain(chosen).filter(|n| !n.is_empty());
        tries.map(|n| self.types_named(&n)).find(|found| !found.is_empty()).unwrap_or_default()
    }
}

fn other_name(name: &str, arch: Arch) -> Option<&'static str> {
    let at = NAMES.binary_search_by(|(n, ..)| (*n).cmp(name)).ok()?;
    NAMES.get(at).map(|(_, wide, narrow)| if arch == Arch::X86 { *narrow } else { *wide })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table;

    #[test]
    fn every_other_name_leads_to_a_structure() {
        assert!(NAMES.is_sorted() && NAMES.len() > 500);
        for (name, wide, narrow) in NAMES.iter() {
            assert!(table().types_named(name).is_empty(), "{name} is in the table itself");
            for of in [wide, narrow] {
                assert!(!table().types_named(of).is_empty(), "{name} is {of}, which the table lacks");
            }
        }
    }

    #[test]
    fn names_of_headers() {
        let one = |name: &str, arch| {
            let ids = table().types_of_headers(name, arch);
            ids.first().and_then(|id| table().type_info(*id)).map(|t| t.name)
        };
        for (name, of) in [
            ("tagMSG", "MSG"),
            ("_STARTUPINFO", "STARTUPINFOW"),
            ("RTL_CRITICAL_SECTION", "CRITICAL_SECTION"),
            ("_RTL_CRITICAL_SECTION", "CRITICAL_SECTION"),
            ("IMAGE_NT_HEADERS", "IMAGE_NT_HEADERS64"),
            ("DATA_BLOB", "CRYPT_INTEGER_BLOB"),
        ] {
            assert_eq!(one(name, Arch::X64).as_deref(), Some(of), "{name}");
        }
        assert_eq!(one("IMAGE_NT_HEADERS", Arch::X86).as_deref(), Some("IMAGE_NT_HEADERS32"));
        assert_eq!(one("NO_SUCH_THING", Arch::X64), None);
    }
}
