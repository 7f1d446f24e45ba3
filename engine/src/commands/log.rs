//! `.logopen .logappend .logclose .logfile`: the log file, which the program around the engine keeps.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::host::Host;
use crate::session::{Layout, Session};
use std::sync::Arc;

pub(crate) const LOGOPEN: Command = Command {
    name: ".logopen",
    group: "session",
    syntax: ".logopen [/t] [/d] [/u] [file]",
    summary: "Writes commands and output to a file from now on",
    help: "Without a name the file is `dbgeng.log`. `/t` adds the process id and the dump's time to the name, `/d` makes \
           the name of the program's, `/u` is accepted: the file is always UTF-8. A file that exists is replaced; \
           `.logappend` goes on in it.",
    examples: &[(".logopen session.log; .logclose", "Starts a log and ends it")],
    run: |session, inv, sink| open(session, inv, sink, false),
    outside: true,
    ..Command::BASE
};

pub(crate) const LOGAPPEND: Command = Command {
    name: ".logappend",
    group: "session",
    syntax: ".logappend [/t] [/d] [/u] [file]",
    summary: "As .logopen, but goes on at the end of the file",
    help: "As `.logopen`; what the file holds already stays.",
    examples: &[(".logappend session.log; .logclose", "Goes on in a log and ends it")],
    run: |session, inv, sink| open(session, inv, sink, true),
    outside: true,
    ..Command::BASE
};

pub(crate) const LOGCLOSE: Command = Command {
    name: ".logclose",
    group: "session",
    syntax: ".logclose",
    summary: "Closes the log file",
    help: "Closes the file that `.logopen` or `.logappend` opened.",
    examples: &[(".logclose", "Closes it")],
    run: close,
    outside: true,
    ..Command::BASE
};

pub(crate) const LOGFILE: Command = Command {
    name: ".logfile",
    group: "session",
    syntax: ".logfile",
    summary: "Tells which log file is open",
    help: "Tells the name of the file that `.logopen` or `.logappend` opened.",
    examples: &[(".logfile", "The open file")],
    run: file,
    outside: true,
    ..Command::BASE
};

fn host(session: &Session) -> Result<Arc<dyn Host>, CommandError> {
    session.host.clone().ok_or_else(|| CommandError::message("Log files are not available here."))
}

fn say(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}

fn open(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
    append: bool,
) -> Result<(), CommandError> {
    let host = host(session)?;
    let mut args = inv.cursor();
    let (mut stamp, mut by_program) = (false, false);
    // A path on Unix starts with `/` too: only these three are switches.
    while matches!(args.peek(), "/t" | "/d" | "/u") {
        match args.switch() {
            Some("t") => stamp = true,
            Some("d") => by_program = true,
            _ => {}
        }
    }
    let given = match args.raw().trim_start().starts_with('"') {
        true => args.word().unwrap_or("").to_owned(),
        false => args.take_rest().to_owned(),
    };
    args.end()?;
    let mut path = match (given.as_str(), by_program) {
        ("", true) => format!("{}.log", program(session)),
        ("", false) => "dbgeng.log".to_owned(),
        _ => given,
    };
    if stamp || by_program {
        let pid = session.dump().pid().map_or(0, |p| p.0);
        let time =
            crate::fmt::rfc3339(session.dump().time()).replace(':', "-").replace('T', "_").replace('Z', "");
        let suffix = format!("_{pid:04x}_{time}");
        let dot =
            path.rfind('.').filter(|d| path.rfind(['/', '\\']).is_none_or(|s| s < *d)).unwrap_or(path.len());
        path.insert_str(dot, &suffix);
    }
    if let Some(old) = host.close_log() {
        say(session, sink, &format!("Closing open log file {old}"))?;
    }
    match host.open_log(&path, append) {
        Ok(()) => say(session, sink, &format!("Opened log file '{path}'")),
        Err(e) => Err(CommandError::noted(
            format!("Log file could not be opened, Win32 error 0n{}", e.win32),
            e.text,
        )),
    }
}

/// The program's name as part of a file name: letters and digits only.
fn program(session: &Session) -> String {
    let name = session.target.symbols.modules().first().map_or("dump", |m| m.name.as_str());
    let safe: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    if safe.is_empty() { "dump".to_owned() } else { safe }
}

fn close(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let host = host(session)?;
    // The message belongs into the file that it is about.
    match host.log_file() {
        Some(path) => {
            say(session, sink, &format!("Closing open log file {path}"))?;
            host.close_log();
            Ok(())
        }
        // Today's engine is silent.
        None if session.sel.layout == Layout::Modern => Ok(()),
        None => say(session, sink, "No log file open"),
    }
}

fn file(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    match host(session)?.log_file() {
        Some(path) => say(session, sink, &format!("Log '{path}' open")),
        None => say(session, sink, "No log file open"),
    }
}
