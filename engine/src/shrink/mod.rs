//! A smaller dump that gives the same answers.
//!
//! All analyses run on a dump that notes which bytes they read; a new dump gets these bytes, some more around them by
//! [`Level`], and all streams. Then the new dump has to prove itself: it is asked the same, and what differs either makes it grow
//! (by what it was asked for and lacks) or is told.
//!
//! ```no_run
//! use dumpscope_engine::shrink::{ShrinkOptions, shrink};
//! let done = shrink("hang.dmp".as_ref(), "small.dmp".as_ref(), &ShrinkOptions::default(), &|_| {})?;
//! assert!(done.differences.is_empty());
//! # Ok::<(), dumpscope_engine::shrink::ShrinkError>(())
//! ```

mod answers;
mod compare;
mod less;
mod reach;
mod select;

use crate::batch::{TriageOptions, one::reason};
use crate::files::{refuse_pipe, spare_dumps};
use crate::redact::{NotRedacted, RedactLevel, Redaction, Redactor};
use answers::{Answers, Compared, ask};
use dumpscope_core::model::Dump;
use dumpscope_core::write::{self, COMMENT, Plan, WriteError, Written};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use tempfile::NamedTempFile;

/// What the small dump is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The triage document and the stacks: smallest.
    #[default]
    Triage,
    /// Whole stacks, thread and process blocks too.
    Stacks,
    /// What the stacks lead to as well, some pointers far: variables and objects can be looked at.
    Debugging,
}

impl Level {
    /// All levels, smallest first.
    pub const ALL: [Level; 3] = [Level::Triage, Level::Stacks, Level::Debugging];

    /// Bytes that are kept together: what lies beside a byte that was read is often wanted next.
    const fn line(self) -> u64 {
        match self {
            Level::Triage => 16,
            Level::Stacks | Level::Debugging => 64,
        }
    }

    /// `triage`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Triage => "triage",
            Level::Stacks => "stacks",
            Level::Debugging => "debugging",
        }
    }
}

/// How to shrink.
#[derive(Clone, Debug, Default)]
pub struct ShrinkOptions {
    /// What for.
    pub level: Level,
    /// Symbols and tables, as for triage. The answers without symbols are kept, too.
    pub triage: TriageOptions,
    /// Command lines whose bytes are wanted as well.
    pub also: Vec<String>,
    /// Most bytes of the new file: what makes it larger is left out, see [`Shrunk::left_out`].
    pub max_size: Option<u64>,
    /// Leave out code and constants of images whose files the symbol or image path gives.
    pub without_images: bool,
    /// Take out what is private.
    pub redact: Option<Redactor>,
    /// Replace a dump that lies where the new one goes.
    pub force: bool,
}

/// What was done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Shrunk {
    /// Bytes of the (unpacked) old dump.
    pub before: u64,
    /// The new one.
    pub written: Written,
    /// What was left out because it is wanted so or to keep within [`ShrinkOptions::max_size`], in the order in which it was.
    pub left_out: Vec<String>,
    /// How often it was made larger until it gave the same answers.
    pub grown: u32,
    /// How many texts of its answers differ because they were redacted.
    pub redacted: usize,
    /// How its answers differ all the same: places in the triage document, command lines. Of a redacted dump only the triage
    /// documents are compared, without the fields that hold texts: what commands print is text.
    pub differences: Vec<String>,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A packed dump is unpacked: bytes done, bytes of the packed file.
    Unpacking(u64, u64),
    /// The old dump is asked.
    Asking,
    /// The new dump is written: bytes done, all of them.
    Writing(u64, u64),
    /// The new dump is asked.
    Proving,
}

/// Why there is no new dump.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShrinkError {
    /// The old dump cannot be opened.
    #[error("{0}")]
    Open(String),
    /// The new file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: WriteError,
    },
    /// It would be larger than wanted, with nothing but streams and stacks.
    #[error("streams and stacks alone are {need} bytes, more than the {most} that --max-size allows")]
    TooLarge {
        /// Their size.
        need: u64,
        /// What was wanted.
        most: u64,
    },
    /// It cannot be redacted, so nothing was written.
    #[error("{0}")]
    Redact(&'static str),
    /// The user stopped it.
    #[error("stopped")]
    Stopped,
}

