//! Type and id records.
//!
//! Layouts: microsoft-pdb's `cvinfo.h` (MIT). Records with length-prefixed names (before 2002) are not read.

use super::bytes::Bytes;

/// What sort of named type a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UdtKind {
    Struct,
    Class,
    Union,
    Interface,
    Enum,
}

/// A class, structure, union or enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Udt<'a> {
    pub(super) kind: UdtKind,
    /// `CV_prop_t`: bit 7 forward reference.
    pub(super) props: u32,
    /// The field list; 0 when there is none.
    pub(super) fields: u32,
    /// Enumerations: the integer type.
    pub(super) underlying: u32,
    pub(super) size: u64,
    pub(super) name: &'a [u8],
    /// The decorated name, when there is one.
    pub(super) unique: &'a [u8],
}

impl Udt<'_> {
    /// Only a declaration: the definition is another record.
    pub(super) fn is_forward(&self) -> bool {
        self.props & 0x80 != 0
    }
}

/// A type or id record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf<'a> {
    /// Bits: 1 const, 2 volatile, 4 unaligned.
    Modifier {
        ty: u32,
        bits: u16,
    },
    /// Bits: `lfPointerAttr`.
    Pointer {
        ty: u32,
        bits: u32,
    },
    /// A function type. `this` is 0 without a `this` pointer, `class` 0 outside classes.
    Function {
        ret: u32,
        class: u32,
        this: u32,
        call: u8,
        count: u16,
        args: u32,
    },
    /// Type indexes, four bytes each.
    Arguments(&'a [u8]),
    /// Fields, see [`Fields`].
    FieldList(&'a [u8]),
    BitField {
        ty: u32,
        len: u8,
        pos: u8,
    },
    /// `size` counts bytes.
    Array {
        element: u32,
        size: u64,
    },
    Udt(Udt<'a>),
    /// Table of a class's virtual functions; only the number of entries matters.
    TableShape {
        count: u16,
    },
    /// A function outside classes, in a scope (a string id; 0 for none).
    FunctionId {
        scope: u32,
        ty: u32,
        name: &'a [u8],
    },
    /// A function of a class.
    MethodId {
        class: u32,
        ty: u32,
        name: &'a [u8],
    },
    StringId {
        name: &'a [u8],
    },
    Other,
}

impl<'a> Leaf<'a> {
    /// Decodes a record; what is unknown or too short is [`Leaf::Other`].
    pub(super) fn decode(kind: u16, data: &'a [u8]) -> Leaf<'a> {
        Leaf::try_decode(kind, Bytes(data)).unwrap_or(Leaf::Other)
    }

    fn try_decode(kind: u16, mut b: Bytes<'a>) -> Option<Leaf<'a>> {
        Some(match kind {
            0x1001 => Leaf::Modifier { ty: b.u32()?, bits: b.u16()? },
            0x1002 => Leaf::Pointer { ty: b.u32()?, bits: b.u32()? },
            0x1008 => {
                let ret = b.u32()?;
                let call = b.u8()?;
                let _attributes = b.u8()?;
                let count = b.u16()?;
                Leaf::Function { ret, class: 0, this: 0, call, count, args: b.u32()? }
            }
            0x1009 => {
                let ret = b.u32()?;
                let class = b.u32()?;
                let this = b.u32()?;
                let call = b.u8()?;
                let _attributes = b.u8()?;
                let count = b.u16()?;
                Leaf::Function { ret, class, this, call, count, args: b.u32()? }
            }
            0x000a => Leaf::TableShape { count: b.u16()? },
            0x1201 => {
                let count = usize::try_from(b.u32()?).ok()?;
                let size = count.checked_mul(4)?.min(b.0.len());
                Leaf::Arguments(b.take(size)?)
            }
            0x1203 => Leaf::FieldList(b.0),
            0x1205 => Leaf::BitField { ty: b.u32()?, len: b.u8()?, pos: b.u8()? },
            0x1503 => {
                let element = b.u32()?;
                let _index = b.u32()?;
                Leaf::Array { element, size: numeric(&mut b)?.unsigned() }
            }
            0x1504 | 0x1505 | 0x1519 => {
                let kind = match kind {
                    0x1504 => UdtKind::Class,
                    0x1505 => UdtKind::Struct,
                    _ => UdtKind::Interface,
                };
                let _count = b.u16()?;
                let props = b.u16()?.into();
                let fields = b.u32()?;
                let _derived = (b.u32()?, b.u32()?);
                udt(kind, props, fields, 0, true, b)?
            }
            // The wide forms of Visual Studio 2019: properties of 32 bits, the count behind the indexes.
            0x1608 | 0x1609 | 0x160b => {
                let kind = match kind {
                    0x1608 => UdtKind::Class,
                    0x1609 => UdtKind::Struct,
                    _ => UdtKind::Interface,
                };
                let props = b.u32()?;
                let fields = b.u32()?;
                let _derived = (b.u32()?, b.u32()?);
                let _count = numeric(&mut b)?;
                udt(kind, props, fields, 0, true, b)?
            }
            0x1506 => {
                let _count = b.u16()?;
                let props = b.u16()?.into();
                let fields = b.u32()?;
                udt(UdtKind::Union, props, fields, 0, true, b)?
            }
            0x160a => {
                let props = b.u32()?;
                let fields = b.u32()?;
                let _count = numeric(&mut b)?;
                udt(UdtKind::Union, props, fields, 0, true, b)?
            }
            0x1507 => {
                let _count = b.u16()?;
                let props = b.u16()?.into();
                let underlying = b.u32()?;
                let fields = b.u32()?;
                udt(UdtKind::Enum, props, fields, underlying, false, b)?
            }
            0x1601 => Leaf::FunctionId { scope: b.u32()?, ty: b.u32()?, name: b.c_str() },
            0x1602 => Leaf::MethodId { class: b.u32()?, ty: b.u32()?, name: b.c_str() },
            0x1605 => {
                let _list = b.u32()?;
                Leaf::StringId { name: b.c_str() }
            }
            _ => Leaf::Other,
        })
    }
}

fn udt<'a>(
    kind: UdtKind,
    props: u32,
    fields: u32,
    underlying: u32,
    sized: bool,
    mut b: Bytes<'a>,
) -> Option<Leaf<'a>> {
    let size = if sized { numeric(&mut b)?.unsigned() } else { 0 };
    let name = b.c_str();
    let unique = if props & 0x200 != 0 { b.c_str() } else { &[] };
    Some(Leaf::Udt(Udt { kind, props, fields, underlying, size, name, unique }))
}

/// A number inside a record, of any width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number(pub(super) i128);

impl Number {
    /// The number as a size or offset; negative ones are 0.
    pub(super) fn unsigned(self) -> u64 {
        u64::try_from(self.0.max(0)).unwrap_or(u64::MAX)
    }
}

/// Reads a number: below 0x8000 it is the number itself, else a tag with the bytes behind it.
pub(super) fn numeric(b: &mut Bytes<'_>) -> Option<Number> {
    let tag = b.u16()?;
    let value = match tag {
        0..0x8000 => i128::from(tag),
        0x8000 => i128::from(b.u8()?.cast_signed()),
        0x8001 => i128::from(b.u16()?.cast_signed()),
        0x8002 => i128::from(b.u16()?),
        0x8003 => i128::from(b.i32()?),
        0x8004 => i128::from(b.u32()?),
        0x8009 => i128::from(b.u64()?.cast_signed()),
        0x800a => i128::from(b.u64()?),
        0x8017 | 0x8018 => {
            let low = u128::from(b.u64()?);
            (u128::from(b.u64()?) << 64 | low).cast_signed()
        }
        _ => return None,
    };
    Some(Number(value))
}

/// One entry of a field list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Member {
        ty: u32,
        offset: u64,
        name: &'a [u8],
    },
    Static {
        ty: u32,
        name: &'a [u8],
    },
    Base {
        ty: u32,
        offset: u64,
    },
    /// A virtual base: `ty`, the type and offset of the pointer to the table of base offsets, and the index in it.
    VirtualBase {
        ty: u32,
        pointer: u64,
        index: u64,
    },
    /// The pointer to the table of virtual functions, at offset 0 unless `offset` says otherwise.
    Table {
        ty: u32,
        offset: u32,
    },
    Enumerator {
        value: Number,
        name: &'a [u8],
    },
    Nested {
        ty: u32,
        name: &'a [u8],
    },
    Method {
        ty: u32,
        name: &'a [u8],
    },
    /// Several functions with one name.
    Overloads {
        name: &'a [u8],
    },
    /// The list goes on in another record.
    Continued(u32),
}

