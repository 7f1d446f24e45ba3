//! Tests with images made by hand.

use super::*;
use crate::image::testing::{ImageBuilder, Memory};

/// A module without CodeView.
pub(crate) fn module(name: &str, base: u64, size: u32) -> ModuleInfo {
    ModuleInfo {
        name: name.into(),
        file_name: format!("{name}.dll"),
        path: format!("C:\\x\\{name}.dll"),
        base: Va(base),
        size,
        timestamp: 0,
        checksum: 0,
        codeview: None,
        version: None,
        machine: None,
    }
}

fn manager() -> SymbolManager {
    let a = ImageBuilder::new(true)
        .export("NtWaitForSingleObject", 0x1010)
        .export("ZwWaitForSingleObject", 0x1010)
        .export("RtlFreeHeap", 0x1100)
        .export("Data", 0x3000)
        .build();
    let b = ImageBuilder::new(false).export("_Beep@8", 0x1020).export("_stricmp", 0x1040).build();
    let modules = vec![module("ntdll", 0x7ff0_0000_0000, 0x6000), module("beep", 0x40_0000, 0x6000)];
    let memory = Memory::new(vec![(Va(0x7ff0_0000_0000), a), (Va(0x40_0000), b)]);
    SymbolManager::new(modules, Arc::new(memory), SymbolConfig::default())
}

#[test]
fn names_come_from_exports() {
    let m = manager();
    assert_eq!(m.state(0), SymbolState::Deferred);
    let at = |rva: u64| m.format(Va(0x7ff0_0000_0000 + rva));
    assert_eq!(at(0x1010).as_deref(), Some("ntdll!NtWaitForSingleObject"));
    assert_eq!(at(0x1014).as_deref(), Some("ntdll!NtWaitForSingleObject+0x4"));
    assert_eq!(at(0x1100).as_deref(), Some("ntdll!RtlFreeHeap"));
    // Below the first export, and in a section that exports nothing.
    assert_eq!(at(0x1000).as_deref(), Some("ntdll+0x1000"));
    assert_eq!(at(0x2abc).as_deref(), Some("ntdll+0x2abc"));
    assert_eq!(at(0x3004).as_deref(), Some("ntdll!Data+0x4"));
    assert_eq!(at(0).as_deref(), Some("ntdll"));
    assert_eq!(at(0x6000), None);
    assert_eq!(m.state(0), SymbolState::Loaded(SymbolSource::Exports, None));
    assert_eq!(m.state(1), SymbolState::Deferred);
    assert_eq!(m.next_after(Va(0x7ff0_0000_1010)).map(|s| s.name).as_deref(), Some("RtlFreeHeap"));
    m.reload(None);
    assert_eq!(m.state(0), SymbolState::Deferred);
}

#[test]
fn stdcall_exports_lose_their_decoration() {
    let m = manager();
    assert_eq!(m.format(Va(0x40_1024)).as_deref(), Some("beep!Beep+0x4"));
    assert_eq!(m.format(Va(0x40_1040)).as_deref(), Some("beep!_stricmp"));
    let found = m.by_name(None, "beep");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1.decorated.as_deref(), Some("_Beep@8"));
    assert_eq!(m.by_name(Some(1), "_Beep@8").len(), 1);
    assert_eq!(m.by_name(Some(0), "Beep"), Vec::new());
    assert_eq!(m.by_name(Some(7), "Beep"), Vec::new());
}

#[test]
fn a_module_without_image_says_why() {
    let m = SymbolManager::new(
        vec![module("gone", 0x1000, 0x1000)],
        Arc::new(Memory::new(Vec::new())),
        SymbolConfig::default(),
    );
    assert_eq!(m.format(Va(0x1010)).as_deref(), Some("gone+0x10"));
    assert!(matches!(m.state(0), SymbolState::NotFound(why) if why.contains("not readable")));
}
