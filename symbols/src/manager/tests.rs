//! Tests with images made by hand.

use super::*;
use crate::image::testing::{ImageBuilder, Memory};
use dumpscope_core::base::{CodeView, Guid};

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
    let at = |rva: u64| m.format(Va(0x7ff0_0000_0000 + rva), Machine::Amd64);
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

/// A function at 0x2000 with a cold part at 0x1fe8.
#[derive(Debug)]
struct Moved;

impl SymbolProvider for Moved {
    fn source(&self) -> SymbolSource {
        SymbolSource::Dwarf
    }
    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        let kind = crate::provider::SymbolKind::Function;
        (rva.0 >= 0x1fe8).then(|| Symbol {
            rva: Rva(0x2000),
            size: Some(0x40),
            name: "f".into(),
            decorated: None,
            kind,
            source: self.source(),
        })
    }
    fn next_after(&self, _: Rva) -> Option<Symbol> {
        None
    }
    fn by_name(&self, _: &str, _: bool) -> Vec<Symbol> {
        Vec::new()
    }
    fn each(&self, _: &mut dyn FnMut(&Symbol) -> bool) {}
}

#[test]
fn a_part_before_its_function_has_a_displacement_that_wraps() {
    let m = manager();
    let loaded = Loaded {
        providers: Arc::new([Arc::new(Moved)]),
        state: SymbolState::Loaded(SymbolSource::Dwarf, None),
        missing: None,
        log: Vec::new(),
        failed: false,
        unwritten: false,
        stopped: false,
    };
    assert!(m.slot(1).unwrap().loaded.set(loaded).is_ok());
    let part = Va(0x40_1fe8);
    let r = m.resolve(part).unwrap();
    assert_eq!(part.back(r.displacement), Va(0x40_2000));
    // As WinDbg writes it, in the width of the view.
    assert_eq!(m.format(part, Machine::X86).as_deref(), Some("beep!f+0xffffffe8"));
    assert_eq!(m.format(part, Machine::Amd64).as_deref(), Some("beep!f+0xffffffffffffffe8"));
    assert_eq!(m.format(Va(0x40_2000), Machine::X86).as_deref(), Some("beep!f"));
}

#[test]
fn stdcall_exports_lose_their_decoration() {
    let m = manager();
    assert_eq!(m.format(Va(0x40_1024), Machine::Amd64).as_deref(), Some("beep!Beep+0x4"));
    assert_eq!(m.format(Va(0x40_1040), Machine::Amd64).as_deref(), Some("beep!_stricmp"));
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
    assert_eq!(m.format(Va(0x1010), Machine::Amd64).as_deref(), Some("gone+0x10"));
    assert!(
        matches!(m.state(0), SymbolState::NotFound(why) if why.contains("not readable") && why.contains(".sympath"))
    );
    assert!(m.missing(0).is_some_and(|why| why.contains("gone.dll")));
}

fn with_codeview(age: u32) -> ModuleInfo {
    let mut m = module("app", 0x40_0000, 0x6000);
    m.codeview = Some(CodeView::Pdb70 { guid: Guid::default(), age, path: "C:\\build\\app.pdb".into() });
    m
}

#[test]
fn a_breakpad_file_on_the_path_wins_over_exports() {
    let dir = tempfile::tempdir().unwrap();
    let zero = "0".repeat(32);
    let text =
        format!("MODULE windows x86 {zero}7 app.pdb\nFILE 1 a.c\nFUNC 1020 10 8 ns::f(int)\n1020 10 5 1\n");
    let store = dir.path().join("app.pdb").join(format!("{zero}7"));
    std::fs::create_dir_all(&store).unwrap();
    std::fs::write(store.join("app.sym"), text).unwrap();
    let image = ImageBuilder::new(false).export("f", 0x1020).export("g", 0x1040).build();
    let memory = Arc::new(Memory::new(vec![(Va(0x40_0000), image)]));
    let manager = |age, symbol_path: String| {
        let config = SymbolConfig { symbol_path, ..SymbolConfig::default() };
        SymbolManager::new(vec![with_codeview(age)], memory.clone(), config)
    };
    let path = dir.path().display().to_string();

    let m = manager(7, format!("/nowhere;srv*{path}*https://example.invalid/"));
    assert_eq!(m.format(Va(0x40_1024), Machine::Amd64).as_deref(), Some("app!ns::f+0x4"));
    assert_eq!(m.line(Va(0x40_1024)).map(|l| l.line), Some(5));
    // Behind the function the export table still has a name.
    assert_eq!(m.format(Va(0x40_1044), Machine::Amd64).as_deref(), Some("app!g+0x4"));
    assert!(
        matches!(m.state(0), SymbolState::Loaded(SymbolSource::Breakpad, Some(f)) if f.ends_with("app.sym"))
    );
    assert_eq!(m.missing(0), None);
    let names: Vec<_> = m.by_name(None, "f").into_iter().map(|(_, s)| s.source).collect();
    assert_eq!(names, [SymbolSource::Exports]);
    assert!(m.search_log(0).iter().any(|l| l.contains("/nowhere") && l.ends_with("not there")));

    // Another build: not taken, and said so.
    let flat = tempfile::tempdir().unwrap();
    std::fs::copy(store.join("app.sym"), flat.path().join("app.sym")).unwrap();
    let m = manager(8, flat.path().display().to_string());
    assert_eq!(m.format(Va(0x40_1024), Machine::Amd64).as_deref(), Some("app!f+0x4"));
    let why = m.missing(0).unwrap();
    assert!(why.contains("another build") && why.contains("app.pdb"), "{why}");

    // A new path is looked at.
    m.set_config(SymbolConfig { symbol_path: String::new(), ..SymbolConfig::default() });
    assert!(m.missing(0).unwrap().contains("no symbol path"));
}

