//! Where symbols are looked for: `.sympath .exepath .symfix`; `.reload`, `ld` and `!sym` in files of their own.

mod noisy;
mod reload;
mod validation;

pub(crate) use noisy::{SYM, tell_loaded};
pub(crate) use reload::{LD, RELOAD};

use crate::command::{Command, CommandError, Extent, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::Session;
use dumpscope_symbols::SymbolConfig;
use dumpscope_symbols::locate::SymbolPath;
use validation::PathReport;

/// Microsoft's server, which `.symfix` names.
const MICROSOFT: &str = "https://msdl.microsoft.com/download/symbols";

pub(crate) const SYMPATH: Command = Command {
    name: ".sympath",
    aliases: &[".sympath+"],
    // `;` separates the elements of a path: as in WinDbg the path is all that follows.
    extent: Extent::Line,
    group: "symbols",
    syntax: ".sympath[+] [path]",
    summary: "Shows or sets where symbols are looked for",
    help: "The path is all that follows on the line; `;` separates its elements: a folder, `srv*FOLDER*URL`, `cache*FOLDER`. \
           `.sympath+` adds to the path, `.sympath \"\"` empties it. Modules without a symbol file are looked for again when \
           they are next asked for; `.reload` also forgets those that were found.\n\n\
           Nothing is downloaded unless the path names a URL. `srv*` alone means the cache folder.",
    examples: &[
        (".sympath", "Shows the path and checks its elements"),
        (
            ".sympath srv*/tmp/symbols*https://msdl.microsoft.com/download/symbols",
            "A folder, filled from a server",
        ),
        (".sympath+ /builds/app", "Adds a folder"),
    ],
    run: |session, inv, sink| path(session, inv, sink, Which::Symbols),
    outside: true,
    ..Command::BASE
};

pub(crate) const EXEPATH: Command = Command {
    name: ".exepath",
    aliases: &[".exepath+"],
    extent: Extent::Line,
    group: "symbols",
    syntax: ".exepath[+] [path]",
    summary: "Shows or sets where program files are looked for",
    help: "As `.sympath`, for the modules' own files (`.exe`, `.dll`): their code fills what a small dump left out. The \
           symbol path is looked along, too.",
    examples: &[(".exepath", "Shows the path"), (".exepath+ /builds/app", "Adds a folder")],
    run: |session, inv, sink| path(session, inv, sink, Which::Images),
    outside: true,
    ..Command::BASE
};

pub(crate) const SYMFIX: Command = Command {
    name: ".symfix",
    aliases: &[".symfix+"],
    group: "symbols",
    syntax: ".symfix[+] [folder]",
    summary: "Sets the symbol path to Microsoft's server",
    help: "Symbols are downloaded into the folder, without one into the cache folder of the user. `.symfix+` adds this to the \
           path instead. Follow it with `.reload`. With `--offline` nothing is downloaded all the same.",
    examples: &[
        (".symfix; .reload", "Microsoft's symbols from now on"),
        (".symfix+ /tmp/symbols", "Adds it"),
    ],
    run: symfix,
    outside: true,
    ..Command::BASE
};

#[derive(Clone, Copy)]
enum Which {
    Symbols,
    Images,
}

impl Which {
    fn of(self, config: &mut SymbolConfig) -> &mut String {
        match self {
            Which::Symbols => &mut config.symbol_path,
            Which::Images => &mut config.image_path,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Which::Symbols => "Symbol search path is",
            Which::Images => "Executable image search path is",
        }
    }
}

fn path(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
    which: Which,
) -> Result<(), CommandError> {
    let typed = inv.cursor().take_rest();
    if !typed.is_empty() {
        let new = unquoted(typed);
        change(session, |config| {
            let path = which.of(config);
            if inv.name.ends_with('+') { add(path, new) } else { new.clone_into(path) }
        });
    }
    show(session, sink, which)
}

fn symfix(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let folder = unquoted(inv.cursor().take_rest());
    // A star or a semicolon would make it another path than the user asked for.
    if folder.contains(['*', ';']) {
        return Err(CommandError::message(
            "The folder of .symfix is one folder; see .sympath for whole paths.",
        ));
    }
    let new = format!("srv*{folder}*{MICROSOFT}");
    change(session, |config| {
        if inv.name.ends_with('+') { add(&mut config.symbol_path, &new) } else { config.symbol_path = new }
    });
    show(session, sink, Which::Symbols)
}

/// `"a b"` without its quotes, when they are around all of it.
fn unquoted(text: &str) -> &str {
    let inner = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.filter(|t| !t.contains('"')).unwrap_or(text).trim()
}

fn add(path: &mut String, new: &str) {
    if !path.is_empty() && !path.ends_with(';') {
        path.push(';');
    }
    path.push_str(new);
}

/// Changes the configuration, and with it what was not found.
fn change(session: &Session, edit: impl FnOnce(&mut SymbolConfig)) {
    let mut config = session.target.symbols.config();
    edit(&mut config);
    session.target.symbols.set_config(config);
}

/// Shows a path, and for the symbol path what its elements are.
fn show(session: &Session, sink: &mut dyn Sink, which: Which) -> Result<(), CommandError> {
    let mut config = session.target.symbols.config();
    let text = which.of(&mut config).clone();
    session.emit(sink, &PathReport::new(which.label(), matches!(which, Which::Symbols), text, &config))
}

/// What a user should know who named a server that cannot be asked. `None` when all is well.
fn offline_note(config: &SymbolConfig) -> Option<String> {
    let path = SymbolPath::parse(&config.symbol_path);
    let url = path.urls().next()?;
    let why = match (config.offline, &config.store) {
        (true, _) => "this session is --offline",
        (false, None) => "this session has no store client",
        (false, Some(_)) => return None,
    };
    Some(format!("{url} is not asked: {why}."))
}

fn note(text: &str) -> Line {
    Line(vec![Span::untrusted(Role::Note, text)])
}

fn say(session: &Session, sink: &mut dyn Sink, lines: Vec<Line>) -> Result<(), CommandError> {
    if lines.is_empty() { Ok(()) } else { session.emit(sink, &Message(lines)) }
}
