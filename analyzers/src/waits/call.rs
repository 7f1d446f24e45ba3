//! Arguments of the system call that a thread is in.
//!
//! Source: measured over public dumps (`docs/reference/system-calls.md`).

use super::argued::{Argued, given};
use crate::Target;
use crate::arguments::system_call_args;
use crate::model::{Confidence, Stack, Timeout};
use crate::syscalls::system_call_name;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

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
    let args = arguments(target, stack, argued, wanted(&name));
    let arg = |n: usize| args.get(n).copied().flatten();
    let machine = stack.machine;
    let list = |count, array| handle_list(target, machine, count, array);
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
    Some(SystemCall { name, args, handles, address, timeout, wait_all })
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// How long it waits; `None` when that is not known for certain, or when they disagree.
    pub timeout: Option<Timeout>,
    /// Whether it waits for all objects.
    pub wait_all: Option<bool>,
}

/// How long a thread waits, and for how many of its objects, from what the functions outside the system call were
/// called with.
pub(super) fn asked(target: &Target, argued: &Argued<'_>) -> Asked {
    const INFINITE: u64 = 0xffff_ffff;
    let row_of = |name: &str| WAITERS.iter().find(|(f, ..)| *f == name);
    let mut out = Asked::default();
    let mut disagree = false;
    for (row, name) in argued.rows_of(|n| row_of(n).is_some()) {
        let Some((_, limit, written, all)) = row_of(name) else { continue };
        let args = argued.of_row(row);
        let value = |index: usize| given(args, index).map(|g| g.value);
        let limit = match (written, value(*limit)) {
            (Limit::Ms, Some(v)) if v & INFINITE == INFINITE => Some(Timeout::Infinite),
            (Limit::Ms, Some(v)) => Some(Timeout::Ms(v & INFINITE)),
            (Limit::Pointer, Some(v)) => timeout(target, v),
            (_, None) => None,
        };
        if limit.is_some() {
            disagree |= out.timeout.is_some_and(|t| Some(t) != limit);
            out.timeout = limit;
        }
        out.wait_all = out.wait_all.or(all.and_then(value).map(|v| v & INFINITE != 0));
    }
    out.timeout = out.timeout.filter(|_| !disagree);
    out
}

/// The handles that the functions outside a system call were called with.
pub(super) fn asked_handles(
    target: &Target,
    machine: Machine,
    argued: &Argued<'_>,
) -> Option<(Vec<u64>, Confidence)> {
    if let Some(one) = argued.value(&["WaitForSingleObject", "WaitForSingleObjectEx"], 0) {
        return (one.value != 0).then(|| (vec![one.value], one.sure));
    }
    let many = ["WaitForMultipleObjects", "WaitForMultipleObjectsEx"];
    let (count, array) = (argued.value(&many, 0)?, argued.value(&many, 1)?);
    let list = handle_list(target, machine, Some(count.value & 0xffff_ffff), Some(array.value))?;
    Some((list, count.sure.min(array.sure)))
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
/// in time is not turned into a span.
fn timeout(target: &Target, pointer: u64) -> Option<Timeout> {
    if pointer == 0 {
        return Some(Timeout::Infinite);
    }
    let value = target.dump.memory().u64(Va(pointer))?.cast_signed();
    if value == i64::MIN || value == i64::MAX {
        return Some(Timeout::Infinite);
    }
    (value < 0).then(|| Timeout::Ms(value.unsigned_abs() / MS))
}

/// The call's arguments: where the kernel leaves them, and up to the number wanted as far as the code of the stub's
/// caller gives them.
fn arguments(target: &Target, stack: &Stack, argued: &Argued<'_>, wanted: usize) -> Vec<Option<u64>> {
    let left = system_call_args(target, stack);
    let complete = left.as_ref().is_some_and(|l| l.args.len() >= wanted);
    let mut out: Vec<Option<u64>> = left.iter().flat_map(|l| &l.args).map(|v| Some(v.bits)).collect();
    if stack.machine == Machine::X86 || complete {
        return out;
    }
    let row = stack.frames.iter().position(|f| f.trust != Trust::Inline).unwrap_or(0);
    for argument in argued.of_row(row) {
        if out.len() <= argument.index {
            out.resize(argument.index.saturating_add(1).min(MAX_ARGUMENTS), None);
        }
        if let Some(slot) = out.get_mut(argument.index) {
            *slot = slot.or(argument.at_least(Confidence::Strong));
        }
    }
    out
}
