//! `$< $>< $$< $$>< $$>a<`: command files. The program around the engine reads them.

use super::BASE;
use crate::command::{Command, CommandError, Extent, Glued, Invocation};
use crate::doc::Sink;
use crate::lang::expand;
use crate::run::{run_block, run_lines};
use crate::session::Session;
use std::collections::BTreeMap;

const HELP: &str = "`$<` and `$$<` run the file's lines one by one, as if typed. `$><`, `$$><` and `$$>a<` join the lines \
with `;` and run them as one block, so that `.if` and loops may go over several lines. `$<` and `$><` take the rest of the \
line as the file's name; the `$$` forms take it up to the next `;`, with quotes if need be. `$$>a<` gives the words behind \
the name to the script as `${$arg1}`, `${$arg2}`, …";

/// What the commands that run files have in common.
const FILE: Command =
    Command { glued: Glued::Anything, extent: Extent::Line, help: HELP, outside: true, ..BASE };

pub(crate) const LINES_REST: Command = Command {
    name: "$<",
    syntax: "$<file",
    summary: "Runs the commands in a file, line by line",
    examples: &[("$<script.txt", "Runs script.txt")],
    run: |session, inv, sink| {
        let text = read(session, inv.args.trim())?;
        run_lines(session, &text, sink)
    },
    ..FILE
};

pub(crate) const JOINED_REST: Command = Command {
    name: "$><",
    syntax: "$><file",
    summary: "Runs the commands in a file as one block",
    examples: &[("$><script.txt", "Runs script.txt")],
    run: |session, inv, sink| {
        let text = joined(&read(session, inv.args.trim())?);
        run_block(session, &text, sink)
    },
    ..FILE
};

pub(crate) const LINES: Command = Command {
    name: "$$<",
    extent: Extent::Semicolon,
    syntax: "$$<file",
    summary: "Runs the commands in a file, line by line",
    examples: &[("$$<script.txt; .echo done", "Runs script.txt, then prints `done`")],
    run: |session, inv, sink| {
        let (path, _) = path_and_args(inv);
        let text = read(session, path)?;
        run_lines(session, &text, sink)
    },
    ..FILE
};

pub(crate) const JOINED: Command = Command {
    name: "$$><",
    extent: Extent::Semicolon,
    syntax: "$$><file",
    summary: "Runs the commands in a file as one block",
    examples: &[("$$><script.txt; .echo done", "Runs script.txt, then prints `done`")],
    run: |session, inv, sink| {
        let (path, _) = path_and_args(inv);
        let text = joined(&read(session, path)?);
        run_block(session, &text, sink)
    },
    ..FILE
};

pub(crate) const JOINED_ARGS: Command = Command {
    name: "$$>a<",
    extent: Extent::Semicolon,
    syntax: "$$>a<file [argument]…",
    summary: "Runs the commands in a file as one block, with arguments",
    examples: &[("$$>a<script.txt one two", "Runs script.txt with two arguments")],
    run: with_arguments,
    ..FILE
};

/// Most scripts that one line may run, those within scripts counted. Nesting is limited too, but two scripts that
/// include each other twice would still run 2^depth times.
const MAX_SCRIPTS: u32 = 4_096;

/// Reads a file through the host.
pub(super) fn read(session: &mut Session, path: &str) -> Result<String, CommandError> {
    if session.language.scripts >= MAX_SCRIPTS {
        return Err(CommandError::message("Too many scripts are run by one line."));
    }
    session.language.scripts += 1;
    let Some(host) = &session.host else {
        return Err(CommandError::message("Command files are not available here."));
    };
    host.read_script(path).map_err(|e| {
        let text = if e.win32 == 2 { "The system cannot find the file specified." } else { e.text.as_str() };
        CommandError::message(format!(
            "Command file execution failed, Win32 error 0n{}\n    \"{text}\"",
            e.win32
        ))
    })
}

/// Lines joined with `;`. A comment with `*` would swallow what follows: such lines are left out.
fn joined(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('*'));
    lines.collect::<Vec<_>>().join(";")
}

fn path_and_args<'a>(inv: &Invocation<'a>) -> (&'a str, &'a str) {
    let text = inv.args.trim();
    if let Some(body) = text.strip_prefix('"') {
        let end = body.find('"').unwrap_or(body.len());
        return (body.get(..end).unwrap_or(""), body.get(end + 1..).unwrap_or("").trim());
    }
    (text, "")
}

fn with_arguments(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let (path, args) = match inv.args.trim_start().starts_with('"') {
        true => path_and_args(inv),
        false => {
            let text = inv.args.trim();
            text.split_once(char::is_whitespace).unwrap_or((text, ""))
        }
    };
    let mut values = BTreeMap::new();
    for (n, word) in (1..).zip(words(args)) {
        values.insert(format!("$arg{n}"), word);
    }
    let text = expand(&joined(&read(session, path)?), &values);
    run_block(session, &text, sink)
}

/// Words at blanks; quoted ones may hold blanks.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in text.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if any || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut() {
        assert_eq!(words("a \"b c\" \"\" d"), ["a", "b c", "", "d"]);
        assert_eq!(joined("k\n\n* comment; r\n  .if (1)\n{ r }\n"), "k;.if (1);{ r }");
    }
}
