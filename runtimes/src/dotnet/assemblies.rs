//! The runtime's list of modules.
//!
//! The application domain has a list of assemblies: {count u32 0, first block 8}; block {next 0, size u32 8, entries from
//! 16}. The first entry is System.Private.CoreLib, which tells the list from everything else in the domain. An entry's first
//! word is the assembly; the entry (8) or the assembly (10) names the module. Source: `appdomain.hpp` and `arraylist.h` of
//! dotnet/runtime (MIT); seen on 8.0.33, 10.0.14.

use super::Clr;
use super::layout::{Field, Variable};
use super::modules::Image;
use crate::clr::ClrModule;
use dumpscope_core::Va;
use std::collections::BTreeSet;

/// Most assemblies.
const MAX_ASSEMBLIES: u32 = 1 << 16;
/// Entries that must agree on where they name their module.
const PROBED: u32 = 4;
/// Where in the domain its list is looked for, and in an assembly its module, bytes.
const DOMAIN: u64 = 0x800;
const ASSEMBLY: u64 = 0x60;
/// `IMAGE_DIRECTORY_ENTRY_COM_DESCRIPTOR`.
const CLI_HEADER: usize = 14;

impl Clr {
    /// Records of loaded modules, in the order in which they were loaded.
    pub(super) fn module_records(&self) -> Vec<Va> {
        self.assemblies().iter().map(|(_, module)| *module).collect()
    }

    /// Assemblies and their modules.
    fn assemblies(&self) -> &[(Va, Va)] {
        self.assembly_list.get_or_init(|| self.find_assemblies().unwrap_or_default())
    }

    fn find_assemblies(&self) -> Option<Vec<(Va, Va)>> {
        let library = self.core_library()?;
        let domain = self.core.variable_target(Variable::AppDomain)?;
        let names = |record: Va, o: u64| self.core.deref(record.offset(o)) == Some(library);
        let module = |entry: Va, inside: bool, at: u64| {
            let record = if inside { self.core.deref(entry)? } else { entry };
            self.core.deref(record.offset(at))
        };
        // A neighbour in memory may name the library, too: the place must have modules for the next ones as well.
        let fits = |entries: &[Va], inside: bool, at: u64| {
            let is_module = |m: Va| self.module(m).metadata(&self.core).is_some();
            entries.iter().all(|e| module(*e, inside, at).is_some_and(is_module))
        };
        let (list, inside, at) = (8..DOMAIN).step_by(8).find_map(|o| {
            let list = domain.offset(o);
            let entries = self.entries(list, PROBED)?;
            let first = *entries.first()?;
            [true, false].into_iter().find_map(|inside| {
                let record = if inside { self.core.deref(first)? } else { first };
                let mut places = (8..ASSEMBLY).step_by(8).filter(|at| names(record, *at));
                places.find(|at| fits(&entries, inside, *at)).map(|at| (list, inside, at))
            })
        })?;
        let mut seen = BTreeSet::new();
        let pair = |entry: Va| Some((self.core.deref(entry)?, module(entry, inside, at)?));
        let all = self.entries(list, MAX_ASSEMBLIES)?.into_iter().filter_map(pair);
        Some(all.filter(|(_, module)| seen.insert(*module)).collect())
    }

    /// Entries of a list, at most `most`.
    fn entries(&self, list: Va, most: u32) -> Option<Vec<Va>> {
        let memory = self.core.memory();
        let count = memory.u32(list).filter(|n| (1..=MAX_ASSEMBLIES).contains(n))?.min(most);
        let mut block = list.offset(8);
        let mut out = Vec::new();
        let mut left = count;
        while left > 0 {
            let size = memory.u32(block.offset(8)).filter(|n| (1..=MAX_ASSEMBLIES).contains(n))?.min(left);
            for i in 0..u64::from(size) {
                out.extend(self.core.deref(block.offset(16 + i * 8)));
            }
            left -= size;
            match self.core.deref(block) {
                Some(next) => block = next,
                None => break,
            }
        }
        Some(out)
    }

    /// Loaded modules.
    pub(super) fn loaded_modules(&self) -> Vec<ClrModule> {
        self.assemblies().iter().map(|(entry, module)| self.module_row(*entry, *module)).collect()
    }

    fn module_row(&self, entry: Va, record: Va) -> ClrModule {
        let module = self.module(record);
        let memory = self.core.memory();
        let image = Image::read(memory, module.base, module.flat);
        let metadata = image.as_ref().and_then(|i| {
            let cli = i.at(i.headers.directory(CLI_HEADER)?.rva.0)?;
            i.at(memory.u32(cli.offset(8))?)
        });
        let known = self.core.process.modules.iter().find(|m| m.base == module.base);
        ClrModule {
            record,
            assembly: self.core.target(record, Field::ModuleAssembly).unwrap_or(entry),
            path: module.path().to_owned(),
            base: module.base,
            size: known
                .map(|m| u64::from(m.size))
                .or(image.map(|i| i.headers.size_of_image.into()))
                .unwrap_or(0),
            metadata: metadata.unwrap_or_default(),
            name: self.assembly_name(&module),
        }
    }
}
