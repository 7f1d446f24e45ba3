//! The thread environment block.

/// Index in `TlsSlots` of a WOW64 thread's 64-bit TEB that leads to its 32-bit context (`WOW64_CPURESERVED`).
pub const WOW64_CPU_AREA_SLOT: u64 = 1;

/// Offsets in `TEB`.
#[derive(Clone, Copy, Debug)]
pub struct TebLayout {
    /// `NtTib.ExceptionList`; in the 64-bit TEB of a WOW64 process the address of the 32-bit TEB.
    pub exception_list: u64,
    /// `NtTib.StackBase`: first address above the stack.
    pub stack_base: u64,
    /// `NtTib.StackLimit`: lowest committed address.
    pub stack_limit: u64,
    /// `NtTib.SubSystemTib`.
    pub sub_system_tib: u64,
    /// `NtTib.FiberData`.
    pub fiber_data: u64,
    /// `NtTib.ArbitraryUserPointer`.
    pub arbitrary_user_pointer: u64,
    /// `NtTib.Self`: the structure's own address.
    pub self_pointer: u64,
    /// `EnvironmentPointer`.
    pub environment_pointer: u64,
    /// `ClientId.UniqueProcess`.
    pub process_id: u64,
    /// `ClientId.UniqueThread`.
    pub thread_id: u64,
    /// `ActiveRpcHandle`.
    pub active_rpc_handle: u64,
    /// `ThreadLocalStoragePointer`.
    pub tls_pointer: u64,
    /// `ProcessEnvironmentBlock`.
    pub peb: u64,
    /// `LastErrorValue` (u32).
    pub last_error: u64,
    /// `CountOfOwnedCriticalSections` (u32).
    pub owned_critical_sections: u64,
    /// `Win32ThreadInfo`: not 0 in a thread that uses windows.
    pub win32_thread_info: u64,
    /// `WOW32Reserved`.
    pub wow32_reserved: u64,
    /// `CurrentLocale` (u32).
    pub current_locale: u64,
    /// `ActivationContextStackPointer`.
    pub activation_context_stack: u64,
    /// `RealClientId.UniqueProcess`; the thread follows.
    pub real_process_id: u64,
    /// `LastStatusValue` (u32).
    pub last_status: u64,
    /// `DeallocationStack`: lowest reserved address of the stack.
    pub deallocation_stack: u64,
    /// `TlsSlots`, 64 pointers.
    pub tls_slots: u64,
    /// `ReservedForNtRpc` (an encoded pointer).
    pub reserved_for_nt_rpc: u64,
    /// `HardErrorMode` (u32).
    pub hard_error_mode: u64,
    /// `SubProcessTag`: a service's tag.
    pub sub_process_tag: u64,
    /// `GdiBatchCount`; in the 32-bit TEB of a WOW64 process the 64-bit TEB's address.
    pub gdi_batch_count: u64,
    /// `GuaranteedStackBytes` (u32).
    pub guaranteed_stack_bytes: u64,
    /// `ReservedForOle`: COM's data of the thread.
    pub reserved_for_ole: u64,
    /// `WaitingOnLoaderLock` (u32): 1 while it waits for the loader lock.
    pub waiting_on_loader_lock: u64,
    /// `ThreadPoolData`.
    pub thread_pool_data: u64,
    /// `TlsExpansionSlots`.
    pub tls_expansion_slots: u64,
    /// `FlsData`.
    pub fls_data: u64,
    /// `CrossTebFlags` (u16).
    pub cross_teb_flags: u64,
    /// `SameTebFlags` (u16).
    pub same_teb_flags: u64,
    /// `LockCount` (u32).
    pub lock_count: u64,
    /// `WowTebOffset` (i32), Windows 10 and later: distance to the other TEB of a WOW64 thread.
    pub wow_teb_offset: u64,
}

/// 32-bit `TEB`.
pub const TEB32: TebLayout = TebLayout {
    exception_list: 0x0,
    stack_base: 0x4,
    stack_limit: 0x8,
    sub_system_tib: 0xc,
    fiber_data: 0x10,
    arbitrary_user_pointer: 0x14,
    self_pointer: 0x18,
    environment_pointer: 0x1c,
    process_id: 0x20,
    thread_id: 0x24,
    active_rpc_handle: 0x28,
    tls_pointer: 0x2c,
    peb: 0x30,
    last_error: 0x34,
    owned_critical_sections: 0x38,
    win32_thread_info: 0x40,
    wow32_reserved: 0xc0,
    current_locale: 0xc4,
    activation_context_stack: 0x1a8,
    real_process_id: 0x6b4,
    last_status: 0xbf4,
    deallocation_stack: 0xe0c,
    tls_slots: 0xe10,
    reserved_for_nt_rpc: 0xf1c,
    hard_error_mode: 0xf28,
    sub_process_tag: 0xf60,
    gdi_batch_count: 0xf70,
    guaranteed_stack_bytes: 0xf78,
    reserved_for_ole: 0xf80,
    waiting_on_loader_lock: 0xf84,
    thread_pool_data: 0xf90,
    tls_expansion_slots: 0xf94,
    fls_data: 0xfb4,
    cross_teb_flags: 0xfc8,
    same_teb_flags: 0xfca,
    lock_count: 0xfd8,
    wow_teb_offset: 0xfdc,
};

/// 64-bit `TEB`.
pub const TEB64: TebLayout = TebLayout {
    exception_list: 0x0,
    stack_base: 0x8,
    stack_limit: 0x10,
    sub_system_tib: 0x18,
    fiber_data: 0x20,
    arbitrary_user_pointer: 0x28,
    self_pointer: 0x30,
    environment_pointer: 0x38,
    process_id: 0x40,
    thread_id: 0x48,
    active_rpc_handle: 0x50,
    tls_pointer: 0x58,
    peb: 0x60,
    last_error: 0x68,
    owned_critical_sections: 0x6c,
    win32_thread_info: 0x78,
    wow32_reserved: 0x100,
    current_locale: 0x108,
    activation_context_stack: 0x2c8,
    real_process_id: 0x7d8,
    last_status: 0x1250,
    deallocation_stack: 0x1478,
    tls_slots: 0x1480,
    reserved_for_nt_rpc: 0x1698,
    hard_error_mode: 0x16b0,
    sub_process_tag: 0x1720,
    gdi_batch_count: 0x1740,
    guaranteed_stack_bytes: 0x1748,
    reserved_for_ole: 0x1758,
    waiting_on_loader_lock: 0x1760,
    thread_pool_data: 0x1778,
    tls_expansion_slots: 0x1780,
    fls_data: 0x17c8,
    cross_teb_flags: 0x17ec,
    same_teb_flags: 0x17ee,
    lock_count: 0x1808,
    wow_teb_offset: 0x180c,
};

impl TebLayout {
    /// The table for pointers of 8 bytes (`true`) or 4.
    #[must_use]
    pub const fn of(is_64: bool) -> &'static TebLayout {
        if is_64 { &TEB64 } else { &TEB32 }
    }
}
