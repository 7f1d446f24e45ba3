//! TokenStream (19): security tokens of the process and of impersonating threads.

use super::{Stream, StreamCx, count, id};
use crate::base::FileOff;
use crate::bytes::Cursor;
use crate::error::Parsed;

/// `MINIDUMP_TOKEN_INFO_HEADER` as the SDK has it: 16 bytes. Real dumps announce larger ones (72 on Windows 7).
const ELEMENT: usize = 16;
/// Tokens read: one per thread at most.
const MAX_TOKENS: usize = 0x1_0000;

/// One token. Its content has no public layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The process or thread that it was opened from.
    pub id: u32,
    /// The handle's value.
    pub handle: u64,
    /// Where the content lies.
    pub offset: FileOff,
    /// Its size, bytes.
    pub size: u32,
}

pub(crate) struct TokenStream;

impl Stream for TokenStream {
    const NUMBER: u32 = id::TOKEN;
    const NAME: &'static str = "TokenStream";
    const ABOUT: &'static str = "security tokens";
    type Value = Vec<Token>;

    /// Parses the stream: {size of the list, tokens, list header size, element header size}, then per token a header
    /// {size, id, handle} of the announced size and the content.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = cx.cursor();
        let mut c = all;
        let head = (c.u32(), c.u32(), c.u32(), c.u32());
        let (Some(list_size), Some(count), Some(list_header), Some(header)) = head else {
            if cx.entry.size < 16 {
                cx.warn(Some(cx.entry.offset), "the stream is too small for its header");
            }
            return cx.done(Vec::new());
        };
        let (list_header, header, list_size) = (list_header as usize, header as usize, list_size as usize);
        if list_header < 16 || header < ELEMENT {
            if count > 0 {
                cx.warn(
                    Some(cx.entry.offset),
                    format!("header sizes {list_header} and {header} are too small"),
                );
            }
            return cx.done(Vec::new());
        }
        let count = (count as usize).min(MAX_TOKENS);
        // The SDK does not say whether a token's size counts its header. The list's size does.
        let first = all.at(list_header);
        let inclusive = walk(first, count, header, true);
        let exclusive = walk(first, count, header, false);
        let (tokens, end) = match (&inclusive, &exclusive) {
            (Some((_, end)), _) if *end == list_size => inclusive.unwrap_or_default(),
            (_, Some((_, end))) if *end == list_size => exclusive.unwrap_or_default(),
            _ => inclusive.or(exclusive).unwrap_or_default(),
        };
        if tokens.len() < count || end != list_size {
            cx.warn(
                Some(cx.entry.offset),
                format!(
                    "{count} tokens in {list_size:#x} bytes are announced, {} end at {end:#x}",
                    tokens.len()
                ),
            );
        }
        cx.done(tokens)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "token")
    }
}

/// Tokens one after another; `None` when not even the first one fits. Also returns where they end.
fn walk(mut c: Cursor<'_>, count: usize, header: usize, inclusive: bool) -> Option<(Vec<Token>, usize)> {
    let mut out = Vec::new();
    for _ in 0..count {
        let start = c.pos();
        let (Some(size), Some(id), Some(handle)) = (c.u32(), c.u32(), c.u64()) else { break };
        let whole = if inclusive { size as usize } else { header.checked_add(size as usize)? };
        let content = whole.checked_sub(header)?;
        c = c.at(start);
        if c.take(header).is_none() {
            break;
        }
        let offset = c.offset();
        if c.take(content).is_none() {
            break;
        }
        out.push(Token { id, handle, offset, size: u32::try_from(content).ok()? });
    }
    (count == 0 || !out.is_empty()).then(|| (out, c.pos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Machine;
    use crate::stream::DirectoryEntry;

    fn tokens(list_size: u32, header: u32, elements: &[(u32, u32, usize)]) -> Parsed<Vec<Token>> {
        let mut b = Vec::new();
        for v in [list_size, elements.len() as u32, 16, header] {
            b.extend(v.to_le_bytes());
        }
        for &(size, id, bytes) in elements {
            let start = b.len();
            b.extend(size.to_le_bytes());
            b.extend(id.to_le_bytes());
            b.extend(0x44u64.to_le_bytes());
            b.resize(start + bytes, 0xaa);
        }
        let entry = DirectoryEntry { stream_type: 19, size: b.len() as u32, offset: FileOff(0) };
        TokenStream::parse(StreamCx::new("TokenStream", &b, entry, Machine::Amd64))
    }

    #[test]
    fn both_meanings_of_the_size() {
        let Parsed::Fine(t) = tokens(16 + 80 + 90, 72, &[(80, 5, 80), (90, 6, 90)]) else { panic!() };
        assert_eq!((t[0].id, t[0].size, t[1].id, t[1].size), (5, 8, 6, 18));
        let Parsed::Fine(t) = tokens(16 + 40, 16, &[(24, 5, 40)]) else { panic!() };
        assert_eq!((t[0].offset, t[0].size, t[0].handle), (FileOff(32), 24, 0x44));
    }

    #[test]
    fn a_token_beyond_the_stream_is_damage() {
        let Parsed::Damaged(t, w) = tokens(16 + 80, 72, &[(80, 5, 80), (9000, 6, 16)]) else { panic!() };
        assert_eq!((t.len(), w.len()), (1, 1));
        assert!(matches!(tokens(16, 0, &[]), Parsed::Fine(t) if t.is_empty()));
    }
}
