//! The VM's threads.

use super::Java;
use crate::ScriptThread;
use dumpscope_core::{Tid, Va};

/// Most threads.
const MAX_THREADS: u32 = 16_384;
/// Most words of a lock stack; it has 8.
const MAX_LOCK_STACK: u32 = 16;

/// Bits of `threadStatus`: those of JVMTI's thread state.
pub(super) mod status {
    pub(crate) const TERMINATED: u32 = 0x2;
    pub(crate) const RUNNABLE: u32 = 0x4;
    pub(crate) const WITH_TIMEOUT: u32 = 0x20;
    pub(crate) const SLEEPING: u32 = 0x40;
    pub(crate) const WAITING: u32 = 0x80;
    pub(crate) const IN_OBJECT_WAIT: u32 = 0x100;
    pub(crate) const PARKED: u32 = 0x200;
    pub(crate) const BLOCKED: u32 = 0x400;
}

/// A thread of the VM.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) script: ScriptThread,
    /// Its `java.lang.Thread`.
    pub(super) object: Option<Va>,
    pub(super) status: u32,
    /// `JavaThread::_thread_state`.
    pub(super) vm_state: u32,
    /// The monitor that it enters.
    pub(super) pending: Option<Va>,
    /// The monitor that it waits on.
    pub(super) waiting: Option<Va>,
    /// What it is parked for.
    pub(super) blocker: Option<Va>,
    /// Its number as an owner of monitors (JDK 24 and later).
    pub(super) monitor_id: Option<u64>,
    /// Its stack, lowest and highest address.
    pub(super) stack: Option<(Va, Va)>,
    /// Objects that it locked without a monitor, oldest first.
    pub(super) lock_stack: Vec<Va>,
    /// The virtual thread that runs on it.
    pub(super) mounted: Option<Va>,
}

/// State of a thread that is blocked in the VM itself.
pub(super) const VM_BLOCKED: u32 = 10;

/// State words of a thread, in the order of jstack.
pub(super) fn words(bits: u32) -> Vec<&'static str> {
    let mut out = Vec::new();
    let main = if bits & status::TERMINATED != 0 {
        "terminated"
    } else if bits & status::BLOCKED != 0 {
        "blocked"
    } else if bits & status::WAITING != 0 {
        if bits & status::WITH_TIMEOUT != 0 { "timed_waiting" } else { "waiting" }
    } else if bits & status::RUNNABLE != 0 {
        "runnable"
    } else {
        "new"
    };
    out.push(main);
    let how = [
        (status::SLEEPING, "sleeping"),
        (status::IN_OBJECT_WAIT, "object_wait"),
        (status::PARKED, "parking"),
    ];
    out.extend(how.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word));
    out
}

impl Java {
    /// Addresses of all threads: an array since JDK 14 or so, a list before.
    fn thread_addresses(&self) -> Vec<Va> {
        let vm = &self.vm;
        let array = || {
            let list = Va(vm.variable_u64("ThreadsSMRSupport::_java_thread_list")?);
            let start = vm.ptr(list, "ThreadsList::_threads")?;
            let count = vm.u32(list, "ThreadsList::_length")?.min(MAX_THREADS);
            let read = |i| vm.memory.u64(start.offset(u64::from(i) * 8)).map(Va);
            Some((0..count).map_while(read).filter(|t| !t.is_null()).collect())
        };
        array().unwrap_or_else(|| {
            let first = vm.variable_u64("Threads::_thread_list").map(Va).filter(|t| !t.is_null());
            let next = |t: &Va| vm.ptr(*t, "JavaThread::_next");
            let mut seen = std::collections::BTreeSet::new();
            let all = std::iter::successors(first, next).take(MAX_THREADS as usize);
            all.take_while(|t| seen.insert(*t)).collect()
        })
    }

    pub(super) fn read_threads(&self) -> Vec<Thread> {
        let mut seen = std::collections::BTreeSet::new();
        let all = self.thread_addresses().into_iter().filter(|t| seen.insert(*t));
        all.map(|at| self.read_thread(at)).collect()
    }

    fn read_thread(&self, at: Va) -> Thread {
        let (vm, objects) = (&self.vm, &self.objects);
        let of_either = |field: &str| {
            let own = format!("JavaThread::{field}");
            vm.ptr(at, &own).or_else(|| vm.ptr(at, &format!("Thread::{field}")))
        };
        let tid =
            of_either("_osthread").and_then(|os| vm.u32(os, "OSThread::_thread_id")).filter(|t| *t != 0);
        let object = vm.handle(at, "JavaThread::_threadObj");
        let field = |name| object.and_then(|o| objects.get(vm, o, name));
        // Since JDK 19 some fields lie in an object of their own: platform threads have it only.
        let holder = field("holder").or(object);
        let number = |name| holder.and_then(|h| objects.int(vm, h, name)).unwrap_or(0);
        let bits = number("threadStatus");
        let daemon =
            holder.and_then(|h| vm.memory.u8(objects.field(vm, h, "daemon")?)).is_some_and(|d| d == 1);
        let mounted = vm.handle(at, "JavaThread::_vthread").filter(|v| Some(*v) != object);
        let mut state = words(bits);
        if daemon {
            state.push("daemon");
        }
        if mounted.is_some() {
            state.push("carrier");
        }
        let stack = || {
            let top = of_either("_stack_base")?;
            let size = vm.u64(at, vm.first(&["JavaThread::_stack_size", "Thread::_stack_size"])?)?;
            Some((top.0.checked_sub(size).map(Va)?, top))
        };
        Thread {
            script: ScriptThread {
                address: at,
                tid: tid.map(Tid),
                id: object.and_then(|o| objects.long(vm, o, "tid")).unwrap_or(0),
                name: field("name").and_then(|n| objects.string(vm, n)),
                state,
                carrier: None,
                alive: bits != 0 && bits & status::TERMINATED == 0,
            },
            object,
            status: bits,
            vm_state: vm.u32(at, "JavaThread::_thread_state").unwrap_or(0),
            pending: of_either("_current_pending_monitor"),
            waiting: of_either("_current_waiting_monitor"),
            blocker: mounted.and_then(|v| objects.get(vm, v, "parkBlocker")).or_else(|| field("parkBlocker")),
            monitor_id: vm.u64(at, "JavaThread::_monitor_owner_id"),
            stack: stack(),
            lock_stack: self.lock_stack(at).unwrap_or_default(),
            mounted,
        }
    }

    /// `_top` is an offset from the thread's start.
    fn lock_stack(&self, at: Va) -> Option<Vec<Va>> {
        let vm = &self.vm;
        let first = vm.offset("JavaThread::_lock_stack")?;
        let top = vm.u32(at.offset(first), "LockStack::_top")?;
        let base = u32::try_from(first.checked_add(vm.offset("LockStack::_base[0]")?)?).ok()?;
        let count = top.checked_sub(base)? / 8;
        let read =
            |i| vm.memory.u64(at.offset(u64::from(base)).offset(u64::from(i) * 8)).and_then(|o| vm.wide(o));
        Some((0..count.min(MAX_LOCK_STACK)).filter_map(read).collect())
    }
}
