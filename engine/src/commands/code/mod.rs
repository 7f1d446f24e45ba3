//! `u ub uu uf`: disassembly, and the instruction line of `r` and `~3s`.

mod arm64;
mod back;
mod bounds;
mod engine_names;
pub(crate) mod find;
mod flow;
pub(crate) mod fnent;
mod instruction;
mod operand;
mod report;
mod x86;

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, Sink};
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, Va};

pub(crate) use bounds::handler;
pub(crate) use engine_names::{export_name, inlined_name};
pub(crate) use find::code_search;
pub(crate) use instruction::{CalledBy, Piece, decode};
pub(crate) use operand::effective;
pub(crate) use report::{CodeReport, Row};

/// Instructions shown without a length.
const DEFAULT_COUNT: u64 = 8;
/// Most instructions of one command.
const MAX_COUNT: u64 = 1 << 20;

const HELP: &str = "Disassembles eight instructions, or those of a range: `address L n` is n instructions, two \
addresses are everything between them. Without an address it goes on where the last one ended, or starts at the \
instruction pointer. A line with the symbol stands before the first instruction and at each new symbol or source line; \
branch targets are named.";

pub(crate) const U: Command = Command {
    name: "u",
    group: "code",
    syntax: "u [range]",
    summary: "Disassembles from an address on",
    help: HELP,
    examples: &[
        ("u", "Eight instructions from the instruction pointer on"),
        ("u @$ip L3", "Three instructions"),
    ],
    needs: &[Needs::Memory],
    run: |session, inv, sink| forward(session, inv, sink, false),
    ..Command::BASE
};

pub(crate) const UU: Command = Command {
    name: "uu",
    group: "code",
    syntax: "uu [range]",
    summary: "Disassembles over bytes that are not known",
    help: "As `u`, but bytes that the dump does not hold are shown as `???` and do not end the command.",
    examples: &[("uu @$ip L3", "Three instructions")],
    run: |session, inv, sink| forward(session, inv, sink, true),
    needs: &[Needs::Memory],
    ..Command::BASE
};

pub(crate) const UB: Command = Command {
    name: "ub",
    group: "code",
    syntax: "ub [address [L n]]",
    summary: "Disassembles what stands before an address",
    help: "Shows the eight (or n) instructions that end at the address. x86 code has instructions of many lengths: the \
           start is taken from the symbol or unwind data when they are near, else the reading with the most \
           instructions that meets the address is taken.",
    examples: &[("ub @$ip", "Eight instructions before the instruction pointer"), ("ub @$ra L1", "The call")],
    run: run_back,
    needs: &[Needs::Memory],
    ..Command::BASE
};

pub(crate) const UF: Command = Command {
    name: "uf",
    group: "code",
    syntax: "uf [/c] [/i] [/o] [/m] address",
    summary: "Disassembles a whole function",
    help: "Follows the code from the function's start through its branches and shows all of its blocks in address \
           order, a blank line between them. The start comes from unwind data (x64), else from the symbol. `/c` lists only \
           the calls, `/i` also tells the number of instructions. `/o` and `/m` are accepted: blocks are always in \
           address order and all of them are shown.",
    examples: &[("uf @$ip", "The function at the instruction pointer"), ("uf /c @$ip", "Its calls")],
    run: flow::run,
    needs: &[Needs::Memory],
    ..Command::BASE
};

/// Where code commands start without an address.
fn default_start(session: &Session) -> Result<Va, CommandError> {
    // Today's engine begins at the frame that was selected.
    let selected = session.sel.layout == Layout::Modern && session.sel.frame != 0;
    let frame = || if selected { session.frame_regs()?.ip() } else { None };
    let start =
        session.language.next_code.or_else(frame).or_else(|| session.register_context().and_then(|r| r.ip()));
    start.ok_or_else(|| CommandError::message("Unable to get program counter"))
}

