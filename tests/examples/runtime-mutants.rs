//! Damages the pages that a runtime's reader touches and triages what comes out: no panic, no hang, at most twice the time.
//!
//! `cargo run --release -p dumpscope-tests --example runtime-mutants -- dotnet|java|ruby [COUNT] [NAME..]`, 60 mutants of
//! some dumps by default. Times are of the processor where the system tells them (Linux), else of the clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool of the developers"
)]

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::triage::run_rules;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::base::Read;
use dumpscope_core::model::Dump;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_runtimes::{NativeThread, Process, Walked, find};
use dumpscope_symbols::SymbolConfig;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PAGE: u64 = 0x1000;

/// Memory that keeps which pages were asked for.
struct Recorder {
    inner: Arc<dyn ReadMemory>,
    pages: Mutex<BTreeSet<u64>>,
}

impl ReadMemory for Recorder {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut pages = self.pages.lock().unwrap();
        (va.0 / PAGE..=va.0.saturating_add(buf.len() as u64) / PAGE).for_each(|p| {
            pages.insert(p);
        });
        self.inner.read_at(va, buf)
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        self.inner.next_readable(va)
    }
}

/// Ranges of the file's Memory64List: address, bytes, offset in the file.
fn ranges(bytes: &[u8]) -> Vec<(u64, u64, u64)> {
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let (count, directory) = (u32_at(8) as usize, u32_at(12) as usize);
    let stream = (0..count).map(|i| directory + i * 12).find(|at| u32_at(*at) == 9).expect("full memory");
    let list = u32_at(stream + 8) as usize;
    let mut at = u64_at(list + 8);
    let mut out = Vec::new();
    for i in 0..u64_at(list) as usize {
        let (start, size) = (u64_at(list + 16 + i * 16), u64_at(list + 24 + i * 16));
        out.push((start, size, at));
        at += size;
    }
    out
}

/// Offsets in the file of the pages that the reader touches.
fn touched(dump: Dump, bytes: &[u8]) -> Vec<u64> {
    let memory = Arc::new(Recorder { inner: dump.memory().clone(), pages: Mutex::default() });
    let threads = dump.threads().iter().map(|t| NativeThread {
        tid: t.tid,
        teb: t.raw.teb,
        regs: dump.context(t.index).map(|c| c.regs),
    });
    let asked: Arc<dyn ReadMemory> = memory.clone();
    let process = Process::new(asked, dump.modules().to_vec(), threads.collect(), dump.machine());
    let target = Target::new(dump, SymbolConfig::default());
    let facts = target.facts(&Cancel::default());
    let stacks: Vec<_> = facts
        .threads
        .iter()
        .filter_map(|t| {
            Some((t.tid, t.stack.as_ref()?.physical().map(|f| f.frame.clone()).collect::<Vec<_>>()))
        })
        .collect();
    let walked: Vec<_> = stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect();
    for reader in find(&Arc::new(process)) {
        let waits = reader.waits(&walked);
        let _ = (
            reader.locks(&walked),
            reader.tasks(&waits),
            reader.pool(),
            reader.exceptions(),
            reader.suspension(),
        );
        walked.iter().for_each(|w| {
            let _ = reader.frames(*w);
        });
    }
    let pages = memory.pages.lock().unwrap().clone();
    let ranges = ranges(bytes);
    let offset = |page: u64| {
        let va = page * PAGE;
        let (start, _, at) =
            ranges.iter().find(|(start, size, _)| va >= *start && va + PAGE <= start + size)?;
        Some(at + va - start)
    };
    pages.into_iter().filter_map(offset).collect()
}

fn triage(bytes: Vec<u8>) -> (Duration, bool, String) {
    let (start, ran) = (Instant::now(), running());
    let done = std::panic::catch_unwind(|| {
        let Ok(dump) = Dump::from_bytes(bytes) else { return (Vec::new(), "no dump".to_owned()) };
        let target = Target::new(dump, SymbolConfig::default());
        let facts = target.facts(&Cancel::default());
        let case = Case { target: &target, facts: &facts };
        let found = run_rules(&case);
        (found.warnings, found.findings.first().map(|f| f.kind.name().to_owned()).unwrap_or_default())
    });
    let took =
        running().zip(ran).and_then(|(now, then)| now.checked_sub(then)).unwrap_or_else(|| start.elapsed());
    match done {
        Ok((warnings, kind)) => (took, warnings.is_empty(), kind),
        Err(_) => (took, false, "panic".to_owned()),
    }
}

