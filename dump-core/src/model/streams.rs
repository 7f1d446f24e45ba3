//! The streams of a dump, each parsed at most once, and the accessors that give them.

use super::{Dump, DumpKind, Thread, join};
use crate::base::{Machine, ModuleInfo, Tid, Va};
use crate::error::{Parsed, Warning};
use crate::memory::MemoryView;
use crate::stream::exception::{self, ExceptionEntry, ExceptionStream};
use crate::stream::function_table::{self, FunctionTable, FunctionTables};
use crate::stream::handle_data::{self, HandleData};
use crate::stream::handle_ops::{self, HandleOperation};
use crate::stream::memory_info::{self, MemoryRegion};
use crate::stream::memory_list::{self, RawRange};
use crate::stream::misc_info::{self, MiscInfo};
use crate::stream::system_info::{self, SystemInfo};
use crate::stream::system_memory::{self, SystemMemoryInfo};
use crate::stream::thread_info::{self, ThreadInfo};
use crate::stream::thread_list::{self, RawThread};
use crate::stream::thread_names::{self, ThreadName};
use crate::stream::token::{self, Token};
use crate::stream::unloaded::{self, UnloadedModule};
use crate::stream::vm_counters::{self, VmCounters};
use crate::stream::{DirectoryEntry, StreamCx, StreamSummary, comment, id, module_list, stream_info};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Parsed streams and what is joined from them.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    system: OnceLock<Parsed<SystemInfo>>,
    misc: OnceLock<Parsed<MiscInfo>>,
    exception: OnceLock<(Parsed<ExceptionStream>, Option<ExceptionEntry>)>,
    handles: OnceLock<Parsed<HandleData>>,
    memory_info: OnceLock<Parsed<Vec<MemoryRegion>>>,
    unloaded: OnceLock<Parsed<Vec<UnloadedModule>>>,
    thread_list: OnceLock<Parsed<Vec<RawThread>>>,
    thread_info: OnceLock<Parsed<Vec<ThreadInfo>>>,
    thread_names: OnceLock<Parsed<Vec<ThreadName>>>,
    module_list: OnceLock<Parsed<Vec<ModuleInfo>>>,
    memory_list: OnceLock<Parsed<Vec<RawRange>>>,
    memory64_list: OnceLock<Parsed<Vec<RawRange>>>,
    comments: OnceLock<(Vec<String>, Vec<Warning>)>,
    memory: OnceLock<(Arc<MemoryView>, Vec<Warning>)>,
    threads: OnceLock<(Vec<Thread>, Vec<Warning>)>,
    thread_ids: OnceLock<HashMap<Tid, usize>>,
    modules: OnceLock<join::Modules>,
    pub(super) wow64: OnceLock<bool>,
    regions_sorted: OnceLock<bool>,
}

