//! The streams of a dump, each parsed at most once, and the accessors that give them.

use super::{Dump, DumpKind, Thread, join};
use crate::base::{Machine, ModuleInfo, Pid, Tid, Va};
use crate::error::{Parsed, Warning};
use crate::memory::MemoryView;
use crate::stream::assertion::{Assertion, AssertionInfoStream};
use crate::stream::comment::{CommentStreamA, CommentStreamW};
use crate::stream::crashpad::{CrashpadInfo, CrashpadInfoStream};
use crate::stream::exception::ExceptionStream;
use crate::stream::function_table::{FunctionTable, FunctionTableStream, FunctionTables};
use crate::stream::handle_data::{HandleData, HandleDataStream};
use crate::stream::handle_ops::{HandleOperation, HandleOperationListStream};
use crate::stream::memory_info::{MemoryInfoListStream, MemoryRegion};
use crate::stream::memory_list::{Memory64ListStream, MemoryListStream, RawRange};
use crate::stream::misc_info::{MiscInfo, MiscInfoStream};
use crate::stream::module_list::ModuleListStream;
use crate::stream::system_info::{SystemInfo, SystemInfoStream};
use crate::stream::system_memory::{SystemMemoryInfo, SystemMemoryInfoStream};
use crate::stream::thread_info::{ThreadInfo, ThreadInfoListStream};
use crate::stream::thread_list::{RawThread, ThreadExListStream, ThreadListStream};
use crate::stream::thread_names::{ThreadName, ThreadNamesStream};
use crate::stream::token::{Token, TokenStream};
use crate::stream::unloaded::{UnloadedModule, UnloadedModuleListStream};
use crate::stream::vm_counters::{ProcessVmCountersStream, VmCounters};
use crate::stream::{DirectoryEntry, Kept, STREAMS, Stream, StreamCx, StreamSummary, id, stream_info};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Parsed streams and what is joined from them, each computed when it is first asked for.
#[derive(Debug)]
pub(crate) struct Streams {
    /// One for each row of [`STREAMS`].
    parsed: Vec<OnceLock<Box<Kept>>>,
    memory: OnceLock<(Arc<MemoryView>, Vec<Warning>)>,
    threads: OnceLock<(Vec<Thread>, Vec<Warning>)>,
    thread_ids: OnceLock<HashMap<Tid, usize>>,
    modules: OnceLock<join::Modules>,
    kind: OnceLock<DumpKind>,
    regions_sorted: OnceLock<bool>,
    pub(super) wow64: OnceLock<bool>,
    pub(super) pid: OnceLock<Option<Pid>>,
    /// Native, then the 32-bit one of a WOW64 process.
    pub(super) pebs: [OnceLock<Option<Va>>; 2],
}

impl Streams {
    pub(super) fn new() -> Streams {
        Streams {
            parsed: STREAMS.iter().map(|_| OnceLock::new()).collect(),
            memory: OnceLock::new(),
            threads: OnceLock::new(),
            thread_ids: OnceLock::new(),
            modules: OnceLock::new(),
            kind: OnceLock::new(),
            regions_sorted: OnceLock::new(),
            wow64: OnceLock::new(),
            pid: OnceLock::new(),
            pebs: [OnceLock::new(), OnceLock::new()],
        }
    }
}

impl Dump {
    /// The first stream of a type, parsed when it is first asked for.
    fn stream<S: Stream>(&self) -> &Parsed<S::Value> {
        let cell = self.streams.parsed.get(S::ROW);
        let kept = cell.map(|c| c.get_or_init(|| Box::new(self.parse::<S>())));
        kept.and_then(|k| k.downcast_ref()).unwrap_or(const { &Parsed::Absent })
    }

    fn parse<S: Stream>(&self) -> Parsed<S::Value> {
        let Some(entry) = self.header.find(S::NUMBER) else { return Parsed::Absent };
        // The machine comes from a stream without addresses.
        let machine = if S::NUMBER == id::SYSTEM_INFO { Machine::Other(0xffff) } else { self.machine() };
        S::parse(StreamCx::new(S::NAME, self.source.bytes(), entry, machine))
    }

    /// Operating system and processor.
    pub fn system(&self) -> &Parsed<SystemInfo> {
        self.stream::<SystemInfoStream>()
    }

    /// Process times, time zone, build text.
    pub fn misc(&self) -> &Parsed<MiscInfo> {
        self.stream::<MiscInfoStream>()
    }

