//! `!do`, `!dumpvc`, `!dumparray`: objects, structures, arrays.

use super::table::{object_span, short_type};
use super::{clr, dotnet, needed, safe, size};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrArray, ClrField, ClrObject, ClrReader, ClrValue};
use serde::Serialize;

/// Elements that `!dumparray` shows without `-length`.
const DEFAULT_ELEMENTS: u64 = 4096;

pub(crate) const DO: Command = Command {
    name: "!do",
    aliases: &["!dumpobj"],
    group: "dotnet",
    syntax: "!do [-nofields] address",
    summary: "Shows a .NET object: type, size, fields",
    help: "Fields of base types first. References lead to their objects; a structure's value is its address, for `!dumpvc` with the type \
           in the column MT. Static fields of .NET 8, and those of threads, have no value here.",
    examples: &[("!do 7fe7e6009038", "The object at the address")],
    needs: &[Needs::Memory],
    run: run_object,
    ..Command::BASE
};

pub(crate) const DUMPVC: Command = Command {
    name: "!dumpvc",
    group: "dotnet",
    syntax: "!dumpvc MT address",
    summary: "Shows a .NET structure that lies inside something",
    help: "The type's record (from the column MT of `!do`) and the address of the first field.",
    examples: &[("!dumpvc 68190eb8 7fe7e6009050", "A field of a structure's type")],
    needs: &[Needs::Memory],
    run: run_value,
    ..Command::BASE
};

pub(crate) const DUMPARRAY: Command = Command {
    name: "!dumparray",
    aliases: &["!da"],
    group: "dotnet",
    syntax: "!dumparray [-start n] [-length n] address",
    summary: "Shows the elements of a .NET array",
    help: "Numbers, or addresses of objects and structures. `-start` and `-length` choose a part.",
    examples: &[("!dumparray -length 10 7fe7e6005850", "The first ten elements")],
    needs: &[Needs::Memory],
    run: run_array,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
pub(super) struct FieldLine {
    type_record: Hex,
    token: Hex,
    offset: u64,
    type_name: String,
    is_value: bool,
    attribute: &'static str,
    value: Option<String>,
    /// The value is the address of an object.
    object: Option<Hex>,
    name: String,
}

/// A value as the extension writes it.
fn value_text(value: ClrValue) -> String {
    match value {
        ClrValue::Number(n) => n.to_string(),
        ClrValue::Char(c) => format!("{c:x}"),
        ClrValue::Float(f) => format!("{f:.6}"),
        ClrValue::Address(va) => format!("{:016x}", va.0),
    }
}

pub(super) fn field_line(f: &ClrField) -> FieldLine {
    let object = match f.value {
        Some(ClrValue::Address(va)) if !f.is_value && !va.is_null() => Some(va.into()),
        _ => None,
    };
    FieldLine {
        type_record: f.type_record.into(),
        token: Hex(f.token.into()),
        offset: f.offset,
        type_name: safe(&f.type_name),
        is_value: f.is_value,
        attribute: f.attribute,
        value: f.value.map(value_text),
        object,
        name: safe(&f.name),
    }
}

pub(super) fn fields(rows: &[FieldLine], emit: &mut dyn FnMut(Line)) {
    emit(Line::plain(
        "              MT    Field   Offset                 Type   VT     Attr            Value Name",
    ));
    for f in rows {
        let line = Line::plain(format!("{:016x} {:08x} {:>8x} ", f.type_record.0, f.token.0, f.offset))
            .role(Role::Symbol, short_type(&f.type_name))
            .text(format!(" {:>4} {:>8} ", if f.is_value { "Yes" } else { "No" }, f.attribute));
        let value = format!("{:>16}", f.value.as_deref().unwrap_or_default());
        let span = match f.object {
            Some(at) => object_span(value, at.0),
            None if f.is_value && f.value.as_ref().is_some_and(|v| v.len() == 16) && f.type_record.0 != 0 => {
                let run = format!("!dumpvc {:x} {}", f.type_record.0, f.value.as_deref().unwrap_or_default());
                Span::new(Role::Value, value).link(Link::Run(run))
            }
            None => Span::new(Role::Value, value),
        };
        emit(line.span(span).text(format!(" {}", f.name)));
    }
}

#[derive(Clone, Debug, Serialize)]
struct ArrayPart {
    rank: usize,
    count: u64,
    element_kind: &'static str,
    element_type: Hex,
    bounds: Vec<(i32, u32)>,
}

#[derive(Clone, Debug, Serialize)]
struct ObjectReport {
    address: Hex,
    type_record: Hex,
    type_name: String,
    size: u64,
    file: String,
    free: bool,
    text: Option<String>,
    array: Option<ArrayPart>,
    fields: Vec<FieldLine>,
    with_fields: bool,
}

fn array_line(array: &ArrayPart) -> String {
    format!(
        "Array:       Rank {}, Number of elements {}, Type {}",
        array.rank, array.count, array.element_kind
    )
}

impl Answer for ObjectReport {
    const KIND: &'static str = "clr_object";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.free {
            emit(Line::plain("Free Object"));
            emit(Line::plain(format!("Size:        {}(0x{:x}) bytes", self.size, self.size)));
            return;
        }
        emit(Line::plain("Name:        ").role(Role::Symbol, self.type_name.clone()));
        let run = format!("!dumpmt {:x}", self.type_record.0);
        let span = Span::new(Role::Address, format!("{:016x}", self.type_record.0)).link(Link::Run(run));
        emit(Line::plain("MethodTable: ").span(span));
        emit(Line::plain(format!("Size:        {}(0x{:x}) bytes", self.size, self.size)));
        if let Some(array) = &self.array {
            emit(Line::plain(array_line(array)));
        }
        emit(Line::plain(format!("File:        {}", self.file)));
        if let Some(text) = &self.text {
            emit(Line::plain("String:      ").role(Role::Value, text.clone()));
        }
        if !self.with_fields {
            return;
        }
        emit(Line::plain("Fields:"));
        if self.fields.is_empty() {
            emit(Line::plain("None"));
        } else {
            fields(&self.fields, emit);
        }
    }
}

