//! The search for one module's files.

use super::SymbolConfig;
use crate::image::{ImageError, ImageFile, PeHeaders};
use crate::locate::{self, Candidate, FileKey, FileKind, Place, SymbolPath};
use crate::provider::{Breakpad, Exports, SymbolProvider, pdb};
use crate::store::{Attempt, Client, Found, Outcome, Wanted};
use dumpscope_core::ModuleInfo;
use dumpscope_core::base::CodeView;
use dumpscope_core::base::text::escape;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

/// Longest part of a module's name in a message, characters.
const MAX_SHOWN_NAME: usize = 80;
/// Most lines of a module's search log.
const MAX_LOG: usize = 1000;

/// Asks whether to stop.
pub(super) type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// What a search left behind.
#[derive(Clone, Debug, Default)]
pub(super) struct Trail {
    /// Every place tried, and what it answered.
    pub(super) log: Vec<String>,
    /// Files that were there but could not be used, servers that did not do what they should.
    problems: Vec<String>,
    /// Servers that were not asked again.
    remembered: Vec<String>,
    /// A server refused or did not answer.
    pub(super) failed: bool,
    /// A file could not be written to a store.
    pub(super) unwritten: bool,
    /// Not all places were asked, because somebody said stop.
    pub(super) stopped: bool,
}

impl Trail {
    pub(super) fn note(&mut self, place: &str, outcome: &dyn Display) {
        if self.log.len() < MAX_LOG {
            self.log.push(format!("{}: {}", escape(place), escape(&outcome.to_string())));
        }
    }

    /// Writes down what a place answered. `taken` says what is found there.
    fn attempt(&mut self, attempt: &Attempt, taken: &str) {
        let Attempt { file, place, is_server, outcome } = attempt;
        match outcome {
            // The place is the file itself.
            Outcome::Found => self.note(place, &format!("{taken}, taken")),
            Outcome::Wrong(_) if !is_server => self.note(place, outcome),
            _ => self.note(&format!("{file} at {place}"), outcome),
        }
        let told = || escape(&format!("{place}: {outcome}")).into_owned();
        match outcome {
            Outcome::Wrong(why) if !is_server => self.problems.push(format!("{place} {}", escape(why))),
            Outcome::Wrong(_) | Outcome::Denied(_) | Outcome::Failure(_) | Outcome::Unwritable(_) => {
                self.problems.push(told());
            }
            Outcome::Skipped(_) if *is_server => self.problems.push(told()),
            Outcome::Remembered(_) => self.remembered.push(told()),
            _ => {}
        }
        self.failed |= matches!(outcome, Outcome::Failure(_) | Outcome::Denied(_));
        self.unwritten |= matches!(outcome, Outcome::Unwritable(_));
    }

    /// Takes over what the search for the image found out.
    pub(super) fn join(&mut self, image: &Trail) {
        let room = MAX_LOG.saturating_sub(self.log.len());
        self.log.extend(image.log.iter().take(room).cloned());
        self.problems.extend(image.problems.iter().cloned());
        self.remembered.extend(image.remembered.iter().cloned());
        self.failed |= image.failed;
        self.unwritten |= image.unwritten;
        self.stopped |= image.stopped;
    }
}

/// The outcome of the search for a module's image file.
#[derive(Debug, Default)]
pub(super) struct FoundImage {
    pub(super) file: Option<Arc<ImageFile>>,
    pub(super) trail: Trail,
}

impl FoundImage {
    /// A file that is known already.
    pub(super) fn known(file: Arc<ImageFile>) -> FoundImage {
        FoundImage { file: Some(file), ..FoundImage::default() }
    }
}

/// True for debug records that name a PDB.
fn names_pdb(record: &CodeView) -> bool {
    matches!(record, CodeView::Pdb70 { .. } | CodeView::Pdb20 { .. })
}

/// The search for one module's files.
pub(super) struct Search<'a> {
    module: &'a ModuleInfo,
    config: &'a SymbolConfig,
    client: Arc<Client>,
    stop: Stop<'a>,
    pub(super) trail: Trail,
}

