//! `.chain`, `.load` and their kin: extensions are built in, nothing is loaded. And other questions about WinDbg itself.

use crate::command::{COMMANDS, Command, CommandError, EXTENSIONS, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;

pub(crate) const CHAIN: Command = Command {
    name: ".chain",
    aliases: &[".extmatch"],
    group: "session",
    syntax: ".chain | .extmatch pattern",
    summary: "Lists the extensions that are built in",
    help: "Extensions are Windows programs and cannot be loaded here; the commands of those that are listed are built in, with \
           or without the extension's name before them (`!ntsdexts.locks` is `!locks`). `.help` lists all commands.",
    examples: &[(".chain", "What is built in")],
    run: |session, _, sink| {
        let mut lines = vec![Line::plain("Extension DLL chain:")];
        lines.extend(EXTENSIONS.iter().map(|e| Line::plain(format!("    {e}: built in"))));
        lines.push(Line::plain(format!("{} commands in all: .help lists them.", COMMANDS.len())));
        session.emit(sink, &Message(lines))
    },
    ..Command::BASE
};

pub(crate) const LOAD: Command = Command {
    name: ".load",
    aliases: &[".loadby", ".unload", ".unloadall", ".setdll"],
    group: "session",
    syntax: ".load extension | .loadby extension module | .unload [extension] | .setdll extension",
    summary: "Says which commands of an extension are built in",
    help: "Scripts load extensions first: for those whose commands are built in that is no error. Others cannot be loaded, they \
           are Windows programs.",
    examples: &[(".loadby sos clr", "The commands for .NET are there already")],
    run: load,
    ..Command::BASE
};

/// Extensions that are no part of [`EXTENSIONS`] and what stands in for them.
const STAND_INS: &[(&str, &str)] = &[
    ("sos", "!clrstack !clrthreads !dumpheap !do !pe !syncblk"),
    ("psscor2", "!clrstack !clrthreads !dumpheap !do !pe !syncblk"),
    ("psscor4", "!clrstack !clrthreads !dumpheap !do !pe !syncblk"),
    ("sosex", "!dso !dumpasync !gcroot !syncblk"),
    ("mex", "!uniqstack !findstack !runaway !waits"),
    ("ext", "!analyze !address !gle !heap"),
    ("exts", "!teb !peb !gle !tls !dlls"),
    ("uext", "!handle !runaway !findstack"),
    ("ntsdexts", "!locks !cs !handle !runaway"),
    ("wow64exts", "!wow64exts.info !sw !k !r"),
    ("dbghelp", "!lmi !dh"),
];

fn load(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let path = args.word().unwrap_or("");
    let name = path.rsplit(['\\', '/']).next().unwrap_or("").to_ascii_lowercase();
    let name = name.strip_suffix(".dll").unwrap_or(&name);
    let say = |sink: &mut dyn Sink, text: &str| {
        session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
    };
    let modern = session.sel.layout == Layout::Modern;
    match inv.name {
        // The engine's own words.
        ".unload" if modern && name.is_empty() => return say(sink, "Unloading dbghelp extension DLL"),
        ".setdll" if name.is_empty() => return say(sink, "No extension DLL name provided"),
        ".unload" | ".unloadall" => return say(sink, "Extensions are built in: nothing is unloaded."),
        _ => {}
    }
    if name.is_empty() {
        return Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required"));
    }
    if let Some((_, commands)) = STAND_INS.iter().find(|(n, _)| *n == name) {
        return say(sink, &format!("Nothing to load: these and more are built in: {commands}"));
    }
    if EXTENSIONS.contains(&name) {
        return say(sink, &format!("Nothing to load: the commands of {name} are built in."));
    }
    Err(CommandError::noted(
        format!(
            "The call to LoadLibrary({}) failed, Win32 error 0n2\n    \"The system cannot find the file specified.\"",
            escape(path)
        ),
        format!(
            "Extensions are Windows programs and cannot be loaded; {} commands are built in, .chain and .help list them.",
            COMMANDS.len()
        ),
    ))
}

pub(crate) const VERCOMMAND: Command = Command {
    name: "vercommand",
    group: "session",
    syntax: "vercommand",
    summary: "Shows the command line that opens this dump",
    help: "The line that starts dumpscope with the same dump.",
    examples: &[("vercommand", "The command line")],
    run: |session, inv, sink| {
        inv.cursor().end()?;
        let text = format!("command line: 'dumpscope {}'", session.path);
        session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, &text)])]))
    },
    ..Command::BASE
};

