//! Symbol paths, PDBs, Breakpad files, packed files, decorated names: what comes from a server or a user's disk.

use dumpscope_core::base::{CodeView, Guid};
use dumpscope_core::{ModuleInfo, Rva, Va};
use dumpscope_symbols::SymbolProvider;
use dumpscope_symbols::demangle::{Decoration, full_name, plain_name, stack_name, without_parameters};
use dumpscope_symbols::locate::{
    FileKey, FileKind, SafeName, SymbolPath, folder_layouts, keys, redacted, store_layouts,
};
use dumpscope_symbols::provider::{Breakpad, pdb};
use dumpscope_symbols::store::{Auth, Client, NoTransport, Policy, SystemClock, Unwatched, Wanted};
use dumpscope_symbols::types::{cpp_name, dt_name, rows, size_of};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder of this process, in memory where the system has one.
fn folder(name: &str) -> PathBuf {
    let shm = Path::new("/dev/shm");
    let root = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
    let dir = root.join(format!("dumpscope-fuzz-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder for files");
    dir
}

/// Panics of these crates are caught where they are called; those that are not caught still end the run.
const CONTAINED: [&str; 5] = ["/pdb2-", "/cab-", "/lzxd-", "/ms-pdb-msf-", "/ms-pdb-msfz-"];

/// Keeps what watches for panics from ending the run at a contained one.
fn let_contained_panics_unwind() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let file = info.location().map_or("", |l| l.file()).replace('\\', "/");
            if !CONTAINED.iter().any(|c| file.contains(c)) {
                before(info);
            }
        }));
    });
}

/// A symbol path and the names of a module that is looked for along it: one line each.
pub fn symbol_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let path = SymbolPath::parse(lines.next().unwrap_or(""));
    let (image, debug) = (lines.next().unwrap_or("a.dll"), lines.next().unwrap_or("a.pdb"));
    assert!(path.urls().all(|u| u.secret().scheme().starts_with("http")));
    let _ = (redacted(&text), path.candidates(None), path.candidates(Some(Path::new("/fuzz-root"))));
    let module = ModuleInfo {
        name: image.into(),
        file_name: image.into(),
        path: image.into(),
        base: Va(0x1000),
        size: 0x1000,
        timestamp: 7,
        checksum: 0,
        codeview: Some(CodeView::Pdb70 { guid: Guid::default(), age: 1, path: debug.into() }),
        version: None,
        machine: None,
    };
    // Under a root of our own nothing leaves it.
    for key in keys(&module).0 {
        for layout in folder_layouts(&key, image).into_iter().chain(store_layouts(&key)) {
            for part in &layout {
                let mut parts = Path::new(part).components();
                let plain = matches!(parts.next(), Some(std::path::Component::Normal(_)));
                assert!(plain && parts.next().is_none(), "{layout:?}");
            }
        }
        let _ = key.to_string();
    }
}

/// Asks a source everything, at addresses that it names itself.
fn ask(provider: &dyn SymbolProvider) {
    let mut places = vec![Rva(0), Rva(1), Rva(0x1000), Rva(0x1010), Rva(u32::MAX)];
    let mut seen = 0;
    provider.each(&mut |s| {
        seen += 1;
        if seen % 5 == 1 {
            places.push(Rva(s.rva.0.wrapping_add(3)));
            let _ = provider.by_name(&s.name, seen % 2 == 0);
        }
        seen < 500
    });
    let types = provider.types();
    for rva in places.into_iter().take(60) {
        let _ = (provider.lookup(rva), provider.next_after(rva), provider.line(rva), provider.inlines(rva));
        let _ = (provider.frame_data(rva), provider.param_bytes(rva), provider.data_type(rva));
        let Some(types) = types else { continue };
        for v in provider.variables(rva).unwrap_or_default() {
            let _ = cpp_name(types, v.ty);
        }
        let _ = provider.function_type(rva).map(|f| cpp_name(types, f));
    }
    let Some(types) = types else { return };
    let mut left = 200;
    types.each_type(&mut |id, name| {
        let _ = (types.find_type(name, true), types.enumerators(id), size_of(types, id));
        for r in rows(types, id).into_iter().take(50) {
            let _ = dt_name(types, r.ty);
        }
        left -= 1;
        left > 0
    });
}

