//! `k` and its family.

mod build;
pub(crate) mod chain;
mod flags;
pub(crate) mod frame;
mod kframes;
mod languages;
pub(crate) mod report;

pub(crate) use build::{row, source_name, stack_report};
pub(crate) use flags::KFlags;
pub(crate) use kframes::{INLINE, KFRAMES};

use crate::command::{Command, CommandError, Glued, Invocation, Needs};
use crate::commands::threads;
use crate::doc::{Line, Message, Sink};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_analyzers::{Stack, stacks};
use dumpscope_core::{Machine, RegSet};
use dumpscope_symbols::{Limits, Trust};

pub(crate) const K: Command = Command {
    name: "k",
    glued: Glued::Flags("bvpPcnfLMd"),
    group: "stacks",
    syntax: "[~threads] k[b|v|p|P][c][n][f][L] [frames]  |  k = sp ip [frames]  (x86: k = ebp [esp eip])  |  kd [words]",
    summary: "Shows a thread's stack",
    help: "Flags, in any order: `b` the first words of the arguments' stack area, `v` also frame data, `p` parameters with \
           types, `P` one parameter a line, `c` names only, `n` frame numbers, `f` distances between frames, `L` no source \
           lines.\n\n\
           The number of frames is hexadecimal (`k 20` shows 32). `~*k` shows all threads. On x64 and ARM64, where arguments \
           go in registers, `kb` and `kv` show those that could be recovered and dashes for the rest; `.args` says how, \
           and `.args raw` makes them show the raw words as WinDbg does.\n\n\
           `kd` shows the raw words of the stack with symbols.",
    examples: &[
        ("k", "The current thread's stack"),
        ("~*k", "All threads"),
        ("kb 20", "32 frames with the words where the arguments lie"),
        ("kvnL", "Frame numbers and frame data, no source lines"),
        ("kc", "Names only"),
        ("kf", "Distances between frames"),
        ("kP 3", "Parameters, one a line"),
        ("kd 8", "8 raw words of the stack"),
        ("k = @$csp @$ip 4", "4 frames from these registers"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

/// Most frames that a count can ask for.
const MAX_FRAMES: u64 = 0xffff;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Modern {
        return run_modern(session, inv, sink);
    }
    let letters = inv.name.get(1..).unwrap_or("");
    let mut flags = KFlags::parse(letters).map_err(|at| CommandError::caret(at + 1, "Syntax error"))?;
    flags.recovered = flags.args && session.sel.machine.is_64() && !session.sel.raw_args;
    let mut args = inv.cursor();
    // Letters that are no number may stand apart: `k L`, `k n 5`.
    while let Some(apart) = args.peek().split([' ', '\t']).next().filter(|w| apart(w)) {
        flags = KFlags::parse(&format!("{letters}{apart}")).map_err(|_| args.syntax_error())?;
        flags.recovered = flags.args && session.sel.machine.is_64() && !session.sel.raw_args;
        args.word();
    }
    if flags.raw {
        let words = args.opt_expr(session)?.unwrap_or(0x20).min(MAX_FRAMES);
        return crate::run::run_block(session, &format!("dps @$csp L0n{words}"), sink);
    }
    threads::emit_header(session, inv, sink)?;
    let (stack, count) = if args.eat_char('=') {
        let (regs, count) = explicit(session, &mut args)?;
        let count = count.unwrap_or(MAX_FRAMES as usize);
        let limits = Limits { frames: count.saturating_add(1), ..Limits::default() };
        let bounds = session.stack_bounds();
        (stacks::stack_from(&session.target, &regs, bounds, &limits, &session.cancel), count)
    } else {
        let count = frame_count(session, &mut args)?;
        args.end()?;
        // One frame more: it holds the last row's return address and words.
        (walk(session, count.saturating_add(1))?, count)
    };
    session.emit(sink, &stack_report(session, &stack, session.sel.thread, flags, count))?;
    tell_guest(session, sink);
    Ok(())
}

/// Flags of `k` that stand in a word of their own: no hex number, and only letters that are flags.
fn apart(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| "vpPcnfLMb".contains(c))
        && word.chars().any(|c| !c.is_ascii_hexdigit())
}

/// `k` as today's engine reads its line.
fn run_modern(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let (mut flags, len) = KFlags::engine(inv.text.get(1..).unwrap_or(""));
    let mut args = Cursor::new(inv.text, 1 + len);
    flags.bare = !session.sel.numbers;
    flags.no_lines |= !session.sel.lines;
    threads::emit_header(session, inv, sink)?;
    if flags.raw {
        let words = args.opt_expr(session)?.unwrap_or(session.sel.max_frames as u64).min(MAX_FRAMES);
        args.end()?;
        let base = raw_base(session).ok_or_else(|| no_context(session))?;
        return crate::run::run_block(session, &format!("dds 0x{base:x} L0n{words}"), sink);
    }
    let ((stack, left_out), count, counted) = if args.eat_char('=') {
        let (regs, count) = explicit(session, &mut args)?;
        if let Err(most) = count {
            return Err(too_many(session, most, args.whole().get(..args.pos()).unwrap_or(inv.text), sink)?);
        }
        let count = count.unwrap_or(1);
        let limits = Limits { frames: count.saturating_add(1), ..Limits::default() };
        if session.sel.machine == Machine::X86
            && let Some(base) = base_only(session, inv, len)?
            && let Some(stack) = chain::from_base(session, base, count)
        {
            session.emit(sink, &stack_report(session, &stack, session.sel.thread, flags, usize::MAX))?;
            return args.end();
        }
        // Registers that the user gives need not be those of the thread's stack.
        let bounds =
            session.stack_bounds().filter(|(low, high)| regs.sp().is_some_and(|sp| sp >= *low && sp < *high));
        let stack = stacks::stack_from(&session.target, &regs, bounds, &limits, &session.cancel);
        ((stack, Vec::new()), count, true)
    } else {
        let typed = args.opt_expr(session)?;
        let count = match typed {
            None | Some(0) => session.sel.max_frames,
            Some(n) if n > MAX_FRAMES => return Err(too_many(session, n, inv.text, sink)?),
            Some(n) => usize::try_from(n).unwrap_or(usize::MAX),
        };
        let found = session.stack_and_left_out(Some(count.saturating_add(1)));
        (found.ok_or_else(|| no_context(session))?, count, typed.is_some())
    };
    let mut report = stack_report(session, &stack, session.sel.thread, flags, count);
    // The engine says whose registers these are only where no number of frames is asked for.
    report.set_context &= !counted;
    if flags.args && report.frames.iter().any(|r| r.stack_words.iter().any(Option::is_none)) {
        sink.note("some of the words are not in the dump; WinDbg's engine shows them as 0, and so does this layout.");
    }
    if counted && count == 1 && !session.sel.machine.is_64() {
        // The engine warns where it goes on from a frame.
        report.frames.iter_mut().for_each(|f| f.warning = None);
    }
    if let Some(note) = chain::left_out_words(session, &left_out) {
        sink.note(&note);
    }
    session.emit(sink, &report)?;
    tell_guest(session, sink);
    args.end()
}

/// The base of `k = base [count]` on x86; 0 is the ebp that there is.
fn base_only(
    session: &Session,
    inv: &Invocation<'_>,
    len: usize,
) -> Result<Option<dumpscope_core::Va>, CommandError> {
    let mut args = Cursor::new(inv.text, 1 + len);
    args.eat_char('=');
    base_at(session, inv.text, inv.text.len() - args.raw().len())
}

/// The same for what stands at byte `start` of `text`.
pub(crate) fn base_at(
    session: &Session,
    text: &str,
    start: usize,
) -> Result<Option<dumpscope_core::Va>, CommandError> {
    let mut args = Cursor::new(text, start);
    let base = args.expr(session)?;
    let count = args.opt_expr(session)?;
    if !args.is_empty() || count.is_some_and(|n| n > MAX_FRAMES) {
        return Ok(None);
    }
    let current = session.frame_regs().and_then(|r| r.fp());
    Ok(if base == 0 { current } else { Some(session.address(base)) })
}

/// The engine's answer to a number of frames that is too large.
fn too_many(
    session: &Session,
    n: u64,
    text: &str,
    sink: &mut dyn Sink,
) -> Result<CommandError, CommandError> {
    let line = format!(
        "Requested number of stack frames (0x{n:x}) is too large! The maximum number is 0x{MAX_FRAMES:x}."
    );
    session.emit(sink, &Message(vec![Line::plain(line)]))?;
    Ok(CommandError::caret(text.trim_end().len(), "Range error"))
}

/// Where `kd` starts: below the innermost frame's return address.
fn raw_base(session: &Session) -> Option<u64> {
    let stack = session.stack(Some(2))?;
    let first = stack.frames.iter().find(|f| f.trust != Trust::Inline)?;
    if !session.sel.machine.is_64() {
        return Some(first.frame.frame_base.0);
    }
    let caller = stack.frames.iter().filter(|f| f.trust != Trust::Inline).nth(1)?;
    Some(caller.frame.sp.0.wrapping_sub(16))
}

/// Once a session: where the other stack of a WOW64 thread is.
fn tell_guest(session: &mut Session, sink: &mut dyn Sink) {
    let native = session.sel.machine != Machine::X86 && session.dump().is_wow64();
    if native && !std::mem::replace(&mut session.language.told_guest, true) {
        sink.note(
            "this is the 64-bit stack of a 32-bit process; !sw (or .effmach x86) shows the program's own stack",
        );
    }
}

fn frame_count(session: &Session, args: &mut Cursor<'_>) -> Result<usize, CommandError> {
    let at = args.pos();
    match args.opt_expr(session)? {
        None => Ok(session.sel.max_frames),
        Some(0) => Err(CommandError::caret(at, "Range error")),
        Some(n) => Ok(usize::try_from(n.min(MAX_FRAMES)).unwrap_or(usize::MAX)),
    }
}

/// The current stack, or WinDbg's words for why there is none.
pub(crate) fn walk(session: &Session, frames: usize) -> Result<Stack, CommandError> {
    session.stack(Some(frames)).ok_or_else(|| no_context(session))
}

/// WinDbg's message for a thread without a context.
pub(crate) fn no_context(session: &Session) -> CommandError {
    let text =
        "GetContextState failed, 0x80004001\nUnable to get current machine context, HRESULT 0x80004001";
    let dump = session.dump();
    let note = if session.sel.thread.is_none() {
        "The dump has no threads."
    } else if session.sel.machine == Machine::X86 && dump.machine() != Machine::X86 {
        "The thread's 32-bit context is not in the dump: it lies in memory that its 64-bit TEB points to. \
         `procdump -ma` or `.dump /ma` includes it (MiniDumpWithFullMemory, MiniDumpWithProcessThreadData)."
    } else {
        "The dump has no context of this kind for this thread."
    };
    CommandError::noted(text, note)
}

/// Registers and frame count of `k = …`; `Err` holds a count that is too large.
fn explicit(session: &Session, args: &mut Cursor<'_>) -> Result<(RegSet, Result<usize, u64>), CommandError> {
    let mut values = Vec::new();
    let modern = session.sel.layout == Layout::Modern;
    while !args.is_empty() {
        let most = if modern && session.sel.machine != Machine::X86 { 3 } else { 4 };
        if values.len() == most && modern && values.last().is_some_and(|n| *n > MAX_FRAMES) {
            break;
        }
        if values.len() == most {
            args.end()?;
        }
        values.push(args.expr(session)?);
    }
    let machine = session.sel.machine;
    let current = session.frame_regs().unwrap_or_else(|| RegSet::new(machine));
    let (sp_reg, ip_reg, fp_reg) =
        (RegSet::sp_reg(machine), RegSet::ip_reg(machine), RegSet::fp_reg(machine));
    let mut regs = RegSet::new(machine);
    let mut set = |reg, value: Option<u64>| {
        if let Some(value) = value {
            regs.set(reg, value);
        }
    };
    let (ip, count) = match (machine, values.as_slice()) {
        (_, []) => return Err(args.expr(session).err().unwrap_or_else(|| args.syntax_error())),
        // x86: the frame pointer alone is enough, the rest is as it is now.
        (Machine::X86, [base]) => {
            set(fp_reg, Some(*base));
            set(sp_reg, Some(*base));
            (None, None)
        }
        (Machine::X86, [base, count]) => {
            set(fp_reg, Some(*base));
            set(sp_reg, Some(*base));
            (None, Some(*count))
        }
        (Machine::X86, [base, sp, ip, rest @ ..]) => {
            set(fp_reg, Some(*base));
            set(sp_reg, Some(*sp));
            (Some(*ip), rest.first().copied())
        }
        // Today's engine takes a small second number as the count.
        (_, [sp, count]) if modern && *count <= MAX_FRAMES => {
            set(sp_reg, Some(*sp));
            set(fp_reg, current.get(fp_reg));
            (None, Some(*count).filter(|n| *n != 0))
        }
        (_, [sp, rest @ ..]) => {
            set(sp_reg, Some(*sp));
            set(fp_reg, current.get(fp_reg));
            (rest.first().copied(), rest.get(1).copied())
        }
    };
    set(ip_reg, ip.or_else(|| current.get(ip_reg)));
    let frames = match count {
        Some(n) if n > MAX_FRAMES && modern => return Ok((regs, Err(n))),
        Some(n) => usize::try_from(n.min(MAX_FRAMES)).unwrap_or(usize::MAX),
        None => session.sel.max_frames,
    };
    Ok((regs, Ok(frames.max(1))))
}
