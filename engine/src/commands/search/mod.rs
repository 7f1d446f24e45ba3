//! `s`: searches memory.

mod options;
mod report;
mod scan;
mod strings;

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, Sink};
use crate::session::{Layout, Session};
use options::{Kind, Options};

pub(crate) const S: Command = Command {
    name: "s",
    group: "memory",
    syntax: "s [-[flags]type] range pattern",
    summary: "Searches memory for bytes, numbers or text",
    help: "The type is `b` (bytes, the default), `w` `d` `q` (16-, 32-, 64-bit numbers, at multiples of their size from \
           the start of the range), `a` (ANSI text) or `u` (UTF-16 text). `sa` and `su` need no pattern: they list all \
           texts.\n\nFlags: `w` writable memory only, `1` addresses only, `l n` shortest text of `sa` and `su` (3), `s` \
           saves the hits, `r` searches the saved hits only, `n k` saves at most k. A range over 256 MB needs `L?`: \
           `s -u 0 L?ffffffff \"text\"` searches everything. What the dump does not hold is skipped.",
    examples: &[
        ("s -a @$csp L1000 \"B7\"", "ANSI text on the stack"),
        ("s -d @$csp L400 0", "A 32-bit number on the stack"),
        ("s -[l8]sa @$csp L1000", "Texts of eight characters and more on the stack"),
    ],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let options = Options::take(&mut args, session)?;
    let modern = session.sel.layout == Layout::Modern;
    let at = args.pos();
    if modern && args.is_empty() {
        // Nothing to look for, and nowhere.
        let needs_text = matches!(options.kind, Kind::Ascii | Kind::Wide);
        let text = if needs_text { "Non-empty string required" } else { "Search pattern missing from" };
        return Err(options::missing(&args, text));
    }
    if modern && options.among_saved {
        let hits = session.language.saved_hits.len();
        let line = Line::plain(format!("Searching {hits} hits"));
        session.emit(sink, &Message(vec![line]))?;
    }
    let range = args.search_range(session, options.kind.unit())?;
    if !range.given {
        return Err(CommandError::caret(at, "Range error"));
    }
    let mut hits = report::Hits::new(session, &options)?;
    match options.kind {
        Kind::AsciiTexts | Kind::WideTexts => {
            args.end()?;
            strings::scan(session, range, &options, &mut hits, sink)?;
        }
        _ => {
            let pattern = options::pattern(options.kind, &mut args, session)?;
            scan::scan(session, range, &options, &pattern, &mut hits, sink)?;
            if modern && !args.is_empty() {
                hits.finish(session, sink)?;
                return Err(options::behind_text(&mut args));
            }
        }
    }
    let saved = hits.finish(session, sink)?;
    if let Some(saved) = saved {
        if modern {
            let line = Line::plain(format!("Saved {} hits", saved.len()));
            session.emit(sink, &Message(vec![line]))?;
        }
        session.language.saved_hits = saved;
    }
    Ok(())
}
