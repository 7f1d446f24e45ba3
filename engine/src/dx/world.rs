//! What expressions are evaluated in.

use super::value::{Typed, Val};
use crate::natvis::Views;
use crate::session::Session;
use dumpscope_analyzers::{Scope, Stack, stacks};
use dumpscope_core::ThreadIdx;
use dumpscope_symbols::Limits;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most steps of one command: parts of expressions, elements, members.
const FUEL: u64 = 1_000_000;

/// Deepest nesting of calls and views.
const MAX_DEPTH: usize = 16;

/// A session as `dx` sees it.
pub(crate) struct World<'a> {
    pub(crate) session: &'a Session,
    /// Another process than the dump's was asked for: it has no modules.
    pub(crate) foreign: bool,
    pub(crate) views: Arc<Views>,
    /// `@$name` as far as this command set them.
    pub(crate) variables: RefCell<BTreeMap<String, Val>>,
    stacks: RefCell<BTreeMap<ThreadIdx, Option<Arc<Stack>>>>,
    scope: OnceCell<Option<Scope>>,
    fuel: Cell<u64>,
    depth: Cell<usize>,
}

/// Names that an expression adds to those of the world.
#[derive(Clone, Default)]
pub(crate) struct Env {
    /// Parameters of lambdas, innermost last; those of views (`$i`).
    pub(crate) names: Vec<(String, Val)>,
    /// The object whose members are names (views).
    pub(crate) this: Option<Typed>,
}

impl<'a> World<'a> {
    pub(crate) fn new(session: &'a Session) -> World<'a> {
        World {
            session,
            foreign: false,
            views: Arc::clone(&session.language.views),
            variables: RefCell::new(session.language.objects.clone()),
            stacks: RefCell::default(),
            scope: OnceCell::new(),
            fuel: Cell::new(FUEL),
            depth: Cell::new(0),
        }
    }

    /// Counts a step.
    pub(crate) fn step(&self) -> Result<(), String> {
        match self.fuel.get().checked_sub(1) {
            Some(left) if !(left % 1024 == 0 && self.session.cancel.is_cancelled()) => {
                self.fuel.set(left);
                Ok(())
            }
            _ => Err("The expression needs too many steps".into()),
        }
    }

    /// Runs what may come back to itself: functions that call functions, views of objects in views. `None`: too deep.
    pub(crate) fn nested<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let depth = self.depth.get();
        if depth >= MAX_DEPTH {
            return None;
        }
        self.depth.set(depth + 1);
        let result = f();
        self.depth.set(depth);
        Some(result)
    }

    /// True when there are no steps left.
    pub(crate) fn spent(&self) -> bool {
        self.fuel.get() == 0
    }

    /// The variables of the selected frame.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.get_or_init(|| self.session.scope()).as_ref()
    }

    /// A thread's stack: that of the current thread follows `.cxr`.
    pub(crate) fn stack(&self, thread: ThreadIdx) -> Option<Arc<Stack>> {
        if let Some(known) = self.stacks.borrow().get(&thread) {
            return known.clone();
        }
        let session = self.session;
        let found = if session.sel.thread == Some(thread) {
            session.stack(None)
        } else {
            let limits = Limits { frames: session.sel.max_frames, ..Limits::default() };
            stacks::thread_stack(&session.target, thread, session.sel.machine, &limits, &session.cancel)
        };
        let found = found.map(Arc::new);
        self.stacks.borrow_mut().insert(thread, found.clone());
        found
    }
}
