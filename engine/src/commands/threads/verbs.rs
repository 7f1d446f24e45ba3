//! The letters behind a thread selector that are no commands of their own: `~3s`, `~*e`.

use crate::command::CommandError;
use crate::doc::Sink;
use crate::session::{Layout, Session};
use dumpscope_core::ThreadIdx;

/// What such a letter does.
pub(crate) enum Verb {
    /// Makes the one selected thread current and says where it stands.
    One(fn(&Session, &mut dyn Sink) -> Result<(), CommandError>),
    /// Runs all the rest of the line, `;` included, for each thread.
    Each,
    /// Is refused with this sentence.
    Refused(&'static str),
    /// As today's engine takes it on a dump: nothing happens; perhaps it says a line.
    Quiet(fn(ThreadIdx) -> Option<String>),
    /// As today's engine refuses it on a dump.
    Unsupported,
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

/// The same letters in the modern layout.
const ENGINE_VERBS: &[(char, Verb)] = &[
    ('s', Verb::One(show_instruction)),
    ('e', Verb::Each),
    ('f', Verb::Quiet(|_| None)),
    ('u', Verb::Quiet(|thread| Some(format!("Invalid thread {} freeze count, ignoring", thread.0)))),
    ('n', Verb::Unsupported),
    ('m', Verb::Unsupported),
];

/// The verb that `text` begins with. `len` is where the command ends: a letter that is refused must stand alone, because
/// `~3u 401000` disassembles.
pub(crate) fn verb(text: &str, len: usize, layout: Layout) -> Option<&'static Verb> {
    let rest = text.get(1..)?;
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let verbs = if layout == Layout::Modern { ENGINE_VERBS } else { VERBS };
    let (_, verb) = verbs.iter().find(|(letter, _)| text.starts_with(*letter))?;
    let alone = text.get(1..len).is_some_and(|t| t.trim().is_empty());
    (alone || matches!(verb, Verb::One(_) | Verb::Each)).then_some(verb)
}

/// The symbol line and the instruction at the instruction pointer, as `~3s` prints them.
pub(crate) fn show_instruction(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(context) = session.context() else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    // Today's engine shows the registers of a 32-bit thread, too.
    if session.sel.layout == Layout::Modern && !session.sel.machine.is_64() {
        return crate::commands::registers::show(session, &context, true, sink);
    }
    crate::commands::registers::instruction(session, &context, true, sink)
}