fn array_part(a: &ClrArray) -> ArrayPart {
    ArrayPart {
        rank: a.rank,
        count: a.count,
        element_kind: a.element_kind,
        element_type: a.element_type.into(),
        bounds: a.bounds.clone(),
    }
}

fn report(o: &ClrObject, with_fields: bool) -> ObjectReport {
    ObjectReport {
        address: o.address.into(),
        type_record: o.type_record.into(),
        type_name: safe(&o.type_name),
        size: o.size,
        file: safe(&o.file),
        free: o.free,
        text: o.text.as_deref().map(safe),
        array: o.array.as_ref().map(array_part),
        fields: if with_fields { o.fields.iter().map(field_line).collect() } else { Vec::new() },
        with_fields,
    }
}

/// What SOS says of an address that is none of an object.
fn invalid(at: Va) -> CommandError {
    CommandError::message(format!(
        "<Note: this object has an invalid CLASS field>\nInvalid object {:016x}",
        at.0
    ))
}

fn run_object(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let with_fields = !cursor.eat("-nofields");
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let object = clr(&reader)?.object(at).ok_or_else(|| invalid(at))?;
    session.emit(sink, &report(&object, with_fields))
}

fn run_value(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    if cursor.is_empty() {
        return Err(CommandError::message("Required argument missing: MT."));
    }
    let mt = Va(cursor.word_expr(session)?);
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let Some(value) = clr(&reader)?.value(mt, at) else {
        return Err(CommandError::message(format!("{:x} is no structure's type", mt.0)));
    };
    session.emit(sink, &report(&value, true))
}

