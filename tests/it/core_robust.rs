//! dump-core on damaged dumps: everything that it can read is read; nothing may panic or run away.
//! All cases are made in memory and the same in every run.

use crate::core_common::{Random, cuts, read_everything};
use dumpscope_core::Machine;
use dumpscope_core::base::{ReadMemory, Va};
use dumpscope_core::model::Dump;
use dumpscope_core::source::Source;
use std::path::Path;

fn small_dumps(shared: &Path) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for folder in ["breakpad", "bugsplat-net", "electron", "lldb", "rust-minidump", "malformed"] {
        for entry in std::fs::read_dir(shared.join("corpus").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "dmp") {
                let bytes = std::fs::read(&path).unwrap();
                if bytes.len() < 300_000 {
                    out.push((path.display().to_string(), bytes));
                }
            }
        }
    }
    out.sort();
    assert!(out.len() > 25, "{} small dumps", out.len());
    out
}

#[test]
fn every_dump_of_the_corpus_as_it_is() {
    let Some(shared) = crate::core_common::shared_or_skip("core_robust") else { return };
    for (name, bytes) in small_dumps(&shared) {
        let opened = Dump::from_bytes(bytes.clone());
        assert!(opened.is_ok(), "{name}: {:?}", opened.err());
        read_everything(Source::from_bytes(bytes));
    }
}

#[test]
fn malformed_dumps_warn() {
    let Some(shared) = crate::core_common::shared_or_skip("core_robust") else { return };
    let open = |name: &str| Dump::open(&shared.join("corpus/malformed").join(name)).unwrap();
    let texts = |d: &Dump| d.warnings().iter().map(|w| w.text.clone()).collect::<Vec<_>>().join("\n");
    assert!(texts(&open("bad_duplicate_streams.dmp")).contains("stream type 0x3 occurs more than once"));
    assert!(texts(&open("bad_overlapping_streams.dmp")).contains("overlap"));
    // The padding of a list is told by the stream's size.
    for name in ["thread-list-padded.dmp", "thread-list-not-padded.dmp"] {
        let dump = open(name);
        let tids: Vec<u32> = dump.threads().iter().map(|t| t.tid.0).collect();
        assert_eq!(tids, [0x1122_3344, 0x5566_7788], "{name}");
    }
    for name in ["module-list-padded.dmp", "module-list-not-padded.dmp"] {
        let dump = open(name);
        let modules: Vec<(&str, u64, u32)> =
            dump.modules().iter().map(|m| (m.path.as_str(), m.base.0, m.size)).collect();
        assert_eq!(modules, [("/tmp/a", 0x1000, 0x2000), ("/tmp/b", 0x5000, 0x3000)], "{name}");
    }
    for name in ["memory-list-padded.dmp", "memory-list-not-padded.dmp"] {
        let dump = open(name);
        assert_eq!(dump.memory().slice(Va(0x8000), 12), Some(b"Hello world!".as_slice()), "{name}");
        assert_eq!(dump.memory().slice(Va(0x8010), 15), Some(b"Goodbye moon...".as_slice()), "{name}");
    }
    let dump = open("modules-dup-min-addr.dmp");
    let names: Vec<&str> = dump.modules().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["a", "a_1000"]);
    assert_eq!(dump.module_at(Va(0x1fff)).unwrap().name, "a_1000");
}

#[test]
fn byte_flips() {
    let Some(shared) = crate::core_common::shared_or_skip("core_robust") else { return };
    let dumps = small_dumps(&shared);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sum = 0u64;
    for case in 0..10_000usize {
        let (_, original) = &dumps[case % dumps.len()];
        let mut bytes = original.clone();
        for _ in 0..=random.below(4) {
            // Half of the flips hit the first part of the file, where headers and lists lie.
            let limit = if random.below(2) == 0 { bytes.len().min(0x2000) } else { bytes.len() };
            let at = random.below(limit);
            match random.below(4) {
                0 => bytes[at] = 0xff,
                1 => bytes[at] = random.next() as u8,
                2 => bytes[at] ^= 1 << random.below(8),
                _ => {
                    // A whole word: counts and offsets at the borders of their range.
                    let word = [u32::MAX, 0, 0x7fff_ffff, 0x8000_0000, random.next() as u32][random.below(5)];
                    if let Some(place) = bytes.get_mut(at & !3..(at & !3) + 4) {
                        place.copy_from_slice(&word.to_le_bytes());
                    }
                }
            }
        }
        sum ^= read_everything(Source::from_bytes(bytes));
    }
    assert_ne!(sum, 0);
}

#[test]
fn truncated_dumps() {
    let Some(shared) = crate::core_common::shared_or_skip("core_robust") else { return };
    let mut dumps = vec![shared.join("lab/ruby-x86.dmp.zst"), shared.join("lab/wmiprvse-x64.dmp.zst")];
    dumps.push(shared.join("corpus/lldb/fizzbuzz_wow64.dmp"));
    dumps.push(shared.join("corpus/breakpad/tiny-exe-with-cet-xsave.dmp"));
    for path in dumps {
        let whole = Dump::open(&path).unwrap();
        let directory = u32::from_le_bytes(whole.file_bytes()[12..16].try_into().unwrap()) as usize;
        let last_directory = whole.directory().len();
        for cut in cuts(&whole, 200) {
            let source = whole.source().truncated(cut);
            read_everything(source.clone());
            match Dump::from_source(source) {
                Err(e) => assert!(cut < directory + 12, "{}: cut at {cut:#x}: {e}", path.display()),
                Ok(dump) => {
                    let complete = cut as u64 == whole.file_size();
                    dump.memory();
                    dump.modules();
                    dump.threads();
                    assert!(dump.directory().len() <= last_directory);
                    assert_eq!(dump.warnings().is_empty(), complete, "{}: cut at {cut:#x}", path.display());
                }
            }
        }
    }
}

/// Flips in what the walks over process memory read: TEBs, PEBs, loader lists, parameters, the CPU area.
#[test]
fn flips_in_process_structures() {
    let Some(shared) = crate::core_common::shared_or_skip("core_robust") else { return };
    let whole = Dump::open(&shared.join("corpus/lldb/fizzbuzz_wow64.dmp")).unwrap();
    let mut targets: Vec<Va> = Vec::new();
    for machine in [Machine::X86, Machine::Amd64] {
        targets.extend(whole.peb(machine));
        targets.extend(whole.teb(whole.threads()[0].index, machine));
        targets.push(whole.parameters(machine).unwrap().address);
        let loader = whole.loader(machine).unwrap();
        targets.push(loader.address);
        targets.extend(loader.entries.iter().map(|e| e.address));
    }
    targets.push(whole.memory().u64(Va(0x7efd_b000 + 0x1488)).map(Va).unwrap());
    let file = whole.file_bytes();
    let offsets: Vec<usize> = targets
        .iter()
        .map(|va| whole.memory().rest_of_range(*va).as_ptr() as usize - file.as_ptr() as usize)
        .collect();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut sum = 0;
    for case in 0..300 {
        let mut bytes = file.to_vec();
        for _ in 0..=random.below(6) {
            let at = offsets[random.below(offsets.len())] + random.below(0x100);
            // Pointers to other structures make loops; the rest makes wild reads.
            let value = match case % 3 {
                0 => random.next() as u8,
                1 => bytes[offsets[random.below(offsets.len())] + random.below(0x40)],
                _ => [0, 0xff, 0x80][random.below(3)],
            };
            bytes[at] = value;
        }
        sum ^= read_everything(Source::from_bytes(bytes));
    }
    assert_ne!(sum, 0);
}
