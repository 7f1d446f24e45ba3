//! `.exr`, `.ecxr`, `.cxr`, `.lastevent`, `.thread`: exceptions and contexts.

use super::{missing, target_info};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, Message, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_analyzers::crash::{access_of, exception_code, fast_fail_name, ntstatus_name, windbg_words};
use dumpscope_analyzers::model::Access;
use dumpscope_core::base::text::escape;
use dumpscope_core::context::{self, Context};
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, ReadMemory, Va};
use serde::Serialize;

pub(crate) const EXR: Command = Command {
    name: ".exr",
    group: "exception",
    syntax: ".exr -1 | .exr address",
    summary: "Shows an exception record",
    help: "-1 is the exception that the dump was written for; an address is that of an `EXCEPTION_RECORD` in memory.",
    examples: &[(".exr -1", "The dump's exception")],
    needs: &[Needs::Exception],
    run: run_exr,
    ..Command::BASE
};

pub(crate) const ECXR: Command = Command {
    name: ".ecxr",
    aliases: &[".excr"],
    group: "exception",
    syntax: ".ecxr",
    summary: "Selects the context of the dump's exception",
    help: "`k`, `r` and expressions then show where the exception was raised, not where the thread was when the dump was \
           written. `.cxr` goes back.",
    examples: &[
        (".ecxr", "Selects the exception's context and shows its registers"),
        (".ecxr; k", "And its stack"),
    ],
    needs: &[Needs::Exception],
    run: run_ecxr,
    ..Command::BASE
};

pub(crate) const CXR: Command = Command {
    name: ".cxr",
    group: "exception",
    syntax: ".cxr [address]",
    summary: "Selects a context that lies in memory; without an address the thread's own",
    help: "The address is that of a `CONTEXT` record, for instance one on the stack of an exception handler.",
    examples: &[(".cxr", "Back to the thread's own context")],
    needs: &[Needs::Memory],
    run: run_cxr,
    ..Command::BASE
};

pub(crate) const LASTEVENT: Command = Command {
    name: ".lastevent",
    group: "exception",
    syntax: ".lastevent",
    summary: "Shows the event for which the dump was written",
    help: "Thread and exception. The time is that of the dump.",
    examples: &[(".lastevent", "The event")],
    run: run_lastevent,
    ..Command::BASE
};

pub(crate) const THREAD: Command = Command {
    name: ".thread",
    group: "exception",
    syntax: ".thread",
    summary: "Goes back to the thread's own context",
    help: "Undoes `.ecxr` and `.cxr`. `~3s` selects another thread.",
    examples: &[(".thread", "The thread's own context")],
    needs: &[Needs::Threads],
    run: run_thread,
    ..Command::BASE
};

pub(crate) const IMPLICIT_PROCESS: Command = Command {
    name: ".process",
    group: "exception",
    syntax: ".process [/p] [/r] [address]",
    summary: "Shows which process is looked at",
    help: "A dump holds one process; what is shown is the address of its PEB.",
    examples: &[(".process", "The PEB's address")],
    run: run_implicit_process,
    ..Command::BASE
};

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ExceptionReport {
    code: Hex,
    /// WinDbg's words.
    description: Option<&'static str>,
    /// The SDK's name.
    name: Option<&'static str>,
    flags: Hex,
    address: Hex,
    /// `module!name+0x…`, offset padded as WinDbg does. Untrusted.
    symbol: Option<String>,
    parameters: Vec<Hex>,
    access: Option<&'static str>,
    target: Option<Hex>,
    /// `FAST_FAIL_…` of C0000409.
    fast_fail: Option<String>,
    nested: Option<Hex>,
    /// The dump has no exception: the engine shows this one in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    made_up: bool,
    #[serde(skip)]
    wide: bool,
}

impl ExceptionReport {
    fn new(session: &Session, record: &ExceptionRecord, wide: bool) -> ExceptionReport {
        let (access, target) = access_of(record);
        let name = record.parameters.first().filter(|_| record.code == 0xc000_0409);
        ExceptionReport {
            code: record.code.into(),
            description: windbg_words(record.code),
            name: exception_code(record.code).map(|e| e.name).or_else(|| ntstatus_name(record.code)),
            flags: record.flags.into(),
            address: record.address.into(),
            symbol: padded_symbol(session, record.address, wide),
            parameters: record.parameters.iter().map(|&p| Hex(p)).collect(),
            access: access.map(|a| match a {
                Access::Read => "read",
                Access::Write => "write",
                Access::Execute => "execute",
            }),
            target: target.map(Hex::from),
            fast_fail: name.and_then(|&n| fast_fail_name(n)).map(|n| format!("FAST_FAIL_{n}")),
            nested: (!record.nested.is_null()).then(|| record.nested.into()),
            made_up: false,
            wide,
        }
    }
}