    /// The exception of interest.
    pub fn exception(&self) -> &Parsed<ExceptionStream> {
        self.stream::<ExceptionStream>()
    }

    /// Open handles.
    pub fn handles(&self) -> &Parsed<HandleData> {
        self.stream::<HandleDataStream>()
    }

    /// Memory regions with protection.
    pub fn memory_info(&self) -> &Parsed<Vec<MemoryRegion>> {
        self.stream::<MemoryInfoListStream>()
    }

    /// The region of MemoryInfoList that holds `va`.
    pub fn region_at(&self, va: Va) -> Option<&MemoryRegion> {
        let list = self.memory_info().value()?;
        let holds = |r: &MemoryRegion| va.distance_from(r.base).is_some_and(|d| d < r.size);
        // Every writer sorts the list; a damaged one is searched from its start.
        if !*self.streams.regions_sorted.get_or_init(|| list.is_sorted_by_key(|r| r.base)) {
            return list.iter().find(|r| holds(r));
        }
        let end = list.partition_point(|r| r.base <= va);
        end.checked_sub(1).and_then(|i| list.get(i)).filter(|r| holds(r))
    }

    /// An unloaded module that was at `va`; of several the last one of the list.
    pub fn unloaded_at(&self, va: Va) -> Option<&UnloadedModule> {
        let holds = |m: &&UnloadedModule| va.distance_from(m.base).is_some_and(|d| d < u64::from(m.size));
        self.unloaded().value()?.iter().rev().find(holds)
    }

    /// Unloaded modules.
    pub fn unloaded(&self) -> &Parsed<Vec<UnloadedModule>> {
        self.stream::<UnloadedModuleListStream>()
    }

    /// Threads as the list has them; ThreadExListStream where there is no ThreadListStream.
    pub fn thread_list(&self) -> &Parsed<Vec<RawThread>> {
        match self.stream::<ThreadListStream>() {
            Parsed::Absent => self.stream::<ThreadExListStream>(),
            found => found,
        }
    }

    /// Thread times and start addresses.
    pub fn thread_info(&self) -> &Parsed<Vec<ThreadInfo>> {
        self.stream::<ThreadInfoListStream>()
    }

    /// Thread names.
    pub fn thread_names(&self) -> &Parsed<Vec<ThreadName>> {
        self.stream::<ThreadNamesStream>()
    }

    /// Modules as the stream has them; [`Dump::modules`] is the list to use.
    pub fn module_list(&self) -> &Parsed<Vec<ModuleInfo>> {
        self.stream::<ModuleListStream>()
    }

    /// Captured ranges of MemoryListStream, as far as the file has them.
    pub fn memory_list(&self) -> &Parsed<Vec<RawRange>> {
        self.stream::<MemoryListStream>()
    }

    /// Captured ranges of Memory64ListStream, as far as the file has them.
    pub fn memory64_list(&self) -> &Parsed<Vec<RawRange>> {
        self.stream::<Memory64ListStream>()
    }

    /// Comments, ANSI then wide. Untrusted.
    pub fn comments(&self) -> Vec<&str> {
        let both = [self.stream::<CommentStreamA>(), self.stream::<CommentStreamW>()];
        both.into_iter().filter_map(Parsed::value).map(String::as_str).filter(|t| !t.is_empty()).collect()
    }

    /// What the program told Crashpad.
    pub fn crashpad(&self) -> &Parsed<CrashpadInfo> {
        self.stream::<CrashpadInfoStream>()
    }

    /// The failed assertion that Breakpad was told.
    pub fn assertion(&self) -> &Parsed<Assertion> {
        self.stream::<AssertionInfoStream>()
    }

    /// The raw bytes of the first stream of a type.
    pub fn stream_bytes(&self, stream_type: u32) -> Option<&[u8]> {
        let entry = self.directory().iter().find(|d| d.stream_type == stream_type)?;
        crate::bytes::clipped(self.source.bytes(), entry.offset.0, entry.size.into())
    }

    /// Security tokens.
    pub fn tokens(&self) -> &Parsed<Vec<Token>> {
        self.stream::<TokenStream>()
    }

    /// Handle operations that Application Verifier traced.
    pub fn handle_operations(&self) -> &Parsed<Vec<HandleOperation>> {
        self.stream::<HandleOperationListStream>()
    }

    /// Memory of the machine.
    pub fn system_memory(&self) -> &Parsed<SystemMemoryInfo> {
        self.stream::<SystemMemoryInfoStream>()
    }

