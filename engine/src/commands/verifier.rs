//! `!avrf`, `!htrace`, `!token`: what Application Verifier and the writer of the dump left in streams of their own.

use crate::command::{Command, CommandError, Invocation};
use crate::commands::missing;
use crate::doc::{Line, Message, Sink};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::handle_ops::Operation;

/// `FLG_APPLICATION_VERIFIER` of gflags.
const VERIFIER: u32 = 0x100;
/// Most operations that are shown.
const MAX_SHOWN: usize = 1000;

pub(crate) const AVRF: Command = Command {
    name: "!avrf",
    group: "process",
    syntax: "!avrf",
    summary: "Says whether Application Verifier was on",
    help: "From the global flags in the PEB and the modules. What it traced of handles shows `!htrace`; its stops are exceptions \
           (`.exr -1`).",
    examples: &[("!avrf", "On or off")],
    run: |session, inv, sink| {
        inv.cursor().take_rest();
        let dump = session.dump();
        let loaded = dump.modules().iter().any(|m| m.path.to_ascii_lowercase().ends_with("verifier.dll"));
        let peb = dump.read_peb(session.target.process_machine());
        let Some(flags) = peb.and_then(|p| p.nt_global_flag) else {
            if loaded {
                let text = "verifier.dll is loaded: Application Verifier is on for this process.";
                return session.emit(sink, &Message(vec![Line::plain(text)]));
            }
            return Err(CommandError::noted(
                "Unable to read NtGlobalFlag: the PEB is not in the dump",
                missing::PROCESS_DATA,
            ));
        };
        let on = flags & VERIFIER != 0 || loaded;
        let not = if on { "" } else { "not " };
        let mut lines = vec![Line::plain(format!(
            "Application Verifier is {not}enabled for this process (NtGlobalFlag {flags:x})."
        ))];
        if on {
            lines.push(Line::plain("!htrace shows traced handles, .exr -1 a verifier stop."));
        }
        session.emit(sink, &Message(lines))
    },
    ..Command::BASE
};

pub(crate) const HTRACE: Command = Command {
    name: "!htrace",
    group: "process",
    syntax: "!htrace [handle]",
    summary: "Shows who opened and closed handles, when that was traced",
    help: "Needs the stream of handle operations, which `MiniDumpWithHandleData` writes while Application Verifier traces \
           handles. Newest last; a handle's value shows its operations only.",
    examples: &[("!htrace", "All traced operations")],
    run: htrace,
    ..Command::BASE
};

fn htrace(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let handle = args.opt_expr(session)?.filter(|h| *h != 0);
    args.end()?;
    let all = session.dump().handle_operations().value().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        return Err(CommandError::noted(
            "Handle tracing information is not in the dump.",
            "It is there when Application Verifier (Handles) was on and the dump was written with MiniDumpWithHandleData. \
             `!handle` shows which handles were open.",
        ));
    }
    let chosen: Vec<_> = all.iter().filter(|o| handle.is_none_or(|h| h == o.handle)).collect();
    let wide = session.sel.machine.is_64();
    let mut lines = Vec::new();
    for o in chosen.iter().take(MAX_SHOWN) {
        let what = match o.operation {
            Operation::Unused => continue,
            Operation::Open => "OPEN",
            Operation::Close => "CLOSE",
            Operation::BadReference => "BAD REF",
            Operation::Other(_) => "unknown",
        };
        lines.push(Line::plain("--------------------------------------"));
        lines.push(Line::plain(format!("Handle = 0x{:x} - {what}", o.handle)));
        lines.push(Line::plain(format!("Thread ID = 0x{:x}, Process ID = 0x{:x}", o.tid.0, o.pid.0)));
        lines.push(Line::new());
        for va in &o.stack {
            let name = session.target.symbols.format(*va, session.sel.machine).unwrap_or_default();
            lines.push(Line::plain(format!("{}: {}", fmt::addr(*va, wide), escape(&name))));
        }
    }
    lines.push(Line::plain("--------------------------------------"));
    lines.push(Line::plain(format!("{} of {} traces shown", chosen.len().min(MAX_SHOWN), all.len())));
    session.emit(sink, &Message(lines))
}

pub(crate) const TOKEN: Command = Command {
    name: "!token",
    group: "process",
    syntax: "!token",
    summary: "Lists the security tokens that the dump holds",
    help: "From the stream that `MiniDumpWithTokenInformation` writes: whose tokens, and how large. What they say has no public \
           layout.",
    examples: &[("!token", "The tokens")],
    run: |session, inv, sink| {
        inv.cursor().take_rest();
        let tokens = session.dump().tokens().value().map_or(&[][..], Vec::as_slice);
        if tokens.is_empty() {
            return Err(CommandError::noted(
                "The dump holds no security tokens.",
                "MiniDumpWithTokenInformation includes them. \
                 `!peb` shows the environment, in which USERNAME may stand.",
            ));
        }
        let mut lines: Vec<Line> = tokens
            .iter()
            .map(|t| {
                let own = session.dump().pid().is_some_and(|p| p.0 == t.id);
                let whose = if own { "process" } else { "thread" };
                Line::plain(format!("Token of {whose} {:x}: handle {:x}, {} bytes", t.id, t.handle, t.size))
            })
            .collect();
        lines.push(Line::plain("What the tokens say has no public layout: it is not decoded."));
        session.emit(sink, &Message(lines))
    },
    ..Command::BASE
};
