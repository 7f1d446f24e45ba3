//! `dumpscope DUMP...` and `dumpscope triage`: verdicts on many dumps.

use crate::Exit;
use crate::args::{CommonArgs, ConfidenceArg, DiffArgs, OpenArgs, TriageArgs, TriageFormat};
use crate::console::Console;
use crate::demo;
use crate::interrupt::{Writing, on_interrupt};
use crate::list;
use crate::output::{create, read_table};
use crate::progress::Bar;
use crate::store;
use crate::worker;
use anyhow::Context;
use dumpscope_analyzers::hint_table::HintTable;
use dumpscope_analyzers::patterns::Patterns;
use dumpscope_core::OpenError;
use dumpscope_engine::TextSink;
use dumpscope_engine::batch::{
    Incidents, Input, LeftOut, Progress, Tables, TriageOptions, files_of, find_dumps, once_each, triage_each,
};
use dumpscope_engine::document::{Buckets, Confidence};
use dumpscope_engine::forms::{FailOn, Format, FormatOptions, Tail, writer};
use dumpscope_engine::known::KnownIssues;
use dumpscope_engine::redact::Redactor;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest list of paths on stdin, bytes.
const MAX_LIST: u64 = 256 << 20;

/// `dumpscope DUMP...`: the triage text of each.
pub(crate) fn open(args: &OpenArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    if args.demo {
        let cancel = on_interrupt();
        let row = demo::row(store::config(common, &cancel, console), &cancel)?;
        let options =
            FormatOptions { color: console.color(), verbose: common.verbose, ..FormatOptions::default() };
        let mut writer = writer(Format::Text, Box::new(console.out()), &options);
        writer.row(&row)?;
        writer.end(&Tail::default())?;
        return Ok(Exit::Done);
    }
    if args.dumps.is_empty() {
        // Without a terminal there is no start screen to choose from.
        let help = <crate::args::Cli as clap::CommandFactory>::command().render_help();
        let _ = write!(io::stderr(), "{help}");
        return Ok(Exit::Usage);
    }
    let inputs = once_each(args.dumps.iter().flat_map(|d| files_of(d)).map(Input::Dump).collect());
    let fail_on = FailOn::default();
    let batch = Batch { inputs, format: Format::Text, output: None, fail_on, common, console };
    Ok(batch.run(&Limits::default(), None, None)?.exit())
}

/// `dumpscope triage PATH...`.
pub(crate) fn triage(args: &TriageArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let inputs = inputs(&args.paths, console)?;
    if inputs.is_empty() {
        // Only the list on stdin can be empty: a path that leads to nothing is an error row.
        console.error("no dumps to look at: the list on stdin is empty");
        return Ok(Exit::Usage);
    }
    let (format, output, fail_on) = (format(args.format), args.output.as_deref(), fail_on(args));
    let batch = Batch { inputs, format, output, fail_on, common, console };
    let known = args.known.as_deref().map(crate::known::read).transpose()?;
    let redactor = crate::redact::redactor(&args.redact)?;
    let Limits { budget, .. } = Limits::default();
    let limits = Limits {
        jobs: args.jobs,
        budget: args.budget.unwrap_or(budget),
        memory: args.memory,
        in_process: args.in_process,
    };
    let outcome = batch.run(&limits, known, redactor.clone())?;
    crate::redact::tell(redactor.as_ref(), console);
    Ok(outcome.exit())
}

/// What a batch may use.
struct Limits {
    jobs: usize,
    budget: Duration,
    /// MiB.
    memory: Option<u64>,
    in_process: bool,
}

impl Default for Limits {
    /// With the grace no dump takes more than a minute.
    fn default() -> Limits {
        Limits { jobs: 0, budget: Duration::from_secs(55), memory: None, in_process: false }
    }
}

fn format(format: TriageFormat) -> Format {
    match format {
        TriageFormat::Text => Format::Text,
        TriageFormat::Json => Format::Json,
        TriageFormat::Jsonl => Format::Jsonl,
        TriageFormat::Markdown => Format::Markdown,
        TriageFormat::Html => Format::Html,
        TriageFormat::Sarif => Format::Sarif,
        TriageFormat::Junit => Format::Junit,
        TriageFormat::Github => Format::Github,
    }
}

