//! Arguments of the system call that a thread is in.
//!
//! Source: measured over public dumps (`docs/reference/system-calls.md`).

use crate::arguments::{recover, recover_all, system_call_args};
use crate::model::{Confidence, Stack, Timeout};
use crate::syscalls::system_call_name;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

/// Most handles of one wait (`MAXIMUM_WAIT_OBJECTS`).
const MAX_HANDLES: u64 = 64;

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// A system call and what is known of its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemCall {
    /// Name without `Nt` or `Zw`.
    pub name: String,
    /// Arguments in order, as many as could be recovered.
    pub args: Vec<u64>,
    /// Handles that it waits for; `None` when not known.
    pub handles: Option<Vec<u64>>,
    /// Address that it waits on (`NtWaitForAlertByThreadId`).
    pub address: Option<Va>,
    /// How long it waits; `None` when not known.
    pub timeout: Option<Timeout>,
}

/// The system call at the top of a stack, `None` when it is not in one.
#[must_use]
pub fn system_call(target: &Target, stack: &Stack) -> Option<SystemCall> {
    let top = stack.physical().next()?;
    let function = system_call_name(target, stack.machine, top)?;
    let called = if function.starts_with("KiFastSystemCall") {
        // XP to 7 on x86: the stub is the caller.
        stack.physical().nth(1)?.function.as_deref()?
    } else {
        function
    };
    let name = called.strip_prefix("Nt").or_else(|| called.strip_prefix("Zw"))?.to_owned();
    let args = arguments(target, stack);
    let memory = target.dump.memory();
    let arg = |n: usize| args.get(n).copied();
    let machine = stack.machine;
    let list = |count: Option<u64>, array: Option<u64>| {
        let count = count.filter(|n| (1..=MAX_HANDLES).contains(n))?;
        let p = machine.ptr_size() as u64;
        let at = Va(array?);
        (0..count).map(|i| Some(memory.ptr(at.offset(i.wrapping_mul(p)), machine)?.0)).collect()
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
    Some(SystemCall { name, args, handles, address, timeout })
}

/// Functions that wait, and which argument says for how many milliseconds (SDK `synchapi.h`).
const LIMITS: [(&str, usize); 6] = [
    ("WaitForSingleObject", 1),
    ("WaitForSingleObjectEx", 1),
    ("SleepConditionVariableCS", 2),
    ("SleepConditionVariableSRW", 2),
    ("WaitOnAddress", 3),
    ("WaitForMultipleObjects", 3),
];

/// Innermost rows in which such a function is looked for.
const DEPTH: usize = 8;

/// How long a thread waits, from what the functions outside the system call were called with: `None` when that is not
/// known for certain, or when they disagree.
#[must_use]
pub fn waiting_limit(target: &Target, stack: &Stack) -> Option<Timeout> {
    const INFINITE: u64 = 0xffff_ffff;
    let recovered = recover_all(target, stack, &Cancel::default());
    let mut found = None;
    for (frame, args) in stack.frames.iter().zip(&recovered).take(DEPTH) {
        let index = |name: &str| LIMITS.iter().find(|(f, _)| *f == name).map(|(_, n)| *n);
        let Some(index) = frame.function.as_deref().and_then(index) else { continue };
        let value = args.iter().find(|a| a.index == index).and_then(|a| a.value.as_ref());
        let Some(value) = value.filter(|v| v.confidence >= Confidence::Strong && v.bytes >= 4) else {
            continue;
        };
        let limit = match value.bits & INFINITE {
            INFINITE => Timeout::Infinite,
            ms => Timeout::Ms(ms),
        };
        if found.is_some_and(|f| f != limit) {
            return None;
        }
        found = Some(limit);
    }
    found
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

/// The call's arguments: where the kernel leaves them, else as far as the code of the stub's caller gives them.
fn arguments(target: &Target, stack: &Stack) -> Vec<u64> {
    if let Some(found) = system_call_args(target, stack) {
        return found.args.iter().map(|v| v.bits).collect();
    }
    if stack.machine == Machine::X86 {
        return Vec::new();
    }
    let row = stack.frames.iter().position(|f| f.trust != Trust::Inline).unwrap_or(0);
    let recovered = recover(target, stack, row, &Cancel::default());
    recovered.iter().map_while(|a| a.at_least(Confidence::Strong)).collect()
}
