//! Joins the sources of one module.

use super::search::{FoundImage, Search, Stop};
use super::{SymbolConfig, SymbolState};
use crate::image::PeHeaders;
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
    /// A server failed, so that it is not known whether the file exists.
    pub(super) failed: bool,
    /// A file could not be written to a store.
    pub(super) unwritten: bool,
    /// Somebody said stop before all places were asked.
    pub(super) stopped: bool,
}

/// Loads a module. `image` looks for its image file; it is called only when nothing better was found.
pub(super) fn load<'a>(
    module: &ModuleInfo,
    mem: &dyn ReadMemory,
    config: &SymbolConfig,
    stop: Stop<'_>,
    image: &dyn Fn() -> &'a FoundImage,
) -> Loaded {
    let mut search = Search::new(module, config, stop);
    let mut providers = search.symbols();
    let in_memory = PeHeaders::read(mem, module.base);
    let mut missing = None;
    if providers.is_empty() {
        let found = image();
        search.trail.join(&found.trail);
        if let Some(file) = &found.file {
            providers.extend(Dwarf::new(file).map(|d| Arc::new(d) as Arc<dyn SymbolProvider>));
            providers.extend(Coff::new(file).map(|c| Arc::new(c) as Arc<dyn SymbolProvider>));
        }
        if providers.is_empty() {
            missing = Some(search.missing(in_memory.as_ref().ok()));
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
        failed: search.trail.failed && missing.is_some(),
        unwritten: search.trail.unwritten,
        stopped: search.trail.stopped,
        missing,
        log: search.trail.log,
    }
}
