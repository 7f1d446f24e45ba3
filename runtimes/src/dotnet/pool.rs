//! The thread pool: workers, limits, queued work.
//!
//! All by field names of the base library (`PortableThreadPool`, `ThreadPoolWorkQueue`, `ConcurrentQueueSegment`), which are
//! the same in 8, 9 and 10.

use super::Clr;
use crate::Pool;
use dumpscope_core::Va;
use std::collections::{BTreeMap, BTreeSet};

/// Most segments of a queue, and most queues.
const MAX_SEGMENTS: usize = 10_000;
const MAX_QUEUES: usize = 4096;

/// Objects of the pool, found by one walk of the heap.
#[derive(Debug, Default)]
struct Found {
    pool: Option<Va>,
    queues: Vec<Va>,
    stealing: Vec<Va>,
}

/// Which part an object is.
#[derive(Clone, Copy)]
enum Part {
    Pool,
    Queue,
    Stealing,
    None,
}

impl Clr {
    /// The pool, when the process has started it.
    pub(super) fn pool(&self) -> Option<Pool> {
        let found = self.find_pool();
        let pool = found.pool?;
        let counts = self.pool_counts(pool)?;
        let part = |shift: u32| u32::try_from(counts >> shift & 0xffff).unwrap_or(0);
        let limit = |name| self.number(pool, name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let local: u64 = found.stealing.iter().map(|q| self.stealing_length(*q).unwrap_or(0)).sum();
        // A segment counts once, whatever damaged lists say.
        let mut seen = BTreeSet::new();
        let queued: u64 = found.queues.iter().map(|q| self.work_length(*q, &mut seen)).sum();
        Some(Pool {
            working: part(0),
            existing: part(16),
            goal: part(32),
            min: limit("_minThreads"),
            max: limit("_maxThreads"),
            queued: queued.saturating_add(local),
        })
    }

    fn find_pool(&self) -> Found {
        let mut kinds: BTreeMap<Va, Part> = BTreeMap::new();
        let mut found = Found::default();
        self.walk_heap(&mut |visit| {
            let part = *kinds.entry(visit.type_record).or_insert_with(|| {
                match self.plain_name(visit.type_record).as_deref() {
                    Some("System.Threading.PortableThreadPool") => Part::Pool,
                    Some("System.Threading.ThreadPoolWorkQueue") => Part::Queue,
                    Some("System.Threading.ThreadPoolWorkQueue+WorkStealingQueue") => Part::Stealing,
                    _ => Part::None,
                }
            });
            match part {
                Part::Pool => found.pool = found.pool.or(Some(visit.object)),
                Part::Queue if found.queues.len() < MAX_QUEUES => found.queues.push(visit.object),
                Part::Stealing if found.stealing.len() < MAX_QUEUES => found.stealing.push(visit.object),
                _ => {}
            }
            true
        });
        found
    }

    /// Three counts of 16 bits: working, existing, goal.
    fn pool_counts(&self, pool: Va) -> Option<u64> {
        let (separated, _) = self.field(pool, "_separated")?;
        let inner = self.library_type(&["System.Threading.PortableThreadPool", "CacheLineSeparated"])?;
        let fields = self.fields(inner)?;
        let offset = fields.get("counts")?.offset.checked_sub(8)?;
        self.core.memory().u64(separated.offset(offset))
    }

    fn work_length(&self, queue: Va, seen: &mut BTreeSet<Va>) -> u64 {
        let named = ["workItems", "highPriorityWorkItems", "lowPriorityWorkItems"];
        let own = named.iter().filter_map(|n| self.reference(queue, n));
        let assigned = self.reference(queue, "_assignableWorkItemQueues");
        let assigned = assigned.map(|a| self.elements(a, 256)).unwrap_or_default();
        own.chain(assigned).map(|q| self.queue_length(q, seen).unwrap_or(0)).sum()
    }

    /// Items of a `ConcurrentQueue`: tail less head of each segment.
    fn queue_length(&self, queue: Va, seen: &mut BTreeSet<Va>) -> Option<u64> {
        let ends = self.library_type(&["System.Collections.Concurrent.PaddedHeadAndTail"])?;
        let fields = self.fields(ends)?;
        let place = |name: &str| fields.get(name)?.offset.checked_sub(8);
        let (head, tail) = (place("Head")?, place("Tail")?);
        let memory = self.core.memory();
        let mut total = 0u64;
        let mut next = self.reference(queue, "_head");
        for _ in 0..MAX_SEGMENTS {
            let Some(segment) = next.filter(|s| seen.insert(*s)) else { break };
            let (at, _) = self.field(segment, "_headAndTail")?;
            let (head, tail) = (memory.u32(at.offset(head))?, memory.u32(at.offset(tail))?);
            let mut tail = tail;
            // A segment that is closed for more has its tail pushed on by twice its length.
            if self.number(segment, "_frozenForEnqueues")? != 0 {
                let slots = memory.u32(self.reference(segment, "_slots")?.offset(8))?;
                tail = tail.wrapping_sub(slots.wrapping_mul(2));
            }
            let items = tail.wrapping_sub(head).cast_signed().max(0);
            total = total.saturating_add(u64::from(items.unsigned_abs()));
            next = self.reference(segment, "_nextSegment");
        }
        Some(total)
    }

    fn stealing_length(&self, queue: Va) -> Option<u64> {
        let items = self.number(queue, "m_tailIndex")?.checked_sub(self.number(queue, "m_headIndex")?)?;
        u64::try_from(items).ok()
    }
}
