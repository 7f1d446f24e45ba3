//! Methods: from the runtime's records (MethodDesc) to names.
//!
//! Bits: `method.hpp` of dotnet/runtime (MIT), checked on 8.0.33, 9.0.22 and 10.0.14.

use super::Clr;
use super::layout::{Field, Release};
use super::mem::some;
use super::metadata::Metadata;
use super::modules::Module;
use super::signature::{BUDGET, Signature, short};
use super::types::join_generic;
use super::user_name::user_name;
use dumpscope_core::Va;
use std::cell::Cell;
use std::sync::{Arc, OnceLock, PoisonError};

/// Most names that are kept.
const MAX_METHODS: usize = 1 << 18;
/// Longest name of a dynamic method, bytes.
const MAX_NAME: usize = 512;
/// Longest signature of a dynamic method, bytes.
const MAX_SIGNATURE: usize = 4096;
/// Bytes by which the index of a record in its chunk counts.
const ALIGNMENT: u64 = 8;

/// Kinds of method records (their lowest three flag bits).
mod kind {
    pub(super) const ARRAY: u16 = 4;
    pub(super) const INSTANTIATED: u16 = 5;
    pub(super) const DYNAMIC: u16 = 7;
}

/// A method.
#[derive(Debug)]
pub(super) struct Method {
    /// Simple names of its type, outermost first; empty for dynamic methods.
    pub(super) type_parts: Vec<String>,
    /// Its type with arguments.
    pub(super) type_name: String,
    /// Its name in metadata.
    pub(super) name: String,
    /// Its type's record.
    pub(super) type_record: Va,
    /// Row in the Method table; 0 for dynamic methods.
    pub(super) row: u32,
    pub(super) module: Arc<Module>,
    record: Va,
    kind: u16,
    arguments: Vec<Va>,
    full: OnceLock<String>,
}

impl Method {
    /// `Namespace.Type+Nested.Method` as metadata names it.
    pub(super) fn function(&self) -> String {
        format!("{}.{}", self.owner(), self.name)
    }

    /// What the user wrote.
    pub(super) fn display(&self) -> String {
        if self.type_parts.is_empty() { self.function() } else { user_name(&self.type_parts, &self.name) }
    }

    /// Arguments of a generic method.
    pub(super) fn arguments(&self) -> &[Va] {
        &self.arguments
    }

    /// True for code without a row in metadata.
    pub(super) fn is_dynamic(&self) -> bool {
        self.kind == kind::DYNAMIC
    }

    /// True for glue that the runtime made.
    pub(super) fn is_stub(&self) -> bool {
        self.is_dynamic() && self.name.starts_with("IL_STUB")
    }

    /// The type as metadata names it.
    pub(super) fn owner(&self) -> String {
        match self.type_parts.as_slice() {
            [] if self.is_stub() => "ILStubClass".to_owned(),
            [] => "DynamicClass".to_owned(),
            parts => parts.join("+"),
        }
    }
}

impl Clr {
    /// The method whose record is at `md`.
    pub(super) fn method(&self, md: Va) -> Option<Arc<Method>> {
        if let Some(known) = self.methods.lock().unwrap_or_else(PoisonError::into_inner).get(&md) {
            return known.clone();
        }
        let method = self.read_method(md).map(Arc::new);
        let mut known = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_METHODS {
            known.insert(md, method.clone());
        }
        method
    }

    /// The type that a method's record belongs to, and its row in the Method table.
    pub(super) fn method_identity(&self, md: Va) -> Option<(Va, u32)> {
        let core = &self.core;
        let index = u64::from(core.u8(md, Field::MethodChunkIndex)?);
        let header = core.layout.offset(Field::ChunkHeader)?;
        let chunk = md.back(header).back(index * ALIGNMENT);
        let mt = core.target(chunk, Field::ChunkType)?;
        let range = u32::from(core.u16(chunk, Field::ChunkTokenRange)? & 0x0fff);
        let rest = u32::from(core.u16(md, Field::MethodToken)? & 0x0fff);
        Some((mt, range << 12 | rest))
    }

