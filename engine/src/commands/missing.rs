//! What to say when a dump lacks what a command needs: which capture option would have included it.

use crate::command::CommandError;

/// Thread times and start addresses.
pub(crate) const THREAD_TIMES: &str = "The dump has no thread information. `procdump -ma`, `.dump /ma` or `.dump /mt` includes it \
     (MiniDumpWithThreadInfo).";
/// Handles.
pub(crate) const HANDLES: &str =
    "The dump has no handle data. `procdump -ma` or `.dump /ma` includes it (MiniDumpWithHandleData).";
/// Memory regions.
pub(crate) const MEMORY_INFO: &str = "The dump has no memory information. `procdump -ma` or `.dump /ma` includes it (MiniDumpWithFullMemoryInfo).";
/// PEB, TEB and process parameters.
pub(crate) const PROCESS_DATA: &str = "This memory is not in the dump. `procdump -ma` or `.dump /ma` includes all memory (MiniDumpWithFullMemory), \
     MiniDumpWithProcessThreadData the PEB and the TEBs.";
/// Any memory.
pub(crate) const MEMORY: &str = "This memory is not in the dump. `procdump -ma` or `.dump /ma` includes all memory (MiniDumpWithFullMemory).";
/// An exception.
pub(crate) const EXCEPTION: &str = "The dump holds no exception: it was written on request. `procdump -e` writes a dump at an unhandled exception \
     (MiniDumpWriteDump: pass ExceptionParam).";
/// Process id and times.
pub(crate) const MISC_INFO: &str =
    "The dump has no MiscInfo stream (process id and times): its writer left it out.";
/// Modules.
pub(crate) const MODULES: &str =
    "The dump has no module list: its writer left it out, or the file is cut off.";

/// WinDbg's two lines for a thread without a TEB or a process without a PEB, and what to do.
pub(crate) fn process_data(text: impl Into<String>) -> CommandError {
    CommandError::noted(text, PROCESS_DATA)
}
