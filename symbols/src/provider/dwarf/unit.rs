//! The functions of one compilation unit.

use super::{Dwarf, Reader};
use crate::provider::ranges::{Range, Ranges};
use gimli::{AttributeValue, DebuggingInformationEntry, constants as dw};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Longest name, bytes.
const MAX_NAME: usize = 64 * 1024;
/// Deepest nesting of namespaces and classes that a name shows.
const MAX_SCOPES: usize = 64;

/// A reference to another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    /// Offset in the same unit.
    Here(usize),
    /// Offset in the section.
    Anywhere(usize),
}

/// The name of a function's entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Linker name, or the source's name with its scopes.
    Text(String),
    /// The name of another entry.
    Same(Reference),
}

/// What was read of a unit.
pub(super) struct UnitData {
    /// Code ranges with the offset of their function's entry.
    pub(super) functions: Ranges<usize>,
    /// Names by entry offset.
    pub(super) names: BTreeMap<usize, Name>,
    pub(super) lines: OnceLock<super::lines::Lines>,
}

impl UnitData {
    pub(super) fn read(dwarf: &Dwarf, unit: &gimli::Unit<Reader>) -> UnitData {
        let mut functions = Vec::new();
        let mut names = BTreeMap::new();
        let mut scopes: Vec<(isize, String)> = Vec::new();
        let mut cursor = unit.entries();
        // Every step moves on in the section, so this ends.
        while let Ok(Some(entry)) = cursor.next_dfs() {
            let depth = entry.depth();
            while scopes.last().is_some_and(|(d, _)| *d >= depth) {
                scopes.pop();
            }
            match entry.tag() {
                dw::DW_TAG_namespace
                | dw::DW_TAG_structure_type
                | dw::DW_TAG_class_type
                | dw::DW_TAG_union_type
                    if scopes.len() < MAX_SCOPES =>
                {
                    let name = text(dwarf, unit, entry, dw::DW_AT_name);
                    if entry.tag() == dw::DW_TAG_namespace || name.is_some() {
                        scopes.push((depth, name.unwrap_or_else(|| "`anonymous namespace'".into())));
                    }
                }
                dw::DW_TAG_subprogram => {
                    let offset = entry.offset().0;
                    if let Some(name) = name(dwarf, unit, entry, &scopes) {
                        names.insert(offset, name);
                    }
                    if let Ok(ranges) = dwarf.sections.die_ranges(unit, entry) {
                        let found = dwarf.rvas(ranges).into_iter();
                        functions.extend(found.map(|(start, size)| Range { start, size, value: offset }));
                    }
                }
                _ => {}
            }
        }
        UnitData { functions: Ranges::new(functions), names, lines: OnceLock::new() }
    }
}

fn name(
    dwarf: &Dwarf,
    unit: &gimli::Unit<Reader>,
    entry: &DebuggingInformationEntry<Reader>,
    scopes: &[(isize, String)],
) -> Option<Name> {
    let linkage = text(dwarf, unit, entry, dw::DW_AT_linkage_name)
        .or_else(|| text(dwarf, unit, entry, dw::DW_AT_MIPS_linkage_name));
    if let Some(name) = linkage {
        return Some(Name::Text(name));
    }
    let same = [dw::DW_AT_abstract_origin, dw::DW_AT_specification];
    if let Some(reference) = same.iter().find_map(|at| reference(entry, *at)) {
        return Some(Name::Same(reference));
    }
    let name = text(dwarf, unit, entry, dw::DW_AT_name)?;
    let mut full = String::new();
    for (_, scope) in scopes {
        full.push_str(scope);
        full.push_str("::");
    }
    full.push_str(&name);
    Some(Name::Text(full))
}

/// A reference in an attribute.
pub(super) fn reference(
    entry: &DebuggingInformationEntry<Reader>,
    attribute: gimli::DwAt,
) -> Option<Reference> {
    match entry.attr_value(attribute)? {
        AttributeValue::UnitRef(offset) => Some(Reference::Here(offset.0)),
        AttributeValue::DebugInfoRef(offset) => Some(Reference::Anywhere(offset.0)),
        _ => None,
    }
}

fn text(
    dwarf: &Dwarf,
    unit: &gimli::Unit<Reader>,
    entry: &DebuggingInformationEntry<Reader>,
    attribute: gimli::DwAt,
) -> Option<String> {
    string(dwarf, unit, entry.attr_value(attribute)?)
}

/// The text of an attribute; empty ones count as missing.
pub(super) fn string(
    dwarf: &Dwarf,
    unit: &gimli::Unit<Reader>,
    value: AttributeValue<Reader>,
) -> Option<String> {
    let raw = dwarf.sections.attr_string(unit, value).ok()?;
    let bytes: &[u8] = &raw;
    let bytes = bytes.get(..bytes.len().min(MAX_NAME)).filter(|b| !b.is_empty())?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}
