//! What a user waits for: opening a dump, all stacks, a verdict. `cargo bench -p dumpscope-engine`.
//!
//! The lab dump of `shared/` is measured where it is there; elsewhere its benches say that they were skipped.
#![allow(missing_docs, reason = "criterion's macros make public items without documentation")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::triage_target;
use dumpscope_engine::{Session, TextSink, run_line};
use dumpscope_symbols::SymbolConfig;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The unpacked 64-bit lab dump. Unpacking is not what is measured: it happens once.
fn lab() -> Option<(PathBuf, Option<NamedTempFile>)> {
    let Some(shared) = dumpscope_tests::shared() else {
        eprintln!("skipped: there is no folder `shared` beside the checkout");
        return None;
    };
    let packed = Dump::open(&shared.join("lab/wmiprvse-x64.dmp.zst")).ok()?;
    let mut file = NamedTempFile::new().ok()?;
    file.write_all(packed.file_bytes()).ok()?;
    Some((file.path().to_owned(), Some(file)))
}

/// A file with one Memory64List of `size` bytes of memory; no byte of them is on the disk.
fn sparse(size: u64) -> NamedTempFile {
    const HEAD: u64 = 0x1000;
    let mut head = b"MDMP".to_vec();
    for v in [0xa793u32, 1, 32, 0, 0, 2, 0, 9, 32, 44] {
        head.extend(v.to_le_bytes());
    }
    for v in [1, HEAD, 0x1_0000, size] {
        head.extend(v.to_le_bytes());
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&head).unwrap();
    file.as_file().set_len(HEAD + size).unwrap();
    file
}

fn session(path: &Path) -> Session {
    Session::open(path, SymbolConfig::default()).unwrap()
}

fn opening(c: &mut Criterion) {
    let (small, large) = (sparse(0x1000), sparse(4 << 30));
    c.bench_function("open, sparse, 4 KiB", |b| {
        b.iter(|| Dump::open(black_box(small.path())).unwrap().kind())
    });
    c.bench_function("open, sparse, 4 GiB", |b| {
        b.iter(|| Dump::open(black_box(large.path())).unwrap().kind())
    });
    if let Some((path, _file)) = lab() {
        c.bench_function("open, lab x64", |b| b.iter(|| Dump::open(black_box(&path)).unwrap().kind()));
    }
}

fn stacks(c: &mut Criterion) {
    let Some((path, _file)) = lab() else { return };
    let run = |session: &mut Session| {
        let mut sink = TextSink::new(Vec::new(), false);
        run_line(session, "~*k", &mut sink);
        sink.finish().unwrap().len()
    };
    // Cold: what `exec -c ~*k` costs without the start of the process.
    c.bench_function("~*k, lab x64, cold", |b| b.iter(|| run(&mut session(black_box(&path)))));
    let mut warm = session(&path);
    c.bench_function("~*k, lab x64, warm", |b| b.iter(|| run(&mut warm)));
}

fn verdicts(c: &mut Criterion) {
    let row = |path: &Path| {
        let target = Target::new(Dump::open(path).unwrap(), SymbolConfig::default());
        triage_target("bench.dmp", &target, &Cancel::default())
    };
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&dumpscope_fixtures::small::x64_crash().0.bytes()).unwrap();
    c.bench_function("triage, small x64", |b| b.iter(|| row(black_box(file.path()))));
    if let Some((path, _file)) = lab() {
        c.bench_function("triage, lab x64", |b| b.iter(|| row(black_box(&path))));
    }
}

criterion_group!(benches, opening, stacks, verdicts);
criterion_main!(benches);
