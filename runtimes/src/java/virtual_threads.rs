//! Virtual threads: those that run on a carrier, and those whose frames lie on the heap.
//!
//! The VM has no list of them: the heap is searched for objects of their class, only when a carrier class is loaded. The
//! frames of one that does not run lie in `StackChunk` objects, like on a stack, with places relative to themselves.

use super::Java;
use super::code_cache::Blob;
use super::scopes::FrameAt;
use super::stack::JavaFrame;
use crate::{LockOwner, ScriptThread};
use dumpscope_core::Va;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most virtual threads.
const MAX_THREADS: usize = 10_000;
/// Most bytes of the heap that are searched.
const MAX_SEARCH: u64 = 4 << 30;
/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;
/// Most chunks of one thread, most frames, most words of its lock stack.
const MAX_CHUNKS: usize = 64;
const MAX_FRAMES: usize = 1024;
const MAX_LOCK_STACK: u64 = 64;
/// The class of what every virtual thread runs.
const CONTINUATION: &str = "java.lang.VirtualThread$VThreadContinuation";
/// State of a virtual thread that has ended.
const TERMINATED: u32 = 99;
/// Greatest other state, with the bit for suspended ones taken off.
const MAX_STATE: u32 = 32;
const SUSPENDED: u32 = 0x100;

/// A virtual thread.
#[derive(Clone, Debug)]
pub(super) struct Virtual {
    pub(super) script: ScriptThread,
    /// Objects that it locked without a monitor.
    pub(super) lock_stack: Vec<Va>,
    /// The native thread's record that it runs on.
    pub(super) carrier: Option<Va>,
}

impl Virtual {
    pub(super) fn owner(&self) -> LockOwner {
        LockOwner { tid: self.script.carrier, id: Some(self.script.id), name: self.script.name.clone() }
    }
}

impl Java {
    /// All virtual threads that have not ended, in the order of their numbers.
    pub(super) fn virtual_threads(&self) -> &[Virtual] {
        self.virtuals.get_or_init(|| {
            let mut seen = BTreeSet::new();
            let mut all: Vec<_> =
                self.virtual_objects().into_iter().filter_map(|o| self.virtual_thread(o)).collect();
            all.sort_by_key(|v| (v.script.id, v.script.address));
            all.retain(|v| seen.insert(v.script.id));
            all
        })
    }

    fn virtual_objects(&self) -> Vec<Va> {
        let mut out: BTreeSet<Va> = self.threads().iter().filter_map(|t| t.mounted).collect();
        if self.vm.offset("JavaThread::_vthread").is_some()
            && self.class_named("jdk.internal.misc.CarrierThread").is_some()
            && let Some(class) = self.class_named("java.lang.VirtualThread")
        {
            // What was found before the end of the heap stays.
            let _ = self.search(&BTreeSet::from([class]), MAX_THREADS, &mut out);
        }
        out.into_iter().collect()
    }

    /// Objects of the heap whose class is one of these, in the order of their addresses.
    pub(super) fn instances(&self, classes: &BTreeSet<Va>, most: usize) -> BTreeSet<Va> {
        let mut out = BTreeSet::new();
        if !classes.is_empty() {
            // What was found before the end of the heap stays.
            let _ = self.search(classes, most, &mut out);
        }
        out
    }

    fn search(&self, classes: &BTreeSet<Va>, most: usize, out: &mut BTreeSet<Va>) -> Option<()> {
        let vm = &self.vm;
        let heap = Va(vm.variable_u64("Universe::_collectedHeap")?);
        let region = heap.offset(vm.offset("CollectedHeap::_reserved")?);
        let start = vm.ptr(region, "MemRegion::_start")?;
        let end = start.checked_add(vm.u64(region, "MemRegion::_word_size")?.checked_mul(8)?)?;
        let (mut at, mut left) = (start, MAX_SEARCH);
        let mut chunk = vec![0u8; CHUNK];
        while at < end && left > 0 && out.len() < most {
            at = Va(vm.memory.next_readable(at)?.0.checked_next_multiple_of(8)?);
            let want = usize::try_from(end.distance_from(at)?).unwrap_or(CHUNK).min(CHUNK);
            let got = vm.memory.scan_at(at, chunk.get_mut(..want)?).got;
            let (words, _) = chunk.get(..got)?.as_chunks::<8>();
            for (i, pair) in words.windows(2).enumerate() {
                let &[mark, second] = pair else { continue };
                let class = vm.named_class(u64::from_le_bytes(mark), u64::from_le_bytes(second));
                if class.is_some_and(|c| classes.contains(&c)) {
                    out.insert(at.offset(i as u64 * 8));
                }
            }
            // The last word begins the next part: an object's two words are looked at together.
            let step = (got as u64 & !7).saturating_sub(8).max(8);
            left = left.saturating_sub(step);
            at = at.checked_add(step)?;
        }
        Some(())
    }