/// A range of instructions: start, most instructions, end address (excluded).
fn range(session: &Session, args: &mut Cursor<'_>) -> Result<(Va, u64, Option<Va>), CommandError> {
    if args.is_empty() {
        return Ok((default_start(session)?, DEFAULT_COUNT, None));
    }
    // `L n` counts instructions: the byte range that `Cursor` would make of it says how many.
    let mut look = args.clone();
    let start = look.range_start(session)?;
    if look.is_empty() {
        look.end()?;
        *args = look;
        return Ok((start, DEFAULT_COUNT, None));
    }
    let by_length = look.raw().trim_start().starts_with(['L', 'l']);
    let letter = look.pos();
    let range = args.range(session, None, DEFAULT_COUNT, 1).map_err(|error| match error {
        // Today's engine has read the `L`.
        CommandError::Expr(e) if by_length && e.at == letter && session.sel.layout == Layout::Modern => {
            CommandError::Expr(e.shifted(1))
        }
        error => error,
    })?;
    args.end()?;
    if by_length && range.start == start {
        Ok((start, range.count.min(MAX_COUNT), None))
    } else if by_length {
        // `L-n`: n bytes before the address.
        Ok((range.start, MAX_COUNT, Some(start)))
    } else {
        Ok((start, MAX_COUNT, start.checked_add(range.count)))
    }
}

fn forward(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
    over_holes: bool,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if session.sel.layout == Layout::Modern && !session.sel.lines && args.raw().trim_start().starts_with('`')
    {
        let told = Line::plain("WARNING: Line information loading disabled");
        session.emit(sink, &Message(vec![told]))?;
    }
    let (start, count, end) = range(session, &mut args)?;
    let mut report = CodeReport::of(session);
    let mut at = start;
    let mut missing = false;
    for n in 0..count {
        if end.is_some_and(|end| at >= end) || missing {
            break;
        }
        report.header(session, at);
        match decode(session, at) {
            Some(instruction) => {
                let len = instruction.bytes.len().max(1) as u64;
                report.rows.push(Row::Instruction(instruction));
                at = session.address(at.offset(len).0);
            }
            None => {
                report.rows.push(Row::Missing(at));
                missing = !over_holes;
                at = session.address(at.offset(step(session.sel.machine)).0);
            }
        }
        // Long listings are shown in pieces, so that they can be stopped.
        if n % 1024 == 1023 {
            session.emit(sink, &report)?;
            report.rows.clear();
        }
    }
    session.language.next_code = Some(at);
    session.emit(sink, &report)?;
    let place = match session.sel.layout {
        Layout::Classic => inv.name.len(),
        // Today's engine points behind what it has read.
        Layout::Modern => inv.text.trim_end().len(),
    };
    if missing { Err(CommandError::caret(place, "Memory access error")) } else { Ok(()) }
}

/// How far to go on after a byte that is no instruction.
fn step(machine: Machine) -> u64 {
    if machine == Machine::Arm64 { 4 } else { 1 }
}

fn run_back(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (end, count, _) = range(session, &mut args)?;
    let mut found = back::before(session, end, usize::try_from(count).unwrap_or(usize::MAX));
    if session.sel.layout == Layout::Modern && !back::is_boundary(session, end) {
        found.clear();
    }
    if found.is_empty() && session.sel.layout == Layout::Modern {
        let kind = ErrorKind::CaretWhole("Unable to find valid previous instruction for");
        return Err(ExprError::new(kind, inv.text.trim_end().len()).into());
    }
    if found.is_empty() {
        return Err(CommandError::caret(inv.name.len(), "Memory access error"));
    }
    let mut report = CodeReport::of(session);
    for instruction in found {
        report.header(session, instruction.address);
        report.rows.push(Row::Instruction(instruction));
    }
    if let Some(Row::Instruction(first)) = report.rows.iter().find(|r| matches!(r, Row::Instruction(_))) {
        session.language.next_code = Some(first.address);
    }
    session.emit(sink, &report)
}
