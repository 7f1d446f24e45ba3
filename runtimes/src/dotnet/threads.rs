//! The runtime's list of threads.
//!
//! State bits: `threads.h` of dotnet/runtime (MIT), checked on 8.0.33, 9.0.22 and 10.0.14 against its debugging library.

use super::Clr;
use super::layout::{Field, Variable};
use crate::ScriptThread;
use dumpscope_core::{Tid, Va};
use std::collections::BTreeSet;

/// Most threads.
const MAX_THREADS: usize = 20_000;

/// Bits of a thread's state and their words, in the order of words.
const STATES: &[(u32, &str)] = &[
    (0x0000_0200, "background"),
    (0x0000_0400, "unstarted"),
    (0x0000_0800, "dead"),
    (0x0000_4000, "sta"),
    (0x0000_8000, "mta"),
    (0x0100_0000, "pool_worker"),
    (0x0200_0000, "wait_sleep_join"),
];
/// `TS_Dead`.
pub(super) const DEAD: u32 = 0x800;

/// A thread's record.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) address: Va,
    pub(super) os_id: u32,
    pub(super) state: u32,
    /// True in cooperative mode: a collection waits for it.
    pub(super) cooperative: bool,
    /// Its managed object, while that lives.
    pub(super) object: Option<Va>,
    /// Its topmost explicit frame.
    pub(super) frame: Option<Va>,
    pub(super) finalizer: bool,
    pub(super) script: ScriptThread,
}

impl Clr {
    /// All threads, in the runtime's order.
    pub(super) fn threads(&self) -> &[Thread] {
        self.threads.get_or_init(|| self.read_threads())
    }

    fn read_threads(&self) -> Vec<Thread> {
        let core = &self.core;
        let native: BTreeSet<u32> = core.process.threads.iter().map(|t| t.tid.0).collect();
        let mut out = Vec::new();
        let mut seen = BTreeSet::new();
        let first = core.variable_target(Variable::ThreadStore);
        let mut link = first.and_then(|store| core.target(store, Field::StoreFirstThreadLink));
        let Some(offset) = core.layout.offset(Field::ThreadLink) else { return out };
        while let Some(at) = link.filter(|at| seen.insert(*at) && out.len() < MAX_THREADS) {
            let Some(thread) = self.read_thread(at.back(offset), &native) else { break };
            out.push(thread);
            link = core.deref(at);
        }
        out
    }

    fn read_thread(&self, address: Va, native: &BTreeSet<u32>) -> Option<Thread> {
        let core = &self.core;
        let os_id = core.u32(address, Field::ThreadOsId)?;
        let state = core.u32(address, Field::ThreadState)?;
        let finalizer = core.variable_target(Variable::Finalizer) == Some(address);
        let mut words: Vec<_> =
            STATES.iter().filter(|(bit, _)| state & bit != 0).map(|(_, word)| *word).collect();
        if finalizer {
            words.push("finalizer");
        }
        let handle = core.target(address, Field::ThreadObject);
        let object =
            handle.and_then(|h| core.deref(h)).filter(|o| self.object_is(*o, "System.Threading.Thread"));
        let alive = state & DEAD == 0 && native.contains(&os_id);
        Some(Thread {
            address,
            os_id,
            state,
            cooperative: core.u32(address, Field::ThreadCooperative)? != 0,
            object,
            frame: core.target(address, Field::ThreadFrame).filter(|f| f.0 != u64::MAX),
            finalizer,
            script: ScriptThread {
                address,
                tid: alive.then_some(Tid(os_id)),
                id: core.u32(address, Field::ThreadId)?.into(),
                name: object.and_then(|o| self.text(o, "_name")).filter(|n| !n.is_empty()),
                state: words,
                alive,
                carrier: None,
            },
        })
    }
}
