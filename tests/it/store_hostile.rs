//! Names and ids out of a dump, as hostile as they come: nothing is written, and nothing asked, outside of the cache.

use dumpscope_core::base::{CodeView, Guid, Provenance, Read};
use dumpscope_core::{ModuleInfo, ReadMemory, Va};
use dumpscope_symbols::store::{
    Auth, Client, Head, Policy, Receiver, Request, SystemClock, Transport, TransportError, Unwatched, Watch,
};
use dumpscope_symbols::{SymbolConfig, SymbolManager};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Has everything, whatever it is called. What it sends is no symbol file.
#[derive(Debug, Default)]
struct Willing(Mutex<Vec<String>>);

impl Transport for Willing {
    fn get(&self, r: &Request, _: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        self.0.lock().unwrap().push(r.url.secret().to_string());
        if to.head(&Head { status: 200, ..Head::default() }).is_continue() {
            let _ = to.data(b"MODULE windows x86_64 0 x\nnot what was asked for");
        }
        Ok(())
    }
}

struct NoMemory;

impl ReadMemory for NoMemory {
    fn read_at(&self, _: Va, _: &mut [u8]) -> Read {
        Read { got: 0, provenance: Provenance::Dump }
    }

    fn next_readable(&self, _: Va) -> Option<Va> {
        None
    }
}

/// Names that want to be somewhere else.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "..\\..\\escaped",
        "../../escaped",
        "C:\\escaped",
        "C:escaped",
        "\\\\server\\share\\escaped",
        "/escaped",
        "con",
        "CON.pdb",
        "nul.",
        "com1",
        "..",
        ".",
        "",
        "a\0b",
        "a\nb",
        "\u{202e}bdp.exe",
        "escaped:stream",
        "escaped.pdb ",
        "%2e%2e%2fescaped",
        "..%5c..%5cescaped.pdb",
        "?escaped#escaped",
        "*",
        ".dumpscope",
        "index2.txt",
        "\u{fffd}",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(64 * 1024));
    names.push("../".repeat(20_000) + "escaped");
    names.push(format!("{}\\escaped", "日".repeat(300)));
    names
}

fn module(name: &str, codeview: bool) -> ModuleInfo {
    ModuleInfo {
        name: name.into(),
        file_name: name.into(),
        path: name.into(),
        base: Va(0x1000_0000),
        size: 0x1000,
        timestamp: 0x1234_5678,
        checksum: 0,
        codeview: codeview.then(|| CodeView::Pdb70 {
            guid: Guid::from_bytes(&[7; 16]),
            age: u32::MAX,
            path: name.into(),
        }),
        version: None,
        machine: None,
    }
}

fn tree(root: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        out.push(entry.path());
        if entry.path().is_dir() {
            tree(&entry.path(), out);
        }
    }
}

#[test]
fn hostile_names_never_leave_the_cache() {
    for name in names() {
        for codeview in [true, false] {
            // Deep in a folder of our own: what climbs out is still found.
            let outside = tempfile::tempdir().unwrap();
            let cache = outside.path().join("a/b/c/d/cache");
            std::fs::create_dir_all(&cache).unwrap();
            let server = Arc::new(Willing::default());
            let policy = Policy { tries: 1, ..Policy::default() };
            let client = Client::new(
                server.clone(),
                Arc::new(SystemClock),
                policy,
                Auth::default(),
                Arc::new(Unwatched),
            );
            let path = format!("srv*{}*https://sym.example/root/", cache.display());
            let config = SymbolConfig {
                symbol_path: path.clone(),
                image_path: path,
                cache: Some(cache.clone()),
                store: Some(Arc::new(client)),
                ..SymbolConfig::default()
            };
            let manager = SymbolManager::new(vec![module(&name, codeview)], Arc::new(NoMemory), config);
            let shown: String = name.chars().take(40).collect();
            assert!(manager.providers(0).is_empty(), "{shown:?}");
            let _ = manager.image(0);
            // What is said of it is one harmless line.
            let why = manager.missing(0).unwrap();
            assert!(why.len() < 4096 && !why.chars().any(char::is_control), "{shown:?}: {why:?}");
            assert!(!why.contains('\u{202e}'), "{why:?}");
            for line in manager.search_log(0) {
                assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
            let mut found = Vec::new();
            tree(outside.path(), &mut found);
            let inside = |p: &PathBuf| p.starts_with(&cache) || cache.starts_with(p);
            let strays: Vec<_> = found.iter().filter(|p| !inside(p)).collect();
            assert!(strays.is_empty(), "{shown:?} left {strays:?}");
            // What was sent is no symbol file: none may lie in the store, under whatever name.
            let kept = |p: &&PathBuf| p.is_file() && !p.starts_with(cache.join(".dumpscope"));
            let kept: Vec<_> = found.iter().filter(kept).collect();
            assert!(kept.is_empty(), "{shown:?} left {kept:?}");
            for url in server.0.lock().unwrap().iter() {
                assert!(url.starts_with("https://sym.example/root/"), "{url}");
                assert!(!url.contains("/../") && !url.contains('?') && !url.contains('#'), "{url}");
            }
        }
    }
}
