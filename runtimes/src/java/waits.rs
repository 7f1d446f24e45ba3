//! What threads wait for, by the VM's records of them.

use super::Java;
use super::locks::Stacks;
use super::stack::{JavaFrame, Stack, is_library};
use super::threads::{Thread, status};
use crate::{Proof, ScriptFrame, ScriptWait, WaitKind};
use dumpscope_core::{Tid, Va};

/// Frames at the top that say why a thread waits.
const TOP: usize = 16;

/// Methods whose caller has nothing to do: workers of pools that wait for work, the VM's own helpers.
const IDLE: &[&str] = &[
    "java.lang.ref.Reference.waitForReferencePendingList",
    "java.lang.ref.ReferenceQueue.remove",
    "java.lang.ref.ReferenceQueue.remove0",
    "java.util.TimerThread.mainLoop",
    "java.util.concurrent.ForkJoinPool.awaitWork",
    "java.util.concurrent.ThreadPoolExecutor.getTask",
    "java.lang.VirtualThread.takeVirtualThreadListToUnblock",
    "java.util.concurrent.DelayScheduler.loop",
];

/// Methods that a worker of an executor runs its work in.
const WORKERS: &[&str] =
    &["java.util.concurrent.ThreadPoolExecutor.runWorker", "java.util.concurrent.ForkJoinPool.runWorker"];

/// Futures that somebody completes from outside: they have no thread that runs them.
const COMPLETED_BY_HAND: &str = "java.util.concurrent.CompletableFuture";

impl ScriptFrame {
    /// True for the method in which a worker of an executor runs its work.
    #[must_use]
    pub fn runs_work_of_a_pool(&self) -> bool {
        WORKERS.contains(&self.function.as_str())
    }
}

impl ScriptWait {
    /// True unless what is waited for is known to be work that a thread runs: a future may be completed from outside.
    #[must_use]
    pub fn may_be_completed_by_hand(&self) -> bool {
        self.object_type.as_deref().is_none_or(|t| t.starts_with(COMPLETED_BY_HAND))
    }
}

/// Methods of servers that wait for a connection or for any of theirs.
const SERVES: &[&str] = &[
    "sun.nio.ch.Iocp.getQueuedCompletionStatus",
    "sun.nio.ch.Net.accept",
    "sun.nio.ch.WEPoll.wait",
    "sun.nio.ch.WindowsSelectorImpl$SubSelector.poll0",
    "java.net.DualStackPlainSocketImpl.accept0",
    "java.net.PlainSocketImpl.accept0",
    "java.net.ServerSocket.accept",
    "sun.nio.ch.ServerSocketChannelImpl.accept",
];

/// Methods of the library's queues that wait for something to do, whoever's pool calls them.
const TAKES: &[&str] = &["take", "takeFirst", "takeLast", "poll", "pollFirst", "pollLast"];

/// Threads of the VM that have no frames when they have nothing to do.
const HELPERS: &[&str] = &[
    "Signal Dispatcher",
    "Attach Listener",
    "Service Thread",
    "Monitor Deflation Thread",
    "Notification Thread",
    "Sweeper thread",
    "Common-Cleaner",
];

impl Java {
    pub(super) fn read_waits(&self, stacks: &Stacks<'_>) -> Vec<ScriptWait> {
        let one = |(thread, stack): &(&Thread, Stack)| {
            let mut wait = self.wait(thread, stack)?;
            // The VM waits in slices; the state says whether the program set a limit.
            let period = matches!(wait.kind, WaitKind::Sleep | WaitKind::Idle | WaitKind::Io | WaitKind::Gc);
            wait.endless = !period && thread.status & status::WITH_TIMEOUT == 0;
            Some(wait)
        };
        stacks.iter().filter_map(one).collect()
    }

