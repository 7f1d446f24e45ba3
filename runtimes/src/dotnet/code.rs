//! From an instruction pointer to the method that it runs.
//!
//! Code that the JIT made lies in heaps; a map of nibbles says where each method starts, and the word before the start
//! points to its header. Code compiled ahead (ReadyToRun) lies in images; see `ready_to_run`.
//! Source: `codeman.cpp`, `nibblemapmacros.h` and the data contract `ExecutionManager` of dotnet/runtime (MIT).

use super::Clr;
use super::core::Core;
use super::layout::Field;
use super::layout::Variable;
use super::ranges::{Fragment, fragments, key};
use dumpscope_core::{Rva, Va};
use dumpscope_symbols::unwind::DynamicFunction;
use std::sync::{Arc, PoisonError};

/// Most answers that are kept.
const MAX_KEPT: usize = 1 << 18;
/// Most unwind entries of one method (itself and its handlers).
const MAX_UNWIND: u32 = 4096;
/// Most words of the nibble map that are looked through backwards (8 KiB of code each 32 words): no method is longer
/// than 16 MiB.
const MAX_MAP_WORDS: u64 = 1 << 16;
/// Header "pointers" up to this are kinds of stubs.
const LAST_STUB: u64 = 0xf;
/// Bit of a range section's flags: a range of stubs.
const STUB_RANGE: u32 = 4;

/// What kind of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeKind {
    Jit,
    ReadyToRun,
    /// Made by the runtime, without a method.
    Stub,
}

/// Code at an address.
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) kind: CodeKind,
    /// The method's record; 0 for stubs.
    pub(super) method: Va,
    /// Where the method's code starts.
    pub(super) start: Va,
    /// Unwind data of the piece that holds the address.
    pub(super) unwind: Option<DynamicFunction>,
    /// The address lies in a handler, not in the method's body.
    pub(super) funclet: bool,
    /// JIT: its header. ReadyToRun: the record of its module.
    pub(super) owner: Va,
    /// ReadyToRun: index of the method's first piece in the image's function table.
    pub(super) index: u32,
    /// ReadyToRun: the image's base.
    pub(super) image: Va,
}

impl Clr {
    /// The code at `va`, kept.
    pub(super) fn code_at(&self, va: Va) -> Option<Arc<Code>> {
        if let Some(known) = self.codes.lock().unwrap_or_else(PoisonError::into_inner).get(&va) {
            return known.clone();
        }
        let code = self.find_code(va).map(Arc::new);
        let mut known = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_KEPT {
            known.insert(va, code.clone());
        }
        code
    }

    /// The range section that holds `va`.
    pub(super) fn section(&self, va: Va) -> Option<Va> {
        let map = self.core.variable(Variable::CodeMap)?;
        let mut known = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KEPT {
            known.clear();
        }
        let chain = known.entry(key(va)).or_insert_with(|| fragments(&self.core, map, va).into());
        let holds = |f: &&Fragment| f.begin <= va && va < f.end;
        chain.iter().find(holds).map(|f| f.section)
    }

    fn find_code(&self, va: Va) -> Option<Code> {
        let core = &self.core;
        let section = self.section(va)?;
        let base = core.ptr(section, Field::SectionBegin)?;
        if let Some(module) = core.target(section, Field::SectionR2R) {
            return self.ready_to_run(module, base, va);
        }
        let stub = |start| Code {
            kind: CodeKind::Stub,
            method: Va(0),
            start,
            unwind: None,
            funclet: false,
            owner: Va(0),
            index: 0,
            image: base,
        };
        if core.u32(section, Field::SectionFlags)? & STUB_RANGE != 0 {
            return Some(stub(va));
        }
        let start = method_start(core, section, va)?;
        let header = Va(core.memory().u64(start.back(8))?);
        if header.0 <= LAST_STUB {
            return Some(stub(start));
        }
        let count = core.u32(header, Field::CodeUnwindCount)?.min(MAX_UNWIND);
        let entries = core.at(header, Field::CodeUnwind)?;
        let rva = va.rva(base)?;
        let mut found = None;
        for i in 0..u64::from(count) {
            let entry = entries.offset(i * 12);
            let (begin, end) = (Rva(core.memory().u32(entry)?), Rva(core.memory().u32(entry.offset(4))?));
            if begin <= rva && rva < end {
                let unwind_info = Rva(core.memory().u32(entry.offset(8))?);
                found = Some((i, DynamicFunction { base, begin, end, unwind_info }));
                break;
            }
        }
        Some(Code {
            kind: CodeKind::Jit,
            method: core.ptr(header, Field::CodeMethod)?,
            start,
            unwind: found.map(|(_, f)| f),
            funclet: found.is_some_and(|(i, _)| i > 0),
            owner: header,
            index: 0,
            image: base,
        })
    }
}

/// Start of the code block that holds `va`, by the heap's nibble map: one nibble for 32 bytes, eight in a word, the
/// highest first; its value less 1 is the start's offset in words of 4 bytes.
fn method_start(core: &Core, section: Va, va: Va) -> Option<Va> {
    let heap = core.target(section, Field::SectionHeap)?;
    if va < core.ptr(heap, Field::HeapStart)? || va > core.ptr(heap, Field::HeapEnd)? {
        return None;
    }
    let base = core.ptr(heap, Field::HeapMapBase)?;
    let map = core.target(heap, Field::HeapMap)?;
    let relative = va.distance_from(base)?;
    let (bucket, wanted) = (relative >> 5, ((relative & 31) >> 2) + 1);
    // Since version 2 of the contract a word may be a pointer to the start of a long method.
    let pointers =
        core.descriptor.as_ref().and_then(|d| d.contract("ExecutionManager")).is_some_and(|v| v >= 2);
    let pointer = |word: u32| {
        let low = u64::from(word & 15);
        (pointers && low > 8).then(|| base.offset(u64::from(word & !15)).offset((low - 9) * 4))
    };
    let first = bucket >> 3;
    for back in 0..MAX_MAP_WORDS {
        let index = first.checked_sub(back)?;
        let word = core.memory().u32(map.offset(index * 4))?;
        if let Some(start) = pointer(word) {
            return Some(start);
        }
        let last = if back == 0 { bucket & 7 } else { 7 };
        for i in (0..=last).rev() {
            let nibble = u64::from(word >> (28 - 4 * i) & 15);
            if nibble == 0 || (back == 0 && i == last && nibble > wanted) {
                continue;
            }
            return Some(base.offset((index * 8 + i) * 32).offset((nibble - 1) * 4));
        }
        // With pointers two words say it all.
        if pointers && back == 1 {
            return None;
        }
    }
    None
}
