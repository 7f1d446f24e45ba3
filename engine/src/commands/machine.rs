//! `.effmach` and the WOW64 commands: which half of a 32-bit process in a 64-bit dump is looked at.

use super::missing;
use crate::command::{Command, CommandError, Extent, Invocation, Needs};
use crate::doc::{Answer, Line, Message, RenderCx, Report, Role, Sink};
use crate::fmt::Hex;
use crate::session::{Layout, Session};
use dumpscope_core::{Machine, Va};
use serde::Serialize;

pub(crate) const EFFMACH: Command = Command {
    name: ".effmach",
    group: "session",
    syntax: ".effmach [. | # | x86 | amd64 | arm64]",
    summary: "Shows or sets the machine whose registers and stacks are shown",
    help: "A 64-bit dump of a 32-bit process holds two stacks for each thread: `.effmach x86` selects the 32-bit one, \
           `.effmach .` the dump's own. `!sw` switches between them.",
    examples: &[(".effmach", "Shows the machine"), (".effmach .", "The dump's own machine")],
    extent: Extent::LineToday,
    run: run_effmach,
    ..Command::BASE
};

pub(crate) const SW: Command = Command {
    name: "!sw",
    aliases: &["!wow64exts.sw"],
    group: "session",
    syntax: "!sw",
    summary: "Switches between the 64-bit and the 32-bit half of a WOW64 process",
    help: "The same as `!wow64exts.sw`. Only for 64-bit dumps of 32-bit processes.",
    examples: &[("!sw", "Switches"), ("!wow64exts.sw", "Switches back")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_sw,
    ..Command::BASE
};

pub(crate) const WOW64_INFO: Command = Command {
    name: "!wow64exts.info",
    group: "session",
    syntax: "!wow64exts.info",
    summary: "Shows both PEBs, TEBs and stacks of a WOW64 process",
    help: "Only for 64-bit dumps of 32-bit processes.",
    examples: &[("!wow64exts.info", "PEBs, TEBs, stack bounds")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_info,
    ..Command::BASE
};

pub(crate) const WOW64_K: Command = Command {
    name: "!wow64exts.k",
    aliases: &["!k"],
    group: "stacks",
    syntax: "!wow64exts.k [frames]",
    summary: "Shows both stacks of a WOW64 thread",
    help: "First the 64-bit one, then the 32-bit one.",
    examples: &[("!wow64exts.k", "Both stacks of the current thread")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_k,
    ..Command::BASE
};

pub(crate) const WOW64_R: Command = Command {
    name: "!wow64exts.r",
    group: "registers",
    syntax: "!wow64exts.r",
    summary: "Shows the 32-bit registers of a WOW64 thread",
    help: "As `r` after `.effmach x86`.",
    examples: &[("!wow64exts.r", "The 32-bit registers")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_r,
    ..Command::BASE
};

/// WinDbg's name of a machine.
fn machine_words(machine: Machine) -> String {
    match machine {
        Machine::X86 => "x86 compatible (x86)".into(),
        Machine::Amd64 => "x64 (AMD64)".into(),
        Machine::Arm64 => "ARM 64-bit (AArch64) (arm64)".into(),
        Machine::Other(n) => format!("unknown ({n:#x})"),
    }
}

struct MachineReport(Machine);

impl Report for MachineReport {
    fn kind(&self) -> &'static str {
        "machine"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Effective machine: {}", machine_words(self.0))));
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "machine": self.0.json_name() })
    }
}

/// Selects a machine: the first frame, and a context of another machine no longer counts.
fn set_machine(session: &mut Session, machine: Machine) {
    if session.sel.machine != machine {
        session.sel.machine = machine;
        session.sel.frame = 0;
        session.sel.context = None;
    }
}

fn run_effmach(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let modern = session.sel.layout == Layout::Modern;
    let word = if modern {
        // Today's engine reads up to the first blank or semicolon; what follows belongs to the line all the same.
        let raw = args.raw();
        let blank = raw.len() - raw.trim_start().len();
        let body = raw.trim_start();
        let len = body.find([' ', '\t', ';']).unwrap_or(body.len());
        args.advance(blank + len);
        body.get(..len).filter(|w| !w.is_empty())
    } else {
        args.word()
    };
    if !modern {
        args.end()?;
    }
    let native = session.dump().machine();
    let wanted = match word.map(str::to_ascii_lowercase).as_deref() {
        None => session.sel.machine,
        Some("." | "#") => native,
        Some("x86") => Machine::X86,
        Some("x64") if !modern => Machine::Amd64,
        Some("amd64") => Machine::Amd64,
        Some("arm64") => Machine::Arm64,
        Some(other) if session.sel.layout == Layout::Modern => {
            return Err(CommandError::message(format!(
                "Unknown machine '{}'",
                dumpscope_core::base::text::escape(other)
            )));
        }
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    };
    let prompt = session.prompt().chars().count();
    let possible = wanted == native || (wanted == Machine::X86 && session.dump().is_wow64());
    if modern && !possible {
        let text = format!("the dump holds contexts of {} only.", machine_words(native));
        sink.note(&text);
    } else if !possible && word.is_some() {
        let note = format!("The dump holds contexts of {} only.", machine_words(native));
        return Err(CommandError::noted("Machine is not a possible execution machine", note));
    }
    set_machine(session, wanted);
    session.emit(sink, &MachineReport(wanted))?;
    if modern && !args.raw().trim().is_empty() {
        // The engine quotes the line up to the semicolon, and points by the new prompt.
        let end = inv.text.len() - args.raw().len();
        let text = inv.text.get(..end).unwrap_or("").trim_end();
        let moved = session.prompt().chars().count().saturating_sub(prompt);
        let at = (text.len() + moved).saturating_sub(1);
        let text = format!("Extra character error in '{}'", dumpscope_core::base::text::escape(text));
        return Err(CommandError::CaretText { at, text });
    }
    args.end()
}

/// The words for a process that has no 32-bit half.
fn not_wow64(session: &Session) -> CommandError {
    let note = if session.dump().machine() == Machine::X86 {
        "The dump is a 32-bit one: its stacks are 32-bit already."
    } else {
        "The process is no 32-bit process, or the memory that says so is not in the dump."
    };
    CommandError::noted("The current process is not a WOW64 process", note)
}

fn run_sw(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    if !session.dump().is_wow64() {
        return Err(not_wow64(session));
    }
    let native = session.dump().machine();
    let to_guest = session.sel.machine == native;
    set_machine(session, if to_guest { Machine::X86 } else { native });
    let text = match (session.sel.layout, to_guest) {
        (Layout::Classic, true) => "Switched to 32bit mode",
        (Layout::Classic, false) => "Switched to 64bit mode",
        (Layout::Modern, true) => "Switched to Guest (WoW) mode",
        (Layout::Modern, false) => "Switched to Host mode",
    };
    session.emit(sink, &Message(vec![Line::plain(text)]))
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Half {
    teb: Option<Hex>,
    peb: Option<Hex>,
    stack_base: Option<Hex>,
    stack_limit: Option<Hex>,
    deallocation: Option<Hex>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Wow64Report {
    guest: Half,
    host: Half,
}

impl Answer for Wow64Report {
    const KIND: &'static str = "wow64";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let hex = |v: Option<Hex>| v.map_or_else(|| "????????".into(), |v| format!("{:#x}", v.0));
        emit(Line::new());
        emit(Line::plain(format!("PEB32: {}", hex(self.guest.peb))));
        emit(Line::plain(format!("PEB64: {}", hex(self.host.peb))));
        emit(Line::new());
        emit(Line::new().role(Role::Heading, "Wow64 information for current thread:"));
        emit(Line::new());
        emit(Line::plain(format!("TEB32: {}", hex(self.guest.teb))));
        emit(Line::plain(format!("TEB64: {}", hex(self.host.teb))));
        for (bits, half) in [(32, &self.guest), (64, &self.host)] {
            emit(Line::new());
            emit(Line::plain(format!("{bits} bit, StackBase   : {}", hex(half.stack_base))));
            emit(Line::plain(format!("        StackLimit  : {}", hex(half.stack_limit))));
            emit(Line::plain(format!("        Deallocation: {}", hex(half.deallocation))));
        }
    }
}

fn run_info(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let Some(thread) = session.sel.thread else {
        return Err(CommandError::caret(0, "Illegal thread error"));
    };
    if !dump.is_wow64() {
        return Err(not_wow64(session));
    }
    let half = |machine: Machine| {
        let teb = dump.read_teb(thread, machine);
        let hex = |va: Option<Va>| va.map(Hex::from);
        Half {
            teb: hex(teb.map(|t| t.address)),
            peb: hex(dump.peb(machine)),
            stack_base: hex(teb.and_then(|t| t.stack_base)),
            stack_limit: hex(teb.and_then(|t| t.stack_limit)),
            deallocation: hex(teb.and_then(|t| t.deallocation_stack)),
        }
    };
    let report = Wow64Report { guest: half(Machine::X86), host: half(dump.machine()) };
    if report.guest.teb.is_none() {
        return Err(missing::process_data("Unable to read the 32-bit TEB"));
    }
    session.emit(sink, &report)
}

/// Runs a command in the view of a machine, and comes back.
fn in_view(
    session: &mut Session,
    machine: Machine,
    line: &str,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let saved = session.sel.clone();
    set_machine(session, machine);
    let result = crate::run::run_block(session, line, sink);
    session.sel = saved;
    result
}

fn run_k(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let count = args.opt_expr(session)?.unwrap_or(session.sel.max_frames as u64).clamp(1, 0xffff);
    args.end()?;
    if !session.dump().is_wow64() {
        return Err(not_wow64(session));
    }
    let line = format!("k 0n{count}");
    let native = session.dump().machine();
    session.emit(sink, &Message(vec![Line::plain("Walking Native Stack... ")]))?;
    in_view(session, native, &line, sink)?;
    session.emit(sink, &Message(vec![Line::plain("Walking Guest (WoW) Stack... ")]))?;
    in_view(session, Machine::X86, &line, sink)
}

fn run_r(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    if !session.dump().is_wow64() {
        return Err(not_wow64(session));
    }
    in_view(session, Machine::X86, "r", sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!(machine_words(Machine::X86), "x86 compatible (x86)");
        assert_eq!(machine_words(Machine::Amd64), "x64 (AMD64)");
    }
}
