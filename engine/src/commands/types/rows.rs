//! The rows of a type or an object: members, nested ones, elements of arrays.

use super::fields::Field;
use super::find::static_member;
use crate::expr::TypeSet;
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::types::{
    self, Data, Row, RowKind, Type, TypeId, TypeProvider, UNREADABLE, ValueCx, bare, dt_name, dt_value,
    size_of,
};
use serde::Serialize;

/// Most rows of one answer, elements of arrays included.
pub(crate) const MAX_ROWS: usize = 4096;
/// Deepest chain of virtual bases.
const MAX_BASES: u32 = 16;

/// One row of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DtRow {
    /// 0 for the type's own members.
    pub(crate) depth: u32,
    /// Bytes from the start of the structure that holds it; null for static members.
    pub(crate) offset: Option<Hex>,
    /// Static members: their address, null without one.
    pub(crate) address: Option<Hex>,
    /// False for a static member without storage: its value is what lies at the module's base.
    pub(crate) storage: bool,
    /// Untrusted.
    pub(crate) name: String,
    /// Untrusted.
    #[serde(rename = "type")]
    pub(crate) ty: String,
    /// Untrusted; null without an object, and for a structure that only leads to a nested field.
    pub(crate) value: Option<String>,
    /// Values of an array's elements (`-a`). Untrusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) elements: Vec<String>,
    /// It only leads to the rows below it.
    #[serde(skip)]
    pub(crate) path: bool,
    #[serde(skip)]
    pub(crate) table: bool,
}

/// What is opened and how much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    /// `-r`: levels of nested structures.
    pub(crate) nesting: u32,
    /// Pointers are followed too (`-b`: not).
    pub(crate) follow: bool,
    /// `-v`.
    pub(crate) verbose: bool,
    /// `-a`: most elements of an array.
    pub(crate) elements: Option<u64>,
}

/// Collects rows.
pub(crate) struct Filler<'a> {
    pub(crate) cx: &'a ValueCx<'a>,
    pub(crate) set: &'a TypeSet,
    pub(crate) session: &'a Session,
    pub(crate) open: Open,
    pub(crate) rows: Vec<DtRow>,
    /// The first address whose memory is not known.
    pub(crate) unread: Option<Va>,
    /// There are more rows.
    pub(crate) cut: bool,
    /// The types that are open.
    chain: Vec<TypeId>,
    shown_elements: usize,
}

/// A row's place among the levels.
#[derive(Clone, Copy)]
struct Level {
    depth: u32,
    /// Levels still to open.
    left: u32,
    /// Which part of the fields' paths counts.
    part: usize,
}

