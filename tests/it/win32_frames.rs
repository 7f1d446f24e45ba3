//! How many frames of Windows' own modules have named parameters, over all dumps of the lab, lab2 and the corpus.
//!
//! `DUMPSCOPE_WIN32_FRAMES=1` walks all threads and prints the table; without it only the lab's and lab2's threads are counted.
//! Counted is every physical frame whose module lies in the Windows folder (or has a DLL's name of the Win32 table and no
//! folder) and which is named by an export, unless unwind data say that the code is another function's.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::stacks::{is_exact, thread_stack};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_symbols::{Limits, SymbolConfig, SymbolSource, Trust};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Default)]
struct Count {
    /// Frames in Windows' modules.
    frames: usize,
    /// At exported functions.
    exported: usize,
    /// With named parameters, or known to have none.
    named: usize,
    /// Functions without names and how many frames are at them.
    without: BTreeMap<String, usize>,
}

fn dumps(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() {
            dumps(&path, out);
        } else if name.ends_with(".dmp") || name.ends_with(".dmp.zst") {
            out.push(path);
        }
    }
}

fn whole() -> bool {
    std::env::var_os("DUMPSCOPE_WIN32_FRAMES").is_some()
}

fn is_windows(file: &str, path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace('/', "\\");
    path.contains("\\windows\\")
        || !path.contains('\\') && dumpscope_win32::table().has_dll(&file.to_ascii_lowercase())
}

fn count(path: &Path, all: &mut Count) {
    let Ok(dump) = Dump::open(path) else { return };
    let target = Target::new(dump, SymbolConfig { offline: true, ..SymbolConfig::default() });
    let mut here = (0, 0);
    for n in 0..target.dump.threads().len() {
        let thread = ThreadIdx(u32::try_from(n).unwrap());
        for machine in [Machine::X86, Machine::Amd64, Machine::Arm64] {
            let Some(stack) = thread_stack(&target, thread, machine, &Limits::default(), &Cancel::default())
            else {
                continue;
            };
            let args = recover_all(&target, &stack, &Cancel::default());
            for (frame, args) in stack.frames.iter().zip(&args) {
                let module = frame.module.and_then(|m| target.symbols.modules().get(m));
                let Some(module) = module.filter(|m| is_windows(&m.file_name, &m.path)) else { continue };
                if frame.trust == Trust::Inline {
                    continue;
                }
                all.frames += 1;
                let Some(name) = frame.function.as_deref() else { continue };
                // Of others the name is the nearest export before them.
                if frame.source != Some(SymbolSource::Exports) || !is_exact(&target, frame) {
                    continue;
                }
                all.exported += 1;
                here.1 += 1;
                let none = args.is_empty()
                    && dumpscope_win32::table().functions(name).iter().any(|f| f.signature.params.is_empty());
                if none || !args.is_empty() && args.iter().all(|a| a.name.is_some()) {
                    all.named += 1;
                    here.0 += 1;
                } else {
                    *all.without.entry(format!("{}!{name}", module.name)).or_default() += 1;
                    if whole() {
                        println!(
                            "      {}!{name}+0x{:x}, {} arguments",
                            module.name,
                            frame.displacement,
                            args.len()
                        );
                    }
                }
            }
        }
    }
    if here.1 > 0 {
        println!("{:>5} of {:>5} {}", here.0, here.1, path.display());
    }
}

#[test]
fn frames_at_windows_exports_have_named_parameters() {
    let Some(shared) = shared_or_skip("win32_frames") else { return };
    let mut files = Vec::new();
    let folders: &[&str] = if whole() { &["lab", "lab2", "corpus"] } else { &["lab", "lab2"] };
    folders.iter().for_each(|f| dumps(&shared.join(f), &mut files));
    files.sort();
    let mut all = Count::default();
    files.iter().for_each(|f| count(f, &mut all));
    let mut without: Vec<_> = all.without.iter().collect();
    without.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), name.as_str()));
    println!("without: {without:?}");
    println!(
        "named parameters: {} of {} frames at exported functions ({} frames in Windows' modules)",
        all.named, all.exported, all.frames
    );
    // Of the corpus one dump has images without unwind data: its names are mostly the nearest export.
    assert!(all.exported > 0 && (whole() || all.named * 100 >= all.exported * 85));
}
