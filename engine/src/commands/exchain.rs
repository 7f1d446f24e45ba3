//! `!exchain`: who would handle an exception on the current thread.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::{Machine, ReadMemory as _};

pub(crate) const EXCHAIN: Command = Command {
    name: "!exchain",
    group: "exception",
    syntax: "!exchain",
    summary: "Shows the exception handlers of the current thread",
    help: "32-bit programs: the list of registrations that starts in the TEB. On x64 handlers belong to functions: those of the \
           stack's frames are shown.",
    examples: &[("!exchain", "The handlers")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

/// Most registrations that are followed.
const MAX: usize = 256;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().take_rest();
    match session.sel.machine {
        Machine::X86 => chain(session, sink),
        Machine::Amd64 => frames(session, sink),
        _ => Err(CommandError::message("!exchain knows x86 and x64; `k` shows the stack.")),
    }
}

fn named(session: &Session, va: dumpscope_core::Va) -> String {
    let name = session.target.symbols.format(va, session.sel.machine);
    let at = fmt::addr(va, session.sel.machine.is_64());
    name.map_or_else(|| at.clone(), |n| format!("{n} ({at})"))
}

/// `EXCEPTION_REGISTRATION_RECORD` of winnt.h: the next record (ffffffff at the end) and the handler.
fn chain(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let thread = session.sel.thread;
    let teb = thread.and_then(|t| session.dump().read_teb(t, Machine::X86));
    let Some(mut at) = teb.and_then(|t| t.exception_list) else {
        return Err(missing::process_data("Unable to read exception handlers: the TEB is not in the dump"));
    };
    let memory = session.dump().memory();
    let mut lines = Vec::new();
    for _ in 0..MAX {
        if at.0 == 0xffff_ffff || at.is_null() {
            break;
        }
        let record = memory.ptr(at, Machine::X86).zip(memory.ptr(at.offset(4), Machine::X86));
        let Some((next, handler)) = record else {
            lines.push(Line::plain(format!("{}: Unable to read the record", fmt::addr(at, false))));
            break;
        };
        let text = format!("{}: {}", fmt::addr(at, false), named(session, handler));
        lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
        // Records lie on the stack, outer ones higher: anything else is a broken chain.
        if next <= at && !next.is_null() {
            lines.push(Line::plain("Invalid exception stack: the next record lies lower"));
            break;
        }
        at = next;
    }
    if lines.is_empty() {
        lines.push(Line::plain("No exception handlers are registered."));
    }
    session.emit(sink, &Message(lines))
}

fn frames(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let stack = super::stack::walk(session, MAX)?;
    let mut lines =
        vec![Line::plain(format!("{} stack frames, scanning for handlers...", stack.frames.len()))];
    for (n, f) in stack.frames.iter().enumerate() {
        let Some(handler) = super::code::handler(session, f.frame.lookup_ip()) else { continue };
        let frame = format!("Frame {n:#04x}: {}", named(session, f.frame.ip));
        lines.push(Line(vec![Span::untrusted(Role::Plain, &frame)]));
        let text = format!("  {} {}", handler.1, named(session, handler.0));
        lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
    }
    session.emit(sink, &Message(lines))
}
