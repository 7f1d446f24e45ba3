//! An open dump.

use super::{ProcessParameters, Thread};
use crate::base::{Machine, ModuleInfo, Pid, ThreadIdx, Tid, Va};
use crate::context::Context;
use crate::error::{OpenError, Parsed, Warning};
use crate::memory::MemoryView;
use crate::stream::DirectoryEntry;
use crate::stream::exception::ExceptionStream;
use crate::stream::handle_data::HandleData;
use crate::stream::memory_info::MemoryRegion;
use crate::stream::misc_info::MiscInfo;
use crate::stream::system_info::SystemInfo;
use crate::stream::unloaded::UnloadedModule;
use std::path::Path;
use std::sync::Arc;

/// How much memory a dump holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DumpKind {
    /// Has a Memory64List: every committed page.
    Full,
    /// More than stacks: heap, data segments or module memory.
    Partial,
    /// Stacks only.
    Mini,
}

/// An open dump: mapped, parsed on demand, immutable, shareable between threads.
#[derive(Debug)]
pub struct Dump {
    memory: Arc<MemoryView>,
}

impl Dump {
    /// Opens a dump file; `.gz` and `.zst` files are unpacked to a temporary file first.
    ///
    /// # Errors
    /// The file cannot be read or unpacked, is no minidump, or its header or directory is cut off.
    pub fn open(path: &Path) -> Result<Dump, OpenError> {
        let _ = path;
        Err(OpenError::NotAMinidump("not written yet".into()))
    }

    /// As [`Dump::open`]; `progress` gets (bytes written, bytes of the packed file read, packed file's size)
    /// while a packed dump is unpacked and returns false to stop.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn open_with(
        path: &Path,
        progress: &mut dyn FnMut(u64, u64, u64) -> bool,
    ) -> Result<Dump, OpenError> {
        let _ = progress;
        Dump::open(path)
    }

    /// Opens a dump that lies in memory.
    ///
    /// # Errors
    /// As [`Dump::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Dump, OpenError> {
        let _ = bytes;
        Err(OpenError::NotAMinidump("not written yet".into()))
    }

    /// Size of the (unpacked) dump, bytes.
    pub fn file_size(&self) -> u64 {
        0
    }

    /// `TimeDateStamp` of the header: when the dump was written, seconds since 1970 UTC.
    pub fn time(&self) -> u32 {
        0
    }

    /// `Flags` of the header: `MINIDUMP_TYPE` bits.
    pub fn flags(&self) -> u64 {
        0
    }

    /// `Version` of the header (low word 0xA793).
    pub fn version(&self) -> u32 {
        0
    }

    /// How much memory it holds.
    pub fn kind(&self) -> DumpKind {
        DumpKind::Mini
    }

    /// The stream directory, as it is in the file.
    pub fn directory(&self) -> &[DirectoryEntry] {
        &[]
    }

    /// Everything that was wrong while opening and in the streams parsed so far by the model.
    pub fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }

    /// Operating system and processor.
    pub fn system(&self) -> &Parsed<SystemInfo> {
        &Parsed::Absent
    }

    /// Process times, time zone, build text.
    pub fn misc(&self) -> &Parsed<MiscInfo> {
        &Parsed::Absent
    }

    /// The exception of interest.
    pub fn exception(&self) -> &Parsed<ExceptionStream> {
        &Parsed::Absent
    }

    /// Open handles.
    pub fn handles(&self) -> &Parsed<HandleData> {
        &Parsed::Absent
    }

    /// Memory regions with protection.
    pub fn memory_info(&self) -> &Parsed<Vec<MemoryRegion>> {
        &Parsed::Absent
    }

    /// Unloaded modules.
    pub fn unloaded(&self) -> &Parsed<Vec<UnloadedModule>> {
        &Parsed::Absent
    }

    /// Comments, ANSI then wide. Untrusted.
    pub fn comments(&self) -> &[String] {
        &[]
    }

    /// True when ThreadInfoList is there.
    pub fn has_thread_info(&self) -> bool {
        false
    }

    /// Threads, in the dump's order.
    pub fn threads(&self) -> &[Thread] {
        &[]
    }

    /// The thread with a system id.
    pub fn thread_by_tid(&self, tid: Tid) -> Option<&Thread> {
        self.threads().iter().find(|t| t.tid == tid)
    }

    /// All modules in the dump's order; a WOW64 process's 32-bit ones too (also those that only the 32-bit
    /// loader list names).
    pub fn modules(&self) -> &[ModuleInfo] {
        &[]
    }

    /// The module that holds `va`.
    pub fn module_at(&self, va: Va) -> Option<&ModuleInfo> {
        self.modules().iter().find(|m| m.contains(va))
    }

    /// Memory of the process.
    pub fn memory(&self) -> &Arc<MemoryView> {
        &self.memory
    }

    /// Architecture of the contexts in the thread list.
    pub fn machine(&self) -> Machine {
        self.system().value().map_or(Machine::Other(0xffff), |s| s.machine)
    }

    /// True when a 64-bit dump holds a 32-bit process.
    pub fn is_wow64(&self) -> bool {
        false
    }

    /// Process id, from MiscInfo, else from a readable TEB.
    pub fn pid(&self) -> Option<Pid> {
        None
    }

    /// A thread's native context.
    pub fn context(&self, thread: ThreadIdx) -> Option<Context> {
        let _ = thread;
        None
    }

    /// The 32-bit context of a WOW64 thread, read through its 64-bit TEB.
    pub fn wow64_context(&self, thread: ThreadIdx) -> Option<Context> {
        let _ = thread;
        None
    }

    /// The context of the exception stream.
    pub fn exception_context(&self) -> Option<Context> {
        None
    }

    /// Address of a thread's TEB in the view of `machine` (TEB32 for [`Machine::X86`] in a WOW64 process).
    pub fn teb(&self, thread: ThreadIdx, machine: Machine) -> Option<Va> {
        let _ = (thread, machine);
        None
    }

    /// Address of the PEB in the view of `machine`.
    pub fn peb(&self, machine: Machine) -> Option<Va> {
        let _ = machine;
        None
    }

    /// Process parameters in the view of `machine`.
    pub fn parameters(&self, machine: Machine) -> Option<ProcessParameters> {
        let _ = machine;
        None
    }
}
