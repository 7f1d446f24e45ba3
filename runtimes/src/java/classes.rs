//! Loaded classes, and those whose initializer runs.

use super::Java;
use super::stack::Stack;
use super::threads::{Thread, VM_BLOCKED};
use dumpscope_core::{Va, base::amd64};
use std::collections::BTreeSet;

/// Most class loaders.
const MAX_LOADERS: usize = 100_000;
/// Most classes.
const MAX_CLASSES: usize = 1_000_000;
/// Most native stack above the last Java frame that is searched, bytes.
const MAX_STACK: u64 = 64 * 1024;

/// A class whose initializer runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initializing {
    pub(super) klass: Va,
    /// The thread that runs it.
    pub(super) owner: Va,
    /// The object on whose monitor others wait.
    lock: Option<Va>,
}

impl Java {
    /// All loaded classes: a list of loaders, each with a list of classes.
    pub(super) fn classes(&self) -> &[Va] {
        self.classes.get_or_init(|| {
            let vm = &self.vm;
            let (mut out, mut seen) = (Vec::new(), BTreeSet::new());
            let mut loader = vm.variable_u64("ClassLoaderDataGraph::_head").map(Va).filter(|l| !l.is_null());
            for _ in 0..MAX_LOADERS {
                let Some(at) = loader.filter(|l| seen.insert(*l)) else { break };
                let mut klass = vm.ptr(at, "ClassLoaderData::_klasses");
                while let Some(k) = klass.filter(|k| out.len() < MAX_CLASSES && seen.insert(*k)) {
                    out.push(k);
                    klass = vm.ptr(k, "Klass::_next_link");
                }
                loader = vm.ptr(at, "ClassLoaderData::_next");
            }
            out
        })
    }

    /// The loaded class of that name (with dots).
    pub(super) fn class_named(&self, name: &str) -> Option<Va> {
        let vm = &self.vm;
        let long = |k: &&Va| {
            let symbol = Va(vm.peek(**k, "Klass::_name", 8)?);
            Some(vm.peek(symbol, "Symbol::_length", 2)? == name.len() as u64)
        };
        let same = |k: &&Va| self.names.class(vm, **k).is_some_and(|n| &*n == name);
        self.classes().iter().filter(|k| long(k) == Some(true)).find(same).copied()
    }

    /// Classes whose initializer runs.
    pub(super) fn initializing(&self) -> &[Initializing] {
        self.initializing.get_or_init(|| {
            let vm = &self.vm;
            let Some(running) = vm.constant("InstanceKlass::being_initialized") else { return Vec::new() };
            let read = |klass: &Va| {
                let klass = *klass;
                if i64::try_from(vm.peek(klass, "InstanceKlass::_init_state", 1)?) != Ok(running) {
                    return None;
                }
                // Arrays have a negative layout, and no state.
                let instance = vm.u32(klass, "Klass::_layout_helper")?.cast_signed() >= 0;
                if !instance || i64::from(vm.u8(klass, "InstanceKlass::_init_state")?) != running {
                    return None;
                }
                let owner = vm.ptr(klass, "InstanceKlass::_init_thread")?;
                Some(Initializing { klass, owner, lock: self.init_lock(klass) })
            };
            self.classes().iter().filter_map(read).collect()
        })
    }

    /// The object that others wait on: a field of the class's mirror, which the VM added.
    fn init_lock(&self, klass: Va) -> Option<Va> {
        let vm = &self.vm;
        let mirror = vm.handle(klass, "Klass::_java_mirror")?;
        let fields = self.objects.fields(vm, vm.klass_of(mirror)?);
        let field = fields.get("<init_lock>").or_else(|| fields.get("init_lock"));
        if let Some(field) = field {
            return vm.reference(mirror.offset(field.offset));
        }
        // Where the field is not told (17): the only reference of the mirror that a thread waits on, an int array.
        let waited: BTreeSet<Va> =
            self.threads().iter().filter_map(|t| self.monitor_object(t.waiting?)).collect();
        let slots = (16..128).step_by(usize::try_from(vm.reference_size()).ok()?);
        let mut found = slots.filter_map(|o| vm.reference(mirror.offset(o))).filter(|o| waited.contains(o));
        found.find(|o| self.names.class_of(vm, *o).as_deref() == Some("[I"))
    }

    /// The class that a thread waits for, and whether the runtime says so itself (else a word of the native stack of a
    /// thread that is blocked in the VM).
    pub(super) fn waits_for_class(&self, thread: &Thread, stack: &Stack) -> Option<(Initializing, bool)> {
        let all = self.initializing();
        if all.is_empty() || thread.pending.is_some() || stack.frames.is_empty() && stack.mounted.is_empty() {
            return None;
        }
        if let Some(object) = thread.waiting.and_then(|m| self.monitor_object(m)) {
            return all.iter().find(|i| i.lock == Some(object)).map(|i| (*i, true));
        }
        if thread.vm_state != VM_BLOCKED {
            return None;
        }
        let vm = &self.vm;
        let tid = thread.script.tid?;
        let sp = vm.process.threads.iter().find(|t| t.tid == tid)?.regs?.get(amd64::RSP)?;
        let anchor = thread.script.address.offset(vm.offset("JavaThread::_anchor")?);
        let end = vm.u64(anchor, "JavaFrameAnchor::_last_Java_sp")?;
        let words = end.checked_sub(sp).filter(|n| *n < MAX_STACK)? / 8;
        let on_stack: BTreeSet<u64> =
            (0..words).filter_map(|i| vm.memory.u64(Va(sp).offset(i * 8))).collect();
        let others = all.iter().filter(|i| i.owner != thread.script.address);
        others.filter(|i| on_stack.contains(&i.klass.0)).map(|i| (*i, false)).next()
    }
}