pub(crate) const CHILDDBG: Command = Command {
    name: ".childdbg",
    group: "session",
    syntax: ".childdbg [0 | 1]",
    summary: "Says whether child processes are debugged: never, in a dump",
    help: "A setting of live debugging, kept for scripts.",
    examples: &[(".childdbg", "The setting")],
    run: |session, inv, sink| {
        let mut args = inv.cursor();
        if args.opt_expr(session)?.is_some_and(|on| on != 0) {
            return Err(CommandError::message("A dump does not run: it has no child processes to debug."));
        }
        args.end()?;
        let text = "Processes created by the current process will not be debugged";
        session.emit(sink, &Message(vec![Line::plain(text)]))
    },
    ..Command::BASE
};

pub(crate) const EVENTLOG: Command = Command {
    name: ".eventlog",
    group: "exception",
    syntax: ".eventlog",
    summary: "Shows the events that the dump knows",
    help: "WinDbg keeps the last events of a session. A dump has its own event, as `.lastevent` shows it, and the modules that \
           were unloaded before.",
    examples: &[(".eventlog", "Unloaded modules and the event")],
    run: |session, inv, sink| {
        inv.cursor().end()?;
        let wide = session.sel.machine.is_64();
        let unloaded = session.dump().unloaded().value().map_or(&[][..], Vec::as_slice);
        let line = |u: &dumpscope_core::stream::unloaded::UnloadedModule| {
            let text = format!("Unload module {} at {}", u.name, crate::fmt::addr(u.base, wide));
            Line(vec![Span::untrusted(Role::Plain, &text)])
        };
        let lines: Vec<Line> = unloaded.iter().map(line).collect();
        if !lines.is_empty() {
            session.emit(sink, &Message(lines))?;
        }
        crate::run::run_block(session, ".lastevent", sink)
    },
    ..Command::BASE
};

pub(crate) const BL: Command = Command {
    name: "bl",
    group: "session",
    syntax: "bl",
    summary: "Lists breakpoints: a dump has none",
    help: "Breakpoints stop a running process; the list of a dump is empty.",
    examples: &[("bl", "No breakpoints")],
    run: |session, inv, sink| {
        if session.sel.layout == Layout::Modern {
            return Err(CommandError::caret(2, "Operation not supported by current debuggee error"));
        }
        inv.cursor().end()?;
        session.emit(sink, &Message(vec![Line::plain("No breakpoints: a dump does not run.")]))
    },
    ..Command::BASE
};

pub(crate) const FNRET: Command = Command {
    name: ".fnret",
    group: "code",
    syntax: ".fnret function value",
    summary: "Shows a value as what a function returns",
    help: "The value is shown by the type that the symbols give for the function's result.",
    examples: &[(".fnret @$ip 5", "5 as a result of the current function")],
    run: |session, inv, sink| super::refusals::answer(session, inv.text, sink),
    ..Command::BASE
};

pub(crate) const SX: Command = Command {
    name: "sx",
    group: "session",
    syntax: "sx",
    summary: "Lists event filters, which a dump does not need",
    help: "WinDbg's filters say at which events a process stops; a dump has one event, see `.lastevent`.",
    examples: &[("sx", "The filters as WinDbg starts with them")],
    run: |session, _, sink| super::refusals::answer(session, "sx", sink),
    ..Command::BASE
};
