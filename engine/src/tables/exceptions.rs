//! Exception codes as the debugger names them, and the subcodes of fast-fail exceptions.

use super::find;

/// What the debugger shows for an exception code (`Access violation`); `Unknown exception` for others.
#[must_use]
pub fn display_name(code: u32) -> &'static str {
    find(DISPLAY, code).unwrap_or("Unknown exception")
}

/// The SDK's name of an exception code (`ACCESS_VIOLATION`), when it has one.
#[must_use]
pub fn symbolic_name(code: u32) -> Option<&'static str> {
    find(SYMBOLIC, code)
}

/// `FAST_FAIL_…` of a `__fastfail` subcode (`ExceptionInformation[0]` of C0000409), when it is known.
#[must_use]
pub fn fast_fail_name(subcode: u64) -> Option<&'static str> {
    find(FAST_FAIL, u32::try_from(subcode).ok()?)
}

const DISPLAY: &[(u32, &str)] = &[
    (0x4000_001e, "WOW64 single step exception"),
    (0x4000_001f, "WOW64 breakpoint"),
    (0x4001_0005, "Control-C exception"),
    (0x4001_0008, "Control-Break exception"),
    (0x4001_0009, "Command exception"),
    (0x4008_0201, "Windows Runtime Originate Error"),
    (0x4008_0202, "Windows Runtime Transform Error"),
    (0x406d_1388, "Visual C++ exception"),
    (0x8000_0001, "Guard page violation"),
    (0x8000_0002, "Data misaligned"),
    (0x8000_0003, "Break instruction exception"),
    (0x8000_0004, "Single step exception"),
    (0x8000_0007, "Wake debugger"),
    (0xc000_0005, "Access violation"),
    (0xc000_0006, "In-page I/O error"),
    (0xc000_0008, "Invalid handle"),
    (0xc000_001d, "Illegal instruction"),
    (0xc000_001e, "Invalid lock sequence"),
    (0xc000_0037, "Port disconnected"),
    (0xc000_008c, "Array bounds exceeded"),
    (0xc000_0094, "Integer divide-by-zero"),
    (0xc000_0095, "Integer overflow"),
    (0xc000_0096, "Privileged instruction"),
    (0xc000_00fd, "Stack overflow"),
    (0xc000_0409, "Security check failure or stack buffer overrun"),
    (0xc000_0420, "Assertion failure"),
    (0xc000_0421, "Verifier stop"),
    (0xcfff_ffff, "Application hang"),
    (0xe043_4352, "CLR exception"),
    (0xe043_4f4d, "CLR exception"),
    (0xe06d_7363, "C++ EH exception"),
];

