//! Whether a thread exists: one answer for locks, mutexes, handles and findings.
//!
//! A thread that is in the list exists. One that is not may have been left out by the dump's writer: its times, an open
//! handle to it or its block (TEB) say so.

use crate::Target;
use crate::model::OwnerState;
use dumpscope_core::error::Parsed;
use dumpscope_core::model::Teb;
use dumpscope_core::stream::handle_data::ObjectInfo;
use dumpscope_core::{ReadMemory, Tid, Va};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// Distance from the known blocks within which others are looked for, bytes. Windows 10 keeps all of them beside the PEB;
/// older systems put them below the top of the lowest 2 GB.
const REACH: u64 = 0x40_0000;

/// Bytes between the places where a block may begin.
const PAGE: u64 = 0x1000;

/// Most pages that are looked at.
const MAX_PAGES: usize = 0x4000;

/// Most threads whose blocks say where to look.
const MAX_KNOWN: usize = 0x1000;

/// Threads that the list lacks, when somebody asked.
#[derive(Default)]
struct Unlisted(OnceLock<BTreeSet<Tid>>);

/// Whether a thread of this process exists.
#[must_use]
pub fn thread_state(target: &Target, tid: Tid) -> OwnerState {
    if target.dump.thread_by_tid(tid).is_some() {
        return OwnerState::Alive;
    }
    // Only a thread list that was read to its end can say that a thread is gone.
    let complete = matches!(target.dump.thread_list(), Parsed::Fine(list) if !list.is_empty());
    if !complete || target.memo::<Unlisted>().0.get_or_init(|| unlisted(target)).contains(&tid) {
        return OwnerState::Unknown;
    }
    OwnerState::Missing
}

/// Why a thread that [`thread_state`] calls missing is believed to be gone, one sentence.
#[must_use]
pub fn missing_words(target: &Target, tid: Tid) -> String {
    let n = target.dump.threads().len();
    // Wine keeps the block of a thread that ended: there it was not looked for.
    let block =
        if target.is_wine() { "no thread times" } else { "no thread times and no thread block (TEB)" };
    let handle = match by_handle(target).get(&tid) {
        Some(false) => "; an open handle to it says that it ended",
        _ => "",
    };
    format!(
        "the complete list of {n} threads has no thread {:x}, and {block} of it are in the dump either{handle}",
        tid.0
    )
}

/// Threads that the list may lack though they exist. A writer that filtered threads out may have left their times in;
/// an open handle to a thread may say that it still runs; its block may be there.
fn unlisted(target: &Target) -> BTreeSet<Tid> {
    let dump = &target.dump;
    let mut out: BTreeSet<Tid> = dump.thread_info().value().into_iter().flatten().map(|t| t.tid).collect();
    out.extend(by_handle(target).into_iter().filter(|(_, runs)| *runs).map(|(tid, _)| tid));
    out.extend(blocks(target));
    out
}

/// What open handles to threads of this process say: whether they still run.
fn by_handle(target: &Target) -> BTreeMap<Tid, bool> {
    const STILL_ACTIVE: u32 = 0x103;
    let mut out = BTreeMap::new();
    let Some(handles) = target.dump.handles().value() else { return out };
    for info in handles.handles.iter().flat_map(|h| &h.info) {
        if let ObjectInfo::Thread { tid, pid, exit_status, .. } = info
            && target.dump.pid().is_none_or(|p| p == *pid)
        {
            out.entry(*tid).or_insert(*exit_status == STILL_ACTIVE);
        }
    }
    out
}

/// Threads whose blocks are there: a block names itself, this process and its thread, and the thread's stack is there.
/// Windows frees both when a thread ends; Wine keeps those of the last one that did, so there they say nothing.
fn blocks(target: &Target) -> BTreeSet<Tid> {
    let mut out = BTreeSet::new();
    if !target.is_wine() {
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
