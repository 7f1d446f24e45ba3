//! Which memory a level keeps beside what was read.

use super::{Level, reach};
use dumpscope_analyzers::Target;
use dumpscope_analyzers::stacks::stack_bounds;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, RegSet, Va};
use dumpscope_symbols::SymbolConfig;
use std::sync::Arc;

/// Bytes below the stack pointer that are kept: leaf functions on x64 Unix-like compilers use them, and a fault may lie there.
const RED_ZONE: u64 = 0x80;

/// Most bytes of a stack at the smallest level.
const STACK_OF_TRIAGE: u64 = 0x4000;

/// Most bytes of any stack.
const MAX_STACK: u64 = 64 << 20;

/// Bytes before and after an instruction pointer.
const CODE: u64 = 0x80;

/// Bytes of a TEB and of a PEB, with what follows them in their pages.
const BLOCK: u64 = 0x2000;

/// Bytes of an image's headers.
const HEADERS: u64 = 0x400;

/// Spans that are closer than this become one: a range costs 16 bytes itself.
const GAP: u64 = 0x20;

/// What is kept, all by address.
pub(super) struct Selected {
    pub(super) memory: Vec<(Va, u64)>,
    /// The used parts of stacks, and those that the thread list names.
    pub(super) stacks: Vec<(Va, u64)>,
}

/// The memory of the new dump: what was read, and what the level adds.
pub(super) fn memory(dump: &Arc<Dump>, level: Level, read: &[(Va, u64)]) -> Selected {
    if !dump.is_windows() {
        // Other readers read such a dump, past the record.
        let memory = dump.memory().ranges().map(|r| (r.start, r.size)).collect();
        return Selected { memory, stacks: Vec::new() };
    }
    let mut out = read.to_vec();
    let machines = [Some(dump.machine()), dump.is_wow64().then_some(Machine::X86)];
    // What is read from here on was recorded before.
    let target = Target::shared(dump.clone(), SymbolConfig::default());
    let mut roots = Vec::new();
    for machine in machines.into_iter().flatten() {
        for thread in dump.threads() {
            let context = if machine == dump.machine() {
                dump.context(thread.index)
            } else {
                dump.wow64_context(thread.index)
            };
            let Some(regs) = context.map(|c| c.regs) else { continue };
            out.extend(code(&regs));
            roots.extend(stack(&target, thread.index, machine, &regs, level, &mut out));
            if level >= Level::Stacks {
                out.extend(dump.read_teb(thread.index, machine).map(|teb| (teb.address, BLOCK)));
            }
        }
        if level >= Level::Stacks {
            out.extend(dump.peb(machine).map(|at| (at, BLOCK)));
        }
    }
    if let Some(context) = dump.exception_context() {
        out.extend(code(&context.regs));
    }
    if level >= Level::Stacks {
        out.extend(dump.modules().iter().map(|m| (m.base, HEADERS)));
    }
    if level >= Level::Debugging {
        reach::from(dump, &roots, &mut out);
    }
    let listed = dump.threads().iter().map(|t| (t.raw.stack_start, u64::from(t.raw.stack_size)));
    roots.extend(listed.filter(|s| s.1 > 0));
    Selected { memory: close(lines(out, level.line())), stacks: roots }
}

/// Rounds spans to whole lines.
fn lines(spans: Vec<(Va, u64)>, line: u64) -> Vec<(Va, u64)> {
    let round = |(at, len): (Va, u64)| {
        let start = at.0.checked_div(line).unwrap_or(0).saturating_mul(line);
        let end = at.0.saturating_add(len).checked_next_multiple_of(line).unwrap_or(u64::MAX);
        (Va(start), end.saturating_sub(start))
    };
    spans.into_iter().map(round).collect()
}

fn code(regs: &RegSet) -> Option<(Va, u64)> {
    let ip = regs.ip()?;
    Some((ip.back(CODE.min(ip.0)), CODE * 2))
}

/// The used part of a stack, and its words as roots.
fn stack(
    target: &Target,
    thread: dumpscope_core::ThreadIdx,
    machine: Machine,
    regs: &RegSet,
    level: Level,
    out: &mut Vec<(Va, u64)>,
) -> Option<(Va, u64)> {
    let sp = regs.sp()?;
    let high = stack_bounds(target, thread, machine, sp)?.high;
    let used = high.distance_from(sp).filter(|n| *n > 0)?.min(MAX_STACK);
    let keep = if level == Level::Triage { used.min(STACK_OF_TRIAGE) } else { used };
    out.push((sp.back(RED_ZONE.min(sp.0)), keep.saturating_add(RED_ZONE)));
    Some((sp, used))
}

/// Sorts, joins and closes small gaps.
pub(super) fn close(mut spans: Vec<(Va, u64)>) -> Vec<(Va, u64)> {
    spans.sort_unstable();
    let mut out: Vec<(Va, u64)> = Vec::with_capacity(spans.len());
    for (start, len) in spans {
        let end = start.0.saturating_add(len);
        match out.last_mut() {
            Some((at, size)) if at.0.saturating_add(*size).saturating_add(GAP) >= start.0 => {
                *size = (*size).max(end.saturating_sub(at.0));
            }
            _ => out.push((start, end.saturating_sub(start.0))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gaps_are_closed() {
        let spans =
            [(Va(0x200), 0x40), (Va(0x100), 0x40), (Va(0x160), 0x20), (Va(0x110), 8), (Va(u64::MAX), 9)];
        assert_eq!(close(spans.to_vec()), [(Va(0x100), 0x80), (Va(0x200), 0x40), (Va(u64::MAX), 0)]);
    }
}
