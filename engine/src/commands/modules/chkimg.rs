//! `!chkimg`: compares a module's code in the dump with its file.

use super::super::missing;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::fmt;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;

pub(crate) const CHKIMG: Command = Command {
    name: "!chkimg",
    group: "modules",
    syntax: "!chkimg [-d] [-v] module",
    summary: "Compares a module's code in the dump with its file",
    help: "Finds code that was patched or damaged in memory. The file is looked for along the symbol path and `.exepath`; only \
           code that the dump itself holds is compared. `-d` lists the places that differ (they are listed in any case when \
           they are few).",
    examples: &[("!chkimg ntdll", "Whether ntdll's code is as in its file")],
    needs: &[Needs::Modules, Needs::Memory],
    run,
    ..Command::BASE
};

/// Most differing places that are listed.
const MAX_PLACES: usize = 100;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    while args.switch().is_some() {}
    let at = args.pos();
    let Some(name) = args.word().map(str::to_owned) else {
        return Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required"));
    };
    args.end()?;
    let symbols = &session.target.symbols;
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(s, _)| s);
    let found = symbols.modules_named(&name).first().or(symbols.modules_named(stem).first()).copied();
    let by_address = || {
        let va = crate::lang::Cursor::new(inv.text, at).address(session).ok()?;
        symbols.module_at(va)
    };
    let Some(index) = found.or_else(by_address) else {
        return Err(CommandError::message(format!("There is no module '{}' in the dump.", escape(&name))));
    };
    let Some(module) = symbols.modules().get(index) else { return Ok(()) };
    let file = escape(&module.file_name).into_owned();
    let Some(image) = symbols.image(index) else {
        return Err(CommandError::noted(
            format!("Unable to find the file of {file}: nothing to compare with"),
            "`.exepath+ FOLDER` names a folder with the module's file (of the same build), a symbol server may have it, too.",
        ));
    };
    let memory = session.dump().memory();
    let wide = session.sel.machine.is_64();
    let starts: Vec<Va> = memory.ranges().map(|r| r.start).collect();
    let (mut compared, mut errors) = (0u64, 0u64);
    let mut places: Vec<(Va, u64)> = Vec::new();
    for part in image.parts(module.base) {
        let code = image.headers().sections.iter().any(|s| s.is_code() && s.contains(part.rva));
        if !code {
            continue;
        }
        let start = part.rva.va(module.base);
        let mut done = 0usize;
        while let Some(rest) = part.bytes.get(done..).filter(|r| !r.is_empty()) {
            if session.cancel.is_cancelled() {
                return Err(CommandError::Stopped);
            }
            let va = start.offset(done as u64);
            // What an image filled in is no evidence: captured bytes only.
            let captured = memory.rest_of_range(va);
            let len = captured.len().min(rest.len());
            if len == 0 {
                let next = starts.get(starts.partition_point(|s| *s <= va)).copied();
                let Some(skip) = next.and_then(|n| n.distance_from(va)).filter(|s| *s < rest.len() as u64)
                else {
                    break;
                };
                done = done.saturating_add(usize::try_from(skip).unwrap_or(usize::MAX));
                continue;
            }
            compared += len as u64;
            for (i, (a, b)) in captured.iter().zip(rest).take(len).enumerate() {
                if a == b {
                    continue;
                }
                errors += 1;
                let va = va.offset(i as u64);
                if let Some((_, n)) = places.last_mut().filter(|(from, n)| from.offset(*n) == va) {
                    *n += 1;
                } else if places.len() < MAX_PLACES {
                    places.push((va, 1));
                }
            }
            done += len;
        }
    }
    if compared == 0 {
        return Err(CommandError::noted(
            format!("No code of {file} is in the dump: nothing to compare"),
            missing::MEMORY,
        ));
    }
    let mut lines: Vec<Line> = Vec::new();
    for (va, n) in &places {
        let name = symbols.format(*va, session.sel.machine).unwrap_or_default();
        let text =
            format!("    {}-{}  {n} bytes - {name}", fmt::addr(*va, wide), fmt::addr(va.offset(n - 1), wide));
        lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
    }
    lines.push(Line::plain(format!("{errors} errors : {file} ({compared} bytes of code compared)")));
    session.emit(sink, &Message(lines))
}
