//! What a reader gets of the process: memory, modules with exports and sections, native threads.

use dumpscope_core::{Machine, ModuleInfo, ReadMemory, RegSet, Rva, Tid, Va};
use dumpscope_symbols::image::{PeHeaders, directory};
use std::sync::{Arc, OnceLock};

/// Most exported names of an image; ordinals have 16 bits.
const MAX_NAMES: u32 = 0x1_0000;
/// Longest name that is compared, bytes.
const MAX_NAME: usize = 256;

/// A native thread.
#[derive(Clone, Debug)]
pub struct NativeThread {
    /// System id.
    pub tid: Tid,
    /// Its environment block.
    pub teb: Va,
    /// Registers, when the dump has them.
    pub regs: Option<RegSet>,
}

/// The process.
pub struct Process {
    /// Its memory; image files that were lent are in it.
    pub memory: Arc<dyn ReadMemory>,
    /// Its modules, in the dump's order.
    pub modules: Vec<ModuleInfo>,
    /// Its threads, in the dump's order.
    pub threads: Vec<NativeThread>,
    /// The architecture of the threads' registers.
    pub machine: Machine,
    /// Headers of the modules, read when first asked for.
    headers: Vec<OnceLock<Option<PeHeaders>>>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Process({} modules, {} threads)", self.modules.len(), self.threads.len())
    }
}

impl Process {
    /// Joins what the dump says.
    #[must_use]
    pub fn new(
        memory: Arc<dyn ReadMemory>,
        modules: Vec<ModuleInfo>,
        threads: Vec<NativeThread>,
        machine: Machine,
    ) -> Process {
        let headers = modules.iter().map(|_| OnceLock::new()).collect();
        Process { memory, modules, threads, machine, headers }
    }

    /// Headers of a module's image; `None` when they are not readable.
    #[must_use]
    pub fn headers(&self, module: usize) -> Option<&PeHeaders> {
        let base = self.modules.get(module)?.base;
        self.headers.get(module)?.get_or_init(|| PeHeaders::read(self.memory.as_ref(), base).ok()).as_ref()
    }

    /// Index of the module that holds `va`.
    #[must_use]
    pub fn module_at(&self, va: Va) -> Option<usize> {
        self.modules.iter().position(|m| m.contains(va))
    }

    /// Address and bytes of a module's section.
    #[must_use]
    pub fn section(&self, module: usize, name: &str) -> Option<(Va, u32)> {
        let base = self.modules.get(module)?.base;
        let section = self.headers(module)?.sections.iter().find(|s| s.name == name)?;
        Some((section.rva.va(base), section.mapped_size()))
    }

    /// The address of an export, by binary search: linkers sort the names. A forwarder is no address.
    ///
    /// Layout: `IMAGE_EXPORT_DIRECTORY` of the PE/COFF specification.
    #[must_use]
    pub fn export(&self, module: usize, name: &str) -> Option<Va> {
        let base = self.modules.get(module)?.base;
        let dir = self.headers(module)?.directory(directory::EXPORT)?;
        let at = dir.rva.va(base);
        let field = |o: u64| self.memory.u32(at.offset(o));
        let count = field(24)?.min(MAX_NAMES);
        let (functions, names, ordinals) = (Rva(field(28)?), Rva(field(32)?), Rva(field(36)?));
        let (mut low, mut high) = (0u32, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let rva = Rva(self.memory.u32(names.va(base).offset(u64::from(middle) * 4))?);
            let found = self.memory.c_str(rva.va(base), MAX_NAME)?;
            match found.as_slice().cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let index = self.memory.u16(ordinals.va(base).offset(u64::from(middle) * 2))?;
                    let rva = self.memory.u32(functions.va(base).offset(u64::from(index) * 4))?;
                    let forwarder = rva.checked_sub(dir.rva.0).is_some_and(|d| d < dir.size);
                    return (rva != 0 && !forwarder).then(|| Rva(rva).va(base));
                }
            }
        }
        None
    }
}
