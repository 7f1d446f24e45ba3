//! Runs a command line. Knows no command by its name: the tables say what one is.

mod select;
mod tee;

use crate::command::{
    self, CommandError, ErrorReport, Extent, Invocation, Jump, SelKind, ThreadSel, unknown,
};
use crate::commands::{Verb, tell_loaded, verb};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::expr::{ErrorKind, ExprError};
use crate::lang::{Selector, block_command_end, command_end, expand, expand_today, line_end, thread_prefix};
use crate::session::{Layout, Session};
use select::{SelectError, select};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tee::Tee;

/// What a line did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStatus {
    /// All commands answered.
    Done,
    /// At least one command gave an error (it was printed).
    Failed,
    /// `q`.
    Quit,
    /// Stopped by the user.
    Stopped,
}

/// Deepest nesting of blocks and scripts.
const MAX_DEPTH: u32 = 32;

/// Most turns of a line with `z`.
const MAX_REDO: u32 = 10_000;

/// Deepest nesting of `~*e`: each level runs all threads of the one inside it.
const MAX_THREAD_DEPTH: u32 = 2;

/// Runs a line: `;` sequences, thread prefixes, comments. Errors are reported to the sink; a panic in a command is
/// a message, not the end of the program. A line break in the text separates lines.
///
/// As in WinDbg an error in the syntax or in an expression ends the line; missing data does not.
pub fn run_line(session: &mut Session, line: &str, sink: &mut dyn Sink) -> LineStatus {
    let prompt = session.prompt();
    let host = session.host.clone();
    let mut tee = Tee::new(sink, host, session.render_cx());
    tee.log(&format!("{prompt}{line}"));
    session.language.depth = 0;
    session.language.scripts = 0;
    let mut place = Place { column: prompt.chars().count(), failed: false, threads: 0, line: "", start: 0 };
    let mut result = run_text(session, line, &mut tee, &mut place);
    // `z` runs the line again.
    for turn in 1..=MAX_REDO {
        if !matches!(result, Err(CommandError::Jump(Jump::Redo))) || session.cancel.is_cancelled() {
            break;
        }
        session.language.depth = 0;
        let told = Line(vec![Span::untrusted(Role::Plain, &format!("redo [{turn}] {line}"))]);
        if tee.report(&Message(vec![told]), &session.render_cx()).is_break() {
            return LineStatus::Stopped;
        }
        result = run_text(session, line, &mut tee, &mut place);
    }
    session.language.depth = 0;
    let _ = tee.end_line();
    match result {
        Ok(()) if place.failed => LineStatus::Failed,
        Ok(()) => LineStatus::Done,
        Err(CommandError::Quit) => LineStatus::Quit,
        Err(CommandError::Stopped) => LineStatus::Stopped,
        Err(_) => LineStatus::Failed,
    }
}

/// Runs the text of a block or a script inside a command. Errors are reported; what comes back as an error is what
/// the caller must pass on (stop, quit, jumps, and an error that ends the line, already reported).
pub(crate) fn run_block(session: &mut Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.language.depth >= MAX_DEPTH {
        return Err(CommandError::message("Scripts and blocks are nested too deeply."));
    }
    session.language.depth += 1;
    let mut place = Place { column: 0, failed: false, threads: 0, line: "", start: 0 };
    let result = run_text(session, text, sink, &mut place);
    session.language.depth = session.language.depth.saturating_sub(1);
    result
}

/// As [`run_block`], joining what `.printf` prints to lines before they reach the sink.
pub(crate) fn run_captured(
    session: &mut Session,
    text: &str,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut tee = Tee::new(sink, None, session.render_cx());
    let result = run_block(session, text, &mut tee);
    let _ = tee.end_line();
    result
}

