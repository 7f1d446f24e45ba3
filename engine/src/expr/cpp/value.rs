//! Typed values.

use crate::expr::TypeSet;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{
    Base, BaseKind, Data, PointerKind, Type, TypeId, ValueCx, bare, declared_name, size_of,
};

/// A type: one of a source, and stars that the expression added.
#[derive(Clone, Debug)]
pub struct Ty {
    /// The source.
    pub set: TypeSet,
    /// Its type.
    pub id: TypeId,
    /// Pointers to it.
    pub stars: u8,
    /// The name that a cast gave to a type without one (`DWORD`).
    pub alias: Option<String>,
}

/// A value with its type.
#[derive(Clone, Debug)]
pub struct Value {
    /// Type.
    pub ty: Ty,
    /// Where its bytes are, or the bytes.
    pub place: Stored,
}

/// A number out of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    /// A whole number; whether its type is signed, and its bytes.
    Int { value: i128, signed: bool, bytes: u8 },
    /// An address.
    Pointer(u64),
    /// A number with a fraction.
    Float(f64),
}

impl Ty {
    /// The type's name as declarations write it. Untrusted.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.alias {
            Some(name) if self.stars == 0 => name.clone(),
            Some(name) => format!("{name} {}", "*".repeat(self.stars.into())),
            None => declared_name(self.set.types(), self.id, self.stars),
        }
    }

    /// Bytes, when known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        if self.stars > 0 {
            return Some(self.set.types().pointer_bytes().into());
        }
        match bare(self.set.types(), self.id).1 {
            Type::BitField { .. } => None,
            _ => size_of(self.set.types(), self.id),
        }
    }

    /// The type without `const` and the like; `None` behind stars.
    #[must_use]
    pub fn bare(&self) -> Option<(TypeId, Type)> {
        (self.stars == 0).then(|| bare(self.set.types(), self.id))
    }

    /// What a pointer of this type points to.
    #[must_use]
    pub fn pointee(&self) -> Option<Ty> {
        if let Some(stars) = self.stars.checked_sub(1) {
            return Some(Ty { stars, ..self.clone() });
        }
        match self.bare()?.1 {
            Type::Pointer { to, kind: PointerKind::Pointer | PointerKind::Reference, .. } => {
                Some(Ty { id: to, alias: None, ..self.clone() })
            }
            _ => None,
        }
    }

    /// The element of an array.
    #[must_use]
    pub fn element(&self) -> Option<(Ty, u64)> {
        match self.bare()?.1 {
            Type::Array { element, count, .. } => {
                Some((Ty { id: element, alias: None, ..self.clone() }, count))
            }
            _ => None,
        }
    }

    /// A pointer to this type.
    #[must_use]
    pub fn pointer(&self) -> Ty {
        Ty { stars: self.stars.saturating_add(1), ..self.clone() }
    }

    /// True for a structure, class or union.
    #[must_use]
    pub fn is_aggregate(&self) -> bool {
        matches!(self.bare(), Some((_, Type::Udt { .. })))
    }
}

impl Value {
    /// Where its bytes are.
    #[must_use]
    pub fn data(&self) -> Data<'_> {
        self.place.data()
    }

    /// Its address, when it is in memory.
    #[must_use]
    pub fn address(&self) -> Option<Va> {
        match self.place {
            Stored::Memory(va) => Some(va),
            Stored::Bytes(_) => None,
        }
    }

    /// The value as a number; of a structure, array or function its address. `None` when it has none or its memory is
    /// not known.
    #[must_use]
    pub fn number(&self, mem: &dyn ReadMemory) -> Option<u64> {
        match self.scalar(mem) {
            Ok(Scalar::Int { value, .. }) => Some(value as u64),
            Ok(Scalar::Pointer(va)) => Some(va),
            Ok(Scalar::Float(_)) | Err(true) => None,
            Err(false) => self.address().map(|va| va.0),
        }
    }

    /// The whole number that today's engine makes of a number with a fraction.
    #[must_use]
    pub fn fraction(&self, mem: &dyn ReadMemory) -> Option<u64> {
        match self.scalar(mem) {
            Ok(Scalar::Float(number)) => Some(number as i64 as u64),
            _ => None,
        }
    }

    /// True when its bytes are not in the dump.
    #[must_use]
    pub fn is_missing(&self, mem: &dyn ReadMemory) -> bool {
        self.scalar(mem) == Err(true)
    }

    pub(super) fn cx<T>(&self, mem: &dyn ReadMemory, f: impl FnOnce(&ValueCx<'_>) -> T) -> T {
        let machine = self.ty.set.machine();
        f(&ValueCx { types: self.ty.set.types(), mem, machine, symbol: &|_| None })
    }

    /// The number that it is. `Err(true)`: its memory is not in the dump; `Err(false)`: it is no number.
    pub(super) fn scalar(&self, mem: &dyn ReadMemory) -> Result<Scalar, bool> {
        let types = self.ty.set.types();
        if self.ty.stars > 0 {
            let size = types.pointer_bytes();
            let value = self.cx(mem, |cx| cx.unsigned(self.data(), size.into())).ok_or(true)?;
            return Ok(Scalar::Pointer(u64::try_from(value).map_err(|_| true)?));
        }
        let int = |signed, bytes| {
            let value = self.cx(mem, |cx| cx.integer(self.ty.id, self.data())).ok_or(true)?;
            Ok(Scalar::Int { value, signed, bytes })
        };
        match bare(types, self.ty.id).1 {
            Type::Base(Base { kind: BaseKind::Int | BaseKind::Char, size, .. }) => int(true, size),
            Type::Base(Base {
                kind: BaseKind::UInt | BaseKind::UChar | BaseKind::WChar | BaseKind::Bool,
                size,
                ..
            }) => int(false, size),
            Type::Base(Base { kind: BaseKind::Float, size, .. }) => {
                let raw = self.cx(mem, |cx| cx.unsigned(self.data(), size.into())).ok_or(true)?;
                match size {
                    4 => Ok(Scalar::Float(f32::from_bits(u32::try_from(raw).map_err(|_| false)?).into())),
                    8 => Ok(Scalar::Float(f64::from_bits(u64::try_from(raw).map_err(|_| false)?))),
                    _ => Err(false),
                }
            }
            Type::Enum { underlying, .. } => {
                let signed =
                    matches!(bare(types, underlying).1, Type::Base(Base { kind: BaseKind::Int, .. }));
                int(signed, u8::try_from(size_of(types, underlying).unwrap_or(4)).unwrap_or(4))
            }
            Type::BitField { of, len, .. } => {
                // Fewer bits than an `int` has become an `int`.
                let bytes = u8::try_from(size_of(types, of).unwrap_or(4)).unwrap_or(4);
                int(len < 32, bytes)
            }
            Type::Pointer { size, .. } => {
                let value = self.cx(mem, |cx| cx.unsigned(self.data(), size.into())).ok_or(true)?;
                Ok(Scalar::Pointer(u64::try_from(value).map_err(|_| true)?))
            }
            Type::Array { .. } | Type::Function { .. } => Ok(Scalar::Pointer(self.address().ok_or(false)?.0)),
            _ => Err(false),
        }
    }
}
