//! Breakpad symbol files of the corpus.

use crate::core_common::shared_or_skip;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, Rva, Va};
use dumpscope_symbols::provider::Breakpad;
use dumpscope_symbols::unwind::FrameData;
use dumpscope_symbols::{SymbolConfig, SymbolManager, SymbolProvider, SymbolSource, SymbolState};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn open(path: PathBuf, id: &str) -> Breakpad {
    Breakpad::open(&path, id, "").unwrap()
}

fn id(path: &Path) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    text.lines().next().unwrap().split(' ').nth(3).unwrap().to_owned()
}

#[test]
fn symbols_of_minidump2_are_found_in_breakpads_layout() {
    let Some(shared) = shared_or_skip("symbols_of_minidump2_are_found_in_breakpads_layout") else { return };
    let dump = Dump::open(&shared.join("corpus/breakpad/minidump2.dmp")).unwrap();
    let symbol_path = shared.join("corpus/breakpad/symbols").display().to_string();
    let config = SymbolConfig { symbol_path, ..SymbolConfig::default() };
    let s = SymbolManager::new(dump.modules().to_vec(), Arc::clone(dump.memory()) as _, config);
    // From minidump2.stackwalk.out: the crash address and the frames above it.
    let crash = Va(0x0040_429e);
    let app = s.module_at(crash).unwrap();
    assert_eq!(s.modules()[app].name, "test_app");
    assert_eq!(
        s.format(crash, Machine::X86).as_deref(),
        Some("test_app!`anonymous namespace'::CrashFunction+0xe")
    );
    let line = s.line(crash).unwrap();
    assert_eq!((line.file.as_str(), line.line, line.displacement), ("c:\\test_app.cc", 58, 3));
    assert!(
        matches!(s.state(app), SymbolState::Loaded(SymbolSource::Breakpad, Some(f)) if f.ends_with("test_app.sym"))
    );
    let kernel32 = s.modules_named("kernel32")[0];
    let start = &s.by_name(Some(kernel32), "BaseProcessStart")[0].1;
    let va = start.rva.va(s.modules()[kernel32].base);
    assert_eq!(s.format(va.offset(0x23), Machine::X86).as_deref(), Some("kernel32!BaseProcessStart+0x23"));
    assert!(matches!(s.frame_data(va.offset(0x23)), Some(FrameData::Program { .. })));
    // A module whose file is not there says what it needs.
    let ntdll = s.modules_named("ntdll")[0];
    let why = s.missing(ntdll).unwrap();
    assert!(why.contains("36515FB5D04345E491F672FA2E2878C02") && why.contains("breakpad/symbols"), "{why}");
}

#[test]
fn public_names_of_a_stripped_system_module() {
    let Some(shared) = shared_or_skip("public_names_of_a_stripped_system_module") else { return };
    let folder = shared.join("corpus/breakpad/symbols/kernel32.pdb");
    let path = folder.join("BCE8785C57B44245A669896B6A19B9542/kernel32.sym");
    let b = open(path, "BCE8785C57B44245A669896B6A19B9542");
    assert_eq!(b.lookup(Rva(0xb5ae)).unwrap().name, "BaseDllInitialize");
    assert_eq!(b.param_bytes(Rva(0xb5af)), Some(0xc));
    assert_eq!(b.by_name("closehandle", true).len(), 1);
    let mut count = 0;
    b.each(&mut |_| {
        count += 1;
        true
    });
    assert!(count > 1500, "{count}");
}

#[test]
fn inlined_calls_of_both_formats() {
    let Some(shared) = shared_or_skip("inlined_calls_of_both_formats") else { return };
    let folder = shared.join("corpus/breakpad/symbols/linux_inline/BBA6FA10B8AAB33D00000000000000000");
    for file in ["linux_inline.new.sym", "linux_inline.old.sym"] {
        let b = open(folder.join(file), "BBA6FA10B8AAB33D00000000000000000");
        let names: Vec<_> =
            b.inlines(Rva(0x161b7)).into_iter().map(|s| (s.name, s.line.map(|l| l.line))).collect();
        let want = [("func", Some(27)), ("bar", Some(32)), ("foo", Some(39))];
        assert_eq!(names, want.map(|(n, l)| (n.to_owned(), l)), "{file}");
        assert_eq!(b.line(Rva(0x161b7)).map(|l| l.line), Some(42));
    }
}

/// Every line of every FUNC record is found again, and every program of a STACK record.
#[test]
fn all_records_answer() {
    let Some(shared) = shared_or_skip("all_records_answer") else { return };
    for file in [
        "corpus/symbolic/crash.sym",
        "corpus/breakpad/symbols/test_app.pdb/5A9832E5287241C1838ED98914E9B7FF1/test_app.sym",
        "corpus/breakpad/symbols/null_read_av/7B7D1968FF0D47AE4366E9C3A7E1B6750/null_read_av.sym",
    ] {
        let path = shared.join(file);
        let b = open(path.clone(), &id(&path));
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let (mut lines, mut stacks, mut cfi) = (0, 0, 0);
        let mut files = BTreeMap::new();
        for record in text.lines() {
            let words: Vec<&str> = record.split(' ').collect();
            let hex = |i: usize| u32::from_str_radix(words[i], 16).unwrap();
            match words[0] {
                "FILE" => {
                    files.insert(words[1].to_owned(), words[2..].join(" "));
                }
                "MODULE" | "INFO" | "PUBLIC" | "FUNC" => {}
                "STACK" if words[1] == "WIN" => {
                    assert!(b.frame_data(Rva(hex(3))).is_some(), "{record}");
                    stacks += 1;
                }
                "STACK" if words[2] == "INIT" => {
                    assert!(matches!(b.frame_data(Rva(hex(3))), Some(FrameData::Cfi { .. })), "{record}");
                    cfi += 1;
                }
                "STACK" => {}
                _ => {
                    let found = b.line(Rva(hex(0)));
                    let number: u32 = words[2].parse().unwrap();
                    if number == 0 || hex(1) == 0 {
                        continue;
                    }
                    let found = found.unwrap_or_else(|| panic!("{record}"));
                    assert_eq!((found.line, &found.file), (number, &files[words[3]]), "{file}: {record}");
                    lines += 1;
                }
            }
        }
        assert!(lines > 500 && stacks + cfi > 100, "{file}: {lines} {stacks} {cfi}");
    }
}
