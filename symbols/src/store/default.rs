//! The cache folder of a user who names none.

use std::path::PathBuf;

/// The user's cache folder for symbols, by the system's custom. `None` where the system names none.
#[must_use]
pub fn default_cache() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        std::env::home_dir().map(|h| h.join("Library/Caches"))
    } else {
        var("XDG_CACHE_HOME")
            .filter(|p| p.is_absolute())
            .or_else(|| Some(std::env::home_dir()?.join(".cache")))
    };
    Some(base?.join("dumpscope").join("symbols"))
}
