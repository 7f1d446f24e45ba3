//! Unwind data that a program registered at run time, as the process's memory has it.
//!
//! Layout: `DYNAMIC_FUNCTION_TABLE` as CoreCLR's MIT-licensed `fntableaccess.h` declares it (x64, Windows 5.2 and
//! later): links, table, time stamp, lowest and highest address, base, callback, context, name of a DLL, type, count. The
//! list's head is what `ntdll!RtlGetFunctionTableListHead` returns.

use crate::Target;
use dumpscope_core::{Machine, ReadMemory, Rva, Va};
use dumpscope_symbols::unwind::DynamicFunction;
use std::sync::OnceLock;

/// A registered table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RuntimeTable {
    low: Va,
    high: Va,
    base: Va,
    entries: Va,
    count: u32,
    sorted: bool,
}

/// Most tables.
const MAX_TABLES: usize = 0x1_0000;
/// Most entries of a table that is not sorted.
const MAX_UNSORTED: u32 = 0x4000;
/// `RUNTIME_FUNCTION` of x64.
const ENTRY: u64 = 12;
/// `RF_SORTED`, `RF_UNSORTED` and `RF_CALLBACK`.
const SORTED: u32 = 0;
const CALLBACK: u32 = 2;

/// The tables of a target.
#[derive(Default)]
struct Tables(OnceLock<Vec<RuntimeTable>>);

/// The function registered at run time that holds `va`, as the process's memory has it.
pub(crate) fn registered_at(target: &Target, va: Va) -> Option<DynamicFunction> {
    let tables = target.memo::<Tables>();
    function_at(target, tables.0.get_or_init(|| read(target)), va)
}

/// All tables of the list, in its order; empty where the list or its head is not in the dump.
fn read(target: &Target) -> Vec<RuntimeTable> {
    let mut out = Vec::new();
    let Some(head) = head(target).filter(|_| target.dump.machine() == Machine::Amd64) else { return out };
    let memory = target.dump.memory();
    let mut at = memory.u64(head).map(Va);
    for _ in 0..MAX_TABLES {
        let Some(node) = at.filter(|n| *n != head && !n.is_null()) else { break };
        let word = |offset: u64| memory.u64(node.offset(offset)).map(Va);
        let half = |offset: u64| memory.u32(node.offset(offset));
        let table = || {
            let (low, high, base) = (word(0x20)?, word(0x28)?, word(0x30)?);
            let (entries, kind, count) = (word(0x10)?, half(0x50)?, half(0x54)?);
            let usable = kind != CALLBACK && low < high && !entries.is_null();
            usable.then_some(RuntimeTable { low, high, base, entries, count, sorted: kind == SORTED })
        };
        out.extend(table());
        // In a list that is not damaged the back link fits.
        at = word(0).filter(|n| memory.u64(n.offset(8)) == Some(node.0));
    }
    out
}

fn head(target: &Target) -> Option<Va> {
    let symbols = &target.symbols;
    let ntdll = symbols
        .modules_named("ntdll")
        .into_iter()
        .find(|m| symbols.modules().get(*m).is_some_and(|m| m.machine.is_none_or(|m| m == Machine::Amd64)))?;
    let base = symbols.modules().get(ntdll)?.base;
    let (_, function) = symbols.by_name(Some(ntdll), "RtlGetFunctionTableListHead").into_iter().next()?;
    let at = function.rva.va(base);
    target.map_image(at);
    // lea rax, [head]; ret
    let mut code = [0u8; 8];
    if target.dump.memory().read_at(at, &mut code).got < code.len() {
        return None;
    }
    let [0x48, 0x8d, 0x05, a, b, c, d, 0xc3] = code else { return None };
    let distance = i32::from_le_bytes([a, b, c, d]);
    Some(Va(at.0.wrapping_add(7).wrapping_add_signed(distance.into())))
}

/// The function that holds `va`.
fn function_at(target: &Target, tables: &[RuntimeTable], va: Va) -> Option<DynamicFunction> {
    let table = tables.iter().find(|t| va >= t.low && va < t.high)?;
    let rva = va.rva(table.base)?;
    let memory = target.dump.memory();
    let entry = |n: u32| {
        let at = table.entries.checked_add(u64::from(n).checked_mul(ENTRY)?)?;
        Some((Rva(memory.u32(at)?), Rva(memory.u32(at.offset(4))?), Rva(memory.u32(at.offset(8))?)))
    };
    let found = |(begin, end, unwind_info): (Rva, Rva, Rva)| {
        (begin <= rva && rva < end).then_some(DynamicFunction { base: table.base, begin, end, unwind_info })
    };
    if !table.sorted {
        return (0..table.count.min(MAX_UNSORTED)).map_while(entry).find_map(found);
    }
    let (mut low, mut high) = (0, table.count);
    while low < high {
        let middle = low.midpoint(high);
        if entry(middle)?.0 <= rva { low = middle.checked_add(1)? } else { high = middle }
    }
    found(entry(low.checked_sub(1)?)?)
}
