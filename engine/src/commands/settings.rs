//! Settings of the session and of the screen.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, Sink};
use crate::lang::Cursor;
use crate::session::{Layout, Session};

pub(crate) const LAYOUT: Command = Command {
    name: ".layout",
    group: "session",
    syntax: ".layout [classic | modern]",
    summary: "Shows or sets which WinDbg's layout the output has",
    help: "`classic` is WinDbg of 2016 and before: no frame numbers in `k`, narrow columns. `modern` is WinDbg of 2023.",
    examples: &[(".layout", "Shows the layout"), (".layout modern", "Frame numbers in k, wider columns")],
    run: layout,
    ..Command::BASE
};

pub(crate) const CLS: Command = Command {
    name: ".cls",
    group: "session",
    syntax: ".cls",
    summary: "Clears the screen",
    help: "Clears the screen or the command window. Nothing else changes.",
    examples: &[(".cls", "Clears it")],
    run: |session, inv, _| {
        inv.cursor().end()?;
        if let Some(host) = &session.host {
            host.clear_screen();
        }
        Ok(())
    },
    ..Command::BASE
};

pub(crate) const EXPR: Command = Command {
    name: ".expr",
    group: "expressions",
    syntax: ".expr [/s masm|c++] [/q]",
    summary: "Shows or sets which language expressions are in",
    help: "Expressions are MASM expressions unless they stand in `@@c++( )` or belong to `??`. In the modern layout `/s c++` \
           makes C++ the default.",
    examples: &[(".expr", "Shows the language")],
    run: expr,
    ..Command::BASE
};

pub(crate) const LINES: Command = Command {
    name: ".lines",
    group: "stacks",
    syntax: ".lines [-e | -d | -t]",
    summary: "Says whether source lines are shown",
    help: "`-e` shows source lines behind frames and symbols, `-d` does not; without an option the setting changes. It counts \
           in the modern layout: at first the TUI shows them and `exec` does not, as WinDbg's window and its engine.",
    examples: &[(".lines -e", "Source lines from now on")],
    run: lines,
    ..Command::BASE
};

pub(crate) const ACCEPTED: Command = Command {
    name: ".prefer_dml",
    aliases: &[
        ".enable_long_status",
        ".enable_unicode",
        ".force_radix_output",
        ".ignore_missing_pages",
        ".outmask",
        ".prompt_allow",
        ".echotimestamps",
    ],
    group: "session",
    syntax: ".prefer_dml [0 | 1]",
    summary: "Settings of WinDbg that scripts contain",
    help: "Most have no meaning here: links are always there, text is always Unicode, missing pages are always passed over. \
           In the modern layout `.enable_long_status 1` and `.force_radix_output 1` show 32-bit numbers with a sign in the \
           default radix, and `.outmask- 2` leaves errors out.",
    examples: &[(".prefer_dml 1", "Nothing"), (".enable_long_status 1", "32-bit numbers with their sign")],
    run: accepted,
    ..Command::BASE
};

/// Nothing; today's engine wants a number behind some of the names.
fn accepted(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Classic {
        return Ok(());
    }
    let mut args = inv.cursor();
    match inv.name {
        ".prefer_dml" => {
            let on = !args.is_empty() && args.expr(session)? != 0;
            say(
                session,
                sink,
                if on {
                    "DML versions of commands on by default"
                } else {
                    "DML versions of commands off by default"
                },
            )
        }
        ".enable_unicode" => args.expr(session).map(|_| ()),
        ".enable_long_status" | ".force_radix_output" => {
            session.language.radix_numbers = args.expr(session)? != 0;
            Ok(())
        }
        ".outmask" => outmask(session, &mut args, sink),
        ".prompt_allow" => prompt_allow(session, &mut args, sink),
        _ => Ok(()),
    }
}

/// `.outmask`: which kinds of output there are.
fn outmask(session: &mut Session, args: &mut Cursor<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    /// What the engine starts with.
    const ALL: u32 = 0x3f7;
    let mask = ALL & !session.language.masked;
    let bits =
        |args: &mut Cursor<'_>| Ok::<u32, CommandError>((args.expr(session)? & u64::from(u32::MAX)) as u32);
    let mask = match args.raw().chars().next() {
        _ if args.is_empty() => mask,
        Some('+') if args.eat_char('+') => mask | bits(args)?,
        Some('-') if args.eat_char('-') => mask & !bits(args)?,
        _ => match args.switch() {
            Some("d") => ALL,
            Some("a") => u32::MAX,
            Some(_) => return Err(args.syntax_error()),
            None => bits(args)?,
        },
    };
    session.language.masked = ALL & !mask;
    say(session, sink, &format!("Client <address> mask is {mask:X}"))
}

