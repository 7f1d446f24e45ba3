//! `!vadump`: the memory regions, one after the other.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Line, Message, Sink};
use crate::fmt;
use crate::session::Session;
use crate::tables::memory::{protect_name, state_name, type_name};
use dumpscope_core::Va;

pub(crate) const VADUMP: Command = Command {
    name: "!vadump",
    group: "memory",
    syntax: "!vadump [-v]",
    summary: "Lists all memory regions with their protection",
    help: "As the system told them when the dump was written. `-v` shows the allocations that they belong to, too. `!address` \
           says what each region is for.",
    examples: &[("!vadump", "All regions"), ("!vadump -v", "With their allocations")],
    needs: &[Needs::MemoryInfo],
    run,
    ..Command::BASE
};

/// Regions that one report holds.
const BLOCK: usize = 1024;

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let verbose = args.eat("-v") || args.eat("/v");
    args.end()?;
    let regions = session.dump().memory_info().value().map_or(&[][..], Vec::as_slice);
    if regions.is_empty() {
        return Err(CommandError::noted("No memory regions", missing::MEMORY_INFO));
    }
    let wide = session.sel.machine.is_64() || session.dump().machine().is_64();
    let at = |va: Va| fmt::addr_plain(va, wide);
    for block in regions.chunks(BLOCK) {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let mut lines = Vec::new();
        for r in block {
            lines.push(Line::plain(format!("BaseAddress:       {}", at(r.base))));
            let free = r.state == 0x1_0000;
            if verbose && !free {
                lines.push(Line::plain(format!("AllocationBase:    {}", at(r.allocation_base))));
                let name = protect_name(r.allocation_protect);
                lines.push(Line::plain(format!("AllocationProtect: {:08x}  {name}", r.allocation_protect)));
            }
            lines.push(Line::plain(format!("RegionSize:        {}", at(Va(r.size)))));
            lines.push(Line::plain(format!("State:             {:08x}  {}", r.state, state_name(r.state))));
            if r.protect != 0 {
                lines.push(Line::plain(format!(
                    "Protect:           {:08x}  {}",
                    r.protect,
                    protect_name(r.protect)
                )));
            }
            if !free {
                lines.push(Line::plain(format!("Type:              {:08x}  {}", r.kind, type_name(r.kind))));
            }
            lines.push(Line::new());
        }
        session.emit(sink, &Message(lines))?;
    }
    Ok(())
}
