//! Register sets by mask, as today's engine has it: `rm` keeps one for `r`, `rM` takes one for once.

use super::report::{RegistersReport, Values};
use super::{instruction, no_context};
use crate::command::CommandError;
use crate::doc::{Line, Message, Sink};
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_core::context::Context;

/// Every bit that names registers.
const ALL: u64 = 0x7f;

/// What the bits stand for.
const BITS: &[(u64, &str)] = &[
    (0x1, "Integer state (32-bit)"),
    (0x2, "Integer state (64-bit)"),
    (0x4, "Floating-point state"),
    (0x8, "Segment registers"),
    (0x10, "MMX registers"),
    (0x20, "Debug registers"),
    (0x40, "SSE XMM registers"),
];

/// The mask of `r` alone: what `rm` set, or integers and segments.
pub(super) fn current(session: &Session) -> u64 {
    let integers = if session.sel.machine.is_64() { 2 } else { 1 };
    session.sel.register_mask.unwrap_or(8 | integers)
}

/// Shows the registers of a mask, then the instruction.
pub(super) fn show(
    session: &Session,
    context: &Context,
    mask: u64,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    if mask & !ALL != 0 {
        session.emit(sink, &Message(vec![Line::plain(format!("Ignored invalid bits {:x}", mask & !ALL))]))?;
    }
    let kinds = [
        (0x3, Values::Bare),
        (0x8, Values::Segments),
        (0x4, Values::FloatPairs),
        (0x10, Values::Mmx),
        (0x40, Values::Vectors),
        (0x20, Values::Debug),
    ];
    for (bits, values) in kinds {
        if mask & bits != 0 {
            session.emit(sink, &RegistersReport { context: context.clone(), complete: true, values })?;
        }
    }
    instruction(session, context, true, sink)
}

/// `rm`: the mask of `r`; `rm mask` sets it.
pub(super) fn remember(
    session: &mut Session,
    args: &mut Cursor<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    if !args.is_empty() {
        session.sel.register_mask = Some(args.expr(session)?);
        return args.end();
    }
    let mask = current(session);
    let mut lines = vec![Line::plain(format!("Register output mask is {mask:x}:"))];
    let named = BITS.iter().filter(|(bit, _)| mask & bit != 0);
    lines.extend(named.map(|(bit, what)| Line::plain(format!("{bit:8x} - {what}"))));
    session.emit(sink, &Message(lines))
}

/// `rM mask`, `rF`, `rX`.
pub(super) fn once(
    session: &mut Session,
    args: &mut Cursor<'_>,
    mask: Option<u64>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mask = match mask {
        Some(mask) => mask,
        None => args.expr(session)?,
    };
    let context = session.context().ok_or_else(no_context)?;
    show(session, &context, mask, sink)
}
