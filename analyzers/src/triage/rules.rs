//! The rule table. A rule reads the facts and returns findings; it never changes anything.

mod blocked;
mod busy;
mod contention;
mod context;
mod crash;
mod deadlock;
mod detached;
mod graph;
mod idle;
mod lost;
mod orphan;
mod runtime;
#[cfg(test)]
mod tests;
mod unhandled;
mod waiting;
mod witness;

pub(super) use context::add as add_context;
pub(super) use crash::recursive;

use crate::facts::Case;
use crate::model::Finding;

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable name, for messages.
    pub code: &'static str,
    /// What it looks for, one line.
    pub about: &'static str,
    /// Looks.
    pub run: fn(&Case<'_>) -> Vec<Finding>,
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule { code: "crash", about: "an exception that ended the process", run: crash::run },
    Rule {
        code: "unhandled_exception",
        about: "a thread that is about to end the process",
        run: unhandled::run,
    },
    Rule { code: "deadlock", about: "threads that wait for each other in a circle", run: deadlock::run },
    Rule { code: "orphaned_lock", about: "a lock whose owner no longer exists", run: orphan::run },
    Rule {
        code: "runtime",
        about: "locks, tasks, pools and suspensions of a language runtime",
        run: runtime::run,
    },
    Rule { code: "detached", about: "locks that threads without a native one wait for", run: detached::run },
    Rule { code: "lock_contention", about: "a lock whose owner keeps others waiting", run: contention::run },
    Rule { code: "blocked_on_process", about: "a thread that waits for another process", run: blocked::run },
    Rule { code: "busy_loop", about: "a thread that runs without end", run: busy::run },
    Rule {
        code: "waiting",
        about: "an object without a known owner that the main work waits for",
        run: waiting::run,
    },
    Rule { code: "idle", about: "threads that all wait for work", run: idle::run },
];
