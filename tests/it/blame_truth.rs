//! Blame against programs whose line to blame is known (`fixtures/blame`): each crashes in an emulator, at -O0 to -O2,
//! x86 and x64.

use dumpscope_analyzers::model::{Blame, Confidence, Facts};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/blame")
}

/// Unpacks the archive: ustar headers of 512 bytes with name and octal size.
fn unpack(to: &Path) -> Vec<PathBuf> {
    let packed = std::fs::read(folder().join("blame.tar.zst")).unwrap();
    let mut raw = Vec::new();
    ruzstd::decoding::StreamingDecoder::new(packed.as_slice()).unwrap().read_to_end(&mut raw).unwrap();
    let mut out = Vec::new();
    let mut at = 0;
    while at + 512 <= raw.len() && raw[at] != 0 {
        let text = |from: usize, n: usize| {
            let bytes = &raw[at + from..at + from + n];
            String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned()
        };
        let (name, kind) = (text(0, 100), raw[at + 156]);
        let size = usize::from_str_radix(&text(124, 12), 8).unwrap();
        at += 512;
        if kind == b'0' {
            let path = to.join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &raw[at..at + size]).unwrap();
            out.push(path);
        }
        at += size.div_ceil(512) * 512;
    }
    out
}

/// Functions that may be blamed, and lines, by scenario: what the comments `BLAME: n` say.
fn truth() -> BTreeMap<u32, Vec<(String, u32)>> {
    let source = std::fs::read_to_string(folder().join("blame.cpp")).unwrap();
    let mut out: BTreeMap<u32, Vec<(String, u32)>> = BTreeMap::new();
    let mut function = String::new();
    for (line, text) in (1..).zip(source.lines()) {
        if !text.starts_with([' ', '}', '/', '#']) && text.contains('(') && text.ends_with('{') {
            let head = text.split('(').next().unwrap();
            function = head.rsplit([' ', '*']).next().unwrap().to_owned();
        }
        if let Some((_, rest)) = text.split_once("BLAME: ") {
            let number = rest.split_whitespace().next().unwrap();
            if let Ok(number) = number.parse() {
                out.entry(number).or_default().push((function.clone(), line));
            }
        }
    }
    out
}

/// Names of the functions that the blamed place is in, inlined ones too.
fn functions(target: &Target, facts: &Facts, blame: &Blame) -> BTreeSet<String> {
    let exception = facts.exception.as_ref().unwrap();
    let stack = facts.thread(exception.tid).unwrap().stack.as_ref().unwrap();
    let frame = stack.frames[blame.row].function.clone();
    let inlined = target.symbols.inlines(blame.site).into_iter().map(|i| i.name);
    inlined.chain(frame).collect()
}

#[derive(Default)]
struct Score {
    asked: usize,
    strong: usize,
    right: usize,
    guesses: usize,
    right_guesses: usize,
    lines: usize,
}

#[test]
fn blame_finds_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let files = unpack(folder.path());
    let truth = truth();
    assert!(truth.len() >= 27, "{truth:?}");
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut wrong = Vec::new();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "dmp")) {
        let build = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let number: u32 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let beside = path.parent().unwrap().to_str().unwrap().to_owned();
        let config =
            SymbolConfig { symbol_path: beside.clone(), image_path: beside, ..SymbolConfig::default() };
        let target = Target::new(Dump::open(path).unwrap(), config);
        let facts = target.facts(&Cancel::default());
        let score = scores.entry(build.clone()).or_default();
        score.asked += 1;
        let blame = facts.exception.as_ref().unwrap().blame.clone();
        let Some(blame) = blame else {
            wrong.push(format!("{build} {number}: nothing"));
            continue;
        };
        let found = functions(&target, &facts, &blame);
        let right = truth[&number].iter().any(|(f, _)| found.contains(f));
        let line = target.symbols.line(blame.site).map_or(0, |l| l.line);
        score.lines += usize::from(truth[&number].iter().any(|(_, l)| *l == line));
        match blame.confidence {
            Confidence::Guess => {
                score.guesses += 1;
                score.right_guesses += usize::from(right);
            }
            _ => {
                score.strong += 1;
                score.right += usize::from(right);
            }
        }
        if !right || blame.confidence == Confidence::Guess {
            let what = if right { "a right guess" } else { "WRONG" };
            wrong.push(format!(
                "{build} {number}: {what}, {:?} {found:?} line {line}\n      {}",
                blame.confidence,
                blame.chain.join("\n      ")
            ));
        }
    }
    println!("build      asked  strong  right  precision  recall  guesses  right  same line");
    let (mut asked, mut strong, mut right) = (0, 0, 0);
    for (build, s) in &scores {
        let percent = |a: usize, b: usize| if b == 0 { 100.0 } else { 100.0 * a as f64 / b as f64 };
        println!(
            "{build:<10} {:>5}  {:>6}  {:>5}  {:>8.1}%  {:>5.1}%  {:>7}  {:>5}  {:>9}",
            s.asked,
            s.strong,
            s.right,
            percent(s.right, s.strong),
            percent(s.right, s.asked),
            s.guesses,
            s.right_guesses,
            s.lines
        );
        (asked, strong, right) = (asked + s.asked, strong + s.strong, right + s.right);
    }
    for text in &wrong {
        println!("  {text}");
    }
    assert!(asked >= 160, "{asked}");
    assert!(right * 100 >= strong * 95, "precision: {right} of {strong}");
    assert!(right * 100 >= asked * 60, "recall: {right} of {asked}");
}
