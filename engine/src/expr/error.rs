//! Errors in expressions, in WinDbg's words.

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name that is no symbol, register or number.
    CouldntResolve,
    /// A name that several symbols have.
    Ambiguous,
    /// Not an expression.
    Syntax,
    /// Memory that the dump does not hold.
    Memory,
    /// No such register, or its value is not known in the selected frame.
    BadRegister,
    /// Division by zero.
    Operand,
    /// Nothing where a number must be.
    Missing,
    /// Nothing where an address must be.
    MissingAddress,
    /// Nothing where a thread must be.
    MissingThread,
    /// Nothing behind `L`.
    MissingLength,
    /// Nothing where an address in a module must be.
    MissingOffset,
    /// A number over 64 bits.
    Overflow,
    /// A range over 256 MB without `L?`, or one that ends before it starts.
    Range,
    /// Text after the end of the command.
    ExtraCharacter,
    /// No such thread.
    IllegalThread,
    /// A source line without code.
    NoInformation,
    /// An error of C++ expressions with these words before the quoted rest of the line.
    At(&'static str),
    /// An error that points into the line (`^ … error in '…'`), with these words.
    Caret(&'static str),
    /// As `Caret`, with words that end before the quoted line (`… missing from '…'`).
    CaretWhole(&'static str),
    /// Something that WinDbg has and dumpscope has not; the text is complete.
    Unsupported(String),
}

impl ErrorKind {
    /// The words of errors that the engine shows with a caret below the line; in the old layout they quote the rest of it
    /// like all others.
    pub(crate) fn caret_words(&self) -> Option<&'static str> {
        Some(match self {
            ErrorKind::Range => "Range error",
            ErrorKind::ExtraCharacter => "Extra character error",
            ErrorKind::IllegalThread => "Illegal thread error",
            ErrorKind::Caret(words) => words,
            _ => return None,
        })
    }
}

/// An error at a byte offset of the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Byte offset of the place.
    pub at: usize,
    /// What would help, when WinDbg's words do not say it.
    pub note: Option<String>,
    /// Lines that are printed before the error: the symbols that an ambiguous name matched.
    pub before: Vec<String>,
    /// Byte offset behind which the engine quotes nothing: the address of a range was read on its own.
    pub until: Option<usize>,
}

impl ExprError {
    /// An error without a note.
    #[must_use]
    pub fn new(kind: ErrorKind, at: usize) -> ExprError {
        ExprError { kind, at, note: None, before: Vec::new(), until: None }
    }

    /// The same error for a text in which the parsed one starts at `offset`.
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> ExprError {
        self.at = self.at.saturating_add(offset);
        self.until = self.until.map(|end| end.saturating_add(offset));
        self
    }

    /// The same error where an address is expected.
    #[must_use]
    pub(crate) fn of_address(mut self) -> ExprError {
        if self.kind == ErrorKind::Missing {
            self.kind = ErrorKind::MissingAddress;
        }
        self
    }

    /// WinDbg's words for it, before the quoted text.
    fn words(&self) -> &str {
        match &self.kind {
            ErrorKind::CouldntResolve => "Couldn't resolve error at",
            ErrorKind::Ambiguous => "Ambiguous symbol error at",
            ErrorKind::Syntax => "Syntax error at",
            ErrorKind::Memory => "Memory access error at",
            ErrorKind::BadRegister => "Bad register error at",
            ErrorKind::Operand => "Operand error at",
            ErrorKind::Missing => "Numeric expression missing from",
            ErrorKind::MissingAddress => "Address expression missing from",
            ErrorKind::MissingThread => "Thread ID missing from",
            ErrorKind::MissingOffset => "Module offset missing from",
            ErrorKind::MissingLength => "Length of range missing from",
            ErrorKind::Overflow => "Overflow error at",
            ErrorKind::Range => "Range error at",
            ErrorKind::ExtraCharacter => "Extra character error at",
            ErrorKind::IllegalThread => "Illegal thread error at",
            ErrorKind::NoInformation => "No information found error at",
            ErrorKind::At(words) | ErrorKind::Caret(words) | ErrorKind::CaretWhole(words) => words,
            ErrorKind::Unsupported(text) => text,
        }
    }

    /// WinDbg's line for it: `Couldn't resolve error at 'foo'`, where `text` is the text that `at` counts in.
    #[must_use]
    pub fn message(&self, text: &str) -> String {
        self.quoting(text.get(self.at..).unwrap_or("").trim_end())
    }

    /// As [`ExprError::message`] in the engine's own form: all that is left of the line, blanks included, `<EOL>` at its
    /// end.
    #[must_use]
    pub fn engine_message(&self, line: &str) -> String {
        let line = self.until.and_then(|end| line.get(..end)).unwrap_or(line);
        let rest = line.get(self.at..).unwrap_or("");
        self.quoting(if rest.trim().is_empty() { "<EOL>" } else { rest })
    }

    fn quoting(&self, rest: &str) -> String {
        if let ErrorKind::Unsupported(text) = &self.kind {
            return text.clone();
        }
        format!("{} '{}'", self.words(), dumpscope_core::base::text::escape(rest))
    }
}
