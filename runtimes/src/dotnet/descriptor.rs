//! The contract descriptor: the runtime's own list of its structures and globals, exported by 9 and later as
//! `DotNetRuntimeContractDescriptor`.
//!
//! Layout (bytes): `u64` magic, `u32` flags (bit 1: 32-bit target), `u32` size of the JSON text, pointer to it, `u32`
//! number of pointers, `u32` padding, pointer to them. Source: `docs/design/datacontracts/data_descriptor.md` of
//! dotnet/runtime; seen on 9.0.22 and 10.0.14. Sub-descriptors are merged, none was seen.

use super::mem::block;
use dumpscope_core::{ReadMemory, Va};
use serde_json::Value;
use std::collections::BTreeMap;

/// "DNCCDAC\0" as the runtime writes it.
const MAGIC: u64 = 0x0043_4144_4343_4e44;
/// Largest text that is believed; 10.0.14 has 14 KB.
const MAX_JSON: usize = 4 << 20;
/// Most pointers.
const MAX_POINTERS: u32 = 4096;
/// Most sub-descriptors.
const MAX_SUB: usize = 16;

/// A global of the descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// A constant.
    Value(u64),
    /// The address of the runtime's variable.
    Address(Va),
}

/// What the descriptor says.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    /// (type, field): offset in bytes.
    fields: BTreeMap<(String, String), u32>,
    globals: BTreeMap<String, Global>,
    contracts: BTreeMap<String, u64>,
}

impl Descriptor {
    /// Reads the descriptor at `at` and those that it names.
    pub(super) fn read(memory: &dyn ReadMemory, at: Va) -> Option<Descriptor> {
        let mut all = Descriptor::default();
        let mut waiting = all.load(memory, at)?;
        for _ in 0..MAX_SUB {
            let Some(slot) = waiting.pop() else { break };
            let target = memory.u64(slot).map(Va).filter(|v| !v.is_null());
            waiting.extend(target.and_then(|t| all.load(memory, t)).unwrap_or_default());
        }
        Some(all)
    }

    /// Reads one; gives the slots of its sub-descriptors.
    fn load(&mut self, memory: &dyn ReadMemory, at: Va) -> Option<Vec<Va>> {
        let flags = memory.u32(at.offset(8))?;
        if memory.u64(at)? != MAGIC || flags & 2 != 0 {
            return None;
        }
        let size = usize::try_from(memory.u32(at.offset(12))?).ok()?;
        let text = block(memory, Va(memory.u64(at.offset(16))?), size, MAX_JSON)?;
        let end = text.iter().rposition(|b| *b != 0).map_or(0, |p| p + 1);
        let json: Value = serde_json::from_slice(text.get(..end)?).ok()?;
        let count = memory.u32(at.offset(24))?.min(MAX_POINTERS);
        let pointers = Va(memory.u64(at.offset(32))?);
        let pointer =
            |i: u64| (i < u64::from(count)).then(|| memory.u64(pointers.offset(i * 8)).map(Va)).flatten();

        for (name, fields) in object(&json, "types") {
            for (field, value) in fields.as_object().into_iter().flatten() {
                let offset = value.as_array().and_then(|a| a.first()).unwrap_or(value);
                if let Some(offset) = number(offset).and_then(|v| u32::try_from(v).ok()) {
                    self.fields.insert((name.clone(), field.clone()), offset);
                }
            }
        }
        for (name, value) in object(&json, "globals") {
            // value | [value, type] | [index] | [[index], type]
            let value = match value.as_array().map(Vec::as_slice) {
                Some([value, _type]) => value,
                _ => value,
            };
            let global = match value.as_array().map(Vec::as_slice) {
                Some([index]) => number(index).and_then(pointer).map(Global::Address),
                _ => number(value).map(Global::Value),
            };
            if let Some(global) = global {
                self.globals.insert(name.clone(), global);
            }
        }
        for (name, value) in object(&json, "contracts") {
            // 1, or "c1" in newer documents.
            let text = value.as_str().map(|s| s.trim_start_matches(|c: char| c.is_ascii_alphabetic()));
            if let Some(n) = value.as_u64().or_else(|| text?.parse().ok()) {
                self.contracts.insert(name.clone(), n);
            }
        }
        let sub = |value: &Value| {
            let value = value.as_array().and_then(|a| a.first()).unwrap_or(value);
            let value = value.as_array().and_then(|a| a.first()).unwrap_or(value);
            number(value).and_then(pointer)
        };
        Some(object(&json, "subDescriptors").filter_map(|(_, v)| sub(v)).take(MAX_SUB).collect())
    }

    /// Offset of a field, bytes.
    pub(super) fn field(&self, name: &str, field: &str) -> Option<u32> {
        self.fields.get(&(name.to_owned(), field.to_owned())).copied()
    }

    /// A global.
    pub(super) fn global(&self, name: &str) -> Option<&Global> {
        self.globals.get(name)
    }

    /// All constants, in the order of names.
    pub(super) fn constants(&self) -> impl Iterator<Item = (&str, u64)> {
        self.globals.iter().filter_map(|(name, global)| match global {
            Global::Value(v) => Some((name.as_str(), *v)),
            Global::Address(_) => None,
        })
    }

    /// Version of a contract.
    pub(super) fn contract(&self, name: &str) -> Option<u64> {
        self.contracts.get(name).copied()
    }
}

fn object<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    json.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// A number, or a text with one (`"0x1f"`, `"12"`).
fn number(value: &Value) -> Option<u64> {
    if let Some(n) = value.as_u64() {
        return Some(n);
    }
    let text = value.as_str()?;
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
