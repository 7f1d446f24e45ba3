//! Dumps that are changed where it matters (counts, places and sizes of streams, registers, pointers that lists are made
//! of, bytes of code and tables), through everything that a user can ask: the verdict, every form, commands, batches.
//! What must hold: no panic, caught or not; the same answer twice and with any number of jobs; rows that come back from
//! JSON as they were; an end in time.

use super::commands::Nothing;
use super::replay::{Random, keep};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::{Incidents, Input, TriageOptions, triage_each, triage_target};
use dumpscope_engine::document::{Buckets, DumpRow};
use dumpscope_engine::forms::{Format, FormatOptions, Tail, writer};
use dumpscope_engine::{COMMANDS, Session, run_line};
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One changed dump that takes longer hangs, in any build and on any machine.
const HANGS: Duration = Duration::from_secs(600);
/// Commands that each changed dump gets.
const COMMANDS_EACH: usize = 8;
/// Each so many changed dumps are a batch for one and for two jobs.
const BATCH: usize = 16;

const FORMS: [Format; 8] = [
    Format::Text,
    Format::Json,
    Format::Jsonl,
    Format::Markdown,
    Format::Html,
    Format::Sarif,
    Format::Junit,
    Format::Github,
];

/// What was done.
#[derive(Debug, Default)]
pub struct Counts {
    /// Changed dumps.
    pub mutants: usize,
    /// Those that open.
    pub opened: usize,
    /// Commands that were run on them.
    pub commands: usize,
    /// Batches with one and with two jobs.
    pub batches: usize,
    /// The longest time for one of them.
    pub slowest: Duration,
}

/// Attacks until there were so many changed dumps or the time is over; prints what was done.
pub fn attack(mutants: usize, time: Duration, seed: u64) -> Counts {
    let seeds: Vec<Vec<u8>> = dumpscope_fixtures::scenarios::all().iter().map(|s| s.dump.bytes()).collect();
    let examples: Vec<&str> = COMMANDS.iter().flat_map(|c| c.examples).map(|(line, _)| *line).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let (mut counts, mut batch, mut next) = (Counts::default(), Vec::new(), 0);
    let begun = Instant::now();
    let alive = Arc::new(AtomicUsize::new(0));
    end_when_it_hangs(alive.clone());
    while counts.mutants < mutants && begun.elapsed() < time {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(6) {
            change(&mut bytes, &mut random);
        }
        keep(&bytes);
        counts.mutants += 1;
        let started = Instant::now();
        if let Ok(dump) = Dump::from_bytes(bytes.clone()) {
            counts.opened += 1;
            let target = Arc::new(Target::new(dump, SymbolConfig::default()));
            ask(&bytes, &target, counts.opened % 4 == 1);
            let mut session = Session::new("attack.dmp".into(), target);
            for _ in 0..COMMANDS_EACH {
                let soon = Instant::now() + Duration::from_secs(2);
                session.cancel = Cancel::default().with_deadline(soon);
                run_line(&mut session, examples[next % examples.len()], &mut Nothing { left: 20_000 });
                next += 1;
            }
            counts.commands += COMMANDS_EACH;
        }
        let took = started.elapsed();
        counts.slowest = counts.slowest.max(took);
        alive.store(counts.mutants, Ordering::Relaxed);
        batch.push(bytes);
        if batch.len() == BATCH {
            // As a batch they are done once more: not all of them, that would double the time.
            if counts.batches < counts.mutants / (8 * BATCH) + 1 {
                same_with_two_jobs(&batch);
                counts.batches += 1;
            }
            batch.clear();
        }
    }
    println!(
        "attack: {} changed dumps in {:.0?}, {} open, {} commands, {} forms each, {} batches with one and two jobs, no panic, \
         slowest {:.2?}",
        counts.mutants,
        begun.elapsed(),
        counts.opened,
        counts.commands,
        FORMS.len(),
        counts.batches,
        counts.slowest
    );
    counts
}

/// Ends the program when a number stands still for too long: an endless loop would keep everybody waiting.
fn end_when_it_hangs(alive: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        let (mut last, mut since) = (0, Instant::now());
        // The attack has ended when nobody else has the number.
        while Arc::strong_count(&alive) > 1 {
            std::thread::sleep(Duration::from_secs(1));
            let now = alive.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            }
            if since.elapsed() >= HANGS {
                // A panic would end this thread alone.
                eprintln!("changed dump {} takes more than {HANGS:?}", now + 1);
                std::process::abort();
            }
        }
    });
}

/// The verdict, twice where `twice`, and all forms of it.
fn ask(bytes: &[u8], target: &Target, twice: bool) {
    let row = triage_target("attack.dmp", target, &Cancel::default());
    let json = serde_json::to_string(&row).unwrap();
    let back: DumpRow = serde_json::from_str(&json).unwrap();
    assert!(back == row, "a row does not come back from JSON");
    if twice {
        let again = Target::new(Dump::from_bytes(bytes.to_vec()).unwrap(), SymbolConfig::default());
        let again = triage_target("attack.dmp", &again, &Cancel::default());
        assert!(serde_json::to_string(&again).unwrap() == json, "two answers on one dump");
    }
    for form in FORMS {
        write(form, std::slice::from_ref(&row));
    }
}

