//! How fast many dumps are judged: 1,000 copies-with-changes of small dumps in a folder, a corrupt one among them.
//!
//! `cargo run --release -p dumpscope-engine --example batch_speed [-- NUMBER]` prints dumps per second with one and
//! with two jobs, in this process and in workers, the processor time, and the memory in use after a tenth of the dumps and at the end (Linux).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement: it prints, and ends when it cannot"
)]

use dumpscope_engine::batch::{
    Incidents, LeftOut, TriageOptions, Workers, find_dumps, triage_each, worker_main,
};
use dumpscope_engine::document::Buckets;
use std::time::Instant;

/// Resident memory, kilobytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Processor time of all threads so far, seconds; 0 where the system does not tell. On a busy machine it says more
/// than the clock: what two jobs use more than one is what they cost each other.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th word behind it, in 10 ms.
    let words: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    words.iter().skip(11).take(2).filter_map(|w| w.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() {
    worker_main();
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
    let dir = tempfile::tempdir().unwrap();
    let whole: Vec<Vec<u8>> = dumpscope_fixtures::scenarios::all().iter().map(|s| s.dump.bytes()).collect();
    let mut bytes = 0;
    for n in 0..count {
        let mut copy = whole[n % whole.len()].clone();
        // Other memory in each: values on stacks and heaps, never the headers in front.
        let (front, len) = (copy.len() / 2, copy.len());
        for i in 0..16usize {
            let at = front + (n * 7919 + i * 104_729) % (len - front);
            copy[at] = copy[at].wrapping_add(u8::try_from(n % 251).unwrap());
        }
        if n == count / 2 {
            copy.truncate(20);
        }
        bytes += copy.len();
        std::fs::write(dir.path().join(format!("{n:05}.dmp")), copy).unwrap();
    }
    println!("{count} dumps of {} kinds, {} MB", whole.len(), bytes >> 20);
    let inputs = find_dumps(dir.path(), &mut LeftOut::default());
    let mut seconds = Vec::new();
    for (jobs, with) in [(1, false), (2, false), (1, true), (2, true)] {
        let workers = with.then(|| Workers::this_program().unwrap());
        let options = TriageOptions { jobs, workers, ..TriageOptions::default() };
        let (mut rows, mut errors, mut early) = (0, 0, 0);
        let (mut buckets, mut incidents) = (Buckets::default(), Incidents::default());
        let (begun, used) = (Instant::now(), processor());
        triage_each(&inputs, &options, &|_| {}, &mut |row| {
            rows += 1;
            errors += usize::from(row.error.is_some());
            buckets.add(&row);
            incidents.add(&row);
            if rows == count / 10 {
                early = resident();
            }
        });
        let took = begun.elapsed().as_secs_f64();
        println!(
            "{jobs} {}: {rows} rows, {errors} errors, {} signatures, {} incidents, {took:.2} s, {:.2} s of CPU, {:.0} dumps/s, resident {early} kB \
             after a tenth, {} kB at the end",
            if with { "worker process(es)" } else { "job(s) in this process" },
            buckets.rows().len(),
            incidents.rows().len(),
            processor() - used,
            rows as f64 / took,
            resident()
        );
        seconds.push(took);
    }
    println!("two jobs are {:.2} times as fast as one", seconds[0] / seconds[1]);
    let ratio = |n: usize| 100.0 * seconds[n] / seconds[n + 2];
    println!("worker processes do {:.0} % (one) and {:.0} % (two) of what threads do", ratio(0), ratio(1));
}
