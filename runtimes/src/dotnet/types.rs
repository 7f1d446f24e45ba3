//! Types: from the runtime's records (MethodTable, TypeDesc) to names.
//!
//! Bits and slots: `methodtable.h` and `typehandle.h` of dotnet/runtime (MIT), checked on 8.0.33, 9.0.22, 10.0.14.

use super::Clr;
use super::layout::{Field, Release};
use super::metadata::{Metadata, table};
use super::modules::Module;
use dumpscope_core::Va;
use std::cell::Cell;
use std::sync::{Arc, PoisonError};

/// Deepest type in a name.
const MAX_DEPTH: usize = 12;
/// Most type arguments.
const MAX_ARGUMENTS: u16 = 128;
/// Most types in one name: arguments can name each other.
const BUDGET: u32 = 2000;
/// Most names that are kept.
const MAX_NAMES: usize = 1 << 18;

/// A type handle that is no MethodTable (`TypeDesc`): bit 1 is set.
fn is_type_desc(handle: Va) -> bool {
    handle.0 & 2 != 0
}

impl Clr {
    /// The type whose record holds the class: itself, or the one that shares its code.
    pub(super) fn canonical(&self, mt: Va) -> Option<Va> {
        let word = self.core.ptr(mt, Field::TypeClass)?.0;
        Some(if word & 1 == 1 { Va(word & !1) } else { mt })
    }

    /// The class record (EEClass).
    pub(super) fn class(&self, mt: Va) -> Option<Va> {
        self.core.target(self.canonical(mt)?, Field::TypeClass).filter(|c| c.0 & 1 == 0)
    }

    /// True when `mt` is a type: its class, or that of the type it shares code with, points back. Arrays share
    /// classes: theirs point to another array type.
    pub(super) fn is_type(&self, mt: Va) -> bool {
        let check = || {
            if mt.is_null() || mt.0 & 7 != 0 {
                return None;
            }
            let canonical = self.canonical(mt)?;
            let class = self.class(mt)?;
            let back = self.core.target(class, Field::ClassType)?;
            Some(back == canonical || (self.is_array(mt) && back.0 & 7 == 0 && self.class(back).is_some()))
        };
        check().unwrap_or(false)
    }

    /// The first flag word.
    pub(super) fn type_flags(&self, mt: Va) -> Option<u32> {
        self.core.u32(mt, Field::TypeFlags)
    }

    pub(super) fn is_array(&self, mt: Va) -> bool {
        self.type_flags(mt).is_some_and(|f| f & 0x000c_0000 == 0x0008_0000)
    }

    /// The type's row in the TypeDef table; 0 when the record cannot hold it (8: more than 65534 types).
    pub(super) fn type_row(&self, mt: Va) -> Option<u32> {
        if self.core.layout.release == Release::V8 {
            let row = self.core.u16(mt, Field::TypeToken8)?;
            return Some(if row == 0xffff { 0 } else { row.into() });
        }
        Some(self.core.u32(mt, Field::TypeFlags2)? >> 8)
    }

    /// The record of the module that defines a type.
    pub(super) fn type_module(&self, mt: Va) -> Option<Va> {
        if self.core.layout.release != Release::V8 {
            return self.core.target(mt, Field::TypeModule);
        }
        // 8 has the module that loaded the type. For plain types that is the one that defines it; generic and array
        // types say with bit 4 of the second flags that the other one is in one of the optional slots.
        let loader = |mt| self.core.target(mt, Field::TypeLoaderModule8);
        if self.type_flags(mt)? & 0x8000_0030 == 0 {
            return loader(mt);
        }
        let mt = if self.is_array(mt) { mt } else { self.canonical(mt)? };
        let present = self.core.u16(mt, Field::TypeFlags2)?;
        if present & 0x10 == 0 {
            return loader(mt);
        }
        // Slots in the order of their bits: two in the record, the others behind the chunks of virtual methods.
        let before = u64::from((present & 0xf).count_ones());
        let at = match before {
            0 | 1 => self.core.at(mt, Field::TypeInstance)?.offset(before * 8),
            n => {
                let chunks = u64::from(self.core.u16(mt, Field::TypeVirtuals)?).div_ceil(8);
                mt.offset(64 + chunks * 8 + (n - 2) * 8)
            }
        };
        self.core.deref(at)
    }

