//! Answers to questions about the heap.

use super::Clr;
use crate::Walked;
use crate::clr::{
    ClrHeap, FinalizerQueue, GcHandle, HeapGaps, HeapObject, HeapSegment, Progress, RootPlace, Rooted,
};
use dumpscope_core::Va;
use std::collections::BTreeSet;

impl ClrHeap for Clr {
    fn segments(&self) -> Vec<HeapSegment> {
        self.heap_segments()
    }

    fn objects(&self, visit: &mut dyn FnMut(HeapObject) -> bool) -> HeapGaps {
        let skipped = self.walk_heap(&mut |v| {
            let free = self.is_free(v.type_record);
            visit(HeapObject { address: v.object, type_record: v.type_record, size: v.size, free })
        });
        HeapGaps { skipped: skipped.bytes, stopped: skipped.stopped, moving: self.heap_is_moving() }
    }

    fn object_at(&self, address: Va) -> Option<HeapObject> {
        let type_record = self.object_type(address).or_else(|| {
            let mt = Va(self.core.deref(address)?.0 & !7);
            self.is_free(mt).then_some(mt)
        })?;
        let size = self.object_size(address)?;
        Some(HeapObject { address, type_record, size, free: self.is_free(type_record) })
    }

    fn handles(&self) -> Vec<GcHandle> {
        self.gc_handles()
    }

    fn finalizer_queues(&self) -> Vec<FinalizerQueue> {
        self.finalizers()
    }

    fn references(&self, object: Va, most: usize) -> Vec<Va> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        let Some(o) = self.object_at(object) else { return out };
        let map = self.reference_map(o.type_record);
        self.each_reference(object, o.size, &map, &mut |target| {
            if out.len() < most && seen.insert(target) {
                out.push(target);
            }
        });
        out
    }

    fn rooted(&self, object: Va, stacks: &[Walked<'_>], progress: Progress<'_>) -> Rooted {
        self.who_keeps(object, stacks, progress)
    }

    fn stack_roots(&self, stack: Walked<'_>) -> Vec<(RootPlace, Va)> {
        self.roots_of_stack(stack)
    }

    fn string_at(&self, object: Va, most: u32) -> Option<String> {
        self.string_part(object, most)
    }

    fn type_name(&self, type_record: Va) -> Option<String> {
        Clr::type_name(self, type_record).map(|n| n.to_string())
    }
}