/// Iterates over a field list; ends at the first entry that is unknown, since its length is then unknown too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a>(pub(super) Bytes<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let b = &mut self.0;
        // Padding: 0xf0 plus the number of bytes up to the next entry.
        while let Some(&pad) = b.0.first().filter(|&&p| p >= 0xf0) {
            b.take(usize::from(pad & 0xf).max(1))?;
        }
        let kind = b.u16()?;
        Some(match kind {
            0x150d => {
                let _access = b.u16()?;
                let ty = b.u32()?;
                Field::Member { ty, offset: numeric(b)?.unsigned(), name: b.c_str() }
            }
            0x150e => {
                let _access = b.u16()?;
                Field::Static { ty: b.u32()?, name: b.c_str() }
            }
            0x1400 | 0x151a => {
                let _access = b.u16()?;
                Field::Base { ty: b.u32()?, offset: numeric(b)?.unsigned() }
            }
            0x1401 | 0x1402 => {
                let _access = b.u16()?;
                let ty = b.u32()?;
                let _pointer_type = b.u32()?;
                let pointer = numeric(b)?.unsigned();
                Field::VirtualBase { ty, pointer, index: numeric(b)?.unsigned() }
            }
            0x1409 => {
                let _pad = b.u16()?;
                Field::Table { ty: b.u32()?, offset: 0 }
            }
            0x140c => {
                let _pad = b.u16()?;
                Field::Table { ty: b.u32()?, offset: b.u32()? }
            }
            0x1502 => {
                let _access = b.u16()?;
                Field::Enumerator { value: numeric(b)?, name: b.c_str() }
            }
            0x1510 => {
                let _pad = b.u16()?;
                Field::Nested { ty: b.u32()?, name: b.c_str() }
            }
            0x1512 => {
                let _access = b.u16()?;
                Field::Nested { ty: b.u32()?, name: b.c_str() }
            }
            0x150f => {
                let _count = b.u16()?;
                let _list = b.u32()?;
                Field::Overloads { name: b.c_str() }
            }
            0x1511 => {
                let access = b.u16()?;
                let ty = b.u32()?;
                // Functions that introduce a table entry (kinds 4 and 6) carry its offset.
                if matches!(access >> 2 & 7, 4 | 6) {
                    let _offset = b.u32()?;
                }
                Field::Method { ty, name: b.c_str() }
            }
            0x1404 => {
                let _pad = b.u16()?;
                Field::Continued(b.u32()?)
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_structure() {
        let data = [0, 2, 0, 0, 22, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 6, 0, b'H', 0, b'.', b'?', 0];
        let Leaf::Udt(u) = Leaf::decode(0x1609, &data) else { panic!() };
        assert_eq!(
            (u.kind, u.fields, u.size, u.name, u.unique),
            (UdtKind::Struct, 0x1016, 6, &b"H"[..], &b".?"[..])
        );
        assert!(!u.is_forward());
    }

    #[test]
    fn numbers() {
        let n = |bytes: &[u8]| numeric(&mut Bytes(bytes)).map(|n| n.0);
        assert_eq!(n(&[0xff, 0x7f]), Some(0x7fff));
        assert_eq!(n(&[0, 0x80, 0xff]), Some(-1));
        assert_eq!(n(&[3, 0x80, 0xfe, 0xff, 0xff, 0xff]), Some(-2));
        assert_eq!(n(&[4, 0x80, 0xfe, 0xff, 0xff, 0xff]), Some(0xffff_fffe));
        assert_eq!(n(&[0x0a, 0x80, 1, 0, 0]), None);
        assert_eq!(n(&[5, 0x80, 0, 0, 0, 0]), None, "a float is no size");
        assert_eq!(Number(-5).unsigned(), 0);
    }

    #[test]
    fn field_list_with_padding_and_an_unknown_end() {
        let mut data = vec![0x0d, 0x15, 3, 0, 0x74, 0, 0, 0, 4, 0, b'a', 0, 0xf2, 0xf1];
        data.extend([0x02, 0x15, 3, 0, 7, 0, b'B', 0]);
        data.extend([0x99, 0x99, 1, 2]);
        let all: Vec<_> = Fields(Bytes(&data)).collect();
        assert_eq!(
            all,
            [
                Field::Member { ty: 0x74, offset: 4, name: b"a" },
                Field::Enumerator { value: Number(7), name: b"B" }
            ]
        );
    }
}
