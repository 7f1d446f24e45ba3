//! `s -sa`, `s -su`: all texts of a range.

use super::options::{Kind, Options};
use super::report::Hits;
use super::scan::pieces;
use crate::command::CommandError;
use crate::doc::Sink;
use crate::lang::Range;
use crate::session::{Layout, Session};
use dumpscope_core::Va;

/// Longest text that is kept in one piece, characters.
const MAX_TEXT: usize = 1024;

/// A text that is being read.
#[derive(Default)]
struct Run {
    start: Va,
    text: String,
}

pub(super) fn scan(
    session: &Session,
    range: Range,
    options: &Options,
    hits: &mut Hits,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let memory = session.dump().memory();
    let wide = options.kind == Kind::WideTexts;
    let size = if wide { 2u64 } else { 1 };
    // For today's engine a text ends with another character: one that runs into the end of the range or of known memory is
    // none.
    let modern = session.sel.layout == Layout::Modern;
    let mut run = Run::default();
    // The low byte of a character whose high byte is in the next piece.
    let mut odd: Option<(Va, u8)> = None;
    let mut close = |run: &mut Run, sink: &mut dyn Sink| {
        let text = std::mem::take(&mut run.text);
        if !text.is_empty() && text.len() >= options.min_length {
            hits.text(session, sink, run.start, text)
        } else {
            Ok(())
        }
    };
    pieces(session, memory, range, sink, |piece, sink| {
        let mut push = |va: Va, c: Option<u8>, sink: &mut dyn Sink| {
            let follows = run.start.offset(run.text.len() as u64 * size) == va;
            if !run.text.is_empty() && (c.is_none() || !follows || run.text.len() >= MAX_TEXT) {
                if modern && !follows {
                    run.text.clear();
                }
                close(&mut run, sink)?;
            }
            if let Some(c) = c {
                if run.text.is_empty() {
                    run.start = va;
                }
                run.text.push(char::from(c));
            }
            Ok::<(), CommandError>(())
        };
        let printable = |low: u8, high: u8| (high == 0 && matches!(low, 0x20..=0x7e)).then_some(low);
        let bytes = &*piece.bytes;
        if !wide {
            for (i, b) in bytes.iter().enumerate() {
                push(piece.start.offset(i as u64), printable(*b, 0), sink)?;
            }
            return Ok(());
        }
        // Characters lie at even distances from the start of the range.
        let mut i = 0;
        if let Some((va, low)) = odd.take() {
            if va.offset(1) == piece.start
                && let Some(high) = bytes.first()
            {
                push(va, printable(low, *high), sink)?;
                i = 1;
            }
        } else if piece.start.distance_from(range.start).is_some_and(|d| d % 2 == 1) {
            i = 1;
        }
        while let (Some(low), Some(high)) = (bytes.get(i), bytes.get(i + 1)) {
            push(piece.start.offset(i as u64), printable(*low, *high), sink)?;
            i += 2;
        }
        odd = bytes.get(i).map(|low| (piece.start.offset(i as u64), *low));
        Ok(())
    })?;
    if modern {
        return Ok(());
    }
    close(&mut run, sink)
}
