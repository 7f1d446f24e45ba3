//! The loader's view of the process: `PEB_LDR_DATA` and its three lists.

use crate::base::{Machine, ReadMemory, Tid, Va};
use crate::layout::{DDAG32, DDAG64, LdrDataLayout, LdrEntryLayout};
use std::collections::{HashMap, HashSet};

/// Entries followed per list; large programs load some hundreds of DLLs.
const MAX_ENTRIES: usize = 4096;

/// `LDR_DDAG_STATE`: the module's `DllMain` is running.
pub const DDAG_INITIALIZING: i32 = 8;
/// `LDR_DDAG_STATE`: the module is loaded.
pub const DDAG_READY_TO_RUN: i32 = 9;

/// What the loader knows. Read while other threads could have been changing it: a list may end early, which
/// `warnings` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoaderData {
    /// Address of the `PEB_LDR_DATA`.
    pub address: Va,
    /// `Initialized`.
    pub initialized: Option<bool>,
    /// `ShutdownInProgress`: the process is ending.
    pub shutdown_in_progress: Option<bool>,
    /// `ShutdownThreadId`: who called `ExitProcess`; `None` when nobody did or it is not readable.
    pub shutdown_tid: Option<Tid>,
    /// Heads of the three lists as stored (first and last link): load order, memory order, initialization order.
    pub heads: [Option<(Va, Va)>; 3],
    /// All entries, in load order; then those that only another list has.
    pub entries: Vec<LdrEntry>,
    /// Memory order: indices in `entries`.
    pub memory_order: Vec<usize>,
    /// Initialization order: indices in `entries`.
    pub init_order: Vec<usize>,
    /// Loops, unreadable entries and lists that are too long.
    pub warnings: Vec<String>,
}

/// One `LDR_DATA_TABLE_ENTRY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdrEntry {
    /// Address of the entry.
    pub address: Va,
    /// Load address of the module.
    pub base: Va,
    /// Its entry point, 0 when it has none.
    pub entry_point: Va,
    /// `SizeOfImage`, bytes.
    pub size: u32,
    /// Full path. Untrusted; `None` when unreadable.
    pub full_name: Option<String>,
    /// File name. Untrusted; `None` when unreadable.
    pub base_name: Option<String>,
    /// `Flags`: 0x80000 `DllMain` was called for process attach, 0x100000 it failed, 0x1000 load in progress.
    pub flags: Option<u32>,
    /// `LoadCount`: the reference count up to Windows 7, 0xFFFF for a pinned module.
    pub load_count: Option<u16>,
    /// `TlsIndex`.
    pub tls_index: Option<u16>,
    /// `TimeDateStamp`.
    pub timestamp: Option<u32>,
    /// Windows 8 and later: `LDR_DDAG_NODE.State`, see [`DDAG_INITIALIZING`].
    pub ddag_state: Option<i32>,
    /// Windows 8 and later: `LDR_DDAG_NODE.LoadCount`.
    pub ddag_load_count: Option<u32>,
    /// Windows 8 and later: `LoadReason`.
    pub load_reason: Option<i32>,
    /// Windows 10 and later: `ReferenceCount`.
    pub reference_count: Option<u32>,
}

