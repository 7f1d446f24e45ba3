//! `j` and `z`: a choice and a loop in one line.

use super::BASE;
use crate::command::{Command, CommandError, Extent, Invocation, Jump};
use crate::doc::Sink;
use crate::lang::command_end;
use crate::run::run_block;
use crate::session::Session;

pub(crate) const J: Command = Command {
    name: "j",
    extent: Extent::Line,
    syntax: "j expression ['commands'] [; 'commands']",
    summary: "Runs one of two texts, as an expression says",
    help: "The first when the expression is not 0, else the second. Texts of several commands stand in single quotes.",
    examples: &[("j (@$ptrsize == 8) '.echo 64' ; '.echo 32'", "Tells the width of pointers")],
    run: choose,
    ..BASE
};

pub(crate) const Z: Command = Command {
    name: "z",
    extent: Extent::Semicolon,
    syntax: "commands ; z (expression)",
    summary: "Runs the line again while an expression is not 0",
    help: "Stands last on a line; the commands before it have run once when the expression is looked at.",
    examples: &[("r $t0 = 0; z (@$t0 > 0)", "Runs once")],
    run: |session, inv, _| {
        let mut args = inv.cursor();
        let again = args.expr(session)? != 0;
        args.end()?;
        if again { Err(CommandError::Jump(Jump::Redo)) } else { Ok(()) }
    },
    ..BASE
};

/// The commands at the start of a text: what is in single quotes, or up to the next `;`; and what follows.
fn part(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    if let Some(body) = text.strip_prefix('\'') {
        let end = body.find('\'').unwrap_or(body.len());
        return (body.get(..end).unwrap_or(body), body.get(end + 1..).unwrap_or(""));
    }
    let end = command_end(text);
    (text.get(..end).unwrap_or(text), text.get(end..).unwrap_or(""))
}

fn choose(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let holds = args.expr(session)? != 0;
    let (yes, rest) = part(args.raw());
    let no = rest.trim_start().strip_prefix(';').map_or("", |rest| part(rest).0);
    run_block(session, if holds { yes } else { no }, sink)
}
