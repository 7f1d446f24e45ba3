//! Objects: their types, fields by name, texts.
//!
//! FieldDesc (16 bytes): type's record, then row of the field (24 bits), bit 24 static; then offset (27 bits) and element
//! type (5 bits). Source: `field.h` of dotnet/runtime (MIT); checked on 8.0.33, 9.0.22, 10.0.14.

use super::Clr;
use super::layout::Field;
use dumpscope_core::Va;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Deepest inheritance.
const MAX_PARENTS: usize = 32;
/// Most fields of one class.
const MAX_FIELDS: u64 = 2048;
/// Longest text, UTF-16 units.
const MAX_TEXT: u32 = 1 << 16;
/// Most types whose fields are kept.
const MAX_KEPT: usize = 1 << 16;
/// Lowest bits of an object's first word, used by the collector.
const MARKS: u64 = 7;

/// Element types that matter here.
pub(super) mod element {
    pub(crate) const VALUE_TYPE: u8 = 0x11;
}

/// A field of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldInfo {
    /// Bytes from the object's start; inside a structure from the structure's start plus 8.
    pub(super) offset: u64,
    /// `ELEMENT_TYPE_*`.
    pub(super) element: u8,
    pub(super) is_static: bool,
    /// The type that declares it.
    pub(super) owner: Va,
}

/// Fields by name.
pub(super) type Fields = BTreeMap<String, FieldInfo>;

impl Clr {
    /// The type of the object at `object`; `None` when there is no object.
    pub(super) fn object_type(&self, object: Va) -> Option<Va> {
        if object.is_null() || object.0 & 7 != 0 {
            return None;
        }
        let mt = Va(self.core.memory().u64(object)? & !MARKS);
        self.is_type(mt).then_some(mt)
    }

    /// The name of an object's type.
    pub(super) fn object_name(&self, object: Va) -> Option<Arc<str>> {
        self.type_name(self.object_type(object)?)
    }

    /// The type's name without its arguments: `System.Collections.Generic.List`1`.
    pub(super) fn plain_name(&self, mt: Va) -> Option<Arc<str>> {
        if let Some(known) = self.plain_names.lock().unwrap_or_else(PoisonError::into_inner).get(&mt) {
            return known.clone();
        }
        let name = if self.is_array(mt) { None } else { self.type_parts(mt).map(|p| Arc::from(p.join("+"))) };
        let mut known = self.plain_names.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KEPT {
            known.insert(mt, name.clone());
        }
        name
    }

    /// True when the type or one of its parents has this name (without arguments).
    pub(super) fn is_a(&self, mt: Va, name: &str) -> bool {
        let mut next = Some(mt);
        for _ in 0..MAX_PARENTS {
            let Some(mt) = next else { return false };
            if self.plain_name(mt).as_deref() == Some(name) {
                return true;
            }
            next = self.core.target(mt, Field::TypeParent);
        }
        false
    }

    /// True when the object is of a type, or of one derived from it.
    pub(super) fn object_is(&self, object: Va, name: &str) -> bool {
        self.object_type(object).is_some_and(|mt| self.is_a(mt, name))
    }

    /// Fields of a type and its parents; a derived type's field hides one of the same name.
    pub(super) fn fields(&self, mt: Va) -> Option<Arc<Fields>> {
        if let Some(known) = self.fields.lock().unwrap_or_else(PoisonError::into_inner).get(&mt) {
            return known.clone();
        }
        let fields = Some(Arc::new(self.read_fields(mt)));
        let mut known = self.fields.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KEPT {
            known.insert(mt, fields.clone());
        }
        fields
    }

    fn read_fields(&self, mt: Va) -> Fields {
        let mut chain = Vec::new();
        let mut next = Some(mt);
        while let Some(mt) = next.filter(|mt| chain.len() < MAX_PARENTS && self.is_type(*mt)) {
            chain.push(mt);
            next = self.core.target(mt, Field::TypeParent);
        }
        let mut out = Fields::new();
        for mt in chain.into_iter().rev() {
            self.own_fields(mt, &mut out);
        }
        out
    }

