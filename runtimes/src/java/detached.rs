//! What virtual threads that do not run wait for.
//!
//! Parked ones have their blocker in `Thread.parkBlocker`, like all. One that enters a monitor or waits on it (JDK 24 and
//! later; before it keeps its carrier) leads to it by a field that the VM added, `objectWaiter`: an `ObjectWaiter`, whose
//! layout the VM's tables lack. One of its first words is the monitor.

use super::Java;
use super::virtual_threads::Virtual;
use super::waits::{called, plain};
use crate::{DetachedWait, LockOwner, WaitKind};
use dumpscope_core::{Tid, Va};

/// Words of an `ObjectWaiter` that are looked at.
const WAITER_WORDS: u64 = 16;

/// Methods that park a thread until it is woken, and those that park it for a while: so it waits for a lock with a limit.
const PARKS: &[&str] = &["java.util.concurrent.locks.LockSupport.park", "java.lang.VirtualThread.park"];
const PARKS_A_WHILE: &[&str] = &[
    "java.util.concurrent.locks.LockSupport.parkNanos",
    "java.util.concurrent.locks.LockSupport.parkUntil",
    "java.lang.VirtualThread.parkNanos",
];

impl Java {
    pub(super) fn read_detached_waits(&self) -> Vec<DetachedWait> {
        let all = self.virtual_threads().iter().filter(|v| v.carrier.is_none());
        all.filter_map(|v| self.detached_wait(v)).collect()
    }

    fn detached_wait(&self, thread: &Virtual) -> Option<DetachedWait> {
        let object = thread.script.address;
        let frames = self.unmounted_frames(object);
        let method = frames.first().map(|f| f.method.function()).unwrap_or_default();
        let mut wait = plain(Tid(0), WaitKind::Monitor, method);
        let mut owner = None;
        // Entering a monitor has no limit.
        let mut endless = true;
        if let Some(monitor) = self.waited_monitor(object) {
            self.set_object(&mut wait, self.monitor_object(monitor));
            let in_wait = wait.method.starts_with("java.lang.Object.wait");
            if in_wait {
                wait.kind = WaitKind::MonitorWait;
                endless = false;
            } else {
                owner = self.monitor_owner(monitor);
            }
        } else {
            let blocker = self.objects.get(&self.vm, object, "parkBlocker")?;
            self.set_object(&mut wait, Some(blocker));
            self.parked(&mut wait, &frames, false);
            endless = called(&frames, PARKS) && !called(&frames, PARKS_A_WHILE);
            owner = self.lock_owner(blocker).filter(|_| wait.kind == WaitKind::ScriptLock);
        }
        Some(DetachedWait {
            thread: object,
            kind: wait.kind,
            object: wait.object,
            object_type: wait.object_type,
            owner,
            endless,
            method: wait.method,
        })
    }

    fn waited_monitor(&self, object: Va) -> Option<Va> {
        let vm = &self.vm;
        let waiter = Va(vm.memory.u64(self.objects.field(vm, object, "objectWaiter")?)?);
        if waiter.is_null() {
            return None;
        }
        let word = |n: u64| vm.memory.u64(waiter.offset(n * 8)).map(Va).filter(|w| !w.is_null());
        let is_monitor = |monitor: &Va| {
            let of = self.monitor_object(*monitor).and_then(|o| self.names.class_of(vm, o));
            of.is_some() && vm.u64(*monitor, "ObjectMonitor::_owner").is_some_and(|o| o != 0)
        };
        (0..WAITER_WORDS).filter_map(word).find(is_monitor)
    }

    /// Who holds a synchronizer exclusively, virtual threads too.
    pub(super) fn lock_owner(&self, synchronizer: Va) -> Option<LockOwner> {
        if let Some(thread) = self.exclusive_owner(synchronizer) {
            return Some(Java::owner(thread));
        }
        let owner = self.objects.get(&self.vm, synchronizer, "exclusiveOwnerThread")?;
        self.virtual_threads().iter().find(|v| v.script.address == owner).map(Virtual::owner)
    }
}
