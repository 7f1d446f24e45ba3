//! The table of well-known functions and of GUIDs, and what a user lays over it.

use dumpscope_core::base::Guid;
use dumpscope_win32::TypeId;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const FUNCTIONS: &str = include_str!("../data/hints.toml");
const GUIDS: &str = include_str!("../data/guids.toml");

/// Most parameters of one function.
const MAX_PARAMETERS: usize = 32;

/// What a parameter is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A handle.
    Handle,
    /// An array of handles; the name of the argument that counts them.
    Handles(String),
    /// UTF-16 text.
    Wide,
    /// Text in bytes.
    Narrow,
    /// Text whose length is the value of the argument with this name: in bytes, or in UTF-16 units.
    Counted(String, bool),
    /// `BSTR`: UTF-16 text with its length in bytes before it.
    Bstr,
    /// `HSTRING`.
    HString,
    /// `UNICODE_STRING *`.
    UnicodeString,
    /// `OBJECT_ATTRIBUTES *`.
    ObjectAttributes,
    /// A critical section.
    CriticalSection,
    /// A slim lock.
    SrwLock,
    /// A condition variable.
    ConditionVariable,
    /// Milliseconds.
    Milliseconds,
    /// `LARGE_INTEGER *`, 100 ns units.
    Time,
    /// `FILETIME *`.
    FileTime,
    /// `SYSTEMTIME *`.
    SystemTime,
    /// `GUID *`.
    Guid,
    /// A window message.
    Message,
    /// An address of code.
    Code,
    /// A pointer to something else.
    Pointer,
    /// A value of an enumeration, a set of flags, a code.
    Values(TypeId),
    /// Access rights: those that all objects have, and the kind's own.
    Access(TypeId),
    /// A pointer to a number of so many bytes that the function reads.
    Number(u8),
    /// True or false.
    Bool,
    /// A pointer to a socket's address.
    SocketAddress,
    /// A pointer to a COM object.
    Object,
    /// A pointer to a structure of the Win32 table.
    Structure(TypeId),
    /// A structure of the Win32 table that fits into the value.
    ByValue(TypeId),
    /// A pointer to what the function writes.
    Output,
    /// A number that is shown as it is.
    Plain,
}

/// How a value gets to the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passing {
    /// Its type's.
    pub(crate) bytes: u64,
    /// It is a number with a fraction.
    pub(crate) float: bool,
    /// It is a structure.
    pub(crate) aggregate: bool,
}

/// A parameter of a well-known function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Type in Windows' words, when it is known.
    pub(crate) type_text: Option<String>,
    /// `None`: one word.
    pub(crate) passing: Option<Passing>,
    /// The structure of the Win32 table that it leads to.
    pub(crate) structure: Option<TypeId>,
    /// The function reads and writes what it leads to.
    pub(crate) in_out: bool,
    /// x86: it goes in ecx or edx when it is the first or second one.
    pub(crate) fastcall: bool,
}

impl Parameter {
    pub(crate) fn new(name: String, kind: Kind) -> Parameter {
        Parameter {
            name,
            kind,
            type_text: None,
            passing: None,
            structure: None,
            in_out: false,
            fastcall: false,
        }
    }
}

/// Why a table of hints was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintTableError {
    /// It is no TOML of the right form.
    #[error("{0}")]
    Form(String),
    /// A parameter has a kind that does not exist.
    #[error("function {function}: unknown kind \"{kind}\"")]
    Kind {
        /// The function.
        function: String,
        /// What was written.
        kind: String,
    },
    /// A GUID cannot be read.
    #[error("\"{0}\" is no GUID")]
    Guid(String),
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    group: Vec<Group>,
    #[serde(default)]
    guids: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    modules: Vec<String>,
    functions: BTreeMap<String, Vec<String>>,
}

