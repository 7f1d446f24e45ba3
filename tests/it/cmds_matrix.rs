//! Every command's examples on every dump of `shared/`: text and JSON, no panic.

use dumpscope_engine::{COMMANDS, JsonSink, Layout, LineStatus, Session, TextSink, run_line};
use dumpscope_symbols::SymbolConfig;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Folders with dumps.
const FOLDERS: [&str; 2] = ["lab", "corpus"];
/// What a caught panic leaves in the output.
const PANIC: &str = "failed inside dumpscope";

fn dumps(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            dumps(&path, out);
        } else if path.to_string_lossy().ends_with(".dmp") || path.to_string_lossy().ends_with(".dmp.zst") {
            out.push(path);
        }
    }
    out.sort();
}

/// Runs all examples on one dump; gives what went wrong, `None` when the file is no dump.
fn run_all(path: &Path, is_first: bool) -> Option<Vec<String>> {
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    // Some files of the corpus are no dumps on purpose: refusing them is an answer.
    let session = Session::open(path, config).ok()?;
    let mut wrong = Vec::new();
    for command in COMMANDS {
        let examples = command.examples.iter().filter(|(e, _)| is_first || !dumpscope_tests::asks_no_dump(e));
        for (example, _) in examples {
            for layout in [Layout::Classic, Layout::Modern] {
                let mut session = session.clone();
                session.sel.layout = layout;
                wrong.extend(run_one(session, example).into_iter().map(|w| format!("{example}: {w}")));
            }
        }
    }
    Some(wrong.into_iter().map(|w| format!("{}: {w}", path.display())).collect())
}

fn run_one(session: Session, line: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut text = Vec::new();
    let (mut of_text, mut of_json) = (session.clone(), session);
    let status = run_line(&mut of_text, line, &mut TextSink::new(&mut text, false));
    let mut json = JsonSink::new(false);
    let json_status = run_line(&mut of_json, line, &mut json);
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.contains(PANIC) {
        wrong.push(format!("panic: {}", text.lines().find(|l| l.contains(PANIC)).unwrap_or("")));
    }
    if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t') {
        wrong.push(format!("control character {c:?} in the text"));
    }
    if status != json_status {
        wrong.push(format!("text {status:?}, JSON {json_status:?}"));
    }
    if status == LineStatus::Failed && text.trim().is_empty() {
        wrong.push("failed without a word".into());
    }
    let value = json.into_value();
    for entry in value.as_array().into_iter().flatten() {
        if entry["data"].is_null() || entry["report"].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("no data in the JSON: {entry}"));
        }
    }
    if !text.trim().is_empty() && value.as_array().is_none_or(Vec::is_empty) {
        wrong.push("text but no JSON".into());
    }
    wrong
}

#[test]
fn every_example_on_every_dump() {
    let Some(shared) = dumpscope_tests::shared() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "shared/ is missing");
        eprintln!("skipped: no shared/ beside the checkout");
        return;
    };
    let mut paths = Vec::new();
    FOLDERS.iter().for_each(|f| dumps(&shared.join(f), &mut paths));
    assert!(paths.len() >= 30, "only {} dumps under {}", paths.len(), shared.display());
    let queue = Mutex::new(paths.into_iter().enumerate());
    let wrong = Mutex::new(Vec::new());
    let opened = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().next();
                    let Some((nth, path)) = next else { break };
                    if let Some(found) = run_all(&path, nth == 0) {
                        opened.fetch_add(1, Ordering::Relaxed);
                        wrong.lock().unwrap().extend(found);
                    }
                }
            });
        }
    });
    let opened = opened.into_inner();
    assert!(opened >= 25, "only {opened} files were dumps");
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} problems:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn names_and_examples_of_the_table() {
    let mut seen = std::collections::BTreeSet::new();
    for command in COMMANDS {
        for name in std::iter::once(&command.name).chain(command.aliases) {
            assert!(seen.insert(*name), "{name} twice");
        }
        assert!(!command.examples.is_empty(), "{} has no example", command.name);
        assert!(!command.summary.ends_with('.') && !command.summary.is_empty(), "{}", command.name);
        for (example, what) in command.examples {
            assert!(!what.is_empty(), "{example}");
        }
    }
}
