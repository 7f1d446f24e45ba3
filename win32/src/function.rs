//! Functions and methods.

use crate::bytes::Cursor;
use crate::format::{Kind, Name, Search, Section, Table};
use crate::ty::{Base, Ty, TypeId};

/// Most parameters of one function.
const MAX_PARAMS: usize = 256;
/// Deepest type.
const MAX_DEPTH: usize = 16;

/// Bits of a parameter's attributes; `win32-table/src/model.rs` has the same.
mod flag {
    pub(super) const IN: u32 = 1;
    pub(super) const OUT: u32 = 2;
    pub(super) const OPTIONAL: u32 = 4;
    pub(super) const RESERVED: u32 = 8;
    pub(super) const RETVAL: u32 = 0x20;
    pub(super) const COM_OUT: u32 = 0x40;
    pub(super) const COUNTED: u32 = 0x80;
    pub(super) const ENUM: u32 = 0x100;
    pub(super) const NO_ZERO: u32 = 0x200;
}

/// How much a pointer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many elements.
    Elements(u32),
    /// As many elements as the parameter with this index says.
    ElementsOf(usize),
    /// As many bytes as the parameter with this index says.
    BytesOf(usize),
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Ty,
    /// The function reads what it points to.
    pub is_in: bool,
    /// The function writes what it points to.
    pub is_out: bool,
    /// It may be null.
    pub optional: bool,
    /// It has no meaning.
    pub reserved: bool,
    /// It is what the method returns to languages with results.
    pub retval: bool,
    /// Text without a zero at its end.
    pub no_zero: bool,
    /// How much it leads to.
    pub count: Option<Count>,
    /// The enumeration whose values it holds, when its type does not say that.
    pub values: Option<TypeId>,
}

/// What a function takes and returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it returns.
    pub ret: Ty,
    /// Parameters, without `this`.
    pub params: Vec<Param>,
}

/// A function that a DLL exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function<'a> {
    /// Name.
    pub name: String,
    /// The DLL that is named for it, in lower case.
    pub dll: &'a str,
    /// Namespace of the metadata.
    pub namespace: &'a str,
    /// Machines: 1 x86, 2 x64, 4 ARM64.
    pub arch: u8,
    /// On x86 its caller removes the arguments.
    pub cdecl: bool,
    /// More arguments may follow.
    pub variadic: bool,
    /// It sets the thread's last error.
    pub last_error: bool,
    /// What it takes and returns.
    pub signature: Signature,
}

