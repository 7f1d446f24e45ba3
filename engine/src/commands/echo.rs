//! `.echo`.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::Session;

pub(crate) const ECHO: Command = Command {
    name: ".echo",
    group: "script",
    syntax: ".echo text",
    summary: "Prints its text",
    help: "Prints the text up to the next `;`. A text in quotation marks may hold `;` and is printed without them.",
    examples: &[(".echo hello", "Prints `hello`"), (".echo \"a; b\"", "Prints `a; b`")],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let text = inv.args.trim();
    let text = text.strip_prefix('"').map_or(text, |t| t.strip_suffix('"').unwrap_or(t));
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}
