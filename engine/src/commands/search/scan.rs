//! Looks for a pattern in all known bytes of a range.

use super::options::Options;
use super::report::Hits;
use crate::command::CommandError;
use crate::doc::Sink;
use crate::lang::Range;
use crate::session::Session;
use dumpscope_core::memory::MemoryView;
use dumpscope_core::{ReadMemory, Va};
use memchr::memmem::Finder;

/// Bytes between two looks at the stop request.
const STEP: usize = 1 << 20;

/// A piece of known memory inside the range.
pub(super) struct Piece<'a> {
    pub(super) start: Va,
    pub(super) bytes: std::borrow::Cow<'a, [u8]>,
}

/// Calls `each` with the known pieces of a range in address order, at most [`STEP`] bytes each, with progress, until
/// it fails or somebody asks to stop.
pub(super) fn pieces<'a>(
    session: &'a Session,
    memory: &'a MemoryView,
    range: Range,
    sink: &mut dyn Sink,
    mut each: impl FnMut(Piece<'a>, &mut dyn Sink) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let end = range.start.0.saturating_add(range.bytes());
    let inside = |start: Va, size: u64| {
        start.0.saturating_add(size).min(end).saturating_sub(start.0.max(range.start.0))
    };
    let total = memory.ranges().fold(0u64, |sum, r| sum.saturating_add(inside(r.start, r.size)));
    let mut done = 0u64;
    let mut at = range.start;
    while let Some(start) = memory.next_readable(at).filter(|va| va.0 < end) {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let limit = usize::try_from(end - start.0).unwrap_or(usize::MAX).min(STEP);
        let captured = memory.rest_of_range(start);
        let bytes = if captured.is_empty() {
            // Bytes of an image file: read, up to the next captured range.
            let mut buf = vec![0u8; limit];
            let got = memory.read_at(start, &mut buf).got;
            buf.truncate(got);
            buf.into()
        } else {
            captured.get(..captured.len().min(limit)).unwrap_or_default().into()
        };
        let piece = Piece { start, bytes };
        let len = piece.bytes.len() as u64;
        done = done.saturating_add(len);
        each(piece, sink)?;
        sink.progress("searching", done.min(total), total);
        match start.checked_add(len.max(1)) {
            Some(next) => at = next,
            None => break,
        }
    }
    Ok(())
}

pub(super) fn scan(
    session: &Session,
    range: Range,
    options: &Options,
    pattern: &[u8],
    hits: &mut Hits,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let memory = session.dump().memory();
    let finder = Finder::new(pattern);
    let step = options.kind.step();
    let mut report = |va: Va, sink: &mut dyn Sink| {
        let aligned = va.distance_from(range.start).is_some_and(|d| d % step == 0);
        if aligned { hits.found(session, sink, va) } else { Ok(()) }
    };
    // The last bytes of the piece before, in which a hit may begin that ends in the next piece.
    let mut tail: (Va, Vec<u8>) = (Va(0), Vec::new());
    pieces(session, memory, range, sink, |piece, sink| {
        let bytes = &*piece.bytes;
        if tail.0.offset(tail.1.len() as u64) == piece.start && !tail.1.is_empty() {
            let from = tail.1.len();
            let mut joint = std::mem::take(&mut tail.1);
            joint.extend(bytes.iter().take(pattern.len().saturating_sub(1)));
            for at in find_all(&finder, &joint).take_while(|at| *at < from) {
                report(tail.0.offset(at as u64), sink)?;
            }
            // A short piece leaves a longer tail: the pattern may span more than two pieces.
            if bytes.len() < pattern.len() {
                let keep = joint.len().min(pattern.len().saturating_sub(1));
                let cut = joint.len() - keep;
                tail = (tail.0.offset(cut as u64), joint.split_off(cut));
                return Ok(());
            }
        }
        for at in find_all(&finder, bytes) {
            report(piece.start.offset(at as u64), sink)?;
        }
        let keep = bytes.len().min(pattern.len().saturating_sub(1));
        let cut = bytes.len() - keep;
        tail = (piece.start.offset(cut as u64), bytes.get(cut..).unwrap_or_default().to_vec());
        Ok(())
    })
}

/// All places of a pattern, overlapping ones too.
fn find_all<'f>(finder: &'f Finder<'_>, bytes: &'f [u8]) -> impl Iterator<Item = usize> + 'f {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + finder.find(bytes.get(from..)?)?;
        from = at + 1;
        Some(at)
    })
}
