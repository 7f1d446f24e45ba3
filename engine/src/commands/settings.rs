//! Settings of the session and of the screen.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Sink};
use crate::session::{Layout, Session};

pub(crate) const LAYOUT: Command = Command {
    name: ".layout",
    group: "session",
    syntax: ".layout [classic | modern]",
    summary: "Shows or sets which WinDbg's layout the output has",
    help: "`classic` is WinDbg of 2016 and before: no frame numbers in `k`, narrow columns. `modern` is WinDbg of 2023.",
    examples: &[(".layout", "Shows the layout"), (".layout modern", "Frame numbers in k, wider columns")],
    run: layout,
    ..Command::BASE
};

pub(crate) const CLS: Command = Command {
    name: ".cls",
    group: "session",
    syntax: ".cls",
    summary: "Clears the screen",
    help: "Clears the screen or the command window. Nothing else changes.",
    examples: &[(".cls", "Clears it")],
    run: |session, inv, _| {
        inv.cursor().end()?;
        if let Some(host) = &session.host {
            host.clear_screen();
        }
        Ok(())
    },
    ..Command::BASE
};

pub(crate) const EXPR: Command = Command {
    name: ".expr",
    group: "expressions",
    syntax: ".expr [/s masm] [/q]",
    summary: "Shows which language expressions are in",
    help: "Expressions are MASM expressions unless they stand in `@@c++( )` or belong to `??`. The default cannot be \
           changed.",
    examples: &[(".expr", "Shows the language")],
    run: expr,
    ..Command::BASE
};

pub(crate) const ACCEPTED: Command = Command {
    name: ".prefer_dml",
    aliases: &[
        ".enable_long_status",
        ".enable_unicode",
        ".force_radix_output",
        ".ignore_missing_pages",
        ".outmask",
        ".echotimestamps",
    ],
    group: "session",
    syntax: ".prefer_dml [0 | 1]",
    summary: "Accepted and without effect",
    help: "Settings of WinDbg that scripts and runbooks contain and that have no meaning here: links are always there, \
           text is always Unicode, missing pages are always passed over.",
    examples: &[(".prefer_dml 1", "Nothing"), (".enable_long_status 1", "Nothing")],
    run: |_, _, _| Ok(()),
    ..Command::BASE
};

fn say(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line::plain(text)]))
}

fn layout(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    match args.word() {
        None => {}
        Some("classic") => session.sel.layout = Layout::Classic,
        Some("modern") => session.sel.layout = Layout::Modern,
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    }
    args.end()?;
    let name = if session.sel.layout == Layout::Modern { "modern" } else { "classic" };
    say(session, sink, &format!("Layout: {name}"))
}

fn expr(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    while let Some(switch) = args.switch() {
        if switch == "s" && !args.eat("masm") {
            return Err(CommandError::message(
                "Only MASM can be the default; @@c++( ) and ?? take C++ expressions.",
            ));
        }
    }
    args.end()?;
    say(session, sink, "Current expression evaluator: MASM - Microsoft Assembler expressions")
}
