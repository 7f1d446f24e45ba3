//! Which system call a thread is in, when nothing names the code: by the number that the stub passes to the kernel.
//!
//! Small dumps hold no images, so ntdll has no names; the bytes around each thread's instruction pointer are there
//! though, and the stub's number tells the call.

use crate::Target;
use crate::model::StackFrame;
use dumpscope_core::{Machine, ReadMemory};
use dumpscope_symbols::SymbolSource;

/// Bytes behind an export that still count as its function.
const MAX_EXPORT: u64 = 0x800;

/// Most bytes of a stub before the instruction pointer.
const MAX_STUB: u64 = 0x15;

/// Calls that threads stay in, by their number in Windows 10 and 11 on x64; Windows 8.1, 8 and 7 have numbers that are
/// 1, 2 and 3 lower. These are the old calls: their numbers do not move with updates.
///
/// Source: measured over public dumps of 16299 to 26200 (`docs/reference/system-calls.md#numbers`), and public tables
/// of 10240 to 16299.
const FIXED: &[(u32, &str)] = &[
    (0x04, "NtWaitForSingleObject"),
    (0x06, "NtReadFile"),
    (0x07, "NtDeviceIoControlFile"),
    (0x08, "NtWriteFile"),
    (0x09, "NtRemoveIoCompletion"),
    (0x0b, "NtReplyWaitReceivePort"),
    (0x22, "NtRequestWaitReplyPort"),
    (0x2b, "NtReplyWaitReceivePortEx"),
    (0x34, "NtDelayExecution"),
    (0x39, "NtFsControlFile"),
    (0x46, "NtYieldExecution"),
    (0x4b, "NtFlushBuffersFile"),
    (0x5b, "NtWaitForMultipleObjects"),
];

/// Calls whose numbers move: lowest and highest build, number. Builds of one family may have either number.
///
/// Source: as above.
const MOVING: &[(u32, u32, u32, &str)] = &[
    (10240, 10240, 0x1b3, "NtWaitForAlertByThreadId"),
    (14393, 14393, 0x1bc, "NtWaitForAlertByThreadId"),
    (15063, 15063, 0x1c2, "NtWaitForAlertByThreadId"),
    (16299, 16299, 0x1c6, "NtWaitForAlertByThreadId"),
    (17134, 17134, 0x1c8, "NtWaitForAlertByThreadId"),
    (17763, 17763, 0x1c9, "NtWaitForAlertByThreadId"),
    (18362, 18363, 0x1ca, "NtWaitForAlertByThreadId"),
    (19041, 19045, 0x1d0, "NtWaitForAlertByThreadId"),
    (19041, 19045, 0x1d2, "NtWaitForAlertByThreadId"),
    (22000, 22000, 0x1dc, "NtWaitForAlertByThreadId"),
    (22621, 22631, 0x1e0, "NtWaitForAlertByThreadId"),
    (26100, 26200, 0x1e3, "NtWaitForAlertByThreadId"),
    (16299, 16299, 0x1c9, "NtWaitForWorkViaWorkerFactory"),
    (17134, 17134, 0x1cb, "NtWaitForWorkViaWorkerFactory"),
    (17763, 17763, 0x1cc, "NtWaitForWorkViaWorkerFactory"),
    (18362, 18363, 0x1cd, "NtWaitForWorkViaWorkerFactory"),
    (19041, 19045, 0x1d3, "NtWaitForWorkViaWorkerFactory"),
    (19041, 19045, 0x1d5, "NtWaitForWorkViaWorkerFactory"),
    (22621, 22631, 0x1e3, "NtWaitForWorkViaWorkerFactory"),
    (26100, 26200, 0x1e6, "NtWaitForWorkViaWorkerFactory"),
];

/// The system call that the innermost frame of a stack is in: its name if it has one, else by the stub's number.
/// `None` when it is in none, or when nothing tells which.
pub(crate) fn system_call_name<'a>(
    target: &Target,
    machine: Machine,
    top: &'a StackFrame,
) -> Option<&'a str> {
    match top.function.as_deref() {
        Some(name) if !is_far(top) => Some(name).filter(|n| is_system_call(n)),
        _ => by_number(target, machine, top),
    }
}

/// True when a frame's name is that of an export so far away that it may be another function's. Behind the short stub of a
/// system call it is another's for certain.
pub(crate) fn is_far(frame: &StackFrame) -> bool {
    let stub = frame.function.as_deref().is_some_and(is_system_call);
    let limit = if stub { MAX_STUB } else { MAX_EXPORT };
    frame.source == Some(SymbolSource::Exports) && frame.displacement > limit
}

