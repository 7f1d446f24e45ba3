//! Names of GCC, clang (outside its Microsoft mode) and Rust, as in MinGW and Wine modules.

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};
use std::fmt::{self, Write};

/// Longest decorated name.
const MAX_INPUT: usize = 4096;
/// Longest result: substitutions can make a short name very long.
const MAX_OUTPUT: usize = 64 * 1024;
/// Deepest nesting, for `cpp_demangle`'s own checks.
const MAX_DEPTH: u32 = 96;

/// Undecorates a name that starts with `_Z`, `_R` or those with one more underscore. `None` when it is damaged,
/// unknown or over a limit.
pub(super) fn undecorate(name: &str, full: bool) -> Option<String> {
    if name.len() > MAX_INPUT {
        return None;
    }
    // Mach-O and 32-bit PE put an underscore before every name.
    let name = if name.starts_with("__") { name.get(1..)? } else { name };
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        let mut out = Bounded::default();
        write!(out, "{rust:#}").ok()?;
        return Some(out.text);
    }
    let options = ParseOptions::default().recursion_limit(MAX_DEPTH);
    // GCC's suffixes of split and cloned functions (`.cold`, `.isra.0`) follow a dot.
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let symbol =
        Symbol::new_with_options(name, &options).or_else(|_| Symbol::new_with_options(stem, &options));
    let symbol = symbol.ok()?;
    let mut options = DemangleOptions::new().recursion_limit(MAX_DEPTH);
    if !full {
        options = options.no_params().no_return_type();
    }
    let mut out = Bounded::default();
    symbol.structured_demangle(&mut out, &options).ok()?;
    (!out.text.is_empty()).then_some(out.text)
}

/// A text that refuses to grow over the limit.
#[derive(Default)]
struct Bounded {
    text: String,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len().saturating_add(s.len()) > MAX_OUTPUT {
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}
