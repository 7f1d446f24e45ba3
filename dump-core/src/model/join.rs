//! Streams joined: one memory view, threads with their times and names, modules with the loader's list.

use super::{Dump, DumpKind, Thread, image};
use crate::base::{FileOff, Machine, ModuleInfo, ThreadIdx, Va};
use crate::error::Warning;
use crate::memory::{MemoryView, first_overlap};
use crate::stream::id;
use crate::stream::memory_list::RawRange;
use crate::stream::module_list::{self, NameSet};
use std::collections::HashMap;
use std::sync::Arc;

/// `MINIDUMP_TYPE` bits that ask for more memory than stacks: data segments, full memory, indirectly referenced,
/// private read-write, code segments, private write-copy, module headers.
const MEMORY_FLAGS: u64 = 0x1 | 0x2 | 0x40 | 0x200 | 0x2000 | 0x1_0000 | 0x8_0000;
/// Bytes beside the stacks that still count as "stacks only": code around instruction pointers, TEBs, the PEB.
const SMALL: u64 = 0x1_0000;
/// Modules that are looked at before `va` when images overlap, which only damaged lists have.
const MAX_OVERLAP: usize = 16;

/// Full: has a Memory64List. Partial: flags or captured bytes say that there is more than stacks.
pub(super) fn kind(dump: &Dump) -> DumpKind {
    if dump.header.find(id::MEMORY64_LIST).is_some() {
        return DumpKind::Full;
    }
    let stacks = dump.threads().iter().fold(0u64, |sum, t| sum.saturating_add(t.raw.stack_size.into()));
    let beside = dump.memory().captured().saturating_sub(stacks);
    if dump.flags() & MEMORY_FLAGS != 0 || beside > SMALL { DumpKind::Partial } else { DumpKind::Mini }
}

/// The view over Memory64List, then MemoryList, then the threads' stacks (some writers put them only there).
pub(super) fn memory(dump: &Dump) -> (Arc<MemoryView>, Vec<Warning>) {
    let mut ranges: Vec<RawRange> = Vec::new();
    ranges.extend(dump.memory64_list().value().into_iter().flatten());
    ranges.extend(dump.memory_list().value().into_iter().flatten());
    let listed = ranges.len();
    let file_size = dump.file_size();
    for t in dump.thread_list().value().into_iter().flatten() {
        let have = file_size.saturating_sub(t.stack_offset.0).min(t.stack_size.into());
        if t.stack_offset.0 != 0 && have > 0 {
            ranges.push(RawRange { start: t.stack_start, size: have, offset: t.stack_offset });
        }
    }
    let mut warnings = Vec::new();
    // A stack that a memory list has too is the normal case, so only overlaps within the lists are told.
    if let Some(va) = first_overlap(ranges.get(..listed).unwrap_or_default()) {
        let text =
            format!("captured ranges overlap at {:#x} (and perhaps elsewhere); the earlier one counts", va.0);
        warnings.push(Warning { place: "MemoryListStream", offset: None, text });
    }
    let view = MemoryView::new(dump.source.clone(), &ranges);
    (Arc::new(view), warnings)
}

/// ThreadList joined with ThreadInfoList and ThreadNames by thread id.
pub(super) fn threads(dump: &Dump) -> (Vec<Thread>, Vec<Warning>) {
    let Some(list) = dump.thread_list().value() else { return (Vec::new(), Vec::new()) };
    let infos: HashMap<_, _> =
        dump.thread_info().value().into_iter().flatten().rev().map(|i| (i.tid, *i)).collect();
    let names: HashMap<_, _> =
        dump.thread_names().value().into_iter().flatten().rev().map(|n| (n.tid, &n.name)).collect();
    let mut seen = HashMap::with_capacity(list.len());
    let mut warnings = Vec::new();
    let mut out = Vec::with_capacity(list.len());
    for (index, raw) in (0u32..).zip(list) {
        if let Some(first) = seen.insert(raw.tid, index)
            && warnings.len() < 16
        {
            let text = format!("threads {first} and {index} have the same id {:#x}", raw.tid.0);
            warnings.push(Warning { place: "ThreadListStream", offset: None, text });
        }
        out.push(Thread {
            index: ThreadIdx(index),
            tid: raw.tid,
            raw: *raw,
            info: infos.get(&raw.tid).copied(),
            name: names.get(&raw.tid).map(|n| (*n).clone()),
        });
    }
    (out, warnings)
}

