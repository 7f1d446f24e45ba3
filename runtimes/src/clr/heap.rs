//! The collector's heap, its roots and what they keep alive.

use crate::Walked;
use dumpscope_core::Va;

/// A piece of the heap with its bookkeeping record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapSegment {
    /// Its record.
    pub record: Va,
    /// The heap that it belongs to; 0 with the workstation collector.
    pub heap: u64,
    /// 0, 1, 2; 3 large objects, 4 pinned ones.
    pub generation: u64,
    /// Objects that are never moved or freed (string literals, types).
    pub frozen: bool,
    /// First object.
    pub start: Va,
    /// Behind the last object.
    pub end: Va,
    /// Behind the memory that is there.
    pub committed: Va,
    /// Behind the addresses that are set aside.
    pub reserved: Va,
}

/// An object that a walk of the heap visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapObject {
    /// Its address.
    pub address: Va,
    /// Its type's record.
    pub type_record: Va,
    /// Its bytes, without what aligns the next one.
    pub size: u64,
    /// Free space.
    pub free: bool,
}

/// What a walk of the heap did not see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapGaps {
    /// Bytes in which no object could be told.
    pub skipped: u64,
    /// The walk ended early.
    pub stopped: bool,
    /// A collection moved objects when the dump was written.
    pub moving: bool,
}

/// A handle of the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcHandle {
    /// Its address.
    pub address: Va,
    /// `Strong`, `WeakShort`, …
    pub kind: &'static str,
    /// It keeps its object alive.
    pub strong: bool,
    /// The object.
    pub object: Va,
    /// What a dependent handle keeps alive as long as the object lives; null for none.
    pub secondary: Va,
}

/// A heap's list of objects with finalizers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalizerQueue {
    /// Start and end of the list's part for generations 0, 1 and 2.
    pub generations: Vec<(Va, Va)>,
    /// The part whose objects are dead and wait for the finalizer.
    pub ready: (Va, Va),
    /// All objects, those that are ready last.
    pub objects: Vec<Va>,
    /// How many of the last ones are ready.
    pub ready_count: usize,
}

/// Where a root lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootPlace {
    /// A slot of a method's frame on a thread's stack: thread, stack pointer, instruction pointer, method, `rbp-38`,
    /// address of the slot (null for a register).
    Stack {
        /// The thread's system id.
        tid: u32,
        /// The frame's stack pointer.
        sp: Va,
        /// The frame's instruction pointer.
        ip: Va,
        /// The method.
        method: String,
        /// Register, or register and distance.
        slot: String,
        /// The slot; null for a register.
        at: Va,
    },
    /// A handle, by its kind.
    Handle {
        /// The handle.
        at: Va,
        /// Its kind.
        kind: &'static str,
    },
    /// The list of objects that wait for the finalizer.
    Finalizer {
        /// The list's entry.
        at: Va,
    },
}

/// A root and the way from it to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootPath {
    /// The root.
    pub place: RootPlace,
    /// Objects from the root's to the one that was asked for.
    pub path: Vec<Va>,
}

/// What keeps an object alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rooted {
    /// Roots, stacks first.
    pub paths: Vec<RootPath>,
    /// What the walk of the heap did not see.
    pub gaps: HeapGaps,
    /// A bound was reached: there may be more roots.
    pub bounded: bool,
}

/// Goes on while it says true: called with bytes done and bytes to do.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// Questions about the heap.
pub trait ClrHeap {
    /// Regions or segments, by heap and generation, empty ones too.
    fn segments(&self) -> Vec<HeapSegment>;

    /// Visits all objects in address order, free space too, until `visit` says to stop.
    fn objects(&self, visit: &mut dyn FnMut(HeapObject) -> bool) -> HeapGaps;

    /// The object at an address; `None` when there is none.
    fn object_at(&self, address: Va) -> Option<HeapObject>;

    /// Handles, by kind and address.
    fn handles(&self) -> Vec<GcHandle>;

    /// Lists of objects with finalizers, one for each heap.
    fn finalizer_queues(&self) -> Vec<FinalizerQueue>;

    /// Objects that an object refers to, without repeats, in the order of its fields, at most `most`.
    fn references(&self, object: Va, most: usize) -> Vec<Va>;

    /// Roots that keep an object alive, each with a shortest way. `stacks`: all threads. Costs a walk of the heap.
    fn rooted(&self, object: Va, stacks: &[Walked<'_>], progress: Progress<'_>) -> Rooted;

    /// References on a thread's stack that the runtime itself would report: where, object.
    fn stack_roots(&self, stack: Walked<'_>) -> Vec<(RootPlace, Va)>;

    /// The text of a string object, at most `most` UTF-16 units of it.
    fn string_at(&self, object: Va, most: u32) -> Option<String>;

    /// A type's name as the runtime's debugger writes it on the heap: `A.B<C>`.
    fn type_name(&self, type_record: Va) -> Option<String>;
}
