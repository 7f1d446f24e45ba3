//! What today's engine answers to commands that need a running process, to those that write, and to what is none.
//!
//! The engine decides by the first letters and reads on behind them, so its answers point into what looks like an
//! argument. Only the modern layout speaks so; the classic one names the nearest command instead.

use crate::command::{CommandError, EXTENSIONS};
use crate::doc::{Line, Message, Sink};
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_core::ReadMemory as _;
use dumpscope_core::base::text::escape;

const LIVE: &str = "No runnable debuggees error";
const UNSUPPORTED: &str = "Operation not supported by current debuggee error";

/// Questions for settings that dumpscope has not: they are as they are in an engine that was just started.
const SETTINGS: &[(&str, &str)] = &[
    (".allow_exec_cmds", "Execution commands allowed"),
    (".holdmem", ""),
    (".noshell", "Shell commands disabled"),
    (".nvunloadall", ""),
    (".record_branches", "Branches will not be recorded"),
    (".restart", ""),
    (".scriptlist", "Command Loaded Scripts:\n    <None Loaded>\nOther Clients' Scripts:\n    <None Loaded>"),
    (".secure", "Secure mode disabled"),
    (".step_filter", "Step filtering disabled"),
    (".sxcmds", ""),
    (".typeopt", "Type options : (0x0)  none"),
];

/// Commands that want the name of a file.
const FILES: &[&str] = &[".copysym", ".dml_file", ".opendump", ".readmem"];

/// Answers a command that there is not.
pub(crate) fn answer(session: &mut Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let text = text.trim_end();
    if let Some(name) = text.strip_prefix('!') {
        return extension(name);
    }
    if let Some((_, answer)) = SETTINGS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        if answer.is_empty() {
            return Ok(());
        }
        return session.emit(sink, &Message(answer.lines().map(Line::plain).collect()));
    }
    if FILES.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Err(CommandError::caret(text.len(), "Non-empty string required"));
    }
    if text.eq_ignore_ascii_case(".dml_flow") {
        return Err(ExprError::new(ErrorKind::MissingAddress, text.len()).into());
    }
    if let Some((name, word)) = text.split_once([' ', '\t']) {
        let word = escape(word.trim());
        match name {
            ".scriptunload" => {
                return Err(CommandError::message(format!("Error: Unable to find script '{word}'")));
            }
            ".fnret" => return returned(session, text, name.len(), sink),
            ".typeopt" => {
                let unknown = word.trim_start_matches(['-', '+']).chars().next().unwrap_or(' ');
                return Err(CommandError::message(format!("Unknown option '{unknown}'")));
            }
            ".wake" => {
                let id = Cursor::new(text, name.len()).expr(session)?;
                let text = format!("Process {id} is not a sleeping debugger");
                return Err(CommandError::message(text));
            }
            _ => {}
        }
    }
    if text.starts_with('.') {
        // The engine has read the name and what follows it.
        return Err(CommandError::caret(text.len(), "Syntax error"));
    }
    let mut letters = text.chars().map(|c| c.to_ascii_lowercase());
    let (first, second) = (letters.next().unwrap_or(' '), letters.next());
    match first {
        // A comment with one dollar sign.
        '$' => Ok(()),
        'g' | 'p' | 't' | 'w' => Err(CommandError::caret(1, LIVE)),
        'b' => Err(CommandError::caret(2, UNSUPPORTED)),
        's' if second == Some('x') => filters(session, text, sink),
        'a' if second == Some('h') => Ok(()),
        'a' => {
            Cursor::new(text, 1).address(session)?;
            Err(writes(text))
        }
        'e' => enter(session, text),
        'f' => fill(session, text),
        'm' => {
            let mut args = Cursor::new(text, 1);
            args.range(session, None, 1, 1)?;
            args.address(session)?;
            Err(writes(text))
        }
        'i' | 'o' => match second {
            Some('b' | 'w' | 'd') => {
                let text = format!("Operation not supported in current debug session '{}'", escape(text));
                Err(CommandError::CaretText { at: 2, text })
            }
            _ => Err(CommandError::caret(2, "Syntax error")),
        },
        '#' => crate::commands::code_search(session, text, sink),
        'c' => compare(session, text, sink),
        'l' => source(session, text, sink),
        'r' => {
            let word = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
            Err(CommandError::caret(word.max(2), "Bad register error"))
        }
        _ => Err(CommandError::caret(first.len_utf8(), "Syntax error")),
    }
}

