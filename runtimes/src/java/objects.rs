//! Objects on the heap: fields by name, strings.

use super::metadata::{Names, pool_symbol, symbol};
use super::stream::Stream;
use super::vm::Vm;
use dumpscope_core::Va;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most fields of one class: the format's own limit.
const MAX_FIELDS: u32 = 65_535;
/// Deepest chain of super classes.
const MAX_SUPERS: usize = 128;
/// Longest string, bytes.
const MAX_STRING: u32 = 64 * 1024;
/// Most classes whose fields are kept.
const MAX_KEPT: usize = 4096;
/// Access flag `static`.
const STATIC: u32 = 8;
/// Internal flag in the access flags of a field up to JDK 17: the VM added it, its name is one of the VM's symbols.
const INJECTED_17: u16 = 0x400;

/// A field.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldAt {
    /// Bytes from the object's start (of the class's mirror for static ones).
    pub(super) offset: u64,
    pub(super) is_static: bool,
    size: u64,
}

type Fields = BTreeMap<String, FieldAt>;

/// Fields of classes that were read.
#[derive(Debug, Default)]
pub(super) struct Objects {
    fields: Mutex<BTreeMap<Va, Arc<Fields>>>,
}

impl Objects {
    /// All fields that a class itself declares, those that the VM added too.
    pub(super) fn fields(&self, vm: &Vm, klass: Va) -> Arc<Fields> {
        if let Some(known) = self.fields.lock().unwrap_or_else(PoisonError::into_inner).get(&klass) {
            return Arc::clone(known);
        }
        let fields = Arc::new(declared(vm, klass));
        let mut kept = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < MAX_KEPT {
            kept.insert(klass, Arc::clone(&fields));
        }
        fields
    }

    /// Where an object has a field: its class is asked first, then the classes above.
    pub(super) fn field(&self, vm: &Vm, object: Va, name: &str) -> Option<Va> {
        let mut klass = vm.klass_of(object)?;
        for _ in 0..MAX_SUPERS {
            if let Some(field) = self.fields(vm, klass).get(name).filter(|f| !f.is_static) {
                return Some(object.offset(field.offset));
            }
            klass = vm.ptr(klass, "Klass::_super")?;
        }
        None
    }

    /// The object in a field.
    pub(super) fn get(&self, vm: &Vm, object: Va, name: &str) -> Option<Va> {
        vm.reference(self.field(vm, object, name)?)
    }

    /// A number in a field.
    pub(super) fn int(&self, vm: &Vm, object: Va, name: &str) -> Option<u32> {
        vm.memory.u32(self.field(vm, object, name)?)
    }

    /// A long number in a field.
    pub(super) fn long(&self, vm: &Vm, object: Va, name: &str) -> Option<u64> {
        vm.memory.u64(self.field(vm, object, name)?)
    }

    /// The text of a `java.lang.String`: bytes of one or two for each character, as `coder` says.
    pub(super) fn string(&self, vm: &Vm, object: Va) -> Option<String> {
        let wide = vm.memory.u8(self.field(vm, object, "coder")?)? != 0;
        let array = self.get(vm, object, "value")?;
        let len = vm.memory.u32(array.offset(vm.array_length_at()))?.min(MAX_STRING);
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let got = vm.memory.read_at(array.offset(vm.array_bytes_at()), &mut bytes).got;
        bytes.truncate(got);
        if !wide {
            return Some(bytes.iter().map(|b| char::from(*b)).collect());
        }
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|p| u16::from_le_bytes(*p)).collect();
        Some(String::from_utf16_lossy(&units))
    }

    /// True when the class of an object, or one above it, has that name.
    pub(super) fn is_a(&self, vm: &Vm, names: &Names, object: Va, class: &str) -> bool {
        let mut klass = vm.klass_of(object);
        for _ in 0..MAX_SUPERS {
            let Some(k) = klass else { return false };
            if names.class(vm, k).is_some_and(|n| &*n == class) {
                return true;
            }
            klass = vm.ptr(k, "Klass::_super");
        }
        false
    }

    /// Bytes of an object of the class itself, without those above it: the end of its last field, aligned. Only right
    /// for direct children of `java.lang.Object`.
    pub(super) fn end_of_fields(&self, vm: &Vm, klass: Va) -> u64 {
        let fields = self.fields(vm, klass);
        let ends = fields.values().filter(|f| !f.is_static).map(|f| f.offset + f.size);
        ends.max().unwrap_or(0).next_multiple_of(8)
    }
}