fn write(form: Format, rows: &[DumpRow]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut w = writer(form, Box::new(&mut out), &FormatOptions::default());
    let (mut buckets, mut incidents) = (Buckets::default(), Incidents::default());
    for row in rows {
        buckets.add(row);
        incidents.add(row);
        w.row(row).unwrap();
    }
    w.end(&Tail { buckets: buckets.rows(), incidents: Some(incidents.rows()) }).unwrap();
    drop(w);
    out
}

fn same_with_two_jobs(batch: &[Vec<u8>]) {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..batch.len()).map(|n| folder.path().join(format!("{n}.dmp"))).collect();
    batch.iter().zip(&paths).for_each(|(bytes, path)| std::fs::write(path, bytes).unwrap());
    let inputs: Vec<Input> = paths.into_iter().map(Input::Dump).collect();
    let [one, two] = [1, 2].map(|jobs| {
        let options = TriageOptions { jobs, ..TriageOptions::default() };
        let mut rows = Vec::new();
        triage_each(&inputs, &options, &|_| {}, &mut |row| rows.push(row));
        write(Format::Json, &rows)
    });
    assert!(one == two, "two jobs give another document than one");
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes(b.try_into().unwrap()))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap()))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + value.len()) {
        to.copy_from_slice(value);
    }
}

/// Where a stream's entry stands in the directory, its type, size and place.
fn streams(bytes: &[u8]) -> Vec<(usize, u32, usize, usize)> {
    let (count, at) = (word(bytes, 8).min(64) as usize, word(bytes, 12) as usize);
    let entry = |n: usize| {
        let at = at + n * 12;
        (at, word(bytes, at), word(bytes, at + 4) as usize, word(bytes, at + 8) as usize)
    };
    (0..count).map(entry).filter(|e| e.3 < bytes.len()).collect()
}

/// One change to a dump.
fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let streams = streams(bytes);
    if streams.is_empty() || bytes.len() < 64 {
        return;
    }
    let stream = streams[random.below(streams.len())];
    let other = streams[random.below(streams.len())];
    match random.below(12) {
        // A field of a stream: a count in front, or any other.
        0..=2 => {
            let span = if random.below(2) == 0 { 64 } else { stream.2.max(4) };
            let at = stream.3 + (random.below(span.min(stream.2.max(4))) & !3);
            let old = word(bytes, at);
            let values = [
                0,
                1,
                0x7fff_ffff,
                u32::MAX,
                old.wrapping_add(1),
                old.wrapping_sub(1),
                old.wrapping_mul(2),
                bytes.len() as u32,
                other.3 as u32,
                old ^ 0x8000_0000,
            ];
            put(bytes, at, &values[random.below(values.len())].to_le_bytes());
        }
        // The directory: streams that lie in each other, are cut, or are of another type.
        3 => {
            let value = [other.1, other.2 as u32, other.3 as u32, 0, bytes.len() as u32];
            let field = random.below(3) * 4;
            put(bytes, stream.0 + field, &value[random.below(value.len())].to_le_bytes());
        }
        // A register of a thread: something that stands in the dump.
        4 => {
            let Some(list) = streams.iter().find(|s| s.1 == 3) else { return };
            let nth = random.below(word(bytes, list.3).clamp(1, 64) as usize);
            let context = word(bytes, list.3 + 4 + nth * 48 + 44) as usize;
            let value = pointer(bytes, random);
            put(bytes, context + (random.below(0x130) & !7), &value.to_le_bytes());
        }
        // Pointers: lists that turn in circles, trees that lead elsewhere.
        5..=9 => {
            for _ in 0..=random.below(4) {
                let Some(at) = place_of_pointer(bytes, random) else { return };
                let old = long(bytes, at);
                let value = match random.below(6) {
                    0 => 0,
                    1 => old.wrapping_add(8),
                    2 => old.wrapping_sub(8),
                    3 => u64::MAX - random.below(0x100) as u64,
                    _ => pointer(bytes, random),
                };
                put(bytes, at, &value.to_le_bytes());
            }
        }
        // Code, tables, texts.
        10 => {
            let at = random.below(bytes.len());
            for n in 0..=random.below(8) {
                put(bytes, at + n, &[random.next() as u8]);
            }
        }
        _ => {
            let keep = random.below(bytes.len());
            if random.below(8) == 0 {
                bytes.truncate(keep.max(64));
            } else {
                let (from, len) = (random.below(bytes.len()), random.below(256));
                let copy = bytes[from..(from + len).min(bytes.len())].to_vec();
                put(bytes, keep, &copy);
            }
        }
    }
}

/// Where something stands that looks like an address.
fn place_of_pointer(bytes: &[u8], random: &mut Random) -> Option<usize> {
    (0..64).map(|_| random.below(bytes.len()) & !7).find(|at| {
        let value = long(bytes, *at);
        (0x1_0000..1 << 48).contains(&value) && value.trailing_zeros() < 24
    })
}

fn pointer(bytes: &[u8], random: &mut Random) -> u64 {
    place_of_pointer(bytes, random).map_or(0, |at| long(bytes, at))
}