#[test]
fn the_32_bit_view_has_plain_names() {
    let named =
        |name: &str, base, machine| ModuleInfo { machine: Some(machine), ..module(name, base, 0x1000) };
    let m = SymbolManager::new(
        vec![
            named("ntdll", 0x7ffc_0000_0000, Machine::Amd64),
            named("ntdll_77600000", 0x7760_0000, Machine::X86),
            named("app", 0x40_0000, Machine::X86),
            named("app_500000", 0x50_0000, Machine::X86),
        ],
        Arc::new(Memory::new(Vec::new())),
        SymbolConfig::default(),
    );
    let names = |machine| (0..4).map(|i| m.name_in(i, machine)).collect::<Vec<_>>();
    assert_eq!(names(Machine::Amd64), ["ntdll", "ntdll_77600000", "app", "app_500000"]);
    assert_eq!(names(Machine::X86), ["ntdll_7ffc00000000", "ntdll", "app", "app_500000"]);
    assert_eq!(m.modules_named_in("ntdll", Machine::Amd64), [0]);
    assert_eq!(m.modules_named_in("NTDLL", Machine::X86), [1]);
    assert_eq!(m.modules_named_in("ntdll_77600000", Machine::X86), [1]);
    assert_eq!(m.modules_named_in("ntdll_7ffc00000000", Machine::X86), [0]);
    assert_eq!(m.format(Va(0x7760_0010), Machine::Amd64).as_deref(), Some("ntdll_77600000+0x10"));
    assert_eq!(m.format(Va(0x7760_0010), Machine::X86).as_deref(), Some("ntdll+0x10"));
    assert_eq!(m.modules_named_in("app_500000", Machine::Amd64), [3]);
}

#[test]
fn an_image_file_gives_names_and_memory() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/images");
    let headers = |file: &str| {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        ImageFile::from_bytes(bytes.into(), file).unwrap().headers().clone()
    };
    for file in ["dwarf-x64.dll", "dwarf-x86.dll"] {
        let h = headers(file);
        let info = ModuleInfo {
            name: "shop".into(),
            file_name: file.into(),
            path: format!("C:\\shop\\{file}"),
            timestamp: h.timestamp,
            ..module("shop", 0x1000_0000, h.size_of_image)
        };
        let config = SymbolConfig { image_path: folder.display().to_string(), ..SymbolConfig::default() };
        let none: Arc<dyn ReadMemory> = Arc::new(Memory::new(Vec::new()));
        let m = SymbolManager::new(vec![info.clone()], none.clone(), config.clone());
        assert_eq!(m.format(Va(0x1000_1013), Machine::Amd64).as_deref(), Some("shop!shop::Cart::total+0x13"));
        assert!(matches!(m.state(0), SymbolState::Loaded(SymbolSource::Dwarf, Some(f)) if f.ends_with(file)));
        assert_eq!(m.line(Va(0x1000_1013)).map(|l| l.line), Some(21));
        assert_eq!(m.inlines(Va(0x1000_1013)).len(), 2);
        // Data has no DWARF function around it: the COFF table names it.
        let counter = m.by_name(None, "counter");
        assert_eq!(counter.first().map(|(_, s)| s.source), Some(SymbolSource::Coff));
        // Sources that agree on an address give one answer.
        assert_eq!(m.by_name(None, "checkout").len(), 1);
        let parts = m.image(0).unwrap().parts(Va(0x1000_0000));
        assert!(parts.iter().any(|p| p.rva == Rva(0x1000)));

        // Another build of the image is refused.
        let other = ModuleInfo { timestamp: h.timestamp ^ 1, ..info };
        let m = SymbolManager::new(vec![other], none, config);
        assert_eq!(m.format(Va(0x1000_1013), Machine::Amd64).as_deref(), Some("shop+0x1013"));
        assert!(m.image(0).is_none());
        assert!(m.missing(0).unwrap().contains("is another build"), "{:?}", m.missing(0));
    }
}

#[test]
fn many_threads_load_a_module_once() {
    let m = manager();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| (m.providers(0), m.format(Va(0x7ff0_0000_1100), Machine::Amd64)));
        let threads: Vec<_> = (0..8).map(|_| ask()).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for (providers, name) in &answers {
        assert!(Arc::ptr_eq(providers, &answers[0].0));
        assert_eq!(name.as_deref(), Some("ntdll!RtlFreeHeap"));
    }
    fn shareable<T: Send + Sync>(_: &T) {}
    shareable(&m);
}
