//! Arguments of a 50-frame stack, with everything decoded: `cargo bench -p dumpscope-analyzers --bench arguments`.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion's macros; a bench may fail loudly")]

use criterion::{Criterion, criterion_group, criterion_main};
use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::model::Stack;
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_symbols::{Limits, SymbolConfig};
use std::hint::black_box;
use std::path::PathBuf;

/// Stacks with at least 50 frames together, of different functions.
fn stacks(target: &Target) -> Vec<Stack> {
    let mut frames = 0;
    let walk = |thread| {
        thread_stack(target, ThreadIdx(thread), Machine::Amd64, &Limits::default(), &Cancel::default())
    };
    (0u32..)
        .step_by(9)
        .map_while(walk)
        .take_while(|s| {
            let more = frames < 50;
            frames += s.frames.len();
            more
        })
        .collect()
}

fn arguments(c: &mut Criterion) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/args/x64-O2.dmp.zst");
    let target = Target::new(Dump::open(&path).unwrap(), SymbolConfig::default());
    let stacks = stacks(&target);
    let frames: usize = stacks.iter().map(|s| s.frames.len()).sum();
    c.bench_function(&format!("{frames} frames, warm"), |b| {
        b.iter(|| {
            stacks.iter().map(|s| recover_all(black_box(&target), s, &Cancel::default()).len()).sum::<usize>()
        });
    });
}

criterion_group!(benches, arguments);
criterion_main!(benches);
