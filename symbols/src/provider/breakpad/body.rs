//! Source lines and inlined calls of one function.

use super::parse::{Fields, Span, lines};

/// Deepest nesting of inlined calls.
const MAX_DEPTH: u32 = 128;
/// Most ranges of one INLINE record.
const MAX_RANGES: usize = 4096;

/// A source line that covers the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) start: u32,
    pub(super) line: u32,
    pub(super) file: u32,
}

/// An INLINE record that covers the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Number of the INLINE_ORIGIN record.
    pub(super) origin: u32,
    /// Line of the call.
    pub(super) line: u32,
    /// File of the call; old files do not say.
    pub(super) file: Option<u32>,
    /// Lowest address of its ranges.
    pub(super) start: u32,
    /// Start of the range that covers the address.
    pub(super) covering: u32,
}

/// What a function's records say of one address.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// The innermost position.
    pub(super) line: Option<Line>,
    /// Inlined calls, outermost first, without gaps in their nesting.
    pub(super) inlines: Vec<Call>,
    /// File of the function's first line.
    pub(super) first_file: Option<u32>,
}

impl Body {
    pub(super) fn read(file: &[u8], span: Span, rva: u32) -> Body {
        let mut body = Body::default();
        let mut calls: Vec<(u32, Call)> = Vec::new();
        for (_, _, text) in lines(file, span) {
            if let Some(rest) = text.strip_prefix(b"INLINE ") {
                calls.extend(inline(rest, rva));
                continue;
            }
            let mut f = Fields::new(text);
            let (Some(start), Some(size), Some(line), Some(number)) =
                (f.hex(), f.hex(), f.decimal(), f.decimal())
            else {
                continue;
            };
            body.first_file.get_or_insert(number);
            // Of lines that overlap the one that starts last is the closest.
            if rva.wrapping_sub(start) < size && body.line.is_none_or(|l| l.start <= start) {
                body.line = Some(Line { start, line, file: number });
            }
        }
        for depth in 0..MAX_DEPTH {
            // Two calls of one depth do not overlap in a sound file; in another the first counts.
            let Some((_, call)) = calls.iter().find(|(d, _)| *d == depth) else { break };
            body.inlines.push(*call);
        }
        body
    }
}

/// An INLINE record with its depth, when one of its ranges covers the address.
///
/// `INLINE depth call_line call_file origin [address size]+`; files made before call files were added have
/// `INLINE depth call_line origin [address size]+`: the number of fields tells.
fn inline(rest: &[u8], rva: u32) -> Option<(u32, Call)> {
    let mut counter = Fields::new(rest);
    let count = std::iter::from_fn(|| counter.next()).count();
    let mut f = Fields::new(rest);
    let (depth, line) = (f.decimal()?, f.decimal()?);
    let file = if count % 2 == 0 { Some(f.decimal()?) } else { None };
    let origin = f.decimal()?;
    let mut first = u32::MAX;
    let mut covering = None;
    for _ in 0..MAX_RANGES {
        let (Some(start), Some(size)) = (f.hex(), f.hex()) else { break };
        first = first.min(start);
        if rva.wrapping_sub(start) < size {
            covering = Some(start);
        }
    }
    Some((depth, Call { origin, line, file, start: first, covering: covering? }))
}