/// `ntdll!RtlInitUnicodeStringEx+0x0000000000000016`: the offset has the width of a pointer.
fn padded_symbol(session: &Session, va: Va, wide: bool) -> Option<String> {
    let symbols = &session.target.symbols;
    if session.sel.layout == Layout::Modern
        && let Some(name) = crate::commands::code::inlined_name(session, va)
    {
        return Some(escape(&name).into_owned());
    }
    let r = symbols.resolve(va)?;
    let module = symbols.name_in(r.module, session.sel.machine);
    let offset = r.displacement_in(session.sel.machine);
    if let Some(s) = r.symbol.as_ref().filter(|_| offset == 0) {
        return Some(escape(&format!("{module}!{}", s.name)).into_owned());
    }
    let offset = if wide { format!("{offset:016x}") } else { format!("{offset:08x}") };
    let name = match &r.symbol {
        Some(s) => format!("{module}!{}+0x{offset}", s.name),
        None => format!("{module}+0x{offset}"),
    };
    Some(escape(&name).into_owned())
}

impl Answer for ExceptionReport {
    const KIND: &'static str = "exception";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let plain = |v: Hex| fmt::addr_plain(Va(v.0), self.wide);
        let link = |v: Hex| Span::new(Role::Address, plain(v)).link(Link::Goto(Va(v.0)));
        let mut line = Line::plain("ExceptionAddress: ").span(link(self.address));
        if let Some(symbol) = &self.symbol {
            line = line.text(" (").span(Span::untrusted(Role::Symbol, symbol)).text(")");
        }
        emit(line);
        let mut line = Line::plain("   ExceptionCode: ").role(Role::Value, format!("{:08x}", self.code.0));
        if let Some(words) = self.description {
            line = line.text(format!(" ({words})"));
        }
        emit(line);
        emit(Line::plain(format!("  ExceptionFlags: {:08x}", self.flags.0)));
        emit(Line::plain(format!("NumberParameters: {}", self.parameters.len())));
        for (i, p) in self.parameters.iter().enumerate() {
            emit(Line::plain(format!("   Parameter[{i}]: {}", plain(*p))));
        }
        if let Some(target) = self.target {
            let at = link(target);
            match (self.code.0, self.access) {
                (0xc000_0006, _) => {
                    let status = self.parameters.get(2).map_or(0, |p| p.0 & 0xffff_ffff);
                    emit(
                        Line::plain("Inpage operation failed at ")
                            .span(at)
                            .text(format!(", due to I/O error {status:08x}")),
                    );
                }
                (_, Some("read")) => emit(Line::plain("Attempt to read from address ").span(at)),
                (_, Some("write")) => emit(Line::plain("Attempt to write to address ").span(at)),
                (_, Some("execute")) => {
                    emit(Line::plain("Attempt to execute non-executable address ").span(at));
                }
                _ => {}
            }
        }
        if let Some(name) = &self.fast_fail {
            let code = self.parameters.first().map_or(0, |p| p.0);
            emit(Line::plain(format!("Subcode: {code:#x} {name} ")));
        }
        if let Some(name) = self.name.filter(|_| self.description.is_none()) {
            emit(Line::new().role(Role::Note, format!("note: {name}")));
        }
        if let Some(nested) = self.nested {
            emit(Line::new().role(Role::Note, format!("note: a nested record is at {}", plain(nested))));
        }
    }
}

/// `STATUS_BREAKPOINT`: what the engine calls the event of a dump without an exception.
const BREAKPOINT: u32 = 0x8000_0003;

fn run_exr(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let value = args.expr(session)?;
    args.end()?;
    let dump = session.dump();
    if value == u64::MAX || value == u64::from(u32::MAX) {
        let Some(stream) = dump.exception().value() else {
            if session.sel.layout == Layout::Modern {
                // The engine makes up a breakpoint for a dump without an exception.
                sink.note(missing::EXCEPTION);
                let none = ExceptionRecord {
                    code: BREAKPOINT,
                    flags: 0,
                    nested: Va(0),
                    address: Va(0),
                    parameters: Vec::new(),
                };
                let report = ExceptionReport::new(session, &none, session.sel.machine.is_64());
                return session.emit(sink, &ExceptionReport { made_up: true, ..report });
            }
            return Err(CommandError::noted("Last event was not an exception", missing::EXCEPTION));
        };
        let wide = dump.machine().is_64();
        return session.emit(sink, &ExceptionReport::new(session, &stream.record, wide));
    }
    let machine = session.sel.machine;
    let Some(record) = ExceptionRecord::read(dump.memory().as_ref(), session.address(value), machine) else {
        if session.sel.layout == Layout::Modern {
            let address = fmt::addr_plain(session.address(value), machine.is_64());
            return Err(CommandError::message(format!("Cannot read Exception record @ {address}")));
        }
        return Err(CommandError::caret(at, "Memory access error"));
    };
    session.emit(sink, &ExceptionReport::new(session, &record, machine.is_64()))
}

