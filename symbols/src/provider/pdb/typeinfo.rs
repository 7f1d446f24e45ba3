//! The types of a PDB.

use super::PdbProvider;
use super::bytes::{Bytes, word};
use super::hash::{find, hash};
use super::ids::pointer_size;
use super::leaf::{self, Field, Fields, Leaf, Udt};
use super::records::Record;
use crate::types::{
    Enumerator, MAX_MEMBERS, Member, MemberKind, PointerKind, Type, TypeId, TypeProvider, TypeSource, UdtKind,
};

/// Most records that one field list may be spread over.
const MAX_LISTS: usize = 1024;
/// Most definitions with one name that are returned.
const MAX_SAME: usize = 256;

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Definitions of named types by the hash of their name, made when the file's own table does not help.
#[derive(Debug, Default)]
pub(super) struct TypeNames(Vec<(u32, u32)>);

impl PdbProvider {
    pub(super) fn type_names(&self) -> &TypeNames {
        self.type_names.get_or_init(|| {
            let Some(types) = self.type_stream() else { return TypeNames::default() };
            let mut all: Vec<(u32, u32)> = types
                .each()
                .filter_map(|(index, kind, data)| match Leaf::decode(kind, data) {
                    Leaf::Udt(u) if !u.is_forward() => Some((hash(u.name), index)),
                    _ => None,
                })
                .collect();
            all.sort_unstable();
            TypeNames(all)
        })
    }

    /// Definitions whose name has this hash, from the table over all types.
    pub(super) fn types_hashed(&self, hash: u32) -> Vec<u32> {
        let table = &self.type_names().0;
        let from = table.partition_point(|e| e.0 < hash);
        let hits = table.get(from..).unwrap_or_default().iter().take_while(|e| e.0 == hash);
        hits.map(|e| e.1).collect()
    }

    fn udt(&self, id: TypeId) -> Option<Udt<'_>> {
        match self.leaf(self.definition(id.0)) {
            Leaf::Udt(u) => Some(u),
            _ => None,
        }
    }

    /// Calls `f` for the entries of a field list, over all records it is spread over.
    fn each_field(&self, list: u32, f: &mut dyn FnMut(Field<'_>)) {
        let mut list = list;
        let mut left = MAX_MEMBERS;
        for _ in 0..MAX_LISTS {
            let Leaf::FieldList(data) = self.leaf(list) else { return };
            let mut next = None;
            for field in Fields(Bytes(data)) {
                if left == 0 {
                    return;
                }
                left = left.saturating_sub(1);
                match field {
                    Field::Continued(to) => next = Some(to),
                    other => f(other),
                }
            }
            match next {
                Some(to) => list = to,
                None => return,
            }
        }
    }
}

impl TypeProvider for PdbProvider {
    fn type_source(&self) -> TypeSource {
        TypeSource::File(self.source)
    }

    fn pointer_bytes(&self) -> u8 {
        u8::try_from(self.container.machine.ptr_size()).unwrap_or(8)
    }

    fn find_type(&self, name: &str, ignore_case: bool) -> Vec<TypeId> {
        let Some(types) = self.type_stream() else { return Vec::new() };
        let same = |n: &[u8]| {
            if ignore_case { n.eq_ignore_ascii_case(name.as_bytes()) } else { n == name.as_bytes() }
        };
        let is = |i: &u32| matches!(self.leaf(*i), Leaf::Udt(u) if !u.is_forward() && same(u.name));
        let h = hash(name.as_bytes());
        let mut out: Vec<TypeId> = Vec::new();
        for index in types.with_hash(h).unwrap_or_default().into_iter().filter(is).take(MAX_SAME) {
            out.push(TypeId(index));
        }
        // The file's table has all but the types inside functions, which it files under their decorated names. Making
        // a table of our own reads all types: not for every name that a module does not have.
        if out.is_empty() && (name.contains("::") || !types.has_hashes()) {
            out.extend(self.types_hashed(h).into_iter().filter(is).take(MAX_SAME).map(TypeId));
        }
        if out.is_empty() {
            for raw in find(self.global_hash(), self.records(), name, ignore_case) {
                if let Record::Udt { ty, .. } = raw.decode() {
                    let id = TypeId(self.definition(ty));
                    if !out.contains(&id) {
                        out.push(id);
                    }
                }
            }
        }
        out
    }

