//! Structures, enumerations, interfaces, callbacks and other names of types.

use crate::bytes::{Cursor, u16_at};
use crate::format::{Kind, Name, Section, Table, partition, print};
use crate::function::{Signature, ty};
use crate::ty::{Arch, Base, Ty, TypeId};

/// Most fields, methods or enumerators of one type.
pub(crate) const MAX_PARTS: usize = 1 << 14;
/// Deepest nesting of names.
pub(crate) const MAX_NESTING: usize = 8;

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// Fields one behind the other.
    Struct,
    /// Fields over each other.
    Union,
    /// An enumeration or a set of flags.
    Enum,
    /// A COM interface.
    Interface,
    /// A function that the program gives.
    Callback,
    /// Another name of a type: handles, `BOOL`, `HRESULT`.
    Alias,
    /// A COM class.
    Class,
}

impl TypeKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TypeKind::Struct => "struct",
            TypeKind::Union => "union",
            TypeKind::Enum => "enum",
            TypeKind::Interface => "interface",
            TypeKind::Callback => "callback",
            TypeKind::Alias => "typedef",
            TypeKind::Class => "class",
        }
    }
}

/// Bytes of a type and what its address is a multiple of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bytes.
    pub bytes: u64,
    /// A power of two.
    pub align: u64,
}

/// A type in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// Name; of nested ones behind that of the outer type and a point.
    pub name: String,
    /// What it is.
    pub kind: TypeKind,
    /// Machines: 1 x86, 2 x64, 4 ARM64.
    pub arch: u8,
    /// Its values are kept by value.
    pub(crate) by_value: bool,
    /// The type that it is defined in.
    pub outer: Option<TypeId>,
    /// On 32 and on 64 bits, of structures.
    sizes: [Size; 2],
}

/// Some bits of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Name.
    pub name: String,
    /// The lowest one.
    pub pos: u8,
    /// How many.
    pub len: u8,
}

/// A field of a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Ty,
    /// What its bits are called.
    pub bits: Vec<Bits>,
}

/// A method of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Name.
    pub name: String,
    /// What it takes, without `this`.
    pub signature: Signature,
}

/// A type in full.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Definition {
    /// Structure or union.
    Struct {
        /// Largest alignment of its fields; 0: none is set.
        packing: u64,
        /// Fields in their order.
        fields: Vec<Field>,
    },
    /// Enumeration.
    Enum {
        /// The integer that it is.
        underlying: Base,
        /// Its values are combined.
        flags: bool,
        /// Names and values.
        members: Vec<(String, i64)>,
    },
    /// Interface.
    Interface {
        /// IID, as it lies in memory.
        iid: Option<[u8; 16]>,
        /// The interface whose methods come first.
        base: Option<TypeId>,
        /// Its own methods in the order of the table of functions.
        methods: Vec<Method>,
    },
    /// Callback.
    Callback(Signature),
    /// Another name.
    Alias {
        /// Of what.
        to: Ty,
        /// It is closed when done.
        handle: bool,
    },
    /// Class.
    Class {
        /// CLSID, as it lies in memory.
        id: [u8; 16],
    },
}

impl Table {
    /// How many types there are.
    #[must_use]
    pub fn type_count(&self) -> u32 {
        u32::try_from(self.section(Section::TypePrints).len() / 2).unwrap_or(0)
    }

    /// The types of a name. Letter case counts.
    #[must_use]
    pub fn types_named(&self, name: &str) -> Vec<TypeId> {
        let wanted = print(name).to_le_bytes();
        let prints = self.section(Section::TypePrints).as_chunks::<2>().0;
        let mut out = Vec::new();
        // In pieces without a way out, which compilers make fast.
        for (n, piece) in prints.chunks(64).enumerate() {
            if piece.iter().fold(false, |any, p| any | (*p == wanted)) {
                for (i, p) in piece.iter().enumerate() {
                    let id = u32::try_from(n * 64 + i).map(TypeId);
                    if let Ok(id) = id
                        && *p == wanted
                        && self.is_named(id, name, 0)
                    {
                        out.push(id);
                    }
                }
            }
        }
        out
    }

