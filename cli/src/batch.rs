//! `dumpscope DUMP...` and `dumpscope triage`: verdicts on many dumps.

use crate::Exit;
use crate::args::{CommonArgs, ConfidenceArg, OpenArgs, TriageArgs, TriageFormat};
use crate::console::Console;
use crate::demo;
use crate::formats;
use crate::interrupt::on_interrupt;
use crate::progress::Bar;
use crate::store;
use anyhow::Context;
use dumpscope_core::OpenError;
use dumpscope_engine::json::{ConfidenceName, DumpRow};
use dumpscope_engine::triage::{Buckets, Input, Progress, TriageOptions, find_dumps, triage_each};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest list of paths on stdin, bytes.
const MAX_LIST: u64 = 256 << 20;

/// `dumpscope DUMP...`: the triage text of each.
pub(crate) fn open(args: &OpenArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    if args.demo {
        let cancel = on_interrupt();
        let row = demo::row(store::config(common, &cancel, console), &cancel)?;
        let out: Box<dyn Write> = Box::new(console.out());
        if let Some(mut writer) = formats::writer(TriageFormat::Text, out, console.color(), common.verbose) {
            writer.row(&row)?;
            writer.end(&Buckets::default())?;
        }
        return Ok(Exit::Done);
    }
    if args.dumps.is_empty() {
        console.error("name a dump, or see --help");
        return Ok(Exit::Usage);
    }
    let inputs = args.dumps.iter().cloned().map(Input::Dump).collect();
    let batch = Batch { inputs, format: TriageFormat::Text, output: None, common, console };
    let outcome = batch.run(0, None, &mut |_| {})?;
    Ok(outcome.exit(false))
}

/// `dumpscope triage PATH...`.
pub(crate) fn triage(args: &TriageArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    if !formats::exists(args.format) {
        return crate::extras::not_yet(&format!("--format {}", value_name(args.format)), console);
    }
    let inputs = inputs(&args.paths)?;
    let batch = Batch { inputs, format: args.format, output: args.output.as_deref(), common, console };
    let mut found = false;
    let outcome = batch.run(args.jobs, args.budget, &mut |row| found |= has_kind(row, args))?;
    Ok(outcome.exit(found))
}

fn value_name(format: TriageFormat) -> String {
    use clap::ValueEnum;
    format.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

/// True when a finding (or the verdict) is of a kind that `--fail-on` names.
fn has_kind(row: &DumpRow, args: &TriageArgs) -> bool {
    let least = rank(match args.min_confidence {
        ConfidenceArg::Proven => ConfidenceName::Proven,
        ConfidenceArg::Strong => ConfidenceName::Strong,
        ConfidenceArg::Guess => ConfidenceName::Guess,
    });
    row.findings.iter().flatten().chain(&row.verdict).any(|f| {
        let kind = serde_json::to_value(f.kind).ok();
        let named = args.fail_on.iter().any(|k| kind.as_ref().and_then(|v| v.as_str()) == Some(k));
        named && rank(f.confidence) >= least
    })
}

fn rank(confidence: ConfidenceName) -> u8 {
    match confidence {
        ConfidenceName::Proven => 2,
        ConfidenceName::Strong => 1,
        _ => 0,
    }
}

/// Expands folders and patterns, and `-` to the lines of stdin.
fn inputs(named: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut out = Vec::new();
    for path in named {
        if path.as_os_str() == "-" {
            let mut list = String::new();
            let read = io::stdin().lock().take(MAX_LIST).read_to_string(&mut list);
            read.context("reading paths from stdin")?;
            let lines = list.lines().map(str::trim_end).filter(|l| !l.is_empty());
            out.extend(lines.flat_map(|l| find_dumps(Path::new(l))));
        } else {
            out.extend(find_dumps(path));
        }
    }
    Ok(out)
}

/// A batch and where its answer goes.
struct Batch<'a> {
    inputs: Vec<Input>,
    format: TriageFormat,
    output: Option<&'a Path>,
    common: &'a CommonArgs,
    console: &'a Console,
}

/// How a batch went.
struct Outcome {
    failed: u64,
    interrupted: bool,
}

impl Outcome {
    fn exit(&self, found: bool) -> Exit {
        match (self.interrupted, found, self.failed) {
            (true, ..) => Exit::Interrupted,
            (false, true, _) => Exit::Found,
            (false, false, 0) => Exit::Done,
            (false, false, _) => Exit::BadDump,
        }
    }
}

impl Batch<'_> {
    /// Analyzes and writes; `look` sees each row.
    fn run(
        self,
        jobs: usize,
        budget: Option<std::time::Duration>,
        look: &mut dyn FnMut(&DumpRow),
    ) -> anyhow::Result<Outcome> {
        let (out, color): (Box<dyn Write>, bool) = match self.output {
            Some(path) => (Box::new(create(path)?), false),
            None => (Box::new(self.console.out()), self.console.color()),
        };
        let Some(mut writer) = formats::writer(self.format, out, color, self.common.verbose) else {
            anyhow::bail!("this format is not in this version");
        };
        let cancel = on_interrupt();
        let symbols = store::config(self.common, &cancel, self.console);
        let options = TriageOptions { symbols, jobs, budget, cancel };
        let bar = Bar::dumps(self.inputs.len(), self.console);
        let finished = AtomicU64::new(0);
        let observer = |p: Progress| {
            let n = match p {
                Progress::Finished { .. } => finished.fetch_add(1, Ordering::Relaxed).saturating_add(1),
                _ => finished.load(Ordering::Relaxed),
            };
            bar.dump(&p, n);
        };

        let mut buckets = Buckets::default();
        let mut failed = 0u64;
        let mut written: io::Result<()> = Ok(());
        triage_each(&self.inputs, &options, &observer, &mut |row| {
            if let Some(error) = &row.error {
                failed = failed.saturating_add(1);
                bar.hide_while(|| self.console.error(&format!("{}: {}", row.path, error.message)));
            }
            look(&row);
            buckets.add(&row);
            if written.is_ok() {
                written = writer.row(&row);
                if written.is_err() {
                    // Nobody reads the rest: no reason to work on it.
                    options.cancel.cancel();
                }
            }
        });
        bar.clear();
        written?;
        writer.end(&buckets)?;
        Ok(Outcome { failed, interrupted: options.cancel.is_cancelled() })
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<std::fs::File>> {
    let file = std::fs::File::create(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(BufWriter::new(file))
}

/// One line about a dump that cannot be opened, with the file's name in front.
pub(crate) fn open_error(path: &Path, error: &OpenError) -> String {
    match error {
        // These two name the file already.
        OpenError::Io { .. } | OpenError::Unpack { .. } => error.to_string(),
        other => format!("{}: {other}", path.display()),
    }
}
