//! A thread environment block, decoded.

use crate::base::{Machine, ReadMemory, Va};
use crate::layout::TebLayout;

/// `SameTebFlags`: the process's first thread.
pub const SAME_TEB_INITIAL_THREAD: u16 = 0x400;
/// `SameTebFlags`, Windows 10 and later: the thread owns the loader (it is loading or unloading DLLs).
pub const SAME_TEB_LOAD_OWNER: u16 = 0x1000;
/// `SameTebFlags`, Windows 10 and later: a worker thread of the loader.
pub const SAME_TEB_LOADER_WORKER: u16 = 0x2000;

/// Fields of a `TEB`. `None` means that the dump does not have the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teb {
    /// Its address.
    pub address: Va,
    /// Whose layout it has: [`Machine::X86`] for a 32-bit TEB.
    pub machine: Machine,
    /// `NtTib.ExceptionList`.
    pub exception_list: Option<Va>,
    /// First address above the stack.
    pub stack_base: Option<Va>,
    /// Lowest committed address of the stack.
    pub stack_limit: Option<Va>,
    /// `NtTib.SubSystemTib`.
    pub sub_system_tib: Option<Va>,
    /// `NtTib.FiberData`.
    pub fiber_data: Option<Va>,
    /// `NtTib.ArbitraryUserPointer`.
    pub arbitrary_user_pointer: Option<Va>,
    /// `NtTib.Self`; see [`Teb::is_valid`].
    pub self_pointer: Option<Va>,
    /// `EnvironmentPointer`.
    pub environment_pointer: Option<Va>,
    /// `ClientId.UniqueProcess`.
    pub process_id: Option<u64>,
    /// `ClientId.UniqueThread`.
    pub thread_id: Option<u64>,
    /// `ActiveRpcHandle`.
    pub active_rpc_handle: Option<Va>,
    /// `ThreadLocalStoragePointer`.
    pub tls_pointer: Option<Va>,
    /// `ProcessEnvironmentBlock`.
    pub peb: Option<Va>,
    /// `LastErrorValue`: a Win32 error code.
    pub last_error: Option<u32>,
    /// `LastStatusValue`: an NTSTATUS.
    pub last_status: Option<u32>,
    /// `CountOfOwnedCriticalSections`; not kept up by recent systems.
    pub owned_critical_sections: Option<u32>,
    /// `HardErrorMode`.
    pub hard_error_mode: Option<u32>,
    /// `Win32ThreadInfo`: not 0 in a thread that uses windows.
    pub win32_thread_info: Option<Va>,
    /// `CurrentLocale`.
    pub current_locale: Option<u32>,
    /// `DeallocationStack`: lowest reserved address of the stack.
    pub deallocation_stack: Option<Va>,
    /// `SubProcessTag`: the service that the thread works for.
    pub sub_process_tag: Option<Va>,
    /// `GuaranteedStackBytes`.
    pub guaranteed_stack_bytes: Option<u32>,
    /// `ReservedForOle`: COM's data of the thread, 0 when it never used COM.
    pub reserved_for_ole: Option<Va>,
    /// `WaitingOnLoaderLock`: 1 while it waits for the loader lock.
    pub waiting_on_loader_lock: Option<u32>,
    /// `ThreadPoolData`: not 0 in a thread-pool worker.
    pub thread_pool_data: Option<Va>,
    /// `CrossTebFlags`.
    pub cross_teb_flags: Option<u16>,
    /// `SameTebFlags`: see the `SAME_TEB_*` constants.
    pub same_teb_flags: Option<u16>,
    /// `LockCount`.
    pub lock_count: Option<u32>,
    /// `WowTebOffset` as stored (Windows 10 and later; 0 before and outside WOW64).
    pub wow_teb_offset: Option<i32>,
    /// Address of `TlsSlots` (64 pointers).
    pub tls_slots: Va,
    /// `TlsExpansionSlots`.
    pub tls_expansion_slots: Option<Va>,
    /// `FlsData`.
    pub fls_data: Option<Va>,
}

impl Teb {
    /// Reads the TEB at `address`, laid out for `machine`.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine) -> Teb {
        let l = TebLayout::of(machine.is_64());
        let ptr = |at: u64| memory.ptr(address.offset(at), machine);
        let word = |at: u64| memory.u32(address.offset(at));
        Teb {
            address,
            machine,
            exception_list: ptr(l.exception_list),
            stack_base: ptr(l.stack_base),
            stack_limit: ptr(l.stack_limit),
            sub_system_tib: ptr(l.sub_system_tib),
            fiber_data: ptr(l.fiber_data),
            arbitrary_user_pointer: ptr(l.arbitrary_user_pointer),
            self_pointer: ptr(l.self_pointer),
            environment_pointer: ptr(l.environment_pointer),
            process_id: ptr(l.process_id).map(|v| v.0),
            thread_id: ptr(l.thread_id).map(|v| v.0),
            active_rpc_handle: ptr(l.active_rpc_handle),
            tls_pointer: ptr(l.tls_pointer),
            peb: ptr(l.peb),
            last_error: word(l.last_error),
            last_status: word(l.last_status),
            owned_critical_sections: word(l.owned_critical_sections),
            hard_error_mode: word(l.hard_error_mode),
            win32_thread_info: ptr(l.win32_thread_info),
            current_locale: word(l.current_locale),
            deallocation_stack: ptr(l.deallocation_stack),
            sub_process_tag: ptr(l.sub_process_tag),
            guaranteed_stack_bytes: word(l.guaranteed_stack_bytes),
            reserved_for_ole: ptr(l.reserved_for_ole),
            waiting_on_loader_lock: word(l.waiting_on_loader_lock),
            thread_pool_data: ptr(l.thread_pool_data),
            cross_teb_flags: memory.u16(address.offset(l.cross_teb_flags)),
            same_teb_flags: memory.u16(address.offset(l.same_teb_flags)),
            lock_count: word(l.lock_count),
            wow_teb_offset: word(l.wow_teb_offset).map(u32::cast_signed),
            tls_slots: address.offset(l.tls_slots),
            tls_expansion_slots: ptr(l.tls_expansion_slots),
            fls_data: ptr(l.fls_data),
        }
    }

    /// True when `NtTib.Self` is the structure's own address: the bytes really are a TEB.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.address.is_null() && self.self_pointer == Some(self.address)
    }
}
