//! Ruby (CRuby) 2.4 and later, from memory alone.
//!
//! `recognise` finds the DLL by its exports, `layout` says where fields lie, `core` reads objects and names, `threads`
//! and `fibers` those, `frames` their stacks, `locks` mutexes, the global lock and waits. Seen: 3.1 (x64, x86) and
//! 3.3 (x64), cross-built for Windows; every other version is read only where its own records agree with each other,
//! and [`Runtime::how`] says "not verified".

mod core;
mod fibers;
mod frames;
mod layout;
mod locks;
mod recognise;
#[cfg(test)]
mod tests;
mod threads;

use self::core::Core;
use self::frames::Frame;
use self::layout::Layout;
use self::threads::Threads;
use crate::{
    Kind, Process, Reader, Recognised, Runtime, ScriptFrame, ScriptLock, ScriptThread, ScriptWait, Walked,
};
use dumpscope_core::{Machine, Tid, Va};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The row of the table.
pub(crate) const KIND: Kind =
    Kind { name: "Ruby", is_file: recognise::is_file, recognise: recognise::recognise, open };

/// Most steps of all stacks together; see [`frames::frames`].
const MAX_STEPS: usize = 1 << 18;

/// A Ruby in the process.
#[derive(Debug)]
struct Found {
    runtime: Runtime,
    threads: Vec<ScriptThread>,
    ruby: Option<Ruby>,
}

/// One that can be read.
#[derive(Debug)]
struct Ruby {
    core: Core,
    threads: Threads,
    /// Frames by the address of their thread or fiber.
    stacks: OnceLock<BTreeMap<Va, Vec<Frame>>>,
}

fn open(process: &Arc<Process>, found: &Recognised) -> Arc<dyn Reader> {
    let version = recognise::version(process, found);
    let opened = Ruby::open(process, found, version.as_ref().map(|(v, _)| *v));
    let place = if found.by_name { "module name" } else { "exports" };
    let how = match (&opened, &version) {
        (Ok(ruby), Some((v, _))) => {
            let doubt = if ruby.threads.verified { "" } else { " (not verified)" };
            format!("{place}, layout {}.{}{doubt}", v.major, v.minor)
        }
        _ => place.to_owned(),
    };
    let runtime = Runtime {
        name: KIND.name,
        version: version.map(|(_, text)| text),
        module: found.module,
        how,
        readable: opened.is_ok(),
        why: opened.as_ref().err().cloned(),
    };
    let ruby = opened.ok();
    let threads = ruby.as_ref().map(Ruby::script_threads).unwrap_or_default();
    Arc::new(Found { runtime, threads, ruby })
}

impl Ruby {
    fn open(
        process: &Arc<Process>,
        found: &Recognised,
        version: Option<recognise::Version>,
    ) -> Result<Ruby, String> {
        if found.by_name {
            return Err("its image is not in the dump; it is known by its name only".to_owned());
        }
        if !matches!(process.machine, Machine::Amd64 | Machine::X86) {
            return Err("only Ruby for x64 and x86 is read".to_owned());
        }
        let version = version.ok_or("its version is not in the dump")?;
        let word = if process.machine == Machine::X86 { 4 } else { 8 };
        let layout = Layout::of(version, word).ok_or_else(|| {
            let (major, minor) = version.pair();
            format!("the layout of Ruby {major}.{minor} is not known; 2.4 to 3.5 and 4.0 are read")
        })?;
        let core = Core::new(process, found.module, layout);
        let threads = Threads::read(&core)?;
        Ok(Ruby { core, threads, stacks: OnceLock::new() })
    }

    /// Threads in Ruby's order, then fibers that do not run.
    fn script_threads(&self) -> Vec<ScriptThread> {
        let threads = self.threads.list.iter().map(|t| ScriptThread {
            address: t.address,
            tid: t.tid,
            id: t.object.0,
            name: t.name.clone(),
            state: t.main.then_some("main").into_iter().chain(t.status.map(threads::Status::word)).collect(),
            alive: t.status != Some(threads::Status::Dead),
            carrier: None,
        });
        let fibers = self.threads.fibers.iter().map(|f| ScriptThread {
            address: f.address,
            tid: None,
            id: f.address.0,
            name: None,
            state: vec!["unmounted", "fiber", if f.resuming { "resuming" } else { "suspended" }],
            alive: true,
            carrier: None,
        });
        threads.chain(fibers).collect()
    }

    /// The frames of a thread or fiber, innermost first.
    fn stack(&self, address: Va) -> &[Frame] {
        let stacks = self.stacks.get_or_init(|| {
            let threads = self.threads.list.iter().filter_map(|t| Some((t.address, t.context?)));
            let fibers = self.threads.fibers.iter().map(|f| (f.address, f.context));
            let mut room = MAX_STEPS;
            let mut all = BTreeMap::new();
            for (address, context) in threads.chain(fibers) {
                let program = self.threads.program.as_deref();
                all.insert(address, frames::frames(&self.core, context, program, &mut room));
            }
            all
        });
        stacks.get(&address).map_or(&[], Vec::as_slice)
    }

    fn script_frames(&self, address: Va) -> Vec<ScriptFrame> {
        self.stack(address).iter().map(|f| f.script.clone()).collect()
    }
}

impl Reader for Found {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn threads(&self) -> &[ScriptThread] {
        &self.threads
    }

    fn frames(&self, stack: Walked<'_>) -> Vec<ScriptFrame> {
        let Some(ruby) = &self.ruby else { return Vec::new() };
        let thread = ruby.threads.list.iter().find(|t| t.tid == Some(stack.tid));
        thread.map(|t| ruby.script_frames(t.address)).unwrap_or_default()
    }

    fn bottoms(&self, tid: Tid) -> Vec<usize> {
        let Some(ruby) = &self.ruby else { return Vec::new() };
        let Some(thread) = ruby.threads.list.iter().find(|t| t.tid == Some(tid)) else { return Vec::new() };
        let frames = ruby.stack(thread.address).iter().enumerate();
        frames.filter(|(_, f)| f.bottom).map(|(n, _)| n).collect()
    }

    fn frames_at(&self, thread: Va) -> Vec<ScriptFrame> {
        let Some(ruby) = &self.ruby else { return Vec::new() };
        ruby.script_frames(thread)
    }

    fn global_lock_handle(&self) -> Option<u64> {
        let ruby = self.ruby.as_ref()?;
        // The mutex is the first field of the lock.
        ruby.core.field(ruby.threads.lock?, 0).map(|handle| handle.0)
    }

    fn locks(&self, _: &[Walked<'_>]) -> Vec<ScriptLock> {
        self.ruby.as_ref().map(Ruby::all_locks).unwrap_or_default()
    }

    fn waits(&self, _: &[Walked<'_>]) -> Vec<ScriptWait> {
        self.ruby.as_ref().map(Ruby::all_waits).unwrap_or_default()
    }
}