    fn wait(&self, thread: &Thread, stack: &Stack) -> Option<ScriptWait> {
        let tid = thread.script.tid?;
        let frames = if stack.mounted.is_empty() { &stack.frames } else { &stack.mounted };
        let Some(top) = frames.first() else {
            let name = thread.script.name.as_deref()?;
            return HELPERS.contains(&name).then(|| plain(tid, WaitKind::Idle, name.to_owned()));
        };
        let mut wait = plain(tid, WaitKind::Monitor, top.method.function());
        wait.user_frame = frames.iter().position(|f| !is_library(&f.method.class));
        if let Some(monitor) = thread.pending {
            self.set_object(&mut wait, self.monitor_object(monitor));
            return Some(wait);
        }
        if let Some((class, exact)) = self.waits_for_class(thread, stack) {
            wait.kind = WaitKind::ClassInit;
            wait.object = Some(class.klass);
            wait.object_type = self.names.class(&self.vm, class.klass).map(|n| n.to_string());
            wait.proof = if exact { Proof::Record } else { Proof::Derived };
            return Some(wait);
        }
        let what = for_work(frames, wait.user_frame);
        wait.serves = what == Some(Work::Clients);
        let idle = what.is_some();
        if let Some(monitor) = thread.waiting {
            self.set_object(&mut wait, self.monitor_object(monitor));
            wait.kind = WaitKind::MonitorWait;
            let joined = wait.object.filter(|o| {
                called(frames, &["java.lang.Thread.join"])
                    && self.objects.is_a(&self.vm, &self.names, *o, "java.lang.Thread")
            });
            if let Some(joined) = joined {
                wait.kind = WaitKind::Thread;
                wait.target =
                    self.threads().iter().find(|t| t.object == Some(joined)).and_then(|t| t.script.tid);
            } else if idle {
                wait.kind = WaitKind::Idle;
            }
            return Some(wait);
        }
        if thread.status & status::SLEEPING != 0 && called(frames, &["java.lang.Thread.sleep"]) {
            wait.kind = WaitKind::Sleep;
            return Some(wait);
        }
        let parked = thread.status & status::PARKED != 0
            || called(frames.get(..1)?, &["jdk.internal.misc.Unsafe.park", "sun.misc.Unsafe.park"]);
        if parked {
            self.set_object(&mut wait, thread.blocker);
            self.parked(&mut wait, frames, idle);
            return Some(wait);
        }
        if idle && top.kind == crate::FrameKind::Native {
            wait.kind = WaitKind::Idle;
            return Some(wait);
        }
        None
    }

    pub(super) fn set_object(&self, wait: &mut ScriptWait, object: Option<Va>) {
        wait.object = object;
        wait.object_type = object.and_then(|o| self.names.class_of(&self.vm, o)).map(|n| n.to_string());
    }

    /// What a parked thread waits for, by its blocker.
    pub(super) fn parked(&self, wait: &mut ScriptWait, frames: &[JavaFrame], idle: bool) {
        let of = |object: Va, name: &str| self.objects.is_a(&self.vm, &self.names, object, name);
        let class = wait.object_type.as_deref().unwrap_or_default();
        wait.kind = WaitKind::Event;
        if idle {
            wait.kind = WaitKind::Idle;
        } else if called(frames, &["java.lang.VirtualThread.join", "java.lang.VirtualThread.joinNanos"]) {
            wait.kind = WaitKind::Thread;
        } else if class.ends_with("$ConditionObject") {
            wait.kind = WaitKind::MonitorWait;
        } else if class.starts_with(COMPLETED_BY_HAND)
            || wait.object.is_some_and(|o| of(o, "java.util.concurrent.FutureTask"))
        {
            wait.kind = WaitKind::Task;
            // The thread that runs it now; a task in a queue has none.
            let runner = wait.object.and_then(|o| self.objects.get(&self.vm, o, "runner"));
            wait.target = self
                .threads()
                .iter()
                .find(|t| runner.is_some() && t.object == runner)
                .and_then(|t| t.script.tid);
        } else if wait.object.is_some_and(|o| self.lock_owner(o).is_some()) || class.contains("Lock$") {
            wait.kind = WaitKind::ScriptLock;
        }
    }
}

