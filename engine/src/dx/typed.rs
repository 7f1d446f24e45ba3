//! Typed objects: their bytes as numbers and texts, their members and elements.

use super::ast::{Format, Radix, Wrap};
use super::ty::{DxType, Kind};
use super::value::{Child, Key, Label, Typed, Val};
use super::world::World;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{
    MAX_DEPTH, Member, MemberKind, Type, TypeId, TypeProvider, ValueCx, bare, size_of,
};

/// Most classes and members that are looked at for one object.
const MAX_CLASSES: usize = 1 << 10;
const MAX_MEMBERS: usize = 1 << 12;
/// Longest text that is read, in characters.
const MAX_TEXT: usize = 4096;
/// Deepest chain of pointers whose values are shown behind each other.
const MAX_CHAIN: usize = 8;

/// A member of a class or of one of its bases.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Class that declares it.
    pub(crate) owner: String,
    pub(crate) ty: TypeId,
    pub(crate) place: PartPlace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartPlace {
    Offset(u64),
    Static,
    Method,
}

impl World<'_> {
    pub(crate) fn memory(&self) -> &dyn ReadMemory {
        &**self.session.dump().memory()
    }

    pub(crate) fn cx<T>(&self, ty: &DxType, f: impl FnOnce(&ValueCx<'_>) -> T) -> T {
        f(&ValueCx { types: ty.types(), mem: self.memory(), machine: ty.set.machine(), symbol: &|_| None })
    }

    fn unreadable(typed: &Typed) -> String {
        match typed.address() {
            Some(va) => format!("Unable to read memory at Address 0x{va:x}"),
            None => "Value unavailable error".into(),
        }
    }

    /// The whole number that a typed object is; `None` when it is none.
    pub(crate) fn integer(&self, typed: &Typed) -> Option<Result<i128, String>> {
        let failed = || Self::unreadable(typed);
        let plain = |size: u64, signed: bool| {
            let read = self.cx(&typed.ty, |cx| cx.unsigned(typed.place.data(), size));
            read.map(|n| if signed { extend(n, size) } else { n.cast_signed() }).ok_or_else(failed)
        };
        Some(match typed.ty.kind() {
            Kind::Bool(size) | Kind::Int(size, false) => plain(size, false),
            Kind::Int(size, true) => plain(size, true),
            // `wchar_t` is unsigned.
            Kind::Char(size) => plain(size, size == 1),
            Kind::Enum(id, signed) => plain(size_of(typed.ty.types(), id).unwrap_or(4), signed),
            Kind::Pointer(_) | Kind::Reference(_) => plain(typed.ty.types().pointer_bytes().into(), false),
            Kind::Bits(of, _, len) => {
                let read = self.cx(&typed.ty, |cx| cx.integer(typed.ty.id, typed.place.data()));
                let signed = matches!(typed.ty.with(of).kind(), Kind::Int(_, true) | Kind::Enum(_, true));
                let len = u32::from(len).clamp(1, 64);
                let negative = |n: i128| signed && n >> (len - 1) & 1 != 0;
                read.map(|n| if negative(n) { n.wrapping_sub(1i128 << len) } else { n }).ok_or_else(failed)
            }
            _ => return None,
        })
    }

    pub(crate) fn float(&self, typed: &Typed) -> Option<Result<f64, String>> {
        let Kind::Float(size) = typed.ty.kind() else { return None };
        let raw = self.cx(&typed.ty, |cx| cx.unsigned(typed.place.data(), size));
        let Some(raw) = raw else { return Some(Err(Self::unreadable(typed))) };
        match size {
            4 => Some(Ok(f32::from_bits(raw as u32).into())),
            8 => Some(Ok(f64::from_bits(raw as u64))),
            _ => None,
        }
    }

    /// What a pointer or reference leads to: the address.
    pub(crate) fn target(&self, typed: &Typed) -> Result<u64, String> {
        match self.integer(typed) {
            Some(value) => value.map(|n| n as u64),
            None => Err("Unable to dereference non pointer object".into()),
        }
    }

    /// The object that a reference stands for; others are what they are.
    pub(crate) fn resolved(&self, typed: Typed) -> Result<Typed, String> {
        match typed.ty.kind() {
            Kind::Reference(to) => Ok(Typed::at(to, self.target(&typed)?)),
            _ => Ok(typed),
        }
    }

    /// The text of an object: what stands behind the colon. `Err`: it cannot be read.
    pub(crate) fn typed_text(
        &self,
        typed: &Typed,
        format: &Format,
        depth: usize,
    ) -> Result<Option<String>, String> {
        if let Some(value) = self.float(typed) {
            return Ok(Some(float_text(value?)));
        }
        let unsigned = matches!(typed.ty.kind(), Kind::Int(_, false));
        let bytes = typed.ty.size().unwrap_or(8);
        Ok(Some(match typed.ty.kind() {
            Kind::Bool(_) => {
                let n = self.integer(typed).unwrap_or(Ok(0))?;
                if n != 0 { "true".into() } else { "false".into() }
            }
            Kind::Int(..) => {
                let n = self.integer(typed).unwrap_or(Ok(0))?;
                number_text(n, bytes, format.radix.unwrap_or(natural(unsigned)))
            }
            Kind::Char(_) => {
                let n = self.integer(typed).unwrap_or(Ok(0))?;
                match format.radix {
                    Some(radix) => number_text(n, bytes, radix),
                    None => character_text(n),
                }
            }
            Kind::Enum(id, signed) => {
                let n = self.integer(typed).unwrap_or(Ok(0))?;
                let number = number_text(n, bytes, format.radix.unwrap_or(natural(!signed)));
                match self.enumerator(&typed.ty, id, n) {
                    Some(name) => format!("{name} ({number})"),
                    None => number,
                }
            }
            Kind::Bits(of, ..) => {
                let n = self.integer(typed).unwrap_or(Ok(0))?;
                let ty = typed.ty.with(of);
                match ty.kind() {
                    Kind::Bool(_) => (if n != 0 { "true" } else { "false" }).into(),
                    Kind::Enum(id, signed) => {
                        let number = number_text(n, bytes, format.radix.unwrap_or(natural(!signed)));
                        match self.enumerator(&ty, id, n) {
                            Some(name) => format!("{name} ({number})"),
                            None => number,
                        }
                    }
                    Kind::Int(_, false) => number_text(n, bytes, format.radix.unwrap_or(Radix::Hex)),
                    _ => number_text(n, bytes, format.radix.unwrap_or(Radix::Decimal)),
                }
            }
            Kind::Pointer(to) | Kind::Reference(to) => {
                let va = self.target(typed)?;
                match self.pointee_text(&to, va, format, depth) {
                    Some(text) if va != 0 => format!("0x{va:x} : {text}"),
                    _ => format!("0x{va:x}"),
                }
            }
            Kind::Member(size) => self.member_pointer(typed, size)?,
            Kind::Array(element, count) => {
                let wide = match (element.character(), format.text.and_then(|t| t.wide)) {
                    (Some(wide), forced) => forced.unwrap_or(wide),
                    (None, Some(forced)) if element.size() == Some(if forced { 2 } else { 1 }) => forced,
                    _ => return Ok(None),
                };
                let plain = format.count.is_some() && format.text.is_none();
                let Some(va) = typed.address().filter(|_| !plain && !typed.placeless) else {
                    return Ok(None);
                };
                let most = format.count.unwrap_or(count).min(count.max(1));
                match self.read_text(va, wide, Some(most)) {
                    Some(text) => quoted(&text, format),
                    None => return Ok(None),
                }
            }
            Kind::Udt(..) => return self.view_text(typed, format, depth),
            Kind::Function => {
                let Some(va) = typed.address() else { return Ok(None) };
                self.function_text(va)
            }
            _ => return Ok(None),
        }))
    }

    /// `app!main+0x0`.
    fn function_text(&self, va: u64) -> String {
        match self.session.target.symbols.resolve(Va(va)) {
            Some(found) => {
                let module = self.session.target.symbols.name_in(found.module, self.session.sel.machine);
                match &found.symbol {
                    Some(symbol) => format!("{module}!{}+0x{:x}", symbol.name, found.displacement),
                    None => format!("{module}+0x{:x}", found.displacement),
                }
            }
            None => format!("0x{va:x}"),
        }
    }

    fn member_pointer(&self, typed: &Typed, size: u64) -> Result<String, String> {
        let half = u64::from(typed.ty.types().pointer_bytes());
        let read =
            |by: u64, len: u64| self.cx(&typed.ty, |cx| cx.unsigned(typed.place.data().offset(by), len));
        let first = read(0, half.min(size)).ok_or_else(|| Self::unreadable(typed))?;
        // The engine shows a pair for functions, whatever the class needs.
        let function = match bare(typed.ty.types(), typed.ty.id).1 {
            Type::Pointer { to, .. } => matches!(bare(typed.ty.types(), to).1, Type::Function { .. }),
            _ => false,
        };
        if !function {
            return Ok(format!("0x{first:x}"));
        }
        let second = if size > half { read(half, (size - half).min(4)).unwrap_or(0) } else { 0 };
        Ok(format!("(0x{first:x}, 0x{second:x})"))
    }

    /// What stands behind a pointer's address.
    fn pointee_text(&self, to: &DxType, va: u64, format: &Format, depth: usize) -> Option<String> {
        if depth > MAX_CHAIN {
            return None;
        }
        let wide = format.text.and_then(|t| t.wide);
        let text = match to.kind() {
            Kind::Char(1 | 2) => Some(wide.unwrap_or(to.character() == Some(true))),
            Kind::Int(size, _) if format.text.is_some() && size == if wide == Some(true) { 2 } else { 1 } => {
                wide
            }
            Kind::Void if format.text.is_some() => wide,
            _ => None,
        };
        if let Some(wide) = text {
            return Some(match self.read_text(va, wide, format.count) {
                Some(text) => quoted(&text, format),
                None => format!("Unable to read memory at Address 0x{va:x}"),
            });
        }
        match to.kind() {
            Kind::Void | Kind::Array(..) | Kind::Other | Kind::Member(_) => None,
            Kind::Function => Some(self.function_text(va)),
            _ => match self.typed_text(&Typed::at(to.clone(), va), format, depth + 1) {
                Ok(text) => text,
                Err(why) => Some(why),
            },
        }
    }

    /// Text at an address up to a NUL; `None` when nothing can be read. `most`: characters.
    pub(crate) fn read_text(&self, va: u64, wide: bool, most: Option<u64>) -> Option<String> {
        let most = usize::try_from(most.unwrap_or(MAX_TEXT as u64)).unwrap_or(MAX_TEXT).min(MAX_TEXT);
        let mut bytes = vec![0u8; if wide { most * 2 } else { most }];
        let got = self.memory().read_at(Va(va), &mut bytes).got;
        bytes.truncate(got);
        if bytes.is_empty() && most > 0 {
            return None;
        }
        if wide {
            let units: Vec<u16> = bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|c| u16::from_le_bytes(*c))
                .take_while(|u| *u != 0)
                .collect();
            return Some(String::from_utf16_lossy(&units));
        }
        Some(bytes.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect())
    }

    /// The enumerator of a value. Untrusted.
    fn enumerator(&self, ty: &DxType, id: TypeId, value: i128) -> Option<String> {
        ty.types().enumerators(id).into_iter().find(|e| e.value == value).map(|e| e.name)
    }

    /// The members of an object in the order of its definition, those of its bases included and virtual ones found.
    pub(crate) fn parts(&self, ty: &DxType, place: &Stored, methods: bool) -> Vec<Part> {
        let mut walk =
            Walk { world: self, ty, place, out: Vec::new(), virtuals: Vec::new(), classes: 0, methods };
        walk.add(ty.id, 0, 0);
        walk.out
    }

    /// A member's value.
    pub(crate) fn part_val(&self, typed: &Typed, part: &Part) -> Val {
        let ty = typed.ty.with(part.ty);
        match part.place {
            PartPlace::Offset(by) => Val::typed(ty, offset(&typed.place, by)),
            PartPlace::Static => self.static_val(&typed.ty, part),
            PartPlace::Method => match self.method_address(&typed.ty, part) {
                Some(va) => Val::typed(ty, Stored::Memory(Va(va))),
                None => Val::Absent,
            },
        }
    }

    fn method_address(&self, ty: &DxType, part: &Part) -> Option<u64> {
        let base = self.session.target.symbols.modules().get(ty.set.module()?)?.base;
        let name = format!("{}::{}", part.owner, part.name);
        let symbols = ty.set.provider()?.by_name(&name, false);
        Some(symbols.first()?.rva.va(base).0)
    }

    fn static_val(&self, ty: &DxType, part: &Part) -> Val {
        let (va, storage) =
            crate::commands::types::static_member(self.session, &ty.set, &part.owner, &part.name);
        let of = ty.with(part.ty);
        match va.filter(|_| storage) {
            Some(va) => Val::typed(of, Stored::Memory(va)),
            None => match self.constant(ty, &format!("{}::{}", part.owner, part.name)) {
                Some(value) => {
                    let size = usize::try_from(of.size().unwrap_or(4)).unwrap_or(4);
                    Val::typed(
                        of,
                        Stored::Bytes(value.to_le_bytes().get(..size).unwrap_or_default().to_vec()),
                    )
                }
                None => Val::Failed("Static member has no storage".into()),
            },
        }
    }

    /// A constant that has no storage.
    pub(crate) fn constant(&self, ty: &DxType, name: &str) -> Option<i128> {
        ty.set.provider()?.constant(name).map(|(_, value)| value)
    }

    /// The rows of a structure as it lies in memory.
    pub(crate) fn raw_children(&self, typed: &Typed) -> Vec<Child> {
        let parts = self.parts(&typed.ty, &typed.place, false);
        let child = |part: &Part| {
            let val = self.part_val(typed, part);
            let label = match (part.place, &val) {
                (PartPlace::Offset(by), Val::Typed(t)) => {
                    let bits = match t.ty.kind() {
                        Kind::Bits(_, pos, len) => Some((pos.saturating_add(len).saturating_sub(1), pos)),
                        _ => None,
                    };
                    Label::Field(by, bits, part.name.clone())
                }
                (PartPlace::Static, Val::Typed(t)) => match t.address() {
                    Some(va) => Label::Static(va, part.name.clone()),
                    None => Label::Name(part.name.clone()),
                },
                _ => Label::Name(part.name.clone()),
            };
            Child::new(label, val)
        };
        parts.iter().map(child).collect()
    }

    /// The object that a pointer's or an object's table of virtual functions says it is: its type, and the bytes to
    /// go back to its start.
    pub(crate) fn derived(&self, ty: &DxType, va: u64) -> Option<(DxType, u64)> {
        let Kind::Udt(id, name) = ty.kind() else { return None };
        if !has_table(ty.types(), id, 0, &mut 0) {
            return None;
        }
        let table = self.memory().ptr(Va(va), ty.set.machine())?;
        let found = self.session.target.symbols.resolve(table).filter(|r| r.displacement == 0)?;
        let symbol = found.symbol?;
        let class = symbol.name.split("::`vftable'").next().filter(|c| c.len() < symbol.name.len())?;
        let class = class.strip_prefix("const ").unwrap_or(class);
        if class == name {
            return None;
        }
        let id = ty.types().find_type(class, false).into_iter().next()?;
        let derived = ty.with(id);
        let back = base_offset(derived.types(), derived.id, &name, 0, &mut 0)?;
        Some((derived, back))
    }
}

