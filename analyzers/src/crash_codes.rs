//! Names of exception codes and fail-fast subcodes.
//!
//! Source: winnt.h and ntstatus.h of the Windows SDK (`docs/reference/exceptions.md`); Wine's and Crashpad's own codes
//! from their public headers.

use crate::model::Access;
use dumpscope_core::Va;
use dumpscope_core::stream::exception::ExceptionRecord;

/// One exception code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionCode {
    /// The code.
    pub code: u32,
    /// Its name in the SDK.
    pub name: &'static str,
    /// WinDbg's words for it, or ours where it has none.
    pub text: &'static str,
    /// What such an exception means for the verdict.
    pub meaning: Meaning,
    /// True when the words are WinDbg's.
    pub windbg: bool,
}

/// What an exception in a dump says about the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The process failed.
    Failure,
    /// A breakpoint or single step: a debugger, a dump writer or an assertion.
    Breakpoint,
    /// The dump's writer put it there to say that the process did not answer.
    Hang,
    /// Normal work: a thread name, debug output, a requested dump.
    Harmless,
}

/// `EXCEPTION_ACCESS_VIOLATION`.
pub(crate) const ACCESS_VIOLATION: u32 = 0xc000_0005;
/// `EXCEPTION_IN_PAGE_ERROR`.
pub(crate) const IN_PAGE_ERROR: u32 = 0xc000_0006;

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

/// A code's entry.
#[must_use]
pub fn exception_code(code: u32) -> Option<&'static ExceptionCode> {
    CODES.iter().find(|c| c.code == code)
}

/// What WinDbg shows for an exception code (`Access violation`), when it has words for it.
#[must_use]
pub fn windbg_words(code: u32) -> Option<&'static str> {
    exception_code(code).filter(|c| c.windbg).map(|c| c.text)
}

/// A fail-fast subcode's name, without `FAST_FAIL_`.
#[must_use]
pub fn fast_fail_name(subcode: u64) -> Option<&'static str> {
    let name = FAST_FAIL.get(usize::try_from(subcode).ok()?)?;
    (!name.is_empty()).then_some(name)
}

macro_rules! codes {
    (@) => { false };
    (@ windbg) => { true };
    ($($code:literal $name:literal $text:literal $meaning:ident $($windbg:ident)?,)*) => {
        /// All known codes, by number.
        pub const CODES: &[ExceptionCode] = &[
            $(ExceptionCode {
                code: $code,
                name: $name,
                text: $text,
                meaning: Meaning::$meaning,
                windbg: codes!(@ $($windbg)?),
            },)*
        ];
    };
}

