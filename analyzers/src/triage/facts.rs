//! What the rules look at: exception, threads, stacks, times, gathered once for a dump.

use super::activity::{activity_of, is_running, role_of};
use super::reported;
use crate::crash::{ExceptionFacts, Interest, exception_facts};
use crate::locks::Locks;
use crate::model::{Reported, ThreadFacts};
use crate::patterns::ThreadRole;
use crate::stacks::{Stack, StackFrame, stack_bounds, stack_from, thread_stack};
use crate::waits::{ProcessExit, add_waits};
use crate::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::{SAME_TEB_INITIAL_THREAD, Thread};
use dumpscope_core::stream::thread_info::DUMP_WRITING_THREAD;
use dumpscope_core::{Machine, Tid};
use dumpscope_symbols::Limits;

/// Most TEBs that are read to find the first thread.
const MAX_TEBS: usize = 4096;

/// Everything that the rules look at.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The dump and its symbols.
    pub target: &'a Target,
    /// The exception stream, explained.
    pub exception: Option<ExceptionFacts>,
    /// Exceptions that threads report, when no crash is recorded.
    pub reported: Vec<Reported>,
    /// Threads by number. Shorter than the dump's list when the work was stopped.
    pub threads: Vec<ThreadFacts>,
    /// Critical sections of the process, with the threads that wait for them.
    pub locks: Locks,
    /// Set when the process is ending.
    pub exit: Option<ProcessExit>,
    /// True when somebody stopped the work before all threads were looked at.
    pub stopped: bool,
}

impl Facts<'_> {
    /// Gathers the facts; stops between threads when asked to.
    #[must_use]
    pub fn gather<'a>(target: &'a Target, limits: &Limits, cancel: &Cancel) -> Facts<'a> {
        let exception = exception_facts(target);
        let mut threads = Vec::with_capacity(target.dump.threads().len());
        let mut stopped = false;
        for thread in target.dump.threads() {
            if cancel.is_cancelled() {
                stopped = true;
                break;
            }
            threads.push(thread_facts(target, thread, exception.as_ref(), limits, cancel));
        }
        let recorded = exception.as_ref().is_some_and(|e| e.interest == Interest::Crash);
        let reporting = threads.iter().filter(|_| !recorded);
        let reported = reporting.filter_map(|t| reported::of_thread(target, t, limits, cancel)).collect();
        let walked = threads.len();
        let (locks, exit) = add_waits(target, &mut threads, cancel);
        stopped |= threads.len() < walked;
        Facts { target, exception, reported, threads, locks, exit, stopped }
    }

    /// The thread with a system id.
    #[must_use]
    pub fn thread(&self, tid: Tid) -> Option<&ThreadFacts> {
        // Both lists have the same order.
        let index = self.target.dump.thread_by_tid(tid)?.index;
        self.threads.get(usize::try_from(index.0).ok()?).filter(|t| t.tid == tid)
    }
}

fn thread_facts(
    target: &Target,
    thread: &Thread,
    exception: Option<&ExceptionFacts>,
    limits: &Limits,
    cancel: &Cancel,
) -> ThreadFacts {
    let times = thread.info.as_ref().and_then(|i| crate::runaway::of_info(i, target.dump.time()));
    let raised = exception.filter(|e| e.tid == thread.tid);
    let (stack, native_stack) = stacks_of(target, thread, raised.is_some(), limits, cancel);
    let is_writer = thread.info.is_some_and(|i| i.dump_flags & DUMP_WRITING_THREAD != 0);
    let seen = stack.as_ref().or(native_stack.as_ref());
    let activity = activity_of(target, seen, raised, is_writer);
    let role =
        if is_writer { Some(ThreadRole::DumpWriter) } else { role_of(target, seen, thread.name.as_deref()) };
    let running = is_running(target, seen);
    ThreadFacts {
        index: thread.index,
        tid: thread.tid,
        name: thread.name.clone(),
        user: times.map(|t| t.0),
        kernel: times.map(|t| t.1),
        elapsed: times.and_then(|t| t.2),
        is_writer,
        role,
        is_main: is_main(target, thread),
        running,
        stack,
        native_stack,
        com: None,
        serves: None,
        wait: None,
        dll_main: None,
        activity,
    }
}

/// The TEB says which thread was the first; without one it is the first of the list.
fn is_main(target: &Target, thread: &Thread) -> bool {
    let initial = |t: &Thread| {
        let flags = target.dump.read_teb(t.index, target.process_machine())?.same_teb_flags?;
        Some(flags & SAME_TEB_INITIAL_THREAD != 0)
    };
    match initial(thread) {
        Some(true) => true,
        // Flags of no thread say so (Wine does not keep them).
        _ => {
            thread.index.0 == 0
                && !target.dump.threads().iter().take(MAX_TEBS).any(|t| initial(t) == Some(true))
        }
    }
}

/// The process's own stack and, in a WOW64 process, the 64-bit one. A thread that raised the exception is walked
/// from there: its context is inside the dump's writer.
fn stacks_of(
    target: &Target,
    thread: &Thread,
    raised: bool,
    limits: &Limits,
    cancel: &Cancel,
) -> (Option<Stack>, Option<Stack>) {
    let native = target.dump.machine();
    let at_exception = if raised { target.dump.exception_context() } else { None };
    let walk = |machine: Machine| match &at_exception {
        Some(context) if context.machine == machine => {
            let bounds = stack_bounds(target, thread.index, machine, context.sp()).map(|b| (b.low, b.high));
            Some(stack_from(target, &context.regs, bounds, limits, cancel))
        }
        _ => thread_stack(target, thread.index, machine, limits, cancel),
    };
    if target.dump.is_wow64() { (walk(Machine::X86), walk(native)) } else { (walk(native), None) }
}

/// `module!function+0x12`, `module+0x12` or the bare address, without unsafe characters.
#[must_use]
pub fn frame_text(target: &Target, frame: &StackFrame) -> String {
    let machine = frame.frame.regs.machine();
    let module = frame.module.map(|i| target.symbols.name_in(i, machine));
    let offset = match dumpscope_symbols::wrapped(frame.displacement, machine) {
        0 => String::new(),
        d => format!("+0x{d:x}"),
    };
    let text = match (module, frame.function.as_deref()) {
        (Some(m), Some(f)) => format!("{m}!{f}{offset}"),
        (None, Some(f)) => format!("{f}{offset}"),
        (Some(m), None) => format!("{m}{offset}"),
        (None, None) => format!("0x{:x}", frame.frame.ip.0),
    };
    escape(&text).into_owned()
}
