//! `!str` and `!ustr`: counted strings of Windows.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::ReadMemory as _;

pub(crate) const STR: Command = Command {
    name: "!str",
    group: "memory",
    syntax: "!str address",
    summary: "Shows a counted byte string (ANSI_STRING)",
    help: "`STRING` of winternl.h: length, room and a pointer to the bytes. `ds` shows the text alone.",
    examples: &[("!str @$csp", "What lies at the stack pointer as a string")],
    needs: &[Needs::Memory],
    run: |session, inv, sink| run(session, inv, sink, false),
    ..Command::BASE
};

pub(crate) const USTR: Command = Command {
    name: "!ustr",
    group: "memory",
    syntax: "!ustr address",
    summary: "Shows a counted UTF-16 string (UNICODE_STRING)",
    help: "`UNICODE_STRING` of winternl.h: length, room and a pointer to the text. `dS` shows the text alone.",
    examples: &[("!ustr @$csp", "What lies at the stack pointer as a string")],
    needs: &[Needs::Memory],
    run: |session, inv, sink| run(session, inv, sink, true),
    ..Command::BASE
};

/// Layout: u16 length and u16 room, both in bytes, then at the next pointer boundary the address of the text.
fn run(
    session: &Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
    utf16: bool,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.address(session)?;
    args.end()?;
    let machine = session.sel.machine;
    let memory = session.dump().memory();
    let buffer = at.offset(machine.ptr_size() as u64);
    let (length, room) = (memory.u16(at), memory.u16(at.offset(2)));
    let (Some(length), Some(room), Some(buffer)) = (length, room, memory.ptr(buffer, machine)) else {
        return Err(CommandError::noted("Unable to read the string's structure", missing::MEMORY));
    };
    let head = format!("String({length},{room}) at {}: ", fmt::addr_plain(buffer, machine.is_64()));
    if length > room || (utf16 && length % 2 != 0) {
        return Err(CommandError::noted(
            format!("{head}no such string"),
            "Its length is odd or more than its room: the address is that of something else.",
        ));
    }
    let mut bytes = vec![0; length.into()];
    let read = memory.read_at(buffer, &mut bytes).got;
    if read < bytes.len() {
        return Err(CommandError::noted(format!("{head}Unable to read the text"), missing::MEMORY));
    }
    let text = if utf16 {
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        String::from_utf16_lossy(&units)
    } else {
        bytes.iter().map(|&b| char::from(b)).collect()
    };
    session.emit(sink, &Message(vec![Line::plain(head).span(Span::untrusted(Role::Text, &text))]))
}