/// Runs the lines of a script one by one, as if typed: an error ends its line only.
pub(crate) fn run_lines(session: &mut Session, text: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    for line in text.lines() {
        match run_block(session, line, sink) {
            Ok(()) | Err(CommandError::Reported) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Where on the screen the text stands, and whether something failed.
struct Place<'a> {
    /// Screen column of the text's first character (for carets).
    column: usize,
    failed: bool,
    /// How many `~e` the text stands in.
    threads: u32,
    /// The line that the command stands in, and at which of its bytes.
    line: &'a str,
    start: usize,
}

/// Runs all commands of a text.
fn run_text(
    session: &mut Session,
    text: &str,
    sink: &mut dyn Sink,
    place: &mut Place<'_>,
) -> Result<(), CommandError> {
    let typed = text;
    let mut expanded;
    let mut text = text;
    let mut aliases = session.language.aliases.clone();
    if session.sel.layout == Layout::Modern && text.contains('$') {
        // The engine's own.
        for (name, value) in
            [("$ntnsym", "ntdll"), ("$ntsym", "ntdll"), ("$CurrentDumpFile", session.path.as_str())]
        {
            aliases.insert(name.to_owned(), value.to_owned());
        }
    }
    let expand = if session.sel.layout == Layout::Modern { expand_today } else { expand };
    if !aliases.is_empty() {
        expanded = expand(text, &aliases);
        text = &expanded;
    }
    let nested = session.language.depth > 0;
    let mut pos = 0;
    // Carets count from the start of the command's own line: the byte up to which its columns are counted, and their
    // number. A long line is counted once.
    let (mut counted, mut columns) = (0, 0);
    let (mut line_start, mut line_stop) = (0, 0);
    loop {
        let rest = text.get(pos..).unwrap_or("");
        let skipped = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';').len();
        if let Some(breaks) = rest.get(..skipped).and_then(|s| s.rfind(['\n', '\r'])) {
            line_start = pos + breaks + 1;
            (counted, columns) = (line_start, 0);
            place.column = 0;
            // A line sees the aliases that the lines before it made.
            if !nested
                && session.language.aliases != aliases
                && let Some(later) = same_line(typed, text, line_start)
            {
                aliases = session.language.aliases.clone();
                let done = text.get(..line_start).unwrap_or("");
                expanded = format!("{done}{}", expand(later, &aliases));
                text = &expanded;
                (pos, line_stop) = (line_start, line_start);
                continue;
            }
        }
        pos += skipped;
        let rest = text.get(pos..).unwrap_or("");
        if rest.is_empty() {
            return Ok(());
        }
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        columns += text.get(counted..pos).unwrap_or("").chars().count();
        counted = pos;
        // The end of a long line with many commands is looked for once.
        if line_stop <= pos {
            line_stop = pos + line_end(rest);
        }
        let line = text.get(line_start..line_stop).unwrap_or("");
        let start = pos - line_start;
        let column = place.column + columns;
        let mut at = Place { column, failed: false, threads: place.threads, line, start };
        let (len, result) = run_one(session, rest, sink, &mut at);
        place.failed |= at.failed;
        pos += len.max(1);
        match result {
            Ok(Flow::Next) => {
                // Today's engine wants an end behind a block.
                let left = text.get(pos..).unwrap_or("");
                let next = left.trim_start_matches([' ', '\t']);
                let open = session.sel.layout == Layout::Modern
                    && text.get(..pos).is_some_and(|t| t.ends_with('}'))
                    && next.starts_with(|c: char| !matches!(c, ';' | '\n' | '\r' | '}'));
                if open {
                    let offset = pos + (left.len() - next.len()) - line_start;
                    let error = ExprError::new(ErrorKind::ExtraCharacter, offset);
                    let mut at = Place { column, failed: false, threads: place.threads, line, start: 0 };
                    report_error(session, sink, &error.into(), line, &mut at)?;
                    place.failed = true;
                    return if nested { Err(CommandError::Reported) } else { Ok(()) };
                }
            }
            // In a block all of it is dropped, and the line that it stands in.
            Ok(Flow::DropLine) if nested => return Err(CommandError::Reported),
            // The rest of this line is dropped; lines after it still run.
            Ok(Flow::DropLine) => pos += line_end(text.get(pos..).unwrap_or("")),
            Err(e) => return Err(e),
        }
    }
}

/// The lines of `typed` that stand at byte `pos`, the start of a line, of the text that its aliases gave. `None` when
/// an alias brought line breaks.
fn same_line<'a>(typed: &'a str, expanded: &str, pos: usize) -> Option<&'a str> {
    let left = expanded.get(pos..)?.matches(['\n', '\r']).count();
    if expanded.matches(['\n', '\r']).count() != typed.matches(['\n', '\r']).count() {
        return None;
    }
    let (at, _) = typed.rmatch_indices(['\n', '\r']).nth(left)?;
    typed.get(at + 1..)
}