    fn own_fields(&self, mt: Va, out: &mut Fields) -> Option<()> {
        let canonical = self.canonical(mt)?;
        let list = self.core.target(self.class(mt)?, Field::ClassFields)?;
        let module = self.module(self.type_module(mt)?);
        let metadata = module.metadata(&self.core)?;
        for i in 0..MAX_FIELDS {
            let at = list.offset(i * 16);
            // The list has no count in 8: it ends where another type's begins.
            if Va(self.core.memory().u64(at)?) != canonical {
                break;
            }
            let (first, second) =
                (self.core.memory().u32(at.offset(8))?, self.core.memory().u32(at.offset(12))?);
            let name = metadata.field(first & 0x00ff_ffff)?;
            let is_static = first >> 24 & 1 == 1;
            let element = u8::try_from(second >> 27).ok()?;
            let offset = u64::from(second & 0x07ff_ffff) + if is_static { 0 } else { 8 };
            out.insert(name, FieldInfo { offset, element, is_static, owner: mt });
        }
        Some(())
    }

    /// An instance field of an object: its address and element type.
    pub(super) fn field(&self, object: Va, name: &str) -> Option<(Va, u8)> {
        let fields = self.fields(self.object_type(object)?)?;
        let field = fields.get(name).filter(|f| !f.is_static)?;
        Some((object.offset(field.offset), field.element))
    }

    /// The object that a field refers to; `None` for null.
    pub(super) fn reference(&self, object: Va, name: &str) -> Option<Va> {
        let (at, _) = self.field(object, name)?;
        self.core.deref(at)
    }

    /// A number in a field.
    pub(super) fn number(&self, object: Va, name: &str) -> Option<i64> {
        let (at, element) = self.field(object, name)?;
        self.number_at(at, element)
    }

    /// The number at an address, by element type.
    pub(super) fn number_at(&self, at: Va, element: u8) -> Option<i64> {
        let memory = self.core.memory();
        Some(match element {
            0x02 | 0x05 => memory.u8(at)?.into(),
            0x04 => i64::from(memory.u8(at)?.cast_signed()),
            0x03 | 0x07 => memory.u16(at)?.into(),
            0x06 => i64::from(memory.u16(at)?.cast_signed()),
            0x08 => i64::from(memory.u32(at)?.cast_signed()),
            0x09 => memory.u32(at)?.into(),
            _ => memory.u64(at)?.cast_signed(),
        })
    }

    /// The text of a string object.
    pub(super) fn string(&self, object: Va) -> Option<String> {
        let length = self.core.memory().u32(object.offset(8)).filter(|n| *n <= MAX_TEXT)?;
        self.string_part(object, length)
    }

    /// At most so many UTF-16 units of a string object.
    pub(super) fn string_part(&self, object: Va, most: u32) -> Option<String> {
        let memory = self.core.memory();
        let length = memory.u32(object.offset(8))?.min(most).min(MAX_TEXT);
        let bytes = super::mem::some(memory, object.offset(12), usize::try_from(length).ok()? * 2);
        let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
        (units.len() == usize::try_from(length).ok()?).then(|| String::from_utf16_lossy(&units))
    }

    /// The text in a field that holds a string.
    pub(super) fn text(&self, object: Va, name: &str) -> Option<String> {
        self.string(self.reference(object, name)?)
    }

    /// Elements of an array of references, without nulls.
    pub(super) fn elements(&self, array: Va, most: u32) -> Vec<Va> {
        let count = self.core.memory().u32(array.offset(8)).unwrap_or(0).min(most);
        let word = |i: u64| self.core.deref(array.offset(16 + i * 8));
        (0..u64::from(count)).filter_map(word).collect()
    }
}
