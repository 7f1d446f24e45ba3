//! Why a command gave no answer, and how that is shown.

use crate::doc::{Line, RenderCx, Report, Role, Span};
use crate::expr::{ErrorKind, ExprError};
use dumpscope_core::base::text::escape;

/// Why a command gave no answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// WinDbg's message for it, complete, one or more lines, and perhaps our note on what to do. The commands
    /// after it on the line still run.
    Message {
        /// WinDbg's text.
        text: String,
        /// What would help ("`procdump -ma` includes handle data").
        note: Option<String>,
    },
    /// An error in the line at this byte offset of the command's own text: `^ Syntax error in '...'`.
    Caret {
        /// Byte offset in the command text.
        at: usize,
        /// WinDbg's words, without the quoted command: `Memory access error`.
        text: String,
    },
    /// As `Caret`, with the whole text behind the caret: `Couldn't resolve 'x CTest'`.
    CaretText {
        /// Byte offset in the command text.
        at: usize,
        /// All of WinDbg's text.
        text: String,
    },
    /// As `Caret`, of a command whose line the engine quotes up to a place only: it ended a text there.
    Cut {
        /// Byte offset in the command text.
        at: usize,
        /// WinDbg's words before the quoted line.
        text: String,
        /// Byte offset in the command text where the quoted line ends.
        until: usize,
        /// What is quoted behind that: a text as the engine has read it.
        tail: String,
    },
    /// An error in an expression; its position counts in the command text: `Couldn't resolve error at 'foo'`.
    Expr(ExprError),
    /// An error in a block, reported already, that ends the line and the blocks around it too.
    Reported,
    /// The sink or the user asked to stop.
    Stopped,
    /// Not an error: `q`.
    Quit,
    /// Not an error: leaves the innermost loop (`.break`, `.continue`) or block (`.leave`).
    Jump(Jump),
}

/// Where a script goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// `.break`.
    Break,
    /// `.continue`.
    Continue,
    /// `.leave`.
    Leave,
    /// `z`: the line runs again.
    Redo,
}

impl CommandError {
    /// WinDbg's message.
    pub fn message(text: impl Into<String>) -> CommandError {
        CommandError::Message { text: text.into(), note: None }
    }

    /// WinDbg's message and our note.
    pub fn noted(text: impl Into<String>, note: impl Into<String>) -> CommandError {
        CommandError::Message { text: text.into(), note: Some(note.into()) }
    }

    /// A caret error.
    pub fn caret(at: usize, text: impl Into<String>) -> CommandError {
        CommandError::Caret { at, text: text.into() }
    }

    /// An extension's error in its two-line form: `ERROR: !handle: extension exception 0x80004002.`
    #[must_use]
    pub fn extension(name: &str, code: u32, text: &str, note: Option<&str>) -> CommandError {
        CommandError::Message {
            text: format!("ERROR: {name}: extension exception {code:#010x}.\n    \"{text}\""),
            note: note.map(str::to_owned),
        }
    }
}

impl From<ExprError> for CommandError {
    fn from(e: ExprError) -> CommandError {
        CommandError::Expr(e)
    }
}

/// A [`CommandError`] as a report.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorReport {
    /// WinDbg's lines.
    pub lines: Vec<String>,
    /// Our note.
    pub note: Option<String>,
    /// Byte offset in the command text, when the error has a place.
    pub at: Option<usize>,
}

impl ErrorReport {
    /// The report for an error of the command `text`, which starts at column `column` of the screen line (prompt
    /// included). `None` for what is no error.
    #[must_use]
    pub fn new(error: &CommandError, text: &str, column: usize) -> Option<ErrorReport> {
        let caret = |at: usize, words: String| {
            let before = text.get(..at).unwrap_or(text).chars().count();
            let lines = vec![format!("{}^ {words}", " ".repeat(column.saturating_add(before)))];
            ErrorReport { lines, note: None, at: Some(at) }
        };
        Some(match error {
            CommandError::Message { text, note } => {
                ErrorReport { lines: text.lines().map(str::to_owned).collect(), note: note.clone(), at: None }
            }
            CommandError::Caret { at, text: words } => {
                let quoted = dumpscope_core::base::text::escape(text.trim_end()).into_owned();
                caret(*at, format!("{words} in '{quoted}'"))
            }
            CommandError::CaretText { at, text } => caret(*at, text.clone()),
            CommandError::Cut { at, text: words, .. } => {
                caret(*at, format!("{words} '{}'", escape(text.trim_end())))
            }
            CommandError::Expr(e) => {
                ErrorReport { lines: vec![e.message(text)], note: e.note.clone(), at: Some(e.at) }
            }
            CommandError::Stopped => {
                ErrorReport { lines: vec!["Interrupted.".to_owned()], note: None, at: None }
            }
            CommandError::Jump(jump) => {
                let name = match jump {
                    Jump::Break => ".break",
                    Jump::Continue => ".continue",
                    Jump::Leave => ".leave",
                    Jump::Redo => "z",
                };
                let line = format!("{name} stands in no block that it could leave.");
                ErrorReport { lines: vec![line], note: None, at: None }
            }
            CommandError::Quit | CommandError::Reported => return None,
        })
    }
}

