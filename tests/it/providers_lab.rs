//! Names from the images in the lab dumps.

use crate::core_common::shared_or_skip;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::{SymbolConfig, SymbolManager, SymbolSource, SymbolState};
use std::sync::Arc;

fn lab(test: &str, name: &str) -> Option<(Dump, SymbolManager)> {
    let path = shared_or_skip(test)?.join("lab").join(name);
    let dump = Dump::open(&path).unwrap();
    let memory = Arc::clone(dump.memory());
    let symbols = SymbolManager::new(dump.modules().to_vec(), memory, SymbolConfig::default());
    Some((dump, symbols))
}

#[test]
fn exports_of_the_x64_dump() {
    let Some((_, s)) = lab("exports_of_the_x64_dump", "wmiprvse-x64.dmp.zst") else { return };
    for (module, name) in [("ntdll", "NtWaitForSingleObject"), ("kernel32", "BaseThreadInitThunk")] {
        let index = s.modules_named(module)[0];
        let base = s.modules()[index].base;
        let found = s.by_name(Some(index), name);
        assert_eq!(found.len(), 1, "{name}");
        let symbol = &found[0].1;
        assert_eq!(symbol.source, SymbolSource::Exports);
        let va = symbol.rva.va(base);
        assert_eq!(s.format(va, Machine::Amd64), Some(format!("{module}!{name}")));
        assert_eq!(s.format(va.offset(2), Machine::Amd64), Some(format!("{module}!{name}+0x2")));
        assert_eq!(s.state(index), SymbolState::Loaded(SymbolSource::Exports, None));
    }
    // Only the modules that were asked for are loaded.
    let deferred = (0..s.modules().len()).filter(|&i| s.state(i) == SymbolState::Deferred).count();
    assert_eq!(deferred + 2, s.modules().len());
    assert_eq!(s.resolve(Va(0x10)), None);
}

#[test]
fn exports_of_the_x86_dump() {
    let Some((_, s)) = lab("exports_of_the_x86_dump", "ruby-x86.dmp.zst") else { return };
    let index = s.modules_named("ntdll")[0];
    let found = s.by_name(Some(index), "ntwaitforsingleobject");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.name, "NtWaitForSingleObject");
    let win32ole = s.modules_named("win32ole")[0];
    let mut names = Vec::new();
    for p in s.providers(win32ole).iter() {
        p.each(&mut |symbol| {
            names.push(symbol.name.clone());
            true
        });
    }
    assert!(!names.is_empty());
    assert!(s.missing(win32ole).is_some());
}

#[test]
fn pdbs_of_the_lab_are_found_and_verified() {
    let Some(shared) = shared_or_skip("pdbs_of_the_lab_are_found_and_verified") else { return };
    for (dump, folder, module, function) in [
        ("ruby-x86.dmp.zst", "x86", "combase", "CCliModalLoop::BlockFn"),
        ("wmiprvse-x64.dmp.zst", "x64", "WmiPrvSE", "CWhqlObj::WalkTree"),
    ] {
        let dump = Dump::open(&shared.join("lab").join(dump)).unwrap();
        let symbol_path = shared.join("lab/symbols").join(folder).display().to_string();
        let config = SymbolConfig { symbol_path, ..SymbolConfig::default() };
        let memory = Arc::clone(dump.memory());
        let s = SymbolManager::new(dump.modules().to_vec(), memory, config);
        let index = s.modules_named(module)[0];
        let found = s.by_name(Some(index), function);
        assert!(!found.is_empty(), "{:?} {:?}", s.state(index), s.search_log(index));
        let va = found[0].1.rva.va(s.modules()[index].base);
        assert_eq!(s.format(va, Machine::Amd64), Some(format!("{module}!{function}")));
        assert!(matches!(s.state(index), SymbolState::Loaded(SymbolSource::PrivatePdb, Some(_))));
        assert!(s.line(va).is_some());
        // The names of the other modules come from their exports.
        let ntdll = s.modules_named("ntdll")[0];
        assert!(s.missing(ntdll).is_some());
        assert_eq!(s.state(ntdll), SymbolState::Loaded(SymbolSource::Exports, None));
    }
}

#[test]
fn the_pdb_of_another_build_is_refused_and_said() {
    let Some(shared) = shared_or_skip("the_pdb_of_another_build_is_refused_and_said") else { return };
    let dump = Dump::open(&shared.join("lab/ruby-x86.dmp.zst")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(shared.join("lab/symbols/x86/ruby.pdb"), folder.path().join("combase.pdb")).unwrap();
    let config = SymbolConfig { symbol_path: folder.path().display().to_string(), ..SymbolConfig::default() };
    let memory = Arc::clone(dump.memory());
    let s = SymbolManager::new(dump.modules().to_vec(), memory, config);
    let index = s.modules_named("combase")[0];
    assert_eq!(s.by_name(Some(index), "CCliModalLoop::BlockFn"), Vec::new());
    let why = s.missing(index).unwrap();
    assert!(why.contains("another build") && why.contains("combase.pdb"), "{why}");
}
