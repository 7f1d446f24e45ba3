//! An exception that is being reported: the dump has no exception stream, but a thread is in the system's code for
//! exceptions that nobody caught.

use crate::crash::{explain, look_into};
use crate::model::{ExceptionFacts, Facts, Interest, Reported, Stack, StackFrame, ThreadFacts};
use crate::stacks::{stack_bounds, stack_from};
use crate::syscalls::is_far;
use crate::{Cancel, Target};
use dumpscope_core::context::Context;
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use dumpscope_symbols::{Limits, Trust};

/// Functions that only an exception without a handler leads to, and those that tell Windows Error Reporting of one.
const REPORTS: [&str; 10] = [
    "UnhandledExceptionFilter",
    "RtlpUnhandledExceptionFilter",
    "RtlUnhandledExceptionFilter",
    "WerpReportFault",
    "WerpReportFaultInternal",
    "RtlReportException",
    "RtlReportExceptionEx",
    "RtlReportFatalFailure",
    "WerpWaitForCrashReporting",
    "WerReportExceptionWorker",
];

/// Functions by which the kernel enters a thread that raised an exception: what called them raised it.
const DISPATCHERS: [&str; 2] = ["KiUserExceptionDispatcher", "KiUserExceptionDispatch"];

/// Most stack bytes that are searched for the exception's pointers.
const MAX_SPAN: u64 = 0x2000;

/// `EXCEPTION_MAXIMUM_PARAMETERS`.
const MAX_PARAMETERS: u32 = 15;

/// Bytes of the largest context that is read.
const CONTEXT_BYTES: usize = 0x4d0;

pub(super) fn of_thread(
    target: &Target,
    t: &ThreadFacts,
    limits: &Limits,
    cancel: &Cancel,
) -> Option<Reported> {
    let stack = t.stack.as_ref().or(t.native_stack.as_ref())?;
    let frames: Vec<&StackFrame> = stack.physical().collect();
    let by_system = reporting_row(&frames);
    // The exception itself must be there; where it is not, `reporting` says what is left.
    let (record, context, pointers) = match by_system {
        Some(at) => find_record(target, stack, &frames, at)?,
        None => by_runtime(target, stack, &frames)?,
    };
    let mut raw = vec![0; CONTEXT_BYTES];
    let got = target.dump.memory().read_at(context, &mut raw).got;
    raw.truncate(got);
    let machine = stack.machine;
    let decoded = Context::decode(&raw, machine);
    let regs = decoded.as_ref().map(|c| c.regs);
    let stack = decoded.map(|c| {
        let bounds = stack_bounds(target, t.index, machine, c.sp()).map(|b| (b.low, b.high));
        stack_from(target, &c.regs, bounds, limits, cancel)
    });
    let mut exception =
        ExceptionFacts { interest: Interest::Crash, ..explain(target, t.tid, &record.0, regs.as_ref()) };
    if let Some(stack) = &stack {
        look_into(target, &mut exception, stack, cancel);
    }
    Some(Reported {
        exception,
        record_at: record.1,
        context_at: context,
        record: record.0,
        pointers,
        through: by_system
            .and_then(|at| frames.get(at))
            .and_then(|f| f.function.clone())
            .unwrap_or_else(|| WRITER.to_owned()),
        stack,
    })
}

/// Where in a stack an unhandled exception is reported.
fn reporting_row(frames: &[&StackFrame]) -> Option<usize> {
    frames.iter().position(|f| {
        // What a scan finds may be left over from an exception that was handled.
        f.function.as_deref().is_some_and(|n| REPORTS.contains(&n)) && !is_far(f) && f.trust != Trust::Scan
    })
}

/// A thread that reports an exception of which nothing can be read.
pub(crate) struct Reporting<'a> {
    /// The thread.
    pub(crate) thread: &'a ThreadFacts,
    /// The function on its stack that only unhandled exceptions lead to.
    pub(crate) through: &'a str,
    /// The frame that raised it, where the stack tells.
    pub(crate) raised: Option<&'a StackFrame>,
}

/// Threads that report an exception whose record is not in the dump. Nothing when a crash is recorded or was found.
pub(crate) fn reporting(facts: &Facts) -> Vec<Reporting<'_>> {
    if facts.fatal().is_some() {
        return Vec::new();
    }
    facts.threads.iter().filter_map(of_stack).collect()
}

fn of_stack(thread: &ThreadFacts) -> Option<Reporting<'_>> {
    let stack = thread.stack.as_ref().or(thread.native_stack.as_ref())?;
    let frames: Vec<&StackFrame> = stack.physical().collect();
    let at = reporting_row(&frames)?;
    let through = frames.get(at)?.function.as_deref()?;
    let enters = |f: &&StackFrame| f.function.as_deref().is_some_and(|n| DISPATCHERS.contains(&n));
    let enters = frames.iter().skip(at).position(enters);
    let raised = enters.and_then(|n| frames.get(at.saturating_add(n).saturating_add(1)).copied());
    Some(Reporting { thread, through, raised })
}

/// A record and where it lies, its context, and what led there.
type Found = ((ExceptionRecord, Va), Va, Va);

/// Words for a runtime that has its dump written.
const WRITER: &str = "the runtime's wait for the program that writes its dump";