    /// Type arguments of a generic type.
    pub(super) fn type_arguments(&self, mt: Va) -> Option<Vec<Va>> {
        let flags = self.type_flags(mt)?;
        // With a component size the low bits are that.
        if flags & 0x8000_0000 != 0 || flags & 0x30 == 0 {
            return Some(Vec::new());
        }
        let dictionaries = self.core.target(mt, Field::TypeInstance)?;
        let info = dictionaries.back(8);
        let (count, arguments) =
            (self.core.u16(info, Field::DictCount)?, self.core.u16(info, Field::DictArguments)?);
        if count == 0 || count > MAX_ARGUMENTS || arguments > MAX_ARGUMENTS {
            return None;
        }
        let dictionary = self.core.deref(dictionaries.offset(u64::from(count - 1) * 8))?;
        self.handles(dictionary, arguments)
    }

    /// `count` type handles at `at`.
    pub(super) fn handles(&self, at: Va, count: u16) -> Option<Vec<Va>> {
        (0..u64::from(count.min(MAX_ARGUMENTS))).map(|i| self.core.deref(at.offset(i * 8))).collect()
    }

    pub(super) fn module(&self, address: Va) -> Arc<Module> {
        self.modules.get(&self.core, address)
    }

    /// Simple names of a type and those around it, outermost first.
    pub(super) fn type_parts(&self, mt: Va) -> Option<Vec<String>> {
        let module = self.module(self.type_module(mt)?);
        let parts = module.metadata(&self.core)?.type_def(self.type_row(mt)?);
        (!parts.is_empty()).then_some(parts)
    }

    /// A type's name with its arguments: `A.B<C>+D`. `None` when it cannot be read.
    pub(super) fn type_name(&self, mt: Va) -> Option<Arc<str>> {
        self.named(mt, 0, &Cell::new(BUDGET))
    }

    fn named(&self, mt: Va, depth: usize, budget: &Cell<u32>) -> Option<Arc<str>> {
        if let Some(name) = self.type_names.lock().unwrap_or_else(PoisonError::into_inner).get(&mt) {
            return Some(Arc::clone(name));
        }
        let name: Arc<str> = self.make_name(mt, depth, budget)?.into();
        let mut known = self.type_names.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_NAMES {
            known.insert(mt, Arc::clone(&name));
        }
        Some(name)
    }

    fn make_name(&self, mt: Va, depth: usize, budget: &Cell<u32>) -> Option<String> {
        if depth > MAX_DEPTH {
            return None;
        }
        budget.set(budget.get().checked_sub(1)?);
        if self.is_array(mt) {
            let element = self.core.target(mt, Field::TypeInstance)?;
            let inner = self.handle(element, depth + 1, budget)?;
            return Some(format!("{inner}[{}]", ",".repeat(self.rank(mt).saturating_sub(1))));
        }
        if self.is_free(mt) {
            return Some("Free".to_owned());
        }
        let parts = self.type_parts(mt)?;
        let arguments = self.type_arguments(mt)?;
        let names: Option<Vec<_>> =
            arguments.iter().map(|a| Some(self.handle(*a, depth + 1, budget)?.to_string())).collect();
        Some(join_generic(&parts, &names?))
    }

    /// Dimensions of an array type.
    pub(super) fn rank(&self, mt: Va) -> usize {
        // A vector says so in its flags; the class has the rank of the others.
        if self.type_flags(mt).is_some_and(|f| f & 0x000f_0000 == 0x0008_0000) {
            let rank = self.class(mt).and_then(|c| self.core.u8(c, Field::ArrayRank));
            return usize::from(rank.unwrap_or(1)).clamp(1, 32);
        }
        1
    }

    /// The type of free space: element size 1, base size 24, no class.
    pub(super) fn is_free(&self, mt: Va) -> bool {
        self.free_type == Some(mt)
    }

    /// The name of a type handle.
    pub(super) fn handle_name(&self, handle: Va) -> Option<Arc<str>> {
        self.handle(handle, 0, &Cell::new(BUDGET))
    }

