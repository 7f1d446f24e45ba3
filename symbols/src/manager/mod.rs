//! Symbols of all modules of a process, loaded when they are first asked for.

mod index;
mod load;
mod portable;
mod search;

use crate::image::{ImageFile, PeHeaders};
use crate::provider::{InlineSite, SourceLine, Symbol, SymbolProvider, SymbolSource, merged};
use crate::store::Client;
use dumpscope_core::{Machine, ModuleInfo, ReadMemory, Rva, Va};
use index::ModuleIndex;
use load::Loaded;
use search::{FoundImage, Search, Stop};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// Modules loaded at the same time by [`SymbolManager::load_now`]. Servers answer slowly rather than send slowly: more
/// than the processors is right.
const PARALLEL: usize = 16;

/// Where symbols and images are looked for.
#[derive(Clone, Debug, Default)]
pub struct SymbolConfig {
    /// Symbol path in WinDbg's syntax, asked from left to right; empty means "none".
    pub symbol_path: String,
    /// Image path in the same syntax; images are looked for here before they are on the symbol path.
    pub image_path: String,
    /// The folder that `srv**URL` and `cache*` mean and into which a server's files go that has no store to its left.
    /// `None`: such servers are not asked. [`crate::store::default_cache`] is the user's.
    pub cache: Option<PathBuf>,
    /// Never use the network.
    pub offline: bool,
    /// The client that asks servers. `None`: only what lies on this machine is found.
    pub store: Option<Arc<Client>>,
    /// Ask servers again for what is remembered as missing.
    pub fresh: bool,
}

/// What is known of a module's symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SymbolState {
    /// Nobody asked yet.
    Deferred,
    /// Loaded; the best source, and the file when it is one.
    Loaded(SymbolSource, Option<String>),
    /// Looked for and not found; a line that says what was looked for and where.
    NotFound(String),
}

/// An address with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Index of the module in [`SymbolManager::modules`].
    pub module: usize,
    /// The symbol; `None` when the module has no name for the address.
    pub symbol: Option<Symbol>,
    /// Bytes from the symbol's start, or from the module's base without a symbol. Wraps where a part of a function
    /// lies before its start (moved cold code): `va.back(displacement)` is the start in any case.
    pub displacement: u64,
}

impl Resolved {
    /// The displacement as a debugger shows it: one that wraps does so in the width of `machine`'s pointers.
    pub fn displacement_in(&self, machine: Machine) -> u64 {
        wrapped(self.displacement, machine)
    }
}

/// A difference of two addresses in the width of `machine`'s pointers.
#[must_use]
pub fn wrapped(difference: u64, machine: Machine) -> u64 {
    if machine.is_64() { difference } else { difference & 0xffff_ffff }
}

/// The names of modules that are told apart by architecture alone, in the view in which they differ.
fn view_names(modules: &[ModuleInfo]) -> BTreeMap<usize, (Machine, String)> {
    let mut out = BTreeMap::new();
    for (i, m) in modules.iter().enumerate() {
        let suffix = format!("_{:x}", m.base.0);
        let (Some(plain), Some(view)) = (m.name.strip_suffix(&suffix), m.machine) else { continue };
        let twins = || modules.iter().enumerate().filter(|(_, o)| o.name.eq_ignore_ascii_case(plain));
        if twins().next().is_none() || !twins().all(|(_, o)| o.machine.is_some_and(|o| o != view)) {
            continue;
        }
        for (n, o) in twins() {
            out.insert(n, (view, format!("{}_{:x}", o.name, o.base.0)));
        }
        out.insert(i, (view, plain.to_owned()));
    }
    out
}

/// All modules of a process with their symbol files.
///
/// Nothing is read before somebody asks. A module is loaded once, whoever asks first; both outcomes are kept
/// until [`SymbolManager::reload`] or [`SymbolManager::set_config`]. Threads may ask at the same time.
pub struct SymbolManager {
    modules: Vec<ModuleInfo>,
    index: ModuleIndex,
    /// Names that differ in the view of one machine; see [`SymbolManager::name_in`].
    view_names: BTreeMap<usize, (Machine, String)>,
    memory: Arc<dyn ReadMemory>,
    config: RwLock<SymbolConfig>,
    /// One per module; exchanged to forget what was loaded.
    slots: RwLock<Vec<Arc<Slot>>>,
    generation: AtomicU64,
    portable: portable::Portable,
    stop: RwLock<Option<Arc<StopFn>>>,
}

