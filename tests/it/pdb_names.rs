//! Names, lines and inlined calls from real PDBs.

use dumpscope_core::base::{CodeView, Guid};
use dumpscope_core::{Machine, Rva};
use dumpscope_symbols::provider::pdb::{self, PdbError, PdbProvider};
use dumpscope_symbols::{SymbolKind, SymbolProvider, SymbolSource};
use dumpscope_tests::shared;
use std::sync::Arc;

/// Opens a PDB below `shared/`; `None` (with a note) when the folder is absent.
pub(crate) fn open(path: &str) -> Option<Arc<PdbProvider>> {
    let Some(dir) = shared() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "shared/ is required");
        eprintln!("skipped: no shared/ folder for {path}");
        return None;
    };
    Some(pdb::open(&dir.join(path), None).unwrap())
}

fn at(pdb: &PdbProvider, rva: u32) -> Option<(String, u32)> {
    pdb.lookup(Rva(rva)).map(|s| (s.name, rva.wrapping_sub(s.rva.0)))
}

#[test]
fn lab_combase_names_lines_and_nested_inlined_calls() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    assert_eq!(pdb.source(), SymbolSource::PrivatePdb);
    assert_eq!((pdb.machine(), pdb.age()), (Machine::X86, 1));
    assert_eq!(at(&pdb, 0x14f0), Some(("ThreadSendReceive".into(), 0x20)));
    let line = pdb.line(Rva(0x14f0)).unwrap();
    assert_eq!((line.file.as_str(), line.line), ("C:\\lab\\combase.cpp", 22));
    let sites: Vec<_> =
        pdb.inlines(Rva(0x14f0)).into_iter().map(|s| (s.name, s.start.0, s.line.map(|l| l.line))).collect();
    let expected = [("ModalLoop", 0x14de, 20), ("ClassicSTAThreadWaitForCall", 0x14de, 21)];
    assert_eq!(sites, expected.map(|(n, s, l)| (n.to_owned(), s, Some(l))));
    // 0x1509 is behind ModalLoop's last byte (14d0 + 29), still inside the outer inlined call.
    let outer: Vec<_> = pdb.inlines(Rva(0x14fa)).into_iter().map(|s| s.name).collect();
    assert_eq!(outer, ["ClassicSTAThreadWaitForCall"]);
    assert!(pdb.inlines(Rva(0x14d4)).is_empty());
}

#[test]
fn names_are_found_by_any_spelling() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    let rvas = |n: &str, any_case| pdb.by_name(n, any_case).iter().map(|s| s.rva.0).collect::<Vec<_>>();
    assert_eq!(rvas("ThreadSendReceive", false), [0x14d0]);
    assert_eq!(rvas("threadsendreceive", false), [0u32; 0]);
    assert_eq!(rvas("threadsendreceive", true), [0x14d0]);
    assert_eq!(rvas("CCliModalLoop::BlockFn", false), [0x14b0]);
    // A function of an object file without debug information: only its linker name is known.
    assert_eq!(rvas("__cxa_throw", false), [0x178f0]);
    assert_eq!(rvas("___cxa_throw", false), [0x178f0]);
    assert_eq!(rvas("nothing of this name", true), [0u32; 0]);
}

#[test]
fn every_symbol_is_found_again_at_its_address() {
    let files = [
        "lab/symbols/x86/ruby.pdb",
        "lab/symbols/x64/WmiPrvSE.pdb",
        "corpus/lldb/sigsegv.pdb",
        "corpus/symbolic/crash.pdb",
        "corpus/bugsplat-net/myConsoleCrasher.pdb",
    ];
    for file in files {
        let Some(pdb) = open(file) else { return };
        let (mut count, mut last) = (0, 0);
        pdb.each(&mut |s| {
            assert!(s.rva.0 >= last, "{file}: {} is out of order", s.name);
            last = s.rva.0;
            count += 1;
            let found = pdb.lookup(s.rva).unwrap_or_else(|| panic!("{file}: {} at {:?}", s.name, s.rva));
            // A label of assembler code inside a function with a size belongs to that function.
            let label = s.source == SymbolSource::PublicPdb && found.source == SymbolSource::PrivatePdb;
            assert!(found.rva == s.rva || label, "{file}: {} is found as {}", s.name, found.name);
            assert_ne!(found.kind, SymbolKind::Placeholder, "{file}: {}", s.name);
            if s.kind == SymbolKind::Function && s.source == SymbolSource::PrivatePdb {
                let named = pdb.by_name(&s.name, false);
                assert!(
                    named.iter().any(|n| n.rva == s.rva) || s.name.starts_with("ILT+"),
                    "{file}: {} not found by name",
                    s.name
                );
            }
            true
        });
        assert!(count > 10, "{file}: {count} symbols");
    }
}

#[test]
fn code_that_no_symbol_names_is_a_hole() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    // ThreadSendReceive ends at 150d, the next function starts at 1510.
    let hole = pdb.lookup(Rva(0x150e)).unwrap();
    assert_eq!((hole.kind, hole.rva, hole.size), (SymbolKind::Placeholder, Rva(0x150d), Some(3)));
    assert_eq!(pdb.lookup(Rva(0x7fff_0000)), None);
}

#[test]
fn incremental_linking_names_its_jumps() {
    let Some(pdb) = open("corpus/lldb/sigsegv.pdb") else { return };
    assert_eq!(at(&pdb, 0x100b), Some(("ILT+5(?crash@@YAX_N@Z)".into(), 1)));
    assert_eq!(at(&pdb, 0x10c0), Some(("crash".into(), 0x10)));
    assert_eq!(pdb.machine(), Machine::Amd64);
}

#[test]
fn another_build_is_refused() {
    let Some(dir) = shared() else { return };
    let path = dir.join("corpus/lldb/sigsegv.pdb");
    let guid = pdb::open(&path, None).unwrap().guid();
    assert!(pdb::open(&path, Some((&guid, 1))).is_ok());
    assert!(matches!(pdb::open(&path, Some((&guid, 2))), Err(PdbError::Mismatch { .. })));
    assert!(matches!(pdb::open(&path, Some((&Guid::default(), 1))), Err(PdbError::Mismatch { .. })));
    // Old linkers name the file by its time instead of a GUID.
    let signature = pdb::open(&path, None).unwrap().signature();
    let nb10 = |signature, age| {
        let record = CodeView::Pdb20 { signature, age, path: "sigsegv.pdb".into() };
        pdb::open_for(&path, &path, &record)
    };
    assert!(nb10(signature, 1).is_ok());
    assert!(matches!(nb10(signature, 2), Err(PdbError::OtherTime { .. })));
    assert!(matches!(nb10(signature.wrapping_add(1), 1), Err(PdbError::OtherTime { .. })));
    let old = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(old.path(), b"Microsoft C/C++ program database 2.00\r\n\x1aJG\0\0").unwrap();
    assert!(matches!(pdb::open(old.path(), None), Err(PdbError::OldFormat)));
    assert!(matches!(pdb::open(&dir.join("lab/README.md"), None), Err(PdbError::NotPdb)));
    assert!(matches!(pdb::open(&dir.join("lab"), None), Err(PdbError::NotPdb)));
    assert!(matches!(pdb::open(&dir.join("absent.pdb"), None), Err(PdbError::Io(_))));
}
