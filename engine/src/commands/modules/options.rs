//! `lm`'s options, glued and apart.

use crate::command::CommandError;
use crate::expr::ErrorKind;
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::Va;

/// What replaces the symbol column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Column {
    /// The state of symbols.
    #[default]
    Symbols,
    /// `i`: file name of the image.
    Image,
    /// `f`: its full path.
    Path,
    /// `p`: name of the mapped file; the dump maps none.
    Mapped,
}

/// Everything `lm` can be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LmOptions {
    /// `o`: no unloaded modules.
    pub(super) loaded_only: bool,
    /// `l`: only those with symbols.
    pub(super) with_symbols: bool,
    /// `e`: only those with a symbol problem.
    pub(super) problems: bool,
    /// `v`: all details.
    pub(super) verbose: bool,
    /// `c`: checksums.
    pub(super) checksum: bool,
    /// `1m`: names only.
    pub(super) names_only: bool,
    /// `sm`: sorted by name.
    pub(super) by_name: bool,
    /// `t`: time stamps.
    pub(super) time: bool,
    /// `n`: image names before the time stamp.
    pub(super) image_name: bool,
    /// `i`, `f`, `p`.
    pub(super) column: Column,
    /// `a`: the module at an address.
    pub(super) address: Option<Va>,
    /// `m`: name pattern.
    pub(super) name: Option<String>,
    /// `M`: path pattern.
    pub(super) path: Option<String>,
    /// `D`: the links of WinDbg's window are written out.
    pub(super) links: bool,
    /// Letters that mean nothing, which today's engine tells and passes over.
    pub(super) unknown: Vec<char>,
}

impl LmOptions {
    /// From the letters behind `lm` and the arguments.
    pub(super) fn parse(
        session: &Session,
        letters: &str,
        args: &mut Cursor<'_>,
    ) -> Result<LmOptions, CommandError> {
        let mut out = LmOptions::default();
        out.letters(session, letters, 2, args)?;
        while !args.is_empty() {
            let at = args.pos();
            let word = args.word().unwrap_or("");
            out.letters(session, word, at, args)?;
        }
        Ok(out)
    }

    fn letters(
        &mut self,
        session: &Session,
        letters: &str,
        at: usize,
        args: &mut Cursor<'_>,
    ) -> Result<(), CommandError> {
        let mut previous = ' ';
        let modern = session.sel.layout == Layout::Modern;
        for (i, c) in letters.char_indices() {
            match c {
                'm' if previous == '1' => self.names_only = true,
                'm' if previous == 's' => self.by_name = true,
                'o' => self.loaded_only = true,
                'l' => self.with_symbols = true,
                'e' => self.problems = true,
                'v' => self.verbose = true,
                'c' => self.checksum = true,
                't' => self.time = true,
                'n' => self.image_name = true,
                'i' => self.column = Column::Image,
                'f' => self.column = Column::Path,
                'p' => self.column = Column::Mapped,
                // `D`: links, which every sink gets. `u` and `k`: user and kernel, here all is user.
                'D' => self.links = true,
                'u' | 'k' | '1' | 's' => {}
                // The pattern may follow without a blank.
                'm' | 'M' if letters.len() > i + 1 => {
                    let rest = Some(letters.get(i + 1..).unwrap_or("*").to_owned());
                    if c == 'm' {
                        self.name = rest
                    } else {
                        self.path = rest
                    }
                    return Ok(());
                }
                'm' => self.name = Some(pattern(args)),
                'M' => self.path = Some(pattern(args)),
                'a' if modern && letters.len() == i + 1 => {
                    let value = args.expr(session).map_err(|e| match e {
                        CommandError::Expr(mut e) if e.kind == ErrorKind::Missing => {
                            e.kind = ErrorKind::MissingOffset;
                            CommandError::Expr(e)
                        }
                        other => other,
                    })?;
                    // Nothing is at 0: all modules.
                    self.address = Some(session.address(value)).filter(|va| !va.is_null());
                }
                'a' => self.address = Some(args.address(session)?),
                _ if modern => self.unknown.push(c),
                _ => return Err(CommandError::caret(at + i, "Syntax error")),
            }
            previous = c;
        }
        Ok(())
    }

    /// True when only some modules are asked for.
    pub(super) fn filtered(&self) -> bool {
        self.address.is_some() || self.name.is_some() || self.path.is_some()
    }
}

/// A pattern: the next word, `*` without one.
fn pattern(args: &mut Cursor<'_>) -> String {
    args.word().unwrap_or("*").to_string()
}
