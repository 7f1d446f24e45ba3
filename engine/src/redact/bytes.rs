//! What is private in the bytes of a text: what is written instead has as many bytes, so that nothing moves.

use super::{Names, Redactor};
use dumpscope_core::write::TextForm;

/// Bytes of a text that are written otherwise.
#[derive(Debug)]
pub(super) struct Hit {
    /// Where in the text's bytes.
    pub(super) at: usize,
    pub(super) kind: String,
    pub(super) new: Vec<u8>,
}

/// A pseudonym of `len` bytes: cut, or filled up.
pub(super) fn shaped(pseudonym: &str, form: TextForm, len: usize) -> Vec<u8> {
    match form {
        TextForm::Utf16 => {
            let units = pseudonym.encode_utf16().chain(std::iter::repeat(u16::from(b'-')));
            units.flat_map(u16::to_le_bytes).take(len).collect()
        }
        TextForm::Bytes | TextForm::Data => {
            pseudonym.bytes().chain(std::iter::repeat(b'-')).take(len).collect()
        }
    }
}

/// UTF-16 as text; half a pair becomes U+FFFD, which is one unit as well.
pub(super) fn utf16(raw: &[u8]) -> String {
    let units: Vec<u16> = raw.as_chunks::<2>().0.iter().map(|p| u16::from_le_bytes(*p)).collect();
    String::from_utf16_lossy(&units)
}

impl Redactor {
    /// What is private in the bytes of a text, in order, disjoint.
    pub(super) fn hits(&self, raw: &[u8], form: TextForm, names: &Names) -> Vec<Hit> {
        // How many bytes a part of the text has there.
        let (text, size): (String, fn(&str) -> usize) = match (form, std::str::from_utf8(raw)) {
            (TextForm::Utf16, _) => (utf16(raw), |t| t.encode_utf16().count().saturating_mul(2)),
            (TextForm::Bytes | TextForm::Data, Ok(text)) => (text.to_owned(), str::len),
            // A code page, or a text that is cut: one byte, one letter.
            (TextForm::Bytes | TextForm::Data, Err(_)) => {
                (raw.iter().map(|b| char::from(*b)).collect(), |t| t.chars().count())
            }
        };
        let (mut at, mut done) = (0usize, 0usize);
        let mut out = Vec::new();
        for (range, kind) in self.find(&text, names, true) {
            let (Some(before), Some(old)) = (text.get(done..range.start), text.get(range.clone())) else {
                continue;
            };
            at = at.saturating_add(size(before));
            let new = shaped(&self.pseudonym(&kind, old), form, size(old));
            let after = at.saturating_add(new.len());
            out.push(Hit { at, kind, new });
            (at, done) = (after, range.end);
        }
        out
    }

    /// The bytes of a text without what is private.
    pub(super) fn clean_bytes(&self, raw: &[u8], form: TextForm, names: &Names) -> Vec<u8> {
        let mut out = raw.to_vec();
        for hit in self.hits(raw, form, names) {
            self.count(&hit.kind);
            let room = out.get_mut(hit.at..).and_then(|r| r.get_mut(..hit.new.len()));
            if let Some(room) = room {
                room.copy_from_slice(&hit.new);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::RedactLevel;

    #[test]
    fn nothing_moves() {
        let r = Redactor::new(RedactLevel::Standard, Some(b"key"), None).unwrap();
        let names = Names::of("user", "Jürgen");
        let p = r.pseudonym("user", "jürgen");
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        assert_eq!(
            r.clean_bytes(&wide("𝄞 jürgen!"), TextForm::Utf16, &names),
            wide(&format!("𝄞 {}!", &p[..6]))
        );
        // Half a pair stays what it is.
        let half = [&[0x1e, 0xdd][..], &wide(" Jürgen")].concat();
        let clean = r.clean_bytes(&half, TextForm::Utf16, &names);
        assert_eq!((&clean[..4], clean.len()), (&half[..4], half.len()));
        assert_ne!(clean, half);
        assert_eq!(
            r.clean_bytes("ä Jürgen!".as_bytes(), TextForm::Bytes, &names),
            format!("ä {}!", &p[..7]).into_bytes()
        );
        let latin = b"\xe4 J\xfcrgen!\xff";
        let want = [b"\xe4 ", &p.as_bytes()[..6], b"!\xff"].concat();
        assert_eq!(r.clean_bytes(latin, TextForm::Bytes, &names), want);
    }
}