fn run_ecxr(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let Some(context) = dump.exception_context() else {
        let text =
            "Minidump doesn't have an exception context\nUnable to get exception context, HRESULT 0x80004002";
        return Err(CommandError::noted(text, missing::EXCEPTION));
    };
    let thread = dump.exception().value().and_then(|e| dump.thread_by_tid(e.tid)).map(|t| t.index);
    if let Some(thread) = thread {
        session.sel.select_thread(thread);
    }
    set_context(session, context, sink)
}

fn set_context(session: &mut Session, context: Context, sink: &mut dyn Sink) -> Result<(), CommandError> {
    session.sel.machine = context.machine;
    session.sel.context = Some(context);
    session.language.assigned = false;
    session.sel.frame = 0;
    if session.sel.layout == Layout::Modern
        && session.sel.register_mask.is_none()
        && let Some(context) = session.context()
    {
        return crate::commands::registers::show(session, &context, true, sink);
    }
    crate::run::run_block(session, "r", sink)
}

fn run_cxr(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let address = args.opt_address(session)?;
    args.end()?;
    let Some(address) = address.filter(|a| !a.is_null()) else {
        let had = session.sel.context.take().is_some();
        session.sel.frame = 0;
        // Today's engine says nothing where there is nothing to reset.
        return match session.sel.layout {
            Layout::Modern if !had => Ok(()),
            _ => session.emit(sink, &Message(vec![Line::plain("Resetting default scope")])),
        };
    };
    let mut raw = vec![0u8; context::AMD64_SIZE];
    let got = session.dump().memory().read_at(address, &mut raw).got;
    raw.truncate(got);
    let whole = match session.sel.machine {
        Machine::X86 => context::X86_SIZE,
        Machine::Arm64 => context::ARM64_SIZE,
        _ => context::AMD64_SIZE,
    };
    // ERROR_READ_FAULT.
    if session.sel.layout == Layout::Modern && got < whole {
        return Err(CommandError::noted("Unable to read context, Win32 error 0n30", missing::MEMORY));
    }
    let decoded = Context::decode(&raw, session.sel.machine);
    // Zeros decode too; without an instruction pointer they are no context.
    let Some(context) = decoded.filter(|c| c.regs.ip().is_some_and(|ip| !ip.is_null())) else {
        let text = "Unable to convert context to canonical form";
        return Err(if got == 0 {
            CommandError::noted(text, missing::MEMORY)
        } else {
            CommandError::message(text)
        });
    };
    set_context(session, context, sink)
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LastEvent {
    pid: Option<u32>,
    tid: Option<u32>,
    code: Option<Hex>,
    description: Option<String>,
    /// When the dump was written, as WinDbg writes it.
    time: String,
    /// The dump has no exception: the engine shows a breakpoint in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    made_up: bool,
}

impl Answer for LastEvent {
    const KIND: &'static str = "last_event";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        match (self.code, self.tid) {
            (Some(code), Some(tid)) => {
                let words = self.description.as_deref().unwrap_or("Unknown exception");
                emit(Line::plain(format!(
                    "Last event: {:x}.{tid:x}: {words} - code {:08x} (first/second chance not available)",
                    self.pid.unwrap_or(0),
                    code.0
                )));
            }
            _ => emit(Line::plain("Last event: <no event>")),
        }
        emit(Line::plain(format!("  debugger time: {}", self.time)));
    }
}

fn run_lastevent(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let stream = dump.exception().value();
    // The engine makes up a breakpoint in the first thread for a dump without an exception.
    let made = session.sel.layout == Layout::Modern && stream.is_none();
    let first = dump.threads().first().map(|t| t.tid.0).filter(|_| made);
    let code = stream.map(|s| s.record.code).or(first.map(|_| BREAKPOINT));
    if made {
        sink.note(missing::EXCEPTION);
    }
    let report = LastEvent {
        pid: dump.pid().map(|p| p.0),
        tid: stream.map(|s| s.tid.0).or(first),
        code: code.map(Hex::from),
        description: code.and_then(windbg_words).map(str::to_string),
        time: fmt::time_zone(fmt::ticks_from_unix(dump.time()), target_info::utc_bias(session)),
        made_up: made,
    };
    session.emit(sink, &report)
}

