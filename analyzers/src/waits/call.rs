//! Arguments of the system call that a thread is in.
//!
//! Source: measured over public dumps (`docs/reference/system-calls.md`).

use super::argued::{Argued, Given, INT, given};
use crate::Target;
use crate::arguments::system_call_args;
use crate::model::{Confidence, Stack, Timeout};
use crate::syscalls::system_call_name;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;
use std::cell::Cell;

/// Most handles of one wait (`MAXIMUM_WAIT_OBJECTS`).
const MAX_HANDLES: u64 = 64;

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// Most arguments of a system call.
const MAX_ARGUMENTS: usize = 16;

/// A system call and what is known of its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemCall {
    /// Name without `Nt` or `Zw`.
    pub name: String,
    /// Arguments in order; `None` for one that could not be recovered.
    pub args: Vec<Option<u64>>,
    /// Handles that it waits for; `None` when not known.
    pub handles: Option<Vec<u64>>,
    /// Address that it waits on (`NtWaitForAlertByThreadId`).
    pub address: Option<Va>,
    /// How long it waits; `None` when not known.
    pub timeout: Option<Timeout>,
    /// For several objects: whether it waits for all of them; `None` when not known.
    pub wait_all: Option<bool>,
    /// How sure these are: the least sure argument that one of them comes from.
    pub sure: Confidence,
}

/// The system call at the top of a stack, `None` when it is not in one.
#[must_use]
pub fn system_call(target: &Target, stack: &Stack) -> Option<SystemCall> {
    of(target, stack, &Argued::new(target, stack))
}

/// The same where the arguments of the frames are kept.
pub(super) fn of(target: &Target, stack: &Stack, argued: &Argued<'_>) -> Option<SystemCall> {
    let top = stack.physical().next()?;
    let function = system_call_name(target, stack.machine, top)?;
    let called = if function.starts_with("KiFastSystemCall") {
        // XP to 7 on x86: the stub is the caller.
        stack.physical().nth(1)?.function.as_deref()?
    } else {
        function
    };
    let name = called.strip_prefix("Nt").or_else(|| called.strip_prefix("Zw"))?.to_owned();
    let args = arguments(target, stack, argued, &name);
    let least = Cell::new(Confidence::Proven);
    let arg = |n: usize| {
        let given = args.get(n).copied().flatten()?;
        least.set(least.get().min(given.sure));
        Some(given.value)
    };
    let machine = stack.machine;
    let list = |count, array| {
        // The array may have been written over since the call.
        least.set(least.get().min(Confidence::Strong));
        handle_list(target, machine, count, array)
    };
    let until = |n: usize| timeout(target, arg(n)?);
    let (handles, address, timeout) = match name.as_str() {
        "WaitForSingleObject" => (arg(0).map(|h| vec![h]), None, until(2)),
        "SignalAndWaitForSingleObject" => (arg(1).map(|h| vec![h]), None, until(3)),
        "WaitForMultipleObjects" => (list(arg(0), arg(1)), None, until(4)),
        "WaitForAlertByThreadId" => (None, arg(0).map(Va).filter(|a| !a.is_null()), until(1)),
        "WaitForKeyedEvent" => (None, arg(1).map(Va), until(3)),
        "ReadFile"
        | "WriteFile"
        | "FsControlFile"
        | "DeviceIoControlFile"
        | "FlushBuffersFile"
        | "LockFile"
        | "QueryDirectoryFile"
        | "NotifyChangeDirectoryFile" => (arg(0).map(|h| vec![h]), None, None),
        "DelayExecution" => (None, None, until(1)),
        "RemoveIoCompletion" | "RemoveIoCompletionEx" => (arg(0).map(|h| vec![h]), None, until(4)),
        "WaitForWorkViaWorkerFactory" => (arg(0).map(|h| vec![h]), None, None),
        "UserMsgWaitForMultipleObjectsEx" => {
            let ms = arg(2).map(|t| t & 0xffff_ffff);
            let t = ms.map(|t| if t == 0xffff_ffff { Timeout::Infinite } else { Timeout::Ms(t) });
            (list(arg(0), arg(1)), None, t)
        }
        _ => (None, None, None),
    };
    // WaitAll is 0, WaitAny is 1 (`WAIT_TYPE` of the WDK).
    let wait_type = arg(2).map(|t| t & 0xffff_ffff).filter(|_| name == "WaitForMultipleObjects");
    let wait_all = wait_type.filter(|t| *t < 2).map(|t| t == 0);
    let args = args.into_iter().map(|a| a.map(|a| a.value)).collect();
    Some(SystemCall { name, args, handles, address, timeout, wait_all, sure: least.get() })
}

