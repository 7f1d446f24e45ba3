//! `!const`: names of a value, or the value of a name.

use super::item::{Item, ValueItem};
use super::pattern::{Found, check, constants_of, is_pattern, matcher, nothing};
use crate::command::{Command, CommandError, Completes, Invocation};
use crate::doc::Sink;
use crate::session::Session;
use dumpscope_win32::{Table, TypeId, TypeKind, Value, table};
use std::collections::BTreeSet;

pub(crate) const CONST: Command = Command {
    name: "!const",
    group: "types",
    syntax: "!const value | name | pattern [enum]",
    summary: "Shows what a number is called in Windows, or a constant's value",
    help: "A value is looked for in the enumeration, the codes (`HRESULT`, `NTSTATUS`, `WIN32_ERROR`) or the messages (`WM`) \
           that are named, flags are taken apart; without one it is looked for everywhere. A pattern lists constants. The \
           enumeration may be a pattern too.",
    examples: &[
        ("!const 80070005 HRESULT", "An HRESULT's name"),
        ("!const f WM", "A window message"),
        ("!const c0000000 GENERIC_ACCESS_RIGHTS", "Flags"),
        ("!const WAIT_*", "Constants whose names begin so"),
    ],
    completes: Completes::Win32,
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let Some(word) = args.word() else {
        return Err(CommandError::message("!const needs a value or a name."));
    };
    let family = args.word();
    args.end()?;
    let table = table();
    let types = family.map(|f| families(table, f)).transpose()?;
    // Names of the families: an enumeration is known by its name alone.
    let names: Option<BTreeSet<String>> =
        types.as_ref().map(|t| t.iter().filter_map(|id| table.type_info(*id)).map(|t| t.name).collect());
    let wanted =
        |c: &ValueItem| names.as_ref().is_none_or(|names| c.of.as_ref().is_some_and(|of| names.contains(of)));
    let mut items: Vec<Item> = if is_pattern(word) {
        check(word)?;
        constants_of(table, &matcher(word), &wanted)
    } else {
        let found = table.constants(word).into_iter().map(|c| Item::constant(table, c));
        found.filter(wanted).map(Item::Constant).collect()
    };
    if items.is_empty() && !is_pattern(word) {
        let (value, used) = session.eval(word)?;
        if used != word.len() {
            return Err(nothing(word));
        }
        items = with_value(table, value, types.as_deref());
    }
    if items.is_empty() {
        return Err(nothing(word));
    }
    session.emit(sink, &Found::new(items))
}

/// The enumerations that are named.
fn families(table: &Table, word: &str) -> Result<Vec<TypeId>, CommandError> {
    check(word)?;
    let fits = matcher(word);
    let mut out = Vec::new();
    table.each_type(&mut |id, info| {
        if matches!(info.kind, TypeKind::Enum | TypeKind::Alias) && fits(&info.name) {
            out.push(id);
        }
        true
    });
    if out.is_empty() { Err(nothing(word)) } else { Ok(out) }
}

fn with_value(table: &Table, value: u64, types: Option<&[TypeId]>) -> Vec<Item> {
    let signed = |v: u64| u32::try_from(v).map_or(v.cast_signed(), |v| v.cast_signed().into());
    let same = |v: i64| v.cast_unsigned() == value || v == signed(value);
    let mut items = Vec::new();
    if let Some(types) = types {
        for id in types {
            let of = table.type_info(*id).map(|t| t.name);
            let exact: Vec<(String, i64)> =
                table.members(*id).into_iter().filter(|(_, v)| same(*v)).collect();
            let whole = if exact.is_empty() { table.value_text(*id, value) } else { None };
            let text = |v: u64| format!("0x{v:x}");
            items.extend(
                exact
                    .into_iter()
                    .map(|(name, _)| name)
                    .chain(whole)
                    .map(|name| Item::Constant(ValueItem { name, value: text(value), of: of.clone() })),
            );
        }
        return items;
    }
    table.each_constant(&mut |c| {
        if matches!(c.value, Value::Int(v) if same(v)) {
            items.push(Item::Constant(Item::constant(table, c.clone())));
        }
        items.len() <= super::pattern::MAX_ROWS
    });
    items
}
