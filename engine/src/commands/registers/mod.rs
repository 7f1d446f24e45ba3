//! `r`: registers.

mod mask;
mod report;
mod values;

pub(crate) use values::long_double;

use crate::command::{Command, CommandError, Glued, Invocation, Needs};
use crate::commands::code::{self, CodeReport, Row};
use crate::doc::{Fragment, Line, Message, Report, Role, Sink};
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::context::Context;
use report::{RegistersReport, Values};

pub(crate) const R: Command = Command {
    name: "r",
    glued: Glued::Flags("FXxMm"),
    group: "registers",
    syntax: "r [register[:type][, …]] | r $t0 = expression | rF | rX | rM mask | rm",
    summary: "Shows registers",
    help: "Alone it shows the integer registers, the flags, and the instruction with what it reads or writes. \
           `r rax, rcx` shows some; parts (`eax`, `al`), flags (`zf`), segments and vectors (`xmm0`, `xmm0:16ub`, \
           `xmm0:4f`) have names too. `rF` shows the floating-point stack, `rX` the vector registers, `rM mask` what the \
           mask names (2 or 1 integer registers, 4 floating point, 8 segments, 0x40 vectors).\n\n\
           The registers are those of the context: the thread's, or the one set with `.ecxr` or `.cxr`. `.frame /r` \
           shows those of a caller's frame.\n\n`$t0` to `$t19` are variables of your own: `r $t0 = 5`. The dump's own \
           registers cannot be changed.",
    examples: &[
        ("r", "All integer registers"),
        ("r @$ip", "The instruction pointer"),
        ("r $t0 = @$csp + 8; ? @$t0", "Sets a variable and shows it"),
    ],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

/// The error of commands that need registers when there are none.
pub(crate) fn no_context() -> CommandError {
    CommandError::noted(
        "GetContextState failed, 0x80004001\nUnable to get current machine context, HRESULT 0x80004001",
        "The dump has no registers for this thread.",
    )
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if session.sel.layout == Layout::Modern {
        match inv.name {
            "rF" if args.is_empty() => return mask::once(session, &mut args, Some(4), sink),
            "rX" | "rx" if args.is_empty() => return mask::once(session, &mut args, Some(0x40), sink),
            "rM" if masked_whole(session, &args) => return mask::once(session, &mut args, None, sink),
            "rm" => return mask::remember(session, &mut args, sink),
            _ => {}
        }
    }
    match inv.name {
        "rF" => return masked(session, &mut args, Some(4), sink),
        "rX" => return masked(session, &mut args, Some(0x40), sink),
        "rM" => return masked(session, &mut args, None, sink),
        "rm" => return show_mask(session, &mut args, sink),
        "r" => {}
        _ => return Err(args.syntax_error()),
    }
    if args.is_empty() {
        let context = session.context().ok_or_else(no_context)?;
        if session.sel.layout == Layout::Modern && session.sel.register_mask.is_some() {
            return mask::show(session, &context, mask::current(session), sink);
        }
        if session.sel.layout == Layout::Modern && session.sel.context.is_some() && !session.language.assigned
        {
            session.emit(sink, &Message(vec![Line::plain("Last set context:")]))?;
        }
        return show(session, &context, true, sink);
    }
    let glued = session.sel.layout == Layout::Classic || inv.text.starts_with("r.");
    if glued && args.eat(".") {
        return of_instruction(session, sink);
    }
    if args.raw().trim_start().starts_with('?') && session.sel.layout == Layout::Modern {
        let at = args.pos();
        args.advance(1);
        return typed(session, &mut args, at, sink);
    }
    if args.raw().trim_start().starts_with('?') {
        return Err(CommandError::message("r? (typed pseudo-registers) is not built in."));
    }
    assign_or_show(session, &mut args, sink)
}

/// All registers of a context, then the instruction. `complete`: the context is a thread's own, not a caller's frame.
pub(crate) fn show(
    session: &Session,
    context: &Context,
    complete: bool,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    session.emit(sink, &RegistersReport { context: context.clone(), complete, values: Values::Integers })?;
    instruction(session, context, complete, sink)
}

/// The symbol line and the instruction at the instruction pointer of a context.
pub(crate) fn instruction(
    session: &Session,
    context: &Context,
    complete: bool,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let Some(ip) = context.regs.ip() else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    let mut report = CodeReport::of(session);
    report.header(session, ip);
    if session.sel.layout == Layout::Modern
        && let Some(Row::Header(header)) = report.rows.first_mut()
    {
        // Today's engine shows no line here, and names the inlined call that the address is in.
        header.source = None;
        if let Some(name) = crate::commands::code::inlined_name(session, ip) {
            header.name = format!("{name} [inlined in {}]", header.name);
        }
    }
    match code::decode(session, ip) {
        Some(instruction) => {
            if complete {
                report.operand = code::effective(session, &instruction, context);
            }
            report.rows.push(Row::Instruction(instruction));
        }
        None => report.rows.push(Row::Missing(ip)),
    }
    session.emit(sink, &report)
}

/// True when nothing stands behind the mask of `rM`, or what stands there is none.
fn masked_whole(session: &Session, args: &Cursor<'_>) -> bool {
    let mut look = args.clone();
    look.expr(session).is_err() || look.is_empty()
}

fn masked(
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
    if !args.is_empty() {
        return assign_or_show(session, args, sink);
    }
    let kinds = [
        (0x3, Values::Integers),
        (0x4, Values::Floats),
        (0x8, Values::Segments),
        (0x20, Values::Debug),
        (0x40, Values::Vectors),
    ];
    for (bits, values) in kinds {
        if mask & bits != 0 {
            session.emit(sink, &RegistersReport { context: context.clone(), complete: true, values })?;
        }
    }
    instruction(session, &context, true, sink)
}

fn show_mask(session: &Session, args: &mut Cursor<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if !args.is_empty() {
        return Err(CommandError::message(
            "The register mask cannot be changed; rM mask shows other registers.",
        ));
    }
    let lines =
        ["Register output mask is a:", "       2 - Integer state (64-bit)", "       8 - Segment registers"];
    session.emit(sink, &Message(lines.map(Line::plain).to_vec()))
}

/// `r.`: the registers that the instruction uses.
fn of_instruction(session: &mut Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let context = session.context().ok_or_else(no_context)?;
    let Some(instruction) = context.regs.ip().and_then(|ip| code::decode(session, ip)) else {
        return Err(CommandError::message("Unable to get program counter"));
    };
    let mut shown: Vec<values::Value> = Vec::new();
    for (_, text) in instruction.text.iter().filter(|(piece, _)| *piece == code::Piece::Register) {
        if let Ok(value) = values::by_name(session, text, None)
            && !shown.iter().any(|v| v.name == value.name)
        {
            shown.push(value);
        }
    }
    if session.sel.layout == Layout::Modern && !shown.is_empty() {
        let wide = session.sel.machine.is_64();
        let text: String = shown.iter().map(|v| v.as_address(wide)).collect();
        return session.emit(sink, &Message(vec![Line::plain(text)]));
    }
    if shown.is_empty() { Ok(()) } else { session.emit(sink, &values::ValuesReport(shown)) }
}

/// `r? $t0 = expression`: a temporary that keeps its C++ type.
fn typed(
    session: &mut Session,
    args: &mut Cursor<'_>,
    at: usize,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut look = args.clone();
    let word = look.raw().trim_start().trim_start_matches(['@', '$']);
    let slot = word.strip_prefix(['t', 'T']).map(|t| {
        let digits = t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
        (t.get(..digits).and_then(|d| d.parse::<usize>().ok()), t.get(digits..).unwrap_or(""))
    });
    let Some((Some(slot), rest)) = slot else { return assign_or_show(session, args, sink) };
    let Some(text) = rest.trim_start().strip_prefix('=') else { return assign_or_show(session, args, sink) };
    look.take_rest();
    let start = args.whole().len() - text.len();
    let (value, end) =
        crate::lang::evaluate_cpp(session, text).map_err(|e| CommandError::Expr(e.shifted(start)))?;
    let number = value.number(&**session.dump().memory()).unwrap_or(0);
    let Some(place) = session.language.temporaries.get_mut(slot) else {
        return Err(CommandError::caret(at, "Bad register error"));
    };
    *place = number;
    session.language.typed.insert(slot, value);
    args.advance(start + end - (args.whole().len() - args.raw().len()));
    args.end()
}

/// `r eax, ebx`, `r $t0 = 5`.
fn assign_or_show(
    session: &mut Session,
    args: &mut Cursor<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut shown = Vec::new();
    loop {
        let at = args.pos();
        let rest = args.raw();
        let signs = rest.len() - rest.trim_start_matches(['@', '$']).len();
        let body = rest.get(signs..).unwrap_or("");
        let len = body
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '.'))
            .unwrap_or(body.len());
        let word = body.get(..len).unwrap_or("");
        let modern = session.sel.layout == Layout::Modern;
        if modern && let Some(number) = word.strip_prefix(".u") {
            // `$u0`: text that the engine puts in its place.
            args.advance(signs + len);
            let name = format!("$u{number}");
            if args.eat_char('=') {
                let text = args.take_rest().to_owned();
                session.language.aliases.insert(name, text);
                return Ok(());
            }
            let text = session.language.aliases.get(&name).map_or("<Empty>", String::as_str);
            let line = Line::plain(format!("{name}=")).text(dumpscope_core::base::text::escape(text));
            return session.emit(sink, &Message(vec![line]));
        }
        let pseudo = rest.get(..signs).is_some_and(|s| s.contains('$'));
        if word.is_empty() || (modern && word == ".") {
            return Err(CommandError::caret(at + word.len(), "Bad register error"));
        }
        args.advance(signs + len);
        let (name, kind) = word.split_once(':').map_or((word, None), |(n, k)| (n, Some(k)));
        let name_end = args.whole().len() - rest.len() + signs + name.len();
        let unknown = modern && !pseudo && values::by_name(session, name, None).is_err();
        if unknown && args.raw().trim_start().starts_with('=') {
            return Err(CommandError::caret(name_end, "Bad register error"));
        }
        if args.eat_char('=') {
            if modern && !pseudo && set_vector(session, name, &mut args.clone()) {
                args.take_rest();
                return Ok(());
            }
            let value = args.expr(session)?;
            if modern && !pseudo && set_register(session, name, value) {
                args.eat_char(',');
                if args.is_empty() || !modern {
                    break;
                }
                return args.end();
            }
            assign(session, name, pseudo, value, at)?;
        } else if pseudo {
            let full = format!("@${}", name.to_ascii_lowercase());
            let (value, _) = session.eval(&full).map_err(|e| CommandError::Expr(ExprError { at, ..e }))?;
            shown.push(values::Value::pseudo(session, name, value));
        } else {
            match values::by_name(session, name, kind) {
                Ok(value) => shown.push(value),
                Err(_) if modern => {
                    // What was asked for before stands on the line already.
                    if !shown.is_empty() {
                        let mut text = String::new();
                        values::ValuesReport(shown)
                            .lines(&session.render_cx(), &mut |l| text += &l.to_text());
                        text.push(' ');
                        session.emit(sink, &Fragment(text))?;
                    }
                    let known = kind.filter(|_| values::by_name(session, name, None).is_ok());
                    let end = args.whole().len() - args.raw().len();
                    return Err(match known {
                        Some(kind) => CommandError::caret(end - kind.len(), "Syntax error"),
                        None => CommandError::caret(name_end, "Bad register error"),
                    });
                }
                Err(note) => {
                    let mut error = ExprError::new(ErrorKind::BadRegister, at);
                    error.note = note;
                    return Err(CommandError::Expr(error));
                }
            }
        }
        let comma = args.eat_char(',');
        if args.is_empty() {
            break;
        }
        if modern && !comma {
            return Err(CommandError::caret(args.pos(), "Syntax error"));
        }
    }
    if shown.is_empty() { Ok(()) } else { session.emit(sink, &values::ValuesReport(shown)) }
}

