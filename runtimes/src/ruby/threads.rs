//! Ruby's threads and fibers: found from the runtime's own list and the threads' local storage.

use super::core::Core;
use super::fibers::{self, Fiber};
use super::frames;
use super::layout::{Tail, VmTail};
use crate::NativeThread;
use dumpscope_core::{Tid, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Most threads of a process.
const MAX_THREADS: usize = 8192;
/// Slots of thread local storage: in the environment block, and behind it.
const SLOTS: u64 = 64;
const MORE_SLOTS: u64 = 1024;
/// How far tails are searched, in words: longer than any thread record's part that is looked for.
const MAX_TAIL_WORDS: u64 = 80;
/// A fiber's execution context begins within this many bytes of it.
const MAX_FIBER_HEAD: u64 = 0x200;
/// Values below are no objects.
const FIRST_OBJECT: u64 = 0x40;

/// What a thread does, as Ruby says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Runnable,
    Sleep,
    SleepForever,
    Dead,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Status::Runnable => "runnable",
            Status::Sleep => "sleep",
            Status::SleepForever => "sleep_forever",
            Status::Dead => "dead",
        }
    }

    /// True when it waits, by Ruby's own record.
    pub(super) fn sleeps(self) -> bool {
        matches!(self, Status::Sleep | Status::SleepForever)
    }
}

/// A thread.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) address: Va,
    pub(super) context: Option<Va>,
    pub(super) tid: Option<Tid>,
    pub(super) object: Va,
    pub(super) name: Option<String>,
    pub(super) status: Option<Status>,
    pub(super) main: bool,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Threads {
    pub(super) list: Vec<Thread>,
    pub(super) fibers: Vec<Fiber>,
    pub(super) tail: Tail,
    /// The tail is one that was seen, and holds here.
    pub(super) verified: bool,
    pub(super) program: Option<String>,
    /// The global lock, and the thread that has it.
    pub(super) lock: Option<Va>,
    pub(super) holder: Option<usize>,
    vm: Va,
}

/// A context, and the native thread whose storage names it.
type Seed = (Va, Option<Tid>);