codes! {
    0x0424_2420 "CLRDBG_NOTIFICATION" "Notification for a debugger of the CLR" Harmless,
    0x0517_a7ed "CRASHPAD_SIMULATED" "Dump requested by the program (Crashpad)" Harmless,
    0x0eed_fade "DELPHI_EXCEPTION" "Delphi exception" Failure,
    0x0eef_face "CPPBUILDER_EXCEPTION" "C++Builder exception" Failure,
    0x4000_0015 "STATUS_FATAL_APP_EXIT" "Fatal application exit" Failure,
    0x4000_001e "STATUS_WX86_SINGLE_STEP" "WOW64 single step exception" Breakpoint windbg,
    0x4000_001f "STATUS_WX86_BREAKPOINT" "WOW64 breakpoint" Breakpoint windbg,
    0x4001_0003 "DBG_TERMINATE_THREAD" "A debugger ended the thread" Harmless,
    0x4001_0004 "DBG_TERMINATE_PROCESS" "A debugger ended the process" Harmless,
    0x4001_0005 "DBG_CONTROL_C" "Control-C exception" Harmless windbg,
    0x4001_0006 "DBG_PRINTEXCEPTION_C" "Debug print exception" Harmless,
    0x4001_0007 "DBG_RIPEXCEPTION" "Debug message of the system (RIP)" Harmless,
    0x4001_0008 "DBG_CONTROL_BREAK" "Control-Break exception" Harmless windbg,
    0x4001_0009 "DBG_COMMAND_EXCEPTION" "Command exception" Failure windbg,
    0x4001_000a "DBG_PRINTEXCEPTION_WIDE_C" "Wide debug print exception" Harmless,
    0x4008_0201 "WINRT_ORIGINATE_ERROR" "Windows Runtime Originate Error" Harmless windbg,
    0x4008_0202 "WINRT_TRANSFORM_ERROR" "Windows Runtime Transform Error" Harmless windbg,
    0x406d_1388 "MS_VC_EXCEPTION" "Visual C++ exception" Harmless windbg,
    0x8000_0001 "EXCEPTION_GUARD_PAGE" "Guard page violation" Failure windbg,
    0x8000_0002 "EXCEPTION_DATATYPE_MISALIGNMENT" "Data misaligned" Failure windbg,
    0x8000_0003 "EXCEPTION_BREAKPOINT" "Break instruction exception" Breakpoint windbg,
    0x8000_0004 "EXCEPTION_SINGLE_STEP" "Single step exception" Breakpoint windbg,
    0x8000_0007 "STATUS_WAKE_SYSTEM_DEBUGGER" "Wake debugger" Breakpoint windbg,
    0x8000_0026 "STATUS_LONGJUMP" "Long jump" Harmless,
    0x8000_0029 "STATUS_UNWIND_CONSOLIDATE" "Unwind consolidation" Harmless,
    0x8000_0100 "EXCEPTION_WINE_STUB" "Call of a function that Wine lacks" Failure,
    0x8000_0101 "EXCEPTION_WINE_ASSERTION" "Wine assertion" Failure,
    0xc000_0005 "EXCEPTION_ACCESS_VIOLATION" "Access violation" Failure windbg,
    0xc000_0006 "EXCEPTION_IN_PAGE_ERROR" "In-page I/O error" Failure windbg,
    0xc000_0008 "EXCEPTION_INVALID_HANDLE" "Invalid handle" Failure windbg,
    0xc000_000d "STATUS_INVALID_PARAMETER" "Invalid parameter" Failure,
    0xc000_0017 "STATUS_NO_MEMORY" "Out of memory" Failure,
    0xc000_001d "EXCEPTION_ILLEGAL_INSTRUCTION" "Illegal instruction" Failure windbg,
    0xc000_001e "STATUS_INVALID_LOCK_SEQUENCE" "Invalid lock sequence" Failure windbg,
    0xc000_0025 "EXCEPTION_NONCONTINUABLE_EXCEPTION" "Noncontinuable exception" Failure,
    0xc000_0026 "EXCEPTION_INVALID_DISPOSITION" "Invalid disposition" Failure,
    0xc000_0037 "STATUS_PORT_DISCONNECTED" "Port disconnected" Failure windbg,
    0xc000_008c "EXCEPTION_ARRAY_BOUNDS_EXCEEDED" "Array bounds exceeded" Failure windbg,
    0xc000_008d "EXCEPTION_FLT_DENORMAL_OPERAND" "Floating-point denormal operand" Failure,
    0xc000_008e "EXCEPTION_FLT_DIVIDE_BY_ZERO" "Floating-point divide-by-zero" Failure,
    0xc000_008f "EXCEPTION_FLT_INEXACT_RESULT" "Floating-point inexact result" Failure,
    0xc000_0090 "EXCEPTION_FLT_INVALID_OPERATION" "Floating-point invalid operation" Failure,
    0xc000_0091 "EXCEPTION_FLT_OVERFLOW" "Floating-point overflow" Failure,
    0xc000_0092 "EXCEPTION_FLT_STACK_CHECK" "Floating-point stack check" Failure,
    0xc000_0093 "EXCEPTION_FLT_UNDERFLOW" "Floating-point underflow" Failure,
    0xc000_0094 "EXCEPTION_INT_DIVIDE_BY_ZERO" "Integer divide-by-zero" Failure windbg,
    0xc000_0095 "EXCEPTION_INT_OVERFLOW" "Integer overflow" Failure windbg,
    0xc000_0096 "EXCEPTION_PRIV_INSTRUCTION" "Privileged instruction" Failure windbg,
    0xc000_00fd "EXCEPTION_STACK_OVERFLOW" "Stack overflow" Failure windbg,
    0xc000_0135 "STATUS_DLL_NOT_FOUND" "DLL not found" Failure,
    0xc000_0138 "STATUS_ORDINAL_NOT_FOUND" "Ordinal not found" Failure,
    0xc000_0139 "STATUS_ENTRYPOINT_NOT_FOUND" "Entry point not found" Failure,
    0xc000_013a "STATUS_CONTROL_C_EXIT" "Ended by Ctrl+C" Failure,
    0xc000_0142 "STATUS_DLL_INIT_FAILED" "DLL initialization failed" Failure,
    0xc000_0194 "EXCEPTION_POSSIBLE_DEADLOCK" "Possible deadlock (critical section timeout)" Failure,
    0xc000_01b2 "STATUS_CONTROL_STACK_VIOLATION" "Control stack violation" Failure,
    0xc000_027b "STATUS_STOWED_EXCEPTION" "Stowed exception" Failure,
    0xc000_027c "STATUS_STOWED_EXCEPTION_POINT_OF_FAILURE" "Stowed exception, point of failure" Failure,
    0xc000_02b4 "STATUS_FLOAT_MULTIPLE_FAULTS" "Floating-point multiple faults" Failure,
    0xc000_02b5 "STATUS_FLOAT_MULTIPLE_TRAPS" "Floating-point multiple traps" Failure,
    0xc000_0374 "STATUS_HEAP_CORRUPTION" "Heap corruption" Failure,
    0xc000_0409 "STATUS_STACK_BUFFER_OVERRUN" "Security check failure or stack buffer overrun" Failure windbg,
    0xc000_0417 "STATUS_INVALID_CRUNTIME_PARAMETER" "Invalid parameter passed to the C runtime" Failure,
    0xc000_041d "STATUS_FATAL_USER_CALLBACK_EXCEPTION" "Unhandled exception in a user callback" Failure,
    0xc000_0420 "STATUS_ASSERTION_FAILURE" "Assertion failure" Failure windbg,
    0xc000_0421 "STATUS_VERIFIER_STOP" "Verifier stop" Failure windbg,
    0xc000_0602 "STATUS_FAIL_FAST_EXCEPTION" "Fail-fast exception" Failure,
    0xc002_0001 "RPC_NT_INVALID_STRING_BINDING" "RPC: invalid string binding" Failure,
    0xc002_0043 "RPC_NT_INTERNAL_ERROR" "RPC: internal error" Failure,
    0xc015_000f "STATUS_SXS_EARLY_DEACTIVATION" "Activation context deactivated too early" Failure,
    0xc015_0010 "STATUS_SXS_INVALID_DEACTIVATION" "Invalid deactivation of an activation context" Failure,
    0xcfff_ffff "APPLICATION_HANG" "Application hang" Hang windbg,
    0xe043_4352 "CLR_EXCEPTION" "CLR exception" Failure windbg,
    0xe043_4f4d "CLR_EXCEPTION_V2" "CLR exception" Failure windbg,
    0xe06d_7363 "CPP_EXCEPTION" "C++ EH exception" Failure windbg,
}