    /// Memory counters of the process.
    pub fn vm_counters(&self) -> &Parsed<VmCounters> {
        self.stream::<ProcessVmCountersStream>()
    }

    /// Unwind tables that the program made at run time.
    pub fn function_tables(&self) -> &Parsed<FunctionTables> {
        self.stream::<FunctionTableStream>()
    }

    /// The entries of a run-time unwind table, as they lie in the file; fewer than announced when the file is cut
    /// off. `entry_size` is [`FunctionTables::entry_size`].
    pub fn function_table_entries(&self, table: &FunctionTable, entry_size: u32) -> &[u8] {
        let size = u64::from(entry_size).saturating_mul(table.entry_count.into());
        crate::bytes::clipped(self.source.bytes(), table.entries.0, size).unwrap_or_default()
    }

    /// What a stream of the directory holds, read afresh; `None` for types without a name.
    pub fn summarize(&self, entry: DirectoryEntry) -> Option<StreamSummary> {
        let info = stream_info(entry.stream_type)?;
        Some(info.summarize(self.source.bytes(), entry, self.machine()))
    }

    /// Bytes that streams and memory ranges of the file need behind its end: a file that was cut off, by a full disk
    /// or a broken transfer. 0 for a whole one.
    pub fn missing_bytes(&self) -> u64 {
        let end_of = |entry: &DirectoryEntry| {
            let own = entry.offset.0.saturating_add(entry.size.into());
            let info = stream_info(entry.stream_type);
            own.max(info.map_or(0, |s| s.end(self.source.bytes(), *entry, self.machine())))
        };
        let end = self.directory().iter().map(end_of).max().unwrap_or(0);
        end.saturating_sub(self.file_size())
    }

    /// True when ThreadInfoList is there.
    pub fn has_thread_info(&self) -> bool {
        self.header.find(id::THREAD_INFO_LIST).is_some()
    }

    /// How much memory it holds.
    pub fn kind(&self) -> DumpKind {
        *self.streams.kind.get_or_init(|| join::kind(self))
    }

    fn memory_parts(&self) -> &(Arc<MemoryView>, Vec<Warning>) {
        self.streams.memory.get_or_init(|| join::memory(self))
    }

    /// Memory of the process.
    pub fn memory(&self) -> &Arc<MemoryView> {
        &self.memory_parts().0
    }

    fn thread_parts(&self) -> &(Vec<Thread>, Vec<Warning>) {
        self.streams.threads.get_or_init(|| join::threads(self))
    }

    /// Threads, in the dump's order.
    pub fn threads(&self) -> &[Thread] {
        &self.thread_parts().0
    }

    /// Where in the list the thread with a system id is; the first one, where several have it.
    pub(super) fn thread_position(&self, tid: Tid) -> Option<usize> {
        let ids = self
            .streams
            .thread_ids
            .get_or_init(|| self.threads().iter().enumerate().rev().map(|(nth, t)| (t.tid, nth)).collect());
        ids.get(&tid).copied()
    }

    fn module_parts(&self) -> &join::Modules {
        self.streams.modules.get_or_init(|| join::modules(self))
    }

    /// All modules in the dump's order; a WOW64 process's 32-bit ones too (also those that only the 32-bit
    /// loader list names).
    pub fn modules(&self) -> &[ModuleInfo] {
        &self.module_parts().list
    }

    /// The module that holds `va`; where images overlap, the one with the highest base.
    pub fn module_at(&self, va: Va) -> Option<&ModuleInfo> {
        self.module_parts().at(va)
    }

    /// Architecture of the contexts in the thread list.
    pub fn machine(&self) -> Machine {
        self.system().value().map_or(Machine::Other(0xffff), |s| s.machine)
    }

    /// Everything that was wrong while opening and in the streams parsed so far: in the order of [`STREAMS`], then what
    /// joining them brought up.
    pub fn warnings(&self) -> Vec<Warning> {
        let s = &self.streams;
        let mut out = self.header.warnings.clone();
        for (info, kept) in STREAMS.iter().zip(&s.parsed) {
            out.extend_from_slice(kept.get().map_or(&[], |kept| info.warnings(&**kept)));
        }
        out.extend(s.threads.get().into_iter().flat_map(|t| t.1.iter().cloned()));
        out.extend(s.modules.get().into_iter().flat_map(|m| m.warnings.iter().cloned()));
        out.extend(s.memory.get().into_iter().flat_map(|m| m.1.iter().cloned()));
        out
    }
}
