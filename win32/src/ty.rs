//! Types where they are used.

/// A type of the table, by its number: common ones have small numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

/// The machine whose layout is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 32-bit x86.
    X86,
    /// x64.
    X64,
    /// ARM64.
    Arm64,
}

impl Arch {
    /// Its bit in the table.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Arch::X86 => 1,
            Arch::X64 => 2,
            Arch::Arm64 => 4,
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub fn pointer(self) -> u64 {
        if self == Arch::X86 { 4 } else { 8 }
    }
}

/// A built-in type. Metadata does not tell `DWORD`, `UINT` and `ULONG` apart, so each size has one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Base {
    /// No value.
    Void,
    /// A byte that is 0 or 1.
    Bool,
    /// 8 bits without a sign.
    U8,
    /// 8 bits with a sign.
    I8,
    /// 16 bits without a sign.
    U16,
    /// 16 bits with a sign.
    I16,
    /// 32 bits without a sign.
    U32,
    /// 32 bits with a sign.
    I32,
    /// 64 bits without a sign.
    U64,
    /// 64 bits with a sign.
    I64,
    /// 32 bits with a fraction.
    F32,
    /// 64 bits with a fraction.
    F64,
    /// A number as long as a pointer.
    Usize,
    /// A number with a sign, as long as a pointer.
    Isize,
    /// A UTF-16 unit.
    Char16,
    /// 16 bytes.
    Guid,
}

/// In the order of the table's numbers; `win32-table/src/model.rs` has the same.
const BASES: [(Base, &str); 16] = [
    (Base::Void, "VOID"),
    (Base::Bool, "BOOLEAN"),
    (Base::U8, "BYTE"),
    (Base::I8, "CHAR"),
    (Base::U16, "WORD"),
    (Base::I16, "SHORT"),
    (Base::U32, "DWORD"),
    (Base::I32, "LONG"),
    (Base::U64, "ULONGLONG"),
    (Base::I64, "LONGLONG"),
    (Base::F32, "FLOAT"),
    (Base::F64, "DOUBLE"),
    (Base::Usize, "ULONG_PTR"),
    (Base::Isize, "LONG_PTR"),
    (Base::Char16, "WCHAR"),
    (Base::Guid, "GUID"),
];

impl Base {
    /// How many there are.
    pub(crate) const COUNT: u32 = 16;

    pub(crate) fn of(number: u32) -> Option<Base> {
        Some(BASES.get(usize::try_from(number).ok()?)?.0)
    }

    /// Windows' name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        BASES.iter().find(|(b, _)| *b == self).map_or("", |(_, n)| n)
    }

    /// Bytes; 0 for `Void`.
    #[must_use]
    pub fn size(self, arch: Arch) -> u64 {
        match self {
            Base::Void => 0,
            Base::Bool | Base::U8 | Base::I8 => 1,
            Base::U16 | Base::I16 | Base::Char16 => 2,
            Base::U32 | Base::I32 | Base::F32 => 4,
            Base::U64 | Base::I64 | Base::F64 => 8,
            Base::Usize | Base::Isize => arch.pointer(),
            Base::Guid => 16,
        }
    }
}

/// A type where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ty {
    /// A built-in type.
    Base(Base),
    /// A type of the table. An interface or callback is a pointer to one.
    Named(TypeId),
    /// A pointer.
    Pointer(Box<Ty>),
    /// So many, one behind the other.
    Array(Box<Ty>, u32),
}

impl Ty {
    /// What a pointer leads to.
    #[must_use]
    pub fn pointee(&self) -> Option<&Ty> {
        match self {
            Ty::Pointer(to) => Some(to),
            _ => None,
        }
    }
}
