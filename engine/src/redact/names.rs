//! Names of users and machines that a dump tells of, and where they stand in texts and in bytes.

use dumpscope_analyzers::Target;
use dumpscope_core::Machine;
use dumpscope_core::model::Dump;
use dumpscope_core::write::TextForm;
use regex::{Regex, bytes};
use std::collections::BTreeSet;
use std::ops::Range;

/// Words that are no name of anybody.
const NOBODY: [&str; 13] = [
    "system",
    "root",
    "user",
    "admin",
    "administrator",
    "guest",
    "public",
    "default",
    "local",
    "service",
    "localhost",
    "workgroup",
    // CLIENTNAME of a session that is not remote.
    "console",
];

/// Variables of the environment whose value names somebody.
const NAMES: [(&str, &str); 8] = [
    ("user", "USERNAME"),
    ("host", "COMPUTERNAME"),
    ("domain", "USERDOMAIN"),
    ("domain", "USERDNSDOMAIN"),
    ("domain", "USERDOMAIN_ROAMINGPROFILE"),
    ("host", "LOGONSERVER"),
    ("host", "CLIENTNAME"),
    ("host", "HOSTNAME"),
];

/// Characters of the shortest name.
const SHORTEST: usize = 2;

/// Fewest bytes of a name that are looked for beside texts: fewer stand everywhere.
const SHORTEST_BYTES: usize = 3;

/// Folders of which each folder is named like its user.
const PROFILES: [&str; 2] = ["users", "documents and settings"];

/// Longest name, characters: Windows allows none of this length, and patterns have to be small.
const LONGEST: usize = 256;

/// From this number of characters on a name does not stand anywhere by chance.
const CERTAIN: usize = 5;

/// Names that a dump tells: kind and name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    list: Vec<(&'static str, String)>,
    finders: Vec<Finder>,
}

#[derive(Clone, Debug)]
struct Finder {
    text: Regex,
    /// UTF-16 is the group `w`; the rest are UTF-8 and Latin-1.
    bytes: bytes::Regex,
    is_certain: bool,
}

/// A name in bytes.
pub(super) struct NameHit<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) range: Range<usize>,
    pub(super) form: TextForm,
    /// No letter or digit stands beside it.
    pub(super) is_alone: bool,
    /// It is too long to be there by chance.
    pub(super) is_certain: bool,
}

impl FromIterator<(&'static str, String)> for Names {
    fn from_iter<I: IntoIterator<Item = (&'static str, String)>>(names: I) -> Names {
        let mut out = Names::default();
        for (kind, name) in names {
            out.add(kind, &name);
        }
        out
    }
}

impl Names {
    fn add(&mut self, kind: &'static str, name: &str) {
        let len = name.chars().count();
        if len == 0 || len > LONGEST || self.list.iter().any(|(_, n)| n == name) {
            return;
        }
        let text = Regex::new(&format!("(?i){}", regex::escape(name)));
        let bytes = bytes::RegexBuilder::new(&byte_pattern(name)).unicode(false).build();
        // Escaped texts of this length are always patterns.
        if let (Ok(text), Ok(bytes)) = (text, bytes) {
            self.list.push((kind, name.to_owned()));
            self.finders.push(Finder { text, bytes, is_certain: len >= CERTAIN });
        }
    }

