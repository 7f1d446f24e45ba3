//! `*` and `$$`: comments.

use crate::command::{Command, CommandError, Extent, Glued, Invocation};
use crate::doc::Sink;
use crate::session::Session;

pub(crate) const STAR: Command = Command {
    name: "*",
    aliases: &[],
    glued: Glued::Anything,
    extent: Extent::Line,
    group: "script",
    syntax: "* text",
    summary: "Comment up to the end of the line",
    help: "The text is ignored, `;` included. `$$` is a comment up to the next `;`.",
    examples: &[("* this; and this is ignored", "Nothing")],
    needs: &[],
    run: ignore,
};

pub(crate) const DOLLAR: Command = Command {
    name: "$$",
    aliases: &[],
    glued: Glued::Anything,
    extent: Extent::Semicolon,
    group: "script",
    syntax: "$$ text",
    summary: "Comment up to the next `;`",
    help: "The text is ignored up to the next `;` or the end of the line.",
    examples: &[("$$ ignored; .echo seen", "Prints `seen`")],
    needs: &[],
    run: ignore,
};

fn ignore(_: &mut Session, _: &Invocation<'_>, _: &mut dyn Sink) -> Result<(), CommandError> {
    Ok(())
}
