//! What memory an address is in.

use crate::Target;
use crate::model::Access;
use crate::stacks::may_run;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::memory_info::MemoryRegion;
use dumpscope_core::{ReadMemory, Va};

const MEM_COMMIT: u32 = 0x1000;
const MEM_RESERVE: u32 = 0x2000;
const MEM_FREE: u32 = 0x1_0000;
const PAGE_GUARD: u32 = 0x100;
const PAGE_NOACCESS: u32 = 1;
const PAGE_READONLY: u32 = 2;
const PAGE_EXECUTE: u32 = 0x10;
const PAGE_EXECUTE_READ: u32 = 0x20;

/// Most threads whose stacks are looked at.
const MAX_THREADS: usize = 4096;

/// What `va` is in, in words: `in read-only memory of app.dll`. `None` when nothing is known.
pub(super) fn region_words(target: &Target, va: Va, access: Option<Access>) -> Option<String> {
    let of = owner(target, va);
    let region = target.dump.region_at(va);
    let what = region.and_then(|r| state_words(r, access)).or_else(|| section_words(target, va, access));
    match (what, of) {
        (Some(what), Some(of)) => Some(format!("{what}, {of}")),
        (what, of) => what.map(str::to_owned).or(of),
    }
}

fn state_words(r: &MemoryRegion, access: Option<Access>) -> Option<&'static str> {
    let protect = r.protect & 0xff;
    Some(match (r.state, access) {
        (MEM_FREE, _) => "in memory that is not allocated",
        (MEM_RESERVE, _) => "in memory that is reserved, not committed",
        (MEM_COMMIT, _) if r.protect & PAGE_GUARD != 0 => "in a guard page",
        (MEM_COMMIT, _) if protect == PAGE_NOACCESS => "in memory without access",
        (MEM_COMMIT, Some(Access::Write)) if protect == PAGE_READONLY => "in read-only memory",
        (MEM_COMMIT, Some(Access::Write)) if matches!(protect, PAGE_EXECUTE | PAGE_EXECUTE_READ) => "in code",
        (MEM_COMMIT, Some(Access::Execute)) if !may_run(protect) && protect != 0 => {
            "in data, which cannot run"
        }
        _ => return None,
    })
}

/// The same of an image's sections, where the dump has no list of regions.
fn section_words(target: &Target, va: Va, access: Option<Access>) -> Option<&'static str> {
    let symbols = &target.symbols;
    let module = symbols.module_at(va).and_then(|m| symbols.modules().get(m))?;
    target.map_image(va);
    let memory = target.dump.memory().as_ref();
    let headers = dumpscope_symbols::image::PeHeaders::read(memory, module.base).ok()?;
    let flags = headers.section_at(va.rva(module.base)?)?.characteristics;
    let (executable, writable) = (flags & 0x2000_0000 != 0, flags & 0x8000_0000 != 0);
    match access? {
        Access::Write if writable => None,
        Access::Write if executable => Some("in code"),
        Access::Write => Some("in read-only memory"),
        Access::Execute if !executable => Some("in data, which cannot run"),
        _ => None,
    }
}

/// The module or the stack that holds `va`.
fn owner(target: &Target, va: Va) -> Option<String> {
    if let Some((name, _)) = target.unloaded_at(va) {
        return Some(format!("in {}", escape(&name)));
    }
    if let Some(module) = target.dump.module_at(va) {
        return Some(format!("in {}", escape(&module.file_name)));
    }
    let machine = target.process_machine();
    for t in target.dump.threads().iter().take(MAX_THREADS) {
        let bounds = crate::stacks::stack_bounds(target, t.index, machine, va);
        // The bounds that do not hold the address are what a walk complains about.
        if bounds.is_some_and(|b| va >= b.low && va < b.high) {
            return Some(format!("in the stack of thread {:x}", t.tid.0));
        }
    }
    let known = target.dump.memory().u8(va).is_some();
    let region = target.dump.region_at(va)?;
    (known && region.kind == 0x2_0000).then(|| "in private memory (heap)".to_owned())
}