impl<'a> Filler<'a> {
    pub(crate) fn new(cx: &'a ValueCx<'a>, set: &'a TypeSet, session: &'a Session, open: Open) -> Filler<'a> {
        Filler {
            cx,
            set,
            session,
            open,
            rows: Vec::new(),
            unread: None,
            cut: false,
            chain: Vec::new(),
            shown_elements: 0,
        }
    }

    fn types(&self) -> &'a dyn TypeProvider {
        self.cx.types
    }

    /// Adds the rows of an aggregate, those that `fields` select or all.
    pub(crate) fn aggregate(&mut self, id: TypeId, object: Option<Data<'_>>, fields: &[&Field]) {
        let level = Level { depth: 0, left: self.open.nesting, part: 0 };
        self.level(id, object, fields, level);
    }

    fn level(&mut self, id: TypeId, object: Option<Data<'_>>, fields: &[&Field], level: Level) {
        self.chain.push(bare(self.types(), id).0);
        let rows = types::rows(self.types(), id);
        self.list(&rows, object, fields, level, 0);
        self.chain.pop();
    }

    fn list(&mut self, rows: &[Row], object: Option<Data<'_>>, fields: &[&Field], level: Level, bases: u32) {
        for r in rows {
            if self.full() {
                return;
            }
            let hits: Vec<&Field> =
                fields.iter().copied().filter(|f| f.selects(level.part, &r.name)).collect();
            if !fields.is_empty() && hits.is_empty() && !matches!(r.kind, RowKind::VirtualBase(..)) {
                continue;
            }
            match r.kind {
                RowKind::Field(at) => self.field(r, at, object, &hits, level),
                RowKind::FunctionTable(at) => {
                    let data = object.map(|o| o.offset(at));
                    let value = data.map(|d| types::table_pointer(self.cx, d));
                    self.note_unread(data, value.as_deref());
                    let bits = u32::from(self.types().pointer_bytes()).saturating_mul(8);
                    self.push(r, level, Some(at), None, format!("Ptr{bits} "), value, true);
                }
                RowKind::Static => {
                    let (va, storage) = static_member(self.session, self.set, &r.owner, &r.name);
                    let value = object.and(va).map(|va| dt_value(self.cx, r.ty, Data::Memory(va)));
                    let ty = dt_name(self.types(), r.ty);
                    self.push(r, level, None, va, ty, value, false);
                    if let Some(row) = self.rows.last_mut() {
                        row.storage = storage;
                    }
                }
                RowKind::VirtualBase(table, index) => {
                    let place = object.and_then(|o| self.virtual_base(o, table, index));
                    match place {
                        Some(data) if bases < MAX_BASES => {
                            let inner = types::rows(self.types(), r.ty);
                            self.list(&inner, Some(data), fields, level, bases.saturating_add(1));
                        }
                        _ if fields.is_empty() || !hits.is_empty() => {
                            let ty = format!("virtual base {}", dt_name(self.types(), r.ty));
                            let value = object.map(|_| UNREADABLE.to_owned());
                            self.push(r, level, None, None, ty, value, false);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn full(&mut self) -> bool {
        let shown = self.rows.len().saturating_add(self.shown_elements);
        let full = shown >= MAX_ROWS || self.session.cancel.is_cancelled();
        self.cut |= full;
        full
    }

    #[allow(clippy::too_many_arguments, reason = "one row's columns")]
    fn push(
        &mut self,
        r: &Row,
        level: Level,
        at: Option<u64>,
        address: Option<Va>,
        ty: String,
        value: Option<String>,
        table: bool,
    ) {
        self.rows.push(DtRow {
            depth: level.depth,
            offset: at.map(Hex),
            address: address.map(Hex::from),
            storage: true,
            name: escape(&r.name).into_owned(),
            ty: escape(&ty).into_owned(),
            value: value.map(|v| escape(&v).into_owned()),
            elements: Vec::new(),
            path: false,
            table,
        });
    }

    fn note_unread(&mut self, data: Option<Data<'_>>, value: Option<&str>) {
        if let (Some(Data::Memory(va)), Some(value)) = (data, value)
            && value.contains(UNREADABLE)
        {
            self.unread.get_or_insert(va);
        }
    }

    fn field(&mut self, r: &Row, at: u64, object: Option<Data<'_>>, hits: &[&Field], level: Level) {
        let next = level.part.saturating_add(1);
        let deeper: Vec<&Field> = hits.iter().copied().filter(|f| f.parts.len() > next).collect();
        let leaf = hits.iter().filter(|f| f.parts.len() <= next);
        let expand = leaf.map(|f| f.expand).max().unwrap_or(0).max(level.left);
        // `Field[3]`: the element instead of the array.
        let index = hits.iter().find_map(|f| f.parts.get(level.part)?.index);
        let (ty, at, name) = match (index, bare(self.types(), r.ty).1) {
            (Some(index), Type::Array { element, .. }) => {
                let each = size_of(self.types(), element).unwrap_or(0);
                let by = each.checked_mul(index).and_then(|by| at.checked_add(by));
                (element, by.unwrap_or(at), format!("{}[{index}]", r.name))
            }
            _ => (r.ty, at, r.name.clone()),
        };
        let row = Row { name, owner: String::new(), ty, kind: r.kind };
        let data = object.map(|o| o.offset(at));
        let path = !deeper.is_empty();
        let value = data.filter(|_| !path).map(|d| self.value(ty, d));
        self.note_unread(data, value.as_deref());
        let type_name = if self.open.verbose { verbose(self.types(), ty) } else { dt_name(self.types(), ty) };
        self.push(&row, level, Some(at), None, type_name, value, false);
        let elements = self.elements(ty, data);
        if let Some(last) = self.rows.last_mut() {
            last.path = path;
            if !elements.is_empty() {
                // The elements stand below the row instead of in it.
                last.value = Some(String::new());
                last.elements = elements;
            }
        }
        if !path && expand == 0 {
            return;
        }
        let Some((inner, object)) = self.inner(ty, data, path) else { return };
        if path {
            let level = Level { depth: level.depth.saturating_add(1), left: 0, part: next };
            self.level(inner, object, &deeper, level);
        } else {
            let left = expand.saturating_sub(1);
            self.level(inner, object, &[], Level { depth: level.depth.saturating_add(1), left, part: 0 });
        }
    }

    /// The structure that a field is or leads to, and where it lies.
    fn inner<'d>(
        &self,
        ty: TypeId,
        data: Option<Data<'d>>,
        path: bool,
    ) -> Option<(TypeId, Option<Data<'d>>)> {
        match bare(self.types(), ty) {
            (id, Type::Udt { .. }) => Some((id, data)),
            (_, Type::Pointer { to, size, .. }) if path || self.open.follow => {
                let (id, Type::Udt { .. }) = bare(self.types(), to) else { return None };
                let Some(data) = data else {
                    // Without an object a list would never end.
                    return (path || !self.chain.contains(&id)).then_some((id, None));
                };
                let va = self.cx.unsigned(data, size.into()).and_then(|v| u64::try_from(v).ok());
                Some((id, Some(Data::Memory(Va(va.filter(|v| *v != 0)?)))))
            }
            _ => None,
        }
    }

    fn value(&self, ty: TypeId, data: Data<'_>) -> String {
        let text = dt_value(self.cx, ty, data);
        match bare(self.types(), ty).1 {
            Type::Udt { name, .. } if self.open.verbose => {
                let rest = text.strip_prefix(&name).unwrap_or("");
                format!("{}{rest}", verbose(self.types(), ty))
            }
            _ => text,
        }
    }

    /// `[00] 0x1` for each element of an array, with `-a`.
    fn elements(&mut self, ty: TypeId, data: Option<Data<'_>>) -> Vec<String> {
        let Some((most, data)) = self.open.elements.zip(data) else { return Vec::new() };
        let (_, Type::Array { element, count, .. }) = bare(self.types(), ty) else { return Vec::new() };
        let elements = elements(self.cx, element, count.min(most), data);
        self.shown_elements = self.shown_elements.saturating_add(elements.len());
        elements
    }

    /// Where a virtual base lies: its offset stands in the table that the object's table pointer leads to.
    fn virtual_base<'d>(&self, object: Data<'d>, table: u64, index: u64) -> Option<Data<'d>> {
        let size = u64::from(self.types().pointer_bytes());
        let at = u64::try_from(self.cx.unsigned(object.offset(table), size)?).ok()?;
        let entry = Data::Memory(Va(at.checked_add(index.checked_mul(4)?)?));
        let by = i64::from(u32::try_from(self.cx.unsigned(entry, 4)?).ok()?.cast_signed());
        let by = table.checked_add_signed(by)?;
        Some(object.offset(by))
    }
}

/// `[00] 0x1` for the first `count` elements of an array.
pub(crate) fn elements(cx: &ValueCx<'_>, element: TypeId, count: u64, data: Data<'_>) -> Vec<String> {
    let each = size_of(cx.types, element).unwrap_or(0);
    let count = count.min(MAX_ROWS as u64);
    let show = |i: u64| {
        let text = dt_value(cx, element, data.offset(each.saturating_mul(i)));
        escape(&format!("[{i:02}] {text}")).into_owned()
    };
    (0..count).map(show).collect()
}

/// The name with what `-v` adds: `struct _GUID, 4 elements, 0x10 bytes`, `Ptr32 to struct …`. Untrusted.
pub(crate) fn verbose(types: &dyn TypeProvider, id: TypeId) -> String {
    let (id, t) = bare(types, id);
    match t {
        Type::Udt { kind, name, size } => {
            let size = size.map_or("size not known".to_owned(), |s| format!("0x{s:x} bytes"));
            format!("{} {name}, {} elements, {size}", kind.keyword(), types.members(id).len())
        }
        Type::Enum { name, .. } => format!("Enum {name},  {} total enums", types.enumerators(id).len()),
        Type::Pointer { to, size, .. } => match bare(types, to).1 {
            Type::Udt { kind, name, size: Some(inner) } => {
                let count = types.members(bare(types, to).0).len();
                let bits = u32::from(size).saturating_mul(8);
                format!("Ptr{bits} to {} {name}, {count} elements, 0x{inner:x} bytes", kind.keyword())
            }
            _ => {
                let bits = u32::from(size).saturating_mul(8);
                format!("Ptr{bits} to {}", dt_name(types, to))
            }
        },
        _ => dt_name(types, id),
    }
}
