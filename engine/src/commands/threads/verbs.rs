//! The letters behind a thread selector that are no commands of their own: `~3s`, `~*e`.

use crate::command::CommandError;
use crate::doc::Sink;
use crate::session::{Layout, Session};

/// What such a letter does.
pub(crate) enum Verb {
    /// Makes the one selected thread current and says where it stands.
    One(fn(&Session, &mut dyn Sink) -> Result<(), CommandError>),
    /// Runs all the rest of the line, `;` included, for each thread.
    Each,
    /// Is refused with this sentence.
    Refused(&'static str),
}

const FROZEN: Verb = Verb::Refused("A dump's threads cannot be frozen, suspended or resumed.");

const VERBS: &[(char, Verb)] = &[
    ('s', Verb::One(show_instruction)),
    ('e', Verb::Each),
    ('f', FROZEN),
    ('u', FROZEN),
    ('n', FROZEN),
    ('m', FROZEN),
];

/// The verb that `text` begins with. `len` is where the command ends: a letter that is refused must stand alone, because
/// `~3u 401000` disassembles.
pub(crate) fn verb(text: &str, len: usize) -> Option<&'static Verb> {
    let rest = text.get(1..)?;
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let (_, verb) = VERBS.iter().find(|(letter, _)| text.starts_with(*letter))?;
    let alone = text.get(1..len).is_some_and(|t| t.trim().is_empty());
    (alone || !matches!(verb, Verb::Refused(_))).then_some(verb)
}

/// The symbol line and the instruction at the instruction pointer, as `~3s` prints them.
fn show_instruction(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(context) = session.context() else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    // Today's engine shows the registers of a 32-bit thread, too.
    if session.sel.layout == Layout::Modern && !session.sel.machine.is_64() {
        return crate::commands::registers::show(session, &context, true, sink);
    }
    crate::commands::registers::instruction(session, &context, true, sink)
}