/// How many arguments of a system call say something about the wait.
fn wanted(name: &str) -> usize {
    match name {
        "WaitForMultipleObjects" => 5,
        "SignalAndWaitForSingleObject" | "WaitForKeyedEvent" => 4,
        "WaitForSingleObject" => 3,
        "WaitForAlertByThreadId" | "DelayExecution" => 2,
        _ => 0,
    }
}

/// True for arguments of system calls that are addresses. Handles, also those of windows, have 32 bits that count on all
/// machines (Microsoft's guide to 64-bit Windows, "Interprocess Communication Between 32-bit and 64-bit Applications").
fn is_address(name: &str, index: usize) -> bool {
    match name {
        "WaitForMultipleObjects" => matches!(index, 1 | 4),
        "WaitForSingleObject" => index == 2,
        "SignalAndWaitForSingleObject" => index == 3,
        "WaitForAlertByThreadId" => index < 2,
        "WaitForKeyedEvent" => matches!(index, 1 | 3),
        "DelayExecution" | "UserMsgWaitForMultipleObjectsEx" => index == 1,
        "RemoveIoCompletion" | "RemoveIoCompletionEx" => index == 4,
        _ => false,
    }
}

/// Functions that wait: which argument says for how long, how that is written, and which one whether for all objects (SDK
/// `synchapi.h`, `ioapiset.h`, `winuser.h`; for those of ntdll phnt's `ntrtl.h`).
const WAITERS: [(&str, usize, Limit, Option<usize>); 18] = [
    ("Sleep", 0, Limit::Ms, None),
    ("SleepEx", 0, Limit::Ms, None),
    ("WaitForSingleObject", 1, Limit::Ms, None),
    ("WaitForSingleObjectEx", 1, Limit::Ms, None),
    ("SleepConditionVariableCS", 2, Limit::Ms, None),
    ("SleepConditionVariableSRW", 2, Limit::Ms, None),
    ("RtlSleepConditionVariableCS", 2, Limit::Pointer, None),
    ("RtlSleepConditionVariableSRW", 2, Limit::Pointer, None),
    ("WaitOnAddress", 3, Limit::Ms, None),
    ("RtlWaitOnAddress", 3, Limit::Pointer, None),
    ("WaitForMultipleObjects", 3, Limit::Ms, Some(2)),
    ("WaitForMultipleObjectsEx", 3, Limit::Ms, Some(2)),
    ("SignalObjectAndWait", 2, Limit::Ms, None),
    ("GetOverlappedResultEx", 3, Limit::Ms, None),
    ("GetQueuedCompletionStatus", 4, Limit::Ms, None),
    ("GetQueuedCompletionStatusEx", 4, Limit::Ms, None),
    ("MsgWaitForMultipleObjects", 3, Limit::Ms, Some(2)),
    ("MsgWaitForMultipleObjectsEx", 2, Limit::Ms, None),
];

/// How a limit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// Milliseconds, all bits set for ever.
    Ms,
    /// A pointer to 100 ns units, null for ever.
    Pointer,
}

/// What the functions outside a system call were called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// How long it waits; `None` when that is not known for certain, or when they disagree.
    pub timeout: Option<Given<Timeout>>,
    /// Whether it waits for all objects; `None` as for the limit.
    pub wait_all: Option<Given<bool>>,
}

/// How long a thread waits, and for how many of its objects, from what the functions outside the system call were
/// called with.
pub(super) fn asked(target: &Target, argued: &Argued<'_>) -> Asked {
    const INFINITE: u64 = 0xffff_ffff;
    let row_of = |name: &str| WAITERS.iter().find(|(f, ..)| *f == name);
    let (mut limits, mut all_of) = (Vec::new(), Vec::new());
    for (row, name) in argued.rows_of(|n| row_of(n).is_some()) {
        let Some((_, limit, written, all)) = row_of(name) else { continue };
        let args = argued.of_row(row);
        let limit = match written {
            Limit::Ms => given(args, *limit, INT).map(|g| {
                g.with(match g.value & INFINITE {
                    INFINITE => Timeout::Infinite,
                    ms => Timeout::Ms(ms),
                })
            }),
            Limit::Pointer => {
                given(args, *limit, argued.ptr_size()).and_then(|g| Some(g.with(timeout(target, g.value)?)))
            }
        };
        limits.extend(limit);
        all_of.extend(all.and_then(|n| given(args, n, INT)).map(|g| g.with(g.value & INFINITE != 0)));
    }
    Asked { timeout: agreed(&limits), wait_all: agreed(&all_of) }
}

