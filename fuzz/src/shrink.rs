//! A dump written anew with a part of its memory, and opened again.

use dumpscope_core::Va;
use dumpscope_core::model::Dump;
use dumpscope_core::write::{MemoryEdit, Plan, write};

/// Writes every second range, opens the result and compares: it is a dump, and it says the same.
pub fn shrink(data: &[u8]) {
    let Ok(dump) = Dump::from_bytes(data.to_vec()) else { return };
    let kept: Vec<(Va, u64)> =
        dump.memory().ranges().step_by(2).map(|r| (r.start.offset(1), r.size / 2)).collect();
    for only_known in [false, true] {
        let edits =
            kept.first().map(|(at, len)| MemoryEdit { at: *at, len: (*len).min(9), bytes: vec![7; 3] });
        let plan = Plan {
            memory: kept.clone(),
            comment: Some("dumpscope shrink: fuzz".into()),
            only_known,
            memory_edits: edits.into_iter().collect(),
            ..Plan::default()
        };
        let mut bytes = Vec::new();
        let Ok(written) = write(&dump, &plan, &mut bytes, &mut |_, _| true) else { continue };
        assert_eq!(written.size, bytes.len() as u64);
        let small = Dump::from_bytes(bytes).expect("what is written is a dump");
        assert_eq!(small.missing_bytes(), 0, "no stream and no range leads behind the end");
        assert_eq!(small.threads().len(), dump.threads().len());
        assert_eq!(small.flags(), dump.flags());
    }
}
