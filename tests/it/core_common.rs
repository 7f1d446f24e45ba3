//! What the tests of dump-core share.

use dumpscope_core::Machine;
use dumpscope_core::base::{ReadMemory, Va};
use dumpscope_core::model::Dump;
use dumpscope_core::source::Source;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The folder `shared/`; without it says that `test` is skipped, or fails when `DUMPSCOPE_REQUIRE_SHARED` is set.
pub(crate) fn shared_or_skip(test: &str) -> Option<PathBuf> {
    let found = dumpscope_tests::shared();
    if found.is_none() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared`");
        eprintln!("{test}: skipped, there is no folder `shared` beside the checkout");
    }
    found
}

/// Marsaglia's xorshift: the same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }
}

/// Opens and reads everything; returns a number that depends on all of it, so nothing is optimized away.
pub(crate) fn read_everything(source: Source) -> u64 {
    let Ok(dump) = Dump::from_source(source) else { return 1 };
    let mut sum = dump.file_size() ^ dump.flags();
    let mut add = |n: usize| sum = sum.wrapping_mul(31).wrapping_add(n as u64);
    for entry in dump.directory() {
        add(dump.summarize(*entry).map_or(0, |s| s.text.len() + s.warnings.len()));
    }
    add(dump.comments().len());
    add(dump.handles().value().map_or(0, |h| h.handles.iter().map(|h| h.info.len() + 1).sum()));
    add(dump.unloaded().value().map_or(0, Vec::len) + dump.memory_info().value().map_or(0, Vec::len));
    add(dump.tokens().value().map_or(0, Vec::len) + dump.handle_operations().value().map_or(0, Vec::len));
    add(dump.function_tables().value().map_or(0, |t| t.tables.len()));
    add(usize::from(dump.vm_counters().is_absent()) + usize::from(dump.system_memory().is_absent()));
    add(dump.kind() as usize + dump.modules().len());
    add(dump.pid().map_or(0, |p| p.0 as usize) + usize::from(dump.is_wow64()));
    add(dump.exception().value().map_or(0, |e| e.record.parameters.len()));
    add(dump.exception_context().map_or(0, |c| c.vectors.len()));
    add(dump.program_base().map_or(0, |b| b.0 as usize));
    for thread in dump.threads().iter().take(64) {
        for context in [dump.context(thread.index), dump.wow64_context(thread.index)].into_iter().flatten() {
            add(context.ip().0 as usize ^ context.x87.len());
            add(dump.module_at(context.ip()).map_or(0, |m| m.name.len()));
            let mut stack = [0u8; 256];
            add(dump.memory().read_at(context.sp(), &mut stack).got);
        }
        for machine in [Machine::X86, Machine::Amd64] {
            add(dump.read_teb(thread.index, machine).map_or(0, |t| usize::from(t.is_valid())));
        }
    }
    for machine in [Machine::X86, Machine::Amd64, Machine::Arm64] {
        add(dump.read_peb(machine).map_or(0, |p| p.heaps.len()));
        add(dump.parameters(machine).map_or(0, |p| p.environment.len()));
        add(dump.loader(machine).map_or(0, |l| l.entries.len() + l.init_order.len()));
    }
    let memory = dump.memory();
    let mut at = Va(0);
    for _ in 0..64 {
        let Some(next) = memory.next_readable(at) else { break };
        add(memory.c_str(next, 64).map_or(0, |s| s.len()));
        memory.search(next, next.offset(0x1000), b"MZ", &mut |va| {
            add(va.0 as usize);
            ControlFlow::Continue(())
        });
        at = next.offset(0x1_0000);
    }
    add(dump.warnings().len());
    sum
}

/// All borders of the header, the directory and the streams, one byte around them, and random offsets.
pub(crate) fn cuts(dump: &Dump, random_offsets: usize) -> Vec<usize> {
    let len = dump.file_size() as usize;
    let mut cuts = vec![0, 4, 31, 32, 33, len - 1, len];
    for e in dump.directory() {
        for border in [e.offset.0, e.offset.0 + u64::from(e.size)] {
            cuts.extend([border.saturating_sub(1), border, border + 1].map(|b| b as usize));
        }
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    cuts.extend((0..random_offsets).map(|_| random.below(len)));
    // Small files more often: a random cut of a full dump nearly always lies in its memory.
    cuts.extend((0..random_offsets).map(|_| random.below(len.min(0x8000))));
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}