impl LoaderData {
    /// Reads the lists from the `PEB_LDR_DATA` at `address`, laid out for `machine`. `os` is the system's
    /// version (major, minor): it decides which fields exist.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine, os: (u32, u32)) -> LoaderData {
        let l = LdrDataLayout::of(machine.is_64());
        let e = LdrEntryLayout::of(machine.is_64());
        let mut out = LoaderData {
            address,
            initialized: memory.u8(address.offset(l.initialized)).map(|b| b != 0),
            shutdown_in_progress: memory.u8(address.offset(l.shutdown_in_progress)).map(|b| b != 0),
            shutdown_tid: memory
                .ptr(address.offset(l.shutdown_thread_id), machine)
                .and_then(|v| u32::try_from(v.0).ok())
                .filter(|tid| *tid != 0)
                .map(Tid),
            ..LoaderData::default()
        };
        let walk = Walk { memory, machine, os };
        let mut index_of: HashMap<Va, usize> = HashMap::new();
        let heads = [
            ("load", l.in_load_order, e.load_links),
            ("memory", l.in_memory_order, e.memory_links),
            ("initialization", l.in_init_order, e.init_links),
        ];
        let mut orders: [Vec<usize>; 3] = Default::default();
        for (((name, head, links), order), ends) in heads.into_iter().zip(&mut orders).zip(&mut out.heads) {
            let head = address.offset(head);
            let back = memory.ptr(head.offset(machine.ptr_size() as u64), machine);
            *ends = memory.ptr(head, machine).zip(back);
            for entry in walk.list(head, links, name, &mut out.warnings) {
                let index = *index_of.entry(entry).or_insert_with(|| {
                    out.entries.push(walk.entry(entry));
                    out.entries.len().saturating_sub(1)
                });
                order.push(index);
            }
        }
        let [_, memory_order, init_order] = orders;
        out.memory_order = memory_order;
        out.init_order = init_order;
        out
    }
}

struct Walk<'a, M> {
    memory: &'a M,
    machine: Machine,
    os: (u32, u32),
}

impl<M: ReadMemory> Walk<'_, M> {
    /// Addresses of the entries of one list.
    fn list(&self, head: Va, links: u64, name: &str, warnings: &mut Vec<String>) -> Vec<Va> {
        let mut out = Vec::new();
        let mut seen = HashSet::new();
        let mut at = head;
        loop {
            let Some(next) = self.memory.ptr(at, self.machine) else {
                warnings.push(format!("the {name} order list ends at {:#x}, which is not in the dump", at.0));
                return out;
            };
            // A head that was never initialized is zero.
            if next == head || next.is_null() && at == head {
                return out;
            }
            if next.is_null() || !seen.insert(next) {
                warnings.push(format!("the {name} order list is broken after {} entries", out.len()));
                return out;
            }
            if out.len() >= MAX_ENTRIES {
                warnings.push(format!("the {name} order list has more than {MAX_ENTRIES} entries"));
                return out;
            }
            // The link of an entry must be readable, else the address is no entry.
            if self.memory.ptr(next, self.machine).is_some() {
                out.push(next.back(links));
            }
            at = next;
        }
    }

    fn entry(&self, address: Va) -> LdrEntry {
        let (memory, machine) = (self.memory, self.machine);
        let l = LdrEntryLayout::of(machine.is_64());
        let ptr = |at: u64| memory.ptr(address.offset(at), machine);
        let word = |at: u64| memory.u32(address.offset(at));
        let since_8 = self.os >= (6, 2);
        let node = if since_8 { ptr(l.ddag_node).filter(|n| !n.is_null()) } else { None };
        let (count_at, state_at) = if machine.is_64() { DDAG64 } else { DDAG32 };
        LdrEntry {
            address,
            base: ptr(l.dll_base).unwrap_or_default(),
            entry_point: ptr(l.entry_point).unwrap_or_default(),
            size: word(l.size_of_image).unwrap_or(0),
            full_name: memory.unicode_string(address.offset(l.full_name), machine),
            base_name: memory.unicode_string(address.offset(l.base_name), machine),
            flags: word(l.flags),
            load_count: memory.u16(address.offset(l.load_count)),
            tls_index: memory.u16(address.offset(l.tls_index)),
            timestamp: word(l.timestamp),
            ddag_state: node.and_then(|n| memory.u32(n.offset(state_at))).map(u32::cast_signed),
            ddag_load_count: node.and_then(|n| memory.u32(n.offset(count_at))),
            load_reason: if since_8 { word(l.load_reason).map(u32::cast_signed) } else { None },
            reference_count: if self.os >= (10, 0) { word(l.reference_count) } else { None },
        }
    }
}
