//! Opening a dump: a small one, a sparse one of 4 GiB (at most twice as slow), and, where `shared/lab` lies beside
//! the checkout, a full dump with everything that a stack of all threads needs from this crate.

#![allow(missing_docs, reason = "criterion's macros write undocumented functions")]

use criterion::{Criterion, criterion_group, criterion_main};
use dumpscope_core::base::{ReadMemory, Va};
use dumpscope_core::model::Dump;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;

/// A full dump of `size` bytes whose 64 memory ranges take no room on the disk.
fn sparse(size: u64) -> std::io::Result<tempfile::NamedTempFile> {
    const RANGES: u64 = 64;
    let base = 0x1000u64;
    let each = (size - base) / RANGES / 0x1000 * 0x1000;
    let mut head = b"MDMP".to_vec();
    for v in [0xa793u32, 1, 32, 0, 0, 2, 0, 9, 16 + 16 * RANGES as u32, 44] {
        head.extend(v.to_le_bytes());
    }
    for v in [RANGES, base] {
        head.extend(v.to_le_bytes());
    }
    for i in 0..RANGES {
        head.extend((0x1_0000 + i * (each + 0x1_0000)).to_le_bytes());
        head.extend(each.to_le_bytes());
    }
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&head)?;
    file.as_file().set_len(size)?;
    Ok(file)
}

/// Opens and reads a byte of the memory.
fn open_sparse(path: &Path) -> u64 {
    let Ok(dump) = Dump::open(path) else { return 0 };
    dump.memory().captured() + u64::from(dump.memory().u8(Va(0x1_0000)).unwrap_or(0))
}

/// Opens, and asks for threads, modules, contexts and 200 words of each stack.
fn open_full(path: &Path) -> usize {
    let Ok(dump) = Dump::open(path) else { return 0 };
    let mut sum = dump.modules().len();
    for thread in dump.threads() {
        let Some(context) = dump.context(thread.index) else { continue };
        let mut at = context.sp();
        for _ in 0..200 {
            let word = dump.memory().ptr(at, dump.machine()).unwrap_or_default();
            sum += dump.module_at(word).map_or(0, |m| m.name.len());
            at = at.offset(8);
        }
    }
    sum
}

fn benches(c: &mut Criterion) {
    for (name, size) in [("open sparse 32 MiB", 32u64 << 20), ("open sparse 4 GiB", 4 << 30)] {
        if let Ok(file) = sparse(size) {
            c.bench_function(name, |b| b.iter(|| black_box(open_sparse(file.path()))));
        }
    }
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/lab/wmiprvse-x64.dmp.zst");
    let Ok(dump) = Dump::open(&packed) else { return };
    let Ok(mut file) = tempfile::NamedTempFile::new() else { return };
    if file.write_all(dump.file_bytes()).is_ok() {
        c.bench_function("open full x64", |b| b.iter(|| black_box(open_full(file.path()))));
    }
}

criterion_group!(group, benches);
criterion_main!(group);