    fn handle(&self, handle: Va, depth: usize, budget: &Cell<u32>) -> Option<Arc<str>> {
        if !is_type_desc(handle) {
            return self.named(Va(handle.0 & !3), depth, budget);
        }
        if depth > MAX_DEPTH {
            return None;
        }
        budget.set(budget.get().checked_sub(1)?);
        let desc = Va(handle.0 & !3);
        let kind = self.core.u32(desc, Field::TypeDescKind)? & 0xff;
        let inner =
            |clr: &Clr| clr.handle(clr.core.target(desc, Field::ParamTypeArgument)?, depth + 1, budget);
        Some(match kind {
            0x0f => format!("{}*", inner(self)?).into(),
            0x10 => format!("{}&", inner(self)?).into(),
            0x13 | 0x1e => {
                let module = self.module(self.core.target(desc, Field::TypeVarModule)?);
                let row = self.core.u32(desc, Field::TypeVarToken)? & 0x00ff_ffff;
                let name = module.metadata(&self.core).and_then(|m| m.name(table::GENERIC_PARAM, row, 3));
                name.unwrap_or_else(|| "T".to_owned()).into()
            }
            0x1b => "FnPtr".into(),
            _ => return None,
        })
    }

    /// As the runtime's debugger writes types in method names: `A`1+B[[C, Assembly]]`.
    pub(super) fn bracket_name(&self, handle: Va) -> Option<String> {
        self.brackets(handle, 0, &Cell::new(BUDGET))
    }

    fn brackets(&self, handle: Va, depth: usize, budget: &Cell<u32>) -> Option<String> {
        if is_type_desc(handle) {
            return self.handle(handle, depth, budget).map(|n| n.to_string());
        }
        if depth > MAX_DEPTH {
            return None;
        }
        budget.set(budget.get().checked_sub(1)?);
        if self.is_array(handle) {
            let element = self.core.target(handle, Field::TypeInstance)?;
            let commas = ",".repeat(self.rank(handle).saturating_sub(1));
            return Some(format!("{}[{commas}]", self.brackets(element, depth + 1, budget)?));
        }
        let mut text = self.type_parts(handle)?.join("+");
        let arguments = self.type_arguments(handle)?;
        if !arguments.is_empty() {
            text.push_str(&self.bracket_list(&arguments, depth, budget)?);
        }
        Some(text)
    }

    fn bracket_list(&self, arguments: &[Va], depth: usize, budget: &Cell<u32>) -> Option<String> {
        let one = |a: &Va| {
            let name = self.brackets(*a, depth + 1, budget)?;
            Some(match self.assembly_of(*a) {
                Some(assembly) => format!("[{name}, {assembly}]"),
                None => format!("[{name}]"),
            })
        };
        let all: Option<Vec<_>> = arguments.iter().map(one).collect();
        Some(format!("[{}]", all?.join(",")))
    }

    /// `[[A, Assembly],[B, Assembly]]`.
    pub(super) fn bracket_arguments(&self, arguments: &[Va]) -> Option<String> {
        self.bracket_list(arguments, 0, &Cell::new(BUDGET))
    }

    /// The assembly of a type; of its element for an array.
    pub(super) fn assembly_of(&self, handle: Va) -> Option<String> {
        let mut mt = handle;
        for _ in 0..MAX_DEPTH {
            if is_type_desc(mt) {
                return None;
            }
            if !self.is_array(mt) {
                return self.module(self.type_module(mt)?).metadata(&self.core).map(Metadata::assembly);
            }
            mt = self.core.target(mt, Field::TypeInstance)?;
        }
        None
    }
}

/// `[A`1, B`2]` and three arguments: `A<x>+B<y, z>`. Each level takes as many as its suffix says.
pub(super) fn join_generic(parts: &[String], arguments: &[String]) -> String {
    let mut rest = arguments;
    let mut out = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let arity = part.rsplit_once('`').and_then(|(name, n)| Some((name, n.parse::<usize>().ok()?)));
        let (name, count) = match arity {
            Some((name, n)) if !arguments.is_empty() => (name, n.min(rest.len())),
            _ => (part.as_str(), 0),
        };
        // What the suffixes do not name goes to the last level.
        let count = if i + 1 == parts.len() { rest.len() } else { count };
        let (mine, others) = rest.split_at(count);
        rest = others;
        out.push(if mine.is_empty() { name.to_owned() } else { format!("{name}<{}>", mine.join(", ")) });
    }
    out.join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(parts: &[&str], arguments: &[&str]) -> String {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        join_generic(&own(parts), &own(arguments))
    }

    #[test]
    fn arguments_go_to_the_level_that_declares_them() {
        assert_eq!(join(&["N.A`1", "B`2"], &["x", "y", "z"]), "N.A<x>+B<y, z>");
        assert_eq!(join(&["N.A`1", "Inner"], &["x"]), "N.A<x>+Inner");
        assert_eq!(join(&["N.A`1"], &[]), "N.A`1");
        assert_eq!(join(&["N.A"], &["x"]), "N.A<x>");
    }
}
