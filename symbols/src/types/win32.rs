//! The structures, enumerations and interfaces of the Win32 table, as types.
//!
//! Names of other types (`HANDLE`, `BOOL`) are what they stand for, as in a PDB; members of structures without a name are
//! those of the structure around them.

use super::{Enumerator, Member, MemberKind, PointerKind, Type, TypeId, TypeProvider, TypeSource, UdtKind};
use super::{decode_base, size_of};
use dumpscope_core::Machine;
use dumpscope_win32::{Arch, Base, Definition, Ty, TypeId as Id, TypeKind, table};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// What the answer says of such types.
const FROM: &str = "from the Win32 table";
/// The table's types have numbers from here on.
const FIRST: u32 = 0x1000;
/// `GUID`, which the metadata takes for built in.
const GUID: TypeId = TypeId(0x0fff_ffff);
/// Pointers, arrays and bit fields.
const MADE: u32 = 0x1000_0000;
/// Most of them.
const MAX_MADE: usize = 1 << 20;
/// Deepest chain of names, pointers and structures without a name.
const MAX_DEPTH: usize = 16;

/// The table's types for a machine.
#[must_use]
pub fn win32(machine: Machine) -> &'static dyn TypeProvider {
    static X86: OnceLock<Win32> = OnceLock::new();
    static X64: OnceLock<Win32> = OnceLock::new();
    static ARM64: OnceLock<Win32> = OnceLock::new();
    let (slot, arch) = match machine {
        Machine::X86 => (&X86, Arch::X86),
        Machine::Arm64 => (&ARM64, Arch::Arm64),
        _ => (&X64, Arch::X64),
    };
    slot.get_or_init(|| Win32 { arch, made: Mutex::default() })
}

#[derive(Debug)]
struct Win32 {
    arch: Arch,
    made: Mutex<Made>,
}

/// A type that is made of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    Pointer(TypeId),
    Array(TypeId, u32),
    Bits(TypeId, u8, u8),
}

#[derive(Debug, Default)]
struct Made {
    list: Vec<Part>,
    ids: HashMap<Part, u32>,
}

impl Win32 {
    fn make(&self, part: Part) -> TypeId {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = made.ids.get(&part) {
            return TypeId(*id);
        }
        if made.list.len() >= MAX_MADE {
            return TypeId::NONE;
        }
        let id = MADE.saturating_add(u32::try_from(made.list.len()).unwrap_or(0));
        made.list.push(part);
        made.ids.insert(part, id);
        TypeId(id)
    }

    fn part(&self, id: TypeId) -> Option<Part> {
        let index = usize::try_from(id.0.checked_sub(MADE)?).ok()?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).list.get(index).copied()
    }

    fn named(&self, id: TypeId) -> Option<Id> {
        let number = id.0.checked_sub(FIRST).filter(|_| id.0 < GUID.0)?;
        Some(Id(number))
    }

    fn base(&self, base: Base) -> TypeId {
        let wide = self.arch != Arch::X86;
        TypeId(match base {
            Base::Void => TypeId::VOID.0,
            Base::Bool | Base::U8 => 0x20,
            Base::I8 => 0x70,
            Base::U16 => 0x21,
            Base::I16 => 0x11,
            Base::I32 => 0x12,
            Base::U64 => 0x23,
            Base::I64 => 0x13,
            Base::F32 => 0x40,
            Base::F64 => 0x41,
            Base::Usize => 0x22 + u32::from(wide),
            Base::Isize => 0x12 + u32::from(wide),
            Base::Char16 => 0x71,
            Base::Guid => GUID.0,
            _ => 0x22,
        })
    }

    fn ty(&self, ty: &Ty, depth: usize) -> TypeId {
        if depth > MAX_DEPTH {
            return TypeId::NONE;
        }
        match ty {
            Ty::Base(base) => self.base(*base),
            Ty::Pointer(to) => self.make(Part::Pointer(self.ty(to, depth + 1))),
            Ty::Array(of, count) => self.make(Part::Array(self.ty(of, depth + 1), *count)),
            Ty::Named(id) => {
                let id = table().for_arch(*id, self.arch);
                let own = TypeId(FIRST.saturating_add(id.0));
                match table().type_info(id).map(|i| i.kind) {
                    Some(TypeKind::Interface | TypeKind::Callback) => self.make(Part::Pointer(own)),
                    Some(TypeKind::Alias) => match table().definition(id) {
                        Some(Definition::Alias { to, .. }) => self.ty(&to, depth + 1),
                        _ => TypeId::NONE,
                    },
                    Some(_) => own,
                    None => TypeId::NONE,
                }
            }
        }
    }

    fn fields(&self, id: Id, out: &mut Vec<Member>) {
        for (offset, field) in table().flat_layout(id, self.arch).unwrap_or_default() {
            if out.len() >= super::MAX_MEMBERS {
                return;
            }
            let ty = self.ty(&field.ty, 0);
            let mut add =
                |name: String, ty| out.push(Member { name, kind: MemberKind::Field { ty, offset } });
            if field.bits.is_empty() {
                add(field.name, ty);
            }
            for b in field.bits {
                add(b.name, self.make(Part::Bits(ty, b.pos, b.len)));
            }
        }
    }

    /// The table's type that stands for a name: of a handle what it is.
    fn whole(&self, id: Id) -> Option<TypeId> {
        let info = table().type_info(id)?;
        let bit = match self.arch {
            Arch::X86 => 1,
            Arch::X64 => 2,
            Arch::Arm64 => 4,
        };
        if info.arch & bit == 0 {
            return None;
        }
        match info.kind {
            TypeKind::Alias => Some(self.ty(&Ty::Named(id), 0)),
            TypeKind::Class => None,
            _ => Some(TypeId(FIRST.saturating_add(id.0))),
        }
    }
}

