//! Types and methods in detail: tables of methods, code, names.
//!
//! Slots of virtual methods stand in chunks of eight behind the type's record, others of 9 and 10 in front of its auxiliary
//! record, downwards. Behind a method's record may follow, by flags: a slot of its own (8), another word pair (16), the
//! code that was made for it (32). A stub at an entry point jumps through a word of data. Source: `methodtable.h`,
//! `method.hpp` and `precode.h` of dotnet/runtime (MIT); seen on 8.0.33 and 10.0.14.

use super::Clr;
use super::code::CodeKind;
use super::layout::{Field, Release};
use super::metadata::table;
use super::modules::Image;
use crate::clr::{ClrMethodInfo, ClrTypeInfo, Jitted, MethodCode, MethodRow, Named};
use dumpscope_core::Va;
use std::collections::BTreeMap;

/// Most slots of a type, chunks of methods, bodies of a method.
const MAX_SLOTS: u64 = 4096;
const MAX_CHUNKS: usize = 4096;
const MAX_BODIES: usize = 64;
/// Most types or methods that a name gives.
const MAX_NAMED: usize = 1000;
/// Most stubs between an entry point and the code.
const MAX_HOPS: usize = 4;
/// Deepest inheritance.
const MAX_PARENTS: usize = 32;
/// Bit of a type's flags: its objects have references.
const HAS_POINTERS: u32 = 0x0100_0000;
/// Flags of a method's record.
const OWN_SLOT: u16 = 0x08;
const IMPLEMENTS: u16 = 0x10;
const OWN_CODE: u16 = 0x20;

impl Clr {
    /// A type.
    pub(super) fn clr_type(&self, mt: Va) -> Option<ClrTypeInfo> {
        if !self.is_type(mt) {
            return None;
        }
        let (base_size, element_size) = self.sizes(mt)?;
        let virtuals = u64::from(self.core.u16(mt, Field::TypeVirtuals)?);
        // Methods that are not virtual have slots behind those that are.
        let others = self.own_methods(mt).iter().filter(|(_, slot)| *slot >= virtuals).count();
        let module = self.type_module(mt)?;
        Some(ClrTypeInfo {
            record: mt,
            class: self.class(mt)?,
            parent: self.core.target(mt, Field::TypeParent).unwrap_or_default(),
            module,
            name: self.bracket_name(mt)?,
            token: if self.is_array(mt) { 0x0200_0000 } else { 0x0200_0000 | self.type_row(mt)? },
            file: self.module(module).path().to_owned(),
            load_context: self.load_context(module),
            base_size,
            element_size,
            has_pointers: self.type_flags(mt)? & HAS_POINTERS != 0,
            method_count: virtuals + others as u64,
            interfaces: self.core.u16(mt, Field::TypeInterfaces)?.into(),
            virtuals,
        })
    }

    /// The object of the context that loaded a module: its binder has a handle of it, or null.
    fn load_context(&self, module: Va) -> Option<Va> {
        let assembly = self.core.target(module, Field::ModulePeAssembly)?;
        let binder = self.core.target(assembly, Field::PeAssemblyBinder)?;
        let handle = self.core.ptr(binder, Field::BinderContext)?;
        Some(if handle.is_null() { handle } else { self.core.deref(handle).unwrap_or(handle) })
    }

    /// Methods that a type declares: record, slot.
    fn own_methods(&self, mt: Va) -> Vec<(Va, u64)> {
        let core = &self.core;
        let mut out = Vec::new();
        let mut chunk = self.class(mt).and_then(|c| core.target(c, Field::ClassChunks));
        let Some(header) = core.layout.offset(Field::ChunkHeader) else { return out };
        for _ in 0..MAX_CHUNKS {
            let Some(at) = chunk else { break };
            let Some(last) = core.u8(at, Field::ChunkCount) else { break };
            let mut md = at.offset(header);
            for _ in 0..=last {
                let Some(slot) = core.u16(md, Field::MethodSlot) else { break };
                out.push((md, slot.into()));
                md = md.offset(self.method_size(md));
            }
            chunk = core.target(at, Field::ChunkNext).filter(|n| *n != at);
        }
        out
    }

