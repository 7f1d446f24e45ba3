//! Arguments of the system call that a thread is in.
//!
//! Source: measured over public dumps (shared reference, section 2).

use super::Timeout;
use crate::Target;
use crate::stacks::{Stack, StackFrame};
use dumpscope_core::base::{amd64, x86};
use dumpscope_core::{Machine, ReadMemory, Va};

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
    let function = top.function.as_deref()?;
    let called = if function.starts_with("KiFastSystemCall") {
        // XP to 7 on x86: the stub is the caller.
        stack.physical().nth(1)?.function.as_deref()?
    } else {
        function
    };
    let name = called.strip_prefix("Nt").or_else(|| called.strip_prefix("Zw"))?.to_owned();
    let args = match stack.machine {
        Machine::X86 => args_x86(target, top, function),
        Machine::Amd64 => args_x64(target, top),
        _ => None,
    };
    let args = args.unwrap_or_default();
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
        "WaitForAlertByThreadId" => (None, arg(0).map(Va), until(1)),
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

/// x86: the arguments lie on the stack; the code at eip says where.
fn args_x86(target: &Target, top: &StackFrame, function: &str) -> Option<Vec<u64>> {
    let memory = target.dump.memory();
    let sp = top.frame.regs.get(x86::ESP)?;
    let code: [u8; 4] = memory.bytes(top.frame.ip)?;
    let skip = match code {
        // ret n: the call was made by `call edx` or `call fs:[c0]` in the stub.
        [0xc2, ..] => 4,
        // add esp, 4: WOW64 of Windows 7.
        [0x83, 0xc4, 0x04, _] => 8,
        [0xc3, ..] if function.starts_with("KiFastSystemCall") => 8,
        _ => return None,
    };
    let first = Va(sp).offset(skip);
    Some((0..6).map_while(|n: u64| memory.u32(first.offset(n.wrapping_mul(4)))).map(u64::from).collect())
}

/// x64: from Windows 10 1709 on the first two arguments survive in rcx and rdx. Believed only when rax still has
/// the call's number, which the stub's code tells.
fn args_x64(target: &Target, top: &StackFrame) -> Option<Vec<u64>> {
    let regs = &top.frame.regs;
    if crate::locks::is_wine(target) || target.dump.system().value()?.build < 16299 {
        return None;
    }
    // mov r10, rcx; mov eax, imm32; ...; syscall
    let code: [u8; 0x14] = target.dump.memory().bytes(top.frame.ip.back(0x14))?;
    let number = match code {
        [0x4c, 0x8b, 0xd1, 0xb8, a, b, c, d, .., 0x0f, 0x05] => u32::from_le_bytes([a, b, c, d]),
        _ => return None,
    };
    if regs.get(amd64::RAX)? != u64::from(number) {
        return None;
    }
    Some(vec![regs.get(amd64::RCX)?, regs.get(amd64::RDX)?])
}
