//! The exception of a dump: what happened, where, and whether it is a crash at all.
//!
//! An exception stream alone proves nothing: dump writers, debuggers and crash handlers put breakpoints,
//! thread names and "requested" codes there too.

mod access_x86;
mod bits;
mod blame;
mod fault;
mod looks;
mod recursion;
mod region;
mod status;

use crate::crash_codes::{ACCESS_VIOLATION, IN_PAGE_ERROR};
pub use crate::crash_codes::{
    CODES, ExceptionCode, Meaning, access_of, exception_code, fast_fail_name, windbg_words,
};
use crate::model::{Access, ExceptionFacts, Fault, FaultKind, ForeignCrash, Interest, Stack};
use crate::{Cancel, Target};
pub use blame::blame;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, ReadMemory, RegSet, Tid, Va};
use dumpscope_symbols::EndReason;
use looks::NULL_AREA;
pub use looks::{PATTERNS, is_canonical, look};
pub use recursion::recursion;
pub use status::{ntstatus_name, win32_name};

/// `STATUS_STACK_BUFFER_OVERRUN`: the code of `__fastfail`.
const FAST_FAIL: u32 = 0xc000_0409;
/// Visual C++'s `throw`.
const CPP_EXCEPTION: u32 = 0xe06d_7363;
/// Adds what only the stack from the exception on tells: the frame to blame, or the recursion.
pub(crate) fn look_into(target: &Target, facts: &mut ExceptionFacts, stack: &Stack, cancel: &Cancel) {
    if facts.interest != Interest::Crash {
        return;
    }
    if facts.is_stack_overflow() || stack.overflow || stack.end == EndReason::FrameLimit {
        facts.recursion = recursion(target, facts.tid, stack, cancel);
        if let Some(found) = facts.recursion.as_ref().filter(|_| facts.is_stack_overflow() || stack.overflow)
        {
            facts.description.push_str(&format!(": {}", found.words()));
        }
    }
    if let Some(fault) = facts.fault.as_ref().filter(|_| facts.recursion.is_none()) {
        facts.blame = blame(target, stack, fault, cancel);
    }
}

/// The exception stream of a dump, explained. `None` when there is no such stream, or an empty one.
#[must_use]
pub fn exception_facts(target: &Target) -> Option<ExceptionFacts> {
    let stream = target.dump.exception().value()?;
    let record = &stream.record;
    if target.dump.system().value().is_some_and(|s| !s.is_windows()) {
        // Without the other reader only the number of the signal or exception is known.
        let unread = || ForeignCrash {
            tid: stream.tid,
            reason: format!("exception {:#x}", record.code),
            address: record.address,
        };
        let crash = target.foreign().and_then(|f| f.crash.clone()).unwrap_or_else(unread);
        return Some(foreign_facts(Some(target), &crash, record));
    }
    if record.code == 0 && record.address.is_null() {
        return None;
    }
    let regs = fault::fault_registers(target, record);
    Some(explain(target, stream.tid, record, regs.as_ref()))
}

/// What a record says. `regs`: registers where it was raised, where they are known.
pub(crate) fn explain(
    target: &Target,
    tid: Tid,
    record: &ExceptionRecord,
    regs: Option<&RegSet>,
) -> ExceptionFacts {
    let entry = exception_code(record.code);
    let fault = fault::fault(target, record, regs);
    let (access, wanted) = match &fault {
        Some(f) => (f.access, f.target),
        None => access_of(record),
    };
    ExceptionFacts {
        code: record.code,
        name: entry.map(|e| e.name).or_else(|| ntstatus_name(record.code)).map(str::to_owned),
        tid,
        address: record.address,
        access,
        target: wanted,
        description: describe(target, record, fault.as_ref()),
        interest: interest(target, record),
        fault,
        blame: None,
        recursion: None,
    }
}

/// Breakpad's and Crashpad's codes for dumps that the program asked for.
const REQUESTED: [u32; 2] = [0xffff_ffff, 0x4350_7378];