fn run_thread(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let modern = session.sel.layout == Layout::Modern;
    let mut other = None;
    if modern {
        while args.switch().is_some() {}
        other = args.opt_expr(session)?.filter(|&at| at != 0);
    }
    args.end()?;
    let Some(thread) = session.sel.thread else {
        return Err(CommandError::caret(0, "Illegal thread error"));
    };
    session.sel.select_thread(thread);
    let raw = session.dump().thread(thread).map(|t| t.raw.teb);
    let machine = if modern { session.sel.machine } else { session.dump().machine() };
    let shown = other.map(Va).or(raw).unwrap_or_default();
    let text = fmt::addr(shown, machine.is_64());
    session.emit(sink, &Message(vec![Line::plain(format!("Implicit thread is now {text}"))]))
}

fn run_implicit_process(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    while args.switch().is_some() {}
    let other = args.opt_expr(session)?.filter(|&at| at != 0).map(Va);
    args.end()?;
    let machine = session.sel.machine;
    let peb = session.eval("@$peb").ok().map(|(value, _)| Va(value));
    let text = fmt::addr(other.or(peb).unwrap_or_default(), machine.is_64());
    session.emit(sink, &Message(vec![Line::plain(format!("Implicit process is now {text}"))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Layout;

    fn report(code: u32, parameters: &[u64], wide: bool) -> ExceptionReport {
        let record = ExceptionRecord {
            code,
            flags: 0,
            nested: Va(0),
            address: Va(0),
            parameters: parameters.to_vec(),
        };
        let (access, target) = access_of(&record);
        ExceptionReport {
            code: code.into(),
            description: windbg_words(code),
            name: exception_code(code).map(|e| e.name),
            flags: Hex(0),
            address: Hex(0x7ff8_329a_a826),
            symbol: Some("ntdll!RtlInitUnicodeStringEx+0x0000000000000016".into()),
            parameters: parameters.iter().map(|&p| Hex(p)).collect(),
            access: access.map(|_| "read"),
            target: target.map(Hex::from),
            fast_fail: parameters
                .first()
                .and_then(|&n| fast_fail_name(n))
                .map(|n| format!("FAST_FAIL_{n}"))
                .filter(|_| code == 0xc000_0409),
            nested: None,
            made_up: false,
            wide,
        }
    }

    fn text(r: &ExceptionReport) -> String {
        let mut out = String::new();
        r.lines(&RenderCx { layout: Layout::Classic, wide: r.wide }, &mut |l| {
            out.push_str(&(l.to_text() + "\n"))
        });
        out
    }

    #[test]
    fn access_violation() {
        assert_eq!(
            text(&report(0xc000_0005, &[0, 0x10], true)),
            "ExceptionAddress: 00007ff8329aa826 (ntdll!RtlInitUnicodeStringEx+0x0000000000000016)\n   \
             ExceptionCode: c0000005 (Access violation)\n  ExceptionFlags: 00000000\nNumberParameters: 2\n   \
             Parameter[0]: 0000000000000000\n   Parameter[1]: 0000000000000010\nAttempt to read from address \
             0000000000000010\n"
        );
    }

    #[test]
    fn fast_fail_and_unknown_words() {
        let t = text(&report(0xc000_0409, &[0x1d], true));
        assert!(t.contains("   ExceptionCode: c0000409 (Security check failure or stack buffer overrun)\n"));
        assert!(t.ends_with("Subcode: 0x1d FAST_FAIL_INVALID_BALANCED_TREE \n"));
        let t = text(&report(0xc000_0374, &[], true));
        assert!(t.contains("   ExceptionCode: c0000374\n") && t.ends_with("note: STATUS_HEAP_CORRUPTION\n"));
    }

    struct Bytes(Vec<u8>);
    impl ReadMemory for Bytes {
        fn read_at(&self, va: Va, buf: &mut [u8]) -> dumpscope_core::base::Read {
            let from = self.0.get(va.0 as usize..).unwrap_or(&[]);
            let got = from.len().min(buf.len());
            buf[..got].copy_from_slice(&from[..got]);
            dumpscope_core::base::Read { got, provenance: dumpscope_core::base::Provenance::Dump }
        }
        fn next_readable(&self, _va: Va) -> Option<Va> {
            None
        }
    }

    #[test]
    fn records_in_memory() {
        let mut raw = vec![0u8; 0x98];
        raw[0..4].copy_from_slice(&0xc000_0005u32.to_le_bytes());
        raw[0x10..0x18].copy_from_slice(&0x7ff8_0000_1234u64.to_le_bytes());
        raw[0x18] = 2;
        raw[0x20] = 1;
        raw[0x28..0x30].copy_from_slice(&0x45u64.to_le_bytes());
        let r = ExceptionRecord::read(&Bytes(raw.clone()), Va(0), Machine::Amd64).unwrap();
        assert_eq!((r.code, r.address, r.parameters), (0xc000_0005, Va(0x7ff8_0000_1234), vec![1, 0x45]));
        raw.truncate(8);
        assert_eq!(ExceptionRecord::read(&Bytes(raw), Va(0), Machine::X86), None);
    }
}
