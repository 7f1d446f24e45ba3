//! `#`: instructions whose text fits a pattern, as today's engine looks for them.

use super::{CodeReport, Row, decode, report};
use crate::command::{Command, CommandError, Glued};
use crate::doc::{Line, Message, Sink};
use crate::expr::{MAX_PATTERN, wildcard_match};
use crate::fmt;
use crate::lang::Cursor;
use crate::session::Session;

/// Most instructions that one search looks at.
const MAX_LOOKED_AT: u64 = 1 << 20;

pub(crate) const SEARCH: Command = Command {
    name: "#",
    glued: Glued::Anything,
    group: "code",
    syntax: "# pattern [address [L length]]",
    summary: "Finds instructions whose text fits a pattern",
    help: "The pattern is looked for in the disassembly from the address on (`*` and `?` stand for any characters). Without a \
           length the first hit is shown.",
    examples: &[("# ret @$ip", "The next return instruction")],
    run: |session, inv, sink| code_search(session, inv.text.trim_end(), sink),
    ..Command::BASE
};

/// `# pattern [address [L n]]`. Without a length the first hit is shown, else all of those instructions.
pub(crate) fn code_search(
    session: &mut Session,
    text: &str,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = Cursor::new(text, 1);
    let Some(pattern) = args.word().map(str::to_lowercase) else { return Err(args.syntax_error()) };
    if pattern.len() > MAX_PATTERN {
        return Err(CommandError::caret(text.len(), "Overflow error"));
    }
    let pattern = format!("*{pattern}*");
    let (mut at, count) = if args.is_empty() {
        let start = session.register_context().and_then(|r| r.ip());
        let start = start.ok_or_else(|| CommandError::message("Unable to get program counter"))?;
        let shown = fmt::addr(start, session.sel.machine.is_64());
        session.emit(sink, &Message(vec![Line::plain(format!("Search address set to {shown} "))]))?;
        (start, None)
    } else {
        let range = args.range(session, None, 1, 1)?;
        args.end()?;
        (range.start, range.given.then_some(range.count))
    };
    for n in 0..count.unwrap_or(u64::MAX).min(MAX_LOOKED_AT) {
        if n % 256 == 255 && session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let Some(instruction) = decode(session, at) else {
            return Err(CommandError::caret(text.len(), "Memory access error"));
        };
        let len = instruction.bytes.len().max(1) as u64;
        let shown: String = instruction.text.iter().map(|(_, part)| part.as_str()).collect();
        if wildcard_match(&pattern, &shown.to_lowercase()) {
            let mut hit = CodeReport::of(session);
            if let Some(header) = report::header_at(session, at) {
                hit.rows.push(Row::Header(header));
            }
            hit.rows.push(Row::Instruction(instruction));
            session.emit(sink, &hit)?;
            if count.is_none() {
                return Ok(());
            }
        }
        at = session.address(at.offset(len).0);
    }
    if count.is_none_or(|n| n > MAX_LOOKED_AT) {
        sink.note("only the first 1,048,576 instructions were looked at: give an address further on.");
    }
    Ok(())
}
