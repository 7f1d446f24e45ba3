//! Undecorated names.

mod params;

pub use params::without_parameters;

use std::borrow::Cow;

/// Which decoration rules the names of a symbol file follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decoration {
    /// Linker names of 32-bit code: `_name` (C), `_name@8` (stdcall), `@name@8` (fastcall), and C++ names.
    X86Linker,
    /// Export names of 32-bit code: as the linker's, but a plain leading underscore belongs to the name (C
    /// names are exported without their decoration: `_stricmp` of msvcrt is the real name).
    X86Export,
    /// Other machines: only C++ names are decorated.
    CxxOnly,
}

/// A name as WinDbg shows it in stacks: undecorated, without parameters and return type. Names that are not
/// decorated, or that are damaged, come back as they are.
#[must_use]
pub fn stack_name(name: &str, rules: Decoration) -> Cow<'_, str> {
    match rules {
        Decoration::CxxOnly => Cow::Borrowed(name),
        Decoration::X86Linker | Decoration::X86Export => Cow::Borrowed(c_name(name, rules)),
    }
}

/// Strips the C decorations of 32-bit code.
fn c_name(name: &str, rules: Decoration) -> &str {
    let bare = name.strip_prefix(['_', '@']).unwrap_or(name);
    if let Some((stem, digits)) = bare.rsplit_once('@')
        && bare.len() < name.len()
        && !stem.is_empty()
        && !digits.is_empty()
        && digits.len() <= 5
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        return stem;
    }
    match name.strip_prefix('_') {
        Some(rest) if rules == Decoration::X86Linker && !rest.is_empty() => rest,
        _ => name,
    }
}