/// True when the object starts with a pointer to a table of virtual functions. `seen` bounds the classes that are looked
/// at: bases beside bases could be nested into a maze.
fn has_table(types: &dyn TypeProvider, id: TypeId, depth: usize, seen: &mut usize) -> bool {
    *seen += 1;
    if depth >= MAX_DEPTH || *seen > MAX_CLASSES {
        return false;
    }
    types.members(id).iter().any(|m| match m.kind {
        MemberKind::FunctionTable { offset } => offset == 0,
        MemberKind::Base { ty, offset: 0 } => has_table(types, bare(types, ty).0, depth + 1, seen),
        _ => false,
    })
}

/// Where in a class its base with a name lies.
fn base_offset(
    types: &dyn TypeProvider,
    id: TypeId,
    name: &str,
    depth: usize,
    seen: &mut usize,
) -> Option<u64> {
    *seen += 1;
    if depth >= MAX_DEPTH || *seen > MAX_CLASSES {
        return None;
    }
    types.members(id).iter().find_map(|m| {
        let MemberKind::Base { ty, offset } = m.kind else { return None };
        match bare(types, ty) {
            (_, Type::Udt { name: found, .. }) if found == name => Some(offset),
            (id, _) => base_offset(types, id, name, depth + 1, seen)?.checked_add(offset),
        }
    })
}