    fn virtual_thread(&self, object: Va) -> Option<Virtual> {
        let (vm, objects) = (&self.vm, &self.objects);
        let state = objects.int(vm, object, "state")? & !SUSPENDED;
        let id = objects.long(vm, object, "tid").filter(|id| *id != 0)?;
        if state == TERMINATED || state > MAX_STATE {
            return None;
        }
        // Words that only look like one have no continuation.
        let continuation = objects.get(vm, object, "cont")?;
        if self.names.class_of(vm, continuation).as_deref() != Some(CONTINUATION) {
            return None;
        }
        let carrier = self.threads().iter().find(|t| t.mounted == Some(object));
        // An old copy, or garbage: it says that it runs, and nobody runs it.
        if carrier.is_none() && objects.get(vm, object, "carrierThread").is_some() {
            return None;
        }
        let name = objects.get(vm, object, "name").and_then(|n| objects.string(vm, n));
        let mounted = carrier.is_some();
        Some(Virtual {
            script: ScriptThread {
                address: object,
                tid: None,
                id,
                name: name.filter(|n| !n.is_empty()),
                state: vec!["virtual", if mounted { "mounted" } else { "unmounted" }],
                alive: true,
                carrier: carrier.and_then(|t| t.script.tid),
            },
            lock_stack: if mounted { Vec::new() } else { self.chunk_lock_stack(object).unwrap_or_default() },
            carrier: carrier.map(|t| t.script.address),
        })
    }

    fn first_chunk(&self, object: Va) -> Option<Va> {
        let continuation = self.objects.get(&self.vm, object, "cont")?;
        self.objects.get(&self.vm, continuation, "tail")
    }

    /// Where the words of a chunk begin: behind its fields.
    fn words(&self, chunk: Va) -> Option<Va> {
        Some(chunk.offset(self.objects.end_of_fields(&self.vm, self.vm.klass_of(chunk)?)))
    }

    fn chunk_lock_stack(&self, object: Va) -> Option<Vec<Va>> {
        let vm = &self.vm;
        let chunk = self.first_chunk(object)?;
        let count = vm.memory.u8(self.objects.field(vm, chunk, "lockStackSize")?)?;
        let start = self.words(chunk)?;
        let read = |i| vm.memory.u64(start.offset(i * 8)).and_then(|o| vm.wide(o));
        Some((0..u64::from(count).min(MAX_LOCK_STACK)).filter_map(read).collect())
    }

    /// The frames of a virtual thread that does not run.
    pub(super) fn unmounted_frames(&self, object: Va) -> Vec<JavaFrame> {
        let mut out = Vec::new();
        let mut seen = BTreeSet::new();
        let mut next = self.first_chunk(object);
        while let Some(chunk) = next.filter(|c| seen.len() < MAX_CHUNKS && seen.insert(*c)) {
            // What was read of a broken chunk stays.
            let _ = self.chunk_frames(chunk, &mut out);
            next = self.objects.get(&self.vm, chunk, "parent");
        }
        out
    }

    fn chunk_frames(&self, chunk: Va, out: &mut Vec<JavaFrame>) -> Option<()> {
        let (vm, objects) = (&self.vm, &self.objects);
        let start = self.words(chunk)?;
        let size = objects.int(vm, chunk, "size")?;
        let end = match objects.int(vm, chunk, "bottom") {
            Some(bottom) => bottom,
            None => size.checked_sub(objects.int(vm, chunk, "argsize")?)?,
        };
        let end = start.checked_add(u64::from(end) * 8)?;
        let mut sp = start.checked_add(u64::from(objects.int(vm, chunk, "sp")?) * 8)?;
        let mut unextended = sp;
        let mut pc = Va(objects.long(vm, chunk, "pc")?);
        while start <= sp && sp < end && !pc.is_null() && out.len() < MAX_FRAMES {
            let caller = if self.code.in_interpreter(pc) {
                // The frame pointer is told as a distance, in words, from its own place.
                let slot = sp.back(16);
                let fp = slot.offset(vm.memory.u64(slot)?.wrapping_mul(8));
                out.push(self.interpreted(fp, None)?);
                unextended = fp.offset(vm.memory.u64(fp.back(8))?.wrapping_mul(8));
                fp.offset(16)
            } else {
                let blob: Arc<Blob> = self.code.blob(vm, pc)?;
                if blob.compiled {
                    out.extend(self.compiled(&blob, pc, FrameAt { sp: unextended, fp: Va(0) }));
                }
                unextended = unextended.checked_add(u64::from(blob.frame) * 8)?;
                unextended
            };
            if caller <= sp || caller >= end {
                break;
            }
            sp = caller;
            pc = Va(vm.memory.u64(sp.back(8))?);
        }
        Some(())
    }
}
