//! What language runtimes say of the process.

use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::{
    Death, DetachedWait, ExceptionState, LockOwner, Pool, Runtime, ScriptException, ScriptFrame, ScriptLock,
    ScriptThread, ScriptWait, Suspension, Task, WaitKind,
};
use std::collections::BTreeMap;

/// A thread's other half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadScript {
    /// Index of its runtime in [`ScriptFacts::runtimes`].
    pub runtime: usize,
    /// What the runtime says of it; `None` for one that it does not know.
    pub thread: Option<ScriptThread>,
    /// Method frames, innermost first.
    pub frames: Vec<ScriptFrame>,
    /// What it waits for inside the runtime.
    pub wait: Option<ScriptWait>,
    /// Addresses of locks that it holds.
    pub holds: Vec<Va>,
}

/// A thread of a runtime that has no native one of its own: an unmounted virtual thread, a suspended fiber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmounted {
    /// Index of its runtime in [`ScriptFacts::runtimes`].
    pub runtime: usize,
    /// What the runtime says of it.
    pub thread: ScriptThread,
    /// Method frames, innermost first.
    pub frames: Vec<ScriptFrame>,
    /// Addresses of locks that it holds.
    pub holds: Vec<Va>,
    /// What it waits for.
    pub wait: Option<DetachedWait>,
}

impl Unmounted {
    /// For sentences: `virtual thread 21 "worker"`. Untrusted.
    #[must_use]
    pub fn words(&self) -> String {
        let what = ["virtual", "fiber"].into_iter().find(|w| self.thread.state.contains(w));
        let what = match what {
            Some("virtual") => "virtual thread",
            Some("fiber") => return format!("fiber {:x}", self.thread.address.0),
            _ => "thread",
        };
        match &self.thread.name {
            Some(name) => format!("{what} {} \"{name}\"", self.thread.id),
            None => format!("{what} {}", self.thread.id),
        }
    }
}

/// Everything that runtimes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptFacts {
    /// The runtimes.
    pub runtimes: Vec<Runtime>,
    /// Threads by system id.
    pub threads: BTreeMap<Tid, ThreadScript>,
    /// Threads of a runtime without a native one of their own.
    pub unmounted: Vec<Unmounted>,
    /// Locks that are held or waited for: runtime, lock.
    pub locks: Vec<(usize, ScriptLock)>,
    /// Exceptions: runtime, exception.
    pub exceptions: Vec<(usize, ScriptException)>,
    /// Unfinished asynchronous work that threads wait for.
    pub tasks: Vec<Task>,
    /// The thread pool.
    pub pool: Option<Pool>,
    /// The suspension that is under way.
    pub suspension: Option<Suspension>,
    /// The thread that ends the process on purpose.
    pub death: Option<Death>,
    /// Threads that run finalizers.
    pub finalizers: Vec<Tid>,
}

impl ScriptFacts {
    /// The lock of an object.
    #[must_use]
    pub fn lock(&self, address: Va) -> Option<&ScriptLock> {
        self.locks.iter().find(|(_, l)| l.address == address).map(|(_, l)| l)
    }

    /// The owner of a lock that lives without a native thread.
    #[must_use]
    pub fn unmounted(&self, owner: &LockOwner) -> Option<&Unmounted> {
        let id = owner.id.filter(|_| owner.tid.is_none())?;
        self.unmounted.iter().find(|u| u.thread.id == id)
    }

    /// The owner of a lock, for sentences. Untrusted.
    #[must_use]
    pub fn owner_words(&self, owner: &LockOwner) -> String {
        match (owner.tid, self.unmounted(owner)) {
            (Some(tid), _) => self.words(tid),
            (None, Some(thread)) => thread.words(),
            (None, None) => {
                owner.name.as_ref().map_or("an unknown thread".to_owned(), |n| format!("\"{n}\""))
            }
        }
    }

    /// A thread with its runtime's name, for sentences: `thread 118 "payer"`. Untrusted.
    #[must_use]
    pub fn words(&self, tid: Tid) -> String {
        let name = self.threads.get(&tid).and_then(|t| t.thread.as_ref()?.name.as_deref());
        match name {
            Some(name) => match self.carried(tid) {
                Some(u) => format!("thread {:x} \"{name}\" (carries {})", tid.0, u.words()),
                None => format!("thread {:x} \"{name}\"", tid.0),
            },
            None if self.is_main(tid) => format!("thread {:x} (main)", tid.0),
            None if self.finalizers.contains(&tid) => format!("thread {:x} (finalizer)", tid.0),
            None => format!("thread {:x}", tid.0),
        }
    }

    /// True for the thread that its runtime calls the main one.
    fn is_main(&self, tid: Tid) -> bool {
        let thread = self.threads.get(&tid).and_then(|t| t.thread.as_ref());
        thread.is_some_and(|t| t.state.contains(&"main"))
    }

    /// Threads that want a lock, in the order of ids.
    #[must_use]
    pub fn waiters(&self, address: Va) -> Vec<Tid> {
        let wants = |w: &ScriptWait| w.object == Some(address) && w.kind != WaitKind::MonitorWait;
        self.threads.iter().filter(|(_, t)| t.wait.as_ref().is_some_and(wants)).map(|(tid, _)| *tid).collect()
    }

    /// The exception that nobody handled.
    #[must_use]
    pub fn unhandled(&self) -> Option<&ScriptException> {
        self.exceptions.iter().map(|(_, e)| e).find(|e| e.state == ExceptionState::Unhandled)
    }

    /// The asynchronous work that a thread blocks on.
    #[must_use]
    pub fn task_of(&self, tid: Tid) -> Option<&Task> {
        self.tasks.iter().find(|t| t.blocked == Some(tid))
    }

    /// The thread without a native one of its own that a native one carries now.
    #[must_use]
    pub fn carried(&self, tid: Tid) -> Option<&Unmounted> {
        self.unmounted.iter().find(|u| u.thread.carrier == Some(tid))
    }

    /// Frames of the program that a thread runs: of the thread that it carries, else its own.
    #[must_use]
    pub fn frames(&self, tid: Tid) -> &[ScriptFrame] {
        let own = || self.threads.get(&tid).map_or(&[][..], |t| &t.frames);
        self.carried(tid).map_or_else(own, |u| &u.frames)
    }

    /// The innermost frame of a thread outside of the runtime's own libraries.
    #[must_use]
    pub fn user_frame(&self, tid: Tid) -> Option<&ScriptFrame> {
        self.frames(tid).iter().find(|f| !f.is_library())
    }
}