    fn each_type(&self, f: &mut dyn FnMut(TypeId, &str) -> bool) {
        let Some(types) = self.type_stream() else { return };
        for (index, kind, data) in types.each() {
            if let Leaf::Udt(u) = Leaf::decode(kind, data)
                && !u.is_forward()
                && !f(TypeId(index), &String::from_utf8_lossy(u.name))
            {
                return;
            }
        }
    }

    fn get_type(&self, id: TypeId) -> Type {
        if id.0 < 0x1000 {
            return crate::types::decode_base(id, self.pointer_bytes());
        }
        match self.leaf(id.0) {
            Leaf::Modifier { ty, .. } => Type::Modified(TypeId(ty)),
            Leaf::Pointer { ty, bits } => Type::Pointer {
                to: TypeId(ty),
                size: u8::try_from(pointer_size(bits, self.container.machine)).unwrap_or(u8::MAX),
                kind: match bits >> 5 & 7 {
                    1 | 4 => PointerKind::Reference,
                    2 | 3 => PointerKind::Member,
                    _ => PointerKind::Pointer,
                },
            },
            Leaf::Function { ret, this, call, args, .. } => {
                let params = match self.leaf(args) {
                    Leaf::Arguments(list) => {
                        (0..list.len() / 4).filter_map(|i| word(list, i)).map(TypeId).collect()
                    }
                    _ => Vec::new(),
                };
                Type::Function { ret: TypeId(ret), params, this: (this != 0).then_some(TypeId(this)), call }
            }
            Leaf::BitField { ty, len, pos } => Type::BitField { of: TypeId(ty), pos, len },
            Leaf::Array { element, size } => {
                let each = self.size_of_type(element).map_or(0, u64::from);
                Type::Array { element: TypeId(element), count: size.checked_div(each).unwrap_or(0), size }
            }
            Leaf::TableShape { count } => Type::FunctionTable(count),
            Leaf::Udt(_) => match self.udt(id) {
                Some(u) if u.kind == leaf::UdtKind::Enum => {
                    Type::Enum { name: text(u.name), underlying: TypeId(u.underlying) }
                }
                Some(u) => Type::Udt {
                    kind: match u.kind {
                        leaf::UdtKind::Class => UdtKind::Class,
                        leaf::UdtKind::Union => UdtKind::Union,
                        leaf::UdtKind::Interface => UdtKind::Interface,
                        leaf::UdtKind::Struct | leaf::UdtKind::Enum => UdtKind::Struct,
                    },
                    name: text(u.name),
                    size: (!u.is_forward()).then_some(u.size),
                },
                None => Type::Unknown,
            },
            _ => Type::Unknown,
        }
    }

    fn members(&self, id: TypeId) -> Vec<Member> {
        let mut out = Vec::new();
        let Some(udt) = self.udt(id) else { return out };
        self.each_field(udt.fields, &mut |field| {
            let (name, kind) = match field {
                Field::Member { ty, offset, name } => (name, MemberKind::Field { ty: TypeId(ty), offset }),
                Field::Static { ty, name } => (name, MemberKind::Static { ty: TypeId(ty) }),
                Field::Base { ty, offset } => (&b""[..], MemberKind::Base { ty: TypeId(ty), offset }),
                Field::VirtualBase { ty, pointer, index } => {
                    (&b""[..], MemberKind::VirtualBase { ty: TypeId(ty), table: pointer, index })
                }
                Field::Table { offset, .. } => {
                    (&b""[..], MemberKind::FunctionTable { offset: offset.into() })
                }
                Field::Nested { ty, name } => (name, MemberKind::Nested { ty: TypeId(ty) }),
                Field::Method { ty, name } => (name, MemberKind::Method { ty: TypeId(ty) }),
                Field::Overloads { name } => (name, MemberKind::Method { ty: TypeId::NONE }),
                Field::Enumerator { .. } | Field::Continued(_) => return,
            };
            out.push(Member { name: text(name), kind });
        });
        out
    }

    fn enumerators(&self, id: TypeId) -> Vec<Enumerator> {
        let mut out = Vec::new();
        let Some(udt) = self.udt(id) else { return out };
        self.each_field(udt.fields, &mut |field| {
            if let Field::Enumerator { value, name } = field {
                out.push(Enumerator { name: text(name), value: value.0 });
            }
        });
        out
    }
}
