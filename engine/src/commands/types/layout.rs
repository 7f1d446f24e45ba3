//! Types and objects in the lines of today's engine: the rows of `dt`, with its columns and its way to open things.

use super::fields::Field;
use super::find::static_member;
use super::looks::Looks;
use super::rows::{MAX_ROWS, verbose};
use crate::expr::TypeSet;
use crate::expr::cpp::BUILT_IN;
use crate::fmt;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_symbols::types::{
    self, Data, Row, RowKind, Type, TypeId, TypeProvider, ValueCx, bare, cpp_name, dt_name, dt_value,
    size_of, special_value,
};

/// Deepest nesting of rows, and of virtual bases in each other.
const MAX_DEPTH: u32 = 16;

/// Collects lines.
pub(crate) struct Layout<'a> {
    pub(crate) cx: &'a ValueCx<'a>,
    pub(crate) set: &'a TypeSet,
    pub(crate) session: &'a Session,
    pub(crate) looks: &'a Looks,
    /// Lines. Untrusted.
    pub(crate) lines: Vec<String>,
    /// The last address whose memory is not known.
    pub(crate) unread: Option<Va>,
    /// There are more rows.
    pub(crate) cut: bool,
    /// A path that could not be followed to its end.
    pub(crate) broken: bool,
    /// Rows that the fields selected.
    pub(crate) found: usize,
    /// The text of the structure whose rows are written, when it is a counted one.
    counted: Option<String>,
    /// `-c`: the next row begins a line.
    fresh: bool,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(
        cx: &'a ValueCx<'a>,
        set: &'a TypeSet,
        session: &'a Session,
        looks: &'a Looks,
    ) -> Layout<'a> {
        let lines = Vec::new();
        let (unread, counted) = (None, None);
        let (cut, broken, found, fresh) = (false, false, 0, true);
        Layout { cx, set, session, looks, lines, unread, cut, broken, found, counted, fresh }
    }

    fn types(&self) -> &'a dyn TypeProvider {
        self.cx.types
    }

    /// An object, or a type without one, as `dt` shows it.
    pub(crate) fn object(&mut self, id: TypeId, data: Option<Data<'_>>, fields: &[&Field]) {
        let types = self.types();
        let (id, t) = bare(types, id);
        match (t, data) {
            (Type::Udt { .. }, data) => {
                if let Some(special) = data.and_then(|d| special_value(self.cx, id, d)) {
                    self.lines.push(format!(" {special}"));
                }
                self.rows(id, data, fields, 0, 0, self.looks.nesting);
            }
            // What has no fields shows nothing of those that were asked for.
            (_, None) if !fields.is_empty() => {}
            (Type::Enum { .. }, None) => self.enumerators(id, 0),
            (Type::Pointer { to, size, .. }, Some(data)) => {
                let target = self.cx.unsigned(data, size.into()).and_then(|v| u64::try_from(v).ok());
                match (bare(types, to), target.filter(|v| *v != 0)) {
                    ((to, Type::Udt { .. }), Some(va)) => {
                        self.lines.push(format!("{} ", self.cx.address(va)));
                        self.rows(to, Some(Data::Memory(Va(va))), fields, 0, 0, self.looks.nesting);
                    }
                    ((to, Type::Function { .. }), Some(va)) => {
                        self.lines.push(format!("{} ", self.cx.address(va)));
                        let name = (self.cx.symbol)(Va(va)).unwrap_or_else(|| format!("+{va:x}"));
                        self.function(" ", &format!("  {name}"), to);
                    }
                    ((_, Type::Base(_)), Some(va)) if cpp_name(types, to) == "void" => {
                        self.lines.push(format!("{} ", self.cx.address(va)));
                        self.lines.push("Void".to_owned());
                    }
                    _ => self.value(id, data),
                }
            }
            (Type::Array { element, count, .. }, Some(data)) => match bare(types, element) {
                (element, Type::Udt { .. }) => {
                    let start = self.lines.len();
                    self.rows(element, Some(data), fields, 0, 0, self.looks.nesting);
                    match self.lines.get_mut(start) {
                        Some(first) => first.insert_str(0, &format!("[{count}] ")),
                        None => self.lines.push(format!("[{count}] ")),
                    }
                }
                _ => self.value(id, data),
            },
            (_, Some(data)) => self.value(id, data),
            (_, None) => self.lines.push(dt_name(types, id)),
        }
    }

    /// `type[n]` at an address: each element.
    pub(crate) fn array(&mut self, id: TypeId, count: u64, data: Data<'_>, fields: &[&Field]) {
        let each = size_of(self.types(), id).unwrap_or(0);
        let start = self.lines.len();
        for i in 0..count.min(MAX_ROWS as u64) {
            self.object(id, Some(data.offset(each.saturating_mul(i))), fields);
        }
        if let Some(first) = self.lines.get_mut(start) {
            first.insert_str(0, &format!("[{count}] "));
        }
    }

    /// A value's text.
    fn shown(&self, id: TypeId, data: Data<'_>) -> String {
        super::radix::in_radix(self.session, self.types(), id, dt_value(self.cx, id, data))
    }

    /// The rows of a structure alone.
    pub(crate) fn members(&mut self, id: TypeId, data: Option<Data<'_>>) {
        self.rows(id, data, &[], 0, 0, self.looks.nesting);
    }

    /// As [`Layout::object`], with the number of `name[3]` before a structure's first row.
    pub(crate) fn numbered(&mut self, id: TypeId, number: u64, data: Option<Data<'_>>, fields: &[&Field]) {
        let start = self.lines.len();
        self.object(id, data, fields);
        if matches!(bare(self.types(), id).1, Type::Udt { .. })
            && let Some(first) = self.lines.get_mut(start)
        {
            first.insert_str(0, &format!("[{number}] "));
        }
    }

    /// The value of what is no structure; an empty line follows a text.
    fn value(&mut self, id: TypeId, data: Data<'_>) {
        let text = self.shown(id, data);
        self.note_unread(data, &text);
        let types = self.types();
        let target = match bare(types, id).1 {
            Type::Array { element, .. } => bare(types, element).1,
            other => other,
        };
        let ends = matches!(target, Type::Pointer { .. }) && text.ends_with('"');
        self.lines.push(text);
        if ends {
            self.lines.push(String::new());
        }
    }

    /// A function's type: `name  int (`, and a line for each parameter.
    pub(crate) fn function(&mut self, before: &str, name: &str, id: TypeId) {
        let types = self.types();
        let Type::Function { ret, params, .. } = bare(types, id).1 else { return };
        let ret = cpp_name(types, ret);
        self.lines.push(format!("{before}{ret}{name}("));
        self.parameters(&params);
    }

    pub(crate) fn parameters(&mut self, params: &[TypeId]) {
        let types = self.types();
        for (i, p) in params.iter().enumerate() {
            let end = if i + 1 == params.len() { ")" } else { ", " };
            self.lines.push(format!("\t{}{end}", cpp_name(types, *p).replace(" *", "*")));
        }
        if params.is_empty() {
            self.lines.push("\tvoid)".to_owned());
        }
    }

    fn enumerators(&mut self, id: TypeId, depth: u32) {
        for e in self.types().enumerators(id) {
            let value = e.value;
            let number = match u32::try_from(value) {
                Ok(small) if small < 0x1000_0000 => format!("0n{small}"),
                _ => format!("0x{:x}", if value < 0 { i128::from(value as i32 as u32) } else { value }),
            };
            let blanks = self.blanks(depth);
            self.lines.push(format!("{blanks}{} = {number}", e.name));
        }
    }

    fn blanks(&self, depth: u32) -> String {
        let depth = usize::try_from(depth.saturating_add(1)).unwrap_or(1);
        if self.looks.flat { String::new() } else { "   ".repeat(depth) }
    }

    fn full(&mut self) -> bool {
        let full = self.lines.len() >= MAX_ROWS || self.session.cancel.is_cancelled();
        self.cut |= full;
        full
    }

    fn note_unread(&mut self, data: Data<'_>, text: &str) {
        if let (Data::Memory(va), true) = (data, text.starts_with("??")) {
            self.unread = Some(va);
        }
    }

    /// The rows of a structure; `part` of the fields' paths selects among them, `left` levels are opened.
    fn rows(
        &mut self,
        id: TypeId,
        data: Option<Data<'_>>,
        fields: &[&Field],
        part: usize,
        depth: u32,
        left: u32,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        let rows = types::rows(self.types(), id);
        // A counted text ends where its structure says.
        let counted = data.and_then(|d| special_value(self.cx, id, d)).filter(|s| s.starts_with('"'));
        let outer = std::mem::replace(&mut self.counted, counted);
        self.list(&rows, data, fields, (part, depth, left), 0);
        self.counted = outer;
    }

    fn list(
        &mut self,
        rows: &[Row],
        data: Option<Data<'_>>,
        fields: &[&Field],
        level: (usize, u32, u32),
        bases: u32,
    ) {
        let (part, depth, left) = level;
        for row in rows {
            if self.full() {
                return;
            }
            let hits: Vec<&Field> = fields.iter().copied().filter(|f| f.selects(part, &row.name)).collect();
            let base = matches!(row.kind, RowKind::VirtualBase(..));
            if !fields.is_empty() && hits.is_empty() && !base {
                continue;
            }
            self.found += usize::from(!base);
            match row.kind {
                RowKind::Field(at) => self.field(row, at, data, &hits, (part, depth, left)),
                RowKind::FunctionTable(at) => {
                    let text = match data.map(|d| d.offset(at)) {
                        Some(d) => {
                            let text = types::table_pointer(self.cx, d);
                            self.note_unread(d, &text);
                            text
                        }
                        None => format!("Ptr{} ", u32::from(self.types().pointer_bytes()).saturating_mul(8)),
                    };
                    self.line(depth, &format!("+0x{at:03x}"), &row.name, &text);
                }
                RowKind::Static => {
                    let (va, found) = static_member(self.session, self.set, &row.owner, &row.name);
                    // A constant that lies nowhere is not shown.
                    if !found {
                        self.found -= usize::from(!base);
                        continue;
                    }
                    let place = va.map_or("+?????".to_owned(), |va| {
                        format!("={}", fmt::addr(va, self.session.sel.machine.is_64()))
                    });
                    let text = match data.and(va) {
                        Some(va) => self.shown(row.ty, Data::Memory(va)),
                        None => dt_name(self.types(), row.ty),
                    };
                    self.line(depth, &place, &row.name, &text);
                }
                RowKind::VirtualBase(table, index) => {
                    let place = data.and_then(|o| self.virtual_base(o, table, index));
                    if let Some((data, by)) = place.filter(|_| bases < MAX_DEPTH) {
                        let inner = types::rows(self.types(), row.ty);
                        let start = self.lines.len();
                        self.list(&inner, Some(data), fields, level, bases.saturating_add(1));
                        self.move_offsets(start, by);
                    }
                }
            }
        }
    }

    /// Rows of a virtual base count from the start of the whole object.
    fn move_offsets(&mut self, start: usize, by: u64) {
        for line in self.lines.iter_mut().skip(start) {
            let Some((before, rest)) = line.split_once("+0x") else { continue };
            let Some((number, after)) = rest.split_once(' ') else { continue };
            let Ok(at) = u64::from_str_radix(number, 16) else { continue };
            *line = format!("{before}+0x{:03x} {after}", at.saturating_add(by));
        }
    }

    fn virtual_base<'d>(&self, object: Data<'d>, table: u64, index: u64) -> Option<(Data<'d>, u64)> {
        let size = u64::from(self.types().pointer_bytes());
        let at = u64::try_from(self.cx.unsigned(object.offset(table), size)?).ok()?;
        let entry = Data::Memory(Va(at.checked_add(index.checked_mul(4)?)?));
        let by = i64::from(u32::try_from(self.cx.unsigned(entry, 4)?).ok()?.cast_signed());
        let by = table.checked_add_signed(by)?;
        Some((object.offset(by), by))
    }

    /// One row.
    fn line(&mut self, depth: u32, place: &str, name: &str, text: &str) {
        if self.looks.compact {
            let row = format!("{place} {name} {text}  ");
            let fresh = std::mem::take(&mut self.fresh);
            match self.lines.last_mut() {
                Some(last) if !fresh => last.push_str(&row),
                _ => self.lines.push(row),
            }
            return;
        }
        let width = if name == "__VFN_table" { 0 } else { self.looks.width };
        let blanks = self.blanks(depth);
        let name = format!("{name:<width$}");
        // A value may hold line breaks (`-v` of an enumeration).
        let row = if self.looks.no_offsets {
            format!("{blanks}{name} : {text}")
        } else {
            format!("{blanks}{place} {name} : {text}")
        };
        self.lines.extend(row.split('\n').map(str::to_owned));
    }

    fn field(
        &mut self,
        row: &Row,
        at: u64,
        data: Option<Data<'_>>,
        hits: &[&Field],
        level: (usize, u32, u32),
    ) {
        let (part, depth, left) = level;
        let next = part.saturating_add(1);
        let types = self.types();
        let deeper: Vec<&Field> = hits.iter().copied().filter(|f| f.parts.len() > next).collect();
        let dots = hits.iter().filter(|f| f.parts.len() <= next).map(|f| f.expand).max().unwrap_or(0);
        let index = hits.iter().find_map(|f| f.parts.get(part)?.index);
        let place = format!("+0x{at:03x}");
        let data = data.map(|d| d.offset(at));
        // `arr[2]`: the element, with its number in place of the length.
        let (ty, data, before) = match (index, bare(types, row.ty).1) {
            (Some(index), Type::Array { element, .. }) => {
                let by = size_of(types, element).unwrap_or(0).saturating_mul(index);
                (element, data.map(|d| d.offset(by)), format!("[{index}] "))
            }
            _ => (row.ty, data, String::new()),
        };
        if hits.iter().any(|f| f.link) && hits.iter().all(|f| f.link || f.parts.len() > next) {
            // What `-l` goes through is shown as it is, and is no field that was found.
            self.found = self.found.saturating_sub(1);
            let special = data.and_then(|d| special_value(self.cx, ty, d));
            self.line(depth, &place, &row.name, &special.map_or_else(String::new, |s| format!(" {s}")));
            return;
        }
        let opened = !deeper.is_empty() || dots > 0;
        if opened {
            let special = data.and_then(|d| special_value(self.cx, ty, d));
            let text = special.map_or_else(|| before.clone(), |s| format!("{before} {s}"));
            self.line(depth, &place, &row.name, &text);
            match bare(types, ty) {
                (inner, Type::Udt { .. }) => {
                    let before = self.found;
                    let left = dots.saturating_sub(1);
                    self.rows(
                        inner,
                        data,
                        &deeper,
                        if deeper.is_empty() { 0 } else { next },
                        depth + 1,
                        left,
                    );
                    self.broken |= self.found == before;
                    // Two points want something to open one level further down.
                    let opens = types::rows(types, inner)
                        .iter()
                        .any(|r| matches!(bare(types, r.ty).1, Type::Udt { .. } | Type::Enum { .. }));
                    self.broken |= dots > 1 && !opens;
                }
                (inner, Type::Enum { .. }) if data.is_none() => self.enumerators(inner, depth + 1),
                (_, Type::Pointer { to, size, .. })
                    if deeper.iter().any(|f| f.parts.get(part).is_some_and(|p| p.arrow)) =>
                {
                    let (inner, Type::Udt { .. }) = bare(types, to) else {
                        self.broken |= true;
                        return;
                    };
                    let target = data.and_then(|d| self.cx.unsigned(d, size.into()));
                    let target = target.and_then(|v| u64::try_from(v).ok()).map(|v| Data::Memory(Va(v)));
                    let before = self.found;
                    if data.is_none() || target.is_some() {
                        self.rows(inner, target, &deeper, next, depth + 1, 0);
                    }
                    self.broken |= self.found == before;
                }
                _ => self.broken |= true,
            }
            return;
        }
        if (self.looks.blocks || self.looks.elements.is_some())
            && let (Type::Array { element, count, .. }, Some(data)) = (bare(types, ty).1, data)
        {
            let whole = self.shown(ty, data);
            let text =
                whole.find('"').and_then(|i| whole.get(i..)).map_or(String::new(), |t| format!(" {t}"));
            self.line(depth, &place, &row.name, &text);
            let most = self.looks.elements.unwrap_or(u64::MAX);
            self.elements(element, count.min(most), data, depth);
            return;
        }
        let mut text = format!("{before}{}", self.text(ty, data, depth));
        if let (Some(counted), "Buffer", Some((address, _))) =
            (&self.counted, row.name.as_str(), text.split_once("  \""))
        {
            text = format!("{address}  {counted}");
        }
        if let Some(data) = data {
            self.note_unread(data, &text);
        }
        let open = left > 0 || self.looks.blocks;
        let (inner, target) = match bare(types, ty) {
            (inner, Type::Array { element, .. }) => {
                let (element, t) = bare(types, element);
                if matches!(t, Type::Udt { .. }) { (element, t) } else { (inner, Type::Unknown) }
            }
            other => other,
        };
        if open && matches!(target, Type::Enum { .. }) && data.is_none() {
            self.line(depth, &place, &row.name, "");
            self.enumerators(inner, depth + 1);
            return;
        }
        let is_struct = matches!(target, Type::Udt { .. });
        if is_struct && left > 0 && self.looks.nesting == 0 {
            // Opened by the points behind a field's name.
            self.line(depth, &place, &row.name, "");
        } else if is_struct && self.looks.compact {
            self.line(depth, &place, &row.name, &format!("{text} "));
        } else {
            self.line(depth, &place, &row.name, &text);
        }
        if !open {
            return;
        }
        let left = left.saturating_sub(1);
        match target {
            Type::Udt { .. } if self.looks.compact => {
                // What is inside stands on a line of its own.
                if let Some(last) = self.lines.last_mut() {
                    last.truncate(last.trim_end_matches(' ').len() + 1);
                }
                self.fresh = true;
                self.rows(inner, data, &[], 0, depth + 1, left);
                if let Some(last) = self.lines.last_mut() {
                    last.push_str("  ");
                }
                self.fresh = false;
            }
            Type::Udt { .. } => self.rows(inner, data, &[], 0, depth + 1, left),
            Type::Pointer { to, size, .. } if !self.looks.blocks => {
                let (to, Type::Udt { .. }) = bare(types, to) else { return };
                let Some(data) = data else {
                    self.rows(to, None, &[], 0, depth + 1, left);
                    return;
                };
                let va = self.cx.unsigned(data, size.into()).and_then(|v| u64::try_from(v).ok());
                if let Some(va) = va.filter(|v| *v != 0) {
                    self.rows(to, Some(Data::Memory(Va(va))), &[], 0, depth + 1, left);
                }
            }
            _ => {}
        }
    }

    /// What stands behind a row's name.
    fn text(&self, ty: TypeId, data: Option<Data<'_>>, depth: u32) -> String {
        let types = self.types();
        let (id, t) = bare(types, ty);
        let Some(data) = data else {
            return match t {
                Type::Pointer { size, .. } if self.looks.blocks => {
                    format!("Ptr{} ", u32::from(size).saturating_mul(8))
                }
                Type::Array { .. } if self.looks.blocks => {
                    let mut inner = id;
                    while let Type::Array { element, .. } = bare(types, inner).1 {
                        if element == inner {
                            break;
                        }
                        inner = element;
                    }
                    dt_name(types, inner)
                }
                Type::Enum { .. } if self.looks.verbose => format!("{}\n", verbose(types, id)),
                Type::BitField { .. } if self.looks.verbose => format!("Bitfield {}", dt_name(types, id)),
                _ if self.looks.verbose => verbose(types, id),
                Type::Pointer { size, to, .. } if matches!(bare(types, to).1, Type::Function { .. }) => {
                    let bits = u32::from(size).saturating_mul(8);
                    format!("Ptr{bits} {}{}", " ".repeat(3 * depth as usize), dt_name(types, to))
                }
                _ => dt_name(types, id),
            };
        };
        let plain = self.shown(id, data);
        match t {
            Type::Pointer { .. } if self.looks.blocks && !plain.ends_with('"') => {
                let address = plain.split(' ').next().unwrap_or("");
                format!("{address} ")
            }
            Type::Udt { name, .. } if self.looks.verbose => {
                format!("{}{}", verbose(types, id), plain.strip_prefix(&name).unwrap_or(""))
            }
            Type::Enum { .. } if self.looks.verbose => format!("{}\n{plain}", verbose(types, id)),
            Type::BitField { of, .. } if self.looks.verbose => match bare(types, of) {
                (of, Type::Enum { .. }) => {
                    let (digits, rest) = plain.split_once(' ').unwrap_or((&plain, ""));
                    format!("Bitfield {digits}{}\n {rest}", verbose(types, of))
                }
                _ => format!("Bitfield {plain}"),
            },
            Type::Pointer { to, .. } if self.looks.verbose => match bare(types, to) {
                (to, Type::Udt { name, .. }) if plain.contains(&name) => {
                    plain.replacen(&name, &verbose(types, to), 1)
                }
                _ => plain,
            },
            Type::Pointer { to, .. } if depth > 0 && matches!(bare(types, to).1, Type::Function { .. }) => {
                match plain.split_once(' ') {
                    Some((address, rest)) if !plain.starts_with('(') => {
                        format!("{address} {}{rest}", " ".repeat(3 * depth as usize))
                    }
                    _ => plain,
                }
            }
            _ => plain,
        }
    }

    /// `[00] 0n0` for each element; of arrays of arrays those of each of them.
    fn elements(&mut self, element: TypeId, count: u64, data: Data<'_>, depth: u32) {
        let types = self.types();
        let each = size_of(types, element).unwrap_or(0);
        let blanks = format!("{} ", self.blanks(depth));
        for i in 0..count.min(MAX_ROWS as u64) {
            if self.full() {
                return;
            }
            let data = data.offset(each.saturating_mul(i));
            match bare(types, element).1 {
                Type::Array { element, count, .. } => {
                    self.lines.push(format!("{blanks}[{i:02}] "));
                    self.elements(element, count, data, depth);
                }
                Type::Udt { .. } if self.looks.blocks => {
                    // The engine names the type once.
                    let name = if i == 0 { self.shown(element, data) } else { String::new() };
                    self.lines.push(format!("{blanks}[{i:02}] {name}"));
                    self.rows(bare(types, element).0, Some(data), &[], 0, depth + 1, 0);
                }
                _ => {
                    let text = self.shown(element, data);
                    self.lines.push(format!("{blanks}[{i:02}] {text}"));
                }
            }
        }
    }
}

/// The base type of this name, as C writes it: of each one the spelling that the engine's type reader knows.
pub(crate) fn base_type(name: &str) -> Option<TypeId> {
    const NAMES: [&str; 16] = [
        "void",
        "bool",
        "char",
        "unsigned char",
        "signed char",
        "wchar_t",
        "char16_t",
        "char32_t",
        "short",
        "unsigned short",
        "int",
        "unsigned int",
        "long",
        "unsigned long",
        "float",
        "double",
    ];
    let (_, number) = BUILT_IN.iter().find(|(n, _)| *n == name && NAMES.contains(n))?;
    Some(TypeId(*number))
}
