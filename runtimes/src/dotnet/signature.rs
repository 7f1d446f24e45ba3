//! Signatures as text, in the words of the runtime's own debugger: `Int32`, `System.String`, `T ByRef`, `G`1<A,B>`.
//!
//! Layout: ECMA-335, partition II, 23.2. Two element types are the runtime's own and carry a type handle.

use super::mem::u64_at;
use super::metadata::{Metadata, compressed, table};
use dumpscope_core::Va;
use std::cell::Cell;

/// Deepest type.
const MAX_DEPTH: usize = 24;
/// Most parameters and type arguments.
const MAX_LIST: u32 = 256;
/// Most types of one signature.
pub(super) const BUDGET: u32 = 2000;
/// Longest text of one signature, bytes.
const MAX_TEXT: usize = 16 << 10;

/// Names of element types that stand for themselves.
pub(super) fn primitive(element: u32) -> Option<&'static str> {
    Some(match element {
        0x01 => "Void",
        0x02 => "Boolean",
        0x03 => "Char",
        0x04 => "SByte",
        0x05 => "Byte",
        0x06 => "Int16",
        0x07 => "UInt16",
        0x08 => "Int32",
        0x09 => "UInt32",
        0x0a => "Int64",
        0x0b => "UInt64",
        0x0c => "Single",
        0x0d => "Double",
        0x0e => "System.String",
        0x16 => "TypedReference",
        0x18 => "IntPtr",
        0x19 => "UIntPtr",
        0x1c => "System.Object",
        _ => return None,
    })
}

/// `System.Int32` as signatures write it.
pub(super) fn short(name: &str) -> &str {
    let simple = name.strip_prefix("System.").unwrap_or(name);
    let known = (1..=0x1c).filter_map(primitive).any(|p| p == simple && !p.contains('.'));
    if known { simple } else { name }
}

/// Reads one signature.
pub(super) struct Signature<'a> {
    pub(super) metadata: Option<&'a Metadata>,
    pub(super) bytes: &'a [u8],
    /// Names of the type arguments of the type and of the method.
    pub(super) of_type: &'a [String],
    pub(super) of_method: &'a [String],
    /// Names a type handle.
    pub(super) handle: &'a dyn Fn(Va) -> String,
    pub(super) at: usize,
    /// Types that may still be named: specifications can name each other.
    pub(super) budget: &'a Cell<u32>,
}

impl Signature<'_> {
    fn number(&mut self) -> Option<u32> {
        let (value, len) = compressed(self.bytes.get(self.at..)?)?;
        self.at = self.at.checked_add(len)?;
        Some(value)
    }

    /// The parameter list of a method: `(Int32, System.String)`.
    pub(super) fn parameters(&mut self, depth: usize) -> Option<String> {
        let convention = self.number()?;
        if convention & 0x10 != 0 {
            self.number()?;
        }
        let count = self.number()?.min(MAX_LIST);
        self.type_name(depth)?;
        let list = self.list(count, ", ", depth)?;
        Some(format!("({list})"))
    }

    fn list(&mut self, count: u32, between: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        for i in 0..count {
            if i > 0 {
                out.push_str(between);
            }
            out.push_str(&self.type_name(depth + 1)?);
            if out.len() > MAX_TEXT {
                return None;
            }
        }
        Some(out)
    }

    /// The type at the position.
    pub(super) fn type_name(&mut self, depth: usize) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.budget.set(self.budget.get().checked_sub(1)?);
        let element = self.number()?;
        if let Some(name) = primitive(element) {
            return Some(name.to_owned());
        }
        Some(match element {
            0x0f => format!("{}*", self.type_name(depth + 1)?),
            0x10 => format!("{} ByRef", self.type_name(depth + 1)?),
            0x11 | 0x12 => self.token(depth)?,
            0x13 => {
                let n = self.number()?;
                argument(self.of_type, n).unwrap_or_else(|| format!("!{n}"))
            }
            0x1e => {
                let n = self.number()?;
                argument(self.of_method, n).unwrap_or_else(|| format!("!!{n}"))
            }
            0x14 => {
                let inner = self.type_name(depth + 1)?;
                let rank = self.number()?.clamp(1, 32);
                for _ in 0..2 {
                    for _ in 0..self.number()?.min(MAX_LIST) {
                        self.number()?;
                    }
                }
                let commas = ",".repeat(usize::try_from(rank).ok()?.saturating_sub(1));
                format!("{inner}[{commas}]")
            }
            0x15 => {
                self.number()?;
                let generic = self.token(depth)?;
                let count = self.number()?.min(MAX_LIST);
                format!("{generic}<{}>", self.list(count, ",", depth)?)
            }
            0x1b => format!("FnPtr{}", self.parameters(depth + 1)?),
            0x1d => format!("{}[]", self.type_name(depth + 1)?),
            0x1f | 0x20 => {
                self.token(depth)?;
                self.type_name(depth + 1)?
            }
            0x21 => self.internal()?,
            0x22 => {
                self.at = self.at.checked_add(1)?;
                self.internal()?
            }
            0x41 => "...".to_owned(),
            0x45 => self.type_name(depth + 1)?,
            _ => return None,
        })
    }

    fn internal(&mut self) -> Option<String> {
        let handle = u64_at(self.bytes, self.at)?;
        self.at = self.at.checked_add(8)?;
        Some((self.handle)(Va(handle)))
    }

    /// The name behind a TypeDefOrRef: the innermost simple name (a nested type's namespace is empty).
    fn token(&mut self, depth: usize) -> Option<String> {
        let coded = self.number()?;
        let row = coded >> 2;
        let Some(metadata) = self.metadata else { return Some("?".to_owned()) };
        let last = |mut names: Vec<String>| names.pop();
        match coded & 3 {
            0 => last(metadata.type_def(row)),
            1 => last(metadata.type_ref(row)),
            _ => {
                let bytes = metadata.blob(table::TYPE_SPEC, row, 0)?;
                let mut inner = Signature { bytes, at: 0, ..*self };
                inner.type_name(depth + 1)
            }
        }
    }
}

fn argument(of: &[String], n: u32) -> Option<String> {
    of.get(usize::try_from(n).ok()?).cloned()
}
