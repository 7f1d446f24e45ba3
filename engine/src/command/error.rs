//! Why a command gave no answer, and how that is shown.

use crate::doc::{Line, RenderCx, Report, Role, Span};
use crate::expr::ExprError;

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
                };
                let line = format!("{name} stands in no block that it could leave.");
                ErrorReport { lines: vec![line], note: None, at: None }
            }
            CommandError::Quit | CommandError::Reported => return None,
        })
    }
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
