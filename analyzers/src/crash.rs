//! The exception of a dump: what happened, where, and whether it is a crash at all.
//!
//! An exception stream alone proves nothing: dump writers, debuggers and crash handlers put breakpoints,
//! thread names and "requested" codes there too.

use crate::Target;
pub use crate::crash_codes::{CODES, ExceptionCode, Meaning, exception_code, fast_fail_name};
use crate::model::ForeignCrash;
use crate::model::{Access, ExceptionFacts, Interest};
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, ReadMemory, Tid, Va};

/// `EXCEPTION_ACCESS_VIOLATION`.
const ACCESS_VIOLATION: u32 = 0xc000_0005;
/// `EXCEPTION_IN_PAGE_ERROR`.
const IN_PAGE_ERROR: u32 = 0xc000_0006;
/// `STATUS_STACK_BUFFER_OVERRUN`: the code of `__fastfail`.
const FAST_FAIL: u32 = 0xc000_0409;
/// Visual C++'s `throw`.
const CPP_EXCEPTION: u32 = 0xe06d_7363;
/// Addresses below this are never mapped by Windows programs.
const NULL_AREA: u64 = 0x1_0000;

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
        return Some(foreign_facts(&crash, record));
    }
    if record.code == 0 && record.address.is_null() {
        return None;
    }
    Some(explain(target, stream.tid, record))
}

/// What a record says.
pub(crate) fn explain(target: &Target, tid: Tid, record: &ExceptionRecord) -> ExceptionFacts {
    let entry = exception_code(record.code);
    let (access, wanted) = access_of(record);
    ExceptionFacts {
        code: record.code,
        name: entry.map(|e| e.name.to_owned()),
        tid,
        address: record.address,
        access,
        target: wanted,
        description: describe(target, record),
        interest: interest(target, record),
    }
}

/// Breakpad's and Crashpad's codes for dumps that the program asked for.
const REQUESTED: [u32; 2] = [0xffff_ffff, 0x4350_7378];

/// The crash of another system: a signal or a Mach exception.
fn foreign_facts(crash: &ForeignCrash, record: &ExceptionRecord) -> ExceptionFacts {
    // No signal and no Mach exception has the number 0: the writer recorded none.
    let none = record.code == 0;
    let reason = if none { "no signal or exception".into() } else { escape(&crash.reason).into_owned() };
    let is_memory = ["SIGSEGV", "SIGBUS", "EXC_BAD_ACCESS"].iter().any(|m| reason.starts_with(m));
    let wanted = is_memory.then_some(crash.address);
    let mut description = reason.clone();
    if let Some(at) = wanted {
        description.push_str(&format!(", address {:016x}", at.0));
        // Linux reports address 0 for wild pointers too (those outside of what the processor can address); only
        // with the reason "not mapped" it is the address itself.
        let is_exact = ["SEGV_MAPERR", "KERN_INVALID_ADDRESS"].iter().any(|m| reason.contains(m));
        if is_exact && at.0 < NULL_AREA {
            description.push_str(" (null pointer)");
        }
    }
    ExceptionFacts {
        code: record.code,
        name: reason.split([' ', '/']).next().filter(|_| !none).map(str::to_owned),
        tid: crash.tid,
        address: record.address,
        access: None,
        target: wanted,
        description,
        interest: if none || REQUESTED.contains(&record.code) { Interest::Harmless } else { Interest::Crash },
    }
}

/// What a faulting access wanted and where, from the parameters of an access violation or in-page error.
#[must_use]
pub fn access_of(record: &ExceptionRecord) -> (Option<Access>, Option<Va>) {
    if !matches!(record.code, ACCESS_VIOLATION | IN_PAGE_ERROR) {
        return (None, None);
    }
    let access = match record.parameters.first() {
        Some(0) => Some(Access::Read),
        Some(1) => Some(Access::Write),
        Some(8) => Some(Access::Execute),
        _ => None,
    };
    (access, record.parameters.get(1).copied().map(Va))
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

pub(crate) fn describe(target: &Target, record: &ExceptionRecord) -> String {
    let text = exception_code(record.code).map_or("Unknown exception", |e| e.text);
    let detail = match record.code {
        ACCESS_VIOLATION | IN_PAGE_ERROR => access_detail(target, record),
        FAST_FAIL => record.parameters.first().map(|&n| match fast_fail_name(n) {
            Some(name) => format!("fail-fast code {n:#x} FAST_FAIL_{name}"),
            None => format!("fail-fast code {n:#x}"),
        }),
        CPP_EXCEPTION => cpp_type_name(target, record).map(|t| format!("thrown object is a {}", escape(&t))),
        _ => None,
    };
    match detail {
        Some(detail) => format!("{text} - code {:08x}: {detail}", record.code),
        None => format!("{text} - code {:08x}", record.code),
    }
}

fn access_detail(target: &Target, record: &ExceptionRecord) -> Option<String> {
    let (access, wanted) = access_of(record);
    let wanted = wanted?;
    let address = address_text(target, wanted);
    let verb = match access {
        Some(Access::Read) => "attempt to read from address",
        Some(Access::Write) => "attempt to write to address",
        Some(Access::Execute) => "attempt to execute non-executable address",
        None => "access to address",
    };
    let mut out = format!("{verb} {address}");
    if wanted.0 < NULL_AREA {
        out.push_str(" (null pointer)");
    }
    if let (IN_PAGE_ERROR, Some(status)) = (record.code, record.parameters.get(2)) {
        out.push_str(&format!(", I/O error {status:08x}"));
    }
    Some(out)
}

/// An address in the width of the process, as WinDbg's `.exr` prints it.
fn address_text(target: &Target, va: Va) -> String {
    if target.process_machine().is_64() { format!("{:016x}", va.0) } else { format!("{:08x}", va.0) }
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
        let none = foreign_facts(&crash("unknown 0x00000000 / 0x00000000"), &record(0, &[]));
        assert_eq!((none.interest, none.name), (Interest::Harmless, None));
        assert_eq!(none.description, "no signal or exception");
        let some = foreign_facts(&crash("SIGSEGV / SEGV_MAPERR"), &record(11, &[]));
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
