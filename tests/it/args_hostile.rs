//! Argument recovery on dumps that were damaged on purpose: it ends, and it does not panic.

use crate::core_common::Random;
use dumpscope_analyzers::arguments::{add_hints, recover_all};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::ThreadIdx;
use dumpscope_core::model::Dump;
use dumpscope_symbols::{Limits, SymbolConfig};
use std::path::PathBuf;

fn recover_everything(bytes: Vec<u8>) -> usize {
    let target = Target::new(Dump::from_bytes(bytes).unwrap(), SymbolConfig::default());
    let machine = target.dump.machine();
    let mut found = 0;
    for thread in (0..target.dump.threads().len()).step_by(16) {
        let thread = ThreadIdx(u32::try_from(thread).unwrap());
        let stack = thread_stack(&target, thread, machine, &Limits::default(), &Cancel::default());
        let Some(stack) = stack else { continue };
        let mut rows = recover_all(&target, &stack, &Cancel::default());
        add_hints(&target, &stack, &mut rows, &Cancel::default());
        found += rows.iter().flatten().filter(|a| a.value.is_some()).count();
    }
    found
}

#[test]
fn damaged_code_and_stacks() {
    for name in ["x64-O2", "x86-O0"] {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/args/{name}.dmp.zst"));
        let dump = Dump::open(&path).unwrap();
        let clean = dump.file_bytes().to_vec();
        let whole = recover_everything(clean.clone());
        assert!(whole > 20, "{name}: {whole}");
        // The image (code, unwind data) is the file's larger part behind the streams.
        let body = dump.directory().iter().map(|d| d.offset.0 + u64::from(d.size)).max().unwrap() as usize;
        // A page of code that only jumps back by one byte; bytes that are all alike; noise.
        for pattern in [&[0xeb, 0xff][..], &[0x74, 0xfe, 0x75], &[0x50], &[0xff, 0xe0, 0xe8]] {
            let mut bytes = clean.clone();
            for (at, b) in bytes[body..].iter_mut().enumerate().filter(|(at, _)| at % 8192 > 2048) {
                *b = pattern[at % pattern.len()];
            }
            recover_everything(bytes);
        }
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for _ in 0..8 {
            let mut bytes = clean.clone();
            for _ in 0..2000 {
                let at = body + (random.next() as usize) % (bytes.len() - body);
                bytes[at] = random.next() as u8;
            }
            recover_everything(bytes);
        }
    }
}