/// The module list and its order by address.
#[derive(Debug, Default)]
pub(crate) struct Modules {
    pub(crate) list: Vec<ModuleInfo>,
    by_base: Vec<usize>,
    pub(crate) warnings: Vec<Warning>,
}

impl Modules {
    pub(super) fn new(list: Vec<ModuleInfo>, warnings: Vec<Warning>) -> Modules {
        let mut by_base: Vec<usize> = (0..list.len()).collect();
        by_base.sort_by_key(|&i| list.get(i).map(|m| m.base));
        Modules { list, by_base, warnings }
    }

    pub(super) fn at(&self, va: Va) -> Option<&ModuleInfo> {
        let end = self.by_base.partition_point(|&i| self.list.get(i).is_some_and(|m| m.base <= va));
        let before = self.by_base.get(..end)?;
        before.iter().rev().take(MAX_OVERLAP).filter_map(|&i| self.list.get(i)).find(|m| m.contains(va))
    }
}

/// The module list; what it lacks is taken from the loader's lists and the image headers in memory.
///
/// A 64-bit dump of a WOW64 process gets the modules of the 32-bit loader list too, behind the others. Without
/// any module list the native loader list stands in for it.
pub(super) fn modules(dump: &Dump) -> Modules {
    let mut joined = Joined::default();
    for m in dump.module_list().value().into_iter().flatten() {
        joined.add(m.clone());
    }
    if dump.header.find(id::MODULE_LIST).is_none() {
        add_loaded(dump, dump.machine(), &mut joined);
    }
    if dump.is_wow64() {
        add_loaded(dump, Machine::X86, &mut joined);
    }
    let memory = dump.memory();
    for m in &mut joined.list {
        let Some(header) = image::header(&**memory, m.base) else { continue };
        m.machine = Some(header.machine);
        if m.codeview.is_none() {
            m.codeview = image::codeview(&**memory, m.base, &header);
        }
        if m.size == 0 {
            m.size = header.size;
        }
    }
    Modules::new(joined.list, joined.warnings)
}

/// The list while it grows: one module per base, names as WinDbg makes them unique.
#[derive(Debug, Default)]
struct Joined {
    list: Vec<ModuleInfo>,
    names: NameSet,
    at_base: HashMap<Va, usize>,
    warnings: Vec<Warning>,
}

impl Joined {
    fn add(&mut self, mut module: ModuleInfo) {
        if let Some(first) = self.at_base.get(&module.base).and_then(|&i| self.list.get(i)) {
            // The same image once more is how WOW64 dumps list the program; another image there is damage.
            if (first.size, first.timestamp) != (module.size, module.timestamp) && self.warnings.len() < 16 {
                let text =
                    format!("{} and {} are both at {:#x}", first.file_name, module.file_name, module.base.0);
                self.warnings.push(Warning { place: "ModuleListStream", offset: None, text });
            }
            return;
        }
        module.name = self.names.unique(module.name, module.base);
        self.at_base.insert(module.base, self.list.len());
        self.list.push(module);
    }
}

/// Adds the modules of a loader list that the list does not have.
fn add_loaded(dump: &Dump, machine: Machine, joined: &mut Joined) {
    let Some(loader) = dump.loader(machine) else { return };
    let place = "PEB_LDR_DATA";
    joined.warnings.extend(loader.warnings.iter().map(|text| Warning {
        place,
        offset: None,
        text: text.clone(),
    }));
    for entry in loader.entries {
        if entry.base.is_null() || joined.at_base.contains_key(&entry.base) {
            continue;
        }
        let mut m = module_list::named(entry.base, entry.full_name.or(entry.base_name).unwrap_or_default());
        m.size = entry.size;
        m.timestamp = entry.timestamp.unwrap_or(0);
        if let Some(header) = image::header(&**dump.memory(), m.base) {
            m.timestamp = header.timestamp;
            m.checksum = header.checksum;
        }
        joined.add(m);
    }
}

/// Bytes of the file at a location, when all of them are there.
pub(super) fn located(dump: &Dump, offset: FileOff, size: u32) -> Option<&[u8]> {
    crate::bytes::clipped(dump.source.bytes(), offset.0, size.into()).filter(|raw| !raw.is_empty())
}
