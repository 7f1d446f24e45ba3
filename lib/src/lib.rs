//! Says why a Windows process crashed or hung, from its minidump, on Linux, macOS and Windows.
//!
//! This is the crate to depend on: [`triage`] judges many dumps, [`Dump`] opens one and answers debugger commands,
//! [`diff`] compares dumps of one process, [`shrink`] writes a smaller dump with the same answers. What the answers are
//! made of is in [`document`]; [`forms`] writes it as JSON, HTML, SARIF and more. The layers below
//! (`dumpscope-engine`, `dumpscope-analyzers`, `dumpscope-symbols`, `dumpscope-core`) are there for who needs more of them, and
//! change more often.
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("app.dmp");
//! # std::fs::write(&path, dumpscope_fixtures::small::x64_crash().0.bytes())?;
//! let options = dumpscope::Options::new();
//! let mut dump = dumpscope::Dump::open(&path, &options)?;
//! let verdict = dump.triage().verdict.expect("an open dump has a verdict");
//! println!("{:?} ({:?}): {}", verdict.kind, verdict.confidence, verdict.summary);
//! # assert_eq!(verdict.kind, dumpscope::document::FindingKind::Crash);
//!
//! let stack = dump.exec("~1k");
//! assert!(stack.ok && stack.text.contains("demo"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod options;

pub use dumpscope_analyzers::Cancel;
pub use dumpscope_engine::diff::DiffDocument;
pub use dumpscope_engine::shrink::{Level, Shrunk};
pub use dumpscope_engine::{document, forms};
pub use options::Options;

use dumpscope_engine::batch::triage_target;
use dumpscope_engine::diff::DiffFailure;
use dumpscope_engine::shrink::{ShrinkError, ShrinkOptions};
use dumpscope_engine::{JsonSink, LineStatus, Session, run_line};
use dumpscope_symbols::{SymbolSource, SymbolState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A dump cannot be opened.
    #[error(transparent)]
    Open(#[from] dumpscope_core::OpenError),
    /// Dumps cannot be compared.
    #[error(transparent)]
    Diff(#[from] DiffFailure),
    /// No smaller dump was written.
    #[error(transparent)]
    Shrink(#[from] ShrinkError),
}

/// Judges the dumps that `paths` lead to: files, folders with their subfolders, patterns. What cannot be analyzed is a row
/// with an error; nothing fails as a whole.
#[must_use]
pub fn triage<P: AsRef<Path>>(paths: &[P], options: &Options) -> document::Document {
    dumpscope_engine::batch::triage(&owned(paths), &options.triage(), &|_| {})
}

/// Compares dumps of one process that were written one after the other: stuck, slow, spinning or idle.
///
/// # Errors
/// A dump cannot be opened, or they are not of one process.
pub fn diff<P: AsRef<Path>>(paths: &[P], options: &Options) -> Result<DiffDocument, Error> {
    Ok(dumpscope_engine::diff::diff(&owned(paths), &options.triage())?)
}

/// Writes a smaller dump that gives the same answers; [`Shrunk::differences`] tells where it does not. A dump that lies at
/// `output` is not replaced.
///
/// # Errors
/// The dump cannot be opened or the new one not be written.
pub fn shrink(input: &Path, output: &Path, level: Level, options: &Options) -> Result<Shrunk, Error> {
    let options = ShrinkOptions { level, triage: options.triage(), ..ShrinkOptions::default() };
    Ok(dumpscope_engine::shrink::shrink(input, output, &options, &|_| {})?)
}

fn owned<P: AsRef<Path>>(paths: &[P]) -> Vec<PathBuf> {
    paths.iter().map(|p| p.as_ref().to_owned()).collect()
}

/// An open dump with its symbols, and what is selected in it.
#[derive(Clone, Debug)]
pub struct Dump {
    session: Session,
}

/// What a command line printed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Output {
    /// As WinDbg prints it.
    pub text: String,
    /// The same as data: an entry for each report, as `exec --format json` writes them.
    pub json: serde_json::Value,
    /// False when a command failed; the text says why.
    pub ok: bool,
}

/// What is known of a module's names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleSymbols {
    /// The module's file name. Untrusted.
    pub module: String,
    /// Where its names come from. `None`: it has none.
    pub source: Option<SymbolSource>,
    /// What would be better, and why it is not there.
    pub missing: Option<String>,
}

impl Dump {
    /// Opens a dump, also one that is packed (`.zst`, `.gz`). Symbols are looked for when they are needed.
    ///
    /// # Errors
    /// It cannot be read, or is no dump.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Dump, Error> {
        let path = path.as_ref();
        let options = options.triage();
        let dump = dumpscope_core::model::Dump::open(path)?;
        let target = Arc::new(options.target(dump));
        let mut session = Session::new(path.display().to_string(), target);
        session.cancel = options.cancel;
        session.as_bare_engine();
        Ok(Dump { session })
    }

    /// Says why the process crashed or hung, with all that was found.
    #[must_use]
    pub fn triage(&self) -> document::DumpRow {
        triage_target(&self.session.path, &self.session.target, &self.session.cancel)
    }

    /// Runs a line of debugger commands: `~*k`, `!locks; !waits`. What is selected (`~1s`) stays selected. Commands that read or
    /// write files, or set where symbols are looked for, are refused: a line may come from somebody else.
    pub fn exec(&mut self, line: &str) -> Output {
        self.session.confined = true;
        let mut sink = JsonSink::new(true);
        let status = run_line(&mut self.session, line, &mut sink);
        let json = sink.into_value();
        let texts = json.as_array().into_iter().flatten().filter_map(|e| e.get("text")?.as_str());
        Output { text: texts.collect(), ok: status == LineStatus::Done, json }
    }

    /// Looks for the symbols of all modules and says what was found.
    #[must_use]
    pub fn symbols(&self) -> Vec<ModuleSymbols> {
        let symbols = &self.session.target.symbols;
        let all: Vec<usize> = (0..symbols.modules().len()).collect();
        symbols.load_now(&all, &|| self.session.cancel.is_cancelled());
        let source = |module| match symbols.state(module) {
            SymbolState::Loaded(source, _) => Some(source),
            _ => None,
        };
        let modules = symbols.modules().iter().enumerate();
        modules
            .map(|(i, m)| ModuleSymbols {
                module: m.file_name.clone(),
                source: source(i),
                missing: symbols.missing(i),
            })
            .collect()
    }
}
