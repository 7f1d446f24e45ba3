//! A crash bot in a few lines: a dump in, the text of an issue out.
//!
//! `cargo run -p dumpscope-engine --example crash_bot -- app.dmp` prints the issue of each dump that it is given;
//! without one it makes a small dump with a crash and takes that.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use dumpscope_analyzers::Cancel;
use dumpscope_engine::batch::{Progress, TriageOptions, triage};
use dumpscope_engine::document::FindingKind;
use dumpscope_engine::forms::issue;
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let demo = tempfile::tempdir()?;
    if paths.is_empty() {
        let path = demo.path().join("demo.dmp");
        std::fs::write(&path, dumpscope_fixtures::small::x64_crash().0.bytes())?;
        paths.push(path);
    }

    // Where symbols lie. Servers would need `store: Some(client)`; without one nothing is ever downloaded.
    let symbols = SymbolConfig {
        symbol_path: std::env::var("_NT_SYMBOL_PATH").unwrap_or_default(),
        ..SymbolConfig::default()
    };
    // Another thread may call `cancel.cancel()`: dumps that were not begun then get error rows of kind `stopped`.
    let cancel = Cancel::default();
    let options = TriageOptions {
        symbols,
        budget: Some(Duration::from_secs(60)),
        cancel: cancel.clone(),
        ..TriageOptions::default()
    };
    let document = triage(&paths, &options, &|progress| {
        if let Progress::Finished { index } = progress {
            eprintln!("dump {} is done", index.saturating_add(1));
        }
    });

    for dump in &document.dumps {
        // Nothing to file for a process that was only idle.
        if dump.verdict.as_ref().is_some_and(|v| v.kind == FindingKind::Idle) {
            continue;
        }
        let issue = issue(dump);
        println!("# {}\n\n{}", issue.title, issue.body);
        // Dumps with one signature belong to one issue: a bot searches for it before it files a new one.
        if let Some(signature) = &dump.signature {
            println!("<!-- signature: {} -->", signature.replace("--", "- -"));
        }
    }
    // Dumps of several processes may show one hang: what is to be done stands at the end of the chain.
    for incident in document.incidents.iter().flatten().filter(|i| i.paths.len() > 1) {
        println!("{} are one incident: {}", incident.paths.join(", "), incident.root_cause);
    }
    for bucket in document.buckets.iter().filter(|b| b.count > 1) {
        println!("{} dumps have the signature {}", bucket.count, bucket.signature);
    }
    Ok(())
}