impl Table {
    /// The functions of a name (several: for different machines). Letter case counts.
    #[must_use]
    pub fn functions(&self, name: &str) -> Vec<Function<'_>> {
        let mut out = Vec::new();
        for block in self.blocks_of(Kind::Functions, name) {
            let candidates = self.candidates(block, name);
            if !candidates.is_empty() {
                self.pick(block, &candidates, name, &mut out);
            }
        }
        out
    }

    /// The functions of a name among some entries of a block.
    fn pick<'a>(
        &'a self,
        block: usize,
        candidates: &[usize],
        name: &str,
        out: &mut Vec<Function<'a>>,
    ) -> Option<()> {
        let mut cursor = Cursor::new(self.block(block)?);
        let mut search = Search::new(name);
        for n in 0..=*candidates.last()? {
            let found = search.next(self, &mut cursor)?;
            let body = cursor.part()?;
            if found && candidates.contains(&n) {
                out.extend(self.function(name, body));
            }
        }
        Some(())
    }

    /// Calls `f` with the name of every function until it gives false; sorted.
    pub fn each_function(&self, f: &mut dyn FnMut(&str) -> bool) {
        let mut last = String::new();
        let mut on = true;
        for block in self.range(Kind::Functions) {
            self.each_in(block, &mut |name, _| {
                if on && name != last {
                    on = f(name);
                    name.clone_into(&mut last);
                }
                on
            });
        }
    }

    pub(crate) fn each_in(&self, block: usize, f: &mut dyn FnMut(&str, Cursor<'_>) -> bool) -> Option<()> {
        let mut cursor = Cursor::new(self.block(block)?);
        let mut name = Name::default();
        while !cursor.is_empty() {
            self.name_after(&mut cursor, &mut name)?;
            if !f(&name.text, cursor.part()?) {
                break;
            }
        }
        Some(())
    }

    fn function(&self, name: &str, mut body: Cursor<'_>) -> Option<Function<'_>> {
        let dll = self.text(Section::DllOffsets, Section::Dlls, body.varint()?)?;
        let namespace = self.namespace(body.varint()?)?;
        let bits = body.u8()?;
        Some(Function {
            name: name.to_owned(),
            dll,
            namespace,
            arch: bits & 7,
            cdecl: bits & 8 != 0,
            variadic: bits & 0x10 != 0,
            last_error: bits & 0x20 != 0,
            signature: self.signature(&mut body)?,
        })
    }

    pub(crate) fn namespace(&self, index: u64) -> Option<&str> {
        self.text(Section::SpaceOffsets, Section::Spaces, index)
    }

    /// True when a DLL is named for a function of the table, by its file name in lower case.
    #[must_use]
    pub fn has_dll(&self, file_name: &str) -> bool {
        let count = (self.section(Section::DllOffsets).len() / 2).saturating_sub(1);
        (0..count).any(|n| self.text(Section::DllOffsets, Section::Dlls, n as u64) == Some(file_name))
    }

    pub(crate) fn signature(&self, cursor: &mut Cursor<'_>) -> Option<Signature> {
        let ret = ty(cursor, 0)?;
        let count = usize::try_from(cursor.varint()?).ok().filter(|c| *c <= MAX_PARAMS)?;
        let params = (0..count).map(|_| self.param(cursor)).collect::<Option<_>>()?;
        Some(Signature { ret, params })
    }

    fn param(&self, cursor: &mut Cursor<'_>) -> Option<Param> {
        match cursor.varint()? {
            0 => self.param_here(cursor),
            n => self.param_here(&mut self.part(usize::try_from(n - 1).ok()?)?),
        }
    }

    fn param_here(&self, cursor: &mut Cursor<'_>) -> Option<Param> {
        let name = self.name(cursor)?;
        let ty = ty(cursor, 0)?;
        let flags = cursor.small()?;
        let has = |bit: u32| flags & bit != 0;
        let count = if has(flag::COUNTED) {
            let v = cursor.small()?;
            let index = usize::try_from(v >> 2).ok()?;
            match v & 3 {
                0 => Some(Count::Elements(v >> 2)),
                1 => Some(Count::ElementsOf(index)),
                _ => Some(Count::BytesOf(index)),
            }
        } else {
            None
        };
        let values = if has(flag::ENUM) { Some(TypeId(cursor.small()?)) } else { None };
        Some(Param {
            name,
            ty,
            is_in: has(flag::IN),
            is_out: has(flag::OUT | flag::COM_OUT),
            optional: has(flag::OPTIONAL),
            reserved: has(flag::RESERVED),
            retval: has(flag::RETVAL),
            no_zero: has(flag::NO_ZERO),
            count,
            values,
        })
    }
}

/// Reads a type.
pub(crate) fn ty(cursor: &mut Cursor<'_>, depth: usize) -> Option<Ty> {
    if depth > MAX_DEPTH {
        return None;
    }
    let v = cursor.small()?;
    let plain = |id: u32| match id.checked_sub(Base::COUNT) {
        Some(id) => Some(Ty::Named(TypeId(id))),
        None => Base::of(id).map(Ty::Base),
    };
    let pointer = |t| Ty::Pointer(Box::new(t));
    Some(match (v & 3, v >> 2) {
        (0, id) => plain(id)?,
        (1, id) => pointer(plain(id)?),
        (2, id) => pointer(pointer(plain(id)?)),
        (_, 0) => {
            let count = cursor.small()?;
            Ty::Array(Box::new(ty(cursor, depth + 1)?), count)
        }
        (_, 1) => pointer(ty(cursor, depth + 1)?),
        _ => return None,
    })
}