/// The call by the number in a stub of ntdll that has no name.
pub(crate) fn by_number(target: &Target, machine: Machine, top: &StackFrame) -> Option<&'static str> {
    if top.function.is_some() && !is_far(top) {
        return None;
    }
    let module = top.module.and_then(|m| target.symbols.modules().get(m))?;
    if !module.file_name.eq_ignore_ascii_case("ntdll.dll") {
        return None;
    }
    let before = MAX_STUB.min(top.frame.ip.0);
    let mut code = [0u8; MAX_STUB as usize + 4];
    let memory = target.dump.memory();
    let len = usize::try_from(before).ok()?.checked_add(4)?;
    let code = code.get_mut(..len)?;
    // The dump may hold less before the instruction pointer than the longest stub has.
    let start = top.frame.ip.back(before);
    let first = memory.next_readable(start)?;
    let skip = usize::try_from(first.distance_from(start)?).ok()?;
    let readable = code.get_mut(skip..)?;
    if memory.read_at(first, readable).got < readable.len() {
        return None;
    }
    let (head, tail) = code.split_at_checked(usize::try_from(before).ok()?)?;
    let number = number_of(machine, head, tail)?;
    name_of(target.dump.system().value()?.build, number)
}

/// The number that a stub loads, when the bytes before and at the instruction pointer are those of a stub that
/// waits in the kernel. x86: only a 32-bit process on 64-bit Windows has 64-bit numbers, and its stubs say so.
fn number_of(machine: Machine, before: &[u8], at: &[u8]) -> Option<u32> {
    let word = |b: &[u8]| Some(u32::from_le_bytes(b.try_into().ok()?));
    // The bytes of a stub of `n` bytes.
    let stub = |n: usize| before.get(before.len().checked_sub(n)?..);
    match machine {
        // mov r10, rcx; mov eax, number; (test byte ptr [7ffe0308], 1; jne;) syscall
        Machine::Amd64 if at.first() == Some(&0xc3) && before.ends_with(&[0x0f, 0x05]) => {
            let long = || {
                let s = stub(0x14)?;
                (s.get(8..16)? == [0xf6, 0x04, 0x25, 0x08, 0x03, 0xfe, 0x7f, 0x01]).then_some(s)
            };
            let s = long().or_else(|| stub(10))?;
            (s.get(..4)? == [0x4c, 0x8b, 0xd1, 0xb8]).then_some(())?;
            word(s.get(4..8)?)
        }
        // mov eax, number; mov edx, gate; call edx | ret n. The high half is the thunk's index.
        Machine::X86 if at.first() == Some(&0xc2) => {
            let s = stub(12)?;
            let gate = s.get(5) == Some(&0xba) && s.ends_with(&[0xff, 0xd2]);
            let fs = s.get(5..)? == [0x64, 0xff, 0x15, 0xc0, 0, 0, 0];
            (s.first() == Some(&0xb8) && (gate || fs)).then_some(())?;
            Some(word(s.get(1..5)?)? & 0xffff)
        }
        // Windows 7: mov eax, number; mov ecx, index | xor ecx, ecx; lea edx, [esp+4]; call fs:[c0] | add esp, 4
        Machine::X86 if at.first_chunk() == Some(&[0x83, 0xc4, 0x04]) => {
            let end = [0x8d, 0x54, 0x24, 0x04, 0x64, 0xff, 0x15, 0xc0, 0, 0, 0];
            before.ends_with(&end).then_some(())?;
            let index = || stub(0x15).filter(|s| s.get(5) == Some(&0xb9));
            let zero = || stub(0x12).filter(|s| s.get(5..7) == Some(&[0x33, 0xc9]));
            let s = index().or_else(zero)?;
            (s.first() == Some(&0xb8)).then_some(())?;
            Some(word(s.get(1..5)?)? & 0xffff)
        }
        _ => None,
    }
}

fn name_of(build: u32, number: u32) -> Option<&'static str> {
    let lower = match build {
        6000..=7601 => 3,
        9200 => 2,
        9600 => 1,
        10240.. => 0,
        _ => return None,
    };
    let fixed = FIXED.iter().find(|(n, _)| number.checked_add(lower) == Some(*n)).map(|f| f.1);
    let moving = || {
        let known = |m: &&(u32, u32, u32, &str)| (m.0..=m.1).contains(&build) && m.2 == number;
        MOVING.iter().find(known).map(|m| m.3)
    };
    fixed.or_else(moving)
}

