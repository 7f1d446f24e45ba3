//! What each part of the address space is used for.

use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::memory_info::MemoryRegion;
use dumpscope_core::{Machine, ReadMemory, ThreadIdx, Va};
use std::collections::HashMap;

/// Blocks take whole pages: a PEB and a 32-bit TEB one, a 64-bit TEB two.
const PAGE: u64 = 0x1000;
/// `MEM_FREE`.
pub(super) const FREE: u32 = 0x1_0000;
/// `MEM_COMMIT`.
pub(super) const COMMIT: u32 = 0x1000;
/// `MEM_IMAGE`.
const IMAGE: u32 = 0x100_0000;
/// `MEM_PRIVATE`.
const PRIVATE: u32 = 0x2_0000;
/// Signatures at the start of a heap segment: NT heap and segment heap. Source: public symbols of ntdll
/// (`_HEAP_SEGMENT.SegmentSignature`, `_SEGMENT_HEAP.Signature`), the same since Vista and Windows 8.1.
const HEAP_SIGNATURES: [u32; 2] = [0xffee_ffee, 0xddee_ddee];

/// What a heap is, by the signature at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeapKind {
    Nt,
    Segment,
}

impl HeapKind {
    /// WinDbg's words.
    pub(super) fn words(self) -> &'static str {
        match self {
            HeapKind::Nt => "NT Heap",
            HeapKind::Segment => "Segment Heap",
        }
    }
}

/// A use of memory, with the name that `!address` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// Nothing.
    Free,
    /// Not known: VirtualAlloc and others.
    Unknown,
    /// An image: index of the module, if it is one.
    Image(Option<usize>),
    /// A thread's stack, in the view of a machine.
    Stack(ThreadIdx, Machine),
    /// A thread's environment block.
    Teb(ThreadIdx, Machine),
    /// The process environment block.
    Peb(Machine),
    /// A heap: its number in the PEB's list, when known, and its address.
    Heap(Option<usize>, Va, Machine),
}

impl Usage {
    /// `Heap32` and the like only exist in WOW64 processes.
    pub(super) fn name(&self, wow64: bool) -> &'static str {
        let split = |plain, narrow, wide, machine: Machine| match (wow64, machine.is_64()) {
            (false, _) => plain,
            (true, false) => narrow,
            (true, true) => wide,
        };
        match self {
            Usage::Free => "Free",
            Usage::Unknown => "<unknown>",
            Usage::Image(_) => "Image",
            Usage::Stack(_, m) => split("Stack", "Stack32", "Stack64", *m),
            Usage::Teb(_, m) => split("TEB", "TEB32", "TEB64", *m),
            Usage::Peb(m) => split("PEB", "PEB32", "PEB64", *m),
            Usage::Heap(_, _, m) => split("Heap", "Heap32", "Heap64", *m),
        }
    }
}

/// A region with its use.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Used {
    /// As the dump tells it; protection, state and type are 0 when it does not.
    pub(super) region: MemoryRegion,
    /// Its use.
    pub(super) usage: Usage,
}

/// A part of the address space whose use is known beforehand.
struct Known {
    start: Va,
    end: Va,
    usage: Usage,
}

/// Everything that helps to name regions, gathered once.
pub(super) struct Map<'a> {
    session: &'a Session,
    /// True when the regions come from the MemoryInfoList stream.
    pub(super) from_stream: bool,
    stacks: Vec<Known>,
    blocks: Vec<Known>,
    heaps: HashMap<Va, (usize, Machine)>,
}