/// The crash of another system: a signal or a Mach exception.
fn foreign_facts(target: Option<&Target>, crash: &ForeignCrash, record: &ExceptionRecord) -> ExceptionFacts {
    // No signal and no Mach exception has the number 0: the writer recorded none.
    let none = record.code == 0;
    let reason = if none { "no signal or exception".into() } else { escape(&crash.reason).into_owned() };
    let is_memory = ["SIGSEGV", "SIGBUS", "EXC_BAD_ACCESS"].iter().any(|m| reason.starts_with(m));
    // Linux and macOS report address 0 for wild pointers (those outside of what the processor can address); only with
    // the reason "not mapped" it is the address itself.
    let unsure = ["SI_KERNEL", "EXC_I386_GPFLT", "SEGV_GENERAL"].iter().any(|m| reason.contains(m));
    let is_exact = ["SEGV_MAPERR", "KERN_INVALID_ADDRESS", "SEGV_ACCERR", "KERN_PROTECTION_FAILURE"]
        .iter()
        .any(|m| reason.contains(m));
    let fault = target.filter(|_| is_memory).and_then(|t| {
        let regs = t.dump.exception_context()?.regs;
        fault::foreign_fault(t, &regs, (!unsure).then_some(crash.address.0))
    });
    let wanted = fault.as_ref().and_then(|f| f.target).or(is_memory.then_some(crash.address));
    let mut description = reason.clone();
    if let Some(at) = wanted {
        description.push_str(&format!(", address {:016x}", at.0));
        let computed = fault.as_ref().is_some_and(|f| f.computed);
        let remarks = match (&fault, target) {
            (Some(f), Some(t)) if is_exact || computed => f.remarks(t.process_machine()),
            _ if is_exact && at.0 < NULL_AREA => vec!["null pointer".into()],
            _ => Vec::new(),
        };
        if !remarks.is_empty() {
            description.push_str(&format!(" ({})", remarks.join("; ")));
        }
    }
    ExceptionFacts {
        code: record.code,
        name: reason.split([' ', '/']).next().filter(|_| !none).map(str::to_owned),
        tid: crash.tid,
        address: record.address,
        access: fault.as_ref().and_then(|f| f.access),
        target: wanted,
        description,
        fault,
        blame: None,
        recursion: None,
        interest: if none || REQUESTED.contains(&record.code) { Interest::Harmless } else { Interest::Crash },
    }
}

fn interest(target: &Target, record: &ExceptionRecord) -> Interest {
    match exception_code(record.code).map(|e| e.meaning) {
        Some(Meaning::Failure) => Interest::Crash,
        Some(Meaning::Hang) => Interest::Hang,
        Some(Meaning::Harmless) => Interest::Harmless,
        Some(Meaning::Breakpoint) if is_own_breakpoint(target, record.address) => Interest::OwnBreakpoint,
        Some(Meaning::Breakpoint) => Interest::Debugger,
        // Programs end themselves with codes of their own, whatever bits these have.
        None => Interest::Crash,
    }
}

/// True when a breakpoint instruction lies at `at` in a module that is not the system's: the program itself has it.
/// A breakpoint that a debugger set is not in the memory of the dump, and the system's own break-in functions are
/// in the system's modules.
fn is_own_breakpoint(target: &Target, at: Va) -> bool {
    const SYSTEM: [&str; 6] = ["ntdll", "kernelbase", "kernel32", "win32u", "wow64", "wow64cpu"];
    let Some(module) = target.dump.module_at(at) else { return false };
    let name = module.name.to_ascii_lowercase();
    if SYSTEM.iter().any(|s| name == *s || name.strip_prefix(s).is_some_and(|r| r.starts_with('_'))) {
        return false;
    }
    let memory = target.dump.memory();
    match module.machine.unwrap_or(target.dump.machine()) {
        Machine::X86 | Machine::Amd64 => memory.u8(at) == Some(0xcc) || memory.u16(at) == Some(0x03cd),
        // BRK #0xF000, the one that Windows uses.
        Machine::Arm64 => memory.u32(at) == Some(0xd43e_0000),
        Machine::Other(_) => false,
    }
}

fn describe(target: &Target, record: &ExceptionRecord, fault: Option<&Fault>) -> String {
    let named = || ntstatus_name(record.code).filter(|_| record.code >> 30 >= 2);
    let text = exception_code(record.code).map(|e| e.text).or_else(named).unwrap_or("Unknown exception");
    let detail = match record.code {
        ACCESS_VIOLATION | IN_PAGE_ERROR => access_detail(target, record, fault),
        FAST_FAIL => record.parameters.first().map(|&n| match fast_fail_name(n) {
            Some(name) => format!("fail-fast code {n:#x} FAST_FAIL_{name}"),
            None => format!("fail-fast code {n:#x}"),
        }),
        CPP_EXCEPTION => cpp_type_name(target, record).map(|t| format!("thrown object is a {}", escape(&t))),
        _ => fault.and_then(|f| instruction_detail(f, target.process_machine())),
    };
    match detail {
        Some(detail) => format!("{text} - code {:08x}: {detail}", record.code),
        None => format!("{text} - code {:08x}", record.code),
    }
}

/// What an instruction did that failed for another reason than memory.
fn instruction_detail(fault: &Fault, machine: Machine) -> Option<String> {
    let instruction = fault.instruction.as_deref()?;
    let operands: Vec<String> =
        fault.operands.iter().map(|o| format!("{} = {:x}", o.name, o.value)).collect();
    Some(match fault.kind {
        FaultKind::DivideByZero | FaultKind::DivideOverflow if !operands.is_empty() => {
            format!("{instruction} with {}", operands.join(", "))
        }
        FaultKind::Trap => format!("{instruction}, which compilers put where a program must never be"),
        FaultKind::Misaligned => match fault.target {
            Some(at) => format!("{instruction} at {}", hex_of(at, machine)),
            None => instruction.to_owned(),
        },
        _ => instruction.to_owned(),
    })
}