    fn read_method(&self, md: Va) -> Option<Method> {
        let core = &self.core;
        let (mt, row) = self.method_identity(md)?;
        let kind = core.u16(md, Field::MethodFlags)? & 7;
        let module = self.module(self.type_module(mt)?);
        let made = |type_parts, type_name, name, row, arguments| Method {
            type_parts,
            type_name,
            name,
            type_record: mt,
            row,
            module: Arc::clone(&module),
            record: md,
            kind,
            arguments,
            full: OnceLock::new(),
        };
        if kind == kind::DYNAMIC {
            let name = core.target(md, Field::DynamicName).and_then(|p| core.memory().c_str(p, MAX_NAME));
            let name = name.map_or("DynamicMethod".to_owned(), |n| String::from_utf8_lossy(&n).into_owned());
            return Some(made(Vec::new(), "(dynamicClass)".to_owned(), name, 0, Vec::new()));
        }
        if kind == kind::ARRAY {
            let slot = core.u16(md, Field::MethodSlot)?;
            let base = 0;
            let name = match slot - base {
                0 => "Get",
                1 => "Set",
                2 => "Address",
                _ => ".ctor",
            };
            let type_name = self.type_name(mt)?.to_string();
            return Some(made(vec![type_name.clone()], type_name, name.to_owned(), 0, Vec::new()));
        }
        let metadata = module.metadata(core)?;
        let name = metadata.method(row)?;
        let overflow = core.layout.release == Release::V8 && self.type_row(mt) == Some(0);
        let parts = if overflow {
            metadata.type_def(metadata.method_owner(row)?)
        } else {
            metadata.type_def(self.type_row(mt)?)
        };
        if parts.is_empty() {
            return None;
        }
        let names: Option<Vec<_>> =
            self.type_arguments(mt)?.iter().map(|a| Some(self.handle_name(*a)?.to_string())).collect();
        let type_name = join_generic(&parts, &names?);
        let arguments = if kind == kind::INSTANTIATED { self.method_arguments(md)? } else { Vec::new() };
        Some(made(parts, type_name, name, row, arguments))
    }

    /// Type arguments of a generic method.
    fn method_arguments(&self, md: Va) -> Option<Vec<Va>> {
        let count = self.core.u16(md, Field::InstanceCount)?;
        // The low bits tell instantiations apart: 1 shared code, 2 a type's own, 3 a stub that adds the arguments.
        let form = self.core.u16(md, Field::InstanceFlags)? & 7;
        let at = self.core.ptr(md, Field::InstanceArguments)?;
        if count == 0 || count >= 100 || at.is_null() || !matches!(form, 1..=3) {
            return Some(Vec::new());
        }
        self.handles(at, count)
    }

    /// The method with all arguments, as the runtime's own debugger writes it.
    pub(super) fn full_name<'m>(&self, method: &'m Method) -> &'m str {
        method.full.get_or_init(|| {
            self.make_full(method).unwrap_or_else(|| format!("{}.{}", method.owner(), method.name))
        })
    }

    fn make_full(&self, method: &Method) -> Option<String> {
        let core = &self.core;
        let budget = Cell::new(BUDGET);
        let handle = |h: Va| self.short_handle(h);
        let metadata = method.module.metadata(core);
        if method.is_dynamic() {
            let mut text = format!("{}.{}", method.owner(), method.name);
            let at = core.target(method.record, Field::StoredSig)?;
            let size = usize::try_from(core.u32(method.record, Field::StoredSigSize)?).ok()?;
            let bytes = some(core.memory(), at, size.min(MAX_SIGNATURE));
            let mut signature = Signature {
                metadata,
                bytes: &bytes,
                of_type: &[],
                of_method: &[],
                handle: &handle,
                at: 0,
                budget: &budget,
            };
            text.push_str(&signature.parameters(0).unwrap_or_default());
            return Some(text);
        }
        if method.kind == kind::ARRAY {
            return Some(format!("{}.{}", method.type_name, method.name));
        }
        let names = |arguments: &[Va]| -> Option<Vec<String>> {
            arguments.iter().map(|a| Some(short(&self.handle_name(*a)?).to_owned())).collect()
        };
        let mut text = if method.type_parts.len() > 1 && self.type_row(method.type_record) == Some(0) {
            method.owner()
        } else {
            self.bracket_name(method.type_record)?
        };
        text.push('.');
        text.push_str(&method.name);
        if !method.arguments.is_empty() {
            text.push_str(&self.bracket_arguments(&method.arguments)?);
        }
        let of_type = names(&self.type_arguments(method.type_record)?)?;
        let of_method = names(&method.arguments)?;
        let bytes = metadata?.method_signature(method.row)?;
        let mut signature = Signature {
            metadata,
            bytes,
            of_type: &of_type,
            of_method: &of_method,
            handle: &handle,
            at: 0,
            budget: &budget,
        };
        text.push_str(&signature.parameters(0).unwrap_or_default());
        Some(text)
    }

    /// A type handle inside a signature: the simple name of a plain type, else the whole name.
    fn short_handle(&self, handle: Va) -> String {
        let plain = || {
            if handle.0 & 2 != 0 || self.is_array(handle) || !self.type_arguments(handle)?.is_empty() {
                return None;
            }
            self.type_parts(handle)?.pop()
        };
        let name = plain().or_else(|| self.handle_name(handle).map(|n| short(&n).to_owned()));
        name.unwrap_or_else(|| "?".to_owned())
    }

    /// The assembly that a method comes from, as a module name.
    pub(super) fn assembly_name(&self, module: &Module) -> String {
        let name = module.metadata(&self.core).map(Metadata::assembly).unwrap_or_default();
        if name.is_empty() { module.file(&self.core) } else { name }
    }
}
