//! Runs a command line.

use crate::command::{self, CommandError, ErrorReport, Extent, Invocation, OtherKind, SelKind, ThreadSel};
use crate::doc::{Line, Message, RenderCx, Report, Role, Sink, Span};
use crate::expr::{ErrorKind, ExprError};
use crate::host::Host;
use crate::lang::{Selector, block_command_end, command_end, expand, line_end, thread_prefix};
use crate::session::Session;
use dumpscope_core::{ThreadIdx, Tid};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

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

/// Deepest nesting of `~*e`: each level runs all threads of the one inside it.
const MAX_THREAD_DEPTH: u32 = 2;

/// Runs a line: `;` sequences, thread prefixes, comments. Errors are reported to the sink; a panic in a command is
/// a message, not the end of the program. A line break in the text separates lines.
///
/// As in WinDbg an error in the syntax or in an expression ends the line; missing data does not.
pub fn run_line(session: &mut Session, line: &str, sink: &mut dyn Sink) -> LineStatus {
    let prompt = session.prompt();
    let host = session.host.clone();
    let mut tee = Tee { sink, host, partial: String::new(), cx: session.render_cx() };
    tee.log(&format!("{prompt}{line}"));
    session.language.depth = 0;
    session.language.scripts = 0;
    let mut place = Place { column: prompt.chars().count(), failed: false, threads: 0 };
    let result = run_text(session, line, &mut tee, &mut place);
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
    let mut place = Place { column: 0, failed: false, threads: 0 };
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
    let mut tee = Tee { sink, host: None, partial: String::new(), cx: session.render_cx() };
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
struct Place {
    /// Screen column of the text's first character (for carets).
    column: usize,
    failed: bool,
    /// How many `~e` the text stands in.
    threads: u32,
}

/// Runs all commands of a text.
fn run_text(
    session: &mut Session,
    text: &str,
    sink: &mut dyn Sink,
    place: &mut Place,
) -> Result<(), CommandError> {
    let typed = text;
    let mut expanded;
    let mut text = text;
    let mut aliases = session.language.aliases.clone();
    if !aliases.is_empty() {
        expanded = expand(text, &aliases);
        text = &expanded;
    }
    let nested = session.language.depth > 0;
    let mut pos = 0;
    // Carets count from the start of the command's own line: the byte up to which its columns are counted, and their
    // number. A long line is counted once.
    let (mut counted, mut columns) = (0, 0);
    loop {
        let rest = text.get(pos..).unwrap_or("");
        let skipped = rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';').len();
        if let Some(breaks) = rest.get(..skipped).and_then(|s| s.rfind(['\n', '\r'])) {
            let line_start = pos + breaks + 1;
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
                pos = line_start;
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
        let mut at = Place { column: place.column + columns, failed: false, threads: place.threads };
        let (len, result) = run_one(session, rest, sink, &mut at);
        place.failed |= at.failed;
        pos += len.max(1);
        match result {
            Ok(Flow::Next) => {}
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
    place: &mut Place,
) -> (usize, Result<Flow, CommandError>) {
    let Some(prefix) = thread_prefix(text) else {
        let len = extent(text);
        return (len, run_command(session, text.get(..len).unwrap_or(text), None, sink, place));
    };
    let end = command_end(text);
    let typed = text.get(..end).unwrap_or(text);
    let fail = |session: &Session, sink: &mut dyn Sink, place: &mut Place, error: CommandError| {
        (end, report_error(session, sink, &error, typed, place))
    };
    let sel = match select(session, prefix.selector) {
        Ok(sel) => sel,
        Err(SelectError::Expr(e)) => {
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
    let letter_alone = |len: usize| {
        !command.get(len..).is_some_and(|s| s.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    match command.chars().next() {
        // `~`, `~*`, `~3` alone: the command `~`, which lists threads.
        _ if tail.trim().is_empty() => (end, run_command(session, typed, Some(&sel), sink, place)),
        Some('s') if letter_alone(1) => {
            let result = match sel.threads.as_slice() {
                [one] if sel.kind != SelKind::All => {
                    session.sel.select_thread(*one);
                    sink.command(typed.trim_end(), Some(*one));
                    crate::commands::show_instruction(session, sink).map(|()| Flow::Next)
                }
                _ => return fail(session, sink, place, CommandError::caret(start, "Illegal thread error")),
            };
            (end, result.or_else(|e| report_error(session, sink, &e, typed, place)))
        }
        Some('f' | 'u' | 'n' | 'm')
            if letter_alone(1) && command.get(1..end - start).unwrap_or("").trim().is_empty() =>
        {
            let text = "A dump's threads cannot be frozen, suspended or resumed.";
            fail(session, sink, place, CommandError::message(text))
        }
        // `e` takes all the rest of the line, `;` included.
        Some('e') if letter_alone(1) => {
            let end = line_end(text);
            if place.threads >= MAX_THREAD_DEPTH {
                let (_, result) =
                    fail(session, sink, place, CommandError::message("~e is nested too deeply."));
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
        _ => {
            let len = extent(command);
            let one = command.get(..len).unwrap_or(command);
            let column = place.column + text.get(..start).unwrap_or("").chars().count();
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
    place: &mut Place,
    mut run: impl FnMut(&mut Session, &ThreadSel, &mut dyn Sink, &mut Place) -> Result<Flow, CommandError>,
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

enum SelectError {
    Expr(ExprError),
    NoThread,
}

fn select(session: &Session, selector: Selector<'_>) -> Result<ThreadSel, SelectError> {
    let dump = session.dump();
    let one = |kind, thread: Option<ThreadIdx>| match thread {
        Some(t) => Ok(ThreadSel { kind, threads: vec![t], home: session.sel.thread }),
        None => Err(SelectError::NoThread),
    };
    let known = |index: u64| dump.threads().iter().map(|t| t.index).find(|i| u64::from(i.0) == index);
    let value = |text: &str, radix: u32| -> Result<u64, SelectError> {
        let mut view = session.clone();
        view.sel.radix = radix;
        match view.eval(text) {
            Ok((value, end)) if text.get(end..).is_none_or(|t| t.trim().is_empty()) => Ok(value),
            Ok((_, end)) => Err(SelectError::Expr(ExprError::new(ErrorKind::ExtraCharacter, end))),
            Err(e) => Err(SelectError::Expr(e)),
        }
    };
    match selector {
        Selector::None | Selector::All => {
            let kind = if selector == Selector::All { SelKind::All } else { SelKind::List };
            let threads: Vec<ThreadIdx> = dump.threads().iter().map(|t| t.index).collect();
            let home = session.sel.thread;
            if threads.is_empty() {
                Err(SelectError::NoThread)
            } else {
                Ok(ThreadSel { kind, threads, home })
            }
        }
        Selector::Current => one(SelKind::Current, session.sel.thread),
        Selector::Event => one(SelKind::Event, session.event_thread()),
        Selector::Index(n) => one(SelKind::One, n.and_then(|n| known(n.into()))),
        Selector::Expr(text) => one(SelKind::One, known(value(text, session.sel.radix)?)),
        Selector::Tid(text) => {
            let tid = u32::try_from(value(text, session.sel.radix)?).map_err(|_| SelectError::NoThread)?;
            one(SelKind::One, dump.thread_by_tid(Tid(tid)).map(|t| t.index))
        }
    }
}

/// How long the command at the start of `text` is.
fn extent(text: &str) -> usize {
    match command::find(text) {
        Some(found) => match found.command.extent {
            Extent::Line => line_end(text),
            Extent::Block => block_command_end(text).unwrap_or_else(|| command_end(text)),
            Extent::Semicolon => command_end(text),
        },
        None => command_end(text),
    }
}

/// Looks a command up and runs it.
fn run_command(
    session: &mut Session,
    text: &str,
    threads: Option<&ThreadSel>,
    sink: &mut dyn Sink,
    place: &mut Place,
) -> Result<Flow, CommandError> {
    let thread = threads.filter(|t| t.kind != SelKind::List && t.threads.len() == 1);
    sink.command(text.trim_end(), thread.and_then(|t| t.threads.first().copied()));
    let Some(found) = command::find(text) else {
        let error = unknown(text);
        return report_error(session, sink, &error, text, place);
    };
    let invocation = Invocation { text, name: found.name, args: found.args, threads };
    let before = session.clone();
    let run = found.command.run;
    let result = catch_unwind(AssertUnwindSafe(|| run(session, &invocation, sink)));
    crate::commands::tell_loaded(session, sink)?;
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
    report_error_of(session, sink, &error, text, place, Some(found.command.syntax))
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
    place: &mut Place,
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

/// As [`report_error`], for an error of a command with this syntax line.
fn report_error_of(
    session: &Session,
    sink: &mut dyn Sink,
    error: &CommandError,
    text: &str,
    place: &mut Place,
    syntax: Option<&str>,
) -> Result<Flow, CommandError> {
    match error {
        CommandError::Stopped | CommandError::Quit => return Err(error.clone()),
        // Blocks pass a jump on to the loop around them.
        CommandError::Jump(_) if session.language.depth > 0 => return Err(error.clone()),
        _ => place.failed = true,
    }
    if let Some(mut report) = ErrorReport::new(error, text, place.column) {
        if let Some(syntax) = syntax.filter(|s| !s.is_empty() && wants_usage(error, text)) {
            report.note.get_or_insert_with(|| format!("usage: {syntax}"));
        }
        if sink.report(&report, &session.render_cx()).is_break() {
            return Err(CommandError::Stopped);
        }
    }
    Ok(if matches!(error, CommandError::Message { .. }) { Flow::Next } else { Flow::DropLine })
}

/// The answer to a command that there is not.
fn unknown(text: &str) -> CommandError {
    let head = text.get(..text.find(char::is_whitespace).unwrap_or(text.len())).unwrap_or(text);
    // A word of letters, or of letters behind `!` or `.`; `!ext.name` as well.
    let start = usize::from(head.starts_with(['!', '.']));
    let tail = head.get(start..).unwrap_or("");
    let extra = |c: char| !(c.is_alphanumeric() || c == '_' || (head.starts_with('!') && c == '.'));
    let len = tail.find(extra).unwrap_or(tail.len());
    let name = if len == 0 { head } else { head.get(..start + len).unwrap_or(head) };
    let have = |instead: &str| {
        if instead.is_empty() { String::new() } else { format!(" The nearest command here is {instead}.") }
    };
    if let Some(other) = command::other(name) {
        let near = have(if command::find(other.instead).is_some() { other.instead } else { "" });
        return match other.kind {
            OtherKind::Live => CommandError::caret(0, "No runnable debuggees error"),
            OtherKind::Write => {
                CommandError::message(format!("{name} writes; a dump cannot be changed.{near}"))
            }
            OtherKind::Kernel => {
                CommandError::message(format!("{name} is for kernel dumps; this is a user dump.{near}"))
            }
            OtherKind::Managed => CommandError::noted(
                format!("No export {} found", name.trim_start_matches('!')),
                format!("{name} belongs to SOS (.NET), which is not built in.{near}"),
            ),
            OtherKind::Missing => CommandError::message(format!("{name} is not built in.{near}")),
            OtherKind::Open => CommandError::noted(
                format!("{name} is not built in: a session has one dump."),
                "Open the other dump with `dumpscope FILE` or `dumpscope exec FILE`.",
            ),
        };
    }
    let near = command::nearest(name).map(have).unwrap_or_default();
    if let Some(export) = name.strip_prefix('!') {
        let shown = dumpscope_core::base::text::escape(export);
        if let Some((dll, _)) = export.split_once('.') {
            let known = command::EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(dll));
            if !known {
                return CommandError::noted(
                    format!(
                        "The call to LoadLibrary({dll}) failed, Win32 error 0n2\n    \
                         \"The system cannot find the file specified.\""
                    ),
                    format!(
                        "Extensions cannot be loaded; {} commands are built in.{near}",
                        command::COMMANDS.len()
                    ),
                );
            }
        }
        return CommandError::noted(
            format!("No export {shown} found"),
            format!(
                "There is no such command here.{near}{}",
                if near.is_empty() { " .help lists all." } else { "" }
            ),
        );
    }
    let shown = dumpscope_core::base::text::escape(name).into_owned();
    let near = if near.is_empty() { " .help lists all commands.".to_owned() } else { near };
    CommandError::message(format!("There is no command '{shown}'.{near}"))
}

/// Passes everything on, joins fragments to lines, and writes the text to the log file while one is open.
struct Tee<'a> {
    sink: &'a mut dyn Sink,
    host: Option<Arc<dyn Host>>,
    /// A line that `.printf` has begun.
    partial: String,
    /// How the partial line is to be rendered.
    cx: RenderCx,
}

/// Longest line that is kept open.
const MAX_PARTIAL: usize = 1 << 20;

impl Tee<'_> {
    fn log(&self, line: &str) {
        if let Some(host) = self.host.as_ref().filter(|h| h.log_file().is_some()) {
            host.log(line);
        }
    }

    fn pass(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        if self.host.as_ref().is_some_and(|h| h.log_file().is_some()) {
            report.lines(cx, &mut |line| self.log(&line.to_text()));
        }
        self.sink.report(report, cx)
    }

    /// Ends a line that `.printf` has begun.
    fn end_line(&mut self) -> ControlFlow<()> {
        if self.partial.is_empty() {
            return ControlFlow::Continue(());
        }
        let text = std::mem::take(&mut self.partial);
        let line = Line(vec![Span::untrusted(Role::Plain, &text)]);
        self.pass(&Message(vec![line]), &self.cx.clone())
    }
}

impl Sink for Tee<'_> {
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        self.sink.command(text, thread);
    }

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        self.cx = *cx;
        let Some(fragment) = report.fragment() else {
            self.end_line()?;
            return self.pass(report, cx);
        };
        let mut parts = fragment.split('\n');
        self.partial.push_str(parts.next().unwrap_or(""));
        let mut lines = Vec::new();
        for part in parts {
            let text = std::mem::replace(&mut self.partial, part.to_owned());
            lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
        }
        if !lines.is_empty() {
            self.pass(&Message(lines), cx)?;
        }
        if self.partial.len() > MAX_PARTIAL { self.end_line() } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, text: &str) {
        self.sink.note(text);
    }

    fn progress(&mut self, what: &str, done: u64, total: u64) {
        self.sink.progress(what, done, total);
    }
}
