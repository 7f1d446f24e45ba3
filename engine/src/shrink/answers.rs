//! What a dump answers: the triage document and the output of command lines, with and without symbols.

use super::{Level, ShrinkOptions, compare, less};
use crate::batch::{TriageOptions, one};
use crate::{Session, TextSink, run_line};
use dumpscope_core::Va;
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;
use serde_json::Value;
use std::sync::Arc;

/// Command lines by the level from which on they are asked.
const LINES: [(Level, &str); 9] = [
    (Level::Triage, "~*k"),
    (Level::Triage, "!locks"),
    (Level::Triage, "!script"),
    (Level::Stacks, "~*kb"),
    (Level::Stacks, "~*kv"),
    (Level::Stacks, "~*e !teb"),
    (Level::Stacks, "!peb"),
    (Level::Stacks, "lm"),
    (Level::Stacks, "!handle 0 0"),
];

/// Frames of a thread whose variables are looked at.
const FRAMES: u32 = 8;

/// Threads of which that is done.
const THREADS: usize = 256;

/// Parts of a row that speak of the file and not of the process.
const ASIDE: [&str; 4] = ["path", "dump", "warnings", "capabilities"];

/// The answers of one dump.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Of each symbol configuration.
    documents: Vec<Value>,
    /// Command lines and what they print.
    outputs: Vec<(String, String)>,
    /// What the documents alone read, by address.
    pub(super) needed: Vec<(Va, u64)>,
    /// What documents and command lines read, by address.
    pub(super) read: Vec<(Va, u64)>,
    /// Parts of images that the symbol and image path gave, when the dump is to be without them.
    pub(super) given: Vec<(Va, u64)>,
    /// What they asked for and did not get.
    pub(super) missed: Vec<(Va, u64)>,
}

/// How answers differ.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// Places of the document, command lines.
    pub(super) differences: Vec<String>,
    /// Texts that were redacted.
    pub(super) texts: usize,
}

/// Asks for everything that the options name.
pub(super) fn ask(dump: &Arc<Dump>, options: &ShrinkOptions) -> Answers {
    let mut out = Answers::default();
    // Without symbols first: image files that a symbol path leads to are laid into the memory for good.
    let bare = TriageOptions { symbols: SymbolConfig::default(), ..options.triage.clone() };
    let has_symbols =
        !options.triage.symbols.symbol_path.is_empty() || !options.triage.symbols.image_path.is_empty();
    // Without its images it answers only where they are.
    let has_bare = !(options.without_images && has_symbols);
    let mut sessions = Vec::new();
    for triage in [has_bare.then_some(&bare), has_symbols.then_some(&options.triage)].into_iter().flatten() {
        let target = Arc::new(triage.shared_target(dump.clone()));
        if options.without_images {
            out.given = less::given(&target);
        }
        let row = one::triaged("", &target, triage, &triage.cancel);
        let mut row = serde_json::to_value(row).unwrap_or_default();
        if let Some(fields) = row.as_object_mut() {
            ASIDE.iter().for_each(|name| drop(fields.remove(*name)));
        }
        out.documents.push(row);
        let mut session = Session::new(String::new(), target);
        session.cancel = triage.cancel.clone();
        sessions.push(session);
    }
    out.needed = dump.memory().recorded();
    out.missed = dump.memory().missed();
    for session in &mut sessions {
        for line in lines(dump, options) {
            if session.cancel.is_cancelled() {
                return out;
            }
            let text = print(session, &line);
            out.outputs.push((line, text));
        }
    }
    out.read = dump.memory().recorded();
    out
}

fn lines(dump: &Dump, options: &ShrinkOptions) -> Vec<String> {
    let own = LINES.iter().filter(|(level, _)| *level <= options.level).map(|(_, line)| (*line).to_owned());
    let mut out: Vec<String> = own.collect();
    if options.level == Level::Debugging {
        for thread in dump.threads().iter().take(THREADS) {
            let frames = (0..FRAMES).map(|f| format!(".frame 0n{f}; dv /t /v"));
            out.push(format!("~0n{}s; {}", thread.index.0, frames.collect::<Vec<_>>().join("; ")));
        }
    }
    out.extend(options.also.iter().cloned());
    out
}

fn print(session: &mut Session, line: &str) -> String {
    let mut sink = TextSink::new(Vec::new(), false);
    run_line(session, line, &mut sink);
    // Writing to memory does not fail.
    sink.finish().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

impl Answers {
    /// How other answers differ. `redacted`: texts may.
    pub(super) fn compare(&self, other: &Answers, redacted: bool) -> Compared {
        let mut out = Vec::new();
        let mut texts = 0;
        for (a, b) in self.documents.iter().zip(&other.documents) {
            compare::values("", a, b, redacted.then_some(&mut texts), &mut out);
        }
        if redacted {
            // Output of commands is text: where it may differ cannot be told from where it must not.
            return Compared { differences: out, texts };
        }
        for ((line, a), (_, b)) in self.outputs.iter().zip(&other.outputs) {
            if a != b {
                out.push(compare::texts(line, a, b));
            }
        }
        if self.outputs.len() != other.outputs.len() {
            out.push("the threads are not the same".into());
        }
        Compared { differences: out, texts }
    }
}