/// True for the names of system-call stubs.
pub(crate) fn is_system_call(name: &str) -> bool {
    let is_stub = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    is_stub("Nt") || is_stub("Zw") || name == "KiFastSystemCallRet" || name == "KiFastSystemCall"
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: [u8; 0x14] = [
        0x4c, 0x8b, 0xd1, 0xb8, 0x34, 0, 0, 0, 0xf6, 0x04, 0x25, 0x08, 0x03, 0xfe, 0x7f, 1, 0x75, 3, 0x0f, 5,
    ];

    #[test]
    fn stubs_of_all_shapes() {
        let ret = [0xc3, 0xcd, 0x2e, 0xc3];
        assert_eq!(number_of(Machine::Amd64, &LATE, &ret), Some(0x34));
        let early = [0x90, 0x90, 0x4c, 0x8b, 0xd1, 0xb8, 1, 0, 0, 0, 0x0f, 5];
        assert_eq!(number_of(Machine::Amd64, &early, &ret), Some(1));
        assert_eq!(number_of(Machine::Amd64, &LATE, &[0x90; 4]), None);
        assert_eq!(number_of(Machine::Amd64, &LATE[1..], &ret), None);
        assert_eq!(number_of(Machine::Amd64, &[], &ret), None);
        let ten = [0xb8, 0x04, 0, 0x0d, 0, 0xba, 0x70, 0x88, 0x1f, 0x77, 0xff, 0xd2];
        assert_eq!(number_of(Machine::X86, &ten, &[0xc2, 0x0c, 0, 0x90]), Some(4));
        // A 32-bit Windows has numbers of its own.
        let native = [0xb8, 0x04, 0, 0, 0, 0xba, 0, 3, 0xfe, 0x7f, 0xff, 0x12];
        assert_eq!(number_of(Machine::X86, &native, &[0xc2, 0x0c, 0, 0x90]), None);
        let blue = [0xb8, 0x03, 0, 0, 0, 0x64, 0xff, 0x15, 0xc0, 0, 0, 0];
        assert_eq!(number_of(Machine::X86, &blue, &[0xc2, 0x0c, 0, 0x90]), Some(3));
        let mut seven = vec![0xb8, 1, 0, 0, 0, 0xb9, 0x0d, 0, 0, 0];
        let end = [0x8d, 0x54, 0x24, 4, 0x64, 0xff, 0x15, 0xc0, 0, 0, 0];
        seven.extend(end);
        let at = [0x83, 0xc4, 4, 0xc2];
        assert_eq!(number_of(Machine::X86, &seven, &at), Some(1));
        let mut zero = vec![0x90, 0x90, 0x90, 0xb8, 0x31, 0, 0, 0, 0x33, 0xc9];
        zero.extend(end);
        assert_eq!(number_of(Machine::X86, &zero, &at), Some(0x31));
    }

    #[test]
    fn names_by_build() {
        for (build, number, name) in [
            (7601, 0x01, Some("NtWaitForSingleObject")),
            (7601, 0x58, Some("NtWaitForMultipleObjects")),
            (9200, 0x32, Some("NtDelayExecution")),
            (9600, 0x08, Some("NtRemoveIoCompletion")),
            (19045, 0x1d2, Some("NtWaitForAlertByThreadId")),
            (22631, 0x1e3, Some("NtWaitForWorkViaWorkerFactory")),
            (26100, 0x1e3, Some("NtWaitForAlertByThreadId")),
            (22631, 0x1d2, None),
            (2600, 0x04, None),
        ] {
            assert_eq!(name_of(build, number), name, "{build} {number:x}");
        }
    }

    #[test]
    fn a_number_has_one_name_in_a_build() {
        for (i, a) in MOVING.iter().enumerate() {
            for b in MOVING.iter().skip(i + 1).filter(|b| b.2 == a.2) {
                assert!(a.1 < b.0 || b.1 < a.0, "{} and {} in {}", a.3, b.3, a.0);
            }
        }
    }

    #[test]
    fn system_calls() {
        assert!(is_system_call("NtWaitForSingleObject"));
        assert!(is_system_call("ZwDelayExecution"));
        assert!(is_system_call("KiFastSystemCallRet"));
        assert!(!is_system_call("Nthing"));
        assert!(!is_system_call("RtlEnterCriticalSection"));
    }
}