    /// True when a type has this name; the letters are compared where they lie.
    fn is_named(&self, id: TypeId, name: &str, depth: usize) -> bool {
        let read = || {
            let mut cursor = self.record_of(id)?;
            let mut own = cursor.clone();
            Table::skip_name(&mut cursor)?;
            match Head::read(&mut cursor)?.outer {
                None => Some(self.spells(&mut own, name)),
                Some(outer) => {
                    let (of, inner) = name.rsplit_once('.')?;
                    Some(
                        self.spells(&mut own, inner)
                            && depth < MAX_NESTING
                            && self.is_named(outer, of, depth + 1),
                    )
                }
            }
        };
        read().unwrap_or(false)
    }

    /// Calls `f` with every type until it gives false.
    pub fn each_type(&self, f: &mut dyn FnMut(TypeId, &TypeInfo) -> bool) {
        for block in self.range(Kind::Records) {
            let Some(raw) = self.block(block) else { continue };
            let (mut cursor, mut id) = (Cursor::new(raw), self.first(block).unwrap_or(0));
            while !cursor.is_empty() {
                let Some(info) = self.record(&mut cursor, 0) else { break };
                if !f(TypeId(id), &info) {
                    return;
                }
                id = id.saturating_add(1);
            }
        }
    }

    /// A type in short.
    #[must_use]
    pub fn type_info(&self, id: TypeId) -> Option<TypeInfo> {
        self.info(id, 0)
    }

    fn info(&self, id: TypeId, depth: usize) -> Option<TypeInfo> {
        if depth > MAX_NESTING {
            return None;
        }
        self.record(&mut self.record_of(id)?, depth)
    }

