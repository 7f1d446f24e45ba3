//! .NET: CoreCLR 8 and later on x64, from memory alone.
//!
//! `recognise` finds the runtime, `descriptor` and `layout` say where fields lie, `core` reads them. `types`, `methods`
//! and `metadata` give names, `ranges`, `code` and `ready_to_run` methods for addresses, `threads` the threads.

mod assemblies;
mod code;
mod commands;
mod core;
mod death;
mod descriptor;
mod detail_questions;
mod details;
mod exceptions;
mod explicit;
mod field_types;
mod gc_info;
mod handles;
mod heap;
mod heap_questions;
mod il_offsets;
mod layout;
mod locks;
mod maps;
mod mem;
mod metadata;
mod methods;
mod modules;
mod objects;
mod outer;
mod pool;
mod ranges;
mod ready_to_run;
mod recognise;
mod references;
mod roots;
mod signature;
mod tasks;
mod threads;
mod type_details;
mod types;
mod user_name;
mod variables;
mod waits;

use self::core::Core;
use crate::clr::ClrReader;
use crate::reader::Walked;
use crate::{
    FrameKind, Kind, MethodPlace, Pool, Process, Reader, Recognised, Runtime, ScriptException, ScriptFrame,
    ScriptLock, ScriptThread, ScriptWait, Suspension, Task,
};
use dumpscope_core::{Machine, Tid, Va};
use dumpscope_symbols::unwind::{Method, RuntimeCode, UnwindRule};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The row of the table.
pub(crate) const KIND: Kind =
    Kind { name: ".NET", is_file: recognise::is_file, recognise: recognise::recognise, open };

/// A .NET runtime in the process.
#[derive(Debug)]
struct Dotnet {
    runtime: Runtime,
    clr: Option<Clr>,
}

/// What is kept for a key; `None` for a key without an answer.
type Kept<K, V> = Mutex<BTreeMap<K, Option<Arc<V>>>>;

/// A runtime that can be read, and what was read of it.
#[derive(Debug)]
struct Clr {
    core: Core,
    free_type: Option<Va>,
    modules: modules::Modules,
    type_names: Mutex<BTreeMap<Va, Arc<str>>>,
    plain_names: Mutex<BTreeMap<Va, Option<Arc<str>>>>,
    fields: Kept<Va, objects::Fields>,
    methods: Kept<Va, methods::Method>,
    codes: Kept<Va, code::Code>,
    images: Kept<Va, ready_to_run::Image>,
    gc_infos: Kept<Va, gc_info::GcInfo>,
    chains: Mutex<BTreeMap<u64, Arc<[ranges::Fragment]>>>,
    threads: OnceLock<Vec<threads::Thread>>,
    script_threads: OnceLock<Vec<ScriptThread>>,
    line_tables: Mutex<BTreeMap<Va, Option<LineTable>>>,
    task_index: OnceLock<tasks::TaskIndex>,
    /// 8: where modules have their map of types.
    type_map_place: OnceLock<Option<u64>>,
    primitives: OnceLock<Arc<BTreeMap<u8, Va>>>,
    constructed: OnceLock<BTreeMap<String, Va>>,
    assembly_list: OnceLock<Vec<(Va, Va)>>,
    outer_index: OnceLock<outer::OuterIndex>,
}

/// The name of a file with lines, and what it is known by.
type LineTable = (String, [u8; 20]);

fn open(process: &Arc<Process>, found: &Recognised) -> Arc<dyn Reader> {
    let version = recognise::version(process, found.module);
    let opened = if process.machine != Machine::Amd64 {
        Err("only .NET for x64 is read".to_owned())
    } else if found.by_name {
        Err("its image is not in the dump; it is known by its name and version only".to_owned())
    } else {
        Core::open(process, found.module, version)
    };
    let how = match &opened {
        Ok(core) => core.how(),
        Err(_) if found.by_name => "module name and version".to_owned(),
        Err(_) => "exports".to_owned(),
    };
    let runtime = Runtime {
        name: KIND.name,
        version: version.map(|v| v.to_string()),
        module: found.module,
        how,
        readable: opened.is_ok(),
        why: opened.as_ref().err().cloned(),
    };
    Arc::new(Dotnet { runtime, clr: opened.ok().map(Clr::new) })
}

impl Clr {
    fn new(core: Core) -> Clr {
        Clr {
            free_type: core.variable_target(layout::Variable::FreeType),
            core,
            modules: modules::Modules::default(),
            type_names: Mutex::default(),
            plain_names: Mutex::default(),
            fields: Mutex::default(),
            methods: Mutex::default(),
            codes: Mutex::default(),
            images: Mutex::default(),
            gc_infos: Mutex::default(),
            chains: Mutex::default(),
            threads: OnceLock::new(),
            script_threads: OnceLock::new(),
            line_tables: Mutex::default(),
            task_index: OnceLock::new(),
            type_map_place: OnceLock::new(),
            primitives: OnceLock::new(),
            constructed: OnceLock::new(),
            assembly_list: OnceLock::new(),
            outer_index: OnceLock::new(),
        }
    }