/// `FAST_FAIL_*` by number; an empty name is a number that is not in use.
const FAST_FAIL: [&str; 78] = [
    "LEGACY_GS_VIOLATION",
    "VTGUARD_CHECK_FAILURE",
    "STACK_COOKIE_CHECK_FAILURE",
    "CORRUPT_LIST_ENTRY",
    "INCORRECT_STACK",
    "INVALID_ARG",
    "GS_COOKIE_INIT",
    "FATAL_APP_EXIT",
    "RANGE_CHECK_FAILURE",
    "UNSAFE_REGISTRY_ACCESS",
    "GUARD_ICALL_CHECK_FAILURE",
    "GUARD_WRITE_CHECK_FAILURE",
    "INVALID_FIBER_SWITCH",
    "INVALID_SET_OF_CONTEXT",
    "INVALID_REFERENCE_COUNT",
    "",
    "",
    "",
    "INVALID_JUMP_BUFFER",
    "MRDATA_MODIFIED",
    "CERTIFICATION_FAILURE",
    "INVALID_EXCEPTION_CHAIN",
    "CRYPTO_LIBRARY",
    "INVALID_CALL_IN_DLL_CALLOUT",
    "INVALID_IMAGE_BASE",
    "DLOAD_PROTECTION_FAILURE",
    "UNSAFE_EXTENSION_CALL",
    "DEPRECATED_SERVICE_INVOKED",
    "INVALID_BUFFER_ACCESS",
    "INVALID_BALANCED_TREE",
    "INVALID_NEXT_THREAD",
    "GUARD_ICALL_CHECK_SUPPRESSED",
    "APCS_DISABLED",
    "INVALID_IDLE_STATE",
    "MRDATA_PROTECTION_FAILURE",
    "UNEXPECTED_HEAP_EXCEPTION",
    "INVALID_LOCK_STATE",
    "GUARD_JUMPTABLE",
    "INVALID_LONGJUMP_TARGET",
    "INVALID_DISPATCH_CONTEXT",
    "INVALID_THREAD",
    "INVALID_SYSCALL_NUMBER",
    "INVALID_FILE_OPERATION",
    "LPAC_ACCESS_DENIED",
    "GUARD_SS_FAILURE",
    "LOADER_CONTINUITY_FAILURE",
    "GUARD_EXPORT_SUPPRESSION_FAILURE",
    "INVALID_CONTROL_STACK",
    "SET_CONTEXT_DENIED",
    "INVALID_IAT",
    "HEAP_METADATA_CORRUPTION",
    "PAYLOAD_RESTRICTION_VIOLATION",
    "LOW_LABEL_ACCESS_DENIED",
    "ENCLAVE_CALL_FAILURE",
    "UNHANDLED_LSS_EXCEPTON",
    "ADMINLESS_ACCESS_DENIED",
    "UNEXPECTED_CALL",
    "CONTROL_INVALID_RETURN_ADDRESS",
    "UNEXPECTED_HOST_BEHAVIOR",
    "FLAGS_CORRUPTION",
    "VEH_CORRUPTION",
    "ETW_CORRUPTION",
    "RIO_ABORT",
    "INVALID_PFN",
    "GUARD_ICALL_CHECK_FAILURE_XFG",
    "CAST_GUARD",
    "HOST_VISIBILITY_CHANGE",
    "KERNEL_CET_SHADOW_STACK_ASSIST",
    "PATCH_CALLBACK_FAILED",
    "NTDLL_PATCH_FAILED",
    "INVALID_FLS_DATA",
    "ASAN_ERROR",
    "CLR_EXCEPTION_AOT",
    "POINTER_AUTH_INVALID_RETURN_ADDRESS",
    "INVALID_THREAD_STATE",
    "CORRUPT_WOW64_STATE",
    "INVALID_EXTENDED_STATE",
    "KERNEL_POINTER_EXPECTED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        assert!(CODES.windows(2).all(|w| w[0].code < w[1].code));
    }

    #[test]
    fn words_of_windbg() {
        assert_eq!(windbg_words(0xc000_0005), Some("Access violation"));
        assert_eq!(windbg_words(0xc000_0374), None, "the words are ours");
        assert_eq!(windbg_words(0x1234), None);
    }

    #[test]
    fn fast_fail_numbers() {
        assert_eq!(fast_fail_name(7), Some("FATAL_APP_EXIT"));
        assert_eq!(fast_fail_name(16), None);
        assert_eq!(fast_fail_name(29), Some("INVALID_BALANCED_TREE"));
        assert_eq!(fast_fail_name(50), Some("HEAP_METADATA_CORRUPTION"));
        assert_eq!(fast_fail_name(77), Some("KERNEL_POINTER_EXPECTED"));
        assert_eq!(fast_fail_name(u64::MAX), None);
    }
}