/// The bytes as a PDB.
pub fn pdb_file(data: &[u8]) {
    let_contained_panics_unwind();
    let path = folder("pdb").join("x.pdb");
    if std::fs::write(&path, data).is_ok()
        && let Ok(found) = pdb::open(&path, None)
    {
        ask(&*found);
    }
}

/// The bytes as a Breakpad file. The id is what its header says, so that the rest is read.
pub fn breakpad_file(data: &[u8]) {
    let head = String::from_utf8_lossy(&data[..data.len().min(256)]).into_owned();
    let id = head.split_ascii_whitespace().nth(3).unwrap_or("0");
    if let Ok(found) = Breakpad::from_bytes(data.to_vec().into(), id, "") {
        ask(&found);
    }
}

/// The bytes as what a server sent: CAB, MSFZ, or a plain file.
pub fn packed_file(data: &[u8]) {
    let_contained_panics_unwind();
    let root = folder("packed");
    let name = SafeName::new("x.pdb").expect("a safe name");
    let key = FileKey { kind: FileKind::Pdb, folder: name.clone(), file: name, id: "1".into() };
    let store = root.join("store");
    let home = store.join("x.pdb").join("1");
    std::fs::create_dir_all(&home).expect("a folder");
    std::fs::write(home.join("x.pd_"), data).expect("a file");
    let policy = Policy { max_unpacked: 1 << 22, ..Policy::default() };
    let client = Client::new(
        Arc::new(NoTransport),
        Arc::new(SystemClock),
        policy,
        Auth::default(),
        Arc::new(Unwatched),
    );
    let open = |file: &Path, _: &Path, _: &FileKey| {
        let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
        assert!(size <= 1 << 22, "{size} bytes are more than the limit");
        pdb::open(file, None).map(|p| ask(&*p)).map_err(|e| e.to_string())
    };
    let (keys, cache) = ([key], root.join("cache"));
    let wanted = Wanted {
        keys: &keys,
        image: "x.dll",
        open: &open,
        cache: Some(&cache),
        fresh: false,
        stop: &|| false,
    };
    let path = SymbolPath::parse(&format!("srv*{}", store.display()));
    let _ = client.find(&path.candidates(Some(&cache)), &wanted);
    let _ = std::fs::remove_dir_all(&root);
}

/// The bytes as a name.
pub fn demangle(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rules = [Decoration::X86Linker, Decoration::X86Export, Decoration::X86Dwarf, Decoration::CxxOnly];
    for rules in rules {
        // Bounded: a name of a line does not become a book.
        for name in [stack_name(&text, rules), full_name(&text, rules)] {
            assert!(name.len() <= text.len().max(64 * 1024), "{} bytes", name.len());
        }
    }
    let _ = (plain_name(&text), without_parameters(&text));
}

pub(crate) fn path_seeds() -> Vec<Vec<u8>> {
    [
        "srv*/a*/b*https://x/y;/c;cache*/d;\\\\server\\share\nC:\\x\\app.exe\n..\\..\\app.pdb",
        "symsrv*symsrv.dll*/a*https://x\n/usr/lib/libx.so\ncon.pdb",
        "cache*;srv*;srv**http://x;\"/a b\"\nA.DLL\nA.PDB",
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}

/// Small PDBs of the repository.
pub(crate) fn pdb_seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pdb");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "pdb"))
        .collect();
    files.sort();
    let mut out: Vec<Vec<u8>> = files.iter().filter_map(|p| std::fs::read(p).ok()).collect();
    out.retain(|bytes| bytes.len() < 1 << 20);
    let mut empty = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0".to_vec();
    for word in [0x1000u32, 1, 4, 8, 0, 3] {
        empty.extend(word.to_le_bytes());
    }
    empty.resize(0x4000, 0);
    out.push(empty);
    out
}

