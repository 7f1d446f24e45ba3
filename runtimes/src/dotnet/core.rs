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
/// How many entries a build's table may be off.
const MAX_SHIFT: usize = 8;

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
    /// See [`Core::table_shift`].
    shift: i64,
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
        let mut core = Core {
            process: Arc::clone(process),
            module,
            layout,
            descriptor,
            table,
            found: Vec::new(),
            shift: 0,
        };
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
        self.shift_table();
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

    /// Variables that few things hang on, but whose index moves too when servicing adds one before them (8.0.4 has one
    /// fewer than 8.0.33): the one with the best invariant tells how far, the others are checked where they can be.
    fn shift_table(&mut self) {
        let Some(index) = self.layout.table_index(Variable::DirectCalls) else { return };
        let near = |core: &Core, index: usize, is_it: Check<'_>| {
            let places = (0..=MAX_SHIFT).flat_map(|d| [index.checked_add(d), index.checked_sub(d)]).flatten();
            let mut known = places.filter_map(|i| Some((i, *core.table.get(i)?)));
            known.find(|(_, at)| is_it(core, *at))
        };
        let Some((found, at)) = near(self, index, &|c, at| c.is_direct_calls(at)) else { return };
        if found == index {
            return;
        }
        self.found.push((Variable::DirectCalls, at));
        self.shift = i64::try_from(found).unwrap_or(0) - i64::try_from(index).unwrap_or(0);
        // The descriptor of 9 has the others.
        if self.descriptor.is_some() {
            return;
        }
        let others: [(Variable, Check<'_>); 3] = [
            (Variable::SyncTable, &|c, at| c.is_sync_table(at)),
            (Variable::ObjectType, &|c, at| c.is_object_type(at)),
            (Variable::FreeType, &|c, at| c.is_free_type(at)),
        ];
        for (variable, is_it) in others {
            let Some(index) = self.layout.table_index(variable) else { continue };
            let moved = index.checked_add_signed(isize::try_from(self.shift).unwrap_or(0));
            let plain = || self.table.get(moved?).copied();
            if let Some(at) = near(self, index, is_it).map(|(_, at)| at).or_else(plain) {
                self.found.push((variable, at));
            }
        }
    }

    /// How far this build's `g_dacTable` is from the measured one, entries, behind the variables of the first checks.
    pub(super) fn table_shift(&self) -> i64 {
        self.shift
    }

    /// Functions that managed code calls directly: 127 chains of (next, function, method), by the function's address.
    fn is_direct_calls(&self, at: Va) -> bool {
        let memory = self.memory();
        let mut fits = 0;
        for chain in 0..127u64 {
            let Some(node) = memory.u64(at.offset(chain * 8)) else { return false };
            if node == 0 {
                continue;
            }
            match memory.u64(Va(node).offset(8)) {
                Some(function) if function != 0 && function % 127 == chain => fits += 1,
                _ => return false,
            }
        }
        fits > 8
    }

    /// The first sync block's object names it in its header.
    fn is_sync_table(&self, at: Va) -> bool {
        let read = || {
            let object = Va(self.memory().u64(self.deref(at)?.offset(24))?);
            let header = self.memory().u32(Va(object.0.checked_sub(4)?))?;
            Some(object.0 & 7 == 0 && header & 0x0fff_ffff == 0x0800_0001)
        };
        read().unwrap_or(false)
    }

    /// A type without a parent, whose class leads back to it, of an object without fields.
    fn is_object_type(&self, at: Va) -> bool {
        let read = || {
            let mt = self.deref(at)?;
            let class = self.target(mt, Field::TypeClass)?;
            Some(
                self.target(class, Field::ClassType)? == mt
                    && self.ptr(mt, Field::TypeParent)?.is_null()
                    && self.u32(mt, Field::TypeBaseSize)? == 24,
            )
        };
        read().unwrap_or(false)
    }

    /// A type of bytes without a class.
    fn is_free_type(&self, at: Va) -> bool {
        let read = || {
            let mt = self.deref(at)?;
            let flags = self.u32(mt, Field::TypeFlags)?;
            let size = self.u32(mt, Field::TypeBaseSize)?;
            Some(
                flags & 0x8000_ffff == 0x8000_0001 && size == 24 && self.ptr(mt, Field::TypeClass)?.is_null(),
            )
        };
        read().unwrap_or(false)
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
