//! `.foreach`.

use super::capture::{output_of, output_without_errors};
use super::{BASE, turns};
use crate::command::{Command, CommandError, Invocation, Jump};
use crate::doc::Sink;
use crate::lang::{expand, take_group};
use crate::run::run_block;
use crate::session::{Layout, Session};
use std::collections::BTreeMap;

pub(crate) const FOREACH: Command = Command {
    name: ".foreach",
    syntax: ".foreach [/pS n] [/ps n] (name { commands }) { commands } | .foreach /s (name \"text\") { commands } | \
             .foreach /f (name \"file\") { commands }",
    summary: "Runs commands for each word of other commands' output",
    help: "The output of the first commands (or the text, or the file) is cut into words at blanks. The second commands \
           run once per word; the name in them (between blanks, or as `${name}`) is the word. `/pS n` leaves out the first \
           n words, `/ps n` leaves out n words after each one taken.",
    examples: &[
        (".foreach /s (word \"a b\") { .echo word }", "Two lines"),
        (".foreach /pS 2 /ps 1 (x { .echo 1 2 3 4 5 6 }) { .echo x }", "3 and 5"),
    ],
    run,
    ..BASE
};

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Commands,
    Text,
    File,
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let modern = session.sel.layout == Layout::Modern;
    let (mut source, mut first, mut between) = (Source::Commands, 0u64, 0u64);
    while args.peek().starts_with('/') {
        let at = args.pos();
        match args.switch() {
            Some("s") => source = Source::Text,
            Some("f") => source = Source::File,
            Some("pS") => first = args.word_expr(session)?,
            Some("ps") => between = args.word_expr(session)?,
            _ => return Err(CommandError::caret(at + usize::from(modern), "Syntax error")),
        }
    }
    let at = args.pos();
    let syntax = || CommandError::caret(at, "Syntax error");
    let (head, rest) = take_group(args.raw(), '(').ok_or_else(syntax)?;
    let bare = head.trim_start();
    if modern && bare.starts_with('{') {
        // The engine takes the brace for the name.
        let inside = bare.get(1..).unwrap_or("").trim_start();
        let place = (inside.as_ptr() as usize).saturating_sub(inv.text.as_ptr() as usize);
        return Err(CommandError::caret(place, "Syntax error"));
    }
    let behind = inv.text.len() - rest.trim_start().len();
    let no_body = || CommandError::caret(if modern { behind } else { at }, "Syntax error");
    let (body, _) = take_group(rest, '{').ok_or_else(no_body)?;
    let head = head.trim();
    let len = head.find(|c: char| c.is_whitespace() || matches!(c, '{' | '"')).ok_or_else(syntax)?;
    let (name, from) = (head.get(..len).unwrap_or(""), head.get(len..).unwrap_or("").trim());
    if name.is_empty() {
        return Err(syntax());
    }
    let quoted = || from.strip_prefix('"').map_or(from, |t| t.strip_suffix('"').unwrap_or(t));
    let text = match source {
        Source::Commands => {
            let (commands, _) = take_group(from, '{').ok_or_else(syntax)?;
            match modern {
                // A command that failed gives no words at all.
                true => output_without_errors(session, commands)?,
                false => output_of(session, commands)?,
            }
        }
        Source::Text => quoted().to_owned(),
        Source::File => super::file::read(session, quoted())?,
    };
    let words = text.split_whitespace().skip(usize::try_from(first).unwrap_or(usize::MAX));
    let step = usize::try_from(between).unwrap_or(usize::MAX).saturating_add(1);
    let mut aliases = BTreeMap::new();
    for (n, word) in (0u64..).zip(words.step_by(step)) {
        turns(n)?;
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        aliases.insert(name.to_owned(), word.to_owned());
        match run_block(session, &expand(body, &aliases), sink) {
            Ok(()) | Err(CommandError::Jump(Jump::Continue)) => {}
            Err(CommandError::Jump(Jump::Break)) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
