//! The `dumpscope` program: arguments, files, progress, exit codes. What it says comes from the engine.
#![forbid(unsafe_code)]

mod args;
mod batch;
mod console;
mod demo;
mod exec;
mod extras;
mod host;
mod interrupt;
mod known;
mod list;
mod mcp;
mod output;
mod progress;
mod redact;
mod shrink;
mod store;
mod symbols;
mod tui;
mod worker;

use args::{Cli, Command};
use clap::Parser;
use console::Console;
use std::process::ExitCode;

/// What the program's exit code says: a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// A dump could not be analyzed, the others were; or a command failed (`exec --strict`).
    BadDump = 1,
    /// Wrong usage.
    Usage = 2,
    /// A kind of `--fail-on` was found.
    Found = 3,
    /// Stopped with Ctrl+C, as shells count it.
    Interrupted = 130,
}

fn main() -> ExitCode {
    // A worker is started often: it does not read arguments that it has not.
    if worker::is_asked() {
        return ExitCode::from(worker::run() as u8);
    }
    // clap prints help and usage errors itself and leaves with 0 or 2.
    let cli = Cli::parse();
    if let Some(error) = cli.misplaced() {
        error.exit();
    }
    let console = Console::new(&cli.common);
    let exit = run(&cli, &console).unwrap_or_else(|error| {
        if console::is_broken_pipe(&error) {
            // Who reads has seen enough (`| head`): no failure, and nobody to tell.
            return Exit::Done;
        }
        console.error(&format!("{error:#}"));
        Exit::Usage
    });
    ExitCode::from(exit as u8)
}

/// Errors are wrong usage (a file that cannot be written, a script that is not there); what is wrong with a dump is
/// told where it happens and is an exit code.
fn run(cli: &Cli, console: &Console) -> anyhow::Result<Exit> {
    match &cli.command {
        None if tui::is_possible() => tui::run(&cli.open, &cli.common, console),
        None => batch::open(&cli.open, &cli.common, console),
        Some(Command::Exec(exec)) => exec::run(exec, &cli.common, console),
        Some(Command::Triage(triage)) => batch::triage(triage, &cli.common, console),
        Some(Command::Diff(args)) => batch::diff(args, &cli.common, console),
        Some(Command::Symbols(symbols)) => symbols::run(symbols, &cli.common, console),
        Some(Command::Shrink(args)) => shrink::run(args, &cli.common, console),
        Some(Command::Known { command }) => known::run(command, console),
        Some(Command::Mcp(args)) => mcp::run(args, &cli.common, console),
        Some(Command::Worker) => Ok(worker::run()),
        Some(Command::Schema { of }) => extras::schema(*of),
        Some(Command::Completions { shell }) => extras::completions(*shell),
        Some(Command::Man) => extras::man(),
    }
}
