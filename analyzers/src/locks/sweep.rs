//! Critical sections in memory: in the writable data of modules, and in heaps.

use super::{counts_upwards, regions};
use crate::model::{Counting, CriticalSection, OwnerState};
use crate::thread_state::thread_state;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use dumpscope_symbols::image::PeHeaders;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// `IMAGE_SCN_MEM_WRITE`.
const WRITABLE: u32 = 0x8000_0000;

/// Most bytes that are looked at: over all modules, over all heaps, between two addresses.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Most sections that are kept of one search.
const MAX_FOUND: usize = 1 << 16;

/// Bytes looked at in one go.
const CHUNK: usize = 1 << 20;

/// Bytes at the start of a heap in which its own lock lies: +0x138 to +0x2c0 in Windows 7 to 11
/// (`docs/reference/locks.md#critical-section`).
const HEAP_HEADER: u64 = 0x400;

/// Most owners that are in no thread list whose state is worked out: each takes a search for their blocks.
const MAX_GONE: usize = 256;

/// Largest handle that is believed.
const MAX_HANDLE: u64 = 1 << 24;

/// Looks for sections.
pub(super) struct Sweep<'a> {
    target: &'a Target,
    machine: Machine,
    upwards: bool,
    threads: BTreeSet<u64>,
    /// What is known of owners that are in no thread list.
    gone: RefCell<BTreeMap<Tid, OwnerState>>,
    /// Most bytes of one search.
    budget: u64,
    cancel: &'a Cancel,
}

