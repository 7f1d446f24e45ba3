//! A crash bot in a few lines: a dump in, the text of an issue out.
//!
//! `cargo run -p dumpscope-lib --example crash_bot -- app.dmp` prints the issue of each dump that it is given; without one
//! it makes a small dump with a crash and takes that.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use dumpscope::document::FindingKind;
use dumpscope::{Options, forms, triage};
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

    let symbols = std::env::var("_NT_SYMBOL_PATH").unwrap_or_default();
    let document = triage(&paths, &Options::new().symbol_path(symbols).budget(Duration::from_secs(60)));
    for dump in &document.dumps {
        // Nothing to file for a process that was only idle.
        if dump.verdict.as_ref().is_some_and(|v| v.kind == FindingKind::Idle) {
            continue;
        }
        let issue = forms::issue(dump);
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