fn writes(text: &str) -> CommandError {
    let name = text.split([' ', '\t']).next().unwrap_or(text);
    CommandError::message(format!("{} writes; a dump cannot be changed.", escape(name)))
}

/// `.fnret function value`: the value as the function's return type.
fn returned(session: &Session, text: &str, at: usize, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = Cursor::new(text, at);
    let function = args.address(session)?;
    let value = args.expr(session)?;
    args.end()?;
    let Some(shown) = crate::commands::types::returned_value(session, function, value) else {
        return Err(CommandError::message("No type information for the function"));
    };
    let name = session.name_of(function).unwrap_or_default();
    let address = crate::fmt::addr(function, session.sel.machine.is_64());
    let line = format!("{} ({address}) = {shown}", escape(&name));
    session.emit(sink, &Message(vec![Line::plain(line)]))
}

fn extension(name: &str) -> Result<(), CommandError> {
    let word = name.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.'))).unwrap_or(name.len());
    let name = name.get(..word).unwrap_or(name);
    let text = match name.split_once('.') {
        Some((dll, export)) if EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(dll)) => {
            format!("{} has no {} export", escape(dll), escape(export))
        }
        Some((dll, _)) => format!(
            "The call to LoadLibrary({}) failed, Win32 error 0n2\n    \"File not found.\"\n\
             Please check your debugger configuration and/or network access.",
            escape(dll)
        ),
        None => format!("No export {} found", escape(name)),
    };
    let known = crate::command::other(&format!("!{name}")).map(|o| o.line(&format!("!{name}")));
    let note = known.unwrap_or_else(|| ".help lists the commands that there are.".to_owned());
    Err(CommandError::noted(text, note))
}

/// `e`, `eb`, `ed` …: an address, then values.
fn enter(session: &Session, text: &str) -> Result<(), CommandError> {
    let kind = text.get(1..2).filter(|k| "abdfpquwzD".contains(k)).map_or(0, str::len);
    let kind = kind + usize::from(text.starts_with("ez") && text.len() > 2);
    let mut args = Cursor::new(text, 1 + kind);
    args.address(session)?;
    while !args.is_empty() && !args.raw().trim_start().starts_with('"') {
        args.expr(session)?;
    }
    Err(writes(text))
}

/// `f`: a range, then a pattern.
fn fill(session: &Session, text: &str) -> Result<(), CommandError> {
    let mut args = Cursor::new(text, 1);
    if args.is_empty() {
        return Err(CommandError::caret(1, "Memory access error"));
    }
    args.range(session, None, 1, 1)?;
    if args.is_empty() {
        return Err(CommandError::caret(text.len(), "Syntax error"));
    }
    Err(writes(text))
}

/// `c`: bytes of two ranges that differ.
fn compare(session: &Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    /// Most bytes that are compared.
    const MAX: u64 = 1 << 20;
    let mut args = Cursor::new(text, 1);
    let range = args.range(session, None, 1, 1)?;
    let other = args.address(session)?;
    let memory = session.dump().memory();
    let wide = session.sel.machine.is_64();
    let mut lines = Vec::new();
    for i in 0..range.count.min(MAX) {
        let (a, b) = (range.start.offset(i), other.offset(i));
        let (Some(x), Some(y)) = (memory.u8(a), memory.u8(b)) else {
            return Err(CommandError::caret(text.len(), "Memory access error"));
        };
        if x != y {
            let (a, b) = (crate::fmt::addr(a, wide), crate::fmt::addr(b, wide));
            lines.push(Line::plain(format!("{a}  {x:02x} - {b}  {y:02x}")));
        }
    }
    session.emit(sink, &Message(lines))
}

