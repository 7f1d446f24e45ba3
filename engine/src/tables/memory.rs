//! Names of memory states, types and protections.

/// `MEM_COMMIT`, `MEM_RESERVE`, `MEM_FREE`, or empty.
#[must_use]
pub fn state_name(state: u32) -> &'static str {
    match state {
        0x1000 => "MEM_COMMIT",
        0x2000 => "MEM_RESERVE",
        0x1_0000 => "MEM_FREE",
        _ => "",
    }
}

/// `MEM_PRIVATE`, `MEM_MAPPED`, `MEM_IMAGE`, or empty.
#[must_use]
pub fn type_name(kind: u32) -> &'static str {
    match kind {
        0x2_0000 => "MEM_PRIVATE",
        0x4_0000 => "MEM_MAPPED",
        0x100_0000 => "MEM_IMAGE",
        _ => "",
    }
}

/// `PAGE_READWRITE | PAGE_GUARD`; empty for 0.
#[must_use]
pub fn protect_name(protect: u32) -> String {
    let parts: Vec<&str> = PROTECT.iter().filter(|(bit, _)| protect & bit != 0).map(|&(_, n)| n).collect();
    parts.join(" | ")
}

/// Protection bits by value.
pub const PROTECT: &[(u32, &str)] = &[
    (0x1, "PAGE_NOACCESS"),
    (0x2, "PAGE_READONLY"),
    (0x4, "PAGE_READWRITE"),
    (0x8, "PAGE_WRITECOPY"),
    (0x10, "PAGE_EXECUTE"),
    (0x20, "PAGE_EXECUTE_READ"),
    (0x40, "PAGE_EXECUTE_READWRITE"),
    (0x80, "PAGE_EXECUTE_WRITECOPY"),
    (0x100, "PAGE_GUARD"),
    (0x200, "PAGE_NOCACHE"),
    (0x400, "PAGE_WRITECOMBINE"),
    (0x4000_0000, "PAGE_TARGETS_INVALID"),
];
