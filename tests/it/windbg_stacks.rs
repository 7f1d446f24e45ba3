//! Stacks of WinDbg's engine (`shared/windbg/stacks`): where it had all it needed (`sure`) ours are the same; of an x86
//! thread without frame data (`subset`) its frames are among ours, in their order.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::{Cancel, Target, stacks};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, Tid};
use dumpscope_symbols::{Limits, SymbolConfig, Trust};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Threads of which the engine is sure and ours are another, in the dumps that lie in `shared`: each is explained in
/// docs/windbg-differences.md or is to be mended.
const KNOWN_DIFFERENT: usize = 0;

fn dump_path(shared: &Path, origin: &str) -> Option<PathBuf> {
    let name = origin.strip_prefix("shared/")?;
    let packed = format!("{name}.zst");
    [name, packed.as_str()].iter().map(|n| shared.join(n)).find(|p| p.exists())
}

fn hex(value: &Value) -> u64 {
    value.as_str().and_then(|t| u64::from_str_radix(t, 16).ok()).unwrap_or(0)
}

/// The engine's instruction pointers of a thread.
fn wanted(thread: &Value) -> Vec<u64> {
    let frames = thread["frames"].as_array().map_or(&[][..], Vec::as_slice);
    frames
        .iter()
        .filter(|f| f["inline"].is_null() || f["inline"] == false || f["inline"] == 0)
        .map(|f| hex(&f["ip"]))
        .collect()
}

fn ours(target: &Target, tid: u32, machine: Machine) -> Option<Vec<u64>> {
    let thread = target.dump.thread_by_tid(Tid(tid))?.index;
    let limits = Limits { frames: 0xffff, ..Limits::default() };
    let stack = stacks::thread_stack(target, thread, machine, &limits, &Cancel::default())?;
    Some(stack.frames.iter().filter(|f| f.trust != Trust::Inline).map(|f| f.frame.ip.0).collect())
}

fn contained(part: &[u64], whole: &[u64]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|ip| rest.any(|other| other == ip))
}

#[test]
fn stacks_are_the_engines_where_it_is_sure() {
    let Some(shared) = shared_or_skip("windbg").filter(|s| s.join("windbg").is_dir()) else { return };
    let shared = shared.as_path();
    let folder = shared.join("windbg/stacks");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "json"));
    files.sort();
    let (mut sure, mut equal, mut subset, mut held, mut missing) = (0, 0, 0, 0, 0);
    for file in files {
        let truth: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        let Some(path) = dump_path(shared, truth["origin"].as_str().unwrap_or("")) else {
            missing += 1;
            continue;
        };
        let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
        let Ok(dump) = Dump::open(&path) else { continue };
        let machine = dump.machine();
        let target = Target::new(dump, config);
        // Of two dumps the stacks were left out: they are too many.
        let Some(threads) = truth["threads"].as_array() else { continue };
        for thread in threads {
            let engine = wanted(thread);
            let tid = hex(&thread["tid"]) as u32;
            let is_sure = thread["trust"] == "sure";
            if !is_sure && thread["trust"] != "subset" {
                continue;
            }
            let mine = ours(&target, tid, machine).unwrap_or_default();
            let fine = if is_sure { mine == engine } else { contained(&engine, &mine) };
            if is_sure {
                sure += 1;
                equal += usize::from(fine);
            } else {
                subset += 1;
                held += usize::from(fine);
            }
            if !fine {
                let show = |ips: &[u64]| ips.iter().map(|ip| format!("{ip:x}")).collect::<Vec<_>>().join(" ");
                let name = file.file_stem().unwrap().to_string_lossy();
                println!(
                    "{name} thread {tid:x} ({}):\n  engine {}\n  ours   {}",
                    thread["trust"],
                    show(&engine),
                    show(&mine)
                );
            }
        }
    }
    println!(
        "sure: {equal} of {sure} equal; subset: {held} of {subset} contained; {missing} dumps are not there"
    );
    assert_eq!(sure - equal, KNOWN_DIFFERENT, "sure threads that differ");
    assert_eq!(held, subset);
}
