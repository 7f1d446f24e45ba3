//! Fibers that do not run: those that resumed the running one, a thread's first one, and suspended ones that the
//! threads' own stacks name (a `Fiber`, or an `Enumerator` between two calls of `next`).

use super::core::Core;
use super::frames;
use super::layout::Tail;
use super::threads::Thread;
use dumpscope_core::Va;
use std::collections::BTreeSet;

/// Most fibers of a process.
const MAX_FIBERS: usize = 4096;
/// Most words of all VM stacks that are looked through.
const MAX_WORDS: u64 = 1 << 17;

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Fiber {
    pub(super) address: Va,
    pub(super) context: Va,
    /// It waits for the fiber that it resumed.
    pub(super) resuming: bool,
}

/// Finds them, in the threads' order.
pub(super) fn find(core: &Core, tail: &Tail, threads: &[Thread]) -> Vec<Fiber> {
    let Some(ec) = tail.fiber_ec else { return Vec::new() };
    let owners: BTreeSet<Va> = threads.iter().map(|t| t.address).collect();
    let running = threads.iter().filter_map(|t| core.field(t.context?, tail.ec_fiber)).collect();
    let mut search = Search { core, tail, ec, owners, seen: running, found: Vec::new() };
    let mut room = MAX_WORDS;
    for thread in threads {
        let Some(context) = thread.context else { continue };
        let first = search.found.len();
        search.resumers(thread, context);
        search.on_stack(context, &mut room);
        // Suspended ones may keep others.
        let mut next = first;
        while let Some(context) = search.found.get(next).map(|f| f.context) {
            search.on_stack(context, &mut room);
            next += 1;
        }
    }
    search.found
}

struct Search<'a> {
    core: &'a Core,
    tail: &'a Tail,
    ec: u64,
    owners: BTreeSet<Va>,
    seen: BTreeSet<Va>,
    found: Vec<Fiber>,
}

impl Search<'_> {
    /// Adds a fiber that was not seen and whose context is sound.
    fn add(&mut self, fiber: Va, resuming: bool) -> bool {
        let context = fiber.offset(self.ec);
        let owner = self.core.field(context, self.tail.ec_thread);
        let sound = owner.is_some_and(|o| self.owners.contains(&o)) && frames::is_context(self.core, context);
        let new = sound && self.found.len() < MAX_FIBERS && self.seen.insert(fiber);
        if new {
            self.found.push(Fiber { address: fiber, context, resuming });
        }
        new
    }

    fn resumers(&mut self, thread: &Thread, context: Va) {
        let (Some(prev), Some(root)) = (self.tail.fiber_prev, self.tail.root_fiber) else { return };
        let mut at = self.core.field(context, self.tail.ec_fiber);
        // Ends: every fiber is added once.
        while let Some(fiber) = at {
            at = self.core.field(fiber, prev).filter(|f| self.add(*f, true));
        }
        if let Some(root) = self.core.field(thread.address, root) {
            self.add(root, false);
        }
    }

    /// Fibers and enumerators among the values of a VM stack.
    fn on_stack(&mut self, context: Va, room: &mut u64) {
        let Some((first, end)) = frames::values(self.core, context) else { return };
        let word = self.core.layout.word;
        let count = ((end - first) / word).min(*room);
        *room -= count;
        for index in 0..count {
            // Most of the stack is not in use: only what leads to a fiber says something.
            let at = Va(first).offset(index * word);
            let Some(value) = self.core.scanned_word(at) else { continue };
            if let Some(fiber) = self.fiber_of(Va(value)) {
                self.core.word(at);
                self.add(fiber, false);
            }
        }
    }

    fn fiber_of(&self, value: Va) -> Option<Va> {
        let (record, kind) = self.core.data(value)?;
        match kind.as_str() {
            "fiber" => Some(record),
            // Its object, method and arguments come first.
            "enumerator" => {
                let fiber = self.core.field(record, 3 * self.core.layout.word)?;
                self.core.data(fiber).filter(|(_, kind)| kind == "fiber").map(|(record, _)| record)
            }
            _ => None,
        }
    }
}