const SYMBOLIC: &[(u32, &str)] = &[
    (0x4000_0015, "FATAL_APP_EXIT"),
    (0x4000_001e, "WX86_SINGLE_STEP"),
    (0x4000_001f, "WX86_BREAKPOINT"),
    (0x4001_0005, "DBG_CONTROL_C"),
    (0x4001_0006, "DBG_PRINTEXCEPTION_C"),
    (0x4001_0008, "DBG_CONTROL_BREAK"),
    (0x4001_000a, "DBG_PRINTEXCEPTION_WIDE_C"),
    (0x4008_0201, "RO_ORIGINATE_ERROR"),
    (0x406d_1388, "MS_VC_EXCEPTION"),
    (0x8000_0001, "GUARD_PAGE_VIOLATION"),
    (0x8000_0002, "DATATYPE_MISALIGNMENT"),
    (0x8000_0003, "BREAKPOINT"),
    (0x8000_0004, "SINGLE_STEP"),
    (0x8000_0007, "WAKE_SYSTEM_DEBUGGER"),
    (0x8000_0026, "LONGJUMP"),
    (0x8000_0029, "UNWIND_CONSOLIDATE"),
    (0xc000_0005, "ACCESS_VIOLATION"),
    (0xc000_0006, "IN_PAGE_ERROR"),
    (0xc000_0008, "INVALID_HANDLE"),
    (0xc000_000d, "INVALID_PARAMETER"),
    (0xc000_0017, "NO_MEMORY"),
    (0xc000_001d, "ILLEGAL_INSTRUCTION"),
    (0xc000_001e, "INVALID_LOCK_SEQUENCE"),
    (0xc000_0025, "NONCONTINUABLE_EXCEPTION"),
    (0xc000_0026, "INVALID_DISPOSITION"),
    (0xc000_0037, "PORT_DISCONNECTED"),
    (0xc000_008c, "ARRAY_BOUNDS_EXCEEDED"),
    (0xc000_008d, "FLOAT_DENORMAL_OPERAND"),
    (0xc000_008e, "FLOAT_DIVIDE_BY_ZERO"),
    (0xc000_008f, "FLOAT_INEXACT_RESULT"),
    (0xc000_0090, "FLOAT_INVALID_OPERATION"),
    (0xc000_0091, "FLOAT_OVERFLOW"),
    (0xc000_0092, "FLOAT_STACK_CHECK"),
    (0xc000_0093, "FLOAT_UNDERFLOW"),
    (0xc000_0094, "INTEGER_DIVIDE_BY_ZERO"),
    (0xc000_0095, "INTEGER_OVERFLOW"),
    (0xc000_0096, "PRIVILEGED_INSTRUCTION"),
    (0xc000_00fd, "STACK_OVERFLOW"),
    (0xc000_0135, "DLL_NOT_FOUND"),
    (0xc000_0138, "ORDINAL_NOT_FOUND"),
    (0xc000_0139, "ENTRYPOINT_NOT_FOUND"),
    (0xc000_013a, "CONTROL_C_EXIT"),
    (0xc000_0142, "DLL_INIT_FAILED"),
    (0xc000_0194, "POSSIBLE_DEADLOCK"),
    (0xc000_01b2, "CONTROL_STACK_VIOLATION"),
    (0xc000_027b, "STOWED_EXCEPTION"),
    (0xc000_02b4, "FLOAT_MULTIPLE_FAULTS"),
    (0xc000_02b5, "FLOAT_MULTIPLE_TRAPS"),
    (0xc000_0374, "HEAP_CORRUPTION"),
    (0xc000_0409, "STACK_BUFFER_OVERRUN"),
    (0xc000_0417, "INVALID_CRUNTIME_PARAMETER"),
    (0xc000_041d, "FATAL_USER_CALLBACK_EXCEPTION"),
    (0xc000_0420, "ASSERTION_FAILURE"),
    (0xc000_0602, "FAIL_FAST_EXCEPTION"),
    (0xc002_0043, "RPC_NT_INTERNAL_ERROR"),
    (0xc015_000f, "SXS_EARLY_DEACTIVATION"),
    (0xc015_0010, "SXS_INVALID_DEACTIVATION"),
    (0xcfff_ffff, "APPLICATION_HANG"),
    (0xe043_4352, "CLR_EXCEPTION"),
    (0xe043_4f4d, "CLR_EXCEPTION_V2"),
    (0xe06d_7363, "CPP_EH_EXCEPTION"),
];

