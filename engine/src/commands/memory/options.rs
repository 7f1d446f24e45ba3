//! `/c`.

use crate::command::CommandError;
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::{Layout, Session};

/// Most columns of `/c`.
const MAX_COLUMNS: u64 = 4096;

/// Switches of the `d` commands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// `/c n`.
    pub(super) columns: Option<usize>,
    /// A letter that means nothing, which the engine tells and passes over.
    pub(super) unknown: Option<char>,
}

impl Options {
    pub(super) fn take(args: &mut Cursor<'_>, session: &Session) -> Result<Options, CommandError> {
        let mut options = Options::default();
        loop {
            let at = args.pos();
            if !args.peek().starts_with('/') {
                return Ok(options);
            }
            let Some(name) = args.switch() else { return Err(args.syntax_error()) };
            let modern = session.sel.layout == Layout::Modern;
            if modern && !name.starts_with('c') {
                options.unknown = name.chars().next();
                continue;
            }
            let value = match name.strip_prefix('c') {
                Some("") => args.word_expr(session)?,
                Some(glued) => session.eval(glued).map_err(|e| CommandError::Expr(e.shifted(at + 2)))?.0,
                None => return Err(ExprError::new(ErrorKind::Syntax, at).into()),
            };
            if modern && (value == 0 || value > MAX_COLUMNS) {
                // The engine's column counts the prompt and what it has read.
                let end = at + name.len() + 1;
                let text = format!("Illegal column count in '{}'", args.whole());
                return Err(CommandError::CaretText { at: end, text });
            }
            if value == 0 || value > MAX_COLUMNS {
                return Err(ExprError::new(ErrorKind::Range, at).into());
            }
            options.columns = usize::try_from(value).ok();
        }
    }
}
