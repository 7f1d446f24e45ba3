//! Threads as `jstack` shows them.

use super::locks::Stacks;
use super::metadata::{self, Method};
use super::stack::JavaFrame;
use super::threads::{Thread, status};
use super::{HotSpot, Java};
use crate::jvm::{JvmBlocked, JvmBlocker, JvmItem, JvmReader, JvmThread};
use crate::{FrameKind, Walked};
use dumpscope_core::Va;
use std::collections::{BTreeMap, BTreeSet};

/// The class of all locks that know who holds them.
const OWNABLE: &str = "java.util.concurrent.locks.AbstractOwnableSynchronizer";
/// Most of them that are found.
const MAX_SYNCHRONIZERS: usize = 10_000;

/// `java.base@21.0.8/` by class; empty where a class is in no named module.
type Modules = BTreeMap<Va, String>;

impl Java {
    fn jvm_thread(
        &self,
        thread: &Thread,
        stacks: &Stacks<'_>,
        nth: usize,
        modules: &mut Modules,
    ) -> Option<JvmThread> {
        let (_, stack) = stacks.get(nth)?;
        let vm = &self.vm;
        let holder = thread.object.and_then(|o| self.objects.get(vm, o, "holder")).or(thread.object);
        let priority = holder.and_then(|h| self.objects.int(vm, h, "priority"));
        let anchor = vm.offset("JavaThread::_anchor").map(|o| thread.script.address.offset(o));
        let sp = anchor.and_then(|a| vm.ptr(a, "JavaFrameAnchor::_last_Java_sp")).unwrap_or_default();
        let state = state_words(thread.status);
        let frames = &stack.frames;
        let mut items = Vec::new();
        for (n, frame) in frames.iter().enumerate() {
            items.push(JvmItem::Frame {
                function: frame.method.function(),
                place: self.place(&frame.method, frame, modules),
            });
            self.locks_of(thread, stacks, nth, n, frame, &mut items);
        }
        Some(JvmThread {
            address: thread.script.address,
            tid: thread.script.tid,
            name: thread.script.name.clone().unwrap_or_default(),
            number: thread.script.id,
            daemon: thread.script.state.contains(&"daemon"),
            priority: priority.filter(|p| (1..=10).contains(p)),
            does: does(thread, &state, sp),
            page: Va(sp.0 & !0xfff),
            state,
            carries: thread.mounted.and_then(|v| self.objects.long(vm, v, "tid")),
            items,
            blocked: self.blocked(thread, stacks, nth),
        })
    }

    /// Lines about locks below a frame. Only the innermost one waits.
    fn locks_of(
        &self,
        thread: &Thread,
        stacks: &Stacks<'_>,
        nth: usize,
        n: usize,
        frame: &JavaFrame,
        items: &mut Vec<JvmItem>,
    ) {
        let class =
            |o: Va| self.names.class_of(&self.vm, o).map_or_else(|| "?".to_owned(), |c| c.to_string());
        let lock = |verb, object: Option<Va>| JvmItem::Lock {
            verb,
            object,
            class: object.map(class).unwrap_or_default(),
        };
        let pending = thread.pending.and_then(|m| self.monitor_object(m));
        let waiting = thread.waiting.and_then(|m| self.monitor_object(m));
        let mounted = stacks.get(nth).is_some_and(|(_, s)| !s.mounted.is_empty());
        if n == 0 && !mounted {
            let class_init = stacks.get(nth).and_then(|(t, s)| self.waits_for_class(t, s));
            if &*frame.method.class == "java.lang.Object" && frame.method.name.starts_with("wait") {
                let verb = if pending.is_some() { "waiting to re-lock in wait()" } else { "waiting on" };
                items.push(lock(verb, waiting.or(pending)));
            } else if let Some((class, _)) = class_init {
                let name = self.names.class(&self.vm, class.klass).map(|c| c.to_string());
                items.push(JvmItem::Lock {
                    verb: "waiting on the Class initialization monitor for",
                    object: None,
                    class: name.unwrap_or_default(),
                });
            } else if let Some(blocker) =
                Java::parked_for(thread).filter(|_| thread.status & status::PARKED != 0)
            {
                items.push(lock("parking to wait for ", Some(blocker)));
            } else if pending.is_some() && !frame.monitors.iter().any(|m| Some(*m) == pending) {
                // A synchronized native method has no monitor among its own.
                items.push(lock("waiting to lock", pending));
            }
        }
        let mut first = true;
        for object in &frame.monitors {
            let enters = n == 0 && first && !mounted && pending == Some(*object);
            // 11 says of a monitor that was given up for a wait how it comes back; 17 and later call it locked.
            let given_up = self.vm.major < 12 && n > 0 && waiting == Some(*object);
            let verb = match (enters, given_up) {
                (true, _) => "waiting to lock",
                (false, true) => "waiting to re-lock in wait()",
                (false, false) => "locked",
            };
            items.push(lock(verb, Some(*object)));
            first = false;
        }
    }

    /// Module and place of a frame.
    fn place(&self, method: &Method, frame: &JavaFrame, modules: &mut Modules) -> String {
        let module =
            modules.entry(method.klass).or_insert_with(|| self.module(method.klass).unwrap_or_default());
        let line = frame.index.and_then(|i| metadata::line(&self.vm, method, i));
        let place = match (frame.kind, &method.file, line) {
            (FrameKind::Native, ..) => "Native Method".to_owned(),
            (_, None, _) => "Unknown Source".to_owned(),
            (_, Some(file), Some(line)) => format!("{file}:{line}"),
            (_, Some(file), None) => file.clone(),
        };
        format!("{module}{place}")
    }