/// What happens after a command.
enum Flow {
    Next,
    DropLine,
}

/// Runs the command at the start of `text`; gives its length.
fn run_one(
    session: &mut Session,
    text: &str,
    sink: &mut dyn Sink,
    place: &mut Place<'_>,
) -> (usize, Result<Flow, CommandError>) {
    let Some(prefix) = thread_prefix(text) else {
        let len = extent(text, session.sel.layout);
        return (len, run_command(session, text.get(..len).unwrap_or(text), None, sink, place));
    };
    let end = command_end(text);
    let typed = text.get(..end).unwrap_or(text);
    let fail = |session: &Session, sink: &mut dyn Sink, place: &mut Place<'_>, error: CommandError| {
        (end, report_error(session, sink, &error, typed, place))
    };
    let modern = session.sel.layout == Layout::Modern;
    if modern
        && matches!(prefix.selector, Selector::Tid(_) | Selector::Expr(_))
        && !text.get(..prefix.len).is_some_and(|t| t.ends_with(']'))
    {
        return fail(session, sink, place, ExprError::new(ErrorKind::Syntax, end).into());
    }
    let sel = match select(session, prefix.selector) {
        Ok(sel) => sel,
        Err(SelectError::Expr(mut e)) => {
            if session.sel.layout == Layout::Modern && e.kind == ErrorKind::Missing {
                e.kind = ErrorKind::MissingThread;
            }
            let inside = if matches!(prefix.selector, Selector::Tid(_)) { 3 } else { 2 };
            return fail(session, sink, place, CommandError::Expr(e.shifted(inside)));
        }
        Err(SelectError::NoThread) => {
            return fail(session, sink, place, CommandError::caret(prefix.len, "Illegal thread error"));
        }
    };
    let tail = text.get(prefix.len..end).unwrap_or("");
    let start = prefix.len + (tail.len() - tail.trim_start().len());
    let command = text.get(start..).unwrap_or("");
    // `~~` without a bracket and `~**` are nothing.
    if session.sel.layout == Layout::Modern && tail.starts_with(['~', '*']) {
        return fail(session, sink, place, CommandError::caret(prefix.len + 1, "Syntax error"));
    }
    // `~`, `~*`, `~3` alone: the command itself, which lists threads.
    if tail.trim().is_empty() {
        return (end, run_command(session, typed, Some(&sel), sink, place));
    }
    if modern && place.threads > 0 {
        let told = Message(vec![Line::plain("Ignoring recursive thread command")]);
        let end = line_end(text);
        return (end, session.emit(sink, &told).map(|()| Flow::Next));
    }
    let found = verb(command, end - start, session.sel.layout);
    if modern
        && found.is_none()
        && !is_extension(command)
        && !command.starts_with(['k', 'K', 'r', 'R', 'b', 'B', 'g', 'G', 'p', 'P', 't', 'T'])
    {
        // The engine knows no other commands for threads.
        let len = command.chars().next().map_or(0, char::len_utf8);
        return fail(session, sink, place, CommandError::caret(start + len, "Syntax error"));
    }
    // `~s`: the current thread.
    let current = match sel.kind {
        SelKind::List if modern => select(session, Selector::Current).ok(),
        _ => None,
    };
    let sel = current.unwrap_or(sel);
    match found {
        Some(Verb::One(show)) => {
            let result = match sel.threads.as_slice() {
                [one] if sel.kind != SelKind::All => {
                    if !modern || session.sel.thread != Some(*one) {
                        session.sel.select_thread(*one);
                    }
                    sink.command(typed.trim_end(), Some(*one));
                    show(session, sink).map(|()| Flow::Next)
                }
                _ => {
                    let at = start + usize::from(modern);
                    return fail(session, sink, place, CommandError::caret(at, "Illegal thread error"));
                }
            };
            (end, result.or_else(|e| report_error(session, sink, &e, typed, place)))
        }
        Some(Verb::Refused(text)) => fail(session, sink, place, CommandError::message(*text)),
        Some(Verb::Quiet(answer)) => {
            for thread in &sel.threads {
                if let Some(line) = answer(*thread)
                    && let Err(error) = session.emit(sink, &Message(vec![Line::plain(line)]))
                {
                    return (end, Err(error));
                }
            }
            (end, Ok(Flow::Next))
        }
        Some(Verb::Unsupported) => {
            let text = format!(
                "Operation not supported in current debug session '{}'",
                dumpscope_core::base::text::escape(typed.trim_end())
            );
            fail(session, sink, place, CommandError::CaretText { at: start + 1, text })
        }
        Some(Verb::Each) => {
            let end = line_end(text);
            if place.threads >= MAX_THREAD_DEPTH {
                let error = CommandError::message("~e is nested too deeply.");
                let (_, result) = fail(session, sink, place, error);
                return (end, result.and(Err(CommandError::Reported)));
            }
            let threads = place.threads + 1;
            let block = text.get(start + 1..end).unwrap_or("").to_owned();
            (
                end,
                each_thread(session, &sel, sink, place, |session, _, sink, place| {
                    let mut inner = Place { threads, ..*place };
                    let result = run_text(session, &block, sink, &mut inner);
                    place.failed |= inner.failed;
                    result.map(|()| Flow::Next)
                }),
            )
        }
        None => {
            let len = extent(command, session.sel.layout);
            let one = command.get(..len).unwrap_or(command);
            let column = place.column + text.get(..start).unwrap_or("").chars().count();
            place.start += start;
            let result = each_thread(session, &sel, sink, place, |session, sel, sink, place| {
                place.column = column;
                run_command(session, one, Some(sel), sink, place)
            });
            (start + len, result)
        }
    }
}

