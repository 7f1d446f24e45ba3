//! `.fnent`: a function's entry and its unwind data.

use super::bounds;
use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Sink};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::{Machine, ReadMemory as _};

pub(crate) const FNENT: Command = Command {
    name: ".fnent",
    group: "code",
    syntax: ".fnent address",
    summary: "Shows a function's start, end and unwind data",
    help: "On x64 the entry of the exception directory and its unwind codes (Microsoft's \"x64 exception handling\"), from the \
           module in memory. On other machines what the symbols know of the function's size.",
    examples: &[(".fnent @$ip", "The current function")],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let va = args.address(session)?;
    args.end()?;
    let wide = session.sel.machine.is_64();
    let mut lines = match session.sel.machine {
        Machine::Amd64 => unwind(session, va),
        _ => symbol(session, va),
    };
    if lines.is_empty() {
        let text = format!("No function entry for {}", fmt::addr(va, wide));
        return session.emit(sink, &Message(vec![Line::plain(text)]));
    }
    session.emit(sink, &Message(vec![Line::plain("Debugger function entry for:")]))?;
    crate::run::run_block(session, &format!("ln 0x{:x}", va.0), sink)?;
    lines.insert(0, Line::new());
    session.emit(sink, &Message(lines))
}

fn symbol(session: &Session, va: dumpscope_core::Va) -> Vec<Line> {
    let symbols = &session.target.symbols;
    let base = symbols.module_at(va).and_then(|m| symbols.modules().get(m)).map(|m| m.base);
    let start = bounds::function_start(session, va);
    let (Some(base), Some(start)) = (base, start) else { return Vec::new() };
    let mut lines = vec![Line::plain(format!("OffStart:  {:08x}", start.0.wrapping_sub(base.0)))];
    if let Some(next) = symbols.next_after(start).and_then(|s| s.rva.va(base).distance_from(start)) {
        lines.push(Line::plain(format!("ProcSize:  {next:#x} at most: up to the next symbol")));
    }
    if let Some(params) = symbols.param_bytes(va) {
        lines.push(Line::plain(format!("Params:    {params:#x} bytes")));
    }
    lines
}

fn unwind(session: &Session, va: dumpscope_core::Va) -> Vec<Line> {
    const REGISTERS: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
        "r14", "r15",
    ];
    let Some(entry) = bounds::entry(session, va) else { return Vec::new() };
    let memory = session.dump().memory();
    let rva = |va: dumpscope_core::Va| fmt::addr(dumpscope_core::Va(va.0.wrapping_sub(entry.base.0)), true);
    let mut lines = vec![
        Line::plain(format!("BeginAddress      = {}", rva(entry.begin))),
        Line::plain(format!("EndAddress        = {}", rva(entry.end))),
        Line::plain(format!("UnwindInfoAddress = {}", rva(entry.info))),
    ];
    let Some([head, prolog, count, frame]) = memory.bytes::<4>(entry.info) else {
        lines.push(Line::plain("The unwind data are not in the dump."));
        return lines;
    };
    let slots = u64::from(count);
    lines.push(Line::new());
    lines.push(Line::plain(format!(
        "Unwind info at {}, {:x} bytes",
        fmt::addr(entry.info, true),
        4 + slots * 2
    )));
    lines.push(Line::plain(format!(
        "  version {}, flags {:x}, prolog {prolog:x}, codes {count:x}",
        head & 7,
        head >> 3
    )));
    if let Some(name) = REGISTERS.get(usize::from(frame & 15)).filter(|_| frame & 15 != 0) {
        lines.push(Line::plain(format!(
            "  frame reg {:x} ({name}), frame offs {:x}",
            frame & 15,
            u32::from(frame >> 4) * 16
        )));
    }
    let mut at = 0;
    while at < slots {
        let code = |n: u64| memory.bytes::<2>(entry.info.offset(4 + (at + n) * 2));
        let Some([offset, op]) = code(0) else { break };
        let (op, info) = (op & 15, op >> 4);
        let short = || code(1).map_or(0, |b| u32::from(u16::from_le_bytes(b)));
        let long = || short() | code(2).map_or(0, |b| u32::from(u16::from_le_bytes(b))) << 16;
        let register = REGISTERS.get(usize::from(info)).copied().unwrap_or("");
        let (words, used) = match (op, info) {
            (0, _) => (format!("UWOP_PUSH_NONVOL reg: {register}."), 1),
            (1, 0) => (format!("UWOP_ALLOC_LARGE FrameOffset: {:x}.", short().saturating_mul(8)), 2),
            (1, _) => (format!("UWOP_ALLOC_LARGE FrameOffset: {:x}.", long()), 3),
            (2, _) => ("UWOP_ALLOC_SMALL.".to_owned(), 1),
            (3, _) => ("UWOP_SET_FPREG.".to_owned(), 1),
            (4, _) => {
                (format!("UWOP_SAVE_NONVOL FrameOffset: {:x} reg: {register}.", short().saturating_mul(8)), 2)
            }
            (5, _) => (format!("UWOP_SAVE_NONVOL_FAR FrameOffset: {:x} reg: {register}.", long()), 3),
            (6, _) => ("UWOP_EPILOG.".to_owned(), 1),
            (8, _) => {
                (format!("UWOP_SAVE_XMM128 FrameOffset: {:x} reg: xmm{info}.", short().saturating_mul(16)), 2)
            }
            (9, _) => (format!("UWOP_SAVE_XMM128_FAR FrameOffset: {:x} reg: xmm{info}.", long()), 3),
            (10, _) => ("UWOP_PUSH_MACHFRAME.".to_owned(), 1),
            _ => ("unknown".to_owned(), 1),
        };
        lines.push(Line::plain(format!(
            "  {at:02x}: offs {offset:x}, unwind op {op:x}, op info {info:x}\t{words}"
        )));
        at += used;
    }
    if let Some((handler, kind)) = bounds::handler(session, va) {
        let name = session.target.symbols.format(handler, session.sel.machine).unwrap_or_default();
        lines.push(Line::plain(format!(
            "  {kind} {} {}",
            fmt::addr(handler, true),
            dumpscope_core::base::text::escape(&name)
        )));
    }
    lines
}
