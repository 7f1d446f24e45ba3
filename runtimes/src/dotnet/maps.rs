//! Maps of a module: from rows of its metadata to types and methods that are loaded; and its generic and array types.
//!
//! A map is a chain of tables whose entries have flags in their lowest bits. The table of constructed types is a hash
//! table: its array of buckets begins with three words of its own (length, next array, end mark); a chain ends with a word
//! whose lowest bit is set. Source: `ceeload.h` and `dacenumerablehash.h` of dotnet/runtime (MIT); seen on 8.0.33, 10.0.14.

use super::Clr;
use super::layout::{Field, Variable};
use dumpscope_core::Va;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most constructed types of all modules.
const MAX_CONSTRUCTED: usize = 1 << 16;
/// Most buckets of one table.
const MAX_BUCKETS: u64 = 1 << 18;
/// Words of an array of buckets that are no chains.
const SPECIAL: u64 = 3;
/// Distance between the maps of types and of methods, bytes: the same in 9 and 10.
const TYPES_TO_METHODS: u64 = 32;

impl Clr {
    /// The record of the module System.Private.CoreLib.
    pub(super) fn core_library(&self) -> Option<Va> {
        self.type_module(self.core.variable_target(Variable::ObjectType)?)
    }

    /// A type of the base library by the simple names of it and those around it.
    pub(super) fn library_type(&self, parts: &[&str]) -> Option<Va> {
        let address = self.core_library()?;
        let row = self.module(address).metadata(&self.core)?.find_type(parts)?;
        self.type_of_row(address, row)
    }

    /// The loaded type of a row of a module's TypeDef table.
    pub(super) fn type_of_row(&self, module: Va, row: u32) -> Option<Va> {
        self.look_up(self.type_map(module)?, row).filter(|mt| self.is_type(*mt))
    }

    /// The loaded type that a row of a module's TypeRef table names.
    pub(super) fn type_of_reference(&self, module: Va, row: u32) -> Option<Va> {
        let map = self.core.at(module, Field::ModuleTypeRefs)?;
        if let Some(mt) = self.look_up(map, row).filter(|mt| self.is_type(*mt)) {
            return Some(mt);
        }
        let parts = self.module(module).metadata(&self.core)?.type_ref(row);
        self.library_type(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The record of the method of a row of a module's Method table, when its type is loaded.
    pub(super) fn method_of_row(&self, module: Va, row: u32) -> Option<Va> {
        let map = self.type_map(module)?.offset(TYPES_TO_METHODS);
        let md = self.look_up(map, row)?;
        let (_, found) = self.method_identity(md)?;
        (found == row).then_some(md)
    }

    fn type_map(&self, module: Va) -> Option<Va> {
        if let Some(map) = self.core.at(module, Field::ModuleTypeDefs) {
            return Some(map);
        }
        // 8 says nowhere where the map of types is: it is the one that has System.Object in Object's row.
        let distance = self.type_map_place.get_or_init(|| {
            let library = self.core_library()?;
            let object = self.core.variable_target(Variable::ObjectType)?;
            let row = self.type_row(object)?;
            (0x100u64..0x200).step_by(8).find(|o| self.look_up(library.offset(*o), row) == Some(object))
        });
        Some(module.offset((*distance)?))
    }

    /// An entry of one of a module's maps.
    fn look_up(&self, map: Va, row: u32) -> Option<Va> {
        let (mut at, mut index) = (map, row);
        for _ in 0..64 {
            let count = self.core.u32(at, Field::LookupCount)?;
            if index < count {
                let table = self.core.target(at, Field::LookupTable)?;
                let flags = self.core.ptr(at, Field::LookupFlags)?;
                let entry = self.core.memory().u64(table.offset(u64::from(index) * 8))?;
                return Some(Va(entry & !flags.0)).filter(|v| !v.is_null());
            }
            index -= count;
            at = self.core.target(at, Field::LookupNext)?;
        }
        None
    }

    /// Generic and array types of all modules, by their names in brackets.
    pub(super) fn constructed(&self) -> &BTreeMap<String, Va> {
        self.constructed.get_or_init(|| {
            let mut all = Vec::new();
            for module in self.module_records() {
                self.constructed_of(module, &mut all);
            }
            all.into_iter().filter_map(|mt| Some((self.bracket_name(mt)?, mt))).collect()
        })
    }

    fn constructed_of(&self, module: Va, out: &mut Vec<Va>) -> Option<()> {
        let core = &self.core;
        let table = core.target(module, Field::ModuleConstructed)?;
        let mut buckets = core.target(table, Field::HashTableBuckets);
        for _ in 0..4 {
            let Some(at) = buckets else { break };
            let count = core.memory().u64(at)?.min(MAX_BUCKETS);
            for i in 0..count {
                let mut entry = core.deref(at.offset((SPECIAL + i) * 8));
                while let Some(e) = entry.filter(|e| e.0 & 1 == 0 && out.len() < MAX_CONSTRUCTED) {
                    let mt = Va(core.memory().u64(e)? & !1);
                    if mt.0 & 2 == 0 && self.is_type(mt) {
                        out.push(mt);
                    }
                    // A chain that came back to its start would never end: it counts against the bound.
                    entry = core.ptr(e, Field::HashEntryNext).filter(|n| !n.is_null() && *n != e);
                }
            }
            buckets = core.deref(at.offset(8));
        }
        Some(())
    }

    /// A constructed type by its name in brackets.
    pub(super) fn constructed_type(&self, name: &str) -> Option<Va> {
        self.constructed().get(name).copied()
    }

    /// Types of elements that have no token, by their number in signatures.
    pub(super) fn primitive_type(&self, element: u8) -> Option<Va> {
        let known = self.primitives.get_or_init(|| {
            let named = |(element, name): &(u8, &str)| Some((*element, self.library_type(&[name])?));
            Arc::new(PRIMITIVES.iter().filter_map(named).collect())
        });
        known.get(&element).copied()
    }
}

/// Element types and the types that stand for them.
const PRIMITIVES: &[(u8, &str)] = &[
    (0x02, "System.Boolean"),
    (0x03, "System.Char"),
    (0x04, "System.SByte"),
    (0x05, "System.Byte"),
    (0x06, "System.Int16"),
    (0x07, "System.UInt16"),
    (0x08, "System.Int32"),
    (0x09, "System.UInt32"),
    (0x0a, "System.Int64"),
    (0x0b, "System.UInt64"),
    (0x0c, "System.Single"),
    (0x0d, "System.Double"),
    (0x0e, "System.String"),
    (0x18, "System.IntPtr"),
    (0x19, "System.UIntPtr"),
    (0x1c, "System.Object"),
];