fn access_detail(target: &Target, record: &ExceptionRecord, fault: Option<&Fault>) -> Option<String> {
    let (access, wanted) = match fault {
        Some(f) => (f.access, f.target),
        None => access_of(record),
    };
    let wanted = wanted?;
    let address = address_text(target, wanted);
    let verb = match access {
        Some(Access::Read) => "attempt to read from address",
        Some(Access::Write) => "attempt to write to address",
        Some(Access::Execute) => "attempt to execute non-executable address",
        None => "access to address",
    };
    let mut out = format!("{verb} {address}");
    let remarks = match fault {
        Some(f) => f.remarks(target.process_machine()),
        None if wanted.0 < NULL_AREA => vec!["null pointer".into()],
        None => Vec::new(),
    };
    if !remarks.is_empty() {
        out.push_str(&format!(" ({})", remarks.join("; ")));
    }
    if let (IN_PAGE_ERROR, Some(status)) = (record.code, record.parameters.get(2)) {
        out.push_str(&format!(", I/O error {status:08x}"));
        if let Some(name) = u32::try_from(*status).ok().and_then(ntstatus_name) {
            out.push_str(&format!(" {name}"));
        }
    }
    Some(out)
}

/// An address in the width of the process, as WinDbg's `.exr` prints it.
fn address_text(target: &Target, va: Va) -> String {
    hex_of(va, target.process_machine())
}

fn hex_of(va: Va, machine: Machine) -> String {
    if machine.is_64() { format!("{:016x}", va.0) } else { format!("{:08x}", va.0) }
}

/// The type of a thrown C++ object, from the throw information in the image.
///
/// Layout: `ThrowInfo`, `CatchableTypeArray`, `CatchableType` and `TypeDescriptor` of Visual C++
/// (`docs/reference/exceptions.md#thrown-objects`); on 64-bit systems their links are RVAs from the fourth parameter.
fn cpp_type_name(target: &Target, record: &ExceptionRecord) -> Option<String> {
    let throw_info = *record.parameters.get(2)?;
    if throw_info == 0 {
        return None; // `throw;` outside of a handler
    }
    let memory = target.dump.memory();
    let machine = target.process_machine();
    let base = if machine.is_64() { *record.parameters.get(3)? } else { 0 };
    let follow = |at: Va| memory.u32(at).filter(|&v| v != 0).map(|v| Va(base.wrapping_add(v.into())));
    let array = follow(Va(throw_info).offset(0xc))?;
    let catchable = follow(array.offset(4))?;
    let descriptor = follow(catchable.offset(4))?;
    let name = memory.c_str(descriptor.offset(2 * machine.ptr_size() as u64), 1024)?;
    Some(plain_type_name(&String::from_utf8_lossy(&name)))
}

/// `.?AVruntime_error@std@@` is `std::runtime_error`; templates and fundamental types stay decorated.
fn plain_type_name(decorated: &str) -> String {
    let inner = decorated
        .strip_prefix(".?AV")
        .or_else(|| decorated.strip_prefix(".?AU"))
        .and_then(|s| s.strip_suffix("@@"))
        .filter(|s| !s.contains('?') && !s.contains("@@"));
    match inner {
        Some(inner) => inner.split('@').rev().collect::<Vec<_>>().join("::"),
        None => decorated.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(code: u32, parameters: &[u64]) -> ExceptionRecord {
        ExceptionRecord { code, flags: 0, nested: Va(0), address: Va(0), parameters: parameters.to_vec() }
    }

    #[test]
    fn accesses() {
        let at = |code, p: &[u64]| access_of(&record(code, p));
        assert_eq!(at(ACCESS_VIOLATION, &[1, 0x45]), (Some(Access::Write), Some(Va(0x45))));
        assert_eq!(at(ACCESS_VIOLATION, &[8, 0x45]), (Some(Access::Execute), Some(Va(0x45))));
        assert_eq!(at(ACCESS_VIOLATION, &[2, 0x45]), (None, Some(Va(0x45))));
        assert_eq!(at(ACCESS_VIOLATION, &[]), (None, None));
        assert_eq!(at(FAST_FAIL, &[0, 1]), (None, None));
    }

    #[test]
    fn number_zero_of_another_system_is_no_crash() {
        let crash = |reason: &str| ForeignCrash { tid: Tid(1), reason: reason.into(), address: Va(0x10) };
        let none = foreign_facts(None, &crash("unknown 0x00000000 / 0x00000000"), &record(0, &[]));
        assert_eq!((none.interest, none.name), (Interest::Harmless, None));
        assert_eq!(none.description, "no signal or exception");
        let some = foreign_facts(None, &crash("SIGSEGV / SEGV_MAPERR"), &record(11, &[]));
        assert_eq!((some.interest, some.name.as_deref()), (Interest::Crash, Some("SIGSEGV")));
    }

    #[test]
    fn type_names() {
        assert_eq!(plain_type_name(".?AVruntime_error@std@@"), "std::runtime_error");
        assert_eq!(plain_type_name(".?AUwidget@@"), "widget");
        assert_eq!(plain_type_name(".?AV?$vec@H@@"), ".?AV?$vec@H@@");
        assert_eq!(plain_type_name(".H"), ".H");
    }
}