// winnt.h FAST_FAIL_*; 15 to 17 are not used.
const FAST_FAIL: &[(u32, &str)] = &[
    (0, "FAST_FAIL_LEGACY_GS_VIOLATION"),
    (1, "FAST_FAIL_VTGUARD_CHECK_FAILURE"),
    (2, "FAST_FAIL_STACK_COOKIE_CHECK_FAILURE"),
    (3, "FAST_FAIL_CORRUPT_LIST_ENTRY"),
    (4, "FAST_FAIL_INCORRECT_STACK"),
    (5, "FAST_FAIL_INVALID_ARG"),
    (6, "FAST_FAIL_GS_COOKIE_INIT"),
    (7, "FAST_FAIL_FATAL_APP_EXIT"),
    (8, "FAST_FAIL_RANGE_CHECK_FAILURE"),
    (9, "FAST_FAIL_UNSAFE_REGISTRY_ACCESS"),
    (10, "FAST_FAIL_GUARD_ICALL_CHECK_FAILURE"),
    (11, "FAST_FAIL_GUARD_WRITE_CHECK_FAILURE"),
    (12, "FAST_FAIL_INVALID_FIBER_SWITCH"),
    (13, "FAST_FAIL_INVALID_SET_OF_CONTEXT"),
    (14, "FAST_FAIL_INVALID_REFERENCE_COUNT"),
    (18, "FAST_FAIL_INVALID_JUMP_BUFFER"),
    (19, "FAST_FAIL_MRDATA_MODIFIED"),
    (20, "FAST_FAIL_CERTIFICATION_FAILURE"),
    (21, "FAST_FAIL_INVALID_EXCEPTION_CHAIN"),
    (22, "FAST_FAIL_CRYPTO_LIBRARY"),
    (23, "FAST_FAIL_INVALID_CALL_IN_DLL_CALLOUT"),
    (24, "FAST_FAIL_INVALID_IMAGE_BASE"),
    (25, "FAST_FAIL_DLOAD_PROTECTION_FAILURE"),
    (26, "FAST_FAIL_UNSAFE_EXTENSION_CALL"),
    (27, "FAST_FAIL_DEPRECATED_SERVICE_INVOKED"),
    (28, "FAST_FAIL_INVALID_BUFFER_ACCESS"),
    (29, "FAST_FAIL_INVALID_BALANCED_TREE"),
    (30, "FAST_FAIL_INVALID_NEXT_THREAD"),
    (31, "FAST_FAIL_GUARD_ICALL_CHECK_SUPPRESSED"),
    (32, "FAST_FAIL_APCS_DISABLED"),
    (33, "FAST_FAIL_INVALID_IDLE_STATE"),
    (34, "FAST_FAIL_MRDATA_PROTECTION_FAILURE"),
    (35, "FAST_FAIL_UNEXPECTED_HEAP_EXCEPTION"),
    (36, "FAST_FAIL_INVALID_LOCK_STATE"),
    (37, "FAST_FAIL_GUARD_JUMPTABLE"),
    (38, "FAST_FAIL_INVALID_LONGJUMP_TARGET"),
    (39, "FAST_FAIL_INVALID_DISPATCH_CONTEXT"),
    (40, "FAST_FAIL_INVALID_THREAD"),
    (41, "FAST_FAIL_INVALID_SYSCALL_NUMBER"),
    (42, "FAST_FAIL_INVALID_FILE_OPERATION"),
    (43, "FAST_FAIL_LPAC_ACCESS_DENIED"),
    (44, "FAST_FAIL_GUARD_SS_FAILURE"),
    (45, "FAST_FAIL_LOADER_CONTINUITY_FAILURE"),
    (46, "FAST_FAIL_GUARD_EXPORT_SUPPRESSION_FAILURE"),
    (47, "FAST_FAIL_INVALID_CONTROL_STACK"),
    (48, "FAST_FAIL_SET_CONTEXT_DENIED"),
    (49, "FAST_FAIL_INVALID_IAT"),
    (50, "FAST_FAIL_HEAP_METADATA_CORRUPTION"),
    (51, "FAST_FAIL_PAYLOAD_RESTRICTION_VIOLATION"),
    (52, "FAST_FAIL_LOW_LABEL_ACCESS_DENIED"),
    (53, "FAST_FAIL_ENCLAVE_CALL_FAILURE"),
    (54, "FAST_FAIL_UNHANDLED_LSS_EXCEPTON"),
    (55, "FAST_FAIL_ADMINLESS_ACCESS_DENIED"),
    (56, "FAST_FAIL_UNEXPECTED_CALL"),
    (57, "FAST_FAIL_CONTROL_INVALID_RETURN_ADDRESS"),
    (58, "FAST_FAIL_UNEXPECTED_HOST_BEHAVIOR"),
    (59, "FAST_FAIL_FLAGS_CORRUPTION"),
    (60, "FAST_FAIL_VEH_CORRUPTION"),
    (61, "FAST_FAIL_ETW_CORRUPTION"),
    (62, "FAST_FAIL_RIO_ABORT"),
    (63, "FAST_FAIL_INVALID_PFN"),
    (64, "FAST_FAIL_GUARD_ICALL_CHECK_FAILURE_XFG"),
    (65, "FAST_FAIL_CAST_GUARD"),
    (66, "FAST_FAIL_HOST_VISIBILITY_CHANGE"),
    (67, "FAST_FAIL_KERNEL_CET_SHADOW_STACK_ASSIST"),
    (68, "FAST_FAIL_PATCH_CALLBACK_FAILED"),
    (69, "FAST_FAIL_NTDLL_PATCH_FAILED"),
    (70, "FAST_FAIL_INVALID_FLS_DATA"),
    (71, "FAST_FAIL_ASAN_ERROR"),
    (72, "FAST_FAIL_CLR_EXCEPTION_AOT"),
    (73, "FAST_FAIL_POINTER_AUTH_INVALID_RETURN_ADDRESS"),
    (74, "FAST_FAIL_INVALID_THREAD_STATE"),
    (75, "FAST_FAIL_CORRUPT_WOW64_STATE"),
    (76, "FAST_FAIL_INVALID_EXTENDED_STATE"),
    (77, "FAST_FAIL_KERNEL_POINTER_EXPECTED"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::assert_sorted;

    #[test]
    fn tables_are_sorted() {
        assert_sorted(DISPLAY);
        assert_sorted(SYMBOLIC);
        assert_sorted(FAST_FAIL);
    }

    #[test]
    fn names() {
        assert_eq!(display_name(0xc000_0005), "Access violation");
        assert_eq!(display_name(0x1234), "Unknown exception");
        assert_eq!(symbolic_name(0xc000_0374), Some("HEAP_CORRUPTION"));
        assert_eq!(fast_fail_name(0x1d), Some("FAST_FAIL_INVALID_BALANCED_TREE"));
        assert_eq!(fast_fail_name(16), None);
        assert_eq!(fast_fail_name(1 << 40), None);
    }
}