/// What a search found.
#[derive(Default)]
pub(super) struct Swept {
    /// Sections by address.
    pub found: Vec<CriticalSection>,
    /// True when it ended early.
    pub partly: bool,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(target: &'a Target, machine: Machine, cancel: &'a Cancel) -> Sweep<'a> {
        let threads = target.dump.threads().iter().map(|t| t.tid.0.into()).collect();
        let (upwards, gone) = (counts_upwards(target), RefCell::default());
        Sweep { target, machine, upwards, threads, gone, budget: MAX_BYTES, cancel }
    }

    /// Looks at fewer bytes than [`MAX_BYTES`].
    #[cfg(test)]
    pub(super) fn with_budget(self, budget: u64) -> Sweep<'a> {
        Sweep { budget, ..self }
    }

    /// Whether a section's owner exists. Of very many that may be gone only the first are looked for.
    pub(super) fn owner(&self, s: &CriticalSection) -> OwnerState {
        let Some(tid) = s.owner_tid() else { return OwnerState::Unknown };
        if self.threads.contains(&s.owner) {
            return OwnerState::Alive;
        }
        let mut gone = self.gone.borrow_mut();
        let room = gone.len() < MAX_GONE;
        match gone.get(&tid) {
            Some(known) => *known,
            None if room => *gone.entry(tid).or_insert_with(|| thread_state(self.target, tid)),
            None => OwnerState::Unknown,
        }
    }

    /// All sections in the modules' writable data.
    pub(super) fn module_data(&self) -> Swept {
        let memory = self.target.dump.memory();
        let mut spans = Vec::new();
        for module in self.target.dump.modules() {
            let Ok(headers) = PeHeaders::read(memory.as_ref(), module.base) else { continue };
            if headers.machine.is_64() != self.machine.is_64() {
                continue;
            }
            for section in headers.sections.iter().filter(|s| s.characteristics & WRITABLE != 0) {
                let start = section.rva.va(module.base);
                spans.push((start, start.offset(section.mapped_size().min(module.size).into())));
            }
        }
        self.spans(&spans)
    }

    /// All sections in private memory that is neither a stack nor a block of the system.
    pub(super) fn heaps(&self) -> Swept {
        self.spans(&regions::heaps(self.target, self.machine))
    }

    /// The locks of heaps, by the heaps' addresses.
    pub(super) fn heap_headers(&self, heaps: impl Iterator<Item = Va>) -> Swept {
        let spans: Vec<(Va, Va)> = heaps.map(|h| (h, h.offset(HEAP_HEADER))).collect();
        self.spans(&spans)
    }

    /// All sections between two addresses, or in several such spans.
    pub(super) fn spans(&self, spans: &[(Va, Va)]) -> Swept {
        let mut out = Swept::default();
        let mut buffer = vec![0u8; CHUNK.saturating_add(self.size())];
        let mut left = self.budget;
        out.partly = !spans.iter().all(|s| self.span(*s, &mut buffer, &mut left, &mut out.found));
        out.found.sort_by_key(|s| s.address);
        out.found.dedup_by_key(|s| s.address);
        out
    }

    /// Bytes of a section.
    fn size(&self) -> usize {
        if self.machine.is_64() { 0x28 } else { 0x18 }
    }

    /// One span; false when it ended early.
    fn span(
        &self,
        (start, end): (Va, Va),
        buffer: &mut [u8],
        left: &mut u64,
        found: &mut Vec<CriticalSection>,
    ) -> bool {
        let memory = self.target.dump.memory();
        let p = self.machine.ptr_size() as u64;
        let mut at = start;
        loop {
            // Holes are skipped; sections are aligned to pointers.
            let next = memory.next_readable(at).and_then(|n| n.0.checked_next_multiple_of(p));
            let Some(room) = next.and_then(|n| end.distance_from(Va(n))).filter(|n| *n > 0) else {
                return true;
            };
            at = Va(next.unwrap_or(at.0));
            if *left == 0 || found.len() >= MAX_FOUND || self.cancel.is_cancelled() {
                return false;
            }
            let look = room.min(CHUNK as u64).min(*left);
            // A section may end behind the bytes in which it may begin.
            let read = usize::try_from(room.min(look.saturating_add(self.size() as u64))).unwrap_or(0);
            let Some(bytes) = buffer.get_mut(..read) else { return true };
            let got = memory.scan_at(at, bytes).got;
            self.chunk(at, look, bytes.get(..got).unwrap_or_default(), found);
            let done = look.min(got as u64).max(p);
            *left = left.saturating_sub(done);
            match at.checked_add(done) {
                Some(after) => at = after,
                None => return true,
            }
        }
    }

    /// Looks at the aligned addresses of the first `look` bytes.
    fn chunk(&self, start: Va, look: u64, bytes: &[u8], found: &mut Vec<CriticalSection>) {
        let p = self.machine.ptr_size();
        let size = self.size();
        // LockCount and RecursionCount lie side by side: most words are nothing like them.
        let counts = bytes.get(p..).unwrap_or_default().windows(8).step_by(p);
        for (i, pair) in counts.enumerate() {
            let pair = pair.try_into().map_or(0, u64::from_le_bytes);
            let (count, recursion) = (pair & 0xffff_ffff, pair >> 32);
            let held = (1..=0x1_0000).contains(&recursion) && (count >= 0xfff0_0000 || count <= 0x1_0000);
            if pair != 0xffff_ffff && !held {
                continue;
            }
            let at = i.saturating_mul(p);
            if at as u64 >= look || found.len() >= MAX_FOUND {
                return;
            }
            let Some(fields) = bytes.get(at..at.saturating_add(size)) else { return };
            if !self.fits(fields, held) {
                continue;
            }
            let section = CriticalSection::read(
                self.target.dump.memory().as_ref(),
                start.offset(at as u64),
                self.machine,
            );
            if let Some(s) = section.filter(|s| self.believed(s)) {
                found.push(s);
            }
        }
    }

    /// Cheap tests of the other words, without reading anything else.
    fn fits(&self, fields: &[u8], held: bool) -> bool {
        let p = self.machine.ptr_size();
        let word = |at: usize| {
            let raw = fields.get(at..at.saturating_add(p)).unwrap_or_default();
            raw.iter().rev().fold(0_u64, |v, b| v << 8 | u64::from(*b))
        };
        let owner = word(p.saturating_add(8));
        let spin = word(p.saturating_mul(3).saturating_add(8));
        let owned = if held { owner != 0 && owner.is_multiple_of(4) && owner >> 32 == 0 } else { owner == 0 };
        word(0) != 0 && owned && spin >> 29 == 0
    }

    /// What is taken for a section: its debug block points back; or a thread that exists holds it; or nobody is left
    /// who holds it, but somebody waits for it and all its words have the shape that this Windows gives them.
    fn believed(&self, s: &CriticalSection) -> bool {
        if !s.is_plausible(self.machine, self.upwards) {
            return false;
        }
        if s.points_back() {
            return true;
        }
        if !s.is_locked() || self.is_native_half(s) {
            return false;
        }
        if self.threads.contains(&s.owner) {
            // Wine waits on the semaphore's word itself.
            return s.semaphore <= 1 || self.is_all_ones(s.semaphore) || self.is_handle(s.semaphore);
        }
        s.waiters() > 0 && self.has_shape_of_contended(s) && self.owner(s) == OwnerState::Missing
    }

    fn is_all_ones(&self, word: u64) -> bool {
        word == if self.machine.is_64() { u64::MAX } else { u32::MAX.into() }
    }

    fn is_handle(&self, word: u64) -> bool {
        word != 0 && word.is_multiple_of(4) && word < MAX_HANDLE
    }

    /// Waited for, by era: up to Windows 8.1 there is an event, from Windows 10 on the word is -1. The spin count is
    /// never 0 where locks are made without debug information (measured, `docs/reference/locks.md#critical-section`).
    fn has_shape_of_contended(&self, s: &CriticalSection) -> bool {
        let semaphore = if self.target.dump.os_version().0 >= 10 {
            self.is_all_ones(s.semaphore)
        } else {
            self.is_handle(s.semaphore) && self.is_event(s.semaphore)
        };
        // Wine's words have no shape of their own, but it gives its sections debug blocks.
        !self.upwards && s.counting() == Counting::Bits && semaphore && s.spin_count != 0
    }

    /// False when the handle table says that it is none.
    fn is_event(&self, handle: u64) -> bool {
        let Some(table) = self.target.dump.handles().value() else { return true };
        let entry = table.handles.iter().find(|h| h.value == handle);
        entry.is_some_and(|h| h.type_name.as_deref().is_none_or(|t| t == "Event"))
    }

    /// A 64-bit section of a WOW64 process looks like a 32-bit one from its second word on.
    fn is_native_half(&self, s: &CriticalSection) -> bool {
        let native = self.target.dump.machine();
        if self.machine.is_64() || !native.is_64() {
            return false;
        }
        let memory = self.target.dump.memory().as_ref();
        let wide = CriticalSection::read(memory, s.address.back(4), native);
        wide.is_some_and(|w| w.is_plausible(native, self.upwards))
    }
}