pub(crate) fn breakpad_seeds() -> Vec<Vec<u8>> {
    let (_, symbols) = dumpscope_fixtures::small::x64();
    let mut out: Vec<Vec<u8>> = symbols.into_iter().map(|s| s.text.into_bytes()).collect();
    let id = "0".repeat(33);
    out.push(
        format!(
            "MODULE windows x86 {id} a.pdb\nINFO CODE_ID 5000 a.dll\nFILE 0 a.c\nINLINE_ORIGIN 0 f<int>::g\n\
             FUNC m 1000 20 8 main\nINLINE 0 5 0 0 1004 4 1010 2\nINLINE 1 6 0 0 1005 1\n1000 10 7 0\n1010 10 8 0\n\
             PUBLIC 1030 4 q\nSTACK WIN 4 1000 20 4 0 8 4 10 0 1 $T0 .raSearch = $eip $T0 ^ =\n\
             STACK CFI INIT 1000 20 .cfa: $rsp 8 + .ra: .cfa 8 - ^\nSTACK CFI 1004 .cfa: $rsp 16 +\n"
        )
        .into_bytes(),
    );
    out
}

pub(crate) fn packed_seeds() -> Vec<Vec<u8>> {
    use std::io::Write;
    let plain = pdb_seeds();
    let mut out = Vec::new();
    for bytes in plain.iter().take(3) {
        for method in [cab::CompressionType::MsZip, cab::CompressionType::None] {
            let mut builder = cab::CabinetBuilder::new();
            builder.add_folder(method).add_file("x.pdb");
            let mut cabinet = builder.build(std::io::Cursor::new(Vec::new())).expect("a cabinet");
            while let Some(mut file) = cabinet.next_file().expect("a file") {
                file.write_all(bytes).expect("written");
            }
            out.push(cabinet.finish().expect("finished").into_inner());
        }
        let dir = folder("seeds");
        let (from, to) = (dir.join("a.pdb"), dir.join("b.pdb"));
        std::fs::write(&from, bytes).expect("written");
        out.extend(msfz(&from, &to));
        let _ = std::fs::remove_dir_all(&dir);
    }
    out
}

/// The MSFZ form of a PDB's streams.
fn msfz(from: &Path, to: &Path) -> Option<Vec<u8>> {
    use std::io::Write;
    let source = ms_pdb_msf::Msf::open(from).ok()?;
    let mut writer = ms_pdb_msfz::MsfzWriter::create(to).ok()?;
    writer.reserve_num_streams(usize::try_from(source.num_streams()).ok()?);
    for i in 1..source.num_streams() {
        if source.is_stream_valid(i) {
            let data = source.read_stream_to_vec(i).ok()?;
            writer.stream_writer(i).ok()?.write_all(&data).ok()?;
        }
    }
    writer.finish().ok()?;
    std::fs::read(to).ok()
}

pub(crate) fn name_seeds() -> Vec<Vec<u8>> {
    [
        "?f@?$T@V?$U@H@@$0A@@ns@@QAEAAV?$T@PAUS@@@@PBDZZ",
        "??_R0?AVexception@std@@@8",
        "??$make@V?$vector@HV?$allocator@H@std@@@std@@@@YA?AV?$vector@HV?$allocator@H@std@@@std@@XZ",
        "_ZN3foo3barI1AILi5EEEEvT_RKSs",
        "_ZNSt6vectorIiSaIiEE9push_backERKi",
        "_RNvCs1234_7mycrate3foo",
        "@name@8",
        "_name@8",
        "??_C@_0M@HEGHJCAD@hello?5world?$AA@",
        "?x@?1??f@@YAXXZ@4HA",
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}
