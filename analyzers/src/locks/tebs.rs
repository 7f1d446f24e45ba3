//! Thread blocks (TEBs) of threads that the thread list does not have: a writer may have left a thread out.

use crate::Target;
use dumpscope_core::model::Teb;
use dumpscope_core::{ReadMemory, Tid, Va};

/// Distance from the known blocks within which others are looked for, bytes. Windows 10 keeps all of them beside the PEB;
/// older systems put them below the top of the lowest 2 GB.
const REACH: u64 = 0x40_0000;

/// Bytes between the places where a block may begin.
const PAGE: u64 = 0x1000;

/// Most pages that are looked at.
const MAX_PAGES: usize = 0x4000;

/// Most threads whose blocks say where to look.
const MAX_KNOWN: usize = 0x1000;

/// The block of a thread that still exists: it names itself, this process and the thread, and its stack is there.
/// Windows frees both when a thread ends; Wine keeps those of the last one that did, so there they say nothing.
#[must_use]
pub(super) fn find(target: &Target, tid: Tid) -> Option<Va> {
    if super::is_wine(target) {
        return None;
    }
    let dump = &target.dump;
    let pid = dump.pid()?;
    let machine = dump.machine();
    let memory = dump.memory().as_ref();
    let known = || dump.threads().iter().take(MAX_KNOWN).map(|t| t.raw.teb).filter(|t| !t.is_null());
    let (low, high) = (known().min()?, known().max()?);
    let end = high.offset(REACH);
    let mut at = Va(low.back(REACH.min(low.0)).0 & !(PAGE.wrapping_sub(1)));
    for _ in 0..MAX_PAGES {
        let next = memory.next_readable(at).filter(|n| *n < end)?;
        // A block begins where a page does.
        at = at.max(Va(next.0.checked_next_multiple_of(PAGE)?));
        // A look at one word spares most pages the rest (`NtTib.Self`).
        let own = memory.ptr(at.offset(if machine.is_64() { 0x30 } else { 0x18 }), machine);
        if own != Some(at) {
            at = at.checked_add(PAGE)?;
            continue;
        }
        let teb = Teb::read(memory, at, machine);
        let is_it = teb.is_valid()
            && teb.process_id == Some(u64::from(pid.0))
            && teb.thread_id == Some(u64::from(tid.0));
        let has_stack = || {
            let top = teb.stack_base.and_then(|b| b.0.checked_sub(machine.ptr_size() as u64));
            top.is_some_and(|top| memory.ptr(Va(top), machine).is_some())
        };
        if is_it && has_stack() {
            return Some(at);
        }
        at = at.checked_add(PAGE)?;
    }
    None
}
