//! `*` and `$$`: comments.

use crate::command::{Command, CommandError, Extent, Glued, Invocation};
use crate::doc::Sink;
use crate::session::Session;

pub(crate) const STAR: Command = Command {
    name: "*",
    glued: Glued::Anything,
    extent: Extent::Line,
    group: "script",
    syntax: "* text",
    summary: "Comment up to the end of the line",
    help: "The text is ignored, `;` included. `$$` is a comment up to the next `;`.",
    examples: &[("* this; and this is ignored", "Nothing")],
    run: ignore,
    ..Command::BASE
};

pub(crate) const DOLLAR: Command = Command {
    name: "$$",
    glued: Glued::Anything,
    group: "script",
    syntax: "$$ text",
    summary: "Comment up to the next `;`",
    help: "The text is ignored up to the next `;` or the end of the line.",
    examples: &[("$$ ignored; .echo seen", "Prints `seen`")],
    run: ignore,
    ..Command::BASE
};

fn ignore(_: &mut Session, _: &Invocation<'_>, _: &mut dyn Sink) -> Result<(), CommandError> {
    Ok(())
}