/// The width of the engine's prompt, which its carets count from.
const PROMPT: usize = 7;

impl ErrorReport {
    /// The report in the engine's own form, for an error of the command that starts at byte `start` of `line`, the whole
    /// line as typed: expressions quote all that is left of it, carets point into it and quote it as a whole. `None` for
    /// what is no error.
    #[must_use]
    pub fn engine(error: &CommandError, line: &str, start: usize) -> Option<ErrorReport> {
        let caret = |at: usize, text: String| {
            let before = line.get(..at).unwrap_or(line).chars().count() + at.saturating_sub(line.len());
            format!("{}^ {text}", " ".repeat(PROMPT + before))
        };
        let whole =
            |at: usize, words: &str| caret(at, format!("{words} in '{}'", escape(&as_read(line, start, at))));
        let (lines, at) = match error {
            CommandError::Caret { at, text } => (vec![whole(start + at, text)], Some(*at)),
            CommandError::CaretText { at, text } => (vec![caret(start + at, text.clone())], Some(*at)),
            CommandError::Cut { at, text, until, tail } => {
                let line = as_read(line, start, usize::MAX);
                let quoted = format!("{}{tail}", line.get(..start + until).unwrap_or(&line));
                // Line breaks of the text are line breaks here, too.
                let shown: Vec<String> = quoted.split('\n').map(|l| escape(l).into_owned()).collect();
                let text = caret(start + at, format!("{text} '{}'", shown.join("\n")));
                (text.split('\n').map(str::to_owned).collect(), Some(*at))
            }
            CommandError::Expr(e) => {
                let mut lines = e.before.clone();
                let at = start + e.at;
                if let ErrorKind::CaretWhole(words) = e.kind {
                    lines.push(caret(at, format!("{words} '{}'", escape(&as_read(line, start, at)))));
                    return Some(ErrorReport { lines, note: e.note.clone(), at: Some(e.at) });
                }
                lines.push(match e.kind.caret_words() {
                    // The engine has read the character that it does not want.
                    Some(words) if e.kind == ErrorKind::ExtraCharacter => whole(at + 1, words),
                    Some(words) => whole(at, words),
                    None => e.clone().shifted(start).engine_message(line),
                });
                (lines, Some(e.at))
            }
            CommandError::Jump(jump) => {
                let words = match jump {
                    Jump::Break => ".break outside of scope error",
                    Jump::Continue => ".continue outside of scope error",
                    Jump::Leave => ".leave outside of .catch error",
                    Jump::Redo => "Syntax error",
                };
                let end = line.get(start..).map_or(0, |t| t.find([' ', ';']).unwrap_or(t.len()));
                (vec![whole(start + end, words)], None)
            }
            other => return ErrorReport::new(other, line, 0),
        };
        let note = match error {
            CommandError::Expr(e) => e.note.clone(),
            _ => None,
        };
        Some(ErrorReport { lines, note, at })
    }
}

/// A line as the engine quotes it after a command has read a range in it up to byte `read`: the `L` of the length is lower
/// case then.
fn as_read(line: &str, start: usize, read: usize) -> String {
    let (before, rest) = line.split_at_checked(start).unwrap_or(("", line));
    let end = rest.find(';').unwrap_or(rest.len());
    let (command, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let reads_ranges = command.starts_with(['d', 'u', 'f', 'e', 'c', 'm', 's', '#']);
    let mut out = before.to_owned();
    let mut last = ' ';
    let mut chars = command.chars().peekable();
    let mut changed = false;
    while let Some(c) = chars.next() {
        let reads_ranges = reads_ranges && out.len() < read;
        let length = c == 'L' && last == ' ' && chars.peek().is_some_and(|n| !n.is_whitespace());
        let length = length && reads_ranges && !changed;
        changed |= length;
        out.push(if length { 'l' } else { c });
        last = c;
    }
    out + after
}

impl Report for ErrorReport {
    fn kind(&self) -> &'static str {
        "error"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for line in &self.lines {
            emit(Line(vec![Span::untrusted(Role::Error, line)]));
        }
        if let Some(note) = &self.note {
            emit(Line(vec![Span::new(Role::Note, "note: "), Span::untrusted(Role::Note, note)]));
        }
    }

    fn json(&self) -> serde_json::Value {
        let text: Vec<&str> = self.lines.iter().map(|l| l.trim_start()).collect();
        serde_json::json!({ "message": text.join("\n"), "note": self.note, "at": self.at })
    }
}