/// Fields of a class. JDK 21 and later: a stream of UNSIGNED5 (counts of the class's own fields and of those that the VM
/// added; for each one name, signature, offset, access flags, internal flags, and a value for the flags of bits 0, 2 and 4).
/// Before: six 16-bit words each (access flags, name, signature, value, and the offset shifted by 2 in two words).
fn declared(vm: &Vm, klass: Va) -> Fields {
    let mut out = Fields::new();
    let Some(pool) = vm.ptr(klass, "InstanceKlass::_constants") else { return out };
    let injected = |i: u32| {
        let table = vm.variable("Symbol::_vm_symbols[0]")?;
        symbol(vm, Va(vm.memory.u64(table.offset(u64::from(i) * 8))?))
    };
    let from_pool = |i: u32| pool_symbol(vm, pool, u16::try_from(i).ok()?);
    let size = |s: Option<String>| match s.as_deref().and_then(|s| s.bytes().next()) {
        Some(b'J' | b'D') => 8,
        Some(b'L' | b'[') => vm.reference_size(),
        _ => 4,
    };
    if let Some(stream) = vm.ptr(klass, "InstanceKlass::_fieldinfo_stream") {
        let start = stream.offset(vm.offset("Array<u1>::_data").unwrap_or(4));
        let mut stream = Stream::new(vm.memory.as_ref(), start, vm.major);
        let mut read = || {
            let count = stream.number()?.checked_add(stream.number()?)?.min(MAX_FIELDS);
            for _ in 0..count {
                let (name, signature) = (stream.number()?, stream.number()?);
                let (offset, access, flags) = (stream.number()?, stream.number()?, stream.number()?);
                for _ in [0, 2, 4].iter().filter(|bit| flags >> **bit & 1 != 0) {
                    stream.number()?;
                }
                let added = flags & 2 != 0;
                let text = |i| if added { injected(i) } else { from_pool(i) };
                let Some(name) = text(name) else { continue };
                let field = FieldAt {
                    offset: offset.into(),
                    is_static: access & STATIC != 0,
                    size: size(text(signature)),
                };
                out.insert(name, field);
            }
            Some(())
        };
        // What was read before the stream broke off stays.
        let _ = read();
    } else if let Some(array) = vm.ptr(klass, "InstanceKlass::_fields") {
        let start = array.offset(vm.offset("Array<u2>::_data").unwrap_or(4));
        let words = vm.memory.u32(array).unwrap_or(0).min(MAX_FIELDS);
        let own = vm.u16(klass, "InstanceKlass::_java_fields_count").map_or(0, u32::from);
        for i in 0..words / 6 {
            let word = |k: u64| vm.memory.u16(start.offset(u64::from(i) * 12 + k * 2));
            let (Some(access), Some(name), Some(signature)) = (word(0), word(1), word(2)) else { break };
            let (Some(low), Some(high)) = (word(4), word(5)) else { break };
            let added = access & INJECTED_17 != 0;
            // Behind the fields, the class's own and the added ones, lie signatures of generics.
            if i >= own && !added {
                break;
            }
            let text = |i: u16| if added { injected(i.into()) } else { from_pool(i.into()) };
            let Some(name) = text(name) else { continue };
            let field = FieldAt {
                offset: ((u64::from(high) << 16) | u64::from(low)) >> 2,
                is_static: u32::from(access) & STATIC != 0,
                size: size(text(signature)),
            };
            out.insert(name, field);
        }
    }
    out
}
