//! Stream type numbers (`MINIDUMP_STREAM_TYPE`).

/// ThreadListStream.
pub const THREAD_LIST: u32 = 3;
/// ModuleListStream.
pub const MODULE_LIST: u32 = 4;
/// MemoryListStream.
pub const MEMORY_LIST: u32 = 5;
/// ExceptionStream.
pub const EXCEPTION: u32 = 6;
/// SystemInfoStream.
pub const SYSTEM_INFO: u32 = 7;
/// ThreadExListStream.
pub const THREAD_EX_LIST: u32 = 8;
/// Memory64ListStream.
pub const MEMORY64_LIST: u32 = 9;
/// CommentStreamA.
pub const COMMENT_A: u32 = 10;
/// CommentStreamW.
pub const COMMENT_W: u32 = 11;
/// HandleDataStream.
pub const HANDLE_DATA: u32 = 12;
/// FunctionTableStream.
pub const FUNCTION_TABLE: u32 = 13;
/// UnloadedModuleListStream.
pub const UNLOADED_MODULE_LIST: u32 = 14;
/// MiscInfoStream.
pub const MISC_INFO: u32 = 15;
/// MemoryInfoListStream.
pub const MEMORY_INFO_LIST: u32 = 16;
/// ThreadInfoListStream.
pub const THREAD_INFO_LIST: u32 = 17;
/// HandleOperationListStream.
pub const HANDLE_OPERATION_LIST: u32 = 18;
/// TokenStream.
pub const TOKEN: u32 = 19;
/// JavaScriptDataStream.
pub const JAVA_SCRIPT_DATA: u32 = 20;
/// AssertionInfoStream (Breakpad).
pub const ASSERTION_INFO: u32 = 0x4767_0002;
/// LinuxProcStatus (Breakpad).
pub const LINUX_PROC_STATUS: u32 = 0x4767_0004;
/// LinuxLsbRelease (Breakpad).
pub const LINUX_LSB_RELEASE: u32 = 0x4767_0005;
/// LinuxCmdLine (Breakpad).
pub const LINUX_CMD_LINE: u32 = 0x4767_0006;
/// CrashpadInfoStream.
pub const CRASHPAD_INFO: u32 = 0x4350_0001;
/// SystemMemoryInfoStream.
pub const SYSTEM_MEMORY_INFO: u32 = 21;
/// ProcessVmCountersStream.
pub const PROCESS_VM_COUNTERS: u32 = 22;
/// IptTraceStream.
pub const IPT_TRACE: u32 = 23;
/// ThreadNamesStream.
pub const THREAD_NAMES: u32 = 24;