/// What all of them say, as sure as the surest.
pub(super) fn agreed<T: Copy + PartialEq>(all: &[Given<T>]) -> Option<Given<T>> {
    let surest = *all.iter().max_by_key(|g| g.sure)?;
    all.iter().all(|g| g.value == surest.value).then_some(surest)
}

/// The handles that the functions outside a system call were called with.
pub(super) fn asked_handles(
    target: &Target,
    machine: Machine,
    argued: &Argued<'_>,
) -> Option<(Vec<u64>, Confidence)> {
    let p = argued.ptr_size();
    if let Some(one) = argued.value(&["WaitForSingleObject", "WaitForSingleObjectEx"], 0, INT) {
        return (one.value != 0).then(|| (vec![one.value], one.sure));
    }
    let many = ["WaitForMultipleObjects", "WaitForMultipleObjectsEx"];
    let (count, array) = (argued.value(&many, 0, INT)?, argued.value(&many, 1, p)?);
    let list = handle_list(target, machine, Some(count.value & 0xffff_ffff), Some(array.value))?;
    // The array may have been written over since the call.
    Some((list, count.sure.min(array.sure).min(Confidence::Strong)))
}

/// An array of handles of the dumped process.
fn handle_list(
    target: &Target,
    machine: Machine,
    count: Option<u64>,
    array: Option<u64>,
) -> Option<Vec<u64>> {
    let count = count.filter(|n| (1..=MAX_HANDLES).contains(n))?;
    let p = machine.ptr_size() as u64;
    let at = Va(array?);
    let memory = target.dump.memory();
    (0..count).map(|i| Some(memory.ptr(at.offset(i.wrapping_mul(p)), machine)?.0)).collect()
}

/// What a pointer to a `LARGE_INTEGER` says: null is for ever, a negative value is a span of 100 ns units. A point
/// in time is not turned into a span. Less than a millisecond is one: a wait that comes back at once has a limit of 0.
pub(super) fn timeout(target: &Target, pointer: u64) -> Option<Timeout> {
    if pointer == 0 {
        return Some(Timeout::Infinite);
    }
    let value = target.dump.memory().u64(Va(pointer))?.cast_signed();
    if value == i64::MIN || value == i64::MAX {
        return Some(Timeout::Infinite);
    }
    (value < 0).then(|| Timeout::Ms(value.unsigned_abs().div_ceil(MS)))
}

/// The call's arguments: where the kernel leaves them when that is certain, else what is shown for the stub, which knows
/// of both the registers that the kernel left and the code of the stub's caller.
fn arguments(target: &Target, stack: &Stack, argued: &Argued<'_>, name: &str) -> Vec<Option<Given>> {
    let left = system_call_args(target, stack).map(|l| l.args).unwrap_or_default();
    let certain = left.iter().all(|v| v.confidence == Confidence::Proven);
    let complete = certain && !left.is_empty() && left.len() >= wanted(name);
    let mut out: Vec<Option<Given>> =
        left.iter().map(|v| Some(Given { value: v.bits, sure: v.confidence })).collect();
    if stack.machine == Machine::X86 || complete {
        return out;
    }
    let row = stack.frames.iter().position(|f| f.trust != Trust::Inline).unwrap_or(0);
    let args = argued.of_row(row);
    for argument in args.iter().filter(|a| a.value.is_some()) {
        if out.len() <= argument.index {
            out.resize(argument.index.saturating_add(1).min(MAX_ARGUMENTS), None);
        }
        if let Some(slot) = out.get_mut(argument.index) {
            let bytes = if is_address(name, argument.index) { argued.ptr_size() } else { INT };
            *slot = given(args, argument.index, bytes);
        }
    }
    out
}
