//! An opened runtime: memory, layout, variables, and typed reads of its structures.

use super::descriptor::{Descriptor, Global};
use super::layout::{Field, Layout, Release, Variable};
use super::mem::some;
use super::recognise::Version;
use crate::Process;
use dumpscope_core::{ReadMemory, Rva, Va};
use dumpscope_symbols::image::directory;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most entries of `g_dacTable` (8 has 169).
const MAX_TABLE: usize = 400;

/// Memory and layout of one runtime.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) process: Arc<Process>,
    /// Its module.
    pub(super) module: usize,
    pub(super) layout: Layout,
    pub(super) descriptor: Option<Descriptor>,
    /// `g_dacTable`: addresses of the runtime's variables, then of virtual function tables.
    table: Vec<Va>,
    /// Entries whose index in the table was off and that were found by what they point at.
    found: Vec<(Variable, Va)>,
}

/// Whether an address is that of a variable.
type Check<'a> = &'a dyn Fn(&Core, Va) -> bool;

/// Why a runtime cannot be read, in one line.
pub(super) type Unreadable = String;

impl Core {
    /// Opens the runtime in `module`.
    pub(super) fn open(
        process: &Arc<Process>,
        module: usize,
        version: Option<Version>,
    ) -> Result<Core, Unreadable> {
        let memory = process.memory.as_ref();
        let descriptor = process
            .export(module, "DotNetRuntimeContractDescriptor")
            .and_then(|at| Descriptor::read(memory, at));
        let release = match (version.map(|v| v.major), &descriptor) {
            (Some(8), _) => Release::V8,
            (Some(9), _) => Release::V9,
            (Some(10), _) => Release::V10,
            // A program's own version, or none: the descriptor tells 10 (it describes code) from 9.
            (_, Some(d)) if d.contract("ExecutionManager").is_none() => Release::V9,
            (Some(major), Some(_)) if (11..100).contains(&major) => Release::Later,
            (_, Some(_)) => Release::V10,
            (None, None) => Release::V8,
            (Some(major), None) => return Err(format!(".NET {major} is not read: only 8 and later are")),
        };
        let layout = Layout::new(release, descriptor.as_ref());
        let table = dac_table(process, module);
        let mut core =
            Core { process: Arc::clone(process), module, layout, descriptor, table, found: Vec::new() };
        core.verify()?;
        Ok(core)
    }

    pub(super) fn memory(&self) -> &dyn ReadMemory {
        self.process.memory.as_ref()
    }

    /// Address of a field.
    pub(super) fn at(&self, base: Va, field: Field) -> Option<Va> {
        if base.is_null() {
            return None;
        }
        Some(base.offset(self.layout.offset(field)?))
    }

    /// A pointer in a structure; 0 is a value.
    pub(super) fn ptr(&self, base: Va, field: Field) -> Option<Va> {
        self.memory().u64(self.at(base, field)?).map(Va)
    }

    /// A pointer that is not 0.
    pub(super) fn target(&self, base: Va, field: Field) -> Option<Va> {
        self.ptr(base, field).filter(|v| !v.is_null())
    }

    pub(super) fn u32(&self, base: Va, field: Field) -> Option<u32> {
        self.memory().u32(self.at(base, field)?)
    }

    pub(super) fn u16(&self, base: Va, field: Field) -> Option<u16> {
        self.memory().u16(self.at(base, field)?)
    }

    pub(super) fn u8(&self, base: Va, field: Field) -> Option<u8> {
        self.memory().u8(self.at(base, field)?)
    }

    /// The pointer at an address, when it is not 0.
    pub(super) fn deref(&self, at: Va) -> Option<Va> {
        self.memory().u64(at).map(Va).filter(|v| !v.is_null())
    }

    /// Address of a variable of the runtime.
    pub(super) fn variable(&self, variable: Variable) -> Option<Va> {
        if let Some((_, at)) = self.found.iter().find(|(v, _)| *v == variable) {
            return Some(*at);
        }
        let described = self.descriptor.as_ref().and_then(|d| Layout::described(variable, d));
        if let Some(Global::Address(at)) = described {
            return Some(*at);
        }
        self.table.get(self.layout.table_index(variable)?).copied()
    }

