//! Objects with their fields and elements.
//!
//! Static fields (9, 10) lie behind two pointers in front of the type's auxiliary record: references, then other values,
//! each with a flag in the lowest bit; behind them the type's record, which tells that they are there. Source:
//! `methodtable.h` of dotnet/runtime (MIT); seen on 10.0.14. 8 keeps them elsewhere: their values are not read there.

use super::Clr;
use super::field_types::{Scope, element_size, element_word};
use super::layout::{Field, Release};
use crate::clr::{ClrArray, ClrField, ClrObject, ClrValue};
use dumpscope_core::Va;

/// Deepest inheritance, most fields of one class.
const MAX_PARENTS: usize = 32;
const MAX_FIELDS: u64 = 2048;
/// Most elements that are handed out at once.
const MAX_ELEMENTS: u64 = 1 << 16;
/// Bytes of the record of static fields.
const STATICS: u64 = 24;

/// Where fields' values are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// An object: fields begin behind its first word.
    Object(Va),
    /// A structure inside something.
    Value(Va),
    /// Nowhere: only static fields have values.
    Type,
}

impl Clr {
    /// An object with its fields.
    pub(super) fn clr_object(&self, address: Va) -> Option<ClrObject> {
        if address.0 & 7 != 0 {
            return None;
        }
        let mt = Va(self.core.deref(address)?.0 & !7);
        if self.is_free(mt) {
            return Some(ClrObject {
                address,
                type_record: mt,
                class: Va(0),
                type_name: "Free".to_owned(),
                size: self.object_size(address)?,
                file: String::new(),
                free: true,
                text: None,
                array: None,
                fields: Vec::new(),
            });
        }
        let mt = self.object_type(address)?;
        let is_text = self.plain_name(mt).as_deref() == Some("System.String");
        let mut object = self.described(mt, address, Holder::Object(address))?;
        object.size = self.object_size(address)?;
        object.text = is_text.then(|| self.string(address)).flatten();
        object.array = self.is_array(mt).then(|| self.array(mt, address)).flatten();
        Some(object)
    }

    /// A structure at an address.
    pub(super) fn clr_value(&self, mt: Va, address: Va) -> Option<ClrObject> {
        if !self.is_type(mt) || !self.is_value_type(mt) {
            return None;
        }
        let mut object = self.described(mt, address, Holder::Value(address))?;
        // A boxed value has its header and its type's record before it.
        object.size = self.sizes(mt)?.0.saturating_sub(16);
        Some(object)
    }

    /// Fields of a type: values of the static ones only.
    pub(super) fn clr_type_fields(&self, mt: Va) -> Vec<ClrField> {
        if self.is_type(mt) { self.clr_fields(mt, Holder::Type) } else { Vec::new() }
    }

    fn described(&self, mt: Va, address: Va, holder: Holder) -> Option<ClrObject> {
        let fields = if self.is_array(mt) { Vec::new() } else { self.clr_fields(mt, holder) };
        Some(ClrObject {
            address,
            type_record: mt,
            class: self.class_word(mt),
            type_name: self.bracket_name(mt)?,
            size: 0,
            file: self.type_file(mt),
            free: false,
            text: None,
            array: None,
            fields,
        })
    }

    /// The class as the extension prints it: its record; of 10 the type that it points back to.
    fn class_word(&self, mt: Va) -> Va {
        let class = self.class(mt).unwrap_or_default();
        if self.core.layout.release < Release::V10 { class } else { self.canonical(mt).unwrap_or(class) }
    }

    /// The file of a type's module; of its element's for an array.
    pub(super) fn type_file(&self, mt: Va) -> String {
        self.type_module(mt).map(|m| self.module(m).path().to_owned()).unwrap_or_default()
    }

    fn array(&self, mt: Va, address: Va) -> Option<ClrArray> {
        let memory = self.core.memory();
        let element_type = Va(self.core.target(mt, Field::TypeInstance)?.0 & !3);
        let (base, element_size) = self.sizes(mt)?;
        let rank = self.rank(mt);
        let count = u64::from(memory.u32(address.offset(8))?);
        let vector = self.type_flags(mt)? & 0x000f_0000 == 0x000a_0000;
        // In front of the elements of other arrays: lengths, then lower bounds, 32 bits each.
        let bounds = |i: u64| {
            let at = address.offset(16 + i * 4);
            let low = memory.u32(at.offset(rank as u64 * 4))?.cast_signed();
            Some((low, memory.u32(at)?))
        };
        let bounds: Vec<_> = if vector { Vec::new() } else { (0..rank as u64).map_while(bounds).collect() };
        let element = self.element_of(element_type);
        let kind = match element {
            0x0e | 0x1c => "CLASS",
            other => element_word(other),
        };
        Some(ClrArray {
            rank,
            count,
            bounds,
            element_kind: kind,
            element_type,
            element_size,
            // Base size counts the header before the object, too.
            data: address.offset(base.checked_sub(8)?),
        })
    }

    /// Elements as values.
    pub(super) fn elements_of(&self, array: &ClrArray, from: u64, most: u64) -> Vec<ClrValue> {
        let element = self.element_of(array.element_type);
        let one = |i: u64| {
            let at = Va(array.data.0.checked_add(i.checked_mul(array.element_size)?)?);
            if element == 0x11 { Some(ClrValue::Address(at)) } else { self.value_of(element, at) }
        };
        let end = from.saturating_add(most.min(MAX_ELEMENTS)).min(array.count);
        (from..end).map_while(one).collect()
    }

