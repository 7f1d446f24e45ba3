//! Damaged copies of the article's PDBs: an answer or an error, never a panic, a hang or endless memory.

use crate::article_pdb_replay::{folder, open_with};
use crate::pdb_robust::{ask_at, damage};
use dumpscope_engine::{TextSink, run_line};
use dumpscope_fixtures::article;
use std::time::{Duration, Instant};

/// Instruction pointers of the transcripts and a static variable, as RVAs of combase.
const COMBASE: [u32; 15] = [
    0x1_c086, 0x1_c46f, 0x1_c65d, 0x3_fab4, 0x3_fe0d, 0x13_853f, 0x13_868d, 0x13_8de0, 0x13_9600, 0x13_964f,
    0x13_9e1e, 0x13_a010, 0x13_a259, 0x13_b50c, 0x14_e09c,
];
const NTDLL: [u32; 5] = [0x1_ddf5, 0x1_de0b, 0x1_de35, 0x1_df87, 0x5_ad1f];
const RPCRT4: [u32; 4] = [0x2_5769, 0x3_5101, 0x3_538f, 0xb_71fc];

/// No question takes longer than this, by far: files are a few KiB.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks damaged copies; returns how many gave an answer.
fn ask(name: &str, places: &[u32], copies: impl Iterator<Item = Vec<u8>>) -> usize {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(name);
    let places: Vec<u32> = places.iter().flat_map(|p| [*p - 1, *p]).collect();
    let mut answered = 0;
    for (i, bytes) in copies.enumerate() {
        std::fs::write(&path, &bytes).unwrap();
        let start = Instant::now();
        answered += usize::from(ask_at(&path, places.clone()) > 0);
        assert!(start.elapsed() < LIMIT, "{name}: copy {i} took {:?}", start.elapsed());
    }
    answered
}

fn flip(name: &str, places: &[u32], rounds: u64) {
    let whole = std::fs::read(folder().join(name)).unwrap();
    let copies = (0..rounds).map(|seed| {
        let mut bytes = whole.clone();
        damage(&mut bytes, seed, 1 + usize::try_from(seed % 20).unwrap());
        bytes
    });
    let answered = ask(name, places, copies);
    assert!(answered as u64 > rounds / 10, "{name}: only {answered} of {rounds} opened");
}

#[test]
fn flipped_bytes_combase() {
    flip("combase.pdb", &COMBASE, 3000);
}

#[test]
fn flipped_bytes_ntdll() {
    flip("ntdll.pdb", &NTDLL, 1000);
}

#[test]
fn flipped_bytes_rpcrt4() {
    flip("rpcrt4.pdb", &RPCRT4, 1000);
}

#[test]
fn truncated_at_every_64th() {
    for (name, places) in [("combase.pdb", &COMBASE[..]), ("ntdll.pdb", &NTDLL), ("rpcrt4.pdb", &RPCRT4)] {
        let whole = std::fs::read(folder().join(name)).unwrap();
        let copies = (0..=64).map(|i| whole[..whole.len() * i / 64].to_vec());
        assert!(ask(name, places, copies) > 0, "{name}: not even the whole file answered");
    }
}

/// Every third word of combase.pdb in turn becomes the largest number: indexes, offsets,
/// lengths and counts that lead nowhere.
#[test]
fn largest_numbers() {
    let whole = std::fs::read(folder().join("combase.pdb")).unwrap();
    let copies = (0..whole.len() / 4).step_by(3).map(|i| {
        let mut bytes = whole.clone();
        bytes[4 * i..4 * i + 4].copy_from_slice(&[0xff; 4]);
        bytes
    });
    assert!(ask("combase.pdb", &COMBASE, copies) > 1000);
}

/// Commands over damaged files.
#[test]
fn commands() {
    let whole = std::fs::read(folder().join("combase.pdb")).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let mut parameters = 0;
    for seed in 0..60 {
        let mut bytes = whole.clone();
        // Behind the identity, which would only make it another build's file.
        damage(&mut bytes[0x800..], seed, 1 + usize::try_from(seed % 30).unwrap());
        std::fs::write(temp.path().join("combase.pdb"), &bytes).unwrap();
        let mut session = open_with(article::ruby_x86(), temp.path());
        for line in ["~0kP", "~0kv", "dt -r CMessageCall 0x00505170", ".frame 6", "dv /t /v", "x combase!*"] {
            let mut text = Vec::new();
            run_line(&mut session, line, &mut TextSink::new(&mut text, false));
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains("failed inside dumpscope"), "seed {seed}, {line}: {text}");
            parameters += usize::from(text.contains("pCall = 0x00505170"));
        }
    }
    assert!(parameters > 5, "{parameters}");
}
