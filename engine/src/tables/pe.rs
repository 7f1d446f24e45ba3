//! Names in PE headers and version resources.
//!
//! Source: winnt.h ("PE Format" in Microsoft's documentation) and verrsrc.h.

/// Short name of a PE machine: `X64`.
#[must_use]
pub fn machine_name(machine: u16) -> &'static str {
    match machine {
        0x14c => "I386",
        0x1c0 => "ARM",
        0x1c4 => "ARMNT",
        0x200 => "IA64",
        0x8664 => "X64",
        0xaa64 => "ARM64",
        0xa641 => "ARM64EC",
        _ => "unknown",
    }
}

/// Subsystem names as `!dh` writes them.
#[must_use]
pub fn subsystem_name(subsystem: u16) -> &'static str {
    match subsystem {
        0 => "Unknown",
        1 => "Native",
        2 => "Windows GUI",
        3 => "Windows CUI",
        5 => "OS/2 CUI",
        7 => "Posix CUI",
        9 => "Windows CE GUI",
        10 => "EFI application",
        11 => "EFI boot service driver",
        12 => "EFI runtime driver",
        13 => "EFI ROM",
        14 => "Xbox",
        16 => "Windows boot application",
        _ => "unknown subsystem",
    }
}

/// Bits of `FileHeader.Characteristics`.
pub const CHARACTERISTICS: &[(u16, &str)] = &[
    (0x1, "Relocations stripped"),
    (0x2, "Executable"),
    (0x4, "Line numbers stripped"),
    (0x8, "Symbols stripped"),
    (0x10, "Aggressive working set trim"),
    (0x20, "App can handle >2gb addresses"),
    (0x80, "Bytes reversed"),
    (0x100, "32 bit word machine"),
    (0x200, "Debug information stripped"),
    (0x400, "Run from swap if removable"),
    (0x800, "Run from swap if on the network"),
    (0x1000, "System"),
    (0x2000, "DLL"),
    (0x4000, "Uniprocessor only"),
    (0x8000, "Bytes reversed"),
];

/// Bits of `OptionalHeader.DllCharacteristics`.
pub const DLL_CHARACTERISTICS: &[(u16, &str)] = &[
    (0x20, "High entropy VA supported"),
    (0x40, "Dynamic base"),
    (0x80, "Force integrity check"),
    (0x100, "NX compatible"),
    (0x200, "No isolation"),
    (0x400, "No structured exception handler"),
    (0x800, "Do not bind"),
    (0x1000, "AppContainer"),
    (0x2000, "WDM driver"),
    (0x4000, "Guard"),
    (0x8000, "Terminal server aware"),
];

/// Bits of a section's characteristics.
pub const SECTION_FLAGS: &[(u32, &str)] = &[
    (0x20, "Code"),
    (0x40, "Initialized Data"),
    (0x80, "Uninitialized Data"),
    (0x200_0000, "Discardable"),
    (0x400_0000, "Not Cached"),
    (0x800_0000, "Not Paged"),
    (0x1000_0000, "Shared"),
    (0x2000_0000, "Execute"),
    (0x4000_0000, "Read"),
    (0x8000_0000, "Write"),
];

/// Names of the data directories as `!dh` writes them.
pub const DIRECTORIES: [&str; 16] = [
    "Export Directory",
    "Import Directory",
    "Resource Directory",
    "Exception Directory",
    "Security Directory",
    "Base Relocation Directory",
    "Debug Directory",
    "Description Directory",
    "Special Directory",
    "Thread Storage Directory",
    "Load Configuration Directory",
    "Bound Import Directory",
    "Import Address Table Directory",
    "Delay Import Directory",
    "COR20 Header Directory",
    "Reserved Directory",
];

/// Debug directory types as `!dh` and `!lmi` write them.
#[must_use]
pub fn debug_type_name(debug_type: u32) -> &'static str {
    match debug_type {
        1 => "coff",
        2 => "cv",
        3 => "fpo",
        4 => "misc",
        5 => "exception",
        6 => "fixup",
        7 => "omap to",
        8 => "omap from",
        9 => "borland",
        11 => "clsid",
        12 => "vc feature",
        13 => "coff group",
        14 => "iltcg",
        15 => "mpx",
        16 => "repro",
        17 => "embedded pdb",
        19 => "pdb checksum",
        20 => "dll characteristics",
        _ => "unknown",
    }
}

/// `VS_FIXEDFILEINFO.dwFileOS`: `NT Win32`.
#[must_use]
pub fn file_os_name(os: u32) -> &'static str {
    match os {
        0x1_0000 => "DOS",
        0x1_0001 => "DOS Win16",
        0x1_0004 => "DOS Win32",
        0x2_0000 => "OS/2 16-bit",
        0x3_0000 => "OS/2 32-bit",
        0x4_0000 => "NT Base",
        0x4_0004 => "NT Win32",
        0x5_0000 => "Win CE",
        0x1 => "Win16",
        0x4 => "Win32",
        _ => "Unknown Base",
    }
}

/// `VS_FIXEDFILEINFO.dwFileType`: `Dll`.
#[must_use]
pub fn file_type_name(file_type: u32) -> &'static str {
    match file_type {
        1 => "App",
        2 => "Dll",
        3 => "Driver",
        4 => "Font",
        5 => "VxD",
        7 => "Static library",
        _ => "Unknown",
    }
}
