//! Parameters and local variables of a frame: where the compiler said they are.
//!
//! Behind the map of IL offsets stands a list of variables in numbers of three bits: count, then for each start, length,
//! number (4 added: below are none of the program's), kind of place, and the place. Source: `debuginfostore.cpp` and
//! `cordebuginfo.h` of dotnet/runtime (MIT); seen on 8.0.33 and 10.0.14.

use super::Clr;
use super::code::Code;
use super::field_types::{Reader, Scope, SignatureType};
use super::il_offsets::DebugNumbers;
use super::metadata::{Metadata, table};
use super::methods::Method;
use crate::clr::{FrameVariables, Variable};
use dumpscope_core::{Reg, Va};
use dumpscope_symbols::Frame;
use std::collections::BTreeMap;

/// Most variables of a method, and places of all of them.
const MAX_VARIABLES: u32 = 512;
const MAX_PLACES: u64 = 20_000;
/// What is added to a variable's number.
const BIAS: u64 = 4;

/// Where a variable lies, for part of the method's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Register(u64),
    /// Base register, distance in bytes.
    Stack(u64, i64),
    /// In pieces, or where nothing here can read it.
    Other,
}

impl Clr {
    /// Parameters and locals of a frame.
    pub(super) fn frame_variables(&self, frames: &[Frame], at: usize) -> Option<FrameVariables> {
        let frame = frames.get(at)?;
        let code = self.code_at(frame.lookup_ip()).filter(|c| !c.method.is_null())?;
        let method = self.method(code.method).filter(|m| !m.is_dynamic())?;
        let metadata = method.module.metadata(&self.core)?;
        let offset = frame.lookup_ip().distance_from(code.start)?;
        let places = self.places(&code, offset).unwrap_or_default();
        let record = self.type_module(method.type_record)?;
        let of_type = self.type_arguments(method.type_record).unwrap_or_default();
        let scope = Scope { module: record, of_type: &of_type, of_method: method.arguments() };
        let (parameters, has_this) = self.parameters(metadata, &method, scope).unwrap_or_default();
        let names = parameter_names(metadata, method.row);
        let mut out = FrameVariables::default();
        let mut number = 0u64;
        let mut next = |kind: Option<&SignatureType>, name: Option<String>| {
            let variable = self.variable(frame, places.get(&number).copied(), kind, name);
            number += 1;
            variable
        };
        if has_this {
            out.parameters.push(next(None, Some("this".to_owned())));
        }
        for (i, kind) in (1u32..).zip(&parameters) {
            let name = names.get(&i).cloned().unwrap_or_else(|| "<unknown>".to_owned());
            out.parameters.push(next(kind.as_ref(), Some(name)));
        }
        for kind in self.locals(metadata, &method, scope).unwrap_or_default() {
            out.locals.push(next(kind.as_ref(), None));
        }
        Some(out)
    }

    fn variable(
        &self,
        frame: &Frame,
        place: Option<Place>,
        kind: Option<&SignatureType>,
        name: Option<String>,
    ) -> Variable {
        let size = kind.map_or(8, |k| self.value_size(k.record, k.element).clamp(1, 8));
        let register = |r: u64| frame.regs.get(Reg(u8::try_from(r).ok()?));
        match place {
            Some(Place::Stack(base, distance)) => {
                let at = register(base).map(|b| Va(b.wrapping_add_signed(distance)));
                let mut bytes = [0u8; 8];
                let len = usize::try_from(size).unwrap_or(8);
                let value = at.and_then(|at| {
                    let slot = bytes.get_mut(..len)?;
                    (self.core.memory().read_at(at, slot).got == len).then(|| u64::from_le_bytes(bytes))
                });
                Variable { name, place: at.map(|a| format!("0x{:016X}", a.0)), at, value }
            }
            Some(Place::Register(r)) => match register(r) {
                Some(v) => Variable { name, place: Some("<CLR reg>".to_owned()), at: None, value: Some(v) },
                None => Variable { name, place: None, at: None, value: None },
            },
            Some(Place::Other) | None => Variable { name, place: None, at: None, value: None },
        }
    }

