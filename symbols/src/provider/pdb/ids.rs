//! Names of inlined functions and sizes of variables, from the id and type streams.

use super::PdbProvider;
use super::leaf::{Leaf, Udt};
use dumpscope_core::Machine;

/// Most type records that are followed for one size (modifiers, forward references).
const MAX_FOLLOW: usize = 32;

impl PdbProvider {
    pub(super) fn leaf(&self, ty: u32) -> Leaf<'_> {
        let record = self.type_stream().and_then(|t| t.get(ty));
        record.map_or(Leaf::Other, |(kind, data)| Leaf::decode(kind, data))
    }

    fn id_leaf(&self, id: u32) -> Leaf<'_> {
        let record = self.ids().and_then(|t| t.get(id));
        record.map_or(Leaf::Other, |(kind, data)| Leaf::decode(kind, data))
    }

    /// The index in the type or id stream for one that a module's record holds, which may be a reference into
    /// another object file.
    pub(super) fn resolve(&self, module: u16, index: u32) -> Option<u32> {
        if index & 0x8000_0000 == 0 {
            return Some(index);
        }
        let importer = self.module(module)?;
        let import = importer.lines().import(importer.line_bytes(), index)?;
        let name = self.string(import.module)?;
        // The two lists are known to differ in letter case.
        let at = self.container.modules.iter().position(|m| m.name.eq_ignore_ascii_case(&name))?;
        let exporter = self.module(u16::try_from(at).ok()?)?;
        exporter.lines().export(exporter.line_bytes(), import.index)
    }

    /// Full name of a function of the id stream, without parameters.
    pub(super) fn function_name(&self, id: u32) -> Option<String> {
        let (scope, name) = match self.id_leaf(id) {
            Leaf::FunctionId { scope: 0, name, .. } => (&b""[..], name),
            Leaf::FunctionId { scope, name, .. } => match self.id_leaf(scope) {
                Leaf::StringId { name: scope } => (scope, name),
                _ => (&b""[..], name),
            },
            Leaf::MethodId { class, name, .. } => match self.leaf(class) {
                Leaf::Udt(u) => (u.name, name),
                _ => (&b""[..], name),
            },
            _ => return None,
        };
        let name = String::from_utf8_lossy(name);
        if scope.is_empty() {
            return Some(name.into_owned());
        }
        Some(format!("{}::{name}", String::from_utf8_lossy(scope)))
    }

    /// The function type that an item of the id stream has.
    pub(super) fn function_type(&self, id: u32) -> Option<u32> {
        match self.id_leaf(id) {
            Leaf::FunctionId { ty, .. } | Leaf::MethodId { ty, .. } => Some(ty),
            _ => None,
        }
    }

    /// The index of the definition for a forward reference; the index itself when there is none.
    pub(super) fn definition(&self, index: u32) -> u32 {
        let Leaf::Udt(udt) = self.leaf(index) else { return index };
        if !udt.is_forward() {
            return index;
        }
        self.defined(&udt).unwrap_or(index)
    }

    fn defined(&self, forward: &Udt<'_>) -> Option<u32> {
        let types = self.type_stream()?;
        let same = |u: &Udt<'_>| {
            !u.is_forward()
                && u.name == forward.name
                && (u.unique.is_empty() || forward.unique.is_empty() || u.unique == forward.unique)
        };
        let is = |index: &u32| matches!(self.leaf(*index), Leaf::Udt(u) if same(&u));
        // Definitions are hashed by name, or by decorated name for types inside functions.
        for name in [forward.name, forward.unique].into_iter().filter(|n| !n.is_empty()) {
            let hits = types.with_hash(super::hash::hash(name)).unwrap_or_default();
            if let Some(found) = hits.into_iter().find(is) {
                return Some(found);
            }
        }
        // Types without a name of their own are hashed over their whole record.
        self.types_hashed(super::hash::hash(forward.name)).into_iter().find(is)
    }

    /// Bytes of a type, when they are known and fit.
    pub(super) fn size_of_type(&self, ty: u32) -> Option<u32> {
        let mut ty = ty;
        for _ in 0..MAX_FOLLOW {
            if ty < 0x1000 {
                return primitive_size(ty);
            }
            ty = match self.leaf(ty) {
                Leaf::Modifier { ty, .. } | Leaf::BitField { ty, .. } => ty,
                Leaf::Pointer { bits, .. } => return Some(pointer_size(bits, self.container.machine)),
                Leaf::Array { size, .. } => return u32::try_from(size).ok(),
                Leaf::Udt(u) if u.is_forward() => match self.definition(ty) {
                    same if same == ty => return None,
                    other => other,
                },
                Leaf::Udt(u) if u.underlying != 0 => u.underlying,
                Leaf::Udt(u) => return u32::try_from(u.size).ok(),
                _ => return None,
            };
        }
        None
    }
}

/// Bytes of a pointer type.
pub(super) fn pointer_size(bits: u32, machine: Machine) -> u32 {
    match (bits >> 13 & 0x3f, bits & 0x1f) {
        (0, 0x0c) => 8,
        (0, 0x0a | 0x0b) => 4,
        (0, _) => u32::try_from(machine.ptr_size()).unwrap_or(8),
        (size, _) => size,
    }
}

/// Bytes of a built-in type; bits 8 to 11 make it a pointer.
pub(super) fn primitive_size(ty: u32) -> Option<u32> {
    match ty >> 8 & 0xf {
        0 => {}
        1..=3 => return Some(2),
        4 | 5 => return Some(4),
        6 => return Some(8),
        _ => return Some(16),
    }
    Some(match ty & 0xff {
        // Characters, signed and unsigned; 8-bit numbers; bool.
        0x10 | 0x20 | 0x68 | 0x69 | 0x70 | 0x7c | 0x30 => 1,
        0x11 | 0x21 | 0x71 | 0x72 | 0x73 | 0x7a | 0x31 | 0x46 => 2,
        0x12 | 0x22 | 0x74 | 0x75 | 0x7b | 0x32 | 0x40 | 0x08 => 4,
        0x13 | 0x23 | 0x76 | 0x77 | 0x33 | 0x41 => 8,
        0x42 => 10,
        0x14 | 0x24 | 0x78 | 0x79 | 0x43 => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_built_in_types() {
        assert_eq!(primitive_size(0x22), Some(4), "unsigned long");
        assert_eq!(primitive_size(0x71), Some(2), "wchar_t");
        assert_eq!(primitive_size(0x403), Some(4), "32-bit pointer to void");
        assert_eq!(primitive_size(0x603), Some(8), "64-bit pointer to void");
        assert_eq!(primitive_size(0x03), None, "void");
        assert_eq!(pointer_size(0x0a, Machine::Amd64), 4);
        assert_eq!(pointer_size(0x1_000c, Machine::Amd64), 8);
    }
}
