//! Tables of public facts: names of codes, flags and rights.
//!
//! Source of the values: the Windows SDK's public headers (winnt.h, ntstatus.h, winerror.h, minidumpapiset.h,
//! verrsrc.h) and Microsoft's debugger documentation. Texts are the system's short messages in English.

pub mod access;
pub mod gflags;
pub mod hresult;
pub mod memory;
pub mod ntstatus;
pub mod pe;
pub mod streams;
pub mod win32;

/// Looks up a code in a table sorted by code.
pub(crate) fn find(table: &'static [(u32, &'static str)], code: u32) -> Option<&'static str> {
    let at = table.binary_search_by_key(&code, |&(c, _)| c).ok()?;
    table.get(at).map(|&(_, text)| text)
}

#[cfg(test)]
pub(crate) fn assert_sorted(table: &[(u32, &str)]) {
    for pair in table.windows(2) {
        assert!(pair[0].0 < pair[1].0, "{:#x} is not before {:#x}", pair[0].0, pair[1].0);
    }
}
