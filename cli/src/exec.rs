//! `dumpscope exec`: debugger commands on a dump.

use crate::Exit;
use crate::args::{CommonArgs, ExecArgs, ExecFormat, LayoutArg};
use crate::batch;
use crate::console::Console;
use crate::host::{Files, read_script};
use crate::interrupt::on_interrupt;
use crate::progress::Bar;
use crate::store;
use anyhow::Context;
use dumpscope_analyzers::Cancel;
use dumpscope_core::ThreadIdx;
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::TriageOptions;
use dumpscope_engine::{
    JsonSink, Layout, Line, LineStatus, RenderCx, Report, Role, Session, Sink, TextSink, run_line,
};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Runs the lines of `-c` and then the scripts of `-f`.
pub(crate) fn run(args: &ExecArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    // Scripts first: a wrong path is told before a large dump is unpacked.
    let lines = lines(args)?;
    let cancel = on_interrupt();
    let Some(mut session) = open(&args.dump, common, &cancel, console) else {
        return Ok(if cancel.is_cancelled() { Exit::Interrupted } else { Exit::BadDump });
    };
    let host = Arc::new(Files::default());
    session.host = Some(host.clone());
    for file in &args.natvis {
        // A bad file costs a warning.
        if let Err(why) = session.load_natvis(&file.display().to_string()) {
            console.error(&format!("{}: {why}", file.display()));
        }
    }
    let stopped = match args.format {
        ExecFormat::Text => text(&mut session, &lines, args.echo, console)?,
        ExecFormat::Json => json(&mut session, &lines, console)?,
    };
    dumpscope_engine::Host::close_log(host.as_ref());
    Ok(if stopped { Exit::Interrupted } else { Exit::Done })
}

/// Opens a dump; on failure tells why.
fn open(path: &Path, common: &CommonArgs, cancel: &Cancel, console: &Console) -> Option<Session> {
    let bar = Bar::bytes(console);
    let opened = Dump::open_with(path, &mut |_, done, total| {
        bar.unpacked(done, total);
        !cancel.is_cancelled()
    });
    bar.clear();
    match opened {
        Ok(dump) => {
            let tables = batch::patterns(common).and_then(|p| Ok((p, batch::hints(common)?)));
            let (patterns, hints) = match tables {
                Ok(tables) => tables,
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

/// Prints text; true when the user stopped it.
fn text(session: &mut Session, lines: &[String], echo: bool, console: &Console) -> anyhow::Result<bool> {
    let mut sink = TextSink::new(console.out(), console.color());
    let mut stopped = false;
    for line in lines {
        if echo {
            sink.line(&Line::new().role(Role::Prompt, session.prompt()).text(line.clone()));
        }
        match run_line(session, line, &mut Noted { sink: &mut sink, console }) {
            LineStatus::Quit => break,
            LineStatus::Stopped => {
                stopped = true;
                break;
            }
            LineStatus::Done | LineStatus::Failed => {}
        }
    }
    sink.finish()?;
    Ok(stopped)
}

/// Prints one JSON array; true when the user stopped it.
fn json(session: &mut Session, lines: &[String], console: &Console) -> anyhow::Result<bool> {
    let mut sink = JsonSink::new(false);
    let mut stopped = false;
    for line in lines {
        match run_line(session, line, &mut Noted { sink: &mut sink, console }) {
            LineStatus::Quit => break,
            LineStatus::Stopped => {
                stopped = true;
                break;
            }
            LineStatus::Done | LineStatus::Failed => {}
        }
    }
    let mut out = console.out();
    serde_json::to_writer_pretty(&mut out, &sink.into_value()).map_err(io::Error::from)?;
    writeln!(out)?;
    out.flush()?;
    Ok(stopped)
}
