//! The search for one module's files.

use super::SymbolConfig;
use crate::image::{ImageError, ImageFile, PeHeaders};
use crate::locate::{self, Candidate, Element, FileKind, Store, SymbolPath};
use crate::provider::{Breakpad, Exports, SymbolProvider, pdb};
use dumpscope_core::ModuleInfo;
use dumpscope_core::base::CodeView;
use dumpscope_core::base::text::escape;
use std::fmt::Display;
use std::sync::Arc;

/// Longest part of a module's name in a message, characters.
const MAX_SHOWN_NAME: usize = 80;
/// Most lines of a module's search log.
const MAX_LOG: usize = 1000;

/// The outcome of the search for a module's image file.
#[derive(Debug, Default)]
pub(super) struct FoundImage {
    pub(super) file: Option<Arc<ImageFile>>,
    log: Vec<String>,
    problems: Vec<String>,
    failed: bool,
}

impl FoundImage {
    /// A file that is known already.
    pub(super) fn known(file: Arc<ImageFile>) -> FoundImage {
        FoundImage { file: Some(file), ..FoundImage::default() }
    }
}

/// Looks for a module's image file on the image path, then on the symbol path, as WinDbg does.
/// Servers are asked only when `fetch` says so.
pub(super) fn image(module: &ModuleInfo, config: &SymbolConfig, fetch: bool) -> FoundImage {
    let mut search = Search::new(module);
    for path in [&config.image_path, &config.symbol_path] {
        let places = locate::candidates(module, &SymbolPath::parse(path), config.cache.as_deref());
        for c in places.iter().filter(|c| c.key.kind == FileKind::Image) {
            if !search.exists(c) {
                continue;
            }
            match ImageFile::open(&c.path, module) {
                Ok(file) => {
                    search.note(&c.path.display().to_string(), &"image file, taken");
                    let file = Some(Arc::new(file));
                    return FoundImage { file, log: search.log, ..FoundImage::default() };
                }
                Err(e) => search.refuse(c, &e),
            }
        }
    }
    if fetch && let Some(file) = search.fetched_image(config) {
        return FoundImage { file: Some(file), log: search.log, ..FoundImage::default() };
    }
    FoundImage { file: None, log: search.log, problems: search.problems, failed: search.failed }
}

/// True for debug records that name a PDB.
pub(super) fn names_pdb(record: &CodeView) -> bool {
    matches!(record, CodeView::Pdb70 { .. } | CodeView::Pdb20 { .. })
}

/// The search for one module's files.
pub(super) struct Search<'a> {
    pub(super) module: &'a ModuleInfo,
    pub(super) log: Vec<String>,
    /// Files that were there but could not be used.
    pub(super) problems: Vec<String>,
    /// What is not there is not noted.
    pub(super) only_found: bool,
    /// A server did not answer, or the cache could not be written.
    pub(super) failed: bool,
}