impl Threads {
    /// Reads them; says why not.
    pub(super) fn read(core: &Core) -> Result<Threads, &'static str> {
        let vm = core.export("ruby_current_vm_ptr").or_else(|| core.export("ruby_current_vm"));
        let vm = vm
            .and_then(|at| core.field(at, 0))
            .ok_or("its VM record is not in the dump, or it is not started")?;
        let seeds = seeds(core);
        if seeds.is_empty() {
            return Err("no thread's storage names a Ruby thread");
        }
        let holds = |tail: &Tail| seeds.iter().any(|(c, _)| thread_of(core, tail, vm, *c).is_some());
        let seen = core.layout.tail.filter(holds);
        let measured = || seeds.iter().find_map(|(c, _)| measure(core, *c, vm));
        let tail = seen.or_else(measured).ok_or("its threads do not look as this version's should")?;
        let mut all = Threads {
            list: Vec::new(),
            fibers: Vec::new(),
            tail,
            verified: seen.is_some(),
            program: None,
            lock: None,
            holder: None,
            vm,
        };
        all.fill_list(core, &seeds);
        if seen.is_none() {
            all.tail.thread_name = all.measure_name(core);
            all.tail.thread_locking = all.measure_locking(core);
        }
        all.fill_details(core);
        if let Some(tail) = all.tail.vm {
            all.fill_vm(core, tail);
        }
        all.fibers = fibers::find(core, &all.tail, &all.list);
        Ok(all)
    }

    /// Index of the thread with this record.
    pub(super) fn index_of(&self, address: Va) -> Option<usize> {
        self.list.iter().position(|t| t.address == address)
    }

    /// Index of the thread that a context belongs to.
    pub(super) fn index_of_context(&self, core: &Core, context: Va) -> Option<usize> {
        self.index_of(thread_of(core, &self.tail, self.vm, context)?)
    }

    fn fill_list(&mut self, core: &Core, seeds: &[Seed]) {
        let mut found: Vec<Va> = Vec::new();
        let mut known = BTreeSet::new();
        let mut tids = BTreeMap::new();
        let mut main = None;
        for (context, tid) in seeds {
            let Some(thread) = thread_of(core, &self.tail, self.vm, *context) else { continue };
            if !known.contains(&thread) {
                let (ring, complete) = ring(core, &self.tail, self.vm, thread, &known);
                main = main.or(ring.first().copied().filter(|_| complete));
                found.extend(ring.into_iter().filter(|t| known.insert(*t)));
            }
            if let Some(tid) = tid {
                tids.entry(thread).or_insert(*tid);
            }
        }
        if tids.is_empty() {
            tids = tids_by_slot(core, &known);
        }
        for address in found.into_iter().take(MAX_THREADS) {
            let context = context_of(core, &self.tail, address);
            self.list.push(Thread {
                address,
                context: context.filter(|c| frames::is_context(core, *c)),
                tid: tids.get(&address).copied(),
                object: core.field(address, 2 * core.layout.word).unwrap_or_default(),
                name: None,
                status: None,
                main: main == Some(address),
            });
        }
    }

    fn fill_details(&mut self, core: &Core) {
        let tail = self.tail;
        for thread in &mut self.list {
            let name = tail.thread_name.and_then(|at| core.field(thread.address, at));
            thread.name = name.and_then(|v| core.string(v)).filter(|n| !n.is_empty());
            let status = tail.thread_status.and_then(|at| core.u32(thread.address.offset(at)));
            thread.status = status.map(|s| match s & 3 {
                0 => Status::Runnable,
                1 => Status::Sleep,
                2 => Status::SleepForever,
                _ => Status::Dead,
            });
        }
    }

    fn fill_vm(&mut self, core: &Core, tail: VmTail) {
        if let Some(main) = core.field(self.vm, tail.main_thread).filter(|m| self.index_of(*m).is_some()) {
            self.list.iter_mut().for_each(|t| t.main = t.address == main);
        }
        self.program = core.field(self.vm, tail.program_name).and_then(|v| core.string(v));
        let Some(ractor) = core.field(self.vm, tail.main_ractor) else { return };
        self.lock = Some(ractor.offset(tail.lock));
        // It is not cleared when the lock is given up, but then its thread sleeps.
        let last = core.field(ractor, tail.running).and_then(|c| self.index_of_context(core, c));
        self.holder = last.filter(|i| self.list.get(*i).is_some_and(|t| t.status == Some(Status::Runnable)));
    }

    /// The only field of all threads that is nil or a String, and a String in one of them.
    fn measure_name(&self, core: &Core) -> Option<u64> {
        self.measure_field(core, &|value| match value {
            0..FIRST_OBJECT => Some(false),
            _ => core.string(Va(value)).map(|_| true),
        })
    }

    /// The only field of all threads that is empty or a Mutex, and a Mutex in one of them.
    fn measure_locking(&self, core: &Core) -> Option<u64> {
        self.measure_field(core, &|value| match value {
            0 => Some(false),
            _ => core.data(Va(value)).filter(|(_, name)| name == "mutex").map(|_| true),
        })
    }

    /// `is`: `None` for a value that the field cannot have, true for one that tells.
    fn measure_field(&self, core: &Core, is: &dyn Fn(u64) -> Option<bool>) -> Option<u64> {
        let fits = |offset: &u64| {
            let mut told = false;
            for thread in self.list.iter().take(64) {
                let value = core.word(thread.address.offset(*offset));
                match value.and_then(is) {
                    Some(tells) => told |= tells,
                    None => return false,
                }
            }
            told
        };
        let first = self.tail.thread_ec / core.layout.word + 1;
        let mut fitting = (first..MAX_TAIL_WORDS).map(|i| i * core.layout.word).filter(fits);
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }
}

/// Contexts to begin with.
fn seeds(core: &Core) -> Vec<Seed> {
    if let Some(key) = core.export("ruby_current_ec_key").and_then(|at| core.u32(at)) {
        let threads = core.process().threads.iter().take(MAX_THREADS);
        return threads.filter_map(|t| Some((local(core, t, key.into())?, Some(t.tid)))).collect();
    }
    // 2.5 to 2.7 keep the context of the thread that ran last, 2.4 its thread.
    let last = core.export("ruby_current_execution_context_ptr").and_then(|at| core.field(at, 0));
    let thread = || core.export("ruby_current_thread").and_then(|at| core.field(at, 0));
    let in_thread = || core.layout.context_in_thread.then(|| Some(thread()?.offset(4 * core.layout.word)))?;
    last.or_else(in_thread).map(|context| (context, None)).into_iter().collect()
}

/// The value in a thread's local storage, not null.
fn local(core: &Core, thread: &NativeThread, slot: u64) -> Option<Va> {
    let word = core.layout.word;
    let (near, far) = if word == 8 { (0x1480, 0x1780) } else { (0xe10, 0xf94) };
    let teb = native_block(core, thread.teb);
    match slot.checked_sub(SLOTS) {
        None => core.field(teb, near + slot * word),
        Some(slot) if slot < MORE_SLOTS => core.field(core.field(teb, far)?, slot * word),
        Some(_) => None,
    }
}