/// Processor time of this thread.
fn running() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The folder with a runtime's dumps, their ending, and those that are damaged by default.
fn dumps(runtime: &str) -> (PathBuf, &'static str, &'static [&'static str]) {
    match runtime {
        "dotnet" => {
            let (folder, _) = dumpscope_tests::dotnet_dumps().expect("shared/dotnet beside the checkout");
            (folder, "dmp", &["mon2-10", "starve-10", "custom-8", "async-10"])
        }
        "java" => {
            let (folder, _) = dumpscope_tests::java_dumps().expect("shared/java beside the checkout");
            (folder, "dmp", &["SyncDeadlock-21", "HotBlock-21", "VPinned-25", "LockDeadlock-17"])
        }
        "ruby" => {
            let shared = dumpscope_tests::shared().expect("shared/ beside the checkout");
            let names = &["ruby31s-deadlock-trim", "ruby31s-ole-trim", "ruby31x86s-ole-trim"];
            (shared.join("ruby"), "dmp.zst", names)
        }
        other => panic!("{other} is none of dotnet, java, ruby"),
    }
}

fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|e| e != "zst") {
        return bytes;
    }
    let mut decoder = zstd::Decoder::new(bytes.as_slice()).unwrap();
    decoder.window_log_max(27).unwrap();
    let mut out = Vec::new();
    std::io::copy(&mut decoder, &mut out).unwrap();
    out
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (folder, ending, usual) = dumps(&args.next().unwrap_or_else(|| "dotnet".to_owned()));
    let count: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(60);
    let mut names: Vec<String> = args.collect();
    if names.is_empty() {
        names = usual.iter().map(|n| (*n).to_owned()).collect();
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut broken = 0;
    for name in names {
        let bytes = unpacked(&folder.join(format!("{name}.{ending}")));
        let dump = Dump::from_bytes(bytes.clone()).unwrap();
        let pages = touched(dump, &bytes);
        let base = (0..3).map(|_| triage(bytes.clone()).0).min().unwrap_or_default();
        let (mut worst, mut sum, mut slow) = (Duration::ZERO, Duration::ZERO, 0);
        let mut kinds = std::collections::BTreeMap::<String, usize>::new();
        for nth in 0..count {
            let mut mutant = bytes.clone();
            let words = 1_u64 << (next() % 12);
            for _ in 0..words {
                let page = pages[(next() % pages.len() as u64) as usize];
                let at = (page + next() % (PAGE / 8) * 8) as usize;
                let old = u64::from_le_bytes(mutant[at..at + 8].try_into().unwrap());
                let new = match next() % 5 {
                    0 => 0,
                    1 => u64::MAX,
                    2 => old ^ (1 << (next() % 64)),
                    3 => old.wrapping_add(8),
                    _ => next(),
                };
                mutant[at..at + 8].copy_from_slice(&new.to_le_bytes());
            }
            let (took, fine, kind) = triage(mutant);
            slow += u32::from(took > base * 2);
            if !fine || took > base * 4 {
                println!("{name}: mutant {nth}: {took:?}, {kind}, whole: {fine}");
            }
            worst = worst.max(took);
            sum += took;
            broken += u32::from(!fine);
            *kinds.entry(kind).or_default() += 1;
        }
        let mean = sum / u32::try_from(count.max(1)).unwrap_or(1);
        println!(
            "{name}: {} pages touched, {count} mutants, {broken} broken, base {base:?}, mean {mean:?}, worst {worst:?}, {slow} over twice the time, verdicts {kinds:?}",
            pages.len()
        );
    }
    assert_eq!(broken, 0, "panics or rules that failed");
}