    /// Bytes of a method's record without what its flags add.
    fn method_base(&self, md: Va) -> u64 {
        let kind = self.core.u16(md, Field::MethodFlags).unwrap_or(0) & 7;
        let size: u64 = match kind {
            0 => 16,
            1 | 6 => 24,
            2 => 56,
            5 => 40,
            7 => 48,
            _ => 32,
        };
        // 8 lacks the pointer to the code's data.
        if self.core.layout.release == Release::V8 { size - 8 } else { size }
    }

    fn method_size(&self, md: Va) -> u64 {
        let flags = self.core.u16(md, Field::MethodFlags).unwrap_or(0);
        let add = |bit: u16, bytes: u64| if flags & bit != 0 { bytes } else { 0 };
        self.method_base(md) + add(OWN_SLOT, 8) + add(IMPLEMENTS, 16) + add(OWN_CODE, 8)
    }

    /// What a slot of a type holds.
    fn slot_entry(&self, mt: Va, slot: u64, virtuals: u64) -> Option<Va> {
        let memory = self.core.memory();
        if slot < virtuals {
            let chunk = self.core.deref(mt.offset(64 + slot / 8 * 8))?;
            return memory.u64(chunk.offset(slot % 8 * 8)).map(Va);
        }
        let auxiliary = self.core.target(self.canonical(mt)?, Field::TypeAuxiliary)?;
        let offset = self.core.u16(auxiliary, Field::AuxiliaryNonVirtual)?.cast_signed();
        let array = Va(auxiliary.0.checked_add_signed(offset.into())?);
        memory.u64(array.back((1 + slot - virtuals) * 8)).map(Va)
    }

    /// Where calls of a method enter.
    fn method_entry(&self, md: Va) -> Option<Va> {
        let flags = self.core.u16(md, Field::MethodFlags)?;
        if flags & OWN_SLOT != 0 {
            return self.core.deref(md.offset(self.method_base(md)));
        }
        let (mt, _) = self.method_identity(md)?;
        let virtuals = self.core.u16(mt, Field::TypeVirtuals)?.into();
        self.slot_entry(mt, self.core.u16(md, Field::MethodSlot)?.into(), virtuals)
    }

    /// Where the stub at an entry point jumps to: `jmp [rip+d]`, `mov r10, [rip+d]` before such a jump, or (a stub that
    /// counts calls) `mov rax, [rip+d]` some instructions before it.
    pub(super) fn stub_target(&self, entry: Va) -> Option<Va> {
        let memory = self.core.memory();
        let word = memory.u64(entry)?;
        let relative = |at: Va| {
            let distance = i64::from(memory.u32(at)?.cast_signed());
            self.core.deref(Va(at.0.checked_add(4)?.checked_add_signed(distance)?))
        };
        match word & 0xffff {
            0x25ff => relative(entry.offset(2)),
            0x8b4c => relative(entry.offset(9)),
            0x8b48 if memory.u16(entry.offset(12))? == 0x25ff => relative(entry.offset(14)),
            _ => None,
        }
    }

    /// The method whose stub or code an address enters.
    pub(super) fn method_of_entry(&self, entry: Va) -> Option<Va> {
        if let Some(code) = self.code_at(entry).filter(|c| !c.method.is_null()) {
            return (code.start == entry).then_some(code.method);
        }
        let mut at = entry;
        for _ in 0..MAX_HOPS {
            let Some(target) = self.stub_target(at) else { break };
            if let Some(code) = self.code_at(target).filter(|c| !c.method.is_null() && c.start == target) {
                return Some(code.method);
            }
            at = target;
        }
        // A stub whose method was not called yet: the record stands behind the target (first form), or is the word that is
        // loaded (second form).
        let memory = self.core.memory();
        let word = memory.u64(entry)?;
        let (at, behind) = match word & 0xffff {
            0x25ff => (2, 8),
            0x8b4c => (3, 0),
            _ => return None,
        };
        let d = i64::from(memory.u32(entry.offset(at))?.cast_signed());
        let data = Va(entry.0.checked_add(at + 4)?.checked_add_signed(d)?);
        let md = self.core.deref(data.offset(behind))?;
        self.clr_type(self.method_identity(md)?.0)?;
        self.method(md).map(|_| md)
    }

