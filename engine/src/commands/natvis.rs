//! `.nvload`, `.nvunload`, `.nvlist`: NatVis files in use.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::natvis::{File, Views, read};
use crate::session::Session;
use std::sync::Arc;

pub(crate) const NVLOAD: Command = Command {
    name: ".nvload",
    group: "types",
    syntax: ".nvload file",
    summary: "Reads a NatVis file, by which `dx` and `dv` then show objects",
    help: "The file is one of this machine. Of `DisplayString`, `StringView` and `Expand` what `dx` can show is used: `Item`, \
           `Synthetic`, `ExpandedItem`, `ArrayItems`, `IndexListItems`, `LinkedListItems`, `TreeItems`, `CustomListItems`, with \
           conditions. `.nvunload` puts a file away, `.nvlist` lists them.",
    examples: &[(".nvload types.natvis", "Reads a file of the current folder")],
    run: load,
    outside: true,
    ..Command::BASE
};

pub(crate) const NVUNLOAD: Command = Command {
    name: ".nvunload",
    group: "types",
    syntax: ".nvunload file",
    summary: "Puts a NatVis file away",
    help: "The file is named as `.nvload` named it.",
    examples: &[(".nvunload types.natvis", "Objects are shown without it")],
    run: unload,
    ..Command::BASE
};

pub(crate) const NVLIST: Command = Command {
    name: ".nvlist",
    group: "types",
    syntax: ".nvlist",
    summary: "Lists the NatVis files in use",
    help: "In the order in which they were read; the last one wins.",
    examples: &[(".nvlist", "The files")],
    run: list,
    ..Command::BASE
};

/// The file that a command names.
fn path<'a>(inv: &Invocation<'a>) -> Result<&'a str, CommandError> {
    let text = inv.args.trim();
    let text = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    match text {
        "" => Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required")),
        text => Ok(text),
    }
}

fn say(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}

/// Reads a file and puts it in use.
///
/// # Errors
/// Why it is no such file.
pub(crate) fn load_file(session: &mut Session, path: &str) -> Result<(), String> {
    let file = open(session, path)?;
    let mut views: Views = (*session.language.views).clone();
    views.files.push(Arc::new(file));
    session.language.views = Arc::new(views);
    Ok(())
}

fn open(session: &Session, path: &str) -> Result<File, String> {
    let host = session.host.as_ref().ok_or("this program reads no files here")?;
    let text = host.read_script(path).map_err(|e| e.text)?;
    read(path, &text).map_err(|e| e.0)
}

fn load(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let path = path(inv)?;
    if session.language.views.files.iter().any(|f| f.path == path) {
        return say(session, sink, &format!("The natvis file '{path}' has been already loaded"));
    }
    match load_file(session, path) {
        Ok(()) => say(session, sink, &format!("Successfully loaded visualizers in \"{path}\"")),
        Err(why) => Err(CommandError::message(format!("Unable to load visualizers in \"{path}\": {why}"))),
    }
}

fn unload(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let path = path(inv)?;
    let mut views: Views = (*session.language.views).clone();
    let before = views.files.len();
    views.files.retain(|f| f.path != path);
    if views.files.len() == before {
        return Err(CommandError::message(format!(
            "Unable to unload NatVis at \"{path}\": it is not loaded"
        )));
    }
    session.language.views = Arc::new(views);
    say(session, sink, &format!("Successfully unloaded NatVis at \"{path}\""))
}

fn list(session: &mut Session, _: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let files = &session.language.views.files;
    if files.is_empty() {
        return say(session, sink, "No NatVis files are loaded.");
    }
    let lines = files.iter().map(|f| Line(vec![Span::untrusted(Role::Plain, &f.path)])).collect();
    session.emit(sink, &Message(lines))
}
