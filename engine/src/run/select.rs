//! From a thread prefix to threads.

use crate::command::{SelKind, ThreadSel};
use crate::expr::{ErrorKind, ExprError};
use crate::lang::Selector;
use crate::session::Session;
use dumpscope_core::{ThreadIdx, Tid};

/// Why a selector selects nothing.
pub(super) enum SelectError {
    Expr(ExprError),
    NoThread,
}

/// The threads that a selector means.
pub(super) fn select(session: &Session, selector: Selector<'_>) -> Result<ThreadSel, SelectError> {
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