    /// The code of a method, and how it was made.
    pub(super) fn method_code(&self, md: Va) -> Option<(Va, Jitted)> {
        let flags = self.core.u16(md, Field::MethodFlags)?;
        let mut candidates = Vec::new();
        if flags & OWN_CODE != 0 {
            let before = self.method_size(md).checked_sub(8)?;
            candidates.extend(self.core.deref(md.offset(before)));
        }
        if let Some(entry) = self.method_entry(md).filter(|e| !e.is_null()) {
            candidates.push(entry);
            candidates.extend(self.stub_target(entry));
        }
        let found = candidates.into_iter().find_map(|at| {
            let code = self.code_at(at).filter(|c| c.method == md && c.start == at)?;
            Some((at, if code.kind == CodeKind::Jit { Jitted::Jit } else { Jitted::PreJit }))
        });
        found.or_else(|| {
            let (mt, _) = self.method_identity(md)?;
            let entry = self.image(self.type_module(mt)?)?.entry_of(&self.core, md)?;
            Some((entry, Jitted::PreJit))
        })
    }

    /// Rows of a type's table of methods.
    pub(super) fn clr_methods(&self, mt: Va) -> Vec<MethodRow> {
        let Some(info) = self.clr_type(mt) else { return Vec::new() };
        let mut by_slot: BTreeMap<u64, Va> = BTreeMap::new();
        let mut next = Some(mt);
        let mut first = Vec::new();
        for depth in 0..MAX_PARENTS {
            let Some(at) = next.filter(|m| self.is_type(*m)) else { break };
            let own = self.own_methods(at);
            for (md, slot) in &own {
                // Inherited methods that are not virtual have slots of their own type.
                if depth == 0 || *slot < info.virtuals {
                    by_slot.entry(*slot).or_insert(*md);
                }
            }
            if depth == 0 {
                first = own;
            }
            next = self.core.target(at, Field::TypeParent);
        }
        let row = |slot: u64, md: Va, entry: Va| {
            let method = self.method(md);
            MethodRow {
                entry,
                record: md,
                jitted: self.method_code(md).map_or(Jitted::None, |(_, j)| j),
                slot,
                name: method.map(|m| self.full_name(&m).to_owned()).unwrap_or_default(),
            }
        };
        let mut out = Vec::new();
        let others = self.class(mt).and_then(|c| self.core.u16(c, Field::ClassNonVirtual)).unwrap_or(0);
        let slots = (info.virtuals + u64::from(others)).min(MAX_SLOTS);
        for slot in 0..slots {
            let entry = self.slot_entry(mt, slot, info.virtuals).unwrap_or_default();
            let held = (!entry.is_null()).then(|| self.method_of_entry(entry)).flatten();
            if let Some(md) = held.or_else(|| by_slot.get(&slot).copied()) {
                out.push(row(slot, md, entry));
            }
        }
        for (md, slot) in first.into_iter().filter(|(_, slot)| *slot >= slots) {
            let entry = self.method_entry(md).unwrap_or_default();
            out.push(row(slot, md, entry));
        }
        out
    }

    /// A method.
    pub(super) fn clr_method(&self, md: Va) -> Option<ClrMethodInfo> {
        if md.is_null() || md.0 & 7 != 0 {
            return None;
        }
        let (mt, _) = self.method_identity(md)?;
        if !self.is_type(mt) {
            return None;
        }
        let method = self.method(md)?;
        let code = self.method_code(md);
        let il = self.method_il(&method).unwrap_or_default();
        Some(ClrMethodInfo {
            record: md,
            name: self.full_name(&method).to_owned(),
            type_record: mt,
            class: self.canonical(mt)?,
            module: self.type_module(mt)?,
            token: 0x0600_0000 | method.row,
            code: code.map(|(at, _)| at).unwrap_or_default(),
            jitted: code.map_or(Jitted::None, |(_, j)| j),
            il,
            bodies: self.bodies(md, code),
        })
    }

