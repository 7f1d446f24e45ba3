//! What large dumps cost: threads, modules, handles, ranges and frames, each once and twice as many. A worker with a
//! limit of memory does the work, twice the stream's size and 64 MiB: where that is not enough the table says so.
//!
//! `cargo run --release -p dumpscope-engine --example linear [-- DIVISOR]` prints the table; a divisor makes all counts
//! smaller.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: it prints, and ends when it cannot"
)]

use dumpscope_engine::batch::{Input, TriageOptions, Workers, triage_each, worker_main};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// `RVA` of the thread context that all threads share, and its size.
const CONTEXT: (u32, u32) = (0x1000, 1232);
/// Where the streams begin.
const STREAMS: usize = 0x2000;
const IMAGE: u64 = 0x1_4000_0000;
const STACK: u64 = 0x20_0000;
const STACK_SIZE: u32 = 1 << 20;

/// The parts of a dump that are many.
#[derive(Clone, Copy, Default)]
struct Counts {
    threads: usize,
    modules: usize,
    handles: usize,
    ranges: usize,
    /// All threads share one stack of a megabyte.
    deep: bool,
}

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u32(&mut self, values: &[u32]) {
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }

    fn u64(&mut self, values: &[u64]) {
        values.iter().for_each(|v| self.0.extend(v.to_le_bytes()));
    }

    fn at(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}

fn system() -> Vec<u8> {
    let mut out = Bytes::default();
    // Architecture 9 (x64), 4 processors, Windows 10.0.19045.
    out.u32(&[9, 0x0100_0400, 10, 0, 19045, 2, 0, 0]);
    out.0.resize(56, 0);
    out.0
}

fn threads(c: Counts, stack: u32) -> Vec<u8> {
    let mut out = Bytes::default();
    out.u32(&[u32::try_from(c.threads).unwrap()]);
    for n in 0..u32::try_from(c.threads).unwrap() {
        out.u32(&[0x1000 + n * 4, 0, 32, 0]);
        out.u64(&[0, STACK]);
        out.u32(&[if c.deep { STACK_SIZE } else { 0 }, stack]);
        out.u32(&if c.deep { [CONTEXT.1, CONTEXT.0] } else { [0, 0] });
    }
    out.0
}

fn modules(c: Counts, name: u32) -> Vec<u8> {
    let mut out = Bytes::default();
    out.u32(&[u32::try_from(c.modules).unwrap()]);
    for n in 0..c.modules as u64 {
        out.u64(&[IMAGE + n * 0x1_0000]);
        out.u32(&[0x1_0000, 0, 0x6000_0000, name]);
        out.0.resize(out.0.len() + 52 + 32, 0);
    }
    out.0
}

fn handles(c: Counts) -> Vec<u8> {
    let mut out = Bytes::default();
    out.u32(&[16, 32, u32::try_from(c.handles).unwrap(), 0]);
    for n in 0..c.handles as u64 {
        out.u64(&[4 + n * 4]);
        out.u32(&[0, 0, 0, 0x1f_0003, 1, 1]);
    }
    out.0
}

fn ranges(c: Counts, data: u64) -> Vec<u8> {
    let mut out = Bytes::default();
    out.u64(&[c.ranges as u64, data]);
    (0..c.ranges as u64).for_each(|n| out.u64(&[0x10_0000_0000 + n * 0x1000, 1]));
    out.0
}

/// A chain of frame pointers with return addresses in the first module.
fn stack() -> Vec<u8> {
    let mut out = Bytes::default();
    for n in 1..=u64::from(STACK_SIZE) / 16 {
        out.u64(&[STACK + n * 16, IMAGE + 0x1000 + n % 0x800]);
    }
    out.0
}

