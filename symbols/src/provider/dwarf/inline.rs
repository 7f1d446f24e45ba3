//! Inlined calls inside a function.

use super::unit::{Reference, reference};
use super::{Dwarf, Reader};
use dumpscope_core::Rva;
use gimli::{UnitOffset, constants as dw};

/// Deepest nesting of inlined calls.
const MAX_DEPTH: usize = 128;

/// An inlined call that covers the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// The function.
    pub(super) origin: Reference,
    /// Number of the file of the call, in the unit's table.
    pub(super) file: u64,
    /// Line of the call, 0 when unknown.
    pub(super) line: u32,
    /// Lowest address of its ranges.
    pub(super) start: u32,
    /// Start of the range that covers the address.
    pub(super) covering: u32,
}

/// The inlined calls of the function at `offset` that cover `rva`, outermost first.
pub(super) fn calls(dwarf: &Dwarf, unit: &gimli::Unit<Reader>, offset: usize, rva: Rva) -> Vec<Call> {
    let mut found: Vec<Call> = Vec::new();
    let Ok(mut cursor) = unit.entries_at_offset(UnitOffset(offset)) else { return found };
    // The function itself.
    let Ok(Some(function)) = cursor.next_dfs() else { return found };
    let root = function.depth();
    // Entries deeper than this belong to a scope that does not cover the address.
    let mut skip: Option<isize> = None;
    while let Ok(Some(entry)) = cursor.next_dfs() {
        let depth = entry.depth();
        if depth <= root || found.len() >= MAX_DEPTH {
            break;
        }
        if skip.is_some_and(|s| depth > s) {
            continue;
        }
        skip = None;
        let tag = entry.tag();
        if tag == dw::DW_TAG_subprogram {
            skip = Some(depth);
            continue;
        }
        if tag != dw::DW_TAG_inlined_subroutine && tag != dw::DW_TAG_lexical_block {
            continue;
        }
        let ranges = dwarf.sections.die_ranges(unit, entry).map(|r| dwarf.rvas(r)).unwrap_or_default();
        let covering = ranges.iter().find(|(start, size)| rva.0.wrapping_sub(*start) < *size);
        let Some((covering, _)) = covering else {
            // A block without ranges is only a scope.
            if !ranges.is_empty() || tag == dw::DW_TAG_inlined_subroutine {
                skip = Some(depth);
            }
            continue;
        };
        if tag == dw::DW_TAG_inlined_subroutine {
            let Some(origin) = reference(entry, dw::DW_AT_abstract_origin) else { continue };
            let number = |at| entry.attr_value(at).and_then(|v| v.udata_value()).unwrap_or(0);
            let file = match entry.attr_value(dw::DW_AT_call_file) {
                Some(gimli::AttributeValue::FileIndex(n)) => n,
                _ => number(dw::DW_AT_call_file),
            };
            found.push(Call {
                origin,
                file,
                line: u32::try_from(number(dw::DW_AT_call_line)).unwrap_or(0),
                start: ranges.iter().map(|(s, _)| *s).min().unwrap_or(*covering),
                covering: *covering,
            });
        }
    }
    found
}
