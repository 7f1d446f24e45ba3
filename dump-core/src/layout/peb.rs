//! The process environment block and the process parameters.

/// Offsets in `PEB`.
#[derive(Clone, Copy, Debug)]
pub struct PebLayout {
    /// `BeingDebugged` (u8).
    pub being_debugged: u64,
    /// `BitField` (u8).
    pub bit_field: u64,
    /// `ImageBaseAddress`.
    pub image_base: u64,
    /// `Ldr`.
    pub ldr: u64,
    /// `ProcessParameters`.
    pub process_parameters: u64,
    /// `SubSystemData`.
    pub sub_system_data: u64,
    /// `ProcessHeap`.
    pub process_heap: u64,
    /// `FastPebLock`.
    pub fast_peb_lock: u64,
    /// `CrossProcessFlags` (u32).
    pub cross_process_flags: u64,
    /// `ApiSetMap`.
    pub api_set_map: u64,
    /// `NumberOfProcessors` (u32).
    pub number_of_processors: u64,
    /// `NtGlobalFlag` (u32).
    pub nt_global_flag: u64,
    /// `CriticalSectionTimeout` (i64, 100 ns).
    pub critical_section_timeout: u64,
    /// `NumberOfHeaps` (u32).
    pub number_of_heaps: u64,
    /// `ProcessHeaps`: address of an array of heap addresses.
    pub process_heaps: u64,
    /// `LoaderLock`.
    pub loader_lock: u64,
    /// `OSMajorVersion` (u32); the program's header can fake it.
    pub os_major: u64,
    /// `OSMinorVersion` (u32).
    pub os_minor: u64,
    /// `OSBuildNumber` (u16).
    pub os_build: u64,
    /// `SessionId` (u32).
    pub session_id: u64,
    /// `CSDVersion`, a `UNICODE_STRING`.
    pub csd_version: u64,
    /// `TlsBitmap`.
    pub tls_bitmap: u64,
    /// `WaitOnAddressHashTable`, 128 pointers, from build 10586 on.
    pub wait_on_address_table: u64,
    /// `NtGlobalFlag2` (u32), from build 17763 on.
    pub nt_global_flag2: u64,
}

/// 32-bit `PEB`.
pub const PEB32: PebLayout = PebLayout {
    being_debugged: 0x2,
    bit_field: 0x3,
    image_base: 0x8,
    ldr: 0xc,
    process_parameters: 0x10,
    sub_system_data: 0x14,
    process_heap: 0x18,
    fast_peb_lock: 0x1c,
    cross_process_flags: 0x28,
    api_set_map: 0x38,
    number_of_processors: 0x64,
    nt_global_flag: 0x68,
    critical_section_timeout: 0x70,
    number_of_heaps: 0x88,
    process_heaps: 0x90,
    loader_lock: 0xa0,
    os_major: 0xa4,
    os_minor: 0xa8,
    os_build: 0xac,
    session_id: 0x1d4,
    csd_version: 0x1f0,
    tls_bitmap: 0x40,
    wait_on_address_table: 0x25c,
    nt_global_flag2: 0x478,
};

/// 64-bit `PEB`.
pub const PEB64: PebLayout = PebLayout {
    being_debugged: 0x2,
    bit_field: 0x3,
    image_base: 0x10,
    ldr: 0x18,
    process_parameters: 0x20,
    sub_system_data: 0x28,
    process_heap: 0x30,
    fast_peb_lock: 0x38,
    cross_process_flags: 0x50,
    api_set_map: 0x68,
    number_of_processors: 0xb8,
    nt_global_flag: 0xbc,
    critical_section_timeout: 0xc0,
    number_of_heaps: 0xe8,
    process_heaps: 0xf0,
    loader_lock: 0x110,
    os_major: 0x118,
    os_minor: 0x11c,
    os_build: 0x120,
    session_id: 0x2c0,
    csd_version: 0x2e8,
    tls_bitmap: 0x78,
    wait_on_address_table: 0x3a0,
    nt_global_flag2: 0x7c4,
};

impl PebLayout {
    /// The table for pointers of 8 bytes (`true`) or 4.
    #[must_use]
    pub const fn of(is_64: bool) -> &'static PebLayout {
        if is_64 { &PEB64 } else { &PEB32 }
    }
}

/// Offsets in `RTL_USER_PROCESS_PARAMETERS`.
#[derive(Clone, Copy, Debug)]
pub struct ParametersLayout {
    /// `MaximumLength` (u32).
    pub maximum_length: u64,
    /// `Length` (u32).
    pub length: u64,
    /// `Flags` (u32); bit 0: the strings are pointers, else offsets in the block.
    pub flags: u64,
    /// `ConsoleHandle`.
    pub console_handle: u64,
    /// `StandardInput`.
    pub standard_input: u64,
    /// `StandardOutput`.
    pub standard_output: u64,
    /// `StandardError`.
    pub standard_error: u64,
    /// `CurrentDirectory.DosPath`, a `UNICODE_STRING`.
    pub current_directory: u64,
    /// `DllPath`, a `UNICODE_STRING`.
    pub dll_path: u64,
    /// `ImagePathName`, a `UNICODE_STRING`.
    pub image_path: u64,
    /// `CommandLine`, a `UNICODE_STRING`.
    pub command_line: u64,
    /// `Environment`.
    pub environment: u64,
    /// `WindowTitle`, a `UNICODE_STRING`.
    pub window_title: u64,
    /// `DesktopInfo`, a `UNICODE_STRING`.
    pub desktop_info: u64,
    /// `EnvironmentSize` in bytes (a pointer-sized word), Windows Vista and later.
    pub environment_size: u64,
}

/// 32-bit `RTL_USER_PROCESS_PARAMETERS`.
pub const PARAMETERS32: ParametersLayout = ParametersLayout {
    maximum_length: 0x0,
    length: 0x4,
    flags: 0x8,
    console_handle: 0x10,
    standard_input: 0x18,
    standard_output: 0x1c,
    standard_error: 0x20,
    current_directory: 0x24,
    dll_path: 0x30,
    image_path: 0x38,
    command_line: 0x40,
    environment: 0x48,
    window_title: 0x70,
    desktop_info: 0x78,
    environment_size: 0x290,
};

/// 64-bit `RTL_USER_PROCESS_PARAMETERS`.
pub const PARAMETERS64: ParametersLayout = ParametersLayout {
    maximum_length: 0x0,
    length: 0x4,
    flags: 0x8,
    console_handle: 0x10,
    standard_input: 0x20,
    standard_output: 0x28,
    standard_error: 0x30,
    current_directory: 0x38,
    dll_path: 0x50,
    image_path: 0x60,
    command_line: 0x70,
    environment: 0x80,
    window_title: 0xb0,
    desktop_info: 0xc0,
    environment_size: 0x3f0,
};

impl ParametersLayout {
    /// The table for pointers of 8 bytes (`true`) or 4.
    #[must_use]
    pub const fn of(is_64: bool) -> &'static ParametersLayout {
        if is_64 { &PARAMETERS64 } else { &PARAMETERS32 }
    }
}
