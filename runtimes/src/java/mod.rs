//! Java: HotSpot 11 and later on x64, by the VM's own tables in its memory.
//!
//! `dump` gives threads as `jstack` shows them. `vm` reads the tables, `metadata` names, `objects` the heap's objects, `code_cache` and `scopes` compiled code, `stack`
//! the frames, `threads` and `virtual_threads` the threads, `locks` and `waits` who holds what and who waits for it, `classes`
//! loaded classes and those whose initializer runs.

mod classes;
mod code_cache;
mod detached;
mod dump;
mod locks;
mod metadata;
mod objects;
mod recognise;
mod scopes;
mod stack;
mod stream;
mod threads;
mod virtual_threads;
mod vm;
mod waits;

use crate::{
    Kind, Process, Reader, Recognised, Runtime, ScriptFrame, ScriptLock, ScriptThread, ScriptWait, Walked,
};
use dumpscope_core::{Tid, Va};
use dumpscope_symbols::Frame;
use dumpscope_symbols::unwind::{Method, RuntimeCode, UnwindRule};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The row of the table.
pub(crate) const KIND: Kind =
    Kind { name: "Java", is_file: recognise::is_file, recognise: recognise::recognise, open };

/// Versions that were compared with the VM's own output.
const VERIFIED: &[u32] = &[11, 17, 21, 25];

/// A HotSpot VM in the process.
#[derive(Debug)]
struct HotSpot {
    runtime: Runtime,
    java: Option<Java>,
}

/// A VM that can be read, and what was read of it.
#[derive(Debug)]
struct Java {
    vm: vm::Vm,
    code: code_cache::CodeCache,
    names: metadata::Names,
    objects: objects::Objects,
    threads: OnceLock<Vec<threads::Thread>>,
    script_threads: OnceLock<Vec<ScriptThread>>,
    virtuals: OnceLock<Vec<virtual_threads::Virtual>>,
    classes: OnceLock<Vec<Va>>,
    initializing: OnceLock<Vec<classes::Initializing>>,
}

fn open(process: &Arc<Process>, found: &Recognised) -> Arc<dyn Reader> {
    let opened = if found.by_name {
        Err("its image is not in the dump; it is known by its name and version only".to_owned())
    } else {
        vm::Vm::open(process, found.module).map(Java::new)
    };
    let how = match &opened {
        Ok(java) => java.how(),
        Err(_) if found.by_name => "module name".to_owned(),
        Err(_) => "exports".to_owned(),
    };
    let file_version = || Some(process.modules.get(found.module)?.version?.file);
    let numbers = |[a, b, c, d]: [u16; 4]| format!("{a}.{b}.{c}.{d}");
    let version = opened.as_ref().ok().map(|j| j.vm.version.clone()).or_else(|| file_version().map(numbers));
    let code_missing = "its code cache is not in the dump: compiled and interpreted frames are not read";
    let why = match &opened {
        Ok(java) => (!java.code.is_known()).then(|| code_missing.to_owned()),
        Err(why) => Some(why.clone()),
    };
    let runtime =
        Runtime { name: KIND.name, version, module: found.module, how, readable: opened.is_ok(), why };
    Arc::new(HotSpot { runtime, java: opened.ok() })
}

impl Java {
    fn new(vm: vm::Vm) -> Java {
        Java {
            code: code_cache::CodeCache::open(&vm),
            vm,
            names: metadata::Names::default(),
            objects: objects::Objects::default(),
            threads: OnceLock::new(),
            script_threads: OnceLock::new(),
            virtuals: OnceLock::new(),
            classes: OnceLock::new(),
            initializing: OnceLock::new(),
        }
    }

    fn how(&self) -> String {
        let checked = if VERIFIED.contains(&self.vm.major) { "" } else { ", not verified for this version" };
        format!("vmStructs ({} fields){checked}", self.vm.known())
    }

    fn threads(&self) -> &[threads::Thread] {
        self.threads.get_or_init(|| self.read_threads())
    }

