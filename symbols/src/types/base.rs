//! CodeView's built-in types.
//!
//! Numbers: `TYPE_ENUM_e` of microsoft-pdb's `cvinfo.h` (MIT).

use super::{PointerKind, Type, TypeId};

/// What a built-in type holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    /// `void`.
    Void,
    /// `bool`.
    Bool,
    /// `char`: a signed character.
    Char,
    /// `unsigned char`.
    UChar,
    /// `wchar_t`, `char16_t`: a UTF-16 unit. `char32_t` too, by its size.
    WChar,
    /// A signed integer.
    Int,
    /// An unsigned integer.
    UInt,
    /// A number with a fraction.
    Float,
    /// Anything else.
    Other,
}

/// A built-in type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// What it holds.
    pub kind: BaseKind,
    /// Bytes; 0 for `void` and unknown ones.
    pub size: u8,
    /// Name in declarations, as WinDbg writes it.
    pub cpp: &'static str,
    /// Name in `dt`.
    pub dt: &'static str,
}

const fn base(kind: BaseKind, size: u8, cpp: &'static str, dt: &'static str) -> Base {
    Base { kind, size, cpp, dt }
}

/// Decodes a built-in type's number; `pointer_bytes` is the machine's.
pub(crate) fn decode(id: TypeId, pointer_bytes: u8) -> Type {
    let size = match id.0 >> 8 & 0xf {
        0 => return plain(id.0 & 0xff),
        1..=3 => 2,
        4 | 5 => 4,
        6 => 8,
        _ => pointer_bytes,
    };
    Type::Pointer { to: TypeId(id.0 & 0xff), size, kind: PointerKind::Pointer }
}

fn plain(number: u32) -> Type {
    use BaseKind::{Bool, Char, Float, Int, Other, UChar, UInt, Void, WChar};
    Type::Base(match number {
        0x03 => base(Void, 0, "void", "Void"),
        0x08 => base(Int, 4, "HRESULT", "Int4B"),
        0x10 | 0x70 => base(Char, 1, "char", "Char"),
        0x20 | 0x7c => base(UChar, 1, "unsigned char", "UChar"),
        0x68 => base(Char, 1, "char", "Char"),
        0x69 => base(UChar, 1, "unsigned char", "UChar"),
        0x71 => base(WChar, 2, "wchar_t", "Wchar"),
        0x7a => base(WChar, 2, "char16_t", "char16_t"),
        0x7b => base(WChar, 4, "char32_t", "char32_t"),
        0x11 | 0x72 => base(Int, 2, "short", "Int2B"),
        0x21 | 0x73 => base(UInt, 2, "unsigned short", "Uint2B"),
        0x12 => base(Int, 4, "long", "Int4B"),
        0x22 => base(UInt, 4, "unsigned long", "Uint4B"),
        0x74 => base(Int, 4, "int", "Int4B"),
        0x75 => base(UInt, 4, "unsigned int", "Uint4B"),
        0x13 | 0x76 => base(Int, 8, "int64", "Int8B"),
        0x23 | 0x77 => base(UInt, 8, "unsigned int64", "Uint8B"),
        0x14 | 0x78 => base(Int, 16, "int128", "Int16B"),
        0x24 | 0x79 => base(UInt, 16, "unsigned int128", "Uint16B"),
        0x30 => base(Bool, 1, "bool", "Bool"),
        0x31 => base(Bool, 2, "bool16", "Bool"),
        0x32 => base(Bool, 4, "bool32", "Bool"),
        0x33 => base(Bool, 8, "bool64", "Bool"),
        0x40 => base(Float, 4, "float", "Float"),
        0x41 => base(Float, 8, "double", "Float"),
        0x42 => base(Other, 10, "long double", "Float10"),
        _ => return Type::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_types_and_pointers_to_them() {
        let Type::Base(b) = decode(TypeId(0x22), 4) else { panic!() };
        assert_eq!((b.cpp, b.dt, b.size), ("unsigned long", "Uint4B", 4));
        let to = TypeId(3);
        assert_eq!(decode(TypeId(0x403), 8), Type::Pointer { to, size: 4, kind: PointerKind::Pointer });
        assert_eq!(decode(TypeId(0x603), 4), Type::Pointer { to, size: 8, kind: PointerKind::Pointer });
        assert_eq!(decode(TypeId::NONE, 4), Type::Unknown);
    }
}
