//! `dumpscope exec`: debugger commands on a dump.

use crate::Exit;
use crate::args::{CommonArgs, ExecArgs, ExecFormat, LayoutArg};
use crate::batch;
use crate::console::Console;
use crate::host::{Files, read_script};
use crate::interrupt::{end_after, on_interrupt};
use crate::progress::Bar;
use crate::store;
use anyhow::Context;
use dumpscope_analyzers::Cancel;
use dumpscope_core::ThreadIdx;
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::{TriageOptions, files_of, grace};
use dumpscope_engine::{
    Guarded, JsonWriter, Layout, Line, LineStatus, RenderCx, Report, Role, Session, Sink, TextSink, run_line,
};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs the lines of `-c` and then the scripts of `-f`.
pub(crate) fn run(args: &ExecArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    // Scripts first: a wrong path is told before a large dump is unpacked.
    let lines = lines(args)?;
    let mut cancel = on_interrupt();
    let by_user = cancel.clone();
    if let Some(deadline) = args.budget.and_then(|b| Instant::now().checked_add(b)) {
        cancel = cancel.with_deadline(deadline);
        end_after(args.budget.map_or(Duration::MAX, |b| b.saturating_add(grace(b))));
    }
    let dumps = files_of(&args.dump);
    let [dump] = dumps.as_slice() else {
        let (pattern, count) = (args.dump.display(), dumps.len());
        anyhow::bail!("{pattern} means {count} dumps, and commands run on one");
    };
    let Some(mut session) = open(dump, common, &cancel, console) else {
        return Ok(ended(&cancel, &by_user, console).unwrap_or(Exit::BadDump));
    };
    let host = Arc::new(Files::default());
    session.host = Some(host.clone());
    for file in &args.natvis {
        // A bad file costs a warning.
        if let Err(why) = session.load_natvis(&file.display().to_string()) {
            console.error(&format!("{}: {why}", file.display()));
        }
    }
    let failed = match args.format {
        ExecFormat::Text => text(&mut session, &lines, args.echo, console)?,
        ExecFormat::Json => json(&mut session, &lines, console)?,
    };
    dumpscope_engine::Host::close_log(host.as_ref());
    if let Some(failure) = host.failure() {
        console.error(&failure);
    }
    let done = if failed && args.strict { Exit::BadDump } else { Exit::Done };
    Ok(ended(&cancel, &by_user, console).unwrap_or(done))
}

/// Says why the commands did not all run to their end.
fn ended(cancel: &Cancel, by_user: &Cancel, console: &Console) -> Option<Exit> {
    if by_user.is_cancelled() {
        console.error("stopped");
        return Some(Exit::Interrupted);
    }
    cancel.is_late().then(|| {
        console.error("the time budget was used up (--budget)");
        Exit::BadDump
    })
}

/// Opens a dump; on failure tells why.
fn open(path: &Path, common: &CommonArgs, cancel: &Cancel, console: &Console) -> Option<Session> {
    let bar = Bar::bytes(console);
    let opened = Dump::open_with(path, &mut |_, done, total| {
        bar.work("unpacking", done, total);
        !cancel.is_cancelled()
    });
    bar.clear();
    match opened {
        Ok(dump) => {
            let tables = batch::patterns(common).and_then(|p| Ok((p, batch::hints(common)?)));
            let (patterns, hints) = match tables {
                Ok((patterns, hints)) => (patterns.map(|p: (_, String)| p.0), hints.map(|h| h.0)),
                Err(error) => {
                    console.error(&format!("{error:#}"));
                    return None;
                }
            };
            let symbols = store::config(common, cancel, console);
            let options = TriageOptions { symbols, patterns, hints, ..TriageOptions::default() };
            let target = Arc::new(options.target(dump));
            let mut session = Session::new(path.display().to_string(), target);
            session.cancel = cancel.clone();
            session.as_bare_engine();
            session.sel.layout = match common.layout {
                LayoutArg::Classic => Layout::Classic,
                LayoutArg::Modern => Layout::Modern,
            };
            Some(session)
        }
        Err(_) if cancel.is_cancelled() => None,
        Err(error) => {
            console.error(&batch::open_error(path, &error));
            None
        }
    }
}

/// All command lines in their order. A script's lines are lines of their own.
fn lines(args: &ExecArgs) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    for command in &args.commands {
        if command == "-" {
            let script = read_script(io::stdin().lock()).context("reading the script from stdin")?;
            lines.extend(script.lines().map(str::to_owned));
        } else {
            lines.push(command.clone());
        }
    }
    for file in &args.file {
        let open = std::fs::File::open(file).and_then(read_script);
        let script = open.with_context(|| format!("reading the script {}", file.display()))?;
        lines.extend(script.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// Sends notes to stderr, all else on.
struct Noted<'a> {
    sink: &'a mut dyn Sink,
    console: &'a Console,
}

impl Sink for Noted<'_> {
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        self.sink.command(text, thread);
    }

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        self.sink.report(report, cx)
    }

    fn note(&mut self, text: &str) {
        self.console.note(text);
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.sink.progress(what, done, total);
    }
}

/// Prints text; says whether a command failed.
fn text(session: &mut Session, lines: &[String], echo: bool, console: &Console) -> anyhow::Result<bool> {
    let mut failed = false;
    let mut sink = TextSink::new(Guarded::new(console.out()), console.color());
    for line in lines {
        if echo {
            sink.line(&Line::new().role(Role::Prompt, session.prompt()).text(line.clone()));
        }
        match run_line(session, line, &mut Noted { sink: &mut sink, console }) {
            LineStatus::Quit | LineStatus::Stopped => break,
            LineStatus::Done => {}
            LineStatus::Failed => failed = true,
        }
    }
    sink.finish()?;
    Ok(failed)
}

/// Prints one JSON array; says whether a command failed.
fn json(session: &mut Session, lines: &[String], console: &Console) -> anyhow::Result<bool> {
    let mut failed = false;
    let mut sink = JsonWriter::new(console.out());
    for line in lines {
        match run_line(session, line, &mut Noted { sink: &mut sink, console }) {
            LineStatus::Quit | LineStatus::Stopped => break,
            LineStatus::Done => {}
            LineStatus::Failed => failed = true,
        }
    }
    sink.finish()?;
    Ok(failed)
}