/// What `--fail-on` and `--min-confidence` say.
fn fail_on(args: &TriageArgs) -> FailOn {
    // clap took only names of the engine's list.
    let kind = |name: &String| serde_json::from_value(name.as_str().into()).ok();
    let least = match args.min_confidence {
        ConfidenceArg::Proven => Confidence::Proven,
        ConfidenceArg::Strong => Confidence::Strong,
        ConfidenceArg::Guess => Confidence::Guess,
    };
    FailOn { kinds: args.fail_on.iter().filter_map(kind).collect(), least: Some(least) }
}

/// Expands folders and patterns, and `-` to the list on stdin. What is left out is told.
fn inputs(named: &[PathBuf], console: &Console) -> anyhow::Result<Vec<Input>> {
    let (mut out, mut left) = (Vec::new(), LeftOut::default());
    for path in named {
        if path.as_os_str() == "-" {
            let mut list = Vec::new();
            let read = io::stdin().lock().take(MAX_LIST + 1).read_to_end(&mut list);
            read.context("reading paths from stdin")?;
            anyhow::ensure!(list.len() as u64 <= MAX_LIST, "the list on stdin is larger than 256 MiB");
            out.extend(list::paths(&list).iter().flat_map(|l| find_dumps(l, &mut left)));
        } else {
            out.extend(find_dumps(path, &mut left));
        }
    }
    let found = out.len();
    let out = once_each(out);
    let twice = found.saturating_sub(out.len());
    if twice > 0 {
        console.note(&format!("{twice} paths lead to files that are there already: each file is told once"));
    }
    if let Some(first) = &left.first_link {
        let (links, first) = (left.links, first.display());
        console.note(&format!("links to folders are not followed: {links}, the first is {first}"));
    }
    Ok(out)
}

/// A batch and where its answer goes.
struct Batch<'a> {
    inputs: Vec<Input>,
    format: Format,
    output: Option<&'a Path>,
    fail_on: FailOn,
    common: &'a CommonArgs,
    console: &'a Console,
}

/// How a batch went.
struct Outcome {
    failed: u64,
    interrupted: bool,
    /// A kind of `--fail-on`.
    found: bool,
}

impl Outcome {
    fn exit(&self) -> Exit {
        match (self.interrupted, self.found, self.failed) {
            (true, ..) => Exit::Interrupted,
            (false, true, _) => Exit::Found,
            (false, false, 0) => Exit::Done,
            (false, false, _) => Exit::BadDump,
        }
    }
}