/// Collects the members of a class.
struct Walk<'w, 'a> {
    world: &'w World<'a>,
    ty: &'w DxType,
    place: &'w Stored,
    out: Vec<Part>,
    /// Virtual bases that were seen.
    virtuals: Vec<String>,
    classes: usize,
    methods: bool,
}

impl Walk<'_, '_> {
    fn add(&mut self, id: TypeId, at: u64, depth: usize) {
        let types = self.ty.types();
        let (id, Type::Udt { name: owner, .. }) = bare(types, id) else { return };
        self.classes += 1;
        if depth >= MAX_DEPTH || self.classes > MAX_CLASSES {
            return;
        }
        let members: Vec<Member> = types.members(id);
        for m in members {
            if self.out.len() >= MAX_MEMBERS {
                return;
            }
            let mut push = |ty, place| {
                self.out.push(Part { name: m.name.clone(), owner: owner.clone(), ty, place });
            };
            match m.kind {
                MemberKind::Field { ty, offset } => push(ty, PartPlace::Offset(at.saturating_add(offset))),
                MemberKind::Static { ty } => push(ty, PartPlace::Static),
                MemberKind::Method { ty } if self.methods => push(ty, PartPlace::Method),
                MemberKind::Base { ty, offset } => self.add(ty, at.saturating_add(offset), depth + 1),
                MemberKind::VirtualBase { ty, table, index } => {
                    let Type::Udt { name, .. } = bare(types, ty).1 else { continue };
                    if self.virtuals.contains(&name) {
                        continue;
                    }
                    self.virtuals.push(name);
                    if let Some(found) = self.virtual_base(at.saturating_add(table), index) {
                        self.add(ty, found, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    /// Where in the object a virtual base lies: its table of offsets says so.
    fn virtual_base(&self, table: u64, index: u64) -> Option<u64> {
        let Stored::Memory(start) = self.place else { return None };
        let memory = self.world.memory();
        let pointer = Va(start.0.checked_add(table)?);
        let entries = memory.ptr(pointer, self.ty.set.machine())?;
        let mut entry = [0u8; 4];
        let va = Va(entries.0.checked_add(index.checked_mul(4)?)?);
        (memory.read_at(va, &mut entry).got == 4).then_some(())?;
        table.checked_add_signed(i32::from_le_bytes(entry).into())
    }
}

/// The place `by` bytes further.
pub(crate) fn offset(place: &Stored, by: u64) -> Stored {
    match place {
        Stored::Memory(va) => Stored::Memory(Va(va.0.wrapping_add(by))),
        Stored::Bytes(bytes) => {
            let rest = usize::try_from(by).ok().and_then(|by| bytes.get(by..));
            Stored::Bytes(rest.unwrap_or_default().to_vec())
        }
    }
}

fn extend(n: u128, size: u64) -> i128 {
    let shift = 128u32.saturating_sub(u32::try_from(size.saturating_mul(8)).unwrap_or(128));
    n.cast_signed().checked_shl(shift).unwrap_or(0).checked_shr(shift).unwrap_or(0)
}

/// The radix of numbers without a format.
fn natural(unsigned: bool) -> Radix {
    if unsigned { Radix::Hex } else { Radix::Decimal }
}

/// A number in `bytes` bytes.
pub(crate) fn number_text(n: i128, bytes: u64, radix: Radix) -> String {
    let bits = u32::try_from(bytes.saturating_mul(8)).unwrap_or(128).clamp(1, 128);
    let raw = n.cast_unsigned() & (u128::MAX >> (128 - bits));
    match radix {
        Radix::Decimal => n.to_string(),
        Radix::Hex => format!("0x{raw:x}"),
        Radix::Octal => format!("0{raw:o}"),
        Radix::Binary => format!("0y{raw:b}"),
    }
}

/// `65 'A'`.
fn character_text(n: i128) -> String {
    let shown = u32::try_from(n).ok().and_then(char::from_u32).filter(|c| *c >= ' ' && !c.is_control());
    match shown {
        Some(c) => format!("{n} '{c}'"),
        None => n.to_string(),
    }
}

pub(crate) fn float_text(f: f64) -> String {
    if f.is_nan() {
        return if f.is_sign_negative() { "-nan".into() } else { "nan".into() };
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".into() } else { "-inf".into() };
    }
    format!("{f:.6}")
}

fn quoted(text: &str, format: &Format) -> String {
    match format.text {
        Some(form) if !form.quoted => text.to_owned(),
        _ => format!("\"{text}\""),
    }
}

/// The elements of an array, or those that a pointer leads to.
pub(crate) fn elements(
    element: &DxType,
    start: &Stored,
    from: u64,
    count: u64,
    most: usize,
) -> Vec<(Key, Val)> {
    let Some(size) = element.size() else { return Vec::new() };
    (from..count)
        .take(most)
        .map_while(|i| {
            let by = i.checked_mul(size)?;
            Some((Key::Int(i.into()), Val::typed(element.clone(), offset(start, by))))
        })
        .collect()
}

/// A pointer to a type with a value.
pub(crate) fn pointer(to: &DxType, va: u64) -> Typed {
    let size = usize::from(to.types().pointer_bytes());
    let bytes = va.to_le_bytes().get(..size).unwrap_or_default().to_vec();
    Typed::new(to.wrapped(Wrap::Pointer), Stored::Bytes(bytes))
}
