//! HandleDataStream (12) with the object information chain.

use crate::base::{Pid, Tid, Va};

/// All handles of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandleData {
    /// Size of a descriptor in the dump: 32 (no object information) or 40.
    pub descriptor_size: u32,
    /// In the dump's order.
    pub handles: Vec<Handle>,
}

/// One open handle.
#[derive(Clone, Debug, PartialEq)]
pub struct Handle {
    /// The handle's value.
    pub value: u64,
    /// Object type (`Event`); `None` when not recorded. Untrusted.
    pub type_name: Option<String>,
    /// Object name; `None` when it has none or it is not recorded. Untrusted.
    pub object_name: Option<String>,
    /// Attribute bits.
    pub attributes: u32,
    /// Granted access mask.
    pub granted_access: u32,
    /// Open handles of the object.
    pub handle_count: u32,
    /// References to the object.
    pub pointer_count: u32,
    /// Decoded object information, in chain order. Empty for 32-byte descriptors.
    pub info: Vec<ObjectInfo>,
}

/// One record of `MINIDUMP_HANDLE_OBJECT_INFORMATION`.
///
/// Source: NT query structures in the target's bitness (shared reference, section 1.3).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ObjectInfo {
    /// Type 1: a thread.
    Thread {
        /// `STILL_ACTIVE` (0x103) while it runs.
        exit_status: u32,
        /// Its TEB.
        teb: Va,
        /// Owning process.
        pid: Pid,
        /// Thread id.
        tid: Tid,
        /// Affinity mask.
        affinity: u64,
        /// Current priority.
        priority: i32,
        /// Base priority.
        base_priority: i32,
    },
    /// Type 2: a mutex's state.
    Mutant {
        /// 1 free; 0 or less owned (1 − count is the recursion).
        current_count: i32,
        /// Owned by the dump's writer.
        owned_by_caller: bool,
        /// The last owner ended while holding it.
        abandoned: bool,
    },
    /// Type 3: a mutex's owner; both 0 when free.
    MutantOwner {
        /// Owning process.
        pid: Pid,
        /// Owning thread.
        tid: Tid,
    },
    /// Types 4 and 5: a process.
    Process {
        /// `STILL_ACTIVE` (0x103) while it runs.
        exit_status: u32,
        /// Its PEB.
        peb: Va,
        /// Base priority.
        base_priority: i32,
        /// Process id.
        pid: Pid,
        /// Parent's process id.
        parent: Pid,
        /// Type 5 only: flags (bit 1 WOW64).
        flags: Option<u32>,
    },
    /// Type 6: an event.
    Event {
        /// True: notification (manual reset). False: synchronization (auto reset).
        manual_reset: bool,
        /// True when set.
        signalled: bool,
    },
    /// Type 7: a section.
    Section {
        /// Allocation attributes (`SEC_*`).
        attributes: u32,
        /// Size, bytes.
        size: u64,
    },
    /// Type 8: a semaphore.
    Semaphore {
        /// Current count.
        count: u32,
        /// Limit.
        limit: u32,
    },
    /// A type or size that is not known.
    Unknown {
        /// `InfoType`.
        info_type: u32,
        /// `SizeOfInfo`, bytes.
        size: u32,
    },
}