    /// Types of the parameters, and whether there is a `this`.
    fn parameters(
        &self,
        metadata: &Metadata,
        method: &Method,
        scope: Scope<'_>,
    ) -> Option<(Vec<Option<SignatureType>>, bool)> {
        let bytes = metadata.method_signature(method.row)?;
        let mut reader = Reader { bytes, at: 0, budget: 4000 };
        let convention = reader.number()?;
        if convention & 0x10 != 0 {
            reader.number()?;
        }
        let count = reader.number()?.min(MAX_VARIABLES);
        self.signature_type(&mut reader, scope, 0);
        let kinds = (0..count).map(|_| self.signature_type(&mut reader, scope, 0)).collect();
        Some((kinds, convention & 0x20 != 0))
    }

    /// Types of the locals: the signature that a method's longer IL header names.
    fn locals(
        &self,
        metadata: &Metadata,
        method: &Method,
        scope: Scope<'_>,
    ) -> Option<Vec<Option<SignatureType>>> {
        let il = self.method_il(method)?;
        let memory = self.core.memory();
        if memory.u8(il)? & 3 != 3 {
            return None;
        }
        let token = memory.u32(il.offset(8))?;
        if token >> 24 != 0x11 {
            return None;
        }
        let bytes = metadata.blob(table::STAND_ALONE_SIG, token & 0x00ff_ffff, 0)?;
        let mut reader = Reader { bytes, at: 0, budget: 4000 };
        if reader.number()? != 7 {
            return None;
        }
        let count = reader.number()?.min(MAX_VARIABLES);
        Some((0..count).map(|_| self.signature_type(&mut reader, scope, 0)).collect())
    }

    /// Places of variables at an offset in a method's code, by number.
    fn places(&self, code: &Code, offset: u64) -> Option<BTreeMap<u64, Place>> {
        let bytes = self.variable_info(code)?;
        let mut numbers = DebugNumbers::new(&bytes);
        let mut out = BTreeMap::new();
        for _ in 0..numbers.number()?.min(MAX_PLACES) {
            let start = numbers.number()?;
            let end = start.checked_add(numbers.number()?)?;
            let number = numbers.number()?;
            let place = match numbers.number()? {
                0..=2 => {
                    let r = numbers.number()?;
                    Place::Register(r)
                }
                3 | 4 => {
                    let base = numbers.number()?;
                    Place::Stack(base, numbers.signed()?)
                }
                5 => {
                    numbers.number()?;
                    numbers.number()?;
                    Place::Other
                }
                6 => {
                    numbers.number()?;
                    numbers.number()?;
                    numbers.signed()?;
                    Place::Other
                }
                7 => {
                    numbers.signed()?;
                    numbers.number()?;
                    numbers.number()?;
                    Place::Other
                }
                8 => {
                    let base = numbers.number()?;
                    Place::Stack(base, numbers.signed()?)
                }
                9 | 10 => {
                    numbers.number()?;
                    Place::Other
                }
                _ => return Some(out),
            };
            if start <= offset && offset < end && number >= BIAS {
                out.entry(number - BIAS).or_insert(place);
            }
        }
        Some(out)
    }
}

/// Names of parameters by their place in the signature.
fn parameter_names(metadata: &Metadata, row: u32) -> BTreeMap<u32, String> {
    let list = |row: u32| metadata.column(table::METHOD, row, 5);
    let end = row.checked_add(1).and_then(list).unwrap_or(metadata.rows(table::PARAM).saturating_add(1));
    let Some(first) = list(row) else { return BTreeMap::new() };
    let one = |p: u32| Some((metadata.column(table::PARAM, p, 1)?, metadata.name(table::PARAM, p, 2)?));
    (first..end.min(first.saturating_add(MAX_VARIABLES))).filter_map(one).collect()
}