/// Well-known functions and GUIDs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintTable {
    /// By module (lower case, without extension), then by function.
    functions: BTreeMap<String, BTreeMap<String, Vec<Parameter>>>,
    guids: BTreeMap<Guid, String>,
}

/// A function's name without the decoration of 32-bit exports and public symbols: `_NtWaitForSingleObject@12`.
pub(crate) fn plain_name(name: &str) -> &str {
    name.strip_prefix('_').and_then(|f| f.split_once('@')).map_or(name, |(f, _)| f)
}

impl HintTable {
    /// The table that is part of the program.
    #[must_use]
    pub fn built_in() -> Arc<HintTable> {
        static TABLE: OnceLock<Arc<HintTable>> = OnceLock::new();
        let parse = |text| HintTable::parse(text).unwrap_or_default();
        TABLE.get_or_init(|| Arc::new(parse(FUNCTIONS).with_overlay(parse(GUIDS)))).clone()
    }

    /// Reads a table; the form is that of `data/hints.toml` (functions) and `data/guids.toml` (GUIDs), both may be
    /// in one file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<HintTable, HintTableError> {
        let file: File = toml::from_str(text).map_err(|e| HintTableError::Form(e.to_string()))?;
        let mut out = HintTable::default();
        for group in file.group {
            for (function, list) in group.functions {
                let fastcall = list.first().is_some_and(|w| w == "fastcall");
                let parameters: Vec<Parameter> = list
                    .iter()
                    .skip(usize::from(fastcall))
                    .take(MAX_PARAMETERS)
                    .map(|p| parameter(&function, p).map(|p| Parameter { fastcall, ..p }))
                    .collect::<Result<_, _>>()?;
                for module in &group.modules {
                    let known = out.functions.entry(module.to_ascii_lowercase()).or_default();
                    if let Some(rest) = function.strip_prefix("Nt") {
                        known.insert(format!("Zw{rest}"), parameters.clone());
                    }
                    known.insert(function.clone(), parameters.clone());
                }
            }
        }
        for (name, text) in file.guids {
            let guid = Guid::parse(&text).ok_or(HintTableError::Guid(text))?;
            out.guids.entry(guid).or_insert(name);
        }
        Ok(out)
    }

    /// This table with another laid over it: functions of the same module and name, and equal GUIDs, are replaced.
    #[must_use]
    pub fn with_overlay(&self, overlay: HintTable) -> HintTable {
        let mut out = self.clone();
        for (module, functions) in overlay.functions {
            out.functions.entry(module).or_default().extend(functions);
        }
        out.guids.extend(overlay.guids);
        out
    }

    /// Parameters of a function of a module, by the module's file name.
    pub(crate) fn parameters(&self, file_name: &str, function: &str) -> Option<&[Parameter]> {
        let lower = file_name.to_ascii_lowercase();
        let stem = lower.rsplit_once('.').map_or(lower.as_str(), |(stem, _)| stem);
        // stdcall names of public symbols: `_NtWaitForSingleObject@12`.
        let plain = plain_name(function);
        self.functions.get(stem)?.get(plain).map(Vec::as_slice)
    }

    /// True when a GUID of this table has a name.
    #[cfg(test)]
    pub(crate) fn has_guid_named(&self, name: &str) -> bool {
        self.guids.values().any(|n| n == name)
    }

    /// The name of a GUID: of this table, else the interface or class of the Win32 table.
    #[must_use]
    pub fn guid_name(&self, guid: &Guid) -> Option<Cow<'_, str>> {
        if let Some(name) = self.guids.get(guid) {
            return Some(Cow::Borrowed(name));
        }
        let table = dumpscope_win32::table();
        let id = table.type_with_guid(&guid.to_bytes())?;
        Some(Cow::Owned(table.type_info(id)?.name))
    }
}

