//! Bytes of memory that look like texts.

/// Shortest run of bytes that is taken for a text, and of UTF-16 units.
const SHORTEST: usize = 6;
const SHORTEST_WIDE: usize = 4;

/// Runs of printable ASCII, and of UTF-8 of other scripts.
pub(super) fn narrow_runs(bytes: &[u8], found: &mut dyn FnMut(usize, &[u8])) {
    let (mut start, mut end) = (0usize, 0usize);
    while end <= bytes.len() {
        let len = letter(bytes.get(end..).unwrap_or_default());
        if len == 0 {
            let run = bytes.get(start..end).unwrap_or_default();
            if run.len() >= SHORTEST {
                found(start, run);
            }
            start = end.saturating_add(1);
        }
        end = end.saturating_add(len.max(1));
    }
}

/// Bytes of the letter that begins here; 0: none.
fn letter(bytes: &[u8]) -> usize {
    let len = match bytes.first() {
        Some(0x20..=0x7e | b'\t' | b'\r' | b'\n') => return 1,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        _ => return 0,
    };
    let is_utf8 = bytes.get(..len).is_some_and(|b| std::str::from_utf8(b).is_ok());
    if is_utf8 { len } else { 0 }
}

/// What a unit of UTF-16 is for a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// No letter.
    Other,
    /// Latin, Greek, Cyrillic, Hebrew and their neighbours, signs and digits: they stand in texts of every script.
    Common,
    /// A letter of a script, by its number.
    Script(u16),
}

fn unit(u: u16) -> Unit {
    match u {
        0x9 | 0xa | 0xd | 0x20..=0x7e | 0xa0..=0x5ff | 0x2010..=0x206f | 0x20a0..=0x20bf => Unit::Common,
        // Blocks of 128: Arabic, the scripts of India, Thai, Georgian and others.
        0x600..=0x1fff => Unit::Script(u >> 7),
        // Signs, kana and ideographs of Chinese and Japanese, full width.
        0x3000..=0x312f | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0xff00..=0xffef => Unit::Script(0xfff0),
        0xac00..=0xd7a3 => Unit::Script(0xfff1),
        // Pairs: pictures and rare ideographs.
        0xd800..=0xdfff => Unit::Script(0xfff2),
        _ => Unit::Other,
    }
}

/// Runs of UTF-16, at odd places too, each of one script: words of binary data have units of several ones.
pub(super) fn wide_runs(bytes: &[u8], found: &mut dyn FnMut(usize, &[u8])) {
    for skip in [0usize, 1] {
        let bytes = bytes.get(skip..).unwrap_or_default();
        let units = bytes.as_chunks::<2>().0;
        let (mut from, mut script) = (0usize, None);
        for end in 0..=units.len() {
            let this = units.get(end).map_or(Unit::Other, |u| unit(u16::from_le_bytes(*u)));
            let goes_on = match (this, script) {
                (Unit::Common, _) => true,
                (Unit::Script(new), Some(old)) if new != old => false,
                (Unit::Script(new), _) => {
                    script = Some(new);
                    true
                }
                (Unit::Other, _) => false,
            };
            if goes_on {
                continue;
            }
            let at = from.saturating_mul(2);
            let run = bytes.get(at..end.saturating_mul(2)).unwrap_or_default();
            // Two letters of ASCII look like an ideograph: those are found as what they are.
            let is_ascii = run.iter().all(|b| matches!(b, 0x20..=0x7e));
            if end.saturating_sub(from) >= SHORTEST_WIDE && !is_ascii {
                found(skip.saturating_add(at), run);
            }
            (from, script) = match this {
                Unit::Script(new) => (end, Some(new)),
                _ => (end.saturating_add(1), None),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::bytes::utf16;

    #[test]
    fn runs_of_text() {
        let mut seen = Vec::new();
        narrow_runs("\0secret\x01abc\u{7f}пароль\0".as_bytes(), &mut |at, run| {
            seen.push((at, run.to_vec()))
        });
        narrow_runs(b"ab\xc3\xffpassword\xe6\x9d", &mut |at, run| seen.push((at, run.to_vec())));
        let want = [(1, b"secret".to_vec()), (12, "пароль".into()), (4, b"password".to_vec())];
        assert_eq!(seen, want);
    }

    #[test]
    fn runs_of_wide_text() {
        let wide = |text: &str| {
            let mut seen = Vec::new();
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            wide_runs(&bytes, &mut |at, run| {
                if at % 2 == 0 {
                    seen.push((at, utf16(run)));
                }
            });
            seen
        };
        let run = |at: usize, text: &str| (at, text.to_owned());
        assert_eq!(wide("x\0Käse\0"), [run(4, "Käse")]);
        assert_eq!(
            wide("\0東京タワー\0كلمة السر\0비밀번호 1"),
            [run(2, "東京タワー"), run(14, "كلمة السر"), run(34, "비밀번호 1")]
        );
        // Pointers of 32 bits: their halves are of several scripts.
        assert_eq!(wide("\u{5678}\u{0a12}\u{9988}\u{0b12}\u{7788}"), []);
    }
}