    /// Where a method's IL stands.
    pub(super) fn method_il(&self, method: &super::methods::Method) -> Option<Va> {
        let rva = method.module.metadata(&self.core)?.column(table::METHOD, method.row, 0)?;
        if rva == 0 {
            return None;
        }
        Image::read(self.core.memory(), method.module.base, method.module.flat)?.at(rva)
    }

    fn bodies(&self, md: Va, code: Option<(Va, Jitted)>) -> Vec<MethodCode> {
        let core = &self.core;
        let mut out = Vec::new();
        let mut node = core
            .target(md, Field::MethodCodeData)
            .and_then(|d| core.target(d, Field::CodeDataVersioning))
            .and_then(|v| core.target(v, Field::VersioningNode))
            .filter(|_| core.layout.offset(Field::VersionNext).is_some());
        while let Some(at) = node.filter(|_| out.len() < MAX_BODIES) {
            let start = core.target(at, Field::VersionCode).unwrap_or_default();
            let known = self.code_at(start).is_some_and(|c| c.method == md);
            if known || start.is_null() {
                out.push(MethodCode { start, tier: "Optimized Tier 1", version: at });
            }
            node = core.target(at, Field::VersionNext).filter(|n| *n != at);
        }
        if let Some((start, jitted)) = code.filter(|(s, _)| out.iter().all(|b| b.start != *s)) {
            let tier = if jitted == Jitted::PreJit { "ReadyToRun" } else { "QuickJitted" };
            out.push(MethodCode { start, tier, version: Va(0) });
        }
        out
    }

    /// Types and methods of a module by name.
    pub(super) fn named_in(&self, record: Va, name: &str) -> Vec<Named> {
        let module = self.module(record);
        let Some(metadata) = module.metadata(&self.core) else { return Vec::new() };
        let mut out = Vec::new();
        let parts: Vec<&str> = name.split('+').collect();
        if let Some(row) = metadata.find_type(&parts) {
            let mt = self.type_of_row(record, row).unwrap_or_default();
            out.push(Named::Type(0x0200_0000 | row, mt, name.to_owned()));
            // Types inside it that are loaded.
            for inner in metadata.inner_types(row).into_iter().take(MAX_NAMED) {
                if let Some(mt) = self.type_of_row(record, inner) {
                    let name = metadata.type_def(inner).join("+");
                    out.push(Named::Type(0x0200_0000 | inner, mt, name));
                }
            }
            return out;
        }
        // `Type.Method`; constructors begin with a dot.
        let cut = name.strip_suffix(".ctor").or_else(|| name.strip_suffix(".cctor"));
        let cut = cut.map_or_else(|| name.rfind('.'), |c| c.len().checked_sub(1));
        let Some((owner, method)) = cut.and_then(|c| Some((name.get(..c)?, name.get(c + 1..)?))) else {
            return out;
        };
        let parts: Vec<&str> = owner.split('+').collect();
        let Some(row) = metadata.find_type(&parts) else { return out };
        let list = |row: u32| metadata.column(table::TYPE_DEF, row, 5);
        let end = list(row + 1).unwrap_or(metadata.rows(table::METHOD).saturating_add(1));
        let Some(first) = list(row) else { return out };
        for m in (first..end).filter(|m| metadata.method(*m).as_deref() == Some(method)) {
            let md = self.method_of_row(record, m).unwrap_or_default();
            let code = self.method_code(md).map(|(c, _)| c).unwrap_or_default();
            let full = self.method(md).map(|m| self.full_name(&m).to_owned());
            out.push(Named::Method(0x0600_0000 | m, md, full.unwrap_or_else(|| name.to_owned()), code));
            if out.len() >= MAX_NAMED {
                break;
            }
        }
        out
    }
}
