//! `.dump`: writes the dump anew, smaller or as it is.

use crate::batch::TriageOptions;
use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::Session;
use crate::shrink::{Level, ShrinkOptions, copy, shrink};
use std::path::Path;

pub(crate) const DUMP: Command = Command {
    name: ".dump",
    group: "dump",
    syntax: ".dump [/o] /m|/ma file",
    summary: "Writes a smaller dump that gives the same answers, or a copy",
    help: "`/m` keeps what triage and the stacks read, and proves that the new dump gives the same answers, as `dumpscope \
           shrink` does; `/mi` keeps what pointers on the stacks lead to as well. `/ma`, `/mf` and `/f` copy the dump (a packed one is \
           unpacked). A dump of that name is replaced with `/o` only. Other letters behind `/m` are accepted.",
    examples: &[(".dump /m small.dmp", "A dump that can be sent")],
    run,
    outside: true,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut force, mut all, mut level) = (false, false, Level::Triage);
    // A path on Unix starts with `/` too: only these are switches.
    while let Some(flag) = args.peek().strip_prefix('/') {
        match flag {
            "o" => force = true,
            // WinDbg's old word for all memory.
            "f" => all = true,
            m if m.starts_with('m') && m.chars().skip(1).all(|c| c.is_ascii_alphabetic()) => {
                all = m.contains(['a', 'A', 'f']);
                level = if m.contains(['i', 'p', 'w']) { Level::Debugging } else { Level::Triage };
            }
            _ => break,
        }
        let _ = args.switch();
    }
    let path = match args.raw().trim_start().starts_with('"') {
        true => args.word().unwrap_or("").to_owned(),
        false => args.take_rest().trim().to_owned(),
    };
    args.end()?;
    if path.is_empty() {
        return Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required"));
    }
    if session.host.is_none() {
        return Err(CommandError::message("Dumps are not written here."));
    }
    let say = |sink: &mut dyn Sink, text: &str| {
        session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
    };
    say(sink, &format!("Creating {path} - mini user dump"))?;
    let triage = TriageOptions {
        symbols: session.target.symbols.config(),
        cancel: session.cancel.clone(),
        ..TriageOptions::default()
    };
    let options = ShrinkOptions { level, triage, force, ..ShrinkOptions::default() };
    if all {
        copy(session.dump(), Path::new(&session.path), Path::new(&path), force)
            .map_err(|e| CommandError::message(e.to_string()))?;
        return say(sink, "Dump successfully written");
    }
    let done = shrink(Path::new(&session.path), Path::new(&path), &options, &|_| {});
    let done = done.map_err(|e| CommandError::message(e.to_string()))?;
    for difference in &done.differences {
        say(sink, &format!("Another answer: {difference}"))?;
    }
    say(sink, &format!("Dump successfully written, {} of {} bytes", done.written.size, done.before))
}
