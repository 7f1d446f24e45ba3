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
    /// A number over 64 bits.
    Overflow,
    /// A range over 256 MB without `L?`, or one that ends before it starts.
    Range,
    /// Text after the end of the command.
    ExtraCharacter,
    /// No such thread.
    IllegalThread,
    /// Something that WinDbg has and dumpscope has not; the text is complete.
    Unsupported(String),
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
}

impl ExprError {
    /// An error without a note.
    #[must_use]
    pub fn new(kind: ErrorKind, at: usize) -> ExprError {
        ExprError { kind, at, note: None }
    }

    /// The same error for a text in which the parsed one starts at `offset`.
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> ExprError {
        self.at = self.at.saturating_add(offset);
        self
    }

    /// WinDbg's line for it: `Couldn't resolve error at 'foo'`, where `text` is the text that `at` counts in.
    #[must_use]
    pub fn message(&self, text: &str) -> String {
        let rest = text.get(self.at..).unwrap_or("").trim_end();
        let words = match &self.kind {
            ErrorKind::CouldntResolve => "Couldn't resolve error at",
            ErrorKind::Ambiguous => "Ambiguous symbol error at",
            ErrorKind::Syntax => "Syntax error at",
            ErrorKind::Memory => "Memory access error at",
            ErrorKind::BadRegister => "Bad register error at",
            ErrorKind::Operand => "Operand error at",
            ErrorKind::Missing => "Numeric expression missing from",
            ErrorKind::Overflow => "Overflow error at",
            ErrorKind::Range => "Range error at",
            ErrorKind::ExtraCharacter => "Extra character error at",
            ErrorKind::IllegalThread => "Illegal thread error at",
            ErrorKind::Unsupported(text) => return text.clone(),
        };
        format!("{words} '{}'", dumpscope_core::base::text::escape(rest))
    }
}
