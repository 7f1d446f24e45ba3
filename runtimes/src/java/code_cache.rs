//! The code cache: which code lies at an address.
//!
//! A heap of it is divided into segments; a byte for each one (the segment map) says how many to go back to the start of
//! its block, 255 for free ones. A block has a header (`HeapBlock`), then a `CodeBlob`; compiled methods (`nmethod`) are
//! blobs of that name.

use super::vm::Vm;
use dumpscope_core::Va;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most heaps: one, or three with segments.
const MAX_HEAPS: u32 = 8;
/// Most steps back through the segment map.
const MAX_STEPS: usize = 1 << 14;
/// Largest frame, words.
const MAX_FRAME: u32 = 1 << 20;
/// Most places that are kept.
const MAX_KEPT: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Heap {
    low: Va,
    high: Va,
    map: Va,
    shift: u32,
}

/// Code that the VM made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob {
    pub(super) at: Va,
    pub(super) code: Va,
    /// Words from the stack pointer to the caller's; 0 for code without a frame of its own.
    pub(super) frame: u32,
    /// Bytes of code until the frame stands.
    pub(super) complete: u64,
    pub(super) compiled: bool,
}

/// The interpreter, and the heaps.
#[derive(Debug, Default)]
pub(super) struct CodeCache {
    heaps: Vec<Heap>,
    interpreter: Option<(Va, Va)>,
    /// Where the stub that calls Java returns to.
    pub(super) call_stub_return: Option<Va>,
    found: Mutex<BTreeMap<Va, Option<Arc<Blob>>>>,
}

impl CodeCache {
    pub(super) fn open(vm: &Vm) -> CodeCache {
        let interpreter = || {
            let queue = Va(vm.variable_u64("AbstractInterpreter::_code")?);
            let start = vm.ptr(queue, "StubQueue::_stub_buffer")?;
            Some((start, start.checked_add(vm.u32(queue, "StubQueue::_buffer_limit")?.into())?))
        };
        CodeCache {
            heaps: heaps(vm).unwrap_or_default(),
            interpreter: interpreter(),
            call_stub_return: vm.variable_u64("StubRoutines::_call_stub_return_address").map(Va),
            found: Mutex::default(),
        }
    }

    /// False when nothing of the cache is known.
    pub(super) fn is_known(&self) -> bool {
        !self.heaps.is_empty() && self.interpreter.is_some()
    }

    /// True in the interpreter's code.
    pub(super) fn in_interpreter(&self, va: Va) -> bool {
        self.interpreter.is_some_and(|(start, end)| start <= va && va < end)
    }

    /// The code at an address.
    pub(super) fn blob(&self, vm: &Vm, va: Va) -> Option<Arc<Blob>> {
        let heap = self.heaps.iter().find(|h| h.low <= va && va < h.high)?;
        let segment = va.distance_from(heap.low)?.checked_shr(heap.shift)?;
        let key = Va((segment << heap.shift).wrapping_add(heap.low.0));
        if let Some(known) = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        let blob = read(vm, heap, segment).map(Arc::new);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < MAX_KEPT {
            found.insert(key, blob.clone());
        }
        blob
    }
}

fn heaps(vm: &Vm) -> Option<Vec<Heap>> {
    let list = Va(vm.variable_u64("CodeCache::_heaps")?);
    let count = vm.memory.u32(list)?.min(MAX_HEAPS);
    let data = Va(vm.memory.u64(list.offset(vm.offset("GrowableArray<int>::_data").unwrap_or(8)))?);
    let mut out = Vec::new();
    for i in 0..count {
        let heap = Va(vm.memory.u64(data.offset(u64::from(i) * 8))?);
        let memory = heap.offset(vm.offset("CodeHeap::_memory")?);
        let map = heap.offset(vm.offset("CodeHeap::_segmap")?);
        let shift = vm.u32(heap, "CodeHeap::_log2_segment_size").filter(|s| (4..32).contains(s))?;
        out.push(Heap {
            low: vm.ptr(memory, "VirtualSpace::_low")?,
            high: vm.ptr(memory, "VirtualSpace::_high")?,
            map: vm.ptr(map, "VirtualSpace::_low")?,
            shift,
        });
    }
    Some(out)
}

fn read(vm: &Vm, heap: &Heap, segment: u64) -> Option<Blob> {
    let mut index = segment;
    let mut steps = 0;
    loop {
        match vm.memory.u8(heap.map.offset(index))? {
            0 => break,
            255 => return None,
            back => index = index.checked_sub(back.into())?,
        }
        steps += 1;
        if steps > MAX_STEPS {
            return None;
        }
    }
    let block = heap.low.offset(index << heap.shift);
    if vm.u8(block, "HeapBlock::Header::_used")? == 0 {
        return None;
    }
    let at = block.offset(vm.size("HeapBlock")?);
    let code = match vm.ptr(at, "CodeBlob::_code_begin") {
        Some(code) => code,
        None => at.offset(vm.u32(at, "CodeBlob::_code_offset")?.into()),
    };
    let name = vm.memory.c_str(vm.ptr(at, "CodeBlob::_name")?, 64)?;
    // 16 bits since JDK 23.
    let complete = if vm.type_of("CodeBlob::_frame_complete_offset") == "int" {
        vm.u32(at, "CodeBlob::_frame_complete_offset")?.cast_signed()
    } else {
        vm.u16(at, "CodeBlob::_frame_complete_offset")?.cast_signed().into()
    };
    Some(Blob {
        at,
        code,
        frame: vm.u32(at, "CodeBlob::_frame_size").filter(|n| *n < MAX_FRAME).unwrap_or(0),
        complete: u64::try_from(complete).unwrap_or(0),
        compiled: name == b"nmethod" || name == b"native nmethod",
    })
}
