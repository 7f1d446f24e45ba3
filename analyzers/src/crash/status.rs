//! Names of all NTSTATUS values and Win32 errors.
//!
//! `data/ntstatus.txt` and `data/win32.txt`: one `value NAME` a line, sorted; made from the public-domain headers
//! `ntstatus.h` and `winerror.h` of mingw-w64, which follow [MS-ERREF].

use std::sync::OnceLock;

const NTSTATUS: &str = include_str!("../../data/ntstatus.txt");
const WIN32: &str = include_str!("../../data/win32.txt");

type Table = Vec<(u32, &'static str)>;

fn parse(text: &'static str, radix: u32) -> Table {
    text.lines()
        .filter_map(|l| {
            let (value, name) = l.split_once(' ')?;
            Some((u32::from_str_radix(value, radix).ok()?, name))
        })
        .collect()
}

fn find(table: &Table, code: u32) -> Option<&'static str> {
    let at = table.binary_search_by_key(&code, |r| r.0).ok()?;
    table.get(at).map(|r| r.1)
}

/// The SDK's name of an NTSTATUS value.
#[must_use]
pub fn ntstatus_name(code: u32) -> Option<&'static str> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    find(TABLE.get_or_init(|| parse(NTSTATUS, 16)), code)
}

/// The SDK's name of a Win32 error.
#[must_use]
pub fn win32_name(code: u32) -> Option<&'static str> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    find(TABLE.get_or_init(|| parse(WIN32, 10)), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_whole() {
        for (text, radix, fewest) in [(NTSTATUS, 16, 1700), (WIN32, 10, 1600)] {
            let table = parse(text, radix);
            assert_eq!(table.len(), text.lines().count());
            assert!(table.len() > fewest, "{}", table.len());
            assert!(table.windows(2).all(|w| w[0].0 < w[1].0));
        }
    }

    #[test]
    fn names() {
        assert_eq!(ntstatus_name(0xc000_0264), Some("STATUS_RESOURCE_NOT_OWNED"));
        assert_eq!(ntstatus_name(0xc000_0005), Some("STATUS_ACCESS_VIOLATION"));
        assert_eq!(ntstatus_name(0x1234_5678), None);
        assert_eq!(win32_name(5), Some("ERROR_ACCESS_DENIED"));
        assert_eq!(win32_name(1722), Some("RPC_S_SERVER_UNAVAILABLE"));
    }
}
