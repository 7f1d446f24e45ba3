//! One thread: its stacks, times, role and what it does.

use super::activity::{activity_of, is_running, role_of};
use crate::model::{ExceptionFacts, Stack, ThreadFacts, ThreadRole};
use crate::stacks::{stack_bounds, stack_from, thread_stack};
use crate::{Cancel, Target};
use dumpscope_core::Machine;
use dumpscope_core::model::{SAME_TEB_INITIAL_THREAD, Thread};
use dumpscope_core::stream::thread_info::DUMP_WRITING_THREAD;
use dumpscope_symbols::Limits;

/// Most TEBs that are read to find the first thread.
const MAX_TEBS: usize = 4096;

/// What is known of a thread before its wait is.
pub(super) fn thread_facts(
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
        // No thread has the flag under Wine, which does not keep it.
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
