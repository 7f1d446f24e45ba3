//! `!list`: runs commands for each element of a linked list.

use super::BASE;
use crate::command::{Command, CommandError, Extent, Invocation, Jump, Needs};
use crate::doc::{Line, Message, Role, Sink};
use crate::run::run_block;
use crate::session::Session;
use dumpscope_core::ReadMemory;
use std::collections::BTreeSet;

/// Most elements.
const MAX_ELEMENTS: u64 = 1 << 20;

pub(crate) const LIST: Command = Command {
    name: "!list",
    extent: Extent::Semicolon,
    syntax: "!list [-x \"commands\"] [-o offset] [-m count] [-e] address",
    summary: "Runs commands for each element of a linked list",
    help: "The commands see the element's address as `@$extret`; without `-x` the element is shown with `dps`. The link to \
           the next element is the first pointer of the element, or the one at `-o offset`. The walk \
           ends at 0, at the first element, at an element seen before, at memory that the dump does not hold, and after \
           `-m` elements. `-e` prints each command before it runs.",
    examples: &[
        ("!list -m 3 @$csp", "Three elements"),
        ("!list -x \"? @$extret\" -m 2 @$csp", "The addresses of two elements"),
    ],
    needs: &[Needs::Memory],
    run,
    ..BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut commands, mut offset, mut count, mut echo) =
        ("dps @$extret L4".to_owned(), 0u64, MAX_ELEMENTS, false);
    // All of it may stand in quotes: `!list "-t … -x \"…\" addr"`.
    while args.peek().starts_with('-') {
        let at = args.pos();
        let syntax = || CommandError::caret(at, "Syntax error");
        match args.switch() {
            Some("x") => commands = args.word().ok_or_else(syntax)?.to_owned(),
            Some("o") => offset = args.word_expr(session)?,
            Some("m") => count = args.word_expr(session)?.min(MAX_ELEMENTS),
            Some("e") => echo = true,
            _ => return Err(syntax()),
        }
    }
    let start = args.address(session)?;
    args.end()?;
    let machine = session.sel.machine;
    let saved = session.language.last_return;
    let (mut at, mut seen, mut note) = (start, BTreeSet::new(), None);
    let mut result = Ok(());
    for _ in 0..count {
        if session.cancel.is_cancelled() {
            result = Err(CommandError::Stopped);
            break;
        }
        if !seen.insert(at) {
            note = Some("an element came up again: the list is a loop that does not lead back to its start");
            break;
        }
        session.language.last_return = at.0;
        if echo {
            session.emit(sink, &Message(vec![Line::new().role(Role::Dim, commands.as_str())]))?;
        }
        match run_block(session, &commands, sink) {
            Ok(()) | Err(CommandError::Jump(Jump::Continue)) => {}
            Err(CommandError::Jump(Jump::Break)) => break,
            Err(e) => {
                result = Err(e);
                break;
            }
        }
        session.emit(sink, &Message(vec![Line::new()]))?;
        match session.dump().memory().ptr(at.offset(offset), machine) {
            None => {
                note = Some("the list leads to memory that the dump does not hold");
                break;
            }
            Some(next) if next.is_null() || next == start => break,
            Some(next) => at = next,
        }
    }
    session.language.last_return = saved;
    if let Some(note) = note {
        session.emit(sink, &Message(vec![Line::new().role(Role::Note, format!("note: {note}"))]))?;
    }
    result
}