/// `ls`, `lsc`, `l+t` …: a dump has no source file that the engine could list.
pub(super) fn source(session: &Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut say = |text: &str| session.emit(sink, &Message(vec![Line::plain(text)]));
    let options = [
        ('t', 1, "Step/trace by source line"),
        ('l', 2, "List source line at prompt"),
        ('s', 4, "List source code at prompt"),
        ('o', 8, "Only show source code at prompt"),
    ];
    let word = text.get(1..).unwrap_or("");
    if let Some(found) = word.strip_prefix('+').and_then(|w| options.iter().find(|o| w.starts_with(o.0))) {
        if !session.sel.lines {
            say("  WARNING: Line information loading disabled")?;
        }
        say(&format!("Source options are {}:", found.1))?;
        return say(&format!("{:>6}/{} - {}", found.1, found.0, found.2));
    }
    match word.split([' ', '\t']).next().unwrap_or("") {
        "sa" if text.len() > 3 => {
            // The engine reads the address, and has no file to show of it.
            Cursor::new(text, 3).address(session)?;
            Ok(())
        }
        "s" | "sc" | "se" | "sa" => say("No current source file"),
        "sp" => {
            if !session.sel.lines {
                say("WARNING: Source line display is disabled")?;
            }
            say("At the prompt, display 0 source lines before and 1 after")
        }
        "sf-" => Err(CommandError::caret(4, "Syntax error")),
        _ => Err(CommandError::caret(1, "Syntax error")),
    }
}

/// `sx`, `sxe` …: what the engine would do at events. Accepted; a dump has none.
fn filters(session: &Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let line = |text: &str| Line::plain(text);
    let mut args = Cursor::new(text, 3);
    match text.get(2..3).unwrap_or("") {
        "" => session.emit(sink, &Message(FILTERS.lines().map(line).collect())),
        "r" => session.emit(sink, &Message(vec![line("sx state reset to defaults")])),
        "e" | "d" | "i" | "n" | "-" if args.is_empty() => {
            let at = if text.ends_with('-') { text.len() } else { args.pos() };
            Err(ExprError::new(ErrorKind::Missing, at).into())
        }
        "e" | "d" | "i" | "n" | "-" => {
            let known = FILTERS.lines().any(|l| {
                l.split_once(" - ").is_some_and(|(code, _)| code.trim().eq_ignore_ascii_case(args.rest()))
            });
            if !known {
                args.expr(session)?;
            }
            Ok(())
        }
        _ => Err(CommandError::caret(2, "Syntax error")),
    }
}

/// The engine's filters as it starts with them.
const FILTERS: &str = "  ct - Create thread - ignore
  et - Exit thread - ignore
 cpr - Create process - ignore
 epr - Exit process - ignore
  ld - Load module - output
  ud - Unload module - ignore
 ser - System error - ignore
 ibp - Initial breakpoint - ignore
 iml - Initial module load - ignore
 out - Debuggee output - output

  av - Access violation - break - not handled
asrt - Assertion failure - break - not handled
 aph - Application hang - break - not handled
 bpe - Break instruction exception - break
bpec - Break instruction exception continue - handled
  eh - C++ EH exception - second-chance break - not handled
 clr - CLR exception - second-chance break - not handled
clrn - CLR notification exception - second-chance break - handled
 cce - Control-Break exception - break
  cc - Control-Break exception continue - handled
 cce - Control-C exception - break
  cc - Control-C exception continue - handled
  dm - Data misaligned - break - not handled
dbce - Debugger command exception - ignore - handled
  gp - Guard page violation - break - not handled
  ii - Illegal instruction - second-chance break - not handled
  ip - In-page I/O error - break - not handled
  dz - Integer divide-by-zero - break - not handled
 iov - Integer overflow - break - not handled
  ch - Invalid handle - break
  hc - Invalid handle continue - not handled
 lsq - Invalid lock sequence - break - not handled
 isc - Invalid system call - break - not handled
  3c - Port disconnected - second-chance break - not handled
 svh - Service hang - break - not handled
 sse - Single step exception - break
ssec - Single step exception continue - handled
 sbo - Security check failure or stack buffer overrun - break - not handled
 sov - Stack overflow - break - not handled
  vs - Verifier stop - break - not handled
vcpp - Visual C++ exception - ignore - handled
 wkd - Wake debugger - break - not handled
 rto - Windows Runtime Originate Error - second-chance break - not handled
 rtt - Windows Runtime Transform Error - second-chance break - not handled
 wob - WOW64 breakpoint - break - handled
 wos - WOW64 single step exception - break - handled

   * - Other exception - second-chance break - not handled";
