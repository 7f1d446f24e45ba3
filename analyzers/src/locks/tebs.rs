//! Thread blocks (TEBs) of threads that the thread list does not have: a writer may have left a thread out.

use crate::Target;
use dumpscope_core::model::Teb;
use dumpscope_core::{ReadMemory, Tid, Va};
use std::collections::BTreeSet;

/// Distance from the known blocks within which others are looked for, bytes. Windows 10 keeps all of them beside the PEB;
/// older systems put them below the top of the lowest 2 GB.
const REACH: u64 = 0x40_0000;

/// Bytes between the places where a block may begin.
const PAGE: u64 = 0x1000;

/// Most pages that are looked at.
const MAX_PAGES: usize = 0x4000;

/// Most threads whose blocks say where to look.
const MAX_KNOWN: usize = 0x1000;

/// Threads whose blocks are there: a block names itself, this process and its thread, and the thread's stack is there.
/// Windows frees both when a thread ends; Wine keeps those of the last one that did, so there they say nothing.
#[must_use]
pub(super) fn owners(target: &Target) -> BTreeSet<Tid> {
    let mut out = BTreeSet::new();
    if !super::is_wine(target) {
        // Where the search ends early, as many as were found.
        let _ = look(target, &mut out);
    }
    out
}

fn look(target: &Target, out: &mut BTreeSet<Tid>) -> Option<()> {
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
        let ours = teb.is_valid() && teb.process_id == Some(u64::from(pid.0));
        let tid = teb.thread_id.filter(|_| ours).and_then(|t| u32::try_from(t).ok());
        let has_stack = || {
            let top = teb.stack_base.and_then(|b| b.0.checked_sub(machine.ptr_size() as u64));
            top.is_some_and(|top| memory.ptr(Va(top), machine).is_some())
        };
        out.extend(tid.filter(|_| has_stack()).map(Tid));
        at = at.checked_add(PAGE)?;
    }
    Some(())
}
