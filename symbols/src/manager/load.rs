//! Joins the sources of one module.

use super::search::{FoundImage, Search};
use super::{SymbolConfig, SymbolState};
use crate::image::PeHeaders;
use crate::locate::{self, SymbolPath};
use crate::provider::{Coff, Dwarf, Exports, SymbolProvider};
use dumpscope_core::{ModuleInfo, ReadMemory, Va};
use std::sync::Arc;

/// What loading a module gave; kept until `.reload`.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Best first.
    pub(super) providers: Arc<[Arc<dyn SymbolProvider>]>,
    /// For `lm`.
    pub(super) state: SymbolState,
    /// Without a symbol file: what was looked for, where, and what to do.
    pub(super) missing: Option<String>,
    /// Every place tried, and what it answered.
    pub(super) log: Vec<String>,
    /// A server or the cache failed, so that it is not known whether the file exists.
    pub(super) failed: bool,
}

/// Loads a module. `image` looks for its image file; it is called only when nothing better was found.
pub(super) fn load<'a>(
    module: &ModuleInfo,
    mem: &dyn ReadMemory,
    config: &SymbolConfig,
    image: &dyn Fn() -> &'a FoundImage,
) -> Loaded {
    let mut search = Search::new(module);
    let mut providers: Vec<Arc<dyn SymbolProvider>> = Vec::new();
    let path = SymbolPath::parse(&config.symbol_path);
    let places = locate::candidates(module, &path, config.cache.as_deref());
    providers.extend(search.pdb(&places));
    // A file that may be there as well is worth a line only when it is.
    search.only_found = !providers.is_empty();
    providers.extend(search.breakpad(&places));
    search.only_found = false;
    if providers.is_empty() {
        providers.extend(search.fetched_symbols(&path, config));
    }
    let in_memory = PeHeaders::read(mem, module.base);
    let mut missing = None;
    if providers.is_empty() {
        let found = image();
        search.join(found);
        if let Some(file) = &found.file {
            providers.extend(Dwarf::new(file).map(|d| Arc::new(d) as Arc<dyn SymbolProvider>));
            providers.extend(Coff::new(file).map(|c| Arc::new(c) as Arc<dyn SymbolProvider>));
        }
        if providers.is_empty() {
            missing = Some(search.missing(&path, config, in_memory.as_ref().ok()));
        }
    }
    let in_memory = in_memory.and_then(|h| Exports::read(mem, module.base, &h));
    let exports = match in_memory {
        Ok(exports) => search.exports("the dump's memory", Ok(exports)),
        // Small dumps hold no images.
        Err(e) => match &image().file {
            Some(file) => {
                let exports = Exports::read(&file.memory(), Va(0), file.headers());
                search.exports(file.path(), exports)
            }
            None => search.exports("the dump's memory", Err(e)),
        },
    };
    let no_exports = match exports {
        Ok(exports) => {
            providers.push(exports);
            String::new()
        }
        Err(why) => why,
    };
    providers.sort_by_key(|p| p.source());
    let state = match providers.first() {
        Some(best) => SymbolState::Loaded(best.source(), best.file().map(str::to_owned)),
        None => SymbolState::NotFound(format!("{}; {no_exports}", missing.as_deref().unwrap_or_default())),
    };
    Loaded {
        providers: providers.into(),
        state,
        failed: search.failed && missing.is_some(),
        missing,
        log: search.log,
    }
}
