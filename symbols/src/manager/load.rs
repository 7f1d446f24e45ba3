//! Finds and opens what is known of one module.

use super::SymbolState;
use crate::image::PeHeaders;
use crate::provider::{Exports, SymbolProvider};
use dumpscope_core::{ModuleInfo, ReadMemory};
use std::sync::Arc;

/// What loading a module gave; kept until `.reload`.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Best first.
    pub(super) providers: Arc<[Arc<dyn SymbolProvider>]>,
    /// For `lm`.
    pub(super) state: SymbolState,
}

/// Loads a module.
pub(super) fn load(module: &ModuleInfo, mem: &dyn ReadMemory) -> Loaded {
    let mut providers: Vec<Arc<dyn SymbolProvider>> = Vec::new();
    let mut tried: Vec<String> = Vec::new();
    match PeHeaders::read(mem, module.base).and_then(|h| Exports::read(mem, module.base, &h)) {
        Ok(exports) if exports.is_empty() => tried.push("its image exports nothing".into()),
        Ok(exports) => providers.push(Arc::new(exports)),
        Err(e) => tried.push(format!("export table in the dump's memory: {e}")),
    }
    providers.sort_by_key(|p| p.source());
    let state = match providers.first() {
        Some(best) => SymbolState::Loaded(best.source(), best.file().map(str::to_owned)),
        None => SymbolState::NotFound(tried.join("; ")),
    };
    Loaded { providers: providers.into(), state }
}
