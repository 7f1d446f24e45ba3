//! The facts of a dump, gathered once and shared.
//!
//! The gathering is one list of passes. Each is a function that reads what earlier ones gave.

mod activity;
mod reported;
mod thread;

pub(crate) use reported::{Reporting, reporting};

use crate::crash::{exception_facts, look_into};
use crate::locks::find_locks;
use crate::model::{Facts, Interest};
use crate::script;
use crate::stacks::stack_from;
use crate::waits::loader::Holders;
use crate::waits::{self, AFTER_STOP, com, dll_main, exit, once, rpc, section, slim, windows, words};
use crate::{Cancel, Target};
use dumpscope_core::Machine;
use dumpscope_core::model::LoaderData;
use dumpscope_symbols::Limits;
use std::ops::Deref;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

/// What passes give and need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The recorded exception.
    Exception,
    /// Threads with stacks, times, roles, and the kind of their wait.
    Threads,
    /// What the stack tells of the exception.
    Explained,
    /// Exceptions that threads report.
    Reported,
    /// Critical sections.
    Locks,
    /// COM's data of the threads.
    Com,
    /// Which threads are in an entry point of a DLL.
    EntryPoints,
    /// Who holds the loader.
    Loader,
    /// Whether the process ends, and which thread ends it.
    Exit,
    /// What each thread waits for, and the waiters of each lock.
    Waits,
    /// Waits of which several threads together tell more.
    Agreed,
    /// RPC calls that threads serve.
    Serving,
    /// Locks without an owner.
    Slim,
    /// What runtimes say.
    Script,
    /// One sentence for each thread.
    Sentences,
    /// Threads by id.
    Places,
}

/// A step of the gathering.
struct Pass {
    gives: Part,
    needs: &'static [Part],
    run: fn(&mut Work<'_>),
}

const fn pass(gives: Part, needs: &'static [Part], run: fn(&mut Work<'_>)) -> Pass {
    Pass { gives, needs, run }
}

/// All passes in their order.
const PASSES: &[Pass] = {
    use Part::*;
    &[
        pass(Exception, &[], |w| w.facts.exception = exception_facts(w.target)),
        pass(Threads, &[Exception], threads),
        pass(Threads, &[Exception], unlisted),
        pass(Explained, &[Exception, Threads], explained),
        pass(Reported, &[Exception, Threads], reported),
        pass(Locks, &[Threads], locks),
        pass(Com, &[Threads], |w| com::read_threads(w.target, w.machine, &mut w.facts.threads)),
        pass(EntryPoints, &[Threads], entry_points),
        pass(Loader, &[Threads, Locks, EntryPoints], |w| {
            w.holders = Holders::gather(w.target, w.machine, &w.facts.threads, &w.facts.locks);
        }),
        pass(EntryPoints, &[Loader], more_entry_points),
        pass(Exit, &[Threads], |w| {
            w.facts.exit = exit::process_exit(w.target, &w.facts.threads, w.loader.as_ref());
        }),
        pass(Waits, &[Threads, Locks, Com, Loader], find_waits),
        pass(Agreed, &[Waits], |w| section::agree(&mut w.facts.threads, &w.facts.locks)),
        pass(Agreed, &[Waits], |w| section::place(w.target, &mut w.facts.threads, &mut w.facts.locks)),
        pass(Agreed, &[Waits], |w| once::owners(w.target, w.machine, &mut w.facts.threads)),
        pass(Agreed, &[Waits, Com], |w| com::agree(w.target, &mut w.facts.threads)),
        pass(Serving, &[Threads, Com], |w| rpc::add_serving(w.target, w.machine, &mut w.facts.threads)),
        pass(Slim, &[Waits, Agreed], |w| {
            w.facts.locks.slim = slim::groups(w.target, w.machine, &w.facts.threads);
            slim::suspects(w.target, w.machine, &mut w.facts.threads, w.cancel);
        }),
        pass(Agreed, &[Waits], |w| windows::suspects(&mut w.facts.threads)),
        pass(Script, &[Waits, Agreed, Slim], runtimes),
        pass(Sentences, &[EntryPoints, Exit, Waits, Agreed, Serving, Slim, Script], sentences),
        pass(Script, &[Sentences], |w| script::spare(&w.facts.script, &mut w.facts.threads)),
        pass(Places, &[Threads], |w| {
            let ids = w.facts.threads.iter().enumerate().rev();
            w.facts.places = ids.map(|(nth, t)| (t.tid, nth)).collect();
        }),
    ]
};

