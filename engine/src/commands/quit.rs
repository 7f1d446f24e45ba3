//! `q`.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::Sink;
use crate::session::Session;

pub(crate) const Q: Command = Command {
    name: "q",
    aliases: &["qq", "qd"],
    group: "session",
    syntax: "q | qq | qd",
    summary: "Leaves",
    help: "Ends the session. `qq` and `qd` do the same: there is no server to end and no process to detach from.",
    examples: &[("q", "Leaves")],
    run,
    ..Command::BASE
};

fn run(_: &mut Session, _: &Invocation<'_>, _: &mut dyn Sink) -> Result<(), CommandError> {
    Err(CommandError::Quit)
}