/// Changes a register of the context in force, as today's engine does: the dump stays as it is.
fn set_register(session: &mut Session, name: &str, value: u64) -> bool {
    let Some(mut context) = session.context() else { return false };
    let machine = context.regs.machine();
    let Some((reg, shift, bits)) = crate::lang::registers::place(machine, &name.to_ascii_lowercase()) else {
        return false;
    };
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    let old = context.regs.get(reg).unwrap_or(0);
    context.regs.set(reg, old & !(mask << shift) | (value & mask) << shift);
    session.sel.context = Some(context);
    session.language.assigned = true;
    true
}

/// `xmm0 = 1 2 3 4`: four floats, the highest first.
fn set_vector(session: &mut Session, name: &str, args: &mut Cursor<'_>) -> bool {
    let Some(number) = name.to_ascii_lowercase().strip_prefix("xmm").and_then(|n| n.parse::<usize>().ok())
    else {
        return false;
    };
    let words: Vec<&str> = args.rest().split_whitespace().collect();
    let lanes: Vec<f32> = words.iter().filter_map(|w| w.parse().ok()).collect();
    let Some(mut context) = session.context().filter(|_| lanes.len() == 4 && words.len() == 4) else {
        return false;
    };
    let Some(place) = context.vectors.get_mut(number) else { return false };
    *place = lanes.iter().fold(0, |raw, lane| raw << 32 | u128::from(lane.to_bits()));
    session.sel.context = Some(context);
    session.language.assigned = true;
    true
}