    /// All threads that have a native one, with their frames.
    fn stacks(&self, walked: &[Walked<'_>]) -> Vec<(&threads::Thread, stack::Stack)> {
        let by_tid: BTreeMap<Tid, Walked<'_>> = walked.iter().map(|w| (w.tid, *w)).collect();
        let of = |t: &threads::Thread| t.script.tid.and_then(|tid| by_tid.get(&tid).copied());
        self.threads().iter().map(|t| (t, self.stack(t, of(t)))).collect()
    }
}

impl RuntimeCode for Java {
    fn rule_at(&self, va: Va) -> Option<UnwindRule> {
        if self.code.in_interpreter(va) {
            return Some(UnwindRule::FramePointer { caller_sp: Some(8) });
        }
        if self.code.call_stub_return.is_some_and(|r| r == va || r.back(1) == va) {
            return Some(UnwindRule::FramePointer { caller_sp: None });
        }
        let blob = self.code.blob(&self.vm, va)?;
        if blob.frame < 2 || va.distance_from(blob.code).is_none_or(|o| o < blob.complete) {
            return Some(UnwindRule::Leaf);
        }
        Some(UnwindRule::FrameSize { bytes: blob.frame.checked_mul(8)? })
    }

    fn method_at(&self, va: Va) -> Option<Method> {
        let blob = self.code.blob(&self.vm, va).filter(|b| b.compiled)?;
        let method = scopes::Compiled::of(&self.vm, &blob)?.method;
        let method = self.names.method(&self.vm, method)?;
        Some(Method { name: method.function(), module: None, start: blob.code })
    }

    fn method_of(&self, frame: &Frame) -> Option<Method> {
        let va = frame.lookup_ip();
        if !self.code.in_interpreter(va) {
            return self.method_at(va);
        }
        let method = self.interpreted(frame.regs.fp()?, None)?.method;
        Some(Method { name: method.function(), module: None, start: frame.ip })
    }
}

impl Reader for HotSpot {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn threads(&self) -> &[ScriptThread] {
        let Some(java) = &self.java else { return &[] };
        java.script_threads.get_or_init(|| {
            let native = java.threads().iter().map(|t| &t.script);
            native.chain(java.virtual_threads().iter().map(|v| &v.script)).cloned().collect()
        })
    }

    fn code(&self) -> Option<&dyn RuntimeCode> {
        self.java.as_ref().map(|java| java as &dyn RuntimeCode)
    }

    fn frames(&self, stack: Walked<'_>) -> Vec<ScriptFrame> {
        let Some(java) = &self.java else { return Vec::new() };
        let Some(thread) = java.threads().iter().find(|t| t.script.tid == Some(stack.tid)) else {
            return Vec::new();
        };
        let found = java.stack(thread, Some(stack));
        found.frames.iter().map(|f| java.script_frame(f)).collect()
    }

    fn frames_at(&self, thread: Va) -> Vec<ScriptFrame> {
        let Some(java) = &self.java else { return Vec::new() };
        let Some(found) = java.virtual_threads().iter().find(|v| v.script.address == thread) else {
            return Vec::new();
        };
        let carrier = found.carrier.and_then(|c| java.threads().iter().find(|t| t.script.address == c));
        let frames = match carrier {
            Some(carrier) => java.stack(carrier, None).mounted,
            None => java.unmounted_frames(thread),
        };
        frames.iter().map(|f| java.script_frame(f)).collect()
    }

    fn locks(&self, stacks: &[Walked<'_>]) -> Vec<ScriptLock> {
        self.java.as_ref().map(|java| java.read_locks(&java.stacks(stacks))).unwrap_or_default()
    }

    fn detached_waits(&self) -> Vec<crate::DetachedWait> {
        self.java.as_ref().map(Java::read_detached_waits).unwrap_or_default()
    }

    fn jvm(&self) -> Option<&dyn crate::jvm::JvmReader> {
        self.java.as_ref().map(|_| self as &dyn crate::jvm::JvmReader)
    }

    fn waits(&self, stacks: &[Walked<'_>]) -> Vec<ScriptWait> {
        self.java.as_ref().map(|java| java.read_waits(&java.stacks(stacks))).unwrap_or_default()
    }
}
