//! Monitors, locks of `java.util.concurrent`, class initializers: who holds them.

use super::Java;
use super::stack::Stack;
use super::threads::{Thread, status};
use crate::{LockKind, LockOwner, ScriptLock};
use dumpscope_core::Va;
use std::collections::BTreeMap;

/// Owner of a monitor that was locked without it: the thread whose lock stack has the object.
const ANONYMOUS: u64 = 1;
/// Most locks.
const MAX_LOCKS: usize = 100_000;

/// A thread and its frames.
pub(super) type Stacks<'a> = [(&'a Thread, Stack)];

impl Java {
    /// The object of a monitor: itself up to JDK 15, a handle since.
    pub(super) fn monitor_object(&self, monitor: Va) -> Option<Va> {
        let vm = &self.vm;
        let value = vm.ptr(monitor, "ObjectMonitor::_object")?;
        if vm.major < 16 { vm.wide(value.0) } else { vm.wide(vm.memory.u64(value)?) }
    }

    pub(super) fn owner(thread: &Thread) -> LockOwner {
        LockOwner { tid: thread.script.tid, id: Some(thread.script.id), name: thread.script.name.clone() }
    }

    /// Who holds a monitor. `ObjectMonitor::_owner` is a thread, a place on its stack, 1 (the lock stacks tell), or since
    /// JDK 24 a thread's number, of virtual threads too.
    pub(super) fn monitor_owner(&self, monitor: Va) -> Option<LockOwner> {
        let vm = &self.vm;
        let owner = vm.u64(monitor, "ObjectMonitor::_owner").filter(|o| *o != 0)?;
        if owner == ANONYMOUS {
            let object = self.monitor_object(monitor)?;
            let thread = self.threads().iter().find(|t| t.lock_stack.contains(&object)).map(Java::owner);
            let by_virtual = || self.virtual_threads().iter().find(|v| v.lock_stack.contains(&object));
            return thread.or_else(|| by_virtual().map(super::virtual_threads::Virtual::owner));
        }
        if vm.type_of("ObjectMonitor::_owner") == "int64_t" {
            let thread = self.threads().iter().find(|t| t.monitor_id == Some(owner)).map(Java::owner);
            let by_virtual = || self.virtual_threads().iter().find(|v| v.script.id == owner);
            return thread.or_else(|| by_virtual().map(super::virtual_threads::Virtual::owner));
        }
        let on_stack = |t: &Thread| t.stack.is_some_and(|(low, high)| low.0 <= owner && owner < high.0);
        self.threads().iter().find(|t| t.script.address.0 == owner || on_stack(t)).map(Java::owner)
    }

    /// What a thread is parked for, when it is.
    pub(super) fn parked_for(thread: &Thread) -> Option<Va> {
        thread.blocker.filter(|_| thread.waiting.is_none() && thread.pending.is_none())
    }

    /// The thread that a synchronizer says holds it exclusively.
    pub(super) fn exclusive_owner(&self, synchronizer: Va) -> Option<&Thread> {
        let owner = self.objects.get(&self.vm, synchronizer, "exclusiveOwnerThread")?;
        self.threads().iter().find(|t| t.object == Some(owner) || t.mounted == Some(owner))
    }

    /// Objects whose monitors a thread holds, each as often as frames have it. The one that it enters, and the one that it
    /// waits on, it does not hold.
    pub(super) fn held(&self, thread: &Thread, stack: &Stack) -> BTreeMap<Va, u32> {
        let not = [thread.pending, thread.waiting].map(|m| m.and_then(|m| self.monitor_object(m)));
        let mut out = BTreeMap::new();
        let frames = stack.mounted.iter().chain(&stack.frames);
        for object in frames.flat_map(|f| &f.monitors).filter(|o| !not.contains(&Some(**o))) {
            let count = out.entry(*object).or_insert(0u32);
            *count = count.saturating_add(1);
        }
        for object in thread.lock_stack.iter().filter(|o| !not.contains(&Some(**o))) {
            out.entry(*object).or_insert(1);
        }
        out
    }

    /// All locks that are held or waited for.
    pub(super) fn read_locks(&self, stacks: &Stacks<'_>) -> Vec<ScriptLock> {
        let mut out = BTreeMap::<Va, ScriptLock>::new();
        for (thread, stack) in stacks {
            for (object, count) in self.held(thread, stack) {
                let lock = self.lock(&mut out, object, LockKind::JavaMonitor);
                lock.owners.push(Java::owner(thread));
                lock.recursion = lock.recursion.max(count);
            }
        }
        for (thread, stack) in stacks {
            let pending = thread.pending.and_then(|m| Some((m, self.monitor_object(m)?)));
            if let Some((monitor, object)) = pending {
                let owner = self.monitor_owner(monitor);
                let lock = self.lock(&mut out, object, LockKind::JavaMonitor);
                lock.waiting = lock.waiting.saturating_add(1);
                // The monitor itself says better than frames do.
                if let Some(owner) = owner {
                    lock.owners = vec![owner];
                    lock.recursion = lock.recursion.max(1);
                }
            }
            if let Some((class, _)) = self.waits_for_class(thread, stack) {
                let owner = self.threads().iter().find(|t| t.script.address == class.owner);
                let lock = self.lock(&mut out, class.klass, LockKind::ClassInit);
                lock.object_type = self.names.class(&self.vm, class.klass).map(|n| n.to_string());
                lock.waiting = lock.waiting.saturating_add(1);
                lock.owners = owner.map(Java::owner).into_iter().collect();
                lock.recursion = 1;
            } else if let Some(object) =
                Java::parked_for(thread).filter(|_| thread.status & status::PARKED != 0)
                && let Some(owner) = self.lock_owner(object)
            {
                let held = self.objects.int(&self.vm, object, "state").unwrap_or(1);
                let lock = self.lock(&mut out, object, LockKind::JavaLock);
                lock.waiting = lock.waiting.saturating_add(1);
                lock.owners = vec![owner];
                // A lock for reading and writing has the readers in the high half.
                lock.recursion = (held & 0xffff).max(1);
            }
        }
        for wait in self.read_detached_waits() {
            let (Some(object), Some(owner)) = (wait.object, wait.owner) else { continue };
            let monitor = wait.kind == crate::WaitKind::Monitor;
            let kind = if monitor { LockKind::JavaMonitor } else { LockKind::JavaLock };
            let lock = self.lock(&mut out, object, kind);
            lock.waiting = lock.waiting.saturating_add(1);
            lock.recursion = lock.recursion.max(1);
            lock.owners = vec![owner];
        }
        out.into_values().collect()
    }

    fn lock<'l>(
        &self,
        out: &'l mut BTreeMap<Va, ScriptLock>,
        object: Va,
        kind: LockKind,
    ) -> &'l mut ScriptLock {
        // A full list keeps what it has; the last entry is used again.
        let key = if out.len() >= MAX_LOCKS && !out.contains_key(&object) { Va(u64::MAX) } else { object };
        out.entry(key).or_insert_with(|| ScriptLock {
            address: object,
            object_type: self.names.class_of(&self.vm, object).map(|n| n.to_string()),
            kind,
            owners: Vec::new(),
            recursion: 0,
            waiting: 0,
        })
    }
}