    /// Where a type's record starts.
    fn record_of(&self, id: TypeId) -> Option<Cursor<'_>> {
        let (block, before) = self.place(Kind::Records, id)?;
        let raw = self.block(block)?;
        let starts = self.starts.get(block)?.get_or_init(|| {
            let (mut cursor, mut out) = (Cursor::new(raw), Vec::new());
            while let Ok(at) = u16::try_from(raw.len().saturating_sub(cursor.left()))
                && !cursor.is_empty()
            {
                out.push(at);
                if skip_record(&mut cursor).is_none() {
                    break;
                }
            }
            out.into_boxed_slice()
        });
        let at = *starts.get(usize::try_from(before).ok()?)?;
        raw.get(usize::from(at)..).map(Cursor::new)
    }

    /// The block that has a type's entry, and how many entries are before it there.
    fn place(&self, kind: Kind, id: TypeId) -> Option<(usize, u32)> {
        let range = self.range(kind);
        let behind = partition(range.clone(), |b| self.first(b).is_some_and(|f| f <= id.0));
        let block = behind.checked_sub(1).filter(|b| *b >= range.start)?;
        Some((block, id.0.checked_sub(self.first(block)?)?))
    }

    fn record(&self, cursor: &mut Cursor<'_>, depth: usize) -> Option<TypeInfo> {
        let own = self.name(cursor)?;
        let head = Head::read(cursor)?;
        let name = match head.outer {
            Some(outer) => format!("{}.{own}", self.info(outer, depth + 1)?.name),
            None => own,
        };
        Some(TypeInfo {
            name,
            kind: head.kind,
            arch: head.arch,
            by_value: head.by_value,
            outer: head.outer,
            sizes: head.sizes,
        })
    }

    /// A type in full.
    #[must_use]
    pub fn definition(&self, id: TypeId) -> Option<Definition> {
        Some(self.whole(id)?.1)
    }

    /// The namespace of the metadata that has a type.
    #[must_use]
    pub fn namespace_of(&self, id: TypeId) -> Option<&str> {
        Some(self.whole(id)?.0)
    }

    fn whole(&self, id: TypeId) -> Option<(&str, Definition)> {
        let kind = self.type_info(id)?.kind;
        let (block, before) = self.place(Kind::Definitions, id)?;
        let mut cursor = Cursor::new(self.block(block)?);
        for _ in 0..before {
            cursor.part()?;
        }
        let mut body = cursor.part()?;
        let namespace = self.namespace(body.varint()?)?;
        Some((namespace, self.read_definition(kind, &mut body)?))
    }

    /// Whether an enumeration's values are flags, and the values in their order.
    pub(crate) fn enum_values(&self, id: TypeId) -> Option<(bool, Vec<i64>)> {
        let (flags, count, mut body) = self.enum_body(id)?;
        let (mut last, mut values) = (-1i64, Vec::new());
        for _ in 0..count {
            body.u8()?;
            Table::skip_name(&mut body)?;
            last = last.wrapping_add(body.signed()?).wrapping_add(1);
            values.push(last);
        }
        Some((flags, values))
    }

    /// The names of the enumerators with these places, in the order of the places.
    pub(crate) fn enum_names(&self, id: TypeId, places: &[usize]) -> Vec<String> {
        let mut out = vec![String::new(); places.len()];
        let mut read = || {
            let (_, count, mut body) = self.enum_body(id)?;
            let mut words = Vec::new();
            for n in 0..count.min(places.iter().max()?.checked_add(1)?) {
                Table::words_after(&mut body, &mut words)?;
                body.signed()?;
                for (slot, _) in out.iter_mut().zip(places).filter(|(_, p)| **p == n) {
                    *slot = self.spelled(&words)?;
                }
            }
            Some(())
        };
        let _ = read();
        out.retain(|n| !n.is_empty());
        out
    }

    /// What is behind the head of an enumeration: whether its values are flags, how many there are, and they.
    pub(crate) fn enum_body(&self, id: TypeId) -> Option<(bool, usize, Cursor<'_>)> {
        if self.type_info(id)?.kind != TypeKind::Enum {
            return None;
        }
        let (block, before) = self.place(Kind::Definitions, id)?;
        let mut cursor = Cursor::new(self.block(block)?);
        for _ in 0..before {
            cursor.part()?;
        }
        let mut body = cursor.part()?;
        body.varint()?;
        body.u8()?;
        let flags = body.u8()? != 0;
        let count = usize::try_from(body.varint()?).ok().filter(|c| *c <= MAX_PARTS)?;
        Some((flags, count, body))
    }

    fn read_definition(&self, kind: TypeKind, body: &mut Cursor<'_>) -> Option<Definition> {
        let count = |body: &mut Cursor<'_>| usize::try_from(body.varint()?).ok().filter(|c| *c <= MAX_PARTS);
        Some(match kind {
            TypeKind::Struct | TypeKind::Union => {
                let packing = body.varint()?;
                let count = count(body)?;
                let fields = (0..count).map(|_| self.field(body)).collect::<Option<_>>()?;
                Definition::Struct { packing, fields }
            }
            TypeKind::Enum => {
                let underlying = Base::of(body.u8()?.into())?;
                let flags = body.u8()? != 0;
                let count = count(body)?;
                let (mut name, mut last, mut members) = (Name::default(), -1i64, Vec::new());
                for _ in 0..count {
                    self.name_after(body, &mut name)?;
                    last = last.wrapping_add(body.signed()?).wrapping_add(1);
                    members.push((name.text.clone(), last));
                }
                Definition::Enum { underlying, flags, members }
            }
            TypeKind::Interface => {
                let iid = match body.varint()? {
                    0 => None,
                    n => self.guid(n - 1),
                };
                let base = match ty(body, 0)? {
                    Ty::Named(base) => Some(base),
                    _ => None,
                };
                let count = count(body)?;
                let mut method = || {
                    let name = self.name(body)?;
                    Some(Method { name, signature: self.signature(body)? })
                };
                let methods = (0..count).map(|_| method()).collect::<Option<_>>()?;
                Definition::Interface { iid, base, methods }
            }
            TypeKind::Callback => Definition::Callback(self.signature(body)?),
            TypeKind::Alias => Definition::Alias { to: ty(body, 0)?, handle: body.u8()? != 0 },
            TypeKind::Class => Definition::Class { id: self.guid(body.varint()?)? },
        })
    }

    fn field(&self, body: &mut Cursor<'_>) -> Option<Field> {
        match body.varint()? {
            0 => self.field_here(body),
            n => self.field_here(&mut self.part(usize::try_from(n - 1).ok()?)?),
        }
    }

    fn field_here(&self, cursor: &mut Cursor<'_>) -> Option<Field> {
        let name = self.name(cursor)?;
        let ty = ty(cursor, 0)?;
        let count = cursor.small().filter(|c| *c <= 64)?;
        let mut bits = || {
            let name = self.name(cursor)?;
            Some(Bits { name, pos: cursor.small()?.try_into().ok()?, len: cursor.small()?.try_into().ok()? })
        };
        let bits = (0..count).map(|_| bits()).collect::<Option<_>>()?;
        Some(Field { name, ty, bits })
    }

    fn guid(&self, index: u64) -> Option<[u8; 16]> {
        let index = usize::try_from(index).ok()?;
        self.section(Section::Guids).as_chunks::<16>().0.get(index).copied()
    }

    /// The interface or class with a GUID, as it lies in memory.
    #[must_use]
    pub fn type_with_guid(&self, guid: &[u8; 16]) -> Option<TypeId> {
        let all = self.section(Section::Guids).as_chunks::<16>().0;
        let index = all.binary_search(guid).ok()?;
        Some(TypeId(u16_at(self.section(Section::GuidTypes), index)?.into()))
    }

    /// The type of this name for a machine: there may be one for each.
    #[must_use]
    pub fn for_arch(&self, id: TypeId, arch: Arch) -> TypeId {
        let Some(info) = self.type_info(id).filter(|i| i.arch & arch.bit() == 0) else { return id };
        // Those of one name have numbers one after the other.
        let near = [1, 2, 3].into_iter().flat_map(|n| [id.0.checked_add(n), id.0.checked_sub(n)]);
        let fits = |other: &TypeId| {
            self.type_info(*other).is_some_and(|o| o.arch & arch.bit() != 0 && o.name == info.name)
        };
        near.flatten().map(TypeId).find(fits).unwrap_or(id)
    }

    /// Bytes and alignment of a type. `None`: it has none, or they are not known.
    #[must_use]
    pub fn size_of(&self, ty: &Ty, arch: Arch) -> Option<Size> {
        self.sized(ty, arch, 0)
    }

    fn sized(&self, ty: &Ty, arch: Arch, depth: usize) -> Option<Size> {
        let same = |bytes: u64| (bytes != 0).then_some(Size { bytes, align: bytes });
        if depth > MAX_NESTING {
            return None;
        }
        match ty {
            Ty::Base(Base::Guid) => Some(Size { bytes: 16, align: 4 }),
            Ty::Base(b) => same(b.size(arch)),
            Ty::Pointer(_) => same(arch.pointer()),
            Ty::Array(of, count) => {
                let one = self.sized(of, arch, depth + 1)?;
                Some(Size { bytes: one.bytes.checked_mul((*count).into())?, ..one })
            }
            Ty::Named(id) => {
                let id = self.for_arch(*id, arch);
                let info = self.type_info(id)?;
                match info.kind {
                    TypeKind::Struct | TypeKind::Union => {
                        let [narrow, wide] = info.sizes;
                        Some(if arch == Arch::X86 { narrow } else { wide }).filter(|s| s.bytes != 0)
                    }
                    TypeKind::Interface | TypeKind::Callback => same(arch.pointer()),
                    TypeKind::Class => None,
                    TypeKind::Enum | TypeKind::Alias => match self.definition(id)? {
                        Definition::Enum { underlying, .. } => same(underlying.size(arch)),
                        Definition::Alias { to, .. } => self.sized(&to, arch, depth + 1),
                        _ => None,
                    },
                }
            }
        }
    }

    /// The fields of a structure with their offsets in bytes, by the rules of Microsoft's compiler.
    #[must_use]
    pub fn layout(&self, id: TypeId, arch: Arch) -> Option<Vec<(u64, Field)>> {
        let id = self.for_arch(id, arch);
        let union = self.type_info(id)?.kind == TypeKind::Union;
        let Definition::Struct { packing, fields } = self.definition(id)? else { return None };
        let mut at = 0u64;
        let mut out = Vec::new();
        for field in fields {
            let size = self.size_of(&field.ty, arch)?;
            let align = if packing == 0 { size.align } else { size.align.min(packing) };
            let here = if union { 0 } else { at.checked_next_multiple_of(align.max(1))? };
            at = here.checked_add(size.bytes)?;
            out.push((here, field));
        }
        Some(out)
    }

    /// A type in Windows' words: `HANDLE`, `PCWSTR`, `SECURITY_ATTRIBUTES *`.
    #[must_use]
    pub fn type_text(&self, ty: &Ty) -> String {
        self.text_of(ty, 0)
    }

    fn text_of(&self, ty: &Ty, depth: usize) -> String {
        if depth > MAX_NESTING {
            return "?".to_owned();
        }
        match ty {
            Ty::Base(b) => b.name().to_owned(),
            Ty::Named(id) => match self.type_info(*id) {
                Some(info) if info.kind == TypeKind::Interface => format!("{} *", info.name),
                Some(info) => info.name,
                None => "?".to_owned(),
            },
            Ty::Pointer(to) => {
                let to = self.text_of(to, depth + 1);
                if to.ends_with('*') { format!("{to}*") } else { format!("{to} *") }
            }
            Ty::Array(of, count) => format!("{}[{count}]", self.text_of(of, depth + 1)),
        }
    }

    /// All methods of an interface in the order of its table of functions, those of its bases first; each with the
    /// interface that has it.
    #[must_use]
    pub fn methods(&self, id: TypeId) -> Vec<(String, Method)> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next.filter(|_| chain.len() < MAX_NESTING * 2) {
            let Some(Definition::Interface { base, methods, .. }) = self.definition(id) else { break };
            let name = self.type_info(id).map(|t| t.name).unwrap_or_default();
            chain.push((name, methods));
            next = base;
        }
        let all = chain.into_iter().rev();
        all.flat_map(|(name, methods)| methods.into_iter().map(move |m| (name.clone(), m))).collect()
    }
}

