//! What thread and context changes print: where the selected frame stands.

use crate::command::CommandError;
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::Session;

/// The symbol line and the instruction at the instruction pointer, as `~3s` prints them.
pub(crate) fn show_instruction(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(ip) = session.frame_regs().and_then(|r| r.ip()) else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    let name =
        session.target.symbols.format(ip).unwrap_or_else(|| crate::fmt::addr(ip, session.render_cx().wide));
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Symbol, &format!("{name}:"))])]))
}
