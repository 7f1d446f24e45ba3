//! Which memory can be a heap's: private, writable, and neither a module nor a stack nor a block of the system.

use crate::Target;
use dumpscope_core::error::Parsed;
use dumpscope_core::stream::memory_info::MemoryRegion;
use dumpscope_core::{Machine, Va};

/// `MEM_COMMIT`.
const COMMIT: u32 = 0x1000;

/// `MEM_PRIVATE`.
const PRIVATE: u32 = 0x2_0000;

/// `PAGE_READWRITE`, `PAGE_WRITECOPY` and their executable forms.
const WRITABLE: u32 = 0x04 | 0x08 | 0x40 | 0x80;

/// `PAGE_GUARD`.
const GUARD: u32 = 0x100;

/// Bytes of a TEB and of a PEB with what follows them, rounded up to pages (`docs/reference/process-blocks.md`).
const BLOCK: u64 = 0x2000;

/// Largest stack that is believed.
const MAX_STACK: u64 = 1 << 32;

/// Spans (end exclusive) by address, disjoint.
pub(super) fn heaps(target: &Target, machine: Machine) -> Vec<(Va, Va)> {
    let end = |start: Va, size: u64| Va(start.0.saturating_add(size));
    let wanted: Vec<(Va, Va)> = match target.dump.memory_info() {
        Parsed::Fine(list) if !list.is_empty() => {
            list.iter().filter(|r| is_private(r)).map(|r| (r.base, end(r.base, r.size))).collect()
        }
        // Without the list of regions: all that was captured.
        _ => target.dump.memory().ranges().map(|r| (r.start, end(r.start, r.size))).collect(),
    };
    let limit = Va(if machine.is_64() { u64::MAX } else { 1 << 32 });
    let clipped = wanted.into_iter().map(|(a, b)| (a, b.min(limit))).filter(|(a, b)| a < b).collect();
    cut(&join(clipped), &join(taken(target)))
}

fn is_private(r: &MemoryRegion) -> bool {
    r.state & COMMIT != 0 && r.kind == PRIVATE && r.protect & WRITABLE != 0 && r.protect & GUARD == 0
}

/// Modules, stacks, TEBs and PEBs.
fn taken(target: &Target) -> Vec<(Va, Va)> {
    let dump = &target.dump;
    let end = |start: Va, size: u64| Va(start.0.saturating_add(size));
    let mut out: Vec<(Va, Va)> =
        dump.modules().iter().map(|m| (m.base, end(m.base, m.size.into()))).collect();
    let machines = [Some(dump.machine()), dump.is_wow64().then_some(Machine::X86)];
    for machine in machines.into_iter().flatten() {
        out.extend(dump.peb(machine).map(|at| (at, end(at, BLOCK))));
        for t in dump.threads() {
            out.push((t.raw.stack_start, end(t.raw.stack_start, t.raw.stack_size.into())));
            let Some(teb) = dump.read_teb(t.index, machine) else { continue };
            out.push((teb.address, end(teb.address, BLOCK)));
            let (Some(low), Some(high)) = (teb.stack_limit, teb.stack_base) else { continue };
            if high.distance_from(low).is_some_and(|n| n <= MAX_STACK) {
                out.push((low, high));
            }
        }
    }
    out
}

/// Sorts spans and joins those that touch or overlap.
fn join(mut spans: Vec<(Va, Va)>) -> Vec<(Va, Va)> {
    spans.sort_unstable();
    let mut out: Vec<(Va, Va)> = Vec::with_capacity(spans.len());
    for (start, end) in spans {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

/// What of `wanted` is not in `taken`; both sorted and disjoint.
fn cut(wanted: &[(Va, Va)], taken: &[(Va, Va)]) -> Vec<(Va, Va)> {
    let mut out = Vec::new();
    let mut others = taken.iter().peekable();
    for &(start, end) in wanted {
        let mut at = start;
        while others.next_if(|t| t.1 <= at).is_some() {}
        // The last one may reach into the next span: it stays.
        let mut ahead = others.clone();
        while let Some(t) = ahead.next_if(|t| t.0 < end) {
            if at < t.0 {
                out.push((at, t.0));
            }
            at = at.max(t.1);
            if t.1 <= end {
                others.next();
            }
        }
        if at < end {
            out.push((at, end));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(of: &[(u64, u64)]) -> Vec<(Va, Va)> {
        of.iter().map(|(a, b)| (Va(*a), Va(*b))).collect()
    }

    #[test]
    fn spans_are_joined_and_cut() {
        let wanted = join(spans(&[(30, 40), (0, 10), (10, 20), (15, 18), (50, 60), (70, 80), (90, 95)]));
        assert_eq!(wanted, spans(&[(0, 20), (30, 40), (50, 60), (70, 80), (90, 95)]));
        let taken = join(spans(&[(5, 6), (7, 9), (19, 32), (39, 75), (90, 100)]));
        assert_eq!(cut(&wanted, &taken), spans(&[(0, 5), (6, 7), (9, 19), (32, 39), (75, 80)]));
        assert_eq!(cut(&wanted, &[]), wanted);
        assert_eq!(cut(&[], &taken), []);
    }
}