fn assign(
    session: &mut Session,
    name: &str,
    pseudo: bool,
    value: u64,
    at: usize,
) -> Result<(), CommandError> {
    let slot = name
        .strip_prefix(['t', 'T'])
        .filter(|_| pseudo)
        .and_then(|n| n.parse::<usize>().ok())
        .and_then(|n| session.language.temporaries.get_mut(n));
    match slot {
        Some(slot) => {
            *slot = value;
            let number = name.get(1..).and_then(|n| n.parse::<usize>().ok());
            number.map(|n| session.language.typed.remove(&n));
            Ok(())
        }
        None if pseudo => Err(CommandError::caret(at, "Bad register error")),
        None => Err(CommandError::message(
            "A dump's registers cannot be changed; $t0 to $t19 are free for your own values.",
        )),
    }
}

/// Registers of frame `.frame` selected, for `.frame /r`. Flags and segments are the thread's, which a caller's frame
/// does not keep: they are not shown.
pub(crate) fn show_frame(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut context = session.context().ok_or_else(no_context)?;
    let restored = session.frame_regs().ok_or_else(no_context)?;
    if session.sel.layout == Layout::Modern {
        // Today's engine shows the innermost frame's where nothing was restored; a note beside the output says which.
        context.regs = super::stack::frame::merged(&context.regs, &restored);
        let numbered = dumpscope_core::RegSet::names(context.machine).iter().zip(0u8..);
        let unknown = numbered.filter(|(_, n)| restored.get(dumpscope_core::Reg(*n)).is_none());
        let kept: Vec<&str> = unknown.map(|(name, _)| *name).collect();
        if session.sel.frame != 0 && !kept.is_empty() {
            sink.note(&format!(
                "not known in this frame, shown as in the innermost one: {}",
                kept.join(", ")
            ));
        }
        return show(session, &context, true, sink);
    }
    context.regs = restored;
    show(session, &context, session.sel.frame == 0, sink)?;
    if session.sel.frame != 0 {
        let text = "Only registers that the walk restored are known in a caller's frame.";
        let line = Line::new().role(Role::Note, format!("note: {text}"));
        return session.emit(sink, &Message(vec![line]));
    }
    Ok(())
}