/// Runs something once per selected thread, each made current in turn; the selection is the old one afterwards.
fn each_thread(
    session: &mut Session,
    sel: &ThreadSel,
    sink: &mut dyn Sink,
    place: &mut Place<'_>,
    mut run: impl FnMut(&mut Session, &ThreadSel, &mut dyn Sink, &mut Place<'_>) -> Result<Flow, CommandError>,
) -> Result<Flow, CommandError> {
    let saved = session.sel.clone();
    let mut result = Ok(Flow::Next);
    for thread in &sel.threads {
        // A context set with `.ecxr` belongs to the thread that was current: it stays for `~.`.
        if session.sel.thread != Some(*thread) {
            session.sel.select_thread(*thread);
        }
        let one = ThreadSel { kind: sel.kind, threads: vec![*thread], home: sel.home };
        result = run(session, &one, sink, place);
        if !matches!(result, Ok(Flow::Next)) {
            break;
        }
        // Settings that the command changed (`.kframes`, `n`) stay changed.
        (session.sel.thread, session.sel.frame) = (saved.thread, saved.frame);
        session.sel.context.clone_from(&saved.context);
    }
    (session.sel.thread, session.sel.frame, session.sel.context) = (saved.thread, saved.frame, saved.context);
    result
}

/// A command of an extension, which sees the thread that is selected.
fn is_extension(command: &str) -> bool {
    command.starts_with('!') && command::find(command).is_some()
}

/// How long the command at the start of `text` is.
fn extent(text: &str, layout: Layout) -> usize {
    let today = layout == Layout::Modern;
    match command::find(text) {
        Some(found) => match found.command.extent {
            Extent::Line => line_end(text),
            // A name in `${/v:…}` has its end.
            Extent::LineToday
                if today && text.strip_prefix("ad ").is_some_and(|t| t.trim_start().starts_with("${/v:")) =>
            {
                plain_end(text)
            }
            Extent::LineToday if today => line_end(text),
            Extent::PlainToday if today => plain_end(text),
            Extent::Block => block_command_end(text).unwrap_or_else(|| command_end(text)),
            Extent::Semicolon | Extent::LineToday | Extent::PlainToday => command_end(text),
        },
        None => command_end(text),
    }
}

/// Up to the next `;` outside quotes.
fn plain_end(text: &str) -> usize {
    let line = line_end(text);
    let mut quoted = false;
    let end = text.char_indices().take_while(|(i, _)| *i < line).find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ';' && !quoted
    });
    end.map_or(line, |(i, _)| i)
}

