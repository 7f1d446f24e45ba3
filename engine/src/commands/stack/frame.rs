//! `.frame`, `.f+`, `.f-`: the selected frame.

use super::{KFlags, row, walk};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, RenderCx, Report, Sink};
use crate::session::{Layout, Session};
use dumpscope_analyzers::{Stack, stacks};
use dumpscope_core::{Reg, RegSet};
use dumpscope_symbols::Limits;

pub(crate) const FRAME: Command = Command {
    name: ".frame",
    group: "stacks",
    syntax: ".frame [/c] [/r] [number]",
    summary: "Selects a frame of the stack",
    help: "Local variables then refer to that frame. The number is the one that `kn` shows (hexadecimal). Without a \
           number the selected frame is shown. `/r` also shows the frame's registers, `/c` makes them the context, so \
           that `r`, expressions and `k` start there; without it they stay with the innermost frame, as in WinDbg.",
    examples: &[
        (".frame", "Shows the selected frame"),
        (".frame 1", "Selects the caller"),
        (".frame /r 0", "Selects the innermost frame and shows its registers"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_frame,
    ..Command::BASE
};

pub(crate) const F_UP: Command = Command {
    name: ".f+",
    group: "stacks",
    syntax: ".f+",
    summary: "Selects the next frame: the caller",
    help: "As `.frame` with the next higher number.",
    examples: &[(".f+", "One frame out")],
    needs: &[Needs::Threads, Needs::Memory],
    run: |session, inv, sink| step(session, inv, sink, 1),
    ..Command::BASE
};

pub(crate) const F_DOWN: Command = Command {
    name: ".f-",
    group: "stacks",
    syntax: ".f-",
    summary: "Selects the previous frame: the callee",
    help: "As `.frame` with the next lower number.",
    examples: &[(".f-", "One frame in")],
    needs: &[Needs::Threads, Needs::Memory],
    run: |session, inv, sink| step(session, inv, sink, -1),
    ..Command::BASE
};

/// One row, always with its number.
struct FrameReport {
    row: super::report::Row,
    wide: bool,
    thread: Option<u32>,
    no_lines: bool,
}

impl Report for FrameReport {
    fn kind(&self) -> &'static str {
        "frame"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let flags = KFlags { numbers: true, no_lines: self.no_lines, ..KFlags::default() };
        let columns = super::report::Columns { wide: self.wide, layout: cx.layout, flags };
        columns.row(&self.row, None, self.thread, emit);
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.row).unwrap_or_default()
    }
}

fn step(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
    by: i32,
) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let number = session.sel.frame.checked_add_signed(by);
    let Some(number) = number else {
        return Err(CommandError::message("Cannot find frame 0xffffffff, previous scope unchanged"));
    };
    select(session, number, sink)
}

fn run_frame(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut context, mut registers) = (false, false);
    loop {
        let at = args.pos();
        match args.switch() {
            Some("c") => context = true,
            Some("r") => registers = true,
            Some(_) => return Err(CommandError::caret(at, "Syntax error")),
            None => break,
        }
    }
    if args.eat_char('=') {
        return explicit(session, &mut args, sink);
    }
    let modern = session.sel.layout == Layout::Modern;
    let number = args.opt_expr(session)?;
    if !modern {
        args.end()?;
    }
    let number = match number {
        Some(n) => u32::try_from(n).unwrap_or(u32::MAX),
        None => session.sel.frame,
    };
    select(session, number, sink)?;
    if registers || (context && modern) {
        crate::commands::registers::show_frame(session, sink)?;
    }
    if context {
        let regs = session.frame_regs();
        if let (Some(mut set), Some(regs)) = (session.context(), regs) {
            set.regs = if modern { merged(&set.regs, &regs) } else { regs };
            session.sel.context = Some(set);
            session.language.assigned = false;
            session.sel.frame = 0;
        }
    }
    if modern { args.end() } else { Ok(()) }
}

/// What is not known of a frame's registers is the innermost frame's, as today's engine has it.
pub(crate) fn merged(innermost: &RegSet, known: &RegSet) -> RegSet {
    let mut all = *innermost;
    for number in 0..RegSet::names(known.machine()).len() {
        let Ok(reg) = u8::try_from(number).map(Reg) else { continue };
        if let Some(value) = known.get(reg) {
            all.set(reg, value);
        }
    }
    all
}

/// `.frame = …`: shows the frame of given registers; the scope stays, for it needs no thread.
fn explicit(
    session: &mut Session,
    args: &mut crate::lang::Cursor<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let typed = args.whole();
    let start = typed.len() - args.raw().len();
    let (regs, _) = super::explicit(session, args)?;
    if super::chain::applies(session)
        && let Some(base) = super::base_at(session, typed, start)?
        && let Some(stack) = super::chain::from_base(session, base, 1)
    {
        return show(session, &stack, 0, sink);
    }
    let limits = Limits { frames: 2, ..Limits::default() };
    let bounds = session.stack_bounds();
    let stack = stacks::stack_from(&session.target, &regs, bounds, &limits, &session.cancel);
    show(session, &stack, 0, sink)
}

fn select(session: &mut Session, number: u32, sink: &mut dyn Sink) -> Result<(), CommandError> {
    // One more physical frame than the number: inlined calls only add rows.
    let stack = walk(session, (number as usize).saturating_add(2).min(0x1_0000))?;
    if session.sel.layout == Layout::Modern && stack.frames.get(number as usize).is_none() {
        // The scope stays, and is shown.
        let text = format!("Cannot find frame 0x{number:x}, previous scope unchanged");
        session.emit(sink, &Message(vec![Line::plain(text)]))?;
        return show(session, &stack, session.sel.frame, sink);
    }
    show(session, &stack, number, sink)?;
    session.sel.frame = number;
    Ok(())
}

fn show(session: &Session, stack: &Stack, number: u32, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(found) = row(session, stack, number as usize, KFlags::default()) else {
        let text = format!("Cannot find frame 0x{number:x}, previous scope unchanged");
        return Err(CommandError::message(text));
    };
    let thread = session.sel.thread.map(|t| t.0);
    let no_lines = session.sel.layout == Layout::Modern && !session.sel.lines;
    session.emit(sink, &FrameReport { row: found, wide: stack.machine.is_64(), thread, no_lines })
}