    /// `java.base@21.0.8/`: the class's module, as its own objects say.
    fn module(&self, klass: Va) -> Option<String> {
        let vm = &self.vm;
        let mirror = vm.handle(klass, "Klass::_java_mirror")?;
        let module = self.objects.get(vm, mirror, "module")?;
        let name = self.objects.string(vm, self.objects.get(vm, module, "name")?)?;
        let descriptor = self.objects.get(vm, module, "descriptor");
        let version = descriptor.and_then(|d| self.objects.get(vm, d, "rawVersionString"));
        let version = version.and_then(|v| self.objects.string(vm, v));
        // The runtime's own modules have the runtime's version.
        let own = name.starts_with("java.") || name.starts_with("jdk.");
        let of_vm = || vm.version.split(['+', '-']).next().filter(|_| own).map(str::to_owned);
        let version = version.or_else(of_vm).map(|v| format!("@{v}"));
        Some(format!("{name}{}/", version.unwrap_or_default()))
    }

    fn blocked(&self, thread: &Thread, stacks: &Stacks<'_>, nth: usize) -> Option<JvmBlocked> {
        let vm = &self.vm;
        let class = |o: Va| self.names.class_of(vm, o).map_or_else(|| "?".to_owned(), |c| c.to_string());
        let by_id = |owner: crate::LockOwner| {
            let same = |t: &&Thread| t.script.tid == owner.tid && Some(t.script.id) == owner.id;
            self.threads().iter().find(same).map(|t| t.script.address)
        };
        if let Some(monitor) = thread.pending {
            let object = self.monitor_object(monitor);
            return Some(JvmBlocked {
                by: JvmBlocker::Monitor(monitor),
                object,
                class: object.map(class).unwrap_or_default(),
                owner: self.monitor_owner(monitor).and_then(by_id),
            });
        }
        if let Some((found, _)) = stacks.get(nth).and_then(|(t, s)| self.waits_for_class(t, s)) {
            let name = self.names.class(vm, found.klass).map(|c| c.to_string());
            return Some(JvmBlocked {
                by: JvmBlocker::Class,
                object: Some(found.klass),
                class: name.unwrap_or_default(),
                owner: Some(found.owner),
            });
        }
        let object = Java::parked_for(thread).filter(|_| thread.status & status::PARKED != 0)?;
        let owner = self.exclusive_owner(object)?;
        Some(JvmBlocked {
            by: JvmBlocker::Synchronizer,
            object: Some(object),
            class: class(object),
            owner: Some(owner.script.address),
        })
    }
}

/// The state as `java.lang.Thread.State` and how.
fn state_words(bits: u32) -> String {
    let timed = if bits & status::WITH_TIMEOUT != 0 { "TIMED_WAITING" } else { "WAITING" };
    match bits {
        b if b & status::TERMINATED != 0 => "TERMINATED".to_owned(),
        b if b & status::BLOCKED != 0 => "BLOCKED (on object monitor)".to_owned(),
        b if b & status::SLEEPING != 0 => "TIMED_WAITING (sleeping)".to_owned(),
        b if b & status::IN_OBJECT_WAIT != 0 => format!("{timed} (on object monitor)"),
        b if b & status::PARKED != 0 => format!("{timed} (parking)"),
        b if b & status::WAITING != 0 => timed.to_owned(),
        b if b & status::RUNNABLE != 0 => "RUNNABLE".to_owned(),
        _ => "NEW".to_owned(),
    }
}

fn does(thread: &Thread, state: &str, page: Va) -> &'static str {
    if thread.pending.is_some() {
        "waiting for monitor entry"
    } else if thread.waiting.is_some() {
        "in Object.wait()"
    } else if page.is_null() && thread.script.name.as_deref() != Some("Signal Dispatcher") {
        // The VM's helpers, which have never run Java code.
        "runnable"
    } else if state.contains("WAITING") || thread.vm_state == super::threads::VM_BLOCKED {
        "waiting on condition"
    } else {
        "runnable"
    }
}

impl JvmReader for HotSpot {
    fn jvm_threads(&self, stacks: &[Walked<'_>]) -> Vec<JvmThread> {
        let Some(java) = &self.java else { return Vec::new() };
        let stacks = java.stacks(stacks);
        let mut modules = Modules::new();
        let all = stacks.iter().enumerate();
        all.filter_map(|(nth, (thread, _))| java.jvm_thread(thread, &stacks, nth, &mut modules)).collect()
    }

    fn synchronizers(&self) -> Vec<(Va, Va, String)> {
        let Some(java) = &self.java else { return Vec::new() };
        let vm = &java.vm;
        let ownable = |klass: &&Va| {
            let mut at = Some(**klass);
            for _ in 0..32 {
                let Some(k) = at else { return false };
                if java.names.class(vm, k).is_some_and(|n| &*n == OWNABLE) {
                    return true;
                }
                at = vm.ptr(k, "Klass::_super");
            }
            false
        };
        let classes: BTreeSet<Va> = java.classes().iter().filter(ownable).copied().collect();
        let mut out = Vec::new();
        for object in java.instances(&classes, MAX_SYNCHRONIZERS) {
            let Some(owner) = java.exclusive_owner(object) else { continue };
            let Some(class) = java.names.class_of(vm, object) else { continue };
            out.push((owner.script.address, object, class.to_string()));
        }
        out
    }

    fn vm_words(&self) -> String {
        let version = self.java.as_ref().map_or("", |j| j.vm.version.as_str());
        format!("OpenJDK 64-Bit Server VM ({version})")
    }
}
