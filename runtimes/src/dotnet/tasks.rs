//! Asynchronous work: state machines that wait, what they wait for, and who runs them.
//!
//! An async method that waits lives in a box, a task with the method's state machine inside. The machine keeps the awaiter
//! of the current `await` in a field `<>u__N`, which is cleared afterwards; a task keeps what runs after it in
//! `m_continuationObject`. Names and meanings: `AsyncTaskMethodBuilderT.cs` and `Task.cs` of dotnet/runtime (MIT), the
//! same in 8, 9 and 10.

use super::Clr;
use super::objects::element;
use super::user_name::user_name;
use crate::{ScriptWait, Task, WaitKind, Walked};
use dumpscope_core::{Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Longest chain of methods that await each other.
const MAX_CHAIN: usize = 64;
/// Most continuations of one task that are followed.
const MAX_CONTINUATIONS: u32 = 64;
/// Deepest wrapping of a continuation.
const MAX_WRAPPED: usize = 6;

/// Bits of `Task.m_stateFlags`.
mod state {
    /// Faulted, cancelled, or run to its end.
    pub(super) const DONE: i64 = 0x0160_0000;
}

const TASK: &str = "System.Threading.Tasks.Task";

/// Methods in whose tasks a service waits for its end.
const UNTIL_THE_END: &[&str] =
    &["WaitForShutdownAsync", "HostingAbstractionsHostExtensions", "WaitForStopSignalAsync"];

impl Task {
    /// True for asynchronous work by which a program usually waits for its end: a source that somebody completes then,
    /// awaited by one method at most, or by the host's.
    #[must_use]
    pub fn is_for_the_end(&self) -> bool {
        let methods = self.chain.len().saturating_sub(1);
        let host = || self.chain.iter().any(|c| UNTIL_THE_END.iter().any(|u| c.contains(u)));
        self.nobody && (methods < 2 || host())
    }
}

/// A state machine in a box.
#[derive(Clone, Copy, Debug)]
struct Machine {
    type_record: Va,
    /// Where offsets of its fields count from.
    base: Va,
}

/// What only a walk of the heap tells: what each task leads to, backwards.
#[derive(Debug, Default)]
pub(super) struct TaskIndex {
    /// A box or task, and the tasks whose end makes it go on.
    woken_by: BTreeMap<Va, Vec<Va>>,
    /// Tasks that belong to a source: somebody has to complete them.
    sources: BTreeSet<Va>,
    /// Boxes, in address order.
    pub(super) boxes: Vec<Va>,
    /// Events that a blocked thread waits on, by the task that sets them.
    pub(super) stopped: bool,
}

impl Clr {
    /// True for the box of an async method.
    pub(super) fn is_box(&self, object: Va) -> bool {
        let name = self.object_type(object).and_then(|mt| self.plain_name(mt));
        name.is_some_and(|n| n.contains("StateMachineBox"))
    }

    /// The state machine inside a box.
    fn machine(&self, object: Va) -> Option<Machine> {
        let mt = self.object_type(object)?;
        let fields = self.fields(mt)?;
        let field = fields.get("StateMachine")?;
        let at = object.offset(field.offset);
        if field.element == element::VALUE_TYPE {
            // A structure's fields are counted as those of its boxed form: 8 bytes more.
            let type_record = *self.type_arguments(mt)?.last()?;
            return Some(Machine { type_record, base: at.back(8) });
        }
        let machine = self.core.deref(at)?;
        Some(Machine { type_record: self.object_type(machine)?, base: machine })
    }

    /// The async method of a box, as the user wrote it.
    pub(super) fn machine_name(&self, object: Va) -> Option<String> {
        let machine = self.machine(object)?;
        Some(user_name(&self.type_parts(machine.type_record)?, "MoveNext"))
    }

    /// The state of a box's machine: -1 running or not started, -2 done, else the number of the `await`.
    pub(super) fn machine_state(&self, object: Va) -> Option<i64> {
        let machine = self.machine(object)?;
        let fields = self.fields(machine.type_record)?;
        let field = fields.get("<>1__state")?;
        self.number_at(machine.base.offset(field.offset), field.element)
    }

    /// What a box awaits now.
    pub(super) fn awaited(&self, object: Va) -> Option<Va> {
        let machine = self.machine(object)?;
        let fields = self.fields(machine.type_record)?;
        let awaiters = fields.iter().filter(|(name, f)| name.starts_with("<>u__") && !f.is_static);
        awaiters.map(|(_, f)| (machine.base.offset(f.offset), f.element)).find_map(|(at, element)| {
            if element != element::VALUE_TYPE {
                return self.core.deref(at).filter(|o| self.object_type(*o).is_some());
            }
            // An awaiter begins with the task, or has it behind another word.
            [0u64, 8, 16].iter().find_map(|o| {
                let object = self.core.deref(at.offset(*o))?;
                let mt = self.object_type(object)?;
                (*o == 0 || self.is_a(mt, TASK)).then_some(object)
            })
        })
    }

    /// True for a task that has not ended; `None` for what is no task.
    pub(super) fn is_pending(&self, object: Va) -> Option<bool> {
        Some(self.number(object, "m_stateFlags")? & state::DONE == 0)
    }

    /// Boxes and tasks that go on when a task ends.
    fn continuations(&self, object: Va, depth: usize, out: &mut Vec<Va>) {
        if depth > MAX_WRAPPED || out.len() >= MAX_CONTINUATIONS as usize {
            return;
        }
        let Some(mt) = self.object_type(object) else { return };
        let name = self.plain_name(mt).unwrap_or_default();
        let mut follow = |field| {
            if let Some(next) = self.reference(object, field) {
                self.continuations(next, depth + 1, out);
            }
        };
        if name.contains("StateMachineBox") {
            out.push(object);
        } else if self.is_a(mt, "System.Delegate") {
            let Some(target) = self.reference(object, "_target") else { return };
            if self.is_box(target) {
                out.push(target);
            } else if self.object_name(target).is_some_and(|n| n.contains("ContinuationWrapper")) {
                let next =
                    self.reference(target, "_continuation").or_else(|| self.reference(target, "_innerTask"));
                next.into_iter().for_each(|n| self.continuations(n, depth + 1, out));
            }
        } else if name.contains("AwaitTaskContinuation") {
            follow("m_action");
        } else if name.contains("ContinueWithTaskContinuation") || name.contains("StandardTaskContinuation") {
            out.extend(self.reference(object, "m_task"));
        } else if &*name == "System.Collections.Generic.List`1" {
            let items = self.reference(object, "_items").map(|a| self.elements(a, MAX_CONTINUATIONS));
            items.into_iter().flatten().for_each(|i| self.continuations(i, depth + 1, out));
        } else if self.is_a(mt, TASK) {
            out.push(object);
        }
    }

    /// Walks the heap once for tasks.
    pub(super) fn task_index(&self) -> &TaskIndex {
        self.task_index.get_or_init(|| {
            let mut index = TaskIndex::default();
            // Whether a type is of interest, by its record.
            let mut kinds: BTreeMap<Va, (bool, bool, bool)> = BTreeMap::new();
            let mut found = Vec::new();
            let skipped = self.walk_heap(&mut |visit| {
                let (is_task, is_box, is_source) = *kinds.entry(visit.type_record).or_insert_with(|| {
                    let name = self.plain_name(visit.type_record).unwrap_or_default();
                    let is_box = name.contains("StateMachineBox");
                    let is_source = name.starts_with("System.Threading.Tasks.TaskCompletionSource");
                    (self.is_a(visit.type_record, TASK), is_box, is_source)
                });
                if is_box {
                    index.boxes.push(visit.object);
                }
                if is_source && let Some(task) = self.reference(visit.object, "_task") {
                    index.sources.insert(task);
                }
                if is_task {
                    found.push(visit.object);
                }
                true
            });
            index.stopped = skipped.stopped;
            for task in found {
                let mut next = Vec::new();
                if let Some(continuation) = self.reference(task, "m_continuationObject") {
                    self.continuations(continuation, 0, &mut next);
                }
                for object in next {
                    index.woken_by.entry(object).or_default().push(task);
                }
            }
            index
        })
    }

    /// From a task inwards to what it finally waits for, the task first.
    pub(super) fn chain(&self, task: Va) -> Vec<Va> {
        let mut out = vec![task];
        let mut current = task;
        while out.len() < MAX_CHAIN {
            let awaited = if self.is_box(current) { self.awaited(current) } else { None };
            let next = awaited.filter(|n| !out.contains(n)).or_else(|| {
                // A promise of others (WhenAll, Unwrap) says nowhere whose: they lead to it.
                let pending = |t: &&Va| self.is_pending(**t) != Some(false) && !out.contains(t);
                self.task_index().woken_by.get(&current)?.iter().find(pending).copied()
            });
            let Some(next) = next else { break };
            out.push(next);
            current = next;
        }
        out
    }

    /// An object of a chain, in words.
    pub(super) fn describe(&self, object: Va) -> String {
        if let Some(name) = self.machine_name(object).filter(|_| self.is_box(object)) {
            return name;
        }
        let name = self.object_name(object).unwrap_or_else(|| "?".into());
        if name.starts_with("System.Threading.Tasks.Task+DelayPromise") {
            return "Task.Delay".to_owned();
        }
        let plain = self.object_type(object).and_then(|mt| self.plain_name(mt)).unwrap_or_default();
        if matches!(&*plain, TASK | "System.Threading.Tasks.Task`1")
            && self.reference(object, "m_action").is_none()
        {
            return "TaskCompletionSource".to_owned();
        }
        name.to_string()
    }

    /// Tasks that are being run, and by which thread: the live task of a frame that runs one.
    pub(super) fn running_tasks(&self, stacks: &[Walked<'_>]) -> BTreeMap<Va, Tid> {
        let mut out = BTreeMap::new();
        for stack in stacks {
            for object in self.executing(*stack) {
                out.entry(object).or_insert(stack.tid);
            }
        }
        out
    }

    /// Chains that blocked threads wait for.
    pub(super) fn tasks(&self, waits: &[ScriptWait]) -> Vec<Task> {
        let blocked = waits.iter().filter(|w| w.kind == WaitKind::Task);
        let one = |w: &ScriptWait| {
            let chain = self.chain(w.object?);
            let last = *chain.last()?;
            let names = chain.iter().map(|o| self.describe(*o)).collect();
            // The rest of a method goes back to the context of the thread that awaited.
            let thread = self.thread_by_tid(w.tid).and_then(|i| self.threads().get(i)?.object);
            let has_context = thread.is_some_and(|t| self.reference(t, "_synchronizationContext").is_some());
            let over = self.is_pending(last) == Some(false) && chain.len() > 1;
            Some(Task {
                chain: names,
                blocked: Some(w.tid),
                reason: self.reason(last),
                posted_to_blocked: has_context && over,
                nobody: self.is_source(last),
            })
        };
        blocked.filter_map(one).collect()
    }

    /// True for a pending task that only a `TaskCompletionSource` completes.
    fn is_source(&self, task: Va) -> bool {
        self.is_pending(task) == Some(true) && self.task_index().sources.contains(&task)
    }

    /// What the innermost object of a chain waits for.
    pub(super) fn reason(&self, last: Va) -> String {
        let pending = self.is_pending(last);
        if self.is_box(last) {
            return match self.machine_state(last) {
                Some(-1) => "it runs, or waits to be started".to_owned(),
                _ if pending == Some(false) => "it is done; what waits for it was not run yet".to_owned(),
                _ => "nothing was found that it awaits".to_owned(),
            };
        }
        if pending == Some(false) {
            return "it is done; what waits for it was not run yet".to_owned();
        }
        if self.is_source(last) {
            return "nobody has completed its TaskCompletionSource".to_owned();
        }
        match self.describe(last).as_str() {
            "Task.Delay" => "a delay".to_owned(),
            _ if self.reference(last, "m_action").is_some() => "its code has not ended".to_owned(),
            _ => "nobody has completed it".to_owned(),
        }
    }
}