impl From<NotRedacted> for ShrinkError {
    fn from(why: NotRedacted) -> ShrinkError {
        match why {
            NotRedacted::TooMuch => ShrinkError::Redact("too much text to redact"),
            NotRedacted::Stopped => ShrinkError::Stopped,
        }
    }
}

/// Takes notes on how far the work is.
pub type Watch<'a> = &'a dyn Fn(Step);

/// How often the new dump may grow.
const MAX_ROUNDS: u32 = 8;

/// Writes a smaller dump to `output`, which appears when it is whole. Where its answers differ it is written all the same:
/// [`Shrunk::differences`] tells.
///
/// # Errors
/// The old dump cannot be opened or redacted, the new one cannot be written or would be too large, or the user stopped it.
pub fn shrink(
    input: &Path,
    output: &Path,
    options: &ShrinkOptions,
    watch: Watch<'_>,
) -> Result<Shrunk, ShrinkError> {
    let cancel = &options.triage.cancel;
    if options.redact.as_ref().is_some_and(|r| r.level() == RedactLevel::Strict) {
        // Texts that analyses read would have to be guessed among the bytes that they read.
        return Err(ShrinkError::Redact(
            "--redact=strict is for reports: a dump can only be redacted by rules",
        ));
    }
    let opened = Dump::open_with(input, &mut |_, done, total| {
        watch(Step::Unpacking(done, total));
        !cancel.is_cancelled()
    });
    let dump = match opened {
        Ok(dump) => Arc::new(dump),
        Err(_) if cancel.is_cancelled() => return Err(ShrinkError::Stopped),
        Err(e) => return Err(ShrinkError::Open(format!("{}: {}", input.display(), reason(&e)))),
    };
    let failed = |source| ShrinkError::Write { path: output.display().to_string(), source };
    spare(input, output, options.force).map_err(|e| failed(e.into()))?;
    // Before anybody reads: what is read once is remembered.
    dump.memory().record(if options.redact.is_some() { 1 } else { options.level.line() });
    watch(Step::Asking);
    let mut want = ask(&dump, options);
    let selected = select::memory(&dump, options.level, &want.read);
    let mut plan = Plan { memory: selected.memory, ..Plan::default() };
    plan.comment = Some(comment(&dump, options));
    if options.redact.is_some() {
        if !dump.is_windows() {
            return Err(ShrinkError::Redact("only dumps of Windows can be redacted"));
        }
        plan.only_known = true;
        plan.without = PRIVATE_STREAMS.to_vec();
    }
    let redaction = options.redact.as_ref().map(|r| Redaction::new(&dump, r)).transpose()?;
    if let Some(redaction) = &redaction {
        plan.edits = redaction.file().to_vec();
    }
    let mut out = Shrunk { before: dump.file_size(), ..Shrunk::default() };
    let most = options.max_size.unwrap_or(u64::MAX);
    less::fit(&dump, &want, options, &mut plan, &mut out.left_out).map_err(failed)?;
    loop {
        if cancel.is_cancelled() {
            return Err(ShrinkError::Stopped);
        }
        let measured = write::measure(&dump, &plan).map_err(failed)?;
        if measured.size > most {
            return Err(ShrinkError::TooLarge { need: measured.size, most });
        }
        if let Some(redaction) = &redaction {
            // Over what is written, which is not all that is wanted and more than that.
            plan.memory_edits = redaction
                .memory(&measured.kept, &want.needed, &selected.stacks, &|| !cancel.is_cancelled())?;
        }
        let file = create(output).map_err(|e| failed(e.into()))?;
        let mut buffered = BufWriter::new(&file);
        let written = write::write(&dump, &plan, &mut buffered, &mut |done, total| {
            watch(Step::Writing(done, total));
            !cancel.is_cancelled()
        });
        out.written = match written {
            Err(WriteError::Stopped) => return Err(ShrinkError::Stopped),
            other => other.map_err(failed)?,
        };
        buffered.flush().map_err(|e| failed(e.into()))?;
        drop(buffered);
        watch(Step::Proving);
        let Proof { compared, missed, needed } = prove(&file, &want, options)?;
        if cancel.is_cancelled() {
            return Err(ShrinkError::Stopped);
        }
        out.differences = compared.differences;
        out.redacted = compared.texts;
        if !out.differences.is_empty() && out.grown < MAX_ROUNDS {
            let before = out.written.memory;
            if options.redact.is_some() {
                want.needed.extend(needed);
            }
            let had = plan.memory.len();
            plan.memory.extend(missed);
            let more = write::measure(&dump, &plan).map_err(failed)?;
            if more.memory > before && more.size <= most {
                out.grown += 1;
                continue;
            }
            if more.size > most {
                out.left_out.push("what the new dump was asked for and lacks".into());
            }
            plan.memory.truncate(had);
        }
        place(file, output).map_err(|e| failed(e.into()))?;
        return Ok(out);
    }
}