impl<'a> Search<'a> {
    pub(super) fn new(module: &'a ModuleInfo, config: &'a SymbolConfig, stop: Stop<'a>) -> Search<'a> {
        let client = config.store.clone().unwrap_or_else(|| Arc::new(Client::local()));
        Search { module, config, client, stop, trail: Trail::default() }
    }

    /// Symbol files: the first PDB or Breakpad file along the path. What lies on this machine of the other kind is
    /// taken, too: each knows what the other does not.
    pub(super) fn symbols(&mut self) -> Vec<Arc<dyn SymbolProvider>> {
        let (module, places) = (self.module, self.places(&self.config.symbol_path, true));
        let record = module.codeview.as_ref().filter(|r| names_pdb(r));
        let code_id = format!("{:08X}{:x}", module.timestamp, module.size);
        let open = |path: &Path, shown: &Path, key: &FileKey| match (key.kind, record) {
            (FileKind::Pdb, Some(record)) => pdb::open_for(path, shown, record)
                .map(|f| f as Arc<dyn SymbolProvider>)
                .map_err(|e| e.to_string()),
            _ => Breakpad::open_as(path, shown, &key.id, &code_id)
                .map(|f| Arc::new(f) as Arc<dyn SymbolProvider>)
                .map_err(|e| e.to_string()),
        };
        let mut keys = locate::keys(module).0;
        keys.retain(|k| k.kind == FileKind::Breakpad || (k.kind == FileKind::Pdb && record.is_some()));
        let Some(first) = self.find(&places, &keys, &open, false) else { return Vec::new() };
        keys.retain(|k| k.kind != first.key.kind);
        let here: Vec<Candidate> = places.into_iter().filter(|c| !c.is_server()).collect();
        let second = self.find(&here, &keys, &open, true);
        std::iter::once(first).chain(second).map(|f| f.file).collect()
    }

    /// The module's image file on the image path, then on the symbol path, as WinDbg does. Servers are asked only when
    /// `fetch` says so.
    pub(super) fn image(mut self, fetch: bool) -> FoundImage {
        let module = self.module;
        let mut places = self.places(&self.config.image_path, fetch);
        places.extend(self.places(&self.config.symbol_path, fetch));
        let open = |path: &Path, shown: &Path, _: &FileKey| {
            ImageFile::open(path, shown, module).map(Arc::new).map_err(|e| e.to_string())
        };
        let mut keys = locate::keys(module).0;
        keys.retain(|k| k.kind == FileKind::Image);
        let found = self.find(&places, &keys, &open, false);
        FoundImage { file: found.map(|f| f.file), trail: self.trail }
    }

    /// The places of a path; servers only where they may be asked.
    fn places(&mut self, path: &str, fetch: bool) -> Vec<Candidate> {
        let mut places = SymbolPath::parse(path).candidates(self.config.cache.as_deref());
        let why = why_not_asked(self.config);
        if let (Some(why), true) = (why, fetch) {
            for c in &places {
                if let Place::Server(url) = &c.place {
                    self.trail.note(&url.to_string(), &format!("not asked ({why})"));
                }
            }
        }
        places.retain(|c| !c.is_server() || (fetch && why.is_none()));
        places
    }

    /// Asks the client. `quiet`: only what is found is worth a line.
    fn find<T>(
        &mut self,
        places: &[Candidate],
        keys: &[FileKey],
        open: &dyn Fn(&Path, &Path, &FileKey) -> Result<T, String>,
        quiet: bool,
    ) -> Option<Found<T>> {
        let cache = self.config.cache.as_deref();
        let (fresh, image) = (self.config.fresh, self.module.file_name.as_str());
        let wanted = Wanted { keys, image, open, cache, fresh, stop: self.stop };
        let fetched = self.client.find(places, &wanted);
        let taken = match fetched.found.as_ref().map(|f| f.key.kind) {
            Some(FileKind::Pdb) => "PDB",
            Some(FileKind::Breakpad) => "Breakpad symbols",
            Some(FileKind::Image) | None => "image file",
        };
        for attempt in fetched.attempts.iter().filter(|a| !quiet || a.outcome == Outcome::Found) {
            self.trail.attempt(attempt, taken);
        }
        self.trail.stopped |= fetched.found.is_none() && (self.stop)();
        fetched.found
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
                self.trail.note(&place, &format!("{} names", exports.len()));
                return Ok(Arc::new(exports));
            }
            Ok(_) => "exports nothing".to_owned(),
            Err(e) => e.to_string(),
        };
        self.trail.note(&place, &why);
        Err(format!("{place}: {why}"))
    }

    /// One line: what was looked for, where, and what to do.
    pub(super) fn missing(&self, in_memory: Option<&PeHeaders>) -> String {
        let path = SymbolPath::parse(&self.config.symbol_path);
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
        } else if self.trail.problems.is_empty() {
            let mut places: Vec<String> = Vec::new();
            let mut hints: Vec<String> = Vec::new();
            for c in path.candidates(self.config.cache.as_deref()) {
                self.describe(&c.place, &mut places, &mut hints);
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
            if let Some(remembered) = self.trail.remembered.first() {
                text.push_str(&format!("; {remembered}"));
            }
            text
        } else {
            format!("no symbols for {name}: needs {wanted}")
        };
        // One is enough for a line; the log has all.
        if let Some(problem) = self.trail.problems.first() {
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

    /// Names a place of the path for the user, and what it cannot do here.
    fn describe(&self, place: &Place, places: &mut Vec<String>, hints: &mut Vec<String>) {
        let text = match place {
            Place::Folder(dir) | Place::Store(dir) if self.config.cache.as_ref() == Some(dir) => {
                "the cache folder".to_owned()
            }
            Place::Folder(dir) | Place::Store(dir) => dir.display().to_string(),
            Place::Server(url) => match why_not_asked(self.config) {
                None => url.to_string(),
                Some(why) => return hints.push(format!("{url} was not asked ({why})")),
            },
            Place::Refused { text, why } => return hints.push(format!("{}: {why}", escape(text))),
        };
        if !places.contains(&text) {
            places.push(text);
        }
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