/// What a prompt may hold, in WinDbg's order; a dump's prompt holds nothing.
const PROMPT_WORDS: [(&str, &str, bool); 5] = [
    ("sym", "Symbol for current instruction", true),
    ("dis", "Disassembly of current instruction", true),
    ("ea", "Effective address for current instruction", true),
    ("reg", "Register state", false),
    ("src", "Source info for current instruction", true),
];

fn prompt_allow(
    session: &mut Session,
    args: &mut Cursor<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    while !args.is_empty() {
        let at = args.pos();
        let word = args.word().unwrap_or("");
        let (on, name) = match (word.strip_prefix('+'), word.strip_prefix('-')) {
            (Some(name), _) => (true, name),
            (_, Some(name)) => (false, name),
            _ => return Err(CommandError::caret(at, "Syntax error")),
        };
        let known = PROMPT_WORDS.iter().enumerate().find(|(_, w)| w.0 == name);
        let Some((n, (.., first))) = known else { return Err(CommandError::caret(at, "Syntax error")) };
        let bit = 1u8 << n;
        session.language.prompt_words &= !bit;
        if on != *first {
            session.language.prompt_words |= bit;
        }
    }
    let changed = session.language.prompt_words;
    let list = |wanted: bool| {
        let row = |(n, (name, text, first)): (usize, &(&str, &str, bool))| {
            let on = *first != (changed & 1 << n != 0);
            (on == wanted).then(|| format!("{name:>6} - {text}"))
        };
        let rows: Vec<String> = PROMPT_WORDS.iter().enumerate().filter_map(row).collect();
        if rows.is_empty() { vec!["  None".to_owned()] } else { rows }
    };
    let mut lines = vec!["Allow the following information to be displayed at the prompt:".to_owned()];
    lines.push("(Other settings can affect whether the information is actually displayed)".to_owned());
    lines.extend(list(true));
    lines.push("Do not allow the following information to be displayed at the prompt:".to_owned());
    lines.extend(list(false));
    session.emit(sink, &Message(lines.into_iter().map(Line::plain).collect()))
}

fn say(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line::plain(text)]))
}

fn layout(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    match args.word() {
        None => {}
        Some("classic") => session.sel.layout = Layout::Classic,
        Some("modern") => session.sel.layout = Layout::Modern,
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    }
    args.end()?;
    let name = if session.sel.layout == Layout::Modern { "modern" } else { "classic" };
    say(session, sink, &format!("Layout: {name}"))
}

fn expr(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let modern = session.sel.layout == Layout::Modern;
    let mut all = false;
    while let Some(switch) = args.switch() {
        match switch {
            "s" if args.eat("masm") => session.sel.cpp = false,
            "s" if modern && args.eat("c++") => session.sel.cpp = true,
            "s" => {
                return Err(CommandError::message(
                    "Only MASM can be the default; @@c++( ) and ?? take C++ expressions.",
                ));
            }
            "q" => all = modern,
            _ => {}
        }
    }
    if !modern {
        args.end()?;
    }
    const MASM: &str = "MASM - Microsoft Assembler expressions";
    const CPP: &str = "C++ - C++ source expressions";
    if all {
        say(session, sink, "Available expression evaluators:")?;
        say(session, sink, MASM)?;
        say(session, sink, CPP)?;
        say(session, sink, "")?;
    }
    let current = if session.sel.cpp { CPP } else { MASM };
    say(session, sink, &format!("Current expression evaluator: {current}"))?;
    args.end()
}

fn lines(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    match args.switch() {
        None => session.sel.lines = !session.sel.lines,
        Some("e") => session.sel.lines = true,
        Some("d") => session.sel.lines = false,
        Some("t") => session.sel.lines = !session.sel.lines,
        // The engine has read the letter.
        Some(_) => return Err(CommandError::caret(at + 2, "Syntax error")),
    }
    args.end()?;
    let not = if session.sel.lines { "" } else { "not " };
    say(session, sink, &format!("Line number information will {not}be loaded"))
}