/// Writes a dump; gives the size of its streams.
fn write(to: &Path, c: Counts) -> u64 {
    let mut file = Bytes(vec![0; STREAMS]);
    let (rsp, rbp, rip) = (0x98, 0xa0, 0xf8);
    let context = CONTEXT.0 as usize;
    file.0[context + 0x30..context + 0x34].copy_from_slice(&0x10_000fu32.to_le_bytes());
    file.at(context + rsp, STACK);
    file.at(context + rbp, STACK);
    file.at(context + rip, IMAGE + 0x1100);
    // A module's name: `a.dll`.
    let name = 0x1800;
    let text: Vec<u16> = "C:\\a.dll".encode_utf16().collect();
    file.0[name..name + 4].copy_from_slice(&u32::try_from(text.len() * 2).unwrap().to_le_bytes());
    for (n, unit) in text.iter().enumerate() {
        file.0[name + 4 + n * 2..name + 6 + n * 2].copy_from_slice(&unit.to_le_bytes());
    }
    let stack_at = if c.deep {
        let at = u32::try_from(file.0.len()).unwrap();
        file.0.extend(stack());
        at
    } else {
        0
    };
    let mut directory = Vec::new();
    let mut add = |file: &mut Bytes, kind: u32, stream: Vec<u8>| {
        directory.push((kind, u32::try_from(stream.len()).unwrap(), u32::try_from(file.0.len()).unwrap()));
        file.0.extend(stream);
    };
    add(&mut file, 7, system());
    add(&mut file, 3, threads(c, stack_at));
    add(&mut file, 4, modules(c, u32::try_from(name).unwrap()));
    add(&mut file, 12, handles(c));
    let streams = file.0.len() as u64;
    let data = streams + 16 + 16 * c.ranges as u64;
    add(&mut file, 9, ranges(c, data));
    let size = file.0.len();
    file.0.resize(size + c.ranges, 0);
    let mut head = Bytes::default();
    head.u32(&[0x504d_444d, 0xa793, u32::try_from(directory.len()).unwrap(), 32, 0, 0x6000_0000, 0, 0]);
    directory.iter().for_each(|(kind, len, at)| head.u32(&[*kind, *len, *at]));
    file.0[..head.0.len()].copy_from_slice(&head.0);
    std::fs::File::create(to).unwrap().write_all(&file.0).unwrap();
    size as u64
}

/// Seconds, and what went wrong.
fn measure(to: &Path, counts: Counts) -> (f64, String) {
    let streams = write(to, counts);
    let mut workers = Workers::this_program().unwrap();
    workers.memory = Some(2 * streams + (64 << 20));
    let options = TriageOptions { workers: Some(workers), ..TriageOptions::default() };
    let begun = Instant::now();
    let mut said = String::new();
    triage_each(&[Input::Dump(to.into())], &options, &|_| {}, &mut |row| {
        said = match row.error {
            Some(error) => error.message,
            None => format!("{} warnings", row.warnings.map_or(0, |w| w.len())),
        };
    });
    (begun.elapsed().as_secs_f64(), said)
}

/// What is counted, how many, and the counts with so many.
type Case = (&'static str, usize, fn(Counts, usize) -> Counts);

fn main() {
    worker_main();
    let divisor: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("large.dmp");
    let some = Counts { threads: 1, modules: 1, handles: 1, ranges: 1, deep: false };
    let cases: [Case; 5] = [
        ("threads", 100_000, |c, threads| Counts { threads, ..c }),
        ("modules", 200_000, |c, modules| Counts { modules, ..c }),
        ("handles", 1_000_000, |c, handles| Counts { handles, ..c }),
        ("ranges", 5_000_000, |c, ranges| Counts { ranges, ..c }),
        ("deep stacks", 100, |c, threads| Counts { threads, deep: true, ..c }),
    ];
    println!("{:12} {:>10} {:>8} {:>8} {:>6}", "what", "count", "seconds", "double", "ratio");
    for (what, count, make) in cases {
        let count = (count / divisor).max(1);
        let (once, said) = measure(&file, make(some, count));
        let (twice, said_twice) = measure(&file, make(some, count * 2));
        println!(
            "{what:12} {count:>10} {once:>8.2} {twice:>8.2} {:>6.2}   {said}; {said_twice}",
            twice / once
        );
    }
}