impl Dump {
    /// Parses the first stream of a type, if there is one.
    fn parse<T>(
        &self,
        stream: u32,
        name: &'static str,
        parse: impl FnOnce(StreamCx<'_>) -> Parsed<T>,
    ) -> Parsed<T> {
        match self.header.find(stream) {
            Some(entry) => {
                let mut cx = StreamCx::new(name, self.source.bytes(), entry);
                // The machine comes from a stream without addresses.
                cx.is_32 = stream != id::SYSTEM_INFO && self.machine() == Machine::X86;
                parse(cx)
            }
            None => Parsed::Absent,
        }
    }

    /// Operating system and processor.
    pub fn system(&self) -> &Parsed<SystemInfo> {
        let cell = &self.streams.system;
        cell.get_or_init(|| self.parse(id::SYSTEM_INFO, "SystemInfoStream", system_info::parse))
    }

    /// Process times, time zone, build text.
    pub fn misc(&self) -> &Parsed<MiscInfo> {
        self.streams.misc.get_or_init(|| self.parse(id::MISC_INFO, "MiscInfoStream", misc_info::parse))
    }

    /// The exception of interest.
    pub fn exception(&self) -> &Parsed<ExceptionStream> {
        &self.exception_parts().0
    }

    /// The exception and where its context lies.
    pub(super) fn exception_parts(&self) -> &(Parsed<ExceptionStream>, Option<ExceptionEntry>) {
        self.streams.exception.get_or_init(|| {
            match self.parse(id::EXCEPTION, "ExceptionStream", exception::parse) {
                Parsed::Absent => (Parsed::Absent, None),
                Parsed::Damaged(e, w) => (Parsed::Damaged(e.stream.clone(), w), Some(e)),
                Parsed::Fine(e) => (Parsed::Fine(e.stream.clone()), Some(e)),
            }
        })
    }

    /// Open handles.
    pub fn handles(&self) -> &Parsed<HandleData> {
        let is_64 = self.machine().is_64();
        let cell = &self.streams.handles;
        cell.get_or_init(|| {
            self.parse(id::HANDLE_DATA, "HandleDataStream", |cx| handle_data::parse(cx, is_64))
        })
    }

    /// Memory regions with protection.
    pub fn memory_info(&self) -> &Parsed<Vec<MemoryRegion>> {
        let cell = &self.streams.memory_info;
        cell.get_or_init(|| self.parse(id::MEMORY_INFO_LIST, "MemoryInfoListStream", memory_info::parse))
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
        let cell = &self.streams.unloaded;
        cell.get_or_init(|| self.parse(id::UNLOADED_MODULE_LIST, "UnloadedModuleListStream", unloaded::parse))
    }

    /// Threads as the list has them; ThreadExListStream where there is no ThreadListStream.
    pub fn thread_list(&self) -> &Parsed<Vec<RawThread>> {
        self.streams.thread_list.get_or_init(|| {
            match self.parse(id::THREAD_LIST, "ThreadListStream", thread_list::parse) {
                Parsed::Absent => self.parse(id::THREAD_EX_LIST, "ThreadExListStream", thread_list::parse_ex),
                found => found,
            }
        })
    }

    /// Thread times and start addresses.
    pub fn thread_info(&self) -> &Parsed<Vec<ThreadInfo>> {
        let cell = &self.streams.thread_info;
        cell.get_or_init(|| self.parse(id::THREAD_INFO_LIST, "ThreadInfoListStream", thread_info::parse))
    }

    /// Thread names.
    pub fn thread_names(&self) -> &Parsed<Vec<ThreadName>> {
        let cell = &self.streams.thread_names;
        cell.get_or_init(|| self.parse(id::THREAD_NAMES, "ThreadNamesStream", thread_names::parse))
    }

    /// Modules as the stream has them; [`Dump::modules`] is the list to use.
    pub fn module_list(&self) -> &Parsed<Vec<ModuleInfo>> {
        let cell = &self.streams.module_list;
        cell.get_or_init(|| self.parse(id::MODULE_LIST, "ModuleListStream", module_list::parse))
    }

    /// Captured ranges of MemoryListStream, as they are in the stream.
    pub fn memory_list(&self) -> &Parsed<Vec<RawRange>> {
        let cell = &self.streams.memory_list;
        cell.get_or_init(|| self.parse(id::MEMORY_LIST, "MemoryListStream", memory_list::parse))
    }

    /// Captured ranges of Memory64ListStream, as they are in the stream.
    pub fn memory64_list(&self) -> &Parsed<Vec<RawRange>> {
        let cell = &self.streams.memory64_list;
        cell.get_or_init(|| self.parse(id::MEMORY64_LIST, "Memory64ListStream", memory_list::parse64))
    }

    fn comment_parts(&self) -> &(Vec<String>, Vec<Warning>) {
        self.streams.comments.get_or_init(|| {
            let a = self.parse(id::COMMENT_A, "CommentStreamA", comment::parse_a);
            let w = self.parse(id::COMMENT_W, "CommentStreamW", comment::parse_w);
            let mut out = (Vec::new(), Vec::new());
            for parsed in [a, w] {
                out.1.extend_from_slice(parsed.warnings());
                out.0.extend(parsed.value().filter(|t| !t.is_empty()).cloned());
            }
            out
        })
    }

    /// Comments, ANSI then wide. Untrusted.
    pub fn comments(&self) -> &[String] {
        &self.comment_parts().0
    }

    /// Security tokens. Parsed at every call, as are the four streams below: few questions need them.
    pub fn tokens(&self) -> Parsed<Vec<Token>> {
        self.parse(id::TOKEN, "TokenStream", token::parse)
    }

    /// Handle operations that Application Verifier traced.
    pub fn handle_operations(&self) -> Parsed<Vec<HandleOperation>> {
        self.parse(id::HANDLE_OPERATION_LIST, "HandleOperationListStream", handle_ops::parse)
    }

    /// Memory of the machine.
    pub fn system_memory(&self) -> Parsed<SystemMemoryInfo> {
        self.parse(id::SYSTEM_MEMORY_INFO, "SystemMemoryInfoStream", system_memory::parse)
    }

    /// Memory counters of the process.
    pub fn vm_counters(&self) -> Parsed<VmCounters> {
        self.parse(id::PROCESS_VM_COUNTERS, "ProcessVmCountersStream", vm_counters::parse)
    }

    /// Unwind tables that the program made at run time.
    pub fn function_tables(&self) -> Parsed<FunctionTables> {
        self.parse(id::FUNCTION_TABLE, "FunctionTableStream", function_table::parse)
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
        Some(info.summarize(self.source.bytes(), entry, self.machine().is_64()))
    }

    /// True when ThreadInfoList is there.
    pub fn has_thread_info(&self) -> bool {
        self.header.find(id::THREAD_INFO_LIST).is_some()
    }

    /// How much memory it holds.
    pub fn kind(&self) -> DumpKind {
        join::kind(self)
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

    /// Everything that was wrong while opening and in the streams parsed so far.
    pub fn warnings(&self) -> Vec<Warning> {
        fn of<T>(cell: &OnceLock<Parsed<T>>) -> &[Warning] {
            cell.get().map_or(&[], Parsed::warnings)
        }
        let s = &self.streams;
        let parts: [&[Warning]; 17] = [
            &self.header.warnings,
            of(&s.system),
            of(&s.misc),
            s.exception.get().map_or(&[], |e| e.0.warnings()),
            of(&s.thread_list),
            of(&s.thread_info),
            of(&s.thread_names),
            s.threads.get().map_or(&[], |t| &t.1),
            of(&s.module_list),
            s.modules.get().map_or(&[], |m| &m.warnings),
            of(&s.unloaded),
            of(&s.memory64_list),
            of(&s.memory_list),
            s.memory.get().map_or(&[], |m| &m.1),
            of(&s.memory_info),
            of(&s.handles),
            s.comments.get().map_or(&[], |c| &c.1),
        ];
        parts.concat()
    }
}