/// What is behind a record's name.
struct Head {
    kind: TypeKind,
    arch: u8,
    by_value: bool,
    outer: Option<TypeId>,
    sizes: [Size; 2],
}

impl Head {
    fn read(cursor: &mut Cursor<'_>) -> Option<Head> {
        let byte = cursor.u8()?;
        let kind = match byte & 7 {
            0 => TypeKind::Struct,
            1 => TypeKind::Union,
            2 => TypeKind::Enum,
            3 => TypeKind::Interface,
            4 => TypeKind::Callback,
            5 => TypeKind::Alias,
            6 => TypeKind::Class,
            _ => return None,
        };
        let arch = if byte & 8 != 0 { cursor.u8()? } else { 7 };
        let outer = if byte & 0x20 != 0 { Some(TypeId(cursor.small()?)) } else { None };
        let mut size = || {
            let v = cursor.varint()?;
            Some(Size { bytes: v >> 3, align: 1 << (v & 7) })
        };
        let sizes = match kind {
            TypeKind::Struct | TypeKind::Union => [size()?, size()?],
            _ => [Size::default(); 2],
        };
        Some(Head { kind, arch, by_value: byte & 0x10 != 0, outer, sizes })
    }
}

fn skip_record(cursor: &mut Cursor<'_>) -> Option<()> {
    Table::skip_name(cursor)?;
    Head::read(cursor).map(|_| ())
}