    /// Kinds and names.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(&'static str, String)> {
        self.list.iter()
    }

    /// Hands out where names stand in a text as words of their own, in any letter case.
    pub(super) fn in_text(&self, text: &str, found: &mut dyn FnMut(Range<usize>, &str)) {
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        for ((kind, _), finder) in self.list.iter().zip(&self.finders) {
            for hit in finder.text.find_iter(text) {
                let before = text.get(..hit.start()).and_then(|t| t.chars().next_back());
                let after = text.get(hit.end()..).and_then(|t| t.chars().next());
                if !is_word(before) && !is_word(after) {
                    found(hit.range(), kind);
                }
            }
        }
    }

    /// Hands out where names stand in bytes, whatever is around them, in any letter case.
    pub(super) fn in_bytes(&self, raw: &[u8], found: &mut dyn FnMut(NameHit<'_>)) {
        for ((kind, name), finder) in self.list.iter().zip(&self.finders) {
            for hit in finder.bytes.captures_iter(raw) {
                let (form, part) = match (hit.name("w"), hit.get(0)) {
                    (Some(part), _) => (TextForm::Utf16, part),
                    (None, Some(part)) => (TextForm::Bytes, part),
                    (None, None) => continue,
                };
                let range = part.range();
                if range.len() < SHORTEST_BYTES {
                    continue;
                }
                let before = raw.get(..range.start).unwrap_or_default();
                let after = raw.get(range.end..).unwrap_or_default();
                let is_alone = match form {
                    TextForm::Utf16 => {
                        !is_word(before.last_chunk::<2>().copied())
                            && !is_word(after.first_chunk::<2>().copied())
                    }
                    TextForm::Bytes | TextForm::Data => {
                        let is_word = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
                        !is_word(before.last()) && !is_word(after.first())
                    }
                };
                found(NameHit { kind, name, range, form, is_alone, is_certain: finder.is_certain });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn of(kind: &'static str, name: &str) -> Names {
        [(kind, name.to_owned())].into_iter().collect()
    }
}

/// True when a unit of UTF-16 is a letter or a digit.
fn is_word(unit: Option<[u8; 2]>) -> bool {
    unit.is_some_and(|u| char::from_u32(u16::from_le_bytes(u).into()).is_some_and(char::is_alphanumeric))
}

/// A pattern of a name's bytes in either letter case: UTF-16 (group `w`), UTF-8 or, where it can be, Latin-1.
fn byte_pattern(name: &str) -> String {
    let escaped =
        |bytes: &mut dyn Iterator<Item = u8>| bytes.map(|b| format!("\\x{b:02x}")).collect::<String>();
    let (mut wide, mut narrow, mut latin) = (String::new(), String::new(), Some(String::new()));
    for c in name.chars() {
        let cases: BTreeSet<String> =
            [c.to_string(), c.to_lowercase().collect(), c.to_uppercase().collect()].into_iter().collect();
        let group = |of: &dyn Fn(&String) -> Option<String>| {
            let all: Vec<String> = cases.iter().filter_map(of).collect();
            (!all.is_empty()).then(|| format!("(?:{})", all.join("|")))
        };
        wide +=
            &group(&|t| Some(escaped(&mut t.encode_utf16().flat_map(u16::to_le_bytes)))).unwrap_or_default();
        narrow += &group(&|t| Some(escaped(&mut t.bytes()))).unwrap_or_default();
        let single = |t: &String| {
            let bytes: Option<Vec<u8>> = t.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            bytes.map(|b| escaped(&mut b.into_iter()))
        };
        latin = latin.zip(group(&single)).map(|(before, c)| before + &c);
    }
    let latin = latin.map_or(String::new(), |l| format!("|{l}"));
    format!("(?P<w>{wide})|{narrow}{latin}")
}

/// The process's own bitness, and that of a 32-bit program in a 64-bit process.
pub(super) fn machines(dump: &Dump) -> impl Iterator<Item = Machine> {
    [Some(dump.machine()), dump.is_wow64().then_some(Machine::X86)].into_iter().flatten()
}

/// The names that a dump's environment and the paths of its modules tell.
pub(crate) fn names_of(dump: &Dump) -> Names {
    let mut out = Names::default();
    let mut add = |kind: &'static str, name: &str| {
        let name = name.trim_matches(['\\', ' ']);
        let common = NOBODY.iter().any(|n| name.eq_ignore_ascii_case(n));
        if name.chars().count() >= SHORTEST && !common {
            out.add(kind, name);
        }
    };
    for machine in machines(dump) {
        let Some(parameters) = dump.parameters(machine) else { continue };
        for (kind, variable) in NAMES {
            if let Some(name) = parameters.variable(variable) {
                add(kind, name);
            }
        }
        if let Some(profile) = parameters.variable("USERPROFILE") {
            add("user", profile.rsplit('\\').next().unwrap_or_default());
        }
    }
    for module in dump.modules() {
        let folders = module.path.split('\\').collect::<Vec<_>>();
        for pair in folders.windows(2) {
            if let [folder, name] = pair
                && PROFILES.iter().any(|p| folder.eq_ignore_ascii_case(p))
            {
                add("user", name);
            }
        }
    }
    out
}

/// The names that a target's environment tells.
pub(crate) fn names(target: &Target) -> Names {
    names_of(&target.dump)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(names: &Names, text: &str) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        names.in_text(text, &mut |range, _| out.push((range.start, range.end)));
        out
    }

    #[test]
    fn letters_that_change_their_length() {
        // Lower case of the first letter is longer.
        assert_eq!(places(&Names::of("user", "Bob"), "İ bob, bobby"), [(3, 6)]);
        assert_eq!(places(&Names::of("user", "Jürgen"), "JÜRGEN"), [(0, 7)]);
    }

    #[test]
    fn two_letters_are_looked_for_in_texts_alone() {
        let names = Names::of("user", "Al");
        assert_eq!(places(&names, r"C:\Work\AL\all.txt"), [(8, 10)]);
        let wide: Vec<u8> = "\0al\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut seen = Vec::new();
        names.in_bytes(&[b"\x01al\x02\0".as_slice(), &wide].concat(), &mut |h| seen.push((h.range, h.form)));
        assert_eq!(seen, [(7..11, TextForm::Utf16)]);
    }

    #[test]
    fn names_in_bytes() {
        let names = Names::of("user", "Jürg");
        let wide: Vec<u8> = "xJÜRG".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let raw = [b"\x01j\xfcrg ".as_slice(), "JÜrG".as_bytes(), b"\0", &wide].concat();
        let mut seen = Vec::new();
        names.in_bytes(&raw, &mut |h| seen.push((h.range, h.form, h.is_alone)));
        let want =
            [(1..5, TextForm::Bytes, true), (6..11, TextForm::Bytes, true), (14..22, TextForm::Utf16, false)];
        assert_eq!(seen, want);
    }
}
