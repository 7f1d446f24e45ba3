//! What only .NET has, for its debugger's commands (`!clrthreads`, `!syncblk`, `!dumpheap`). Plain data; texts are untrusted.

mod details;
mod heap;

pub use details::{
    ClrArray, ClrDetails, ClrField, ClrMethodInfo, ClrModule, ClrObject, ClrTypeInfo, ClrValue,
    FrameVariables, Jitted, MethodCode, MethodRow, Named, Variable,
};
pub use heap::{
    ClrHeap, FinalizerQueue, GcHandle, HeapGaps, HeapObject, HeapSegment, Progress, RootPath, RootPlace,
    Rooted,
};

use crate::{ScriptFrame, Walked};
use dumpscope_core::Va;

/// Counters of the list of threads, and the threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClrThreads {
    /// Threads of the runtime.
    pub count: u32,
    /// Those that were not started.
    pub unstarted: u32,
    /// Background threads.
    pub background: u32,
    /// Those that are being started.
    pub pending: u32,
    /// Those that have ended, whose objects live.
    pub dead: u32,
    /// In the runtime's order.
    pub rows: Vec<ClrThread>,
}

/// A thread's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClrThread {
    /// Managed id.
    pub id: u64,
    /// System id; 0 when it has ended.
    pub os_id: u32,
    /// Its address.
    pub address: Va,
    /// State bits.
    pub state: u32,
    /// True in cooperative mode.
    pub cooperative: bool,
    /// The unused part of its allocation context.
    pub allocation: (Va, Va),
    /// The application domain.
    pub domain: Va,
    /// True for the finalizer thread.
    pub finalizer: bool,
    /// It stops the others, for a collection.
    pub suspending: bool,
    /// The exception that it threw last: type, object, whether others are being handled too.
    pub exception: Option<(String, Va, bool)>,
}

/// A monitor with a sync block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncBlock {
    /// Its index.
    pub index: u64,
    /// Its address.
    pub address: Va,
    /// Whether it is held.
    pub held: bool,
    /// How often the owner entered it.
    pub recursion: u32,
    /// Threads that want to enter.
    pub waiting: u32,
    /// The owner: its record, system id.
    pub owner: Option<(Va, u32)>,
    /// The object.
    pub object: Va,
    /// Its type.
    pub object_type: String,
}

/// Objects of one type on the heap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapRow {
    /// The type's record.
    pub type_record: Va,
    /// Objects.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The type's name.
    pub name: String,
}

/// What a walk of the heap counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeapStat {
    /// By bytes, the fewest first.
    pub rows: Vec<HeapRow>,
    /// Bytes in which no object could be told.
    pub skipped: u64,
    /// The walk ended early.
    pub stopped: bool,
    /// A collection moved objects when the dump was written: the numbers may be wrong.
    pub moving: bool,
    /// The server collector.
    pub server: bool,
}

/// A row of a stack as the runtime's own debugger prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackItem {
    /// Stack pointer; of an explicit frame its address.
    pub sp: Va,
    /// Instruction pointer.
    pub ip: Va,
    /// The kind of an explicit frame; `None` for a method.
    pub kind: Option<String>,
    /// The method's frame.
    pub frame: Option<ScriptFrame>,
    /// An explicit frame's method, where it has one.
    pub method: Option<String>,
    /// Index of the machine frame of a method.
    pub machine: Option<usize>,
}

/// An async method that nobody awaits, and what it awaits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsyncChain {
    /// Its box.
    pub address: Va,
    /// Methods, innermost last.
    pub chain: Vec<String>,
    /// The number of its `await`; -1: it runs or was not started.
    pub state: Option<i64>,
    /// What the innermost waits for.
    pub reason: String,
}

/// Questions that only a .NET runtime answers.
pub trait ClrReader: ClrHeap + ClrDetails {
    /// Threads with all that their records say.
    fn clr_threads(&self) -> ClrThreads;

    /// A thread's managed and explicit frames.
    fn stack(&self, stack: Walked<'_>) -> Vec<StackItem>;

    /// The method at an address in its code, as a frame would have it.
    fn frame_at(&self, address: Va) -> Option<ScriptFrame>;

    /// Sync blocks in use, by index.
    fn sync_blocks(&self) -> Vec<SyncBlock>;

    /// Counts the objects of the heap by type.
    fn heap_stat(&self) -> HeapStat;

    /// True for the server collector.
    fn is_server(&self) -> bool;

    /// Async methods that have begun and not ended, outermost first in each chain, and whether the walk was stopped.
    fn async_chains(&self) -> (Vec<AsyncChain>, bool);
}