/// True when each pass needs only what earlier ones gave.
const fn in_order(passes: &[Pass]) -> bool {
    let mut given = 0_u32;
    let mut rest = passes;
    while let [pass, later @ ..] = rest {
        let mut needs = pass.needs;
        while let [need, others @ ..] = needs {
            if given & (1 << (*need as u32)) == 0 {
                return false;
            }
            needs = others;
        }
        given |= 1 << (pass.gives as u32);
        rest = later;
    }
    true
}

// A wrong order does not compile.
const _: () = assert!(in_order(PASSES), "a pass needs what no earlier one gives");

/// What the passes work on.
struct Work<'a> {
    target: &'a Target,
    machine: Machine,
    cancel: &'a Cancel,
    loader: Option<LoaderData>,
    holders: Holders,
    facts: Facts,
}

impl Work<'_> {
    /// Keeps the first threads: the work was stopped, and nothing is known of the others.
    fn cut(&mut self, threads: usize) {
        self.facts.stopped |= threads < self.facts.threads.len();
        self.facts.threads.truncate(threads);
    }
}

/// Frames of all threads together after which the others are walked less deep.
const MANY_FRAMES: usize = 32_768;
/// So deep.
const LESS_DEEP: usize = 256;
/// Frames of all threads together after which only the innermost ones are walked.
const TOO_MANY_FRAMES: usize = 262_144;
/// So many.
pub(crate) const INNERMOST: usize = 32;

/// How deep the next stack is walked after so many frames of others. The dump decides how many threads share one stack.
fn limits(walked: usize) -> Limits {
    let all = Limits::default();
    match walked {
        0..MANY_FRAMES => all,
        MANY_FRAMES..TOO_MANY_FRAMES => Limits { frames: LESS_DEEP, ..all },
        _ => Limits { frames: INNERMOST, ..all },
    }
}

/// Says that stacks were not walked to their ends, when some were not.
pub(crate) fn cut_stacks(facts: &Facts) -> Option<String> {
    let of = match facts.shortened {
        0 => return None,
        1 => "one thread was".to_owned(),
        n => format!("{n} threads were"),
    };
    Some(format!(
        "the stacks of all threads together have very many frames: {of} not looked at to the outer end"
    ))
}

fn threads(w: &mut Work<'_>) {
    let exception = w.facts.exception.as_ref();
    let mut walked = 0_usize;
    for t in w.target.dump.threads() {
        if w.cancel.is_cancelled() {
            w.facts.stopped = true;
            break;
        }
        // The stack that the exception is about is told whole.
        let limits =
            if exception.is_some_and(|e| e.tid == t.tid) { Limits::default() } else { limits(walked) };
        let facts = thread::thread_facts(w.target, t, exception, &limits, w.cancel);
        let frames = [&facts.stack, &facts.native_stack].into_iter().flatten().map(|s| s.frames.len());
        let cut = limits.frames < Limits::default().frames && frames.clone().max() >= Some(limits.frames);
        walked = walked.saturating_add(frames.sum());
        w.facts.shortened = w.facts.shortened.saturating_add(usize::from(cut));
        w.facts.threads.push(facts);
    }
}

/// A thread that ended, or that the dump's writer left out: the exception stream has its registers.
fn unlisted(w: &mut Work<'_>) {
    let Some(exception) = &w.facts.exception else { return };
    if w.target.dump.thread_by_tid(exception.tid).is_some() {
        return;
    }
    let Some(context) = w.target.dump.exception_context() else { return };
    w.facts.unlisted = Some(stack_from(w.target, &context.regs, None, &Limits::default(), w.cancel));
}

fn explained(w: &mut Work<'_>) {
    let Some(exception) = &mut w.facts.exception else { return };
    let thread = w.facts.threads.iter().find(|t| t.tid == exception.tid);
    let stack = thread.and_then(|t| t.stack.as_ref().or(t.native_stack.as_ref()));
    if let Some(stack) = stack.or(w.facts.unlisted.as_ref()) {
        look_into(w.target, exception, stack, w.cancel);
    }
}

