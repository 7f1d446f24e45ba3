//! The rows of an aggregate: members with those of its base classes, as `dt` lists them.

use super::{MAX_DEPTH, MAX_MEMBERS, MemberKind, Type, TypeId, TypeProvider, bare};

/// Most classes that are looked at for one list of rows.
const MAX_CLASSES: usize = 1 << 12;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name as WinDbg shows it (`__VFN_table` for table pointers). Untrusted.
    pub name: String,
    /// Name of the class that declares it. Untrusted.
    pub owner: String,
    /// Its type; [`TypeId::NONE`] for table pointers.
    pub ty: TypeId,
    /// What it is and where.
    pub kind: RowKind,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Data at an offset from the start of the object, in bytes.
    Field(u64),
    /// A pointer to a table of virtual functions, at an offset.
    FunctionTable(u64),
    /// A static member.
    Static,
    /// A virtual base class, whose place depends on the object: offset of the pointer to the table of base
    /// offsets, and the index in that table.
    VirtualBase(u64, u64),
}

/// The rows of `id` in the order of its definition, base classes first and flattened. Empty for other types.
#[must_use]
pub fn rows(types: &dyn TypeProvider, id: TypeId) -> Vec<Row> {
    let mut out = Vec::new();
    add(types, id, 0, 0, &mut 0, &mut out);
    out
}

/// `visited` bounds the classes that are looked at: bases without members could be nested into a maze.
fn add(types: &dyn TypeProvider, id: TypeId, at: u64, depth: usize, visited: &mut usize, out: &mut Vec<Row>) {
    let (id, Type::Udt { name: owner, .. }) = bare(types, id) else { return };
    *visited = visited.saturating_add(1);
    if depth >= MAX_DEPTH || *visited > MAX_CLASSES {
        return;
    }
    for m in types.members(id) {
        if out.len() >= MAX_MEMBERS {
            return;
        }
        let mut push = |name: String, ty, kind| out.push(Row { name, owner: owner.clone(), ty, kind });
        match m.kind {
            MemberKind::Field { ty, offset } => push(m.name, ty, RowKind::Field(at.saturating_add(offset))),
            MemberKind::Static { ty } => push(m.name, ty, RowKind::Static),
            MemberKind::FunctionTable { offset } => {
                push("__VFN_table".into(), TypeId::NONE, RowKind::FunctionTable(at.saturating_add(offset)));
            }
            MemberKind::Base { ty, offset } => {
                add(types, ty, at.saturating_add(offset), depth.saturating_add(1), visited, out);
            }
            MemberKind::VirtualBase { ty, table, index } => {
                let name = match bare(types, ty).1 {
                    Type::Udt { name, .. } => name,
                    _ => String::new(),
                };
                push(name, ty, RowKind::VirtualBase(at.saturating_add(table), index));
            }
            MemberKind::Nested { .. } | MemberKind::Method { .. } => {}
        }
    }
}
