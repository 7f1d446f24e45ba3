//! All facts of a dump.

use super::{ExceptionFacts, Interest, Locks, ProcessExit, Reported, ScriptFacts, Stack, ThreadFacts};
use dumpscope_core::Tid;
use std::collections::BTreeMap;

/// Everything that the rules look at.
#[derive(Debug, Default)]
pub struct Facts {
    /// The exception stream, explained.
    pub exception: Option<ExceptionFacts>,
    /// The stack from the recorded exception on, when its thread is not in the dump's list.
    pub unlisted: Option<Stack>,
    /// Exceptions that threads report, when no crash is recorded.
    pub reported: Vec<Reported>,
    /// Threads by number. Shorter than the dump's list when the work was stopped.
    pub threads: Vec<ThreadFacts>,
    /// Critical sections of the process, with the threads that wait for them.
    pub locks: Locks,
    /// What language runtimes say.
    pub script: ScriptFacts,
    /// Set when the process is ending.
    pub exit: Option<ProcessExit>,
    /// Threads whose outer frames were left out because those before them have so many.
    pub shortened: usize,
    /// True when somebody stopped the work before all threads were looked at.
    pub stopped: bool,
    /// Where in `threads` an id is; the first place, where several have it.
    pub(crate) places: BTreeMap<Tid, usize>,
}

impl Facts {
    /// The thread with a system id.
    #[must_use]
    pub fn thread(&self, tid: Tid) -> Option<&ThreadFacts> {
        self.threads.get(*self.places.get(&tid)?)
    }

    /// The stack from an exception on.
    #[must_use]
    pub fn stack_of(&self, exception: &ExceptionFacts) -> Option<&Stack> {
        let Some(thread) = self.thread(exception.tid) else { return self.unlisted.as_ref() };
        thread.stack.as_ref().or(thread.native_stack.as_ref())
    }

    /// The exception that ended the process: the recorded one, else one that a thread reports.
    #[must_use]
    pub fn fatal(&self) -> Option<&ExceptionFacts> {
        let recorded = self.exception.as_ref().filter(|e| e.interest == Interest::Crash);
        recorded.or_else(|| self.reported.first().map(|r| &r.exception))
    }
}
