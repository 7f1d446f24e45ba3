//! What stands around the object that a thread waits for: a `SemaphoreSlim` waits by the monitor of an inner object, a
//! `CountdownEvent` by an inner event. Where the outer object is not alive in its own frame, the heap says whose inner
//! one it is. And who holds a `ReaderWriterLockSlim` for reading, which the lock itself does not say.

use super::Clr;
use super::waits::Managed;
use crate::{Proof, ScriptWait, WaitKind, Walked};
use dumpscope_core::{Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Outer types and their fields with the inner object (the same in 8, 9 and 10).
const INNER: &[(&str, &str)] = &[
    ("System.Threading.SemaphoreSlim", "m_lockObjAndDisposed"),
    ("System.Threading.CountdownEvent", "_event"),
    ("System.Threading.ManualResetEventSlim", "m_lock"),
];
/// Most outer objects that are kept.
const MAX_OUTER: usize = 1 << 18;
/// Most waiters of one semaphore that are followed.
const MAX_NODES: usize = 4096;
/// Bits of `ReaderWriterLockSlim._owners` that count readers.
const READERS: i64 = 0x0fff_ffff;
/// The bits above: a writer holds it, or one waits for the last reader.
const WRITER: i64 = 0x8000_0000;

/// Outer objects by inner ones.
pub(super) type OuterIndex = BTreeMap<Va, Va>;

impl Clr {
    /// The object of type `of` around an inner one.
    pub(super) fn outer(&self, inner: Va, of: &str) -> Option<Va> {
        let index = self.outer_index.get_or_init(|| self.read_outer());
        index.get(&inner).copied().filter(|o| self.object_is(*o, of))
    }

    fn read_outer(&self) -> OuterIndex {
        let mut kinds: BTreeMap<Va, Option<&'static str>> = BTreeMap::new();
        let mut out = OuterIndex::new();
        self.walk_heap(&mut |visit| {
            let field = *kinds.entry(visit.type_record).or_insert_with(|| {
                INNER.iter().find(|(name, _)| self.is_a(visit.type_record, name)).map(|(_, field)| *field)
            });
            if let Some(inner) = field.and_then(|f| self.reference(visit.object, f)) {
                out.entry(inner).or_insert(visit.object);
                // Behind asynchronous waiters a thread waits by a node of their list.
                let mut node = self.reference(visit.object, "m_asyncHead");
                for _ in 0..MAX_NODES {
                    let Some(at) = node.filter(|n| !out.contains_key(n)) else { break };
                    out.insert(at, visit.object);
                    node = self.reference(at, "Next");
                }
            }
            out.len() < MAX_OUTER
        });
        out
    }

    /// Names the thread that holds a reader-writer lock for reading, where only one can be: a stack that has the lock, and
    /// does not wait for it. A guess.
    pub(super) fn add_readers(&self, stacks: &[Walked<'_>], waits: &mut [ScriptWait]) {
        const LOCK: &str = "System.Threading.ReaderWriterLockSlim";
        let wanted =
            |w: &&ScriptWait| w.kind == WaitKind::ScriptLock && w.object_type.as_deref() == Some(LOCK);
        let locks: BTreeSet<Va> = waits.iter().filter(wanted).filter_map(|w| w.object).collect();
        for lock in locks {
            let owners = self.number(lock, "_owners").unwrap_or(0);
            let readers = owners & READERS;
            if readers == 0 || owners & WRITER != 0 || self.rw_lock(lock).is_none_or(|l| !l.owners.is_empty())
            {
                continue;
            }
            let waiters: BTreeSet<Tid> =
                waits.iter().filter(|w| w.object == Some(lock)).map(|w| w.tid).collect();
            let has = |s: &&Walked<'_>| !waiters.contains(&s.tid) && self.refers(**s, lock);
            let found: Vec<Tid> = stacks.iter().filter(has).map(|s| s.tid).collect();
            if i64::try_from(found.len()).ok() != Some(readers) {
                continue;
            }
            let Some(first) = found.first() else { continue };
            for wait in waits.iter_mut().filter(|w| w.object == Some(lock)) {
                wait.target = Some(*first);
                wait.proof = Proof::StackWord;
            }
        }
    }

    /// True when a frame of a stack keeps an object alive, or one with a field that leads to it.
    fn refers(&self, stack: Walked<'_>, object: Va) -> bool {
        let managed: Vec<Managed> = self.managed(stack.frames);
        let mut live = managed.iter().flat_map(|m| self.live_objects(stack.frames, m, &[]));
        live.any(|o| o == object || self.field_leads(o, object))
    }

    fn field_leads(&self, from: Va, to: Va) -> bool {
        let fields = self.object_type(from).and_then(|mt| self.fields(mt));
        fields.is_some_and(|fields| {
            let mut own = fields.values().filter(|f| !f.is_static && matches!(f.element, 0x12 | 0x1c));
            own.any(|f| self.core.deref(from.offset(f.offset)) == Some(to))
        })
    }
}