fn reported(w: &mut Work<'_>) {
    if w.facts.exception.as_ref().is_none_or(|e| e.interest != Interest::Crash) {
        let of = |t| reported::of_thread(w.target, t, &Limits::default(), w.cancel);
        w.facts.reported = w.facts.threads.iter().filter_map(of).collect();
    }
}

fn locks(w: &mut Work<'_>) {
    if w.cancel.is_cancelled() {
        w.cut(AFTER_STOP);
    }
    w.facts.locks = find_locks(w.target, w.machine, w.cancel);
}

fn entry_points(w: &mut Work<'_>) {
    for t in &mut w.facts.threads {
        let stack = t.stack.as_ref();
        t.dll_main = stack.and_then(|s| dll_main::dll_main(w.target, s, w.loader.as_ref(), w.cancel));
    }
}

/// Where the stack does not show the entry point, the loader's own data may.
fn more_entry_points(w: &mut Work<'_>) {
    let Some(loader) = &w.loader else { return };
    for t in w.facts.threads.iter_mut().filter(|t| t.dll_main.is_none()) {
        t.dll_main = w.holders.by_data(w.target, loader, t);
    }
}

fn find_waits(w: &mut Work<'_>) {
    let (threads, locks) = (&mut w.facts.threads, &mut w.facts.locks);
    let done = waits::find(w.target, w.machine, threads, locks, &w.holders, w.cancel);
    // A thread that was not looked at would be taken for one that does not wait.
    w.cut(done);
}

fn runtimes(w: &mut Work<'_>) {
    w.facts.script = script::gather(w.target, &w.facts.threads);
    script::settle(&mut w.facts.script, w.facts.exception.as_ref());
    if w.facts.fatal().is_none()
        && let Some(tid) = reported::waits_for_writer(w.target, &w.facts.threads)
    {
        script::settle_unrecorded(&mut w.facts.script, tid);
    }
    script::add_waits(&w.facts.script, &mut w.facts.threads);
}

fn sentences(w: &mut Work<'_>) {
    let threads = &mut w.facts.threads;
    w.facts.locks.notes.extend(w.holders.note(threads));
    let ends = w.facts.exit.as_ref().map(|e| e.tid).filter(|e| threads.iter().any(|t| t.tid == *e));
    for t in threads {
        t.is_main = ends.map_or(t.is_main, |e| e == t.tid);
        let loads = w.holders.loads(w.target, t, w.cancel);
        words::say(w.target, t, ends == Some(t.tid), loads);
    }
}

fn gather(target: &Target, cancel: &Cancel) -> Facts {
    let machine = target.process_machine();
    let loader = target.dump.loader(machine);
    let (holders, facts) = (Holders::default(), Facts::default());
    let mut work = Work { target, machine, cancel, loader, holders, facts };
    PASSES.iter().for_each(|p| (p.run)(&mut work));
    work.facts
}

/// Facts that were gathered to the end.
#[derive(Default)]
struct Kept(Mutex<Option<Arc<Facts>>>);

/// How often it is looked whether somebody else has gathered the facts.
const LOOK: Duration = Duration::from_millis(5);

impl Target {
    /// The facts, gathered at the first question and shared until the symbols change. When `cancel` stops the work
    /// they are as far as they came, and the next question begins anew.
    #[must_use]
    pub fn facts(&self, cancel: &Cancel) -> Arc<Facts> {
        let kept = self.memo::<Kept>();
        let mut kept = loop {
            match kept.0.try_lock() {
                Ok(kept) => break kept,
                Err(TryLockError::Poisoned(kept)) => break kept.into_inner(),
                // A cancelled caller does not wait for others.
                Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return gather(self, cancel).into(),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK),
            }
        };
        if let Some(facts) = &*kept {
            return facts.clone();
        }
        let facts = Arc::new(gather(self, cancel));
        *kept = Some(facts.clone()).filter(|_| !cancel.is_cancelled());
        facts
    }
}

/// What a question about a dump is asked with: its facts, and the target, which knows the names.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The dump and its symbols.
    pub target: &'a Target,
    /// Its facts.
    pub facts: &'a Facts,
}

impl Deref for Case<'_> {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        self.facts
    }
}
