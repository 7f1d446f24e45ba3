//! Bits of `NtGlobalFlag` with the abbreviations that gflags and `!gflag` use.
//!
//! Source: Microsoft's "GFlags flag table".

/// (bit, abbreviation, description), by bit.
pub const FLAGS: &[(u32, &str, &str)] = &[
    (0x1, "soe", "Stop On Exception"),
    (0x2, "sls", "Show Loader Snaps"),
    (0x4, "dic", "Debug Initial Command"),
    (0x8, "shg", "Stop on Hung GUI"),
    (0x10, "htc", "Enable heap tail checking"),
    (0x20, "hfc", "Enable heap free checking"),
    (0x40, "hpc", "Enable heap parameter checking"),
    (0x80, "hvc", "Enable heap validation on call"),
    (0x100, "vrf", "Enable application verifier"),
    (0x200, "   ", "Enable silent process exit monitoring"),
    (0x400, "ptg", "Enable pool tagging"),
    (0x800, "htg", "Enable heap tagging"),
    (0x1000, "ust", "Create user mode stack trace database"),
    (0x2000, "kst", "Create kernel mode stack trace database"),
    (0x4000, "otl", "Maintain a list of objects for each type"),
    (0x8000, "htd", "Enable heap tagging by DLL"),
    (0x1_0000, "dse", "Disable stack extensions"),
    (0x2_0000, "d32", "Enable debugging of Win32 Subsystem"),
    (0x4_0000, "ksl", "Enable loading of kernel debugger symbols"),
    (0x8_0000, "dps", "Disable paging of kernel stacks"),
    (0x10_0000, "scb", "Enable system critical breaks"),
    (0x20_0000, "dhc", "Disable Heap Coalesce on Free"),
    (0x40_0000, "ece", "Enable close exception"),
    (0x80_0000, "eel", "Enable exception logging"),
    (0x100_0000, "eot", "Enable object handle type tagging"),
    (0x200_0000, "hpa", "Enable page heap"),
    (0x400_0000, "dwl", "Debug WINLOGON"),
    (0x800_0000, "ddp", "Disable kernel mode DbgPrint output"),
    (0x1000_0000, "cse", "Early critical section event creation"),
    (0x2000_0000, "   ", "Load DLLs top-down"),
    (0x4000_0000, "bhd", "Enable bad handles detection"),
    (0x8000_0000, "dpd", "Disable protected DLL verification"),
];
