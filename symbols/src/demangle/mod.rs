//! Undecorated names.

mod itanium;
mod msvc;
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
    /// Names in DWARF of 32-bit code: as the linker's, without the leading underscore (`name@8`).
    X86Dwarf,
    /// Other machines: only C++ names are decorated.
    CxxOnly,
}

/// A name as WinDbg shows it in stacks: undecorated, without parameters and return type. Names that are not
/// decorated, or that are damaged, come back as they are.
#[must_use]
pub fn stack_name(name: &str, rules: Decoration) -> Cow<'_, str> {
    match plus_plus(name, false) {
        Some(text) => Cow::Owned(text),
        None => Cow::Borrowed(c_name(name, rules)),
    }
}

/// A name out of a file whose maker undecorated most names, with parameters: both are taken off.
#[must_use]
pub fn plain_name(name: &str) -> Cow<'_, str> {
    match plus_plus(name, false) {
        Some(text) => Cow::Owned(text),
        None => Cow::Borrowed(without_parameters(name)),
    }
}

/// The whole declaration of a decorated name (`public: void __cdecl Foo::f(int)`), as `x` and `ln` can show it.
/// Names that are not decorated come back as they are.
#[must_use]
pub fn full_name(name: &str, rules: Decoration) -> Cow<'_, str> {
    match plus_plus(name, true) {
        Some(text) => Cow::Owned(text),
        None => Cow::Borrowed(c_name(name, rules)),
    }
}

/// C++ and Rust names.
fn plus_plus(name: &str, full: bool) -> Option<String> {
    match name.as_bytes() {
        [b'?', ..] => msvc::undecorate(name, if full { msvc::Style::Full } else { msvc::Style::NameOnly }),
        [b'_', b'Z' | b'R', ..] | [b'_', b'_', b'Z' | b'R', ..] => itanium::undecorate(name, full),
        _ => None,
    }
}

/// Strips the C decorations of 32-bit code.
fn c_name(name: &str, rules: Decoration) -> &str {
    let (bare, marked) = match rules {
        Decoration::CxxOnly => return name,
        // The mark of a fastcall name stays where the underscore of the others is dropped.
        Decoration::X86Dwarf => (name.strip_prefix('@').unwrap_or(name), true),
        Decoration::X86Linker | Decoration::X86Export => {
            let bare = name.strip_prefix(['_', '@']).unwrap_or(name);
            (bare, bare.len() < name.len())
        }
    };
    let sized = |text: &'_ str, mark: &str| {
        let (stem, digits) = text.rsplit_once(mark)?;
        let number = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        (number && !stem.is_empty()).then_some(stem.len())
    };
    // stdcall `_name@8`, fastcall `@name@8`; vectorcall `name@@8`, which has no mark before it.
    if let Some(len) = sized(name, "@@") {
        return name.get(..len).unwrap_or(name);
    }
    if let Some(len) = sized(bare, "@").filter(|_| marked) {
        return bare.get(..len).unwrap_or(name);
    }
    match name.strip_prefix('_') {
        Some(rest) if rules == Decoration::X86Linker && !rest.is_empty() => rest,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_decorations() {
        let linker = |n| stack_name(n, Decoration::X86Linker).into_owned();
        let export = |n| stack_name(n, Decoration::X86Export).into_owned();
        let other = |n| stack_name(n, Decoration::CxxOnly).into_owned();
        for (name, x86, exported) in [
            ("_main", "main", "_main"),
            ("__RtlUserThreadStart@8", "_RtlUserThreadStart", "_RtlUserThreadStart"),
            ("_NtClose@4", "NtClose", "NtClose"),
            ("@fast@12", "fast", "fast"),
            ("vector@@16", "vector", "vector"),
            ("plain", "plain", "plain"),
            ("_", "_", "_"),
            ("_@4", "@4", "_@4"),
            ("a@b", "a@b", "a@b"),
            ("_x@", "x@", "_x@"),
            ("_x@123456", "x@123456", "_x@123456"),
            ("", "", ""),
        ] {
            assert_eq!(linker(name), x86, "{name}");
            assert_eq!(export(name), exported, "{name}");
            assert_eq!(other(name), name, "{name}");
        }
        assert_eq!(stack_name("hidden@8", Decoration::X86Dwarf), "hidden");
        assert_eq!(stack_name("_start", Decoration::X86Dwarf), "_start");
        assert_eq!(linker("?BlockFn@CCliModalLoop@@AAGJPAPAXKPAK@Z"), "CCliModalLoop::BlockFn");
    }

    #[test]
    fn other_languages() {
        let name = |n| stack_name(n, Decoration::CxxOnly).into_owned();
        assert_eq!(name("_ZN3foo3barEi"), "foo::bar");
        assert_eq!(
            name("_ZNSt6vectorIiSaIiEE9push_backERKi"),
            "std::vector<int, std::allocator<int> >::push_back"
        );
        assert_eq!(name("__ZN3foo3barEi"), "foo::bar");
        assert_eq!(full_name("_ZN3foo3barEi", Decoration::CxxOnly), "foo::bar(int)");
        assert_eq!(name("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"), "core::fmt::Write::write_fmt");
        assert_eq!(name("_RNvC7mycrate4main"), "mycrate::main");
        assert_eq!(name("_ZZZZ"), "_ZZZZ");
        assert_eq!(name("_Zebra"), "_Zebra");
        for n in [90, 200, 4000, 100_000] {
            let deep = format!("_Z1f{}i", "P".repeat(n));
            let shown = stack_name(&deep, Decoration::CxxOnly);
            assert!(shown == "f" || shown == deep.as_str());
            let _ = full_name(&deep, Decoration::CxxOnly);
        }
    }
}