    /// The method frame of a machine frame, if it runs one.
    fn frame(&self, frame: &dumpscope_symbols::Frame) -> Option<ScriptFrame> {
        self.method_frame(frame.lookup_ip(), frame.ip, frame.sp)
    }

    /// The method whose code holds `at`.
    fn method_frame(&self, at: Va, ip: Va, sp: Va) -> Option<ScriptFrame> {
        let code = self.code_at(at).filter(|c| !c.method.is_null())?;
        let method = self.method(code.method)?;
        let module = method.module.file(&self.core);
        let il_offset = if method.is_dynamic() { None } else { self.il_offset(&code, at) };
        Some(ScriptFrame {
            function: method.function(),
            display: method.display(),
            full: self.full_name(&method).to_owned(),
            module: (!module.is_empty()).then_some(module),
            file: None,
            line: None,
            displacement: ip.0.wrapping_sub(code.start.0),
            library: waits::is_library(&method),
            place: (method.row != 0).then(|| MethodPlace {
                base: method.module.base,
                row: method.row,
                il_offset,
            }),
            kind: FrameKind::Managed,
            ip,
            sp,
        })
    }
}

impl RuntimeCode for Clr {
    fn rule_at(&self, va: Va) -> Option<UnwindRule> {
        let code = self.code_at(va)?;
        Some(code.unwind.map_or(UnwindRule::Leaf, UnwindRule::Codes))
    }

    fn method_at(&self, va: Va) -> Option<Method> {
        let code = self.code_at(va).filter(|c| !c.method.is_null())?;
        let method = self.method(code.method)?;
        let module = self.assembly_name(&method.module);
        Some(Method { name: method.function(), module: Some(module), start: code.start })
    }
}

impl Reader for Dotnet {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    fn threads(&self) -> &[ScriptThread] {
        let Some(clr) = &self.clr else { return &[] };
        clr.script_threads.get_or_init(|| clr.threads().iter().map(|t| t.script.clone()).collect())
    }

    fn code(&self) -> Option<&dyn RuntimeCode> {
        self.clr.as_ref().map(|clr| clr as &dyn RuntimeCode)
    }

    fn frames(&self, stack: Walked<'_>) -> Vec<ScriptFrame> {
        let Some(clr) = &self.clr else { return Vec::new() };
        stack.frames.iter().filter_map(|f| clr.frame(f)).collect()
    }

    fn locks(&self, stacks: &[Walked<'_>]) -> Vec<ScriptLock> {
        self.clr.as_ref().map(|clr| clr.locks(stacks)).unwrap_or_default()
    }

    fn waits(&self, stacks: &[Walked<'_>]) -> Vec<ScriptWait> {
        self.clr.as_ref().map(|clr| clr.waits(stacks)).unwrap_or_default()
    }

    fn line_table(&self, image: Va) -> Option<(String, [u8; 20])> {
        let clr = self.clr.as_ref()?;
        let mut known = clr.line_tables.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(image).or_insert_with(|| modules::line_table(clr.core.memory(), image)).clone()
    }

    fn packed_line_table(&self, image: Va) -> Option<Vec<u8>> {
        modules::packed_line_table(self.clr.as_ref()?.core.memory(), image)
    }

    fn exceptions(&self) -> Vec<ScriptException> {
        self.clr.as_ref().map(Clr::exceptions).unwrap_or_default()
    }

    fn exception_at(&self, object: Va) -> Option<ScriptException> {
        self.clr.as_ref()?.exception(object, 0)
    }

    fn death(&self, stacks: &[Walked<'_>]) -> Option<crate::Death> {
        self.clr.as_ref()?.death(stacks)
    }

    fn tasks(&self, waits: &[ScriptWait]) -> Vec<Task> {
        self.clr.as_ref().map(|clr| clr.tasks(waits)).unwrap_or_default()
    }

    fn pool(&self) -> Option<Pool> {
        self.clr.as_ref()?.pool()
    }

    fn clr(&self) -> Option<&dyn ClrReader> {
        self.clr.as_ref().map(|clr| clr as &dyn ClrReader)
    }

    fn suspension(&self) -> Option<Suspension> {
        self.clr.as_ref()?.suspension()
    }

    fn finalizer(&self) -> Option<Tid> {
        self.clr.as_ref()?.threads().iter().find(|t| t.finalizer)?.script.tid
    }
}
