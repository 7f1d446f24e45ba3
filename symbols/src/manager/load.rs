//! Finds and opens what is known of one module.

use super::{SymbolConfig, SymbolState};
use crate::image::PeHeaders;
use crate::locate::{self, Candidate, Element, FileKind, Store, SymbolPath};
use crate::provider::{Breakpad, Exports, SymbolProvider, pdb};
use dumpscope_core::base::CodeView;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ModuleInfo, ReadMemory};
use std::fmt::Display;
use std::sync::Arc;

/// Most lines of a module's search log.
const MAX_LOG: usize = 1000;

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
}

/// Loads a module.
pub(super) fn load(module: &ModuleInfo, mem: &dyn ReadMemory, config: &SymbolConfig) -> Loaded {
    let mut search = Search { module, log: Vec::new(), problems: Vec::new() };
    let mut providers: Vec<Arc<dyn SymbolProvider>> = Vec::new();
    let path = SymbolPath::parse(&config.symbol_path);
    let places = locate::candidates(module, &path, config.cache.as_deref());
    providers.extend(search.pdb(&places));
    providers.extend(search.breakpad(&places));
    let missing = providers.is_empty().then(|| search.missing(&path, config.offline));
    const PLACE: &str = "export table in the dump's memory";
    let no_exports = match PeHeaders::read(mem, module.base).and_then(|h| Exports::read(mem, module.base, &h))
    {
        Ok(exports) if exports.is_empty() => "exports nothing".to_owned(),
        Ok(exports) => {
            search.note(PLACE, &format!("{} names", exports.len()));
            providers.push(Arc::new(exports));
            String::new()
        }
        Err(e) => e.to_string(),
    };
    if !no_exports.is_empty() {
        search.note(PLACE, &no_exports);
    }
    providers.sort_by_key(|p| p.source());
    let state = match (providers.first(), &missing) {
        (Some(best), _) => SymbolState::Loaded(best.source(), best.file().map(str::to_owned)),
        (None, missing) => {
            let missing = missing.as_deref().unwrap_or_default();
            SymbolState::NotFound(format!("{missing}; {PLACE}: {no_exports}"))
        }
    };
    Loaded { providers: providers.into(), state, missing, log: search.log }
}

/// The search for one module's files.
struct Search<'a> {
    module: &'a ModuleInfo,
    log: Vec<String>,
    /// Files that were there but could not be used.
    problems: Vec<String>,
}

impl Search<'_> {
    fn note(&mut self, place: &str, outcome: &dyn Display) {
        if self.log.len() < MAX_LOG {
            self.log.push(format!("{}: {}", escape(place), escape(&outcome.to_string())));
        }
    }

    fn refuse(&mut self, candidate: &Candidate, why: &dyn Display) {
        let place = candidate.path.display().to_string();
        self.note(&place, why);
        self.problems.push(format!("{} {}", escape(&place), escape(&why.to_string())));
    }

    /// The first PDB that belongs to the module.
    fn pdb(&mut self, places: &[Candidate]) -> Option<Arc<dyn SymbolProvider>> {
        let Some(CodeView::Pdb70 { guid, age, .. }) = &self.module.codeview else { return None };
        for c in places.iter().filter(|c| c.key.kind == FileKind::Pdb) {
            if !self.exists(c) {
                continue;
            }
            match pdb::open(&c.path, Some((guid, *age))) {
                Ok(file) => {
                    self.note(&c.path.display().to_string(), &"PDB, taken");
                    return Some(file);
                }
                Err(e) => self.refuse(c, &e),
            }
        }
        None
    }

    /// The first Breakpad file that belongs to the module.
    fn breakpad(&mut self, places: &[Candidate]) -> Option<Arc<dyn SymbolProvider>> {
        let code_id = format!("{:08X}{:x}", self.module.timestamp, self.module.size);
        for c in places.iter().filter(|c| c.key.kind == FileKind::Breakpad) {
            if !self.exists(c) {
                continue;
            }
            match Breakpad::open(&c.path, &c.key.id, &code_id) {
                Ok(file) => {
                    self.note(&c.path.display().to_string(), &"Breakpad symbols, taken");
                    return Some(Arc::new(file));
                }
                Err(e) => self.refuse(c, &e),
            }
        }
        None
    }

    fn exists(&mut self, c: &Candidate) -> bool {
        let there = c.path.is_file();
        if !there {
            self.note(&c.path.display().to_string(), &"not there");
        }
        there
    }

    /// One line: what was looked for, where, and what to do.
    fn missing(&self, path: &SymbolPath, offline: bool) -> String {
        let (keys, refused) = locate::keys(self.module);
        let files: Vec<String> = keys
            .iter()
            .filter(|k| k.kind == FileKind::Pdb || k.kind == FileKind::Breakpad)
            .map(ToString::to_string)
            .collect();
        let name = escape(&self.module.file_name).into_owned();
        if files.is_empty() {
            return match refused.first() {
                Some(r) => format!("no symbols for {name}: {r}"),
                None => {
                    format!("no symbols for {name}: the dump does not say which symbol file belongs to it")
                }
            };
        }
        let wanted = escape(&files.join(" or ")).into_owned();
        if path.is_empty() {
            return format!(
                "no symbols for {name}: needs {wanted}, and no symbol path is set (-y PATH or .sympath PATH)"
            );
        }
        if let Some(problem) = self.problems.first() {
            return format!("no symbols for {name}: needs {wanted}; {problem}");
        }
        let mut places: Vec<String> = Vec::new();
        let mut hints: Vec<String> = Vec::new();
        for e in &path.elements {
            describe(e, &mut places, &mut hints, offline);
        }
        let hints = if hints.is_empty() { String::new() } else { format!("; {}", hints.join("; ")) };
        format!("no symbols for {name}: looked for {wanted} in {}{hints}", places.join(", "))
    }
}

/// Names an element of the path for the user, and what it cannot do here.
fn describe(element: &Element, places: &mut Vec<String>, hints: &mut Vec<String>, offline: bool) {
    const UNC: &str = "network shares can be opened on Windows only; mount it and give the folder";
    match element {
        Element::Folder(dir) => places.push(dir.display().to_string()),
        Element::Unc(unc) => {
            places.push(unc.clone());
            hints.push(format!("{unc}: {UNC}"));
        }
        Element::Chain(stores) => stores.iter().for_each(|s| store(s, places, hints, offline)),
        Element::Cache(s) => store(s, places, hints, offline),
        Element::Invalid { text, why } => hints.push(format!("\"{}\" in the path: {why}", escape(text))),
    }
    fn store(store: &Store, places: &mut Vec<String>, hints: &mut Vec<String>, offline: bool) {
        match store {
            Store::Dir(dir) => places.push(dir.display().to_string()),
            Store::Default => places.push("the cache folder".into()),
            Store::Url(url) => {
                places.push(url.clone());
                if offline {
                    hints.push(format!("{url} was not asked (--offline)"));
                }
            }
            Store::Unc(unc) => {
                places.push(unc.clone());
                hints.push(format!("{unc}: {UNC}"));
            }
        }
    }
}