pub(super) fn plain(tid: Tid, kind: WaitKind, method: String) -> ScriptWait {
    ScriptWait {
        tid,
        kind,
        object: None,
        object_type: None,
        proof: Proof::Record,
        target: None,
        endless: false,
        serves: false,
        method,
        user_frame: None,
    }
}

/// What a thread with nothing to do waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Clients,
    Other,
}

/// What work a thread waits for; `None` for one that does not wait for any. `user_frame`: the innermost frame of the
/// program's own code. What the library does for that one counts: a pool's worker that runs the program's code is inside
/// of it, however it was begun.
fn for_work(frames: &[JavaFrame], user_frame: Option<usize>) -> Option<Work> {
    let library = user_frame.and_then(|n| frames.get(..n)).unwrap_or(frames);
    match called(library, SERVES) {
        true => Some(Work::Clients),
        false => (called(library, IDLE) || takes(library)).then_some(Work::Other),
    }
}

/// True when a frame at the top waits for the next item of one of the library's queues.
fn takes(frames: &[JavaFrame]) -> bool {
    frames.iter().take(TOP).any(|f| {
        let class = f.method.class.strip_prefix("java.util.concurrent.").unwrap_or_default();
        (class.ends_with("Queue") || class.ends_with("Deque")) && TAKES.contains(&&*f.method.name)
    })
}

/// True when one of the frames at the top is one of those methods.
pub(super) fn called(frames: &[JavaFrame], methods: &[&str]) -> bool {
    let is = |f: &JavaFrame| {
        let named = |m: &&str| {
            m.strip_prefix(&*f.method.class).and_then(|m| m.strip_prefix('.')) == Some(&*f.method.name)
        };
        methods.iter().any(named)
    };
    frames.iter().take(TOP).any(is)
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Method;
    use super::*;
    use crate::FrameKind;
    use std::sync::Arc;

    /// Frames by `class.method`, and what they wait for.
    fn waits(methods: &[&str]) -> Option<Work> {
        let frame = |m: &&str| {
            let (class, name) = m.rsplit_once('.').unwrap();
            let method = Method { class: class.into(), name: name.into(), ..Method::default() };
            let kind = FrameKind::Interpreted;
            let (ip, sp) = (Va(0), Va(0));
            JavaFrame { method: Arc::new(method), index: None, kind, ip, sp, monitors: Vec::new() }
        };
        let frames: Vec<_> = methods.iter().map(frame).collect();
        for_work(&frames, frames.iter().position(|f| !is_library(&f.method.class)))
    }

    #[test]
    fn who_runs_the_programs_code_does_not_wait_for_work() {
        const TAKE: &str = "java.util.concurrent.LinkedBlockingQueue.take";
        const TASK: &str = "java.util.concurrent.ThreadPoolExecutor.getTask";
        const PARK: &str = "jdk.internal.misc.Unsafe.park";
        assert_eq!(waits(&[PARK, TAKE, TASK]), Some(Work::Other));
        assert_eq!(waits(&[PARK, TAKE, "app.Main.next", TASK]), Some(Work::Other));
        // What the pool did before is over.
        assert_eq!(waits(&[PARK, "java.util.concurrent.Exchanger.exchange", "app.Main.swap", TAKE]), None);
        assert_eq!(waits(&["java.lang.Thread.sleep", "app.Main.run", TASK]), None);
        assert_eq!(waits(&[]), None);
    }

    #[test]
    fn who_serves_clients() {
        assert_eq!(waits(&["sun.nio.ch.Net.accept", "app.Main.main"]), Some(Work::Clients));
        assert_eq!(waits(&["sun.nio.ch.WEPoll.wait", "sun.nio.ch.SelectorImpl.select"]), Some(Work::Clients));
        assert_eq!(waits(&["java.lang.Thread.sleep", "app.Main.run", "sun.nio.ch.Net.accept"]), None);
    }
}
