//! `/c`.

use crate::command::CommandError;
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Cursor;
use crate::session::Session;

/// Most columns of `/c`.
const MAX_COLUMNS: u64 = 4096;

/// Switches of the `d` commands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// `/c n`.
    pub(super) columns: Option<usize>,
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
            let value = match name.strip_prefix('c') {
                Some("") => args.word_expr(session)?,
                Some(glued) => session.eval(glued).map_err(|e| CommandError::Expr(e.shifted(at + 2)))?.0,
                None => return Err(ExprError::new(ErrorKind::Syntax, at).into()),
            };
            if value == 0 || value > MAX_COLUMNS {
                return Err(ExprError::new(ErrorKind::Range, at).into());
            }
            options.columns = usize::try_from(value).ok();
        }
    }
}
