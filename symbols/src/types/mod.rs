//! Types: layouts, their names as WinDbg writes them, and values as text.
//!
//! A [`TypeProvider`] answers from one source: a PDB, or the layouts that dumpscope knows of its own
//! ([`builtin()`]). Type ids are only good with the provider that gave them.

mod base;
mod builtin;
mod flat;
mod names;
mod value;
mod win32;

pub(crate) use base::decode as decode_base;
pub use base::{Base, BaseKind};
pub use builtin::builtin;
pub use flat::{Row, RowKind, rows};
pub use names::{cpp_name, declared_name, dt_name, parameter_list};
pub use value::{
    Data, UNREADABLE, ValueCx, dt_value, file_time, float, general, inline_value, special_value,
    table_pointer, unread,
};
pub use win32::win32;

use crate::provider::SymbolSource;
use std::fmt;

/// Deepest chain of types that any function here follows.
pub const MAX_DEPTH: usize = 64;

/// A type of one provider. Below 0x1000: CodeView's built-in types, the same for all providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl TypeId {
    /// No type, or one that the source does not tell.
    pub const NONE: TypeId = TypeId(0);
    /// `void`.
    pub const VOID: TypeId = TypeId(3);
}

/// Where types come from, for the answer to say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeSource {
    /// A symbol file.
    File(SymbolSource),
    /// dumpscope's own table; the text names what it was made from.
    BuiltIn(&'static str),
}

impl fmt::Display for TypeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeSource::File(SymbolSource::PrivatePdb) => f.write_str("private PDB"),
            TypeSource::File(SymbolSource::PublicPdb) => f.write_str("public PDB"),
            TypeSource::File(_) => f.write_str("symbol file"),
            TypeSource::BuiltIn(from) => f.write_str(from),
        }
    }
}

/// What sort of aggregate a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdtKind {
    /// `struct`.
    Struct,
    /// `class`.
    Class,
    /// `union`.
    Union,
    /// `__interface`.
    Interface,
}

impl UdtKind {
    /// The keyword.
    #[must_use]
    pub fn keyword(self) -> &'static str {
        match self {
            UdtKind::Struct => "struct",
            UdtKind::Class => "class",
            UdtKind::Union => "union",
            UdtKind::Interface => "interface",
        }
    }
}

/// What a pointer type points with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointerKind {
    /// `*`.
    Pointer,
    /// `&` or `&&`.
    Reference,
    /// A pointer to a member of a class: an offset, not an address.
    Member,
}

/// A type, one level deep. Names are untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A built-in type.
    Base(Base),
    /// A pointer or reference.
    Pointer {
        /// What it points to.
        to: TypeId,
        /// Bytes.
        size: u8,
        /// Pointer, reference or member pointer.
        kind: PointerKind,
    },
    /// `const`, `volatile` or unaligned.
    Modified(TypeId),
    /// An array.
    Array {
        /// Element.
        element: TypeId,
        /// Elements; 0 when the element's size is not known or the array has no length.
        count: u64,
        /// Bytes.
        size: u64,
    },
    /// Some bits of an integer.
    BitField {
        /// The integer type.
        of: TypeId,
        /// Lowest bit.
        pos: u8,
        /// Bits.
        len: u8,
    },
    /// A function.
    Function {
        /// What it returns.
        ret: TypeId,
        /// Parameters without `this`.
        params: Vec<TypeId>,
        /// Type of `this`, for functions of classes that have one.
        this: Option<TypeId>,
        /// CodeView's calling convention: 0 cdecl, 4 fastcall, 7 stdcall, 11 thiscall.
        call: u8,
    },
    /// A class, structure or union.
    Udt {
        /// Which of them.
        kind: UdtKind,
        /// Name with scopes. Untrusted.
        name: String,
        /// Bytes; `None` when only its name is known.
        size: Option<u64>,
    },
    /// An enumeration.
    Enum {
        /// Name with scopes. Untrusted.
        name: String,
        /// The integer type.
        underlying: TypeId,
    },
    /// Table of virtual functions, with its number of entries.
    FunctionTable(u16),
    /// Not known.
    Unknown,
}

/// A part of an aggregate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name; empty for bases and table pointers. Untrusted.
    pub name: String,
    /// What it is and where.
    pub kind: MemberKind,
}

/// What a part of an aggregate is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemberKind {
    /// Data at an offset in bytes.
    Field {
        /// Type.
        ty: TypeId,
        /// Bytes from the start of the aggregate.
        offset: u64,
    },
    /// A static member.
    Static {
        /// Type.
        ty: TypeId,
    },
    /// A base class.
    Base {
        /// Type.
        ty: TypeId,
        /// Bytes from the start of the aggregate.
        offset: u64,
    },
    /// A virtual base class: where it lies is only known for an object.
    VirtualBase {
        /// Type.
        ty: TypeId,
        /// Offset of the pointer to the table of base offsets.
        table: u64,
        /// Index in that table.
        index: u64,
    },
    /// The pointer to the table of virtual functions.
    FunctionTable {
        /// Bytes from the start of the aggregate.
        offset: u64,
    },
    /// A type defined inside.
    Nested {
        /// Type.
        ty: TypeId,
    },
    /// A function.
    Method {
        /// Type; [`TypeId::NONE`] for a set of functions with one name.
        ty: TypeId,
    },
}

/// An enumerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumerator {
    /// Name. Untrusted.
    pub name: String,
    /// Value.
    pub value: i128,
}

/// Types of one source.
pub trait TypeProvider: Send + Sync + fmt::Debug {
    /// Where the types come from.
    fn type_source(&self) -> TypeSource;

    /// Bytes of a pointer of the machine.
    fn pointer_bytes(&self) -> u8;

    /// Definitions with this name (with scopes), typedefs included; several when the program has several.
    fn find_type(&self, name: &str, ignore_case: bool) -> Vec<TypeId>;

    /// Calls `f` for every named definition until it returns false.
    fn each_type(&self, f: &mut dyn FnMut(TypeId, &str) -> bool);

    /// The type; declarations lead to their definition when there is one.
    fn get_type(&self, id: TypeId) -> Type;

    /// Parts of an aggregate in the order of its definition. At most [`MAX_MEMBERS`].
    fn members(&self, id: TypeId) -> Vec<Member>;

    /// Enumerators of an enumeration. At most [`MAX_MEMBERS`].
    fn enumerators(&self, id: TypeId) -> Vec<Enumerator>;
}

/// Most members or enumerators of one type.
pub const MAX_MEMBERS: usize = 1 << 16;

/// `id` without `const` and `volatile`.
#[must_use]
pub fn bare(types: &dyn TypeProvider, id: TypeId) -> (TypeId, Type) {
    let mut id = id;
    for _ in 0..MAX_DEPTH {
        match types.get_type(id) {
            Type::Modified(inner) => id = inner,
            other => return (id, other),
        }
    }
    (id, Type::Unknown)
}

/// Bytes of a type, when known.
#[must_use]
pub fn size_of(types: &dyn TypeProvider, id: TypeId) -> Option<u64> {
    let mut id = id;
    for _ in 0..MAX_DEPTH {
        id = match types.get_type(id) {
            Type::Base(b) => return (b.size != 0).then_some(b.size.into()),
            Type::Pointer { size, .. } => return Some(size.into()),
            Type::Array { size, .. } => return Some(size),
            Type::Udt { size, .. } => return size,
            Type::Modified(inner) | Type::BitField { of: inner, .. } => inner,
            Type::Enum { underlying, .. } => underlying,
            _ => return None,
        };
    }
    None
}