fn parameter(function: &str, text: &str) -> Result<Parameter, HintTableError> {
    let (name, kind) = text.split_once(':').map_or((text, "pointer"), |(n, k)| (n.trim(), k.trim()));
    let bad = || HintTableError::Kind { function: function.to_owned(), kind: kind.to_owned() };
    let kind = match kind {
        "handle" | "socket" => Kind::Handle,
        "wstr" => Kind::Wide,
        "str" => Kind::Narrow,
        "ustr" => Kind::UnicodeString,
        "attributes" => Kind::ObjectAttributes,
        "cs" => Kind::CriticalSection,
        "srw" => Kind::SrwLock,
        "cv" => Kind::ConditionVariable,
        "ms" => Kind::Milliseconds,
        "time" => Kind::Time,
        "guid" => Kind::Guid,
        "message" => Kind::Message,
        "code" => Kind::Code,
        "pointer" => Kind::Pointer,
        "bool" => Kind::Bool,
        "hwnd" | "number" => Kind::Plain,
        other => match other.strip_prefix("handles(").and_then(|o| o.strip_suffix(')')) {
            Some(count) if !count.is_empty() => Kind::Handles(count.to_owned()),
            _ => return Err(bad()),
        },
    };
    Ok(Parameter::new(name.to_owned(), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_whole() {
        let functions = HintTable::parse(FUNCTIONS).unwrap();
        let guids = HintTable::parse(GUIDS).unwrap();
        let wait = functions.parameters("ntdll.dll", "ZwWaitForMultipleObjects").unwrap();
        assert_eq!((wait.len(), &wait[1].kind), (5, &Kind::Handles("Count".into())));
        assert!(functions.parameters("KERNELBASE.dll", "CreateFileW").is_some());
        assert!(functions.parameters("app.exe", "CreateFileW").is_none(), "anybody may call a function so");
        assert!(functions.parameters("ntdll.dll", "_NtClose@4").is_some());
        // Every counted array names an argument of its function.
        for list in functions.functions.values().flat_map(BTreeMap::values) {
            for p in list {
                if let Kind::Handles(count) = &p.kind {
                    assert!(list.iter().any(|o| o.name == *count), "{p:?}");
                }
            }
        }
        let iid = Guid::parse("{423ec01e-2e35-11d2-b604-00104b703efd}").unwrap();
        assert_eq!(guids.guid_name(&iid).as_deref(), Some("IWbemWCOSmartEnum"));
        assert!(guids.guids.len() > 80);
    }

    #[test]
    fn a_users_table_replaces_and_adds() {
        let user = HintTable::parse(
            "[[group]]\nmodules = [\"app\"]\n[group.functions]\nTake = [\"Name: wstr\", \"Rest\"]\n\
             [guids]\nMine = \"11111111-2222-3333-4444-555555555555\"\n",
        )
        .unwrap();
        let all = HintTable::built_in().with_overlay(user);
        assert_eq!(all.parameters("App.exe", "Take").map(<[_]>::len), Some(2));
        assert!(all.parameters("ntdll.dll", "NtClose").is_some());
        assert_eq!(
            all.guid_name(&Guid::parse("11111111-2222-3333-4444-555555555555").unwrap()).as_deref(),
            Some("Mine")
        );
    }

    #[test]
    fn mistakes_are_told() {
        let kind = "[[group]]\nmodules = [\"a\"]\n[group.functions]\nf = [\"x: nothing\"]\n";
        assert!(matches!(HintTable::parse(kind), Err(HintTableError::Kind { .. })));
        assert!(matches!(HintTable::parse("[guids]\nA = \"12\"\n"), Err(HintTableError::Guid(_))));
        assert!(matches!(HintTable::parse("[other]\n"), Err(HintTableError::Form(_))));
    }

    #[test]
    fn names_without_their_decoration() {
        assert_eq!(plain_name("_NtWaitForSingleObject@12"), "NtWaitForSingleObject");
        for other in ["NtWaitForSingleObject", "_main", "name@12", ""] {
            assert_eq!(plain_name(other), other);
        }
    }
}