#[derive(Clone, Debug, Serialize)]
struct ArrayReport {
    type_name: String,
    type_record: Hex,
    class: Hex,
    size: u64,
    array: ArrayPart,
    /// Index of the first element that is shown.
    from: u64,
    elements: Vec<String>,
    objects: bool,
}

impl Answer for ArrayReport {
    const KIND: &'static str = "clr_array";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("Name:        ").role(Role::Symbol, self.type_name.clone()));
        emit(Line::plain(format!("MethodTable: {:016x}", self.type_record.0)));
        emit(Line::plain(format!("EEClass:     {:016x}", self.class.0)));
        emit(Line::plain(format!("Size:        {}(0x{:x}) bytes", self.size, self.size)));
        emit(Line::plain(array_line(&self.array)));
        emit(Line::plain(format!("Element Methodtable: {:016x}", self.array.element_type.0)));
        for (i, text) in (self.from..).zip(&self.elements) {
            let start = Line::plain(format!("[{}] ", index_text(i, &self.array.bounds)));
            let at = u64::from_str_radix(text, 16).ok().filter(|at| self.objects && *at != 0);
            emit(match at {
                Some(at) => start.span(object_span(text.clone(), at)),
                None if self.objects => start.role(Role::Dim, "null"),
                None => start.role(Role::Value, text.clone()),
            });
        }
        let shown = self.from + self.elements.len() as u64;
        if shown < self.array.count {
            emit(
                Line::new()
                    .role(Role::Dim, format!("{} more elements: -start, -length", self.array.count - shown)),
            );
        }
    }
}

/// `2`, or `1,2` with several dimensions.
fn index_text(i: u64, bounds: &[(i32, u32)]) -> String {
    if bounds.len() < 2 {
        let low = bounds.first().map_or(0, |b| i64::from(b.0));
        return i64::try_from(i).unwrap_or(i64::MAX).saturating_add(low).to_string();
    }
    let mut rest = i;
    let mut parts = Vec::new();
    for (low, length) in bounds.iter().rev() {
        let length = u64::from(*length).max(1);
        let at = i64::try_from(rest % length).unwrap_or(0).saturating_add((*low).into());
        parts.push(at.to_string());
        rest /= length;
    }
    parts.reverse();
    parts.join(",")
}

fn run_array(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let (mut from, mut most, mut at) = (0, DEFAULT_ELEMENTS, None);
    while !cursor.is_empty() {
        if cursor.eat("-start") {
            from = size(&mut cursor)?;
        } else if cursor.eat("-length") {
            most = size(&mut cursor)?;
        } else if at.is_none() {
            at = Some(Va(cursor.word_expr(session)?));
        } else {
            return Err(cursor.syntax_error());
        }
    }
    let at = at.ok_or_else(|| CommandError::message("Required argument missing: address."))?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let object = clr.object(at).ok_or_else(|| invalid(at))?;
    let Some(array) = &object.array else {
        return Err(CommandError::message("Not an array, please use !DumpObj instead"));
    };
    let elements: Vec<_> = elements(clr, array, from, most);
    let report = ArrayReport {
        type_name: safe(&object.type_name),
        type_record: object.type_record.into(),
        class: object.class.into(),
        size: object.size,
        array: array_part(array),
        from,
        elements,
        objects: !matches!(array.element_kind, k if k != "CLASS" && k != "SZARRAY" && k != "ARRAY"),
    };
    session.emit(sink, &report)
}

fn elements(clr: &dyn ClrReader, array: &ClrArray, from: u64, most: u64) -> Vec<String> {
    clr.array_elements(array, from, most).into_iter().map(value_text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_of_several_dimensions() {
        assert_eq!(index_text(5, &[]), "5");
        assert_eq!(index_text(5, &[(0, 2), (0, 3)]), "1,2");
        assert_eq!(index_text(0, &[(-1, 2)]), "-1");
    }
}