/// Looks a command up and runs it.
fn run_command(
    session: &mut Session,
    text: &str,
    threads: Option<&ThreadSel>,
    sink: &mut dyn Sink,
    place: &mut Place<'_>,
) -> Result<Flow, CommandError> {
    let thread = threads.filter(|t| t.kind != SelKind::List && t.threads.len() == 1);
    sink.command(text.trim_end(), thread.and_then(|t| t.threads.first().copied()));
    let found = match session.sel.layout {
        Layout::Classic => command::find(text).ok_or_else(|| unknown(text)),
        Layout::Modern => match command::engine_find(text) {
            Some(found) => found,
            None => {
                let answer = crate::commands::refusals::answer(session, text, sink);
                return match answer {
                    Ok(()) => Ok(Flow::Next),
                    Err(error) => {
                        let note = command::known_other(text).map(|(name, other)| other.line(name));
                        report_error_of(session, sink, &error, text, place, note)
                    }
                };
            }
        },
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            // What needs a process has WinDbg's words, which do not say why.
            let note = command::known_other(text).map(|(name, other)| other.line(name));
            let note = note.filter(|_| matches!(error, CommandError::Caret { .. }));
            return report_error_of(session, sink, &error, text, place, note);
        }
    };
    if session.confined && found.command.outside {
        let name = found.command.name;
        let error = CommandError::message(format!(
            "{name} is refused here: it reaches files or changes where they are looked for."
        ));
        return report_error(session, sink, &error, text, place);
    }
    let invocation = Invocation { text, name: found.name, args: found.args, threads };
    let before = session.clone();
    let run = found.command.run;
    let result = catch_unwind(AssertUnwindSafe(|| run(session, &invocation, sink)));
    tell_loaded(session, sink)?;
    let error = match result {
        Ok(Ok(())) => return Ok(Flow::Next),
        Ok(Err(error)) => error,
        Err(payload) => {
            *session = before;
            let what = panic_text(payload.as_ref());
            let name = found.command.name;
            CommandError::noted(
                format!("'{name}' failed inside dumpscope: {what}"),
                "This is a mistake in dumpscope, not in the dump. The session goes on.",
            )
        }
    };
    let syntax = found.command.syntax;
    let usage = (!syntax.is_empty() && wants_usage(&error, text)).then(|| format!("usage: {syntax}"));
    report_error_of(session, sink, &error, text, place, usage)
}

/// What a panic said.
#[must_use]
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Shows an error. Gives back those that end more than the command.
fn report_error(
    session: &Session,
    sink: &mut dyn Sink,
    error: &CommandError,
    text: &str,
    place: &mut Place<'_>,
) -> Result<Flow, CommandError> {
    report_error_of(session, sink, error, text, place, None)
}

/// True for an error whose words alone do not say what to type: an unknown switch, or nothing where something must be.
fn wants_usage(error: &CommandError, text: &str) -> bool {
    match error {
        CommandError::Caret { text, .. } => text == "Syntax error",
        CommandError::Expr(e) => {
            matches!(e.kind, ErrorKind::Syntax | ErrorKind::Missing) && e.at >= text.trim_end().len()
        }
        _ => false,
    }
}

/// As [`report_error`], with what to say of an error that has no note of its own.
fn report_error_of(
    session: &Session,
    sink: &mut dyn Sink,
    error: &CommandError,
    text: &str,
    place: &mut Place<'_>,
    note: Option<String>,
) -> Result<Flow, CommandError> {
    match error {
        CommandError::Stopped | CommandError::Quit => return Err(error.clone()),
        CommandError::Jump(Jump::Redo) => return Err(error.clone()),
        // Blocks pass a jump on to the loop around them.
        CommandError::Jump(_) if session.language.depth > 0 => return Err(error.clone()),
        _ => place.failed = true,
    }
    let report = match session.sel.layout {
        Layout::Classic => ErrorReport::new(error, text, place.column),
        Layout::Modern => ErrorReport::engine(error, place.line, place.start),
    };
    // `.outmask- 2` leaves errors out.
    session.tell_warnings(sink)?;
    if let Some(mut report) = report.filter(|_| session.language.masked & 2 == 0) {
        report.note = report.note.or(note);
        if sink.report(&report, &session.render_cx()).is_break() {
            return Err(CommandError::Stopped);
        }
    }
    Ok(if matches!(error, CommandError::Message { .. }) { Flow::Next } else { Flow::DropLine })
}
