//! What thread and context changes print: where the context stands.

use crate::command::CommandError;
use crate::doc::Sink;
use crate::session::Session;

/// The symbol line and the instruction at the instruction pointer, as `~3s` prints them.
pub(crate) fn show_instruction(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(context) = session.context() else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    super::registers::instruction(session, &context, true, sink)
}
