//! `.writemem`: memory of the dump as a file.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Line, Message, Sink};
use crate::files::{refuse_pipe, spare_dumps};
use crate::session::Session;
use dumpscope_core::ReadMemory as _;
use std::io::Write as _;
use std::path::Path;

pub(crate) const WRITEMEM: Command = Command {
    name: ".writemem",
    group: "memory",
    syntax: ".writemem file range",
    summary: "Writes memory of the dump to a file",
    help: "The bytes of a range (`ADDR LN` or `START END`), as they are in memory. What is not in the dump ends it: the file \
           holds what was read until there. A file that exists is replaced, a dump is not.",
    examples: &[(".writemem stack.bin @$csp L40", "64 bytes of the stack")],
    needs: &[Needs::Memory],
    run,
    outside: true,
    ..Command::BASE
};

/// Bytes that are read at once.
const BLOCK: u64 = 0x1_0000;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let Some(path) = args.word().map(|w| w.trim_matches('"').to_owned()).filter(|p| !p.is_empty()) else {
        return Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required"));
    };
    let range = args.range(session, None, 1, 1)?;
    args.end()?;
    if session.host.is_none() {
        return Err(CommandError::message("Files are not written here."));
    }
    let memory = session.dump().memory().clone();
    let total = range.bytes();
    if memory.u8(range.start).is_none() {
        return Err(CommandError::noted(
            "Unable to read the memory at the start of the range",
            missing::MEMORY,
        ));
    }
    let file = Path::new(&path);
    let failed = |e: std::io::Error| CommandError::message(format!("Unable to write the file: {e}"));
    spare_dumps(file).and_then(|()| refuse_pipe(file)).map_err(failed)?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).map_err(failed)?);
    session.emit(sink, &Message(vec![Line::plain(format!("Writing {total:x} bytes"))]))?;
    let mut done = 0;
    while done < total {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let want = usize::try_from((total - done).min(BLOCK)).unwrap_or(0);
        let mut block = vec![0; want];
        let read = memory.read_at(range.start.offset(done), &mut block).got;
        out.write_all(block.get(..read).unwrap_or(&[])).map_err(failed)?;
        done += read as u64;
        if read == 0 {
            break;
        }
    }
    out.flush().map_err(failed)?;
    if done < total {
        let text = format!(
            "Unable to read memory at {}: the file has {done:x} bytes",
            crate::fmt::addr(range.start.offset(done), session.sel.machine.is_64())
        );
        return Err(CommandError::noted(text, missing::MEMORY));
    }
    Ok(())
}
