//! `.echo`.

use crate::command::{Command, CommandError, Extent, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::{Layout, Session};

pub(crate) const ECHO: Command = Command {
    name: ".echo",
    extent: Extent::PlainToday,
    group: "script",
    syntax: ".echo text",
    summary: "Prints its text",
    help: "Prints the text up to the next `;`. A text in quotation marks may hold `;` and is printed without them.",
    examples: &[(".echo hello", "Prints `hello`"), (".echo \"a; b\"", "Prints `a; b`")],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Modern {
        return engine_echo(session, inv, sink);
    }
    let text = inv.args.trim();
    let text = text.strip_prefix('"').map_or(text, |t| t.strip_suffix('"').unwrap_or(t));
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}

/// As today's engine: a quoted text and nothing behind it, or all there is.
fn engine_echo(session: &Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if let Some(blank) = inv.args.chars().next().filter(|c| c.is_alphanumeric()) {
        let _ = blank;
        return Err(CommandError::caret(inv.text.len(), "Syntax error"));
    }
    let at = args.pos();
    let Some(body) = args.raw().strip_prefix('"') else {
        return show(session, sink, args.take_rest());
    };
    let end = body.find('"').unwrap_or(body.len());
    show(session, sink, body.get(..end).unwrap_or(""))?;
    args.advance(end + 2);
    let next = args.pos();
    if args.is_empty() {
        return Ok(());
    }
    let (text, until) = ("Extra character error in".to_owned(), at + 1 + end);
    Err(CommandError::Cut { at: next + 1, text, until, tail: String::new() })
}

fn show(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}