/// Asks whether to stop.
type StopFn = dyn Fn() -> bool + Send + Sync;

/// What was found of a module; both parts on demand.
#[derive(Default)]
struct Slot {
    loaded: OnceLock<Loaded>,
    image: OnceLock<FoundImage>,
}

impl SymbolManager {
    /// Symbols for `modules`; nothing is read yet.
    pub fn new(modules: Vec<ModuleInfo>, memory: Arc<dyn ReadMemory>, config: SymbolConfig) -> SymbolManager {
        let slots = modules.iter().map(|_| Arc::default()).collect();
        SymbolManager {
            index: ModuleIndex::new(&modules),
            view_names: view_names(&modules),
            modules,
            memory,
            config: RwLock::new(config),
            slots: RwLock::new(slots),
            generation: AtomicU64::new(1),
            portable: portable::Portable::default(),
            stop: RwLock::default(),
        }
    }

    /// Changes whenever something may have been forgotten; never 0. Caches of answers compare it.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The modules, in the dump's order.
    pub fn modules(&self) -> &[ModuleInfo] {
        &self.modules
    }

    /// Index of the module that holds `va`.
    pub fn module_at(&self, va: Va) -> Option<usize> {
        self.index.at(va)
    }

    /// Indexes of the modules with this WinDbg name (any letter case) or file name.
    pub fn modules_named(&self, name: &str) -> Vec<usize> {
        let named =
            |m: &ModuleInfo| m.name.eq_ignore_ascii_case(name) || m.file_name.eq_ignore_ascii_case(name);
        self.modules.iter().enumerate().filter(|(_, m)| named(m)).map(|(i, _)| i).collect()
    }

    /// The module's name in the view of `machine`: what every command and document shows. A 32-bit `ntdll` that is
    /// `ntdll_77600000` beside the 64-bit one is plain `ntdll` in the 32-bit view, and the 64-bit one has its base
    /// behind its name there: stacks and signatures of a WOW64 process then read as those of a 32-bit dump.
    pub fn name_in(&self, module: usize, machine: Machine) -> &str {
        match self.view_names.get(&module) {
            Some((view, name)) if *view == machine => name,
            _ => self.modules.get(module).map_or("", |m| &m.name),
        }
    }

    /// As [`SymbolManager::modules_named`]; a module that has the name in the view of `machine` hides the others.
    pub fn modules_named_in(&self, name: &str, machine: Machine) -> Vec<usize> {
        let in_view = |i: &usize| self.name_in(*i, machine).eq_ignore_ascii_case(name);
        let found: Vec<usize> = (0..self.modules.len()).filter(in_view).collect();
        if found.is_empty() { self.modules_named(name) } else { found }
    }

    /// What is known of a module's symbols, without loading anything.
    pub fn state(&self, module: usize) -> SymbolState {
        let slot = self.slot(module);
        slot.and_then(|s| s.loaded.get().map(|l| l.state.clone())).unwrap_or(SymbolState::Deferred)
    }

    /// Loads a module's symbols if that has not been done, and gives its sources, best first.
    pub fn providers(&self, module: usize) -> Arc<[Arc<dyn SymbolProvider>]> {
        self.with_loaded(module, |l| l.providers.clone()).unwrap_or_else(|| Arc::new([]))
    }

    /// Loads a module's symbols, and tells what to do when no symbol file was found: one line that says what
    /// was looked for and where. `None` when there is one. Exports may be known nevertheless.
    pub fn missing(&self, module: usize) -> Option<String> {
        self.with_loaded(module, |l| l.missing.clone()).flatten()
    }

    /// Loads a module's symbols, and tells whether there is none because a server refused or did not answer: another
    /// try may find it.
    pub fn failed(&self, module: usize) -> bool {
        self.with_loaded(module, |l| l.failed).unwrap_or(false)
    }

    /// Loads a module's symbols, and tells whether a file could not be written to a store.
    pub fn unwritten(&self, module: usize) -> bool {
        self.with_loaded(module, |l| l.unwritten).unwrap_or(false)
    }