impl<'a> Map<'a> {
    /// Looks at threads, PEBs and heaps.
    pub(super) fn new(session: &'a Session) -> Map<'a> {
        let dump = session.dump();
        let native = dump.machine();
        let views = if dump.is_wow64() { vec![Machine::X86, native] } else { vec![native] };
        let mut map = Map {
            session,
            from_stream: !dump.memory_info().is_absent(),
            stacks: Vec::new(),
            blocks: Vec::new(),
            heaps: HashMap::new(),
        };
        for machine in views {
            for thread in dump.threads() {
                map.thread(thread.index, machine);
            }
            if let Some(peb) = dump.read_peb(machine) {
                let end = peb.address.offset(PAGE);
                map.blocks.push(Known { start: peb.address, end, usage: Usage::Peb(machine) });
                for (i, heap) in peb.heaps.iter().enumerate() {
                    map.heaps.entry(*heap).or_insert((i, machine));
                }
            }
        }
        map.blocks.sort_by_key(|b| b.start);
        map
    }

    fn thread(&mut self, thread: ThreadIdx, machine: Machine) {
        let dump = self.session.dump();
        match dump.read_teb(thread, machine) {
            Some(teb) => {
                let pages = if machine.is_64() { 2 } else { 1 };
                let end = teb.address.offset(pages * PAGE);
                self.blocks.push(Known { start: teb.address, end, usage: Usage::Teb(thread, machine) });
                let low = teb.deallocation_stack.filter(|d| !d.is_null()).or(teb.stack_limit);
                if let (Some(start), Some(end)) = (low, teb.stack_base)
                    && start < end
                {
                    self.stacks.push(Known { start, end, usage: Usage::Stack(thread, machine) });
                }
            }
            None if machine == dump.machine() => {
                let raw = dump.thread(thread).map(|t| t.raw);
                if let Some(raw) = raw.filter(|r| r.stack_size > 0) {
                    let end = raw.stack_start.offset(raw.stack_size.into());
                    let usage = Usage::Stack(thread, machine);
                    self.stacks.push(Known { start: raw.stack_start, end, usage });
                }
            }
            None => {}
        }
    }

    /// Names a region.
    pub(super) fn usage(&self, r: &MemoryRegion) -> Usage {
        if r.state == FREE {
            return Usage::Free;
        }
        let end = r.base.offset(r.size);
        let meets = |k: &&Known| k.start < end && k.end > r.base;
        let module = self.session.target.symbols.module_at(r.base);
        if r.kind == IMAGE || module.is_some() {
            return Usage::Image(module);
        }
        if let Some(known) = self.stacks.iter().find(meets) {
            return known.usage.clone();
        }
        if let Some(known) = self.blocks.iter().find(|k| k.start <= r.base && k.end > r.base) {
            return known.usage.clone();
        }
        self.heap(r).unwrap_or(Usage::Unknown)
    }

    /// What the heap at an address is; `None` when its start is not in the dump, or is that of no heap since Vista.
    pub(super) fn heap_kind(&self, at: Va, machine: Machine) -> Option<HeapKind> {
        // Two pointers from the start in both views: 8 and 10.
        let signature = at.offset(2 * machine.ptr_size() as u64);
        match self.session.dump().memory().u32(signature)? {
            s if s == HEAP_SIGNATURES[0] => Some(HeapKind::Nt),
            s if s == HEAP_SIGNATURES[1] => Some(HeapKind::Segment),
            _ => None,
        }
    }

    fn heap(&self, r: &MemoryRegion) -> Option<Usage> {
        let at = r.allocation_base;
        if let Some((number, machine)) = self.heaps.get(&at) {
            return Some(Usage::Heap(Some(*number), at, *machine));
        }
        if r.kind != PRIVATE && r.kind != 0 {
            return None;
        }
        // A further segment of a heap names its heap.
        let memory = self.session.dump().memory();
        let narrow = self.session.dump().is_wow64() || !self.session.dump().machine().is_64();
        let forms: &[(u64, u64, Machine)] = if narrow {
            &[(0x8, 0x18, Machine::X86), (0x10, 0x28, Machine::Amd64)]
        } else {
            &[(0x10, 0x28, Machine::Amd64)]
        };
        forms.iter().find_map(|&(signature, heap, machine)| {
            if !HEAP_SIGNATURES.contains(&memory.u32(at.offset(signature))?) {
                return None;
            }
            // Wine leaves the link empty: the segment is the heap itself.
            let owner = memory.ptr(at.offset(heap), machine).filter(|o| !o.is_null()).unwrap_or(at);
            let number = self.heaps.get(&owner).map(|(n, _)| *n);
            Some(Usage::Heap(number, owner, machine))
        })
    }

    /// All regions in address order: the stream's, else what modules, threads and captured memory tell. A region
    /// with process and thread blocks is cut at these.
    pub(super) fn regions(&self) -> Vec<Used> {
        let mut list = match self.session.dump().memory_info().value() {
            Some(list) => list.clone(),
            None => self.known_ranges(),
        };
        list.sort_by_key(|r| r.base);
        list.iter().flat_map(|r| self.cut(r)).collect()
    }

    /// A region in pieces, each with its use.
    fn cut(&self, r: &MemoryRegion) -> Vec<Used> {
        let end = r.base.offset(r.size);
        let mut borders = vec![r.base];
        if r.state != FREE && r.kind != IMAGE {
            let first = self.blocks.partition_point(|b| b.end <= r.base);
            let inside = self.blocks.iter().skip(first).take_while(|b| b.start < end);
            borders.extend(inside.flat_map(|b| [b.start, b.end]).filter(|va| *va > r.base && *va < end));
            borders.sort();
            borders.dedup();
        }
        borders.push(end);
        let piece = |pair: &[Va]| {
            let (start, stop) = (*pair.first()?, *pair.get(1)?);
            let region = MemoryRegion { base: start, size: stop.distance_from(start)?, ..*r };
            Some(Used { usage: self.usage(&region), region })
        };
        borders.windows(2).filter_map(piece).collect()
    }

    /// Captured ranges and modules as regions without state and protection.
    fn known_ranges(&self) -> Vec<MemoryRegion> {
        let dump = self.session.dump();
        let bare = |base: Va, size: u64, kind: u32, state: u32| MemoryRegion {
            base,
            allocation_base: base,
            allocation_protect: 0,
            size,
            state,
            protect: 0,
            kind,
        };
        let mut out: Vec<MemoryRegion> =
            dump.modules().iter().map(|m| bare(m.base, m.size.into(), IMAGE, 0)).collect();
        for range in dump.memory().ranges() {
            if dump.module_at(range.start).is_none() {
                out.push(bare(range.start, range.size, 0, COMMIT));
            }
        }
        out.sort_by_key(|r| r.base);
        out
    }

    /// The region that holds `va`.
    pub(super) fn at(&self, va: Va) -> Option<Used> {
        let holds = |r: &MemoryRegion| va.distance_from(r.base).is_some_and(|d| d < r.size);
        let found = match self.session.dump().memory_info().value() {
            Some(list) => list.iter().find(|r| holds(r)).copied(),
            None => self.known_ranges().into_iter().find(holds),
        };
        let pieces = self.cut(&found?);
        pieces.into_iter().find(|u| holds(&u.region))
    }

    /// What a use refers to: `[~3; 720.38fc]`, `[app; "C:\app\app.exe"]`. Escaped.
    pub(super) fn details(&self, used: &Used) -> String {
        let dump = self.session.dump();
        let pid = dump.pid().map_or(0, |p| p.0);
        let thread = |idx: &ThreadIdx| {
            let tid = dump.thread(*idx).map_or(0, |t| t.tid.0);
            format!("[~{}; {pid:x}.{tid:x}]", idx.0)
        };
        match &used.usage {
            Usage::Image(Some(index)) => match self.session.target.symbols.modules().get(*index) {
                Some(m) => {
                    format!("[{}; \"{}\"]", self.session.module_name(*index), escape(&m.path))
                }
                None => String::new(),
            },
            Usage::Stack(idx, _) | Usage::Teb(idx, _) => thread(idx),
            Usage::Heap(number, at, machine) => {
                let id = number.map_or_else(|| "?".into(), |n| n.to_string());
                let handle = crate::fmt::addr_plain(*at, machine.is_64());
                format!("[ID: {id}; Handle: {handle}; Type: Segment]")
            }
            Usage::Unknown if used.region.state == COMMIT => self.first_bytes(used.region.base),
            _ => String::new(),
        }
    }

    /// The first 16 bytes as text, when they are in the dump.
    fn first_bytes(&self, at: Va) -> String {
        let mut raw = [0u8; 16];
        let got = self.session.dump().memory().read_at(at, &mut raw).got;
        if got < raw.len() {
            return String::new();
        }
        let printable = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '.' };
        format!("[{}]", raw.iter().map(printable).collect::<String>())
    }
}
