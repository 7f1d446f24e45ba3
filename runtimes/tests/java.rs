//! Java against the VM's own thread print (`jcmd Thread.print -l`), recorded beside the shared dumps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod common;

use common::Lab;
use dumpscope_core::Tid;
use dumpscope_runtimes::{Reader, ScriptFrame, Walked};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A thread of a thread print.
#[derive(Debug, Default)]
struct Printed {
    name: String,
    address: u64,
    native: u32,
    /// `Class.method(File.java:12)` lines.
    frames: Vec<String>,
    /// What is said of locks: words and object.
    locks: Vec<(String, u64)>,
}

impl Printed {
    /// The thread that wrote the truth has moved on since, and compiler threads come and go.
    fn stood_still(&self) -> bool {
        self.name != "truth" && !self.name.contains("Compiler")
    }
}

fn number(text: &str) -> u64 {
    text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |h| u64::from_str_radix(h, 16).unwrap())
}

fn after<'t>(line: &'t str, key: &str) -> Option<&'t str> {
    line.split_once(key)?.1.split_whitespace().next()
}

/// Without the module: `java.base@25.0.2/Unknown Source` is `Unknown Source`.
fn place(text: &str) -> String {
    let (method, place) = text.strip_suffix(')').unwrap().rsplit_once('(').unwrap();
    let place = place.split_once('/').filter(|(module, _)| module.contains('@')).map_or(place, |(_, p)| p);
    format!("{method}({place})")
}

fn printed(text: &str) -> Vec<Printed> {
    let mut out = Vec::<Printed>::new();
    let mut reading = false;
    for line in text.lines() {
        if line.starts_with("Found ") || line.starts_with("JNI global") {
            break;
        }
        let thread = line.strip_prefix('"').filter(|l| l.contains(" tid=") && l.contains(" nid="));
        if let Some((name, rest)) = thread.and_then(|l| l.rsplit_once("\" ")) {
            reading = true;
            out.push(Printed {
                name: name.to_owned(),
                address: number(after(rest, "tid=").unwrap()),
                native: u32::try_from(number(after(rest, "nid=").unwrap())).unwrap(),
                ..Printed::default()
            });
            continue;
        }
        let line = line.trim();
        if line.starts_with("Locked ownable") {
            reading = false;
        }
        let Some(thread) = out.last_mut().filter(|_| reading) else { continue };
        if let Some(frame) = line.strip_prefix("at ") {
            thread.frames.push(place(frame));
        } else if let Some((words, object)) = line.strip_prefix("- ").and_then(|l| l.split_once('<'))
            && let Some(object) = object.split('>').next().filter(|o| o.starts_with("0x"))
        {
            thread.locks.push((words.trim().to_owned(), number(object)));
        }
    }
    out
}

fn text(frame: &ScriptFrame) -> String {
    let place = match (&frame.file, frame.line) {
        _ if frame.kind.word() == "native" => "Native Method".to_owned(),
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => "Unknown Source".to_owned(),
    };
    format!("{}({place})", frame.function)
}

/// The dumps with their truth; `None` without `shared/java`.
fn cases(test: &str) -> Option<Vec<(String, PathBuf, Vec<Printed>)>> {
    let Some((dumps, truth)) = dumpscope_tests::java_dumps() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared/java`");
        eprintln!("{test}: skipped, there is no folder `shared/java` beside the checkout");
        return None;
    };
    let mut paths: Vec<_> = std::fs::read_dir(dumps).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let text = std::fs::read_to_string(truth.join(&name).join("jstack.txt")).ok()?;
        Some((name, path, printed(&text)))
    };
    Some(paths.into_iter().filter_map(case).collect())
}

fn java(lab: &Lab) -> &Arc<dyn Reader> {
    let reader = lab.readers.iter().find(|r| r.runtime().name == "Java").expect("a Java runtime");
    assert!(reader.runtime().readable, "{:?}", reader.runtime());
    reader
}

fn open(path: &Path) -> Lab {
    Lab::open(path)
}

#[test]
fn frames_of_all_threads_are_the_vms_own() {
    let Some(cases) = cases("frames_of_all_threads_are_the_vms_own") else { return };
    let mut wrong = Vec::new();
    for (name, path, truth) in cases {
        let lab = open(&path);
        let reader = java(&lab);
        let (mut threads, mut equal, mut frames, mut right) = (0, 0, 0, 0);
        for wanted in truth.iter().filter(|t| t.stood_still()) {
            let Some(got) = reader.threads().iter().find(|t| t.address.0 == wanted.address) else {
                // Threads of the VM itself are no Java threads and have no frames.
                if !wanted.frames.is_empty() {
                    wrong.push(format!("{name}: no thread {}", wanted.name));
                }
                continue;
            };
            assert_eq!(got.name.as_deref(), Some(wanted.name.as_str()), "{name}");
            assert_eq!(got.tid, Some(Tid(wanted.native)), "{name} {}", wanted.name);
            let stack = lab.walk(wanted.native);
            let script = reader.frames(Walked { tid: Tid(wanted.native), frames: &stack });
            let script: Vec<_> = script.iter().map(text).collect();
            threads += 1;
            frames += wanted.frames.len();
            right += script.iter().rev().zip(wanted.frames.iter().rev()).filter(|(a, b)| a == b).count();
            if script == wanted.frames {
                equal += 1;
            } else {
                wrong.push(format!(
                    "{name} {}\n  got {script:#?}\n  wanted {:#?}",
                    wanted.name, wanted.frames
                ));
            }
        }
        eprintln!("{name}: threads equal to jstack {equal} of {threads}, frames {right} of {frames}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
