//! Layouts without structures inside that have no name.

use crate::format::Table;
use crate::ty::{Arch, Ty, TypeId};
use crate::types::{Field, MAX_NESTING, MAX_PARTS, TypeKind};

impl Table {
    /// As [`Table::layout`], with the fields of structures without a name and of inherited ones in place of these: as
    /// compilers and symbol files show them.
    #[must_use]
    pub fn flat_layout(&self, id: TypeId, arch: Arch) -> Option<Vec<(u64, Field)>> {
        let mut out = Vec::new();
        self.flatten(id, arch, 0, 0, &mut out)?;
        Some(out)
    }

    fn flatten(
        &self,
        id: TypeId,
        arch: Arch,
        at: u64,
        depth: usize,
        out: &mut Vec<(u64, Field)>,
    ) -> Option<()> {
        for (n, (offset, field)) in self.layout(id, arch)?.into_iter().enumerate() {
            let offset = at.saturating_add(offset);
            let inner = match &field.ty {
                Ty::Named(inner) if depth < MAX_NESTING && out.len() < MAX_PARTS => {
                    let info = self.type_info(*inner)?;
                    let structure = matches!(info.kind, TypeKind::Struct | TypeKind::Union);
                    // `Anonymous`, `Anonymous1`, …: the metadata's names for what has none; `Base`: what it inherits.
                    let rest = field.name.strip_prefix("Anonymous");
                    let nameless =
                        rest.is_some_and(|r| r.chars().all(|c| c.is_ascii_digit())) && info.outer.is_some();
                    let base = n == 0 && matches!(field.name.as_str(), "Base" | "__AnonymousBase" | "base");
                    (structure && (nameless || base)).then_some(*inner)
                }
                _ => None,
            };
            match inner {
                Some(inner) => self.flatten(inner, arch, offset, depth + 1, out)?,
                None => out.push((offset, field)),
            }
        }
        Some(())
    }
}
