//! The list of paths on stdin: one on a line, or ended by NUL bytes (`find -print0`), in UTF-8, UTF-16 or (where the
//! system's names are bytes) whatever the names are in.

use std::path::PathBuf;

/// The paths of a list.
pub(crate) fn paths(bytes: &[u8]) -> Vec<PathBuf> {
    if let Some(text) = utf16(bytes) {
        let parts = text.split(['\n', '\0']).map(|l| l.trim_end_matches('\r')).filter(|l| !l.is_empty());
        return parts.map(PathBuf::from).collect();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let by_nul = bytes.contains(&0);
    let parts = bytes.split(|b| if by_nul { *b == 0 } else { *b == b'\n' });
    // A name may end in a blank; what ends lines elsewhere is no part of one.
    let part = |p: &[u8]| path(if by_nul { p } else { p.strip_suffix(b"\r").unwrap_or(p) });
    parts.filter(|p| !p.is_empty() && *p != b"\r").map(part).collect()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> PathBuf {
    // Without UTF-8 it is the code page of Windows; most have Latin letters where Latin-1 has them.
    let latin = || bytes.iter().map(|b| char::from(*b)).collect();
    PathBuf::from(std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned))
}

/// UTF-16 text: by its mark, or because every other byte of what it begins with is 0 (PowerShell writes both). Some short
/// names, each ended by NUL, look so too: four characters must.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (big, rest) = match bytes {
        [0xff, 0xfe, rest @ ..] => (false, rest),
        [0xfe, 0xff, rest @ ..] => (true, rest),
        [a, 0, b, 0, c, 0, d, 0, ..] if ![a, b, c, d].contains(&&0) => (false, bytes),
        _ => return None,
    };
    let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
    let units = rest.as_chunks::<2>().0.iter().map(unit);
    Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Vec<String> {
        paths(bytes).iter().map(|p| p.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn lists_of_all_kinds() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(of(b"a.dmp\nb c.dmp\r\n\nd.dmp"), ["a.dmp", "b c.dmp", "d.dmp"]);
        assert_eq!(of(b"a.dmp\0b\nc.dmp\0"), ["a.dmp", "b\nc.dmp"]);
        assert_eq!(of(b"\xef\xbb\xbfa.dmp\r\n"), ["a.dmp"]);
        assert_eq!(of(&wide("\u{feff}a.dmp\r\nü.dmp\r\n")), ["a.dmp", "ü.dmp"]);
        assert_eq!(of(&wide("a.dmp\nb.dmp")), ["a.dmp", "b.dmp"]);
        assert_eq!(of(b"\xfe\xff\0a\0\n\0b"), ["a", "b"]);
        assert_eq!(of(b"a\0b\0"), ["a", "b"].map(str::to_owned), "short names that end in NUL");
        assert!(of(b"").is_empty() && of(b"\r\n").is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_stay_what_they_are() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(paths(b"a\xff.dmp\n")[0].as_os_str().as_bytes(), b"a\xff.dmp");
    }
}