/// Frames from the top among which a runtime's wait for its dump's writer is looked for.
const WRITER_DEPTH: usize = 6;

/// The thread that waits while the runtime writes the dump.
pub(super) fn waits_for_writer(target: &Target, threads: &[ThreadFacts]) -> Option<Tid> {
    let waits = |t: &&ThreadFacts| {
        let frames: Vec<_> = t.stack.iter().flat_map(|s| s.physical()).take(WRITER_DEPTH + 1).collect();
        writer_row(target, &frames).is_some()
    };
    threads.iter().find(waits).map(|t| t.tid)
}

/// The row of a runtime's own code that waits until another process has written the dump. .NET starts `createdump` and
/// waits for its end by `WaitForSingleObject`; its other waits go through other functions.
fn writer_row(target: &Target, frames: &[&StackFrame]) -> Option<usize> {
    let runtimes = target.runtimes();
    let readers = runtimes.readers();
    // Most processes have none.
    if readers.is_empty() {
        return None;
    }
    let of_runtime = |f: &StackFrame| {
        f.module.is_some_and(|m| readers.iter().any(|r| r.runtime().readable && r.runtime().module == m))
    };
    let plain = |f: &StackFrame| f.function.as_deref() == Some("WaitForSingleObject") && !is_far(f);
    let at = frames.iter().take(WRITER_DEPTH).position(|f| plain(f))?.checked_add(1)?;
    frames.get(at).is_some_and(|f| of_runtime(f) && !f.managed).then_some(at)
}

/// A fault for which a runtime has its dump written: the system entered the thread with the exception, and nothing but
/// native code has run since. Layout on entry (x64): context at the stack pointer, 0x4d0 bytes and 0x20 more, the record.
fn by_runtime(target: &Target, stack: &Stack, frames: &[&StackFrame]) -> Option<Found> {
    if stack.machine != Machine::Amd64 {
        return None;
    }
    let from = writer_row(target, frames)?;
    let enters =
        |f: &&&StackFrame| f.function.as_deref().is_some_and(|n| DISPATCHERS.contains(&n)) && !is_far(f);
    let row = frames.iter().skip(from).position(|f| enters(&f))?.checked_add(from)?;
    if frames.get(..row)?.iter().any(|f| f.managed) {
        return None;
    }
    let context = frames.get(row)?.frame.sp;
    let at = context.offset(0x4f0);
    read_record(target, stack.machine, at, context).map(|record| ((record, at), context, context))
}

/// The record of `EXCEPTION_POINTERS` that lie on the stack near the reporting function, and where they lie.
fn find_record(target: &Target, stack: &Stack, frames: &[&StackFrame], at: usize) -> Option<Found> {
    let memory = target.dump.memory();
    let machine = stack.machine;
    let p = machine.ptr_size() as u64;
    let low = frames.first()?.frame.sp;
    let high = frames.get(at.saturating_add(4)).or(frames.last())?.frame.frame_base.offset(0x80);
    let span = high.distance_from(low)?.min(MAX_SPAN);
    let words = (0..span / p).map(|n| low.offset(n.wrapping_mul(p)));
    // Either the pair itself lies there, or a pointer to it (the function's argument).
    for slot in words {
        let pointer = memory.ptr(slot, machine).filter(|v| v.0 > 0xffff);
        for pair in [Some(slot), pointer].into_iter().flatten() {
            let found = read_pair(target, machine, pair);
            if let Some((record, context)) = found {
                return Some((record, context, pair));
            }
        }
    }
    None
}

/// `EXCEPTION_POINTERS`: both must be there, and say the same instruction.
fn read_pair(target: &Target, machine: Machine, at: Va) -> Option<((ExceptionRecord, Va), Va)> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let record = memory.ptr(at, machine).filter(|v| v.0 > 0xffff)?;
    let context = memory.ptr(at.offset(p), machine).filter(|v| v.0 > 0xffff)?;
    read_record(target, machine, record, context).map(|found| ((found, record), context))
}

/// A record whose instruction is that of a context.
fn read_record(target: &Target, machine: Machine, record: Va, context: Va) -> Option<ExceptionRecord> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let (address_at, count_at, flags_at, flag, ip_at) = match machine {
        Machine::X86 => (0xc, 0x10, 0, 0x1_0000, 0xb8),
        Machine::Amd64 => (0x10, 0x18, 0x30, 0x10_0000, 0xf8),
        _ => return None,
    };
    let code = memory.u32(record)?;
    let count = memory.u32(record.offset(count_at)).filter(|n| *n <= MAX_PARAMETERS)?;
    // Errors and warnings; programs' own codes have the same two bits.
    let address = memory.ptr(record.offset(address_at), machine).filter(|_| code >> 30 >= 2)?;
    let same = memory.u32(context.offset(flags_at))? & flag != 0
        && memory.ptr(context.offset(ip_at), machine)? == address;
    let first = record.offset(count_at).offset(if machine.is_64() { 8 } else { 4 });
    let parameter = |n: u32| Some(memory.ptr(first.offset(u64::from(n).wrapping_mul(p)), machine)?.0);
    let record = || ExceptionRecord {
        code,
        flags: memory.u32(record.offset(4)).unwrap_or(0),
        nested: Va(0),
        address,
        parameters: (0..count).map_while(parameter).collect(),
    };
    same.then(record)
}
