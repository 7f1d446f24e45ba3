//! The dumps that are open: each with its session and, once it was asked for, its row of the triage document.

use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::Session;
use dumpscope_engine::batch::{TriageOptions, triage_target};
use dumpscope_engine::document::DumpRow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most dumps that are open at once.
pub(super) const MAX_OPEN: usize = 8;

/// An open dump.
#[derive(Debug)]
pub(super) struct Opened {
    /// What the client calls it: `d1`.
    pub(super) id: String,
    /// Its true path.
    pub(super) file: PathBuf,
    /// Its path below the root.
    pub(super) path: String,
    pub(super) target: Arc<Target>,
    /// What `run` has selected.
    session: Mutex<Session>,
    /// Only a whole answer is kept.
    row: Mutex<Option<Arc<DumpRow>>>,
}

impl Opened {
    /// A copy of its session, to run commands on.
    pub(super) fn session(&self, cancel: &Cancel) -> Session {
        let mut session = lock(&self.session).clone();
        session.cancel = cancel.clone();
        session
    }

    /// Keeps what commands have selected.
    pub(super) fn keep(&self, session: Session) {
        *lock(&self.session) = session;
    }

    /// Its row. What was stopped is an answer so far and not kept.
    pub(super) fn row(&self, cancel: &Cancel) -> Arc<DumpRow> {
        if let Some(row) = lock(&self.row).clone() {
            return row;
        }
        let row = Arc::new(triage_target(&self.path, &self.target, cancel));
        if !cancel.is_cancelled() {
            *lock(&self.row) = Some(row.clone());
        }
        row
    }
}

/// All of them, by the order in which they were opened.
#[derive(Debug, Default)]
pub(super) struct Dumps(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u32, Arc<Opened>>,
    last: u32,
}

impl Dumps {
    /// Opens a file, or gives the one that is open already.
    pub(super) fn open(
        &self,
        file: &Path,
        shown: &str,
        options: &TriageOptions,
        cancel: &Cancel,
    ) -> Result<Arc<Opened>, String> {
        if let Some(open) = self.all().into_iter().find(|o| o.file == file) {
            return Ok(open);
        }
        let full = || format!("{MAX_OPEN} dumps are open, which is the most: close one with `close_dump`");
        if self.all().len() >= MAX_OPEN {
            return Err(full());
        }
        let dump = Dump::open_with(file, &mut |_, _, _| !cancel.is_cancelled()).map_err(|e| {
            // The error names the true path: what the client called it is told instead.
            let text = e.to_string().replace(&*file.to_string_lossy(), shown);
            format!(
                "{shown}: {}",
                dumpscope_core::base::text::escape(text.trim_start_matches(&format!("{shown}: ")))
            )
        })?;
        let target = Arc::new(options.target(dump));
        let mut session = Session::new(shown.to_owned(), target.clone());
        session.confined = true;
        session.as_bare_engine();
        let mut table = lock(&self.0);
        if table.open.len() >= MAX_OPEN {
            return Err(full());
        }
        table.last = table.last.saturating_add(1);
        let number = table.last;
        let opened = Arc::new(Opened {
            id: format!("d{number}"),
            file: file.to_owned(),
            path: shown.to_owned(),
            target,
            session: Mutex::new(session),
            row: Mutex::default(),
        });
        table.open.insert(number, opened.clone());
        Ok(opened)
    }

    /// Those that are open.
    pub(super) fn all(&self) -> Vec<Arc<Opened>> {
        lock(&self.0).open.values().cloned().collect()
    }

    /// One of them.
    pub(super) fn find(&self, id: &str) -> Option<Arc<Opened>> {
        self.all().into_iter().find(|o| o.id == id)
    }

    /// Closes one; true when it was open.
    pub(super) fn close(&self, id: &str) -> bool {
        let mut table = lock(&self.0);
        let before = table.open.len();
        table.open.retain(|_, o| o.id != id);
        table.open.len() < before
    }
}

/// A panic while a lock was held leaves nothing half-changed: all that is done under one is a swap.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
