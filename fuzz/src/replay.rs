//! A target over its seeds and over changed copies of them, the same way in every run.

use super::Target;
use std::sync::Mutex;

/// What the target is working on: written to a file when it panics.
static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Panics that the code under test catches are findings too: the first one ends the program.
pub fn end_at_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        print(info);
        let path = std::env::temp_dir().join("dumpscope-fuzz-crash.bin");
        if let Ok(input) = INPUT.lock()
            && std::fs::write(&path, &*input).is_ok()
        {
            eprintln!("the input is in {}", path.display());
        }
        std::process::exit(101);
    }));
}

/// One input for a target.
pub fn give(target: &Target, input: &[u8]) {
    keep(input);
    (target.run)(input);
}

/// Keeps what is worked on.
pub(crate) fn keep(input: &[u8]) {
    if let Ok(mut kept) = INPUT.lock() {
        kept.clear();
        kept.extend_from_slice(input);
    }
}

/// Inputs that take longer are told.
const SLOW: std::time::Duration = std::time::Duration::from_secs(1);

/// Gives the seeds and `rounds` changed copies of them to the target.
pub fn change(target: &Target, rounds: u32) {
    let seeds = (target.seeds)();
    seeds.iter().for_each(|s| give(target, s));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut slowest = std::time::Duration::ZERO;
    for _ in 0..rounds {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(8) {
            mutate(&mut input, &mut random);
        }
        let started = std::time::Instant::now();
        give(target, &input);
        let took = started.elapsed();
        slowest = slowest.max(took);
        if took > SLOW {
            eprintln!("{}: an input took {took:?}: {}", target.name, input.escape_ascii());
        }
    }
    println!("{}: {} seeds, {rounds} changed copies, slowest {slowest:?}", target.name, seeds.len());
}

fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    if input.is_empty() {
        input.push(random.next() as u8);
        return;
    }
    // The front of a file holds its directory and its counts: hit it more often.
    let span = if random.below(2) == 0 { input.len().min(512) } else { input.len() };
    let at = random.below(span);
    match random.below(6) {
        0 => input[at] = random.next() as u8,
        1 => input[at] ^= 1 << random.below(8),
        2 => input.truncate(at),
        3 => input.insert(at, random.next() as u8),
        4 => {
            let values = [0u64, 1, 0x7fff_ffff, 0xffff_ffff, u64::MAX, input.len() as u64];
            let value = values[random.below(values.len())].to_le_bytes();
            let end = input.len().min(at + 4);
            let len = end - at;
            input[at..end].copy_from_slice(&value[..len]);
        }
        _ => {
            let from = random.below(input.len());
            let len = random.below(16).min(input.len() - from).min(input.len() - at);
            input.copy_within(from..from + len, at);
        }
    }
}

/// xorshift64: the same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}