impl Search<'_> {
    pub(super) fn new(module: &ModuleInfo) -> Search<'_> {
        Search { module, log: Vec::new(), problems: Vec::new(), only_found: false, failed: false }
    }

    /// Takes over what the search for the image found out.
    pub(super) fn join(&mut self, image: &FoundImage) {
        let room = MAX_LOG.saturating_sub(self.log.len());
        self.log.extend(image.log.iter().take(room).cloned());
        self.problems.extend(image.problems.iter().cloned());
        self.failed |= image.failed;
    }

    /// The exports read from `place`; the text says why there are none.
    pub(super) fn exports(
        &mut self,
        place: &str,
        exports: Result<Exports, ImageError>,
    ) -> Result<Arc<dyn SymbolProvider>, String> {
        let place = format!("export table in {}", escape(place));
        let why = match exports {
            Ok(exports) if !exports.is_empty() => {
                self.note(&place, &format!("{} names", exports.len()));
                return Ok(Arc::new(exports));
            }
            Ok(_) => "exports nothing".to_owned(),
            Err(e) => e.to_string(),
        };
        self.note(&place, &why);
        Err(format!("{place}: {why}"))
    }

    pub(super) fn note(&mut self, place: &str, outcome: &dyn Display) {
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
    pub(super) fn pdb(&mut self, places: &[Candidate]) -> Option<Arc<dyn SymbolProvider>> {
        let record = self.module.codeview.as_ref().filter(|r| names_pdb(r))?;
        for c in places.iter().filter(|c| c.key.kind == FileKind::Pdb) {
            if !self.exists(c) {
                continue;
            }
            match pdb::open_for(&c.path, record) {
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
    pub(super) fn breakpad(&mut self, places: &[Candidate]) -> Option<Arc<dyn SymbolProvider>> {
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
        if !there && !self.only_found {
            self.note(&c.path.display().to_string(), &"not there");
        }
        there
    }

    /// One line: what was looked for, where, and what to do.
    pub(super) fn missing(
        &self,
        path: &SymbolPath,
        config: &SymbolConfig,
        in_memory: Option<&PeHeaders>,
    ) -> String {
        let (keys, refused) = locate::keys(self.module);
        let files: Vec<String> = keys
            .iter()
            .filter(|k| k.kind == FileKind::Pdb || k.kind == FileKind::Breakpad)
            .map(ToString::to_string)
            .collect();
        // A name out of a dump may be 64 KiB long; this is one line.
        let name: String = self.module.file_name.chars().take(MAX_SHOWN_NAME).collect();
        let name = escape(&name).into_owned();
        if files.is_empty() {
            return match refused.first() {
                Some(r) => format!("no symbols for {name}: {r}"),
                None => {
                    format!("no symbols for {name}: the dump does not say which symbol file belongs to it")
                }
            };
        }
        let wanted = escape(&files.join(" or ")).into_owned();
        let wanted = match self.module.codeview {
            Some(CodeView::Pdb70 { ref path, .. }) if path.is_empty() => {
                format!("a symbol file (the dump names no PDB for it; {wanted} would do)")
            }
            Some(_) => wanted,
            None => format!("a symbol file (the dump names none; {wanted} would do)"),
        };
        let mut text = if path.is_empty() {
            format!(
                "no symbols for {name}: needs {wanted}, and no symbol path is set (-y PATH or .sympath PATH)"
            )
        } else if self.problems.is_empty() {
            let mut places: Vec<String> = Vec::new();
            let mut hints: Vec<String> = Vec::new();
            for e in &path.elements {
                describe(e, &mut places, &mut hints, why_not_asked(config));
            }
            let looked = match places.is_empty() {
                true => "no place to look".to_owned(),
                false => places.join(", "),
            };
            let mut text = format!("no symbols for {name}: looked for {wanted} in {looked}");
            for hint in &hints {
                text.push_str(&format!("; {hint}"));
            }
            if hints.is_empty() {
                text.push_str(match path.urls().next() {
                    Some(_) => "; the folder of the build that made the module has it: .sympath+ FOLDER",
                    None => {
                        "; add a server (.symfix) or the folder of the build that made it (.sympath+ FOLDER)"
                    }
                });
            }
            text
        } else {
            format!("no symbols for {name}: needs {wanted}")
        };
        // One is enough for a line; the log has all.
        if let Some(problem) = self.problems.first() {
            text.push_str(&format!("; {problem}"));
        }
        // Long section names are `/4` and the like, offsets in a string table that no loader maps.
        if in_memory.is_some_and(|h| h.sections.iter().any(|s| s.name.starts_with('/'))) {
            text.push_str(
                "; the image in the dump seems to hold DWARF sections, but their names are not in memory: \
                 the file on an image path (-i PATH) would do",
            );
        }
        text
    }
}

/// Why servers are not asked at all.
fn why_not_asked(config: &SymbolConfig) -> Option<&'static str> {
    match (config.offline, &config.store) {
        (true, _) => Some("--offline"),
        (false, None) => Some("there is no store client"),
        (false, Some(_)) => None,
    }
}

/// Names an element of the path for the user, and what it cannot do here.
fn describe(element: &Element, places: &mut Vec<String>, hints: &mut Vec<String>, not_asked: Option<&str>) {
    const UNC: &str = "network shares can be opened on Windows only; mount it and give the folder";
    match element {
        Element::Folder(dir) => places.push(dir.display().to_string()),
        Element::Unc(unc) => {
            places.push(unc.clone());
            hints.push(format!("{unc}: {UNC}"));
        }
        Element::Chain(stores) => stores.iter().for_each(|s| store(s, places, hints, not_asked)),
        Element::Cache(s) => store(s, places, hints, not_asked),
        Element::Invalid { text, why } => hints.push(format!("\"{}\" in the path: {why}", escape(text))),
    }
    fn store(store: &Store, places: &mut Vec<String>, hints: &mut Vec<String>, not_asked: Option<&str>) {
        match store {
            Store::Dir(dir) => places.push(dir.display().to_string()),
            Store::Default => places.push("the cache folder".into()),
            Store::Url(url) => match not_asked {
                None => places.push(url.clone()),
                Some(why) => hints.push(format!("{url} was not asked ({why})")),
            },
            Store::Unc(unc) => {
                places.push(unc.clone());
                hints.push(format!("{unc}: {UNC}"));
            }
        }
    }
}
