//! HandleDataStream (12) with the object information chain.

use super::{Stream, StreamCx, count, id, object_info};
use crate::base::{FileOff, Pid, Tid, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;
use std::collections::HashMap;

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
/// Source: NT query structures in the target's bitness (`docs/reference/handles.md#object-information`).
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

/// `MINIDUMP_HANDLE_DESCRIPTOR`: 32 bytes. The second form adds `ObjectInfoRva` and a reserved word: 40.
const ENTRY: usize = 32;

pub(crate) struct HandleDataStream;

impl Stream for HandleDataStream {
    const NUMBER: u32 = id::HANDLE_DATA;
    const NAME: &'static str = "HandleDataStream";
    const ABOUT: &'static str = "open handles";
    type Value = HandleData;

    /// Parses the stream; the bitness of the dump is that of the object information's structures.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let size_field = cx.slice(cx.entry.offset.0.saturating_add(4), 4).and_then(|raw| raw.try_into().ok());
        let mut data =
            HandleData { descriptor_size: size_field.map_or(0, u32::from_le_bytes), handles: Vec::new() };
        if let Some((mut c, size, count)) = cx.sized_list(false, ENTRY) {
            data.handles.reserve(count);
            // Thousands of handles share few type names; each is decoded once.
            let mut names: HashMap<u32, Option<String>> = HashMap::new();
            for _ in 0..count {
                let Some(raw) = c.take(size) else { break };
                data.handles.extend(entry(&cx, raw, cx.machine.is_64(), &mut names));
            }
        }
        cx.done(data)
    }

    fn summary(h: &Self::Value) -> String {
        format!("{}, descriptors of {} bytes", count(h.handles.len(), "handle"), h.descriptor_size)
    }
}

fn entry(
    cx: &StreamCx<'_>,
    raw: &[u8],
    target_is_64: bool,
    names: &mut HashMap<u32, Option<String>>,
) -> Option<Handle> {
    let mut c = Cursor::new(raw, FileOff(0));
    let value = c.u64()?;
    let (type_rva, name_rva) = (c.u32()?, c.u32()?);
    let (attributes, granted_access) = (c.u32()?, c.u32()?);
    let (handle_count, pointer_count) = (c.u32()?, c.u32()?);
    // A 32-byte descriptor ends here: no object information.
    let info_rva = c.u32().unwrap_or(0);
    let type_name = match names.get(&type_rva) {
        Some(known) => known.clone().filter(|t| cx.charge(t.len()).is_some()),
        None => {
            let text = cx.string_or_warn(type_rva.into(), "a handle's type name");
            names.insert(type_rva, text.clone());
            text
        }
    };
    let object_name = cx.string_or_warn(name_rva.into(), "a handle's object name");
    Some(Handle {
        value,
        type_name: type_name.filter(|t| !t.is_empty()),
        object_name: object_name.filter(|t| !t.is_empty()),
        attributes,
        granted_access,
        handle_count,
        pointer_count,
        info: object_info::read_chain(cx, info_rva, target_is_64),
    })
}
