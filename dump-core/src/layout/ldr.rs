//! The loader's lists.

/// Offsets in `PEB_LDR_DATA`.
#[derive(Clone, Copy, Debug)]
pub struct LdrDataLayout {
    /// `Initialized` (u8).
    pub initialized: u64,
    /// Head of the list in load order.
    pub in_load_order: u64,
    /// Head of the list in memory order.
    pub in_memory_order: u64,
    /// Head of the list in initialization order.
    pub in_init_order: u64,
    /// `EntryInProgress`.
    pub entry_in_progress: u64,
    /// `ShutdownInProgress` (u8).
    pub shutdown_in_progress: u64,
    /// `ShutdownThreadId`: who called ExitProcess.
    pub shutdown_thread_id: u64,
}

/// 32-bit `PEB_LDR_DATA`.
pub const LDR_DATA32: LdrDataLayout = LdrDataLayout {
    initialized: 0x4,
    in_load_order: 0xc,
    in_memory_order: 0x14,
    in_init_order: 0x1c,
    entry_in_progress: 0x24,
    shutdown_in_progress: 0x28,
    shutdown_thread_id: 0x2c,
};

/// 64-bit `PEB_LDR_DATA`.
pub const LDR_DATA64: LdrDataLayout = LdrDataLayout {
    initialized: 0x4,
    in_load_order: 0x10,
    in_memory_order: 0x20,
    in_init_order: 0x30,
    entry_in_progress: 0x40,
    shutdown_in_progress: 0x48,
    shutdown_thread_id: 0x50,
};

impl LdrDataLayout {
    /// The table for pointers of 8 bytes (`true`) or 4.
    #[must_use]
    pub const fn of(is_64: bool) -> &'static LdrDataLayout {
        if is_64 { &LDR_DATA64 } else { &LDR_DATA32 }
    }
}

/// Offsets in `LDR_DATA_TABLE_ENTRY`.
#[derive(Clone, Copy, Debug)]
pub struct LdrEntryLayout {
    /// Links of the list in load order.
    pub load_links: u64,
    /// Links of the list in memory order.
    pub memory_links: u64,
    /// Links of the list in initialization order.
    pub init_links: u64,
    /// `DllBase`.
    pub dll_base: u64,
    /// `EntryPoint`.
    pub entry_point: u64,
    /// `SizeOfImage` (u32).
    pub size_of_image: u64,
    /// `FullDllName`, a `UNICODE_STRING`.
    pub full_name: u64,
    /// `BaseDllName`, a `UNICODE_STRING`.
    pub base_name: u64,
    /// `Flags` (u32).
    pub flags: u64,
    /// `LoadCount` (u16), a real count up to Windows 7 (0xFFFF: pinned).
    pub load_count: u64,
    /// `TlsIndex` (u16).
    pub tls_index: u64,
    /// `TimeDateStamp` (u32).
    pub timestamp: u64,
    /// `DdagNode`, Windows 8 and later: `LDR_DDAG_NODE`.
    pub ddag_node: u64,
    /// `LoadReason` (i32), Windows 8 and later.
    pub load_reason: u64,
    /// `ReferenceCount` (u32), Windows 10 and later.
    pub reference_count: u64,
}

/// 32-bit `LDR_DATA_TABLE_ENTRY`.
pub const LDR_ENTRY32: LdrEntryLayout = LdrEntryLayout {
    load_links: 0x0,
    memory_links: 0x8,
    init_links: 0x10,
    dll_base: 0x18,
    entry_point: 0x1c,
    size_of_image: 0x20,
    full_name: 0x24,
    base_name: 0x2c,
    flags: 0x34,
    load_count: 0x38,
    tls_index: 0x3a,
    timestamp: 0x44,
    ddag_node: 0x50,
    load_reason: 0x94,
    reference_count: 0x9c,
};

/// 64-bit `LDR_DATA_TABLE_ENTRY`.
pub const LDR_ENTRY64: LdrEntryLayout = LdrEntryLayout {
    load_links: 0x0,
    memory_links: 0x10,
    init_links: 0x20,
    dll_base: 0x30,
    entry_point: 0x38,
    size_of_image: 0x40,
    full_name: 0x48,
    base_name: 0x58,
    flags: 0x68,
    load_count: 0x6c,
    tls_index: 0x6e,
    timestamp: 0x80,
    ddag_node: 0x98,
    load_reason: 0x10c,
    reference_count: 0x114,
};

impl LdrEntryLayout {
    /// The table for pointers of 8 bytes (`true`) or 4.
    #[must_use]
    pub const fn of(is_64: bool) -> &'static LdrEntryLayout {
        if is_64 { &LDR_ENTRY64 } else { &LDR_ENTRY32 }
    }
}

/// Offset of `LoadCount` (u32) and of `State` (i32) in the 32-bit `LDR_DDAG_NODE`, Windows 8 and later.
pub const DDAG32: (u64, u64) = (0xc, 0x20);
/// The same in the 64-bit `LDR_DDAG_NODE`.
pub const DDAG64: (u64, u64) = (0x18, 0x38);
