//! What the commands of .NET's debugger ask.

use super::Clr;
use super::layout::{Field, Variable};
use crate::clr::{AsyncChain, ClrReader, ClrThread, ClrThreads, HeapRow, HeapStat, StackItem, SyncBlock};
use crate::{ScriptFrame, Walked};
use dumpscope_core::Va;
use std::collections::{BTreeMap, BTreeSet};

/// Most chains that are told.
const MAX_CHAINS: usize = 10_000;

impl ClrReader for Clr {
    fn clr_threads(&self) -> ClrThreads {
        let core = &self.core;
        let store = core.variable_target(Variable::ThreadStore).unwrap_or_default();
        let count = |field| core.u32(store, field).unwrap_or(0);
        let domain = core.variable_target(Variable::AppDomain).unwrap_or_default();
        let suspending = core.variable_target(Variable::SuspendingThread);
        let row = |t: &super::threads::Thread| {
            // 9, 10: an ended thread has no locals. 8 keeps the context in the thread.
            let context = match core.at(t.address, Field::ThreadLocals) {
                Some(_) => core.target(t.address, Field::ThreadLocals),
                None => Some(t.address),
            };
            let place = |field| context.and_then(|c| core.ptr(c, field)).unwrap_or_default();
            let object = self.last_thrown(t);
            let nested = self.tracked(t).len() > 1;
            ClrThread {
                id: t.script.id,
                os_id: t.os_id,
                address: t.address,
                state: t.state,
                cooperative: t.cooperative,
                allocation: (place(Field::AllocPointer), place(Field::AllocLimit)),
                domain,
                finalizer: t.finalizer,
                suspending: suspending == Some(t.address),
                exception: object.and_then(|o| Some((self.object_name(o)?.to_string(), o, nested))),
            }
        };
        ClrThreads {
            count: count(Field::StoreThreadCount),
            unstarted: count(Field::StoreUnstarted),
            background: count(Field::StoreBackground),
            pending: count(Field::StorePending),
            dead: count(Field::StoreDead),
            rows: self.threads().iter().map(row).collect(),
        }
    }

    fn stack(&self, stack: Walked<'_>) -> Vec<StackItem> {
        let thread = self.threads().iter().find(|t| t.script.tid == Some(stack.tid));
        thread.map(|t| self.woven(t, stack.frames)).unwrap_or_default()
    }

    fn frame_at(&self, address: Va) -> Option<ScriptFrame> {
        self.method_frame(address, address, Va(0))
    }

    fn sync_blocks(&self) -> Vec<SyncBlock> {
        let one = |m: super::locks::Monitor| {
            let owner = m.owner.and_then(|i| self.threads().get(i));
            Some(SyncBlock {
                index: m.index?,
                address: m.block,
                held: m.held,
                recursion: m.recursion,
                waiting: m.waiting,
                owner: owner.map(|t| (t.address, t.os_id)),
                object: m.object,
                object_type: self.object_name(m.object).map(|n| n.to_string()).unwrap_or_default(),
            })
        };
        Clr::sync_blocks(self).into_iter().filter_map(one).collect()
    }

    fn heap_stat(&self) -> HeapStat {
        let mut counts: BTreeMap<Va, (u64, u64)> = BTreeMap::new();
        let skipped = self.walk_heap(&mut |visit| {
            let row = counts.entry(visit.type_record).or_default();
            row.0 += 1;
            row.1 = row.1.saturating_add(visit.size);
            true
        });
        let name = |mt| self.type_name(mt).map_or_else(|| "?".to_owned(), |n| n.to_string());
        let row = |(mt, (count, bytes))| HeapRow { type_record: mt, count, bytes, name: name(mt) };
        let mut rows: Vec<_> = counts.into_iter().map(row).collect();
        rows.sort_by(|a, b| (a.bytes, &a.name, a.type_record).cmp(&(b.bytes, &b.name, b.type_record)));
        HeapStat {
            rows,
            skipped: skipped.bytes,
            stopped: skipped.stopped,
            moving: self.heap_is_moving(),
            server: self.is_server(),
        }
    }

    fn is_server(&self) -> bool {
        Clr::is_server(self)
    }

    fn async_chains(&self) -> (Vec<AsyncChain>, bool) {
        let index = self.task_index();
        let awaited: BTreeSet<Va> = index.boxes.iter().filter_map(|b| self.awaited(*b)).collect();
        let unfinished = |b: &&Va| self.is_pending(**b) == Some(true) && !awaited.contains(*b);
        let chain = |b: &Va| {
            let objects = self.chain(*b);
            AsyncChain {
                address: *b,
                chain: objects.iter().map(|o| self.describe(*o)).collect(),
                state: self.machine_state(*b),
                reason: objects.last().map(|o| self.reason(*o)).unwrap_or_default(),
            }
        };
        (index.boxes.iter().filter(unfinished).take(MAX_CHAINS).map(chain).collect(), index.stopped)
    }
}