/// Copies the dump as it is; a packed one is unpacked.
///
/// # Errors
/// The new file cannot be written.
pub fn copy(dump: &Dump, input: &Path, output: &Path, force: bool) -> Result<(), ShrinkError> {
    let write = || {
        spare(input, output, force)?;
        let mut file = create(output)?;
        file.write_all(dump.file_bytes())?;
        place(file, output)
    };
    let failed = |e: io::Error| ShrinkError::Write { path: output.display().to_string(), source: e.into() };
    write().map_err(failed)
}

/// Refuses the dump itself, and without `force` any dump.
fn spare(input: &Path, output: &Path, force: bool) -> io::Result<()> {
    refuse_pipe(output)?;
    // A device would be replaced by the new file.
    if output.metadata().is_ok_and(|m| !m.is_file()) {
        return Err(io::Error::other("this is no file: name another one"));
    }
    if is_same(input, output) {
        return Err(io::Error::other("this is the dump itself: name another file"));
    }
    if force { Ok(()) } else { spare_dumps(output) }
}

/// How the new dump answers.
struct Proof {
    compared: Compared,
    /// What it was asked for and lacks.
    missed: Vec<(dumpscope_core::Va, u64)>,
    /// What of it the triage documents need: output of commands loosens no redaction.
    needed: Vec<(dumpscope_core::Va, u64)>,
}

/// Asks the new dump what the old one was asked.
fn prove(file: &NamedTempFile, want: &Answers, options: &ShrinkOptions) -> Result<Proof, ShrinkError> {
    let opened = Dump::open(file.path()).map_err(|e| ShrinkError::Open(reason(&e)))?;
    let small = Arc::new(opened);
    small.memory().record(options.level.line());
    let have = ask(&small, options);
    let compared = want.compare(&have, options.redact.is_some());
    Ok(Proof { compared, missed: small.memory().missed(), needed: have.missed })
}

/// A file beside the wanted one, which no other program guesses.
fn create(output: &Path) -> io::Result<NamedTempFile> {
    let output = output.canonicalize().unwrap_or_else(|_| output.to_owned());
    let folder = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dumpscope-").suffix(".dmp");
    // The user's mask decides who may read it, as for any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Puts the new file where it is wanted: what a link leads to is replaced, not the link, and who could read the old file can
/// read the new one.
fn place(file: NamedTempFile, output: &Path) -> io::Result<()> {
    let output = output.canonicalize().unwrap_or_else(|_| output.to_owned());
    if let Ok(old) = output.metadata() {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.persist(output).map(drop).map_err(|e| e.error)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Streams that are private as a whole: tokens, the command line and the environment of Linux.
const PRIVATE_STREAMS: [u32; 3] = [19, 0x4767_0006, 0x4767_0007];

/// What the new dump says of itself.
fn comment(dump: &Dump, options: &ShrinkOptions) -> String {
    let redacted = match options.redact {
        Some(_) => {
            " REDACTED: texts that no analysis needs are zeros, names and secrets that rules find are pseudonyms."
        }
        None => "",
    };
    format!(
        "{COMMENT}: made smaller by dumpscope for {} from a dump of {} bytes. Memory that no analysis read is missing.{redacted}",
        options.level.name(),
        dump.file_size()
    )
}
