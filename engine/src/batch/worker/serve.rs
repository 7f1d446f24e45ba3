//! The side that works: reads dumps' names from stdin, writes their rows to stdout.

use super::wire::{Ask, Said, Setup};
use super::{ARGUMENT, SERVES, limit};
use crate::batch::{Progress, TriageOptions, one};
use crate::known::KnownIssues;
use dumpscope_analyzers::hint_table::HintTable;
use dumpscope_analyzers::patterns::Patterns;
use dumpscope_symbols::SymbolConfig;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest line that a worker takes, bytes.
const MAX_LINE: u64 = 64 << 20;
/// How often a worker says how far it is.
const OFTEN: Duration = Duration::from_millis(100);

/// Tells who started the worker how far a download is: file, bytes so far, all bytes when known.
pub type Progressed = Arc<dyn Fn(&str, u64, Option<u64>) + Send + Sync>;

/// Does a worker's work when this program was started as one ([`super::Workers::this_program`]), and then ends it;
/// else does nothing. The first thing that such a program calls.
///
/// Workers find what lies on this machine. A program that asks symbol servers gives its client to [`serve`].
pub fn worker_main() {
    SERVES.store(true, Ordering::Relaxed);
    if std::env::args_os().nth(1).is_some_and(|a| a == ARGUMENT) {
        std::process::exit(serve(&mut |_, _| {}));
    }
}

/// A worker's work until stdin ends; gives the exit code. `complete` gets the symbol configuration without a client and
/// may add one.
pub fn serve(complete: &mut dyn FnMut(&mut SymbolConfig, Progressed)) -> i32 {
    let lines = lines();
    let Some(options) = setup(&lines, complete) else { return 2 };
    let throttle = Throttle::default();
    for line in lines {
        let Ok(ask) = serde_json::from_slice::<Ask>(&line) else { return 2 };
        say(&Said::Begun);
        let observer = |p: Progress| {
            if let Progress::Unpacking { done, total, .. } = p
                && throttle.passes()
            {
                say(&Said::Unpacking { done, total });
            }
        };
        let row = one::triage_file(0, &PathBuf::from(ask.path), &options, &observer);
        if !say(&Said::row(row)) {
            return 1;
        }
    }
    0
}

/// The lines of stdin. The process ends with them, whatever it is doing: nobody waits for its answer any more.
fn lines() -> Receiver<Vec<u8>> {
    let (send, lines) = channel();
    let read = move || {
        let mut stdin = BufReader::new(std::io::stdin());
        while let Some(line) = super::process::line(&mut stdin, MAX_LINE) {
            if send.send(line).is_err() {
                return;
            }
        }
        std::process::exit(0);
    };
    let reader = std::thread::Builder::new().name("asked".into()).spawn(read);
    if reader.is_err() {
        std::process::exit(2);
    }
    lines
}

fn setup(
    lines: &Receiver<Vec<u8>>,
    complete: &mut dyn FnMut(&mut SymbolConfig, Progressed),
) -> Option<TriageOptions> {
    let setup: Setup = serde_json::from_slice(&lines.recv().ok()?).ok()?;
    if let Some(bytes) = setup.memory {
        limit::limit(bytes);
    }
    let mut symbols = SymbolConfig {
        symbol_path: setup.symbol_path,
        image_path: setup.image_path,
        cache: setup.cache.map(PathBuf::from),
        offline: setup.offline,
        store: None,
        fresh: setup.fresh,
    };
    let throttle = Throttle::default();
    complete(
        &mut symbols,
        Arc::new(move |file, done, total| {
            if throttle.passes() {
                say(&Said::Download { file: file.to_owned(), done, total });
            }
        }),
    );
    // They were read where they were given: what fails here did not fail there.
    let tables = setup.tables;
    let patterns = tables.patterns.and_then(|t| Patterns::parse(&t).ok());
    let hints = tables.hints.and_then(|t| HintTable::parse(&t).ok());
    let known = tables.known.and_then(|t| KnownIssues::parse(&t).ok());
    Some(TriageOptions {
        symbols,
        patterns: patterns.map(|p| Arc::new(Patterns::built_in().with_overlay(p))),
        hints: hints.map(|h| Arc::new(HintTable::built_in().with_overlay(h))),
        known: known.map(Arc::new),
        // What is left of it is for writing what was found.
        budget: setup.budget.map(|b| b.saturating_sub(b / 8)),
        ..TriageOptions::default()
    })
}

/// Lets something through, and then nothing for a while.
#[derive(Default)]
struct Throttle(Mutex<Option<Instant>>);

impl Throttle {
    fn passes(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = last.is_none_or(|l| l.elapsed() >= OFTEN);
        if passes {
            *last = Some(Instant::now());
        }
        passes
    }
}

/// Writes one line; false when nobody reads it.
fn say(said: &Said) -> bool {
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    said.write(&mut out).and_then(|()| out.flush()).is_ok()
}