/// The environment block of the program's own width: the 32-bit one of a program on 64-bit Windows lies behind the
/// other. Each names itself.
fn native_block(core: &Core, teb: Va) -> Va {
    let names_itself = |at: Va| core.word(at.offset(0x18)) == Some(at.0);
    let behind = teb.offset(0x2000);
    if core.layout.word == 4 && !names_itself(teb) && names_itself(behind) { behind } else { teb }
}

/// Native threads by the slot in which most of them have a Ruby thread; none when that is not one slot.
fn tids_by_slot(core: &Core, threads: &BTreeSet<Va>) -> BTreeMap<Va, Tid> {
    let mut best: BTreeMap<Va, Tid> = BTreeMap::new();
    let mut unique = true;
    for slot in 0..SLOTS {
        let mut found = BTreeMap::new();
        for native in core.process().threads.iter().take(MAX_THREADS) {
            if let Some(thread) = local(core, native, slot).filter(|t| threads.contains(t)) {
                found.entry(thread).or_insert(native.tid);
            }
        }
        if found.len() > best.len() {
            (best, unique) = (found, true);
        } else if !found.is_empty() && found.len() == best.len() && found != best {
            unique = false;
        }
    }
    if unique { best } else { BTreeMap::new() }
}

/// The thread of a context; both must name each other and the VM.
fn thread_of(core: &Core, tail: &Tail, vm: Va, context: Va) -> Option<Va> {
    let thread = if core.layout.context_in_thread {
        context.back(4 * core.layout.word)
    } else {
        core.field(context, tail.ec_thread)?
    };
    (core.field(thread, tail.thread_vm)? == vm && frames::is_context(core, context)).then_some(thread)
}

fn context_of(core: &Core, tail: &Tail, thread: Va) -> Option<Va> {
    if core.layout.context_in_thread {
        return Some(thread.offset(4 * core.layout.word));
    }
    core.field(thread, tail.thread_ec).filter(|c| core.field(*c, tail.ec_thread) == Some(thread))
}

/// The ring of threads that one is in, in the runtime's order: it goes through its head, which is no thread. False
/// when no head was found: then the order is unknown. Ends at threads that are known.
fn ring(core: &Core, tail: &Tail, vm: Va, first: Va, known: &BTreeSet<Va>) -> (Vec<Va>, bool) {
    let is_thread = |at: Va| core.field(at, tail.thread_vm) == Some(vm);
    let (mut before, mut after) = (vec![first], Vec::new());
    let mut seen = BTreeSet::from([first]);
    let (mut at, mut head) = (first, false);
    while seen.len() < MAX_THREADS {
        let Some(next) = core.field(at, 0) else { break };
        if known.contains(&next) || !seen.insert(next) {
            break;
        }
        match (is_thread(next), head) {
            (true, false) => before.push(next),
            (true, true) => after.push(next),
            (false, false) => head = true,
            (false, true) => break,
        }
        at = next;
    }
    // What came after the head is the start of the list.
    after.append(&mut before);
    (after, head)
}

/// Finds where a context names its thread and that names both: no other words do.
fn measure(core: &Core, context: Va, vm: Va) -> Option<Tail> {
    let word = core.layout.word;
    let tail = |ec_thread: u64, thread_vm: u64, thread_ec: u64| Tail {
        ec_thread,
        ec_fiber: ec_thread.saturating_sub(word),
        thread_vm,
        thread_ec,
        fiber_ec: None,
        thread_status: None,
        thread_locking: None,
        thread_keeping: None,
        thread_name: None,
        root_fiber: None,
        fiber_prev: None,
        vm: None,
    };
    if core.layout.context_in_thread {
        let tail = tail(0, 3 * word, 4 * word);
        return thread_of(core, &tail, vm, context).map(|_| tail);
    }
    let places = (3..12).flat_map(|at| [(at, 3, 4), (at, 4, 5), (at, 4, 6)]);
    let tails = places.map(|(at, vm, ec)| tail(at * word, vm * word, ec * word));
    let mut found = tails.into_iter().find(|t| {
        let thread = thread_of(core, t, vm, context);
        thread.is_some_and(|thread| core.field(thread, t.thread_ec) == Some(context))
    })?;
    // The context lies in its fiber.
    let fiber = core.field(context, found.ec_fiber)?;
    found.fiber_ec = context.0.checked_sub(fiber.0).filter(|d| *d > 0 && *d < MAX_FIBER_HEAD);
    Some(found)
}
