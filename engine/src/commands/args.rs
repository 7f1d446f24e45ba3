//! `.args`: what functions were called with, and why that is believed.

use super::code::{self, CodeReport};
use super::stack;
use crate::batch::rows;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, Message, RenderCx, Report, Role, Sink, Span};
use crate::document::ArgRow;
use crate::fmt;
use crate::session::Session;
use dumpscope_analyzers::Stack;
use dumpscope_analyzers::arguments::{add_hints, recover_all};
use dumpscope_analyzers::model::{ArgPlace, Argument, Evidence};
use dumpscope_analyzers::text::frame_text;
use dumpscope_core::{Machine, ReadMemory, RegSet, Va};
use serde::Serialize;

pub(crate) const ARGS: Command = Command {
    name: ".args",
    group: "stacks",
    syntax: ".args [frame | *]  |  .args explain [frame]  |  .args [raw | recovered]",
    summary: "Shows what a frame's function was called with, and why that is believed",
    help: "One line for each argument: where the convention puts it, its value, where the value was found and how sure it is \
           (`proven`, `strong`, `guess`), and what it means when that is known. Without a frame number (hexadecimal, as `kn` \
           shows it) the selected frame's; `*` shows all frames.\n\n\
           `.args explain` also shows the instructions, registers and words that each value rests on.\n\n\
           `.args raw` makes `kb` and `kv` of 64-bit stacks show the raw words of the home slots, as WinDbg does; \
           `.args recovered` makes them show recovered values again (those that are at least `strong`, dashes for the rest).",
    examples: &[
        (".args", "The arguments of the selected frame"),
        (".args *", "Those of all frames"),
        (".args explain 1", "Those of the caller, with the instructions that they rest on"),
        (".args raw", "kb shows raw words from now on"),
        (".args recovered", "kb shows recovered values again"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

/// One frame's arguments.
#[derive(Clone, Debug, Serialize)]
struct FrameArgs {
    number: u32,
    /// `module!function+0x12`. Untrusted, escaped.
    function: String,
    args: Vec<ArgRow>,
    #[serde(skip)]
    lines: Vec<Line>,
}

#[derive(Clone, Debug, Serialize)]
struct ArgsReport {
    frames: Vec<FrameArgs>,
}

impl Answer for ArgsReport {
    const KIND: &'static str = "args";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for frame in &self.frames {
            emit(
                Line::new()
                    .role(Role::Label, format!("{:02x} ", frame.number))
                    .role(Role::Symbol, frame.function.as_str()),
            );
            frame.lines.iter().cloned().for_each(&mut *emit);
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    for (word, raw) in [("raw", true), ("recovered", false)] {
        if args.eat(word) {
            args.end()?;
            session.sel.raw_args = raw;
            let text = format!("kb and kv show {word} arguments of 64-bit stacks");
            return session.emit(sink, &Message(vec![Line::plain(text)]));
        }
    }
    let explain = args.eat("explain");
    let all = args.eat_char('*');
    let at = args.pos();
    let number = if all { None } else { Some(args.opt_expr(session)?.unwrap_or(session.sel.frame.into())) };
    args.end()?;
    let stack = stack::walk(session, session.sel.max_frames)?;
    let recovered = with_hints(session, &stack);
    let mut frames = Vec::new();
    for (row, found) in recovered.iter().enumerate() {
        if number.is_none_or(|n| usize::try_from(n) == Ok(row)) {
            frames.extend(frame_args(session, &stack, row, found, explain));
        }
    }
    if frames.is_empty() {
        return Err(CommandError::caret(at, "Range error"));
    }
    session.emit(sink, &ArgsReport { frames })
}

/// The arguments of all rows with what they mean.
pub(crate) fn with_hints(session: &Session, stack: &Stack) -> Vec<Vec<Argument>> {
    let mut rows = recover_all(&session.target, stack, &session.cancel);
    add_hints(&session.target, stack, &mut rows, &session.cancel);
    rows
}

fn frame_args(
    session: &Session,
    stack: &Stack,
    row: usize,
    found: &[Argument],
    explain: bool,
) -> Option<FrameArgs> {
    let frame = stack.frames.get(row)?;
    let mut lines = Vec::new();
    for argument in found {
        lines.push(argument_line(stack.machine, argument));
        if explain {
            explanation(session, stack, argument, &mut lines);
        }
    }
    if found.is_empty() {
        lines.push(Line::new().role(Role::Dim, "   no arguments are known"));
    }
    Some(FrameArgs {
        number: u32::try_from(row).unwrap_or(u32::MAX),
        function: frame_text(&session.target, frame),
        args: found.iter().map(rows::arg).collect(),
        lines,
    })
}

/// Where an argument lies by convention: `rcx`, `[sp+28]`.
fn place(machine: Machine, place: ArgPlace) -> String {
    match place {
        ArgPlace::Register(reg) => {
            RegSet::names(machine).get(usize::from(reg.0)).copied().unwrap_or("?").to_owned()
        }
        ArgPlace::Stack(offset) => format!("[sp+{offset:x}]"),
        ArgPlace::Vector(n) => format!("{}{n}", if machine == Machine::Arm64 { "d" } else { "xmm" }),
        _ => "-".to_owned(),
    }
}

fn argument_line(machine: Machine, argument: &Argument) -> Line {
    let wide = machine.is_64();
    let place = place(machine, argument.place);
    let mut line =
        Line::new().text(format!("   {} ", argument.index)).role(Role::Register, format!("{place:<8} "));
    if let Some(name) = &argument.name {
        if let Some(text) = &argument.type_text {
            line = line.span(Span::untrusted(Role::Type, text)).text(" ");
        }
        line = line.span(Span::untrusted(Role::Label, name)).text(" ");
    }
    match &argument.value {
        Some(value) => {
            let text = match value.bytes {
                n if n < machine.ptr_size() as u8 => format!("{:0w$x}", value.bits, w = usize::from(n) * 2),
                _ => fmt::addr(Va(value.bits), wide),
            };
            let link = match &argument.leads_to {
                Some(name) => Link::Run(format!("dt win32!{name} 0x{:x}", value.bits)),
                None => Link::Goto(Va(value.bits)),
            };
            let value_span = Span::new(Role::Value, text).link(link);
            let why = format!(" ({}, {})", value.source.name(), value.confidence.name());
            line = line.text("= ").span(value_span).role(Role::Dim, why);
        }
        None if argument.overwritten => {
            line = line.role(Role::Dim, "is not known: its stack word was overwritten")
        }
        None => line = line.role(Role::Dim, "is not known"),
    }
    if let Some(hint) = &argument.hint {
        line = line.text("  ").span(Span::untrusted(Role::Text, &hint.text));
    }
    line
}

/// What a value rests on.
fn explanation(session: &Session, stack: &Stack, argument: &Argument, out: &mut Vec<Line>) {
    let Some(value) = &argument.value else { return };
    let cx = RenderCx { layout: session.sel.layout, wide: stack.machine.is_64() };
    let memory = session.dump().memory();
    for evidence in &value.evidence {
        let text = match evidence {
            Evidence::Instruction(va) => {
                let mut report = CodeReport::new();
                if let Some(instruction) = code::decode(session, *va) {
                    report.rows.push(code::Row::Instruction(instruction));
                }
                Report::lines(&report, &cx, &mut |l| {
                    out.push(Line(Line::new().text("        ").0.into_iter().chain(l.0).collect()))
                });
                continue;
            }
            Evidence::Memory(va) => {
                let word = memory.ptr(*va, stack.machine).map(|w| fmt::addr(w, cx.wide));
                format!("        {} holds {}", fmt::addr(*va, cx.wide), word.as_deref().unwrap_or("????????"))
            }
            Evidence::Register(row, reg) => {
                let name = RegSet::names(stack.machine).get(usize::from(reg.0)).copied().unwrap_or("?");
                let frame = stack.frames.get(*row);
                let held = frame.and_then(|f| f.frame.regs.get(*reg));
                let slot =
                    frame.and_then(|f| f.frame.saved_at.iter().find(|(r, _)| r == reg)).map(|(_, va)| *va);
                let held = held.map(|v| format!(" = {}", fmt::addr(Va(v), cx.wide))).unwrap_or_default();
                let slot =
                    slot.map(|va| format!(", saved at {}", fmt::addr(va, cx.wide))).unwrap_or_default();
                let place = frame.map(|_| format!(" in frame {row:02x}")).unwrap_or_default();
                format!("        {name}{place}{held}{slot}")
            }
        };
        out.push(Line::new().role(Role::Dim, text));
    }
}