    /// The value at an address.
    fn value_of(&self, element: u8, at: Va) -> Option<ClrValue> {
        let memory = self.core.memory();
        let number = |n: i128| Some(ClrValue::Number(n));
        match element {
            0x02 | 0x05 => number(memory.u8(at)?.into()),
            0x03 => Some(ClrValue::Char(memory.u16(at)?)),
            0x04 => number(memory.u8(at)?.cast_signed().into()),
            0x06 => number(memory.u16(at)?.cast_signed().into()),
            0x07 => number(memory.u16(at)?.into()),
            0x08 => number(memory.u32(at)?.cast_signed().into()),
            0x09 => number(memory.u32(at)?.into()),
            0x0a => number(memory.u64(at)?.cast_signed().into()),
            0x0b => number(memory.u64(at)?.into()),
            0x0c => Some(ClrValue::Float(f32::from_bits(memory.u32(at)?).into())),
            0x0d => Some(ClrValue::Float(f64::from_bits(memory.u64(at)?))),
            _ => Some(ClrValue::Address(Va(memory.u64(at)?))),
        }
    }

    fn clr_fields(&self, mt: Va, holder: Holder) -> Vec<ClrField> {
        let mut chain = Vec::new();
        let mut next = Some(mt);
        while let Some(mt) = next.filter(|mt| chain.len() < MAX_PARENTS && self.is_type(*mt)) {
            chain.push(mt);
            next = self.core.target(mt, Field::TypeParent);
        }
        let mut out = Vec::new();
        for mt in chain.into_iter().rev() {
            let _ = self.clr_own_fields(mt, holder, &mut out);
        }
        out
    }

    fn clr_own_fields(&self, mt: Va, holder: Holder, out: &mut Vec<ClrField>) -> Option<()> {
        let memory = self.core.memory();
        let canonical = self.canonical(mt)?;
        let list = self.core.target(self.class(mt)?, Field::ClassFields)?;
        let record = self.type_module(mt)?;
        let module = self.module(record);
        let metadata = module.metadata(&self.core)?;
        let arguments = self.type_arguments(mt)?;
        let scope = Scope { module: record, of_type: &arguments, of_method: &[] };
        let statics = self.statics(mt);
        for i in 0..MAX_FIELDS {
            let at = list.offset(i * 16);
            if Va(memory.u64(at)?) != canonical {
                break;
            }
            let (first, second) = (memory.u32(at.offset(8))?, memory.u32(at.offset(12))?);
            let row = first & 0x00ff_ffff;
            let name = metadata.field(row)?;
            let (is_static, by_thread) = (first >> 24 & 1 == 1, first >> 25 & 1 == 1);
            let offset = u64::from(second & 0x07ff_ffff);
            let stored = u8::try_from(second >> 27).ok()?;
            let declared = self.field_type(scope, row);
            let element = declared.as_ref().map_or(stored, |t| t.element);
            let type_record = declared.and_then(|t| t.record);
            let is_value = !matches!(element, 0x0e | 0x0f | 0x12 | 0x13 | 0x14 | 0x1b | 0x1c | 0x1d | 0x1e);
            let is_structure = element == 0x11;
            // An enumeration is stored as its number.
            let stored_as = if is_structure && stored != 0x11 { stored } else { element };
            let place = match holder {
                _ if by_thread => None,
                _ if is_static => statics.and_then(|(references, others)| {
                    let by_reference = stored == 0x11 || !is_value;
                    let base = if by_reference { references } else { others };
                    (!base.is_null()).then(|| base.offset(offset))
                }),
                Holder::Object(o) => Some(o.offset(offset + 8)),
                Holder::Value(v) => Some(v.offset(offset)),
                Holder::Type => None,
            };
            let value = place.and_then(|at| match stored_as {
                // A structure in a static field is boxed.
                0x11 if is_static => Some(ClrValue::Address(self.core.deref(at)?.offset(8))),
                0x11 => Some(ClrValue::Address(at)),
                other => self.value_of(other, at),
            });
            out.push(ClrField {
                type_record: type_record.unwrap_or_default(),
                token: 0x0400_0000 | row,
                offset: if matches!(holder, Holder::Value(_)) { offset } else { offset + 8 },
                type_name: type_record
                    .and_then(|t| self.bracket_name(t))
                    .unwrap_or_else(|| element_word(element).to_owned()),
                is_value,
                attribute: match (is_static, by_thread) {
                    (_, true) => "TLstatic",
                    (true, _) => "static",
                    _ => "instance",
                },
                value,
                name,
            });
        }
        Some(())
    }

    /// Where a type's static references and its other static values lie.
    fn statics(&self, mt: Va) -> Option<(Va, Va)> {
        if self.core.layout.release == Release::V8 {
            return None;
        }
        let record = self.core.target(mt, Field::TypeAuxiliary)?.back(STATICS);
        let word = |o: u64| self.core.memory().u64(record.offset(o));
        // A type without static fields has no such record: what stands there names another type, or none.
        (word(16)? == mt.0).then_some((Va(word(0)? & !1), Va(word(8)? & !1)))
    }

    /// Bytes of a value of a type inside something.
    pub(super) fn value_size(&self, mt: Option<Va>, element: u8) -> u64 {
        match mt {
            Some(mt) if element == 0x11 => self.sizes(mt).map_or(8, |(base, _)| base.saturating_sub(16)),
            _ => element_size(element),
        }
    }
}