impl TypeProvider for Win32 {
    fn type_source(&self) -> TypeSource {
        TypeSource::BuiltIn(FROM)
    }

    fn pointer_bytes(&self) -> u8 {
        if self.arch == Arch::X86 { 4 } else { 8 }
    }

    /// Also by the names that C headers have: `_GUID`, `tagMSG`, `STARTUPINFO`.
    fn find_type(&self, name: &str, ignore_case: bool) -> Vec<TypeId> {
        let plain = name.trim_start_matches('_');
        if plain == "GUID" {
            return vec![GUID];
        }
        let mut ids = table().types_of_headers(name, self.arch);
        if ids.is_empty() && ignore_case {
            let untagged = plain.strip_prefix("tag").unwrap_or(plain);
            table().each_type(&mut |id, info| {
                if [name, plain, untagged].iter().any(|n| info.name.eq_ignore_ascii_case(n)) {
                    ids.push(id);
                }
                true
            });
        }
        ids.into_iter().filter_map(|id| self.whole(id)).collect()
    }

    fn each_type(&self, f: &mut dyn FnMut(TypeId, &str) -> bool) {
        table().each_type(&mut |id, info| {
            let own = if info.kind == TypeKind::Alias { None } else { self.whole(id) };
            own.is_none_or(|own| f(own, &info.name))
        });
    }

    fn get_type(&self, id: TypeId) -> Type {
        if id == GUID {
            return Type::Udt { kind: UdtKind::Struct, name: "_GUID".to_owned(), size: Some(16) };
        }
        if id.0 >= MADE {
            return match self.part(id) {
                Some(Part::Pointer(to)) => {
                    Type::Pointer { to, size: self.pointer_bytes(), kind: PointerKind::Pointer }
                }
                Some(Part::Array(element, count)) => {
                    let count = u64::from(count);
                    let each = size_of(self, element).unwrap_or(0);
                    Type::Array { element, count, size: count.saturating_mul(each) }
                }
                Some(Part::Bits(of, pos, len)) => Type::BitField { of, pos, len },
                None => Type::Unknown,
            };
        }
        let Some(number) = self.named(id) else { return decode_base(id, self.pointer_bytes()) };
        let Some(info) = table().type_info(number) else { return Type::Unknown };
        let size = || table().size_of(&Ty::Named(number), self.arch).map(|s| s.bytes);
        match (info.kind, table().definition(number)) {
            (TypeKind::Struct, _) => Type::Udt { kind: UdtKind::Struct, name: info.name, size: size() },
            (TypeKind::Union, _) => Type::Udt { kind: UdtKind::Union, name: info.name, size: size() },
            (TypeKind::Interface, _) => {
                let size = Some(self.pointer_bytes().into());
                Type::Udt { kind: UdtKind::Interface, name: info.name, size }
            }
            (TypeKind::Enum, Some(Definition::Enum { underlying, .. })) => {
                Type::Enum { name: info.name, underlying: self.base(underlying) }
            }
            (TypeKind::Callback, Some(Definition::Callback(s))) => Type::Function {
                ret: self.ty(&s.ret, 0),
                params: s.params.iter().map(|p| self.ty(&p.ty, 0)).collect(),
                this: None,
                call: 7,
            },
            _ => Type::Unknown,
        }
    }

    fn members(&self, id: TypeId) -> Vec<Member> {
        let field =
            |name: &str, offset, ty| Member { name: name.to_owned(), kind: MemberKind::Field { ty, offset } };
        if id == GUID {
            let rest = self.make(Part::Array(TypeId(0x20), 8));
            let half = TypeId(0x21);
            return vec![
                field("Data1", 0, TypeId(0x22)),
                field("Data2", 4, half),
                field("Data3", 6, half),
                field("Data4", 8, rest),
            ];
        }
        let Some(number) = self.named(id) else { return Vec::new() };
        let mut out = Vec::new();
        match table().type_info(number).map(|i| i.kind) {
            Some(TypeKind::Interface) => {
                out.push(Member { name: String::new(), kind: MemberKind::FunctionTable { offset: 0 } });
            }
            Some(TypeKind::Struct | TypeKind::Union) => self.fields(number, &mut out),
            _ => {}
        }
        out
    }

    fn enumerators(&self, id: TypeId) -> Vec<Enumerator> {
        let Some(number) = self.named(id) else { return Vec::new() };
        let all = table().members(number).into_iter();
        all.map(|(name, value)| Enumerator { name, value: value.into() }).collect()
    }
}
