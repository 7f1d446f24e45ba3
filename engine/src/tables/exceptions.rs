//! Exception codes as WinDbg names them. `dumpscope_analyzers::crash` has the SDK's names, also of codes for which
//! WinDbg has no words.

use super::find;

/// What WinDbg shows for an exception code (`Access violation`), when it has words for it.
#[must_use]
pub fn display_name(code: u32) -> Option<&'static str> {
    find(DISPLAY, code)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::assert_sorted;

    #[test]
    fn tables_are_sorted() {
        assert_sorted(DISPLAY);
    }

    #[test]
    fn names() {
        assert_eq!(display_name(0xc000_0005), Some("Access violation"));
        assert_eq!(display_name(0x1234), None);
    }
}