    /// The pointer in a variable, when it is not 0.
    pub(super) fn variable_target(&self, variable: Variable) -> Option<Va> {
        self.deref(self.variable(variable)?)
    }

    /// Where an address stands in `g_dacTable`.
    pub(super) fn table_position(&self, va: Va) -> Option<usize> {
        self.table.iter().position(|entry| *entry == va)
    }

    /// Where the layout comes from, in words.
    pub(super) fn how(&self) -> String {
        let base = match (&self.descriptor, self.layout.release) {
            (Some(_), Release::V9) => "contract descriptor and layout table 9.0",
            (Some(_), _) => "contract descriptor",
            (None, Release::V8) => "layout table 8.0",
            (None, Release::V9) => "layout table 9.0",
            (None, _) => "layout table 10.0",
        };
        if self.found.is_empty() { base.to_owned() } else { format!("{base}, searched") }
    }

    /// Checks the two variables that everything hangs on. An index in `g_dacTable` changes when servicing adds a
    /// variable: then the entry is searched for.
    fn verify(&mut self) -> Result<(), Unreadable> {
        let tids: BTreeSet<u32> = self.process.threads.iter().map(|t| t.tid.0).collect();
        let probe = self.probe();
        let checks: [(Variable, Check<'_>, &str); 2] = [
            (Variable::ThreadStore, &|c, at| c.is_thread_store(at, &tids), "its list of threads"),
            (Variable::CodeMap, &|c, at| c.is_code_map(at, probe), "its map of code"),
        ];
        for (variable, is_it, what) in checks {
            if self.variable(variable).is_some_and(|at| is_it(self, at)) {
                continue;
            }
            match self.table.iter().copied().find(|at| is_it(self, *at)) {
                Some(at) => self.found.push((variable, at)),
                None => return Err(format!("{what} is not in the dump, or this build has another layout")),
            }
        }
        Ok(())
    }

    /// A thread store's first thread has the id of a thread of the dump, or none (it has ended).
    fn is_thread_store(&self, at: Va, tids: &BTreeSet<u32>) -> bool {
        let read = || {
            let store = self.deref(at)?;
            let link = self.target(store, Field::StoreFirstThreadLink)?;
            let thread = link.back(self.layout.offset(Field::ThreadLink)?);
            let (os, id) = (self.u32(thread, Field::ThreadOsId)?, self.u32(thread, Field::ThreadId)?);
            Some((1..1 << 20).contains(&id) && (os == 0 || tids.contains(&os)))
        };
        read().unwrap_or(false)
    }

    /// An address that the code map must know: the first function of a ReadyToRun image in the dump.
    fn probe(&self) -> Option<Va> {
        (0..self.process.modules.len()).find_map(|m| {
            let base = self.process.modules.get(m)?.base;
            let headers = self.process.headers(m)?;
            let cli = headers.directory(14)?.rva.va(base);
            // ManagedNativeHeader of the CLI header: 0 in images without native code.
            self.memory().u32(cli.offset(64)).filter(|rva| *rva != 0)?;
            let pdata = headers.directory(directory::EXCEPTION)?.rva.va(base);
            self.memory().u32(pdata).filter(|rva| *rva != 0).map(|rva| Rva(rva).va(base))
        })
    }

    fn is_code_map(&self, at: Va, probe: Option<Va>) -> bool {
        let Some(probe) = probe else { return true };
        super::ranges::fragments(self, at, probe).iter().any(|f| f.begin <= probe && probe < f.end)
    }
}

/// Entries of `g_dacTable` up to the first that does not point into the runtime's image.
fn dac_table(process: &Process, module: usize) -> Vec<Va> {
    let (Some(at), Some(info)) = (process.export(module, "g_dacTable"), process.modules.get(module)) else {
        return Vec::new();
    };
    let raw = some(process.memory.as_ref(), at, MAX_TABLE * 8);
    let words = raw.as_chunks::<8>().0.iter().map(|b| Va(u64::from_le_bytes(*b)));
    words.take_while(|va| info.contains(*va)).collect()
}
