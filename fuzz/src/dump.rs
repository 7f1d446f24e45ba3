//! A whole dump from its bytes to the JSON of its triage row.

use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_engine::batch::triage_target;
use dumpscope_engine::forms::{TextOptions, dump_lines};
use dumpscope_symbols::SymbolConfig;

/// Opens a dump, reads every stream, context and structure, walks all stacks and writes the answer.
pub fn open_and_read_everything(data: &[u8]) {
    let Ok(dump) = Dump::from_bytes(data.to_vec()) else { return };
    read(&dump);
    let target = Target::new(dump, SymbolConfig::default());
    let row = triage_target("fuzz.dmp", &target, &Cancel::default());
    let _ = serde_json::to_string(&row);
    dump_lines(&row, &TextOptions { verbose: true, ..TextOptions::default() }, &mut |line| {
        let text = line.to_text();
        assert!(!text.chars().any(dumpscope_core::base::text::is_unsafe), "unsafe character in {text:?}");
    });
}

fn read(dump: &Dump) {
    for entry in dump.directory() {
        let _ = dump.summarize(*entry);
    }
    let _ = (dump.tokens(), dump.handle_operations(), dump.system_memory(), dump.vm_counters());
    let _ = (dump.function_tables(), dump.comments(), dump.warnings(), dump.exception_context());
    for thread in dump.threads() {
        let _ = (dump.context(thread.index), dump.wow64_context(thread.index));
        for machine in [Machine::X86, dump.machine()] {
            let _ = (dump.teb(thread.index, machine), dump.read_teb(thread.index, machine));
        }
    }
    for machine in [Machine::X86, Machine::Amd64, Machine::Arm64] {
        let _ = (dump.read_peb(machine), dump.parameters(machine), dump.loader(machine));
    }
    // Reads from range to range, across borders.
    let mut buf = [0u8; 64];
    let mut at = Va(0);
    for _ in 0..1000 {
        let Some(next) = dump.memory().next_readable(at) else { break };
        let got = dump.memory().read_at(next, &mut buf).got;
        assert!(got > 0, "next_readable gave an address without a byte");
        at = next.offset(got as u64);
        if at <= next {
            break;
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    use dumpscope_fixtures::small;
    [small::x86(), small::x64(), small::x64_crash()].map(|(dump, _)| dump.bytes()).into()
}
