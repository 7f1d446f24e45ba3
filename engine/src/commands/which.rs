//! Which threads a command that shows all of them is asked for: by its argument, or by a prefix.

use crate::command::{CommandError, Invocation, SelKind};
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ThreadIdx, Tid};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    One(ThreadIdx),
    /// Nothing more: `~*` runs a command for each thread, and the first time showed all of them.
    Shown,
}

impl Which {
    /// Reads `~1`, `~~[1c4]` or an id in hex; without one the prefix counts.
    pub(super) fn of(
        session: &Session,
        inv: &Invocation<'_>,
        args: &mut Cursor<'_>,
    ) -> Result<Which, CommandError> {
        if matches!(args.peek(), "") || args.peek().starts_with(['-', '/']) {
            return Ok(Which::of_prefix(session, inv));
        }
        let Some(word) = args.word() else { return Ok(Which::of_prefix(session, inv)) };
        let id = word.strip_prefix("~~[").and_then(|w| w.strip_suffix(']'));
        // A bare word is an id, in hex as everywhere.
        let bare = word.chars().all(|c| c.is_ascii_hexdigit()) || word.starts_with("0x");
        let id = id.or_else(|| bare.then(|| word.strip_prefix("0x").unwrap_or(word)));
        let tid = id.and_then(|t| u32::from_str_radix(t, 16).ok()).map(Tid);
        let index = word.strip_prefix('~').and_then(|n| n.parse().ok()).map(ThreadIdx);
        let by_tid = tid.and_then(|t| session.dump().thread_by_tid(t)).map(|t| t.index);
        let found = by_tid.or(index).filter(|i| session.dump().threads().iter().any(|t| t.index == *i));
        match found {
            Some(i) => Ok(Which::One(i)),
            None if id.is_some() || index.is_some() => {
                let text = format!("There is no thread {}", escape(word));
                let number = bare && word.chars().all(|c| c.is_ascii_digit());
                Err(if number {
                    let note = format!(
                        "A bare number is a thread's id, in hex; the thread with number {word} is ~{word}."
                    );
                    CommandError::noted(text, note)
                } else {
                    CommandError::message(text)
                })
            }
            None => Err(args.syntax_error()),
        }
    }

    fn of_prefix(session: &Session, inv: &Invocation<'_>) -> Which {
        let Some(sel) = inv.threads else { return Which::All };
        match (sel.kind, sel.threads.first()) {
            (SelKind::All | SelKind::List, first) => {
                let begins = first.copied() == session.dump().threads().first().map(|t| t.index);
                if begins { Which::All } else { Which::Shown }
            }
            (_, Some(one)) => Which::One(*one),
            (_, None) => Which::All,
        }
    }

    /// The one thread, or all; `None` when nothing is left to show.
    pub(super) fn only(self) -> Option<Option<ThreadIdx>> {
        match self {
            Which::All => Some(None),
            Which::One(thread) => Some(Some(thread)),
            Which::Shown => None,
        }
    }
}
