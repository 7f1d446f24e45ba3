//! Two dumps of a process that does not answer: is it stuck, slow, spinning or idle, and where?
//!
//! `cargo run -p dumpscope-lib --example hang_watch -- 1.dmp 2.dmp` is what a test runner calls when a test's time is over and
//! `procdump -ma -n 2 -s 5 PID` (or `createdump`, twice) has written the dumps. It also writes the last one smaller, to be
//! kept. Without dumps it makes two.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use dumpscope::{Level, Options, diff, shrink};
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let demo = tempfile::tempdir()?;
    if paths.is_empty() {
        paths = vec![demo.path().join("1.dmp"), demo.path().join("2.dmp")];
        let mut bytes = dumpscope_fixtures::small::x86().0.bytes();
        std::fs::write(demo.path().join("1.dmp"), &bytes)?;
        // The same process ten seconds later: the header's time is at offset 20.
        if let Some(time) = bytes.get_mut(20) {
            *time = time.wrapping_add(10);
        }
        std::fs::write(demo.path().join("2.dmp"), &bytes)?;
    }

    let options = Options::new().symbol_path(std::env::var("_NT_SYMBOL_PATH").unwrap_or_default());
    let compared = diff(&paths, &options)?;
    println!("{} in {} s: {}", compared.progress, compared.seconds, compared.summary);
    for thread in compared.threads.iter().filter(|t| t.state == "stuck" || t.state == "spinning") {
        let at = thread.common_frame.as_deref().unwrap_or("?");
        println!("thread {:x} is {} at {at}: {}", thread.tid, thread.state, thread.does);
    }
    if let Some(last) = paths.last() {
        let small = last.with_extension("small.dmp");
        let done = shrink(last, &small, Level::Triage, &options)?;
        println!("{} has {} of {} bytes", small.display(), done.written.size, done.before);
    }
    Ok(())
}