impl Batch<'_> {
    /// Analyzes and writes.
    fn run(
        self,
        limits: &Limits,
        known: Option<(Arc<KnownIssues>, String)>,
        redact: Option<Redactor>,
    ) -> anyhow::Result<Outcome> {
        let (out, color): (Box<dyn Write>, bool) = match self.output {
            Some(path) => {
                let file = create(path).with_context(|| format!("writing {}", path.display()))?;
                (Box::new(file), false)
            }
            None => (Box::new(self.console.out()), self.console.color()),
        };
        let format = FormatOptions { color, verbose: self.common.verbose, fail_on: self.fail_on.clone() };
        let mut writer = writer(self.format, out, &format);
        let cancel = on_interrupt();
        let symbols = store::config(self.common, &cancel, self.console);
        let (patterns, patterns_text) = patterns(self.common)?.unzip();
        let (hints, hints_text) = hints(self.common)?.unzip();
        let (known, known_text) = known.unzip();
        let tables = Tables { patterns: patterns_text, hints: hints_text, known: known_text };
        let workers = if limits.in_process { None } else { worker::workers(tables, limits.memory) };
        let (jobs, budget) = (limits.jobs, Some(limits.budget));
        let options =
            TriageOptions { symbols, jobs, budget, cancel, patterns, hints, known, redact, workers };
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
        let mut incidents = Incidents::default();
        let (mut failed, mut stopped) = (0u64, 0usize);
        let mut found = false;
        let mut written: io::Result<()> = Ok(());
        triage_each(&self.inputs, &options, &observer, &mut |row| {
            if row.error.as_ref().is_some_and(|e| e.kind == "stopped") {
                // One line says it of all of them.
                stopped = stopped.saturating_add(1);
            } else if let Some(error) = &row.error {
                failed = failed.saturating_add(1);
                bar.hide_while(|| self.console.error(&format!("{}: {}", row.path, error.message)));
            }
            found |= self.fail_on.first(&row).is_some();
            buckets.add(&row);
            incidents.add(&row);
            if written.is_ok() {
                let _writing = Writing::begin();
                written = writer.row(&row);
                if written.is_err() {
                    // Nobody reads the rest: no reason to work on it.
                    options.cancel.cancel();
                }
            }
        });
        bar.clear();
        let _writing = Writing::begin();
        written?;
        let mut incidents = incidents.rows();
        if let Some(redactor) = &options.redact {
            redactor.incidents(&mut incidents);
        }
        writer.end(&Tail { buckets: buckets.rows(), incidents: Some(incidents) })?;
        if options.cancel.is_cancelled() {
            let (done, all) = (self.inputs.len().saturating_sub(stopped), self.inputs.len());
            self.console.error(&format!("stopped after {done} of {all} dumps"));
        }
        Ok(Outcome { failed, interrupted: options.cancel.is_cancelled(), found })
    }
}

/// The user's patterns of waits before the built-in ones, and the file's text.
pub(crate) fn patterns(common: &CommonArgs) -> anyhow::Result<Option<(Arc<Patterns>, String)>> {
    let Some(path) = &common.patterns else { return Ok(None) };
    let text = read_table(path).with_context(|| format!("reading {}", path.display()))?;
    let own = Patterns::parse(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(Some((Arc::new(Patterns::built_in().with_overlay(own)), text)))
}

/// The user's hints laid over the built-in ones, and the file's text.
pub(crate) fn hints(common: &CommonArgs) -> anyhow::Result<Option<(Arc<HintTable>, String)>> {
    let Some(path) = &common.hints else { return Ok(None) };
    let text = read_table(path).with_context(|| format!("reading {}", path.display()))?;
    let own = HintTable::parse(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(Some((Arc::new(HintTable::built_in().with_overlay(own)), text)))
}

/// `dumpscope diff`.
pub(crate) fn diff(args: &DiffArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let cancel = on_interrupt();
    let symbols = store::config(common, &cancel, console);
    let (patterns, hints) = (patterns(common)?.map(|p| p.0), hints(common)?.map(|h| h.0));
    let options = TriageOptions { symbols, cancel, patterns, hints, ..TriageOptions::default() };
    let dumps: Vec<PathBuf> = args.dumps.iter().flat_map(|d| files_of(d)).collect();
    let document = match dumpscope_engine::diff::diff(&dumps, &options) {
        Ok(document) => document,
        Err(error) => {
            console.error(&error.to_string());
            let usage = matches!(error, dumpscope_engine::diff::DiffFailure::Compare(_));
            return Ok(if usage { Exit::Usage } else { Exit::BadDump });
        }
    };
    let mut out = console.out();
    if args.format == "json" {
        serde_json::to_writer_pretty(&mut out, &document)?;
        out.write_all(b"\n")?;
        out.flush()?;
    } else {
        let mut sink = TextSink::new(out, console.color());
        dumpscope_engine::diff::diff_lines(&document, &mut |line| sink.line(&line));
        sink.finish()?;
    }
    Ok(Exit::Done)
}

/// One line about a dump that cannot be opened, with the file's name in front.
pub(crate) fn open_error(path: &Path, error: &OpenError) -> String {
    match error {
        // These two name the file already.
        OpenError::Io { .. } | OpenError::Unpack { .. } => error.to_string(),
        other => format!("{}: {other}", path.display()),
    }
}
