//! Scripts: conditions, loops, aliases, command files.

mod alias;
mod branch;
mod capture;
mod control;
mod each;
mod file;
mod foreach;
mod list;

use crate::command::{Command, CommandError, Extent};

pub(crate) use alias::{AD, AL, AS, AS_LINE};
pub(crate) use branch::{J, Z};
pub(crate) use control::{BLOCK, BREAK, CATCH, CONTINUE, DO, ELSE, FOR, IF, LEAVE, WHILE};
pub(crate) use each::{EACH_FRAME, EACH_MODULE};
pub(crate) use file::{JOINED, JOINED_ARGS, JOINED_REST, LINES, LINES_REST};
pub(crate) use foreach::FOREACH;
pub(crate) use list::LIST;

/// Most turns of a loop.
const MAX_TURNS: u64 = 10_000_000;

/// What the script commands have in common.
const BASE: Command = Command { extent: Extent::Block, group: "script", ..Command::BASE };

pub(crate) const SHELL: Command = Command {
    name: ".shell",
    aliases: &["!!"],
    extent: Extent::Semicolon,
    syntax: ".shell command",
    summary: "Refused: dumpscope starts no programs",
    help: "WinDbg runs a program here. dumpscope does not: a script that somebody sends must not be able to run \
           anything. To filter output, use `dumpscope exec` in a shell and a pipe.",
    examples: &[(".shell dir", "Says that it is refused")],
    run: |_, _, _| {
        Err(CommandError::noted(
            ".shell is refused: dumpscope starts no programs.",
            "To filter output run `dumpscope exec DUMP -c \"…\" | grep …` in a shell.",
        ))
    },
    outside: true,
    ..BASE
};

fn turns(n: u64) -> Result<(), CommandError> {
    if n >= MAX_TURNS {
        Err(CommandError::message("The loop was ended after 10000000 turns."))
    } else {
        Ok(())
    }
}