    /// Loads a module's symbols, and lists every place that was tried with what it answered.
    pub fn search_log(&self, module: usize) -> Vec<String> {
        self.with_loaded(module, |l| l.log.clone()).unwrap_or_default()
    }

    /// From now on no server is waited for while `stop` says true (a deadline, a user). What is not found for that
    /// reason is looked for again when it is asked for after `stop` says false.
    pub fn stop_when(&self, stop: impl Fn() -> bool + Send + Sync + 'static) {
        *self.stop.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(stop));
    }

    fn is_stopped(&self) -> bool {
        let stop = self.stop.read().unwrap_or_else(PoisonError::into_inner).clone();
        stop.is_some_and(|stop| stop())
    }

    /// The module's image file on this machine, looked for on the image path and the symbol path when it is
    /// first asked for.
    pub fn image(&self, module: usize) -> Option<Arc<ImageFile>> {
        let (slot, info) = (self.slot(module)?, self.modules.get(module)?);
        let found = self.found_image(&slot, info, &|| self.is_stopped());
        if found.trail.stopped && !self.is_stopped() {
            let slot = self.exchanged(module)?;
            return self.found_image(&slot, info, &|| self.is_stopped()).file.clone();
        }
        found.file.clone()
    }

    fn found_image<'a>(&self, slot: &'a Slot, info: &ModuleInfo, stop: Stop<'_>) -> &'a FoundImage {
        slot.image.get_or_init(|| {
            // A full dump holds the image: nothing to fetch. Files of this machine may still have more (DWARF).
            let in_memory = PeHeaders::read(&*self.memory, info.base).is_ok();
            Search::new(info, &self.config(), stop).image(!in_memory)
        })
    }

    fn with_loaded<T>(&self, module: usize, f: impl FnOnce(&Loaded) -> T) -> Option<T> {
        self.with_loaded_until(module, &|| false, f)
    }

    fn with_loaded_until<T>(&self, module: usize, stop: Stop<'_>, f: impl FnOnce(&Loaded) -> T) -> Option<T> {
        let (mut slot, info) = (self.slot(module)?, self.modules.get(module)?);
        let stop = || stop() || self.is_stopped();
        if slot.loaded.get().is_some_and(|l| l.stopped) && !stop() {
            slot = self.exchanged(module)?;
        }
        let load = || {
            load::load(info, &*self.memory, &self.config(), &stop, &|| self.found_image(&slot, info, &stop))
        };
        Some(f(slot.loaded.get_or_init(load)))
    }

    /// Forgets what was found of one module, and gives its new slot.
    fn exchanged(&self, module: usize) -> Option<Arc<Slot>> {
        self.reload(Some(module));
        self.slot(module)
    }

    /// Forgets what was loaded or not found (`.reload`), for one module or all.
    pub fn reload(&self, module: Option<usize>) {
        self.forget(|i, _| module.is_none_or(|m| m == i).then(Slot::default));
    }

    /// Forgets what was loaded or not found of some modules, and from now on asks servers again even for what is
    /// remembered as missing and for hosts that failed (`.reload`).
    pub fn look_again(&self, modules: &[usize]) {
        {
            let mut config = self.config.write().unwrap_or_else(PoisonError::into_inner);
            config.fresh = true;
            if let Some(store) = &config.store {
                store.forgive();
            }
        }
        self.forget(|i, _| modules.contains(&i).then(Slot::default));
    }

    /// Loads the symbols of some modules now, several at a time; `stop` ends it.
    pub fn load_now(&self, modules: &[usize], stop: &(dyn Fn() -> bool + Sync)) {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..PARALLEL.min(modules.len()) {
                scope.spawn(|| {
                    while let Some(&module) = modules.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if stop() {
                            return;
                        }
                        self.with_loaded_until(module, stop, |_| ());
                    }
                });
            }
        });
    }

    /// The configuration in force.
    pub fn config(&self) -> SymbolConfig {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the configuration; what was found stays, what was not found is looked for again. A module that
    /// has only what its image says (exports, DWARF, COFF symbols) counts as not found.
    pub fn set_config(&self, config: SymbolConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        self.forget(|_, slot| {
            let keep = matches!(
                slot.loaded.get().map(|l| &l.state),
                Some(SymbolState::Loaded(source, _)) if *source <= SymbolSource::Breakpad
            );
            let next = Slot::default();
            if let Some(FoundImage { file: Some(file), .. }) = slot.image.get() {
                let _ = next.image.set(FoundImage::known(file.clone()));
            }
            (!keep).then_some(next)
        });
    }

    fn slot(&self, module: usize) -> Option<Arc<Slot>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(module).cloned()
    }

    /// Exchanges the slots for which `next` gives a new one. Who is just loading an old slot still gets its
    /// answer from there.
    fn forget(&self, next: impl Fn(usize, &Slot) -> Option<Slot>) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        for (i, slot) in slots.iter_mut().enumerate() {
            if let Some(next) = next(i, slot) {
                *slot = Arc::new(next);
            }
        }
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// A module with its base-relative address for `va`.
    fn locate(&self, va: Va) -> Option<(usize, Rva)> {
        let module = self.module_at(va)?;
        Some((module, va.rva(self.modules.get(module)?.base)?))
    }

    /// Name of an address. `None` when no module holds it.
    pub fn resolve(&self, va: Va) -> Option<Resolved> {
        let (module, rva) = self.locate(va)?;
        let symbol = merged::lookup(&self.providers(module), rva);
        let start = symbol.as_ref().map_or(0, |s| s.rva.0);
        Some(Resolved { module, symbol, displacement: u64::from(rva.0).wrapping_sub(start.into()) })
    }

    /// The next symbol above `va` in its module.
    pub fn next_after(&self, va: Va) -> Option<Symbol> {
        let (module, rva) = self.locate(va)?;
        merged::next_after(&self.providers(module), rva)
    }

    /// Source line of `va` in the outermost function.
    pub fn line(&self, va: Va) -> Option<SourceLine> {
        let (module, rva) = self.locate(va)?;
        merged::position(&self.providers(module), rva).0
    }

    /// Inlined calls that cover `va`, innermost first.
    pub fn inlines(&self, va: Va) -> Vec<InlineSite> {
        let Some((module, rva)) = self.locate(va) else { return Vec::new() };
        merged::position(&self.providers(module), rva).1
    }

    /// x86: bytes of parameters on the stack of the function at `va`, when a source says.
    pub fn param_bytes(&self, va: Va) -> Option<u32> {
        let (module, rva) = self.locate(va)?;
        self.providers(module).iter().find_map(|p| p.param_bytes(rva))
    }

    /// x86 frame data for `va`.
    pub fn frame_data(&self, va: Va) -> Option<crate::unwind::FrameData> {
        let (module, rva) = self.locate(va)?;
        self.providers(module).iter().find_map(|p| p.frame_data(rva))
    }

    /// Symbols by exact name, best source first: `module` limits the search to one module. An exact match of
    /// the letter case hides the others. At one address only the best source's symbol is given.
    pub fn by_name(&self, module: Option<usize>, name: &str) -> Vec<(usize, Symbol)> {
        let range = module.map_or(0..self.modules.len(), |m| m..m.saturating_add(1));
        let mut exact = Vec::new();
        let mut loose = Vec::new();
        for m in range {
            let providers = self.providers(m);
            exact.extend(merged::by_name(&providers, name, false).into_iter().map(|s| (m, s)));
            if exact.is_empty() {
                loose.extend(merged::by_name(&providers, name, true).into_iter().map(|s| (m, s)));
            }
        }
        let mut found = if exact.is_empty() { loose } else { exact };
        found.sort_by_key(|(_, s)| s.source);
        found
    }

    /// `module!name+0x12`, `module+0x12` or nothing, in the view of `machine`.
    pub fn format(&self, va: Va, machine: Machine) -> Option<String> {
        let r = self.resolve(va)?;
        let module = self.name_in(r.module, machine);
        Some(match (&r.symbol, r.displacement_in(machine)) {
            (Some(s), 0) => format!("{module}!{}", s.name),
            (Some(s), d) => format!("{module}!{}+0x{d:x}", s.name),
            (None, 0) => module.to_owned(),
            (None, d) => format!("{module}+0x{d:x}"),
        })
    }
}

/// Without the memory and the loaded tables.
impl fmt::Debug for SymbolManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymbolManager").field("modules", &self.modules.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
