//! Dumps made smaller: the writer keeps what streams say, and the small dump gives the same answers.

use dumpscope_core::Va;
use dumpscope_core::model::Dump;
use dumpscope_core::write::{MemoryEdit, Plan, write};
use dumpscope_engine::shrink::{Level, ShrinkOptions, Shrunk, shrink};
use dumpscope_fixtures::small;
use std::path::Path;

/// Streams that the writer makes itself.
const OWN: [u32; 4] = [5, 9, 10, 11];

fn rewritten(dump: &Dump, plan: &Plan) -> Dump {
    let mut bytes = Vec::new();
    let written = write(dump, plan, &mut bytes, &mut |_, _| true).unwrap();
    assert_eq!(written.size, bytes.len() as u64);
    Dump::from_bytes(bytes).unwrap()
}

/// All that is said by streams, and the contexts.
fn said(dump: &Dump) -> Vec<String> {
    let mut out: Vec<String> = dump
        .directory()
        .iter()
        .filter(|e| e.stream_type != 0 && !OWN.contains(&e.stream_type))
        .map(|e| format!("{:x}: {:?}", e.stream_type, dump.summarize(*e).map(|s| s.text)))
        .collect();
    out.extend(dump.module_list().value().into_iter().flatten().map(|m| format!("{m:?}")));
    out.extend(dump.unloaded().value().into_iter().flatten().map(|m| format!("{m:?}")));
    out.extend(dump.handles().value().into_iter().flat_map(|h| &h.handles).map(|h| format!("{h:?}")));
    out.extend(
        dump.threads().iter().map(|t| format!("{:?} {:?} {:?}", t.tid, t.name, dump.context(t.index))),
    );
    out.extend(dump.exception().value().map(|e| format!("{:?} {:?}", e.record, dump.exception_context())));
    out.push(format!("{:?} {:?} {:?}", dump.crashpad().value(), dump.system().value(), dump.misc().value()));
    out
}

#[test]
fn streams_are_kept_whatever_moves() {
    let Some(shared) = crate::core_common::shared_or_skip("shrink") else { return };
    let mut files = Vec::new();
    let mut folders = vec![shared.join("corpus")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "dmp" || e == "mdmp") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut seen = 0;
    for path in files {
        let Ok(dump) = Dump::open(&path) else { continue };
        // What is damaged need not stay damaged in the same way.
        if dump.file_size() > 4 << 20
            || dump.missing_bytes() > 0
            || dump.directory().iter().any(|e| dump.summarize(*e).is_some_and(|s| !s.warnings.is_empty()))
        {
            continue;
        }
        let all = dump.memory().ranges().map(|r| (r.start, r.size)).collect();
        let comment = Some("dumpscope shrink: test".to_owned());
        let new = rewritten(&dump, &Plan { memory: all, comment, ..Plan::default() });
        assert_eq!(said(&new), said(&dump), "{}", path.display());
        assert_eq!(new.memory().captured(), dump.memory().captured(), "{}", path.display());
        for r in dump.memory().ranges() {
            let mut at = r.start;
            while at < r.start.offset(r.size) {
                let (a, b) = (dump.memory().rest_of_range(at), new.memory().rest_of_range(at));
                let n = a.len().min(b.len());
                assert!(n > 0 && a[..n] == b[..n], "{} {at:?}", path.display());
                at = at.offset(n as u64);
            }
        }
        agrees(&new);
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn edits_and_parts_of_memory() {
    let (dump, _) = small::x64();
    let dump = Dump::from_bytes(dump.bytes()).unwrap();
    let range = dump.memory().ranges().find(|r| r.size >= 0x100).unwrap();
    let at = range.start.offset(0x10);
    let edit = MemoryEdit { at: at.offset(4), len: 8, bytes: b"abc".to_vec() };
    let plan = Plan { memory: vec![(at, 0x20), (Va(8), 8)], memory_edits: vec![edit], ..Plan::default() };
    let new = rewritten(&dump, &plan);
    let (old, now) = (dump.memory().slice(at, 0x20).unwrap(), new.memory().slice(at, 0x20).unwrap());
    assert_eq!((&now[..4], &now[4..12], &now[12..]), (&old[..4], b"abc\0\0\0\0\0".as_slice(), &old[12..]));
    assert_eq!(said(&new), said(&dump));
}

/// Another reader finds the same.
fn agrees(dump: &Dump) {
    let other = minidump::Minidump::read(dump.file_bytes()).unwrap();
    let threads = other.get_stream::<minidump::MinidumpThreadList<'_>>().map(|l| l.threads.len());
    assert_eq!(threads.unwrap_or(0), dump.thread_list().value().map_or(0, Vec::len));
    let modules = other.get_stream::<minidump::MinidumpModuleList>().map(|l| l.iter().count());
    assert!(modules.unwrap_or(0) <= dump.module_list().value().map_or(0, Vec::len));
    let wide = other.get_stream::<minidump::MinidumpMemory64List<'_>>().map(|l| l.iter().count());
    assert_eq!(wide.unwrap_or(0), dump.memory64_list().value().map_or(0, Vec::len));
}

fn shrunk(path: &Path, level: Level) -> Shrunk {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("small.dmp");
    let options = ShrinkOptions { level, ..ShrinkOptions::default() };
    let done = shrink(path, &out, &options, &|_| {}).unwrap();
    agrees(&Dump::open(&out).unwrap());
    assert_eq!(out.metadata().unwrap().len(), done.written.size);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file stays");
    done
}

#[test]
fn fixtures_answer_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (n, (dump, _)) in [small::x86(), small::x64(), small::x64_crash()].into_iter().enumerate() {
        let path = folder.path().join(format!("{n}.dmp"));
        std::fs::write(&path, dump.bytes()).unwrap();
        for level in Level::ALL {
            assert_eq!(shrunk(&path, level).differences, [""; 0], "{n} {level:?}");
        }
    }
}

#[test]
fn lab_dumps_become_small_and_answer_the_same() {
    let Some(shared) = crate::core_common::shared_or_skip("shrink") else { return };
    for name in ["lab/ruby-x86.dmp.zst", "lab/wmiprvse-x64.dmp.zst"] {
        let done = shrunk(&shared.join(name), Level::Triage);
        assert_eq!(done.differences, [""; 0], "{name}");
        assert!(done.written.size <= 1 << 20, "{name}: {}", done.written.size);
    }
}

#[test]
fn dumps_are_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.dmp"), folder.path().join("b.dmp"));
    let bytes = small::x64().0.bytes();
    std::fs::write(&a, &bytes).unwrap();
    std::fs::write(&b, &bytes).unwrap();
    let mut options = ShrinkOptions::default();
    assert!(shrink(&a, &b, &options, &|_| {}).is_err());
    options.force = true;
    assert!(shrink(&a, &a, &options, &|_| {}).is_err(), "never the input");
    options.max_size = Some(10);
    assert!(shrink(&a, &b, &options, &|_| {}).is_err());
    assert!(std::fs::read(&a).unwrap() == bytes && std::fs::read(&b).unwrap() == bytes);
    options.max_size = None;
    assert!(shrink(&a, &b, &options, &|_| {}).is_ok());
    assert!(std::fs::read(&b).unwrap() != bytes);
}

#[cfg(unix)]
#[test]
fn devices_are_not_replaced_and_the_mask_decides() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (old, new, plain) =
        (folder.path().join("a.dmp"), folder.path().join("b.dmp"), folder.path().join("plain"));
    std::fs::write(&old, small::x64().0.bytes()).unwrap();
    std::fs::write(&plain, b"x").unwrap();
    let options = ShrinkOptions { force: true, ..ShrinkOptions::default() };
    for no_file in [Path::new("/dev/null"), folder.path()] {
        let error = shrink(&old, no_file, &options, &|_| {}).unwrap_err();
        assert!(error.to_string().contains("no file"), "{error}");
    }
    shrink(&old, &new, &options, &|_| {}).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&new), mode(&plain));
    // What is replaced keeps its mode, and a link stays one.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&new, &link).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o640)).unwrap();
    shrink(&old, &link, &options, &|_| {}).unwrap();
    assert!(link.is_symlink());
    assert_eq!(mode(&new) & 0o777, 0o640);
}

#[test]
fn environment_is_kept_as_far_as_it_reaches() {
    // Two variables and much behind them in the same page.
    let mut bytes = "A=1\0B=2\0\0".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let used = bytes.len() as u64;
    bytes.resize(0x1000, b'x');
    let mut d = dumpscope_fixtures::dump::Dump::new(dumpscope_fixtures::dump::Cpu::X64, 19045);
    let (block, environment) = (0x1_0000, 0x2_0000);
    d.space.commit(block, 0x1000);
    d.space.commit(environment, 0x1000);
    d.space.write(environment, &bytes);
    d.space.put32(block + 8, 1);
    d.space.put64(block + 0x80, environment);
    let dump = Dump::from_bytes(d.bytes()).unwrap();
    dump.memory().record(1);
    let machine = dumpscope_core::Machine::Amd64;
    let read = dumpscope_core::model::ProcessParameters::read(&**dump.memory(), Va(block), machine).unwrap();
    assert_eq!(read.environment, ["A=1", "B=2"]);
    let recorded: Vec<_> = dump.memory().recorded().into_iter().filter(|r| r.0 >= Va(environment)).collect();
    assert_eq!(recorded, [(Va(environment), used)]);
}

#[test]
fn what_does_not_fit_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("a.dmp"), folder.path().join("b.dmp"));
    std::fs::write(&old, small::x64().0.bytes()).unwrap();
    let shrink = |max_size| {
        let level = Level::Debugging;
        let options = ShrinkOptions { level, max_size, force: true, ..ShrinkOptions::default() };
        shrink(&old, &new, &options, &|_| {})
    };
    let whole = shrink(None).unwrap();
    assert_eq!((whole.left_out.len(), whole.differences.len()), (0, 0));
    let mut size = whole.written.size;
    let mut kinds = Vec::new();
    // Less and less, until nothing else can be left out.
    while let Ok(done) = shrink(Some(size - 1)) {
        assert!(done.written.size < size && !done.left_out.is_empty());
        assert!(Dump::open(&new).is_ok());
        size = done.written.size;
        kinds.push(done.left_out.len());
    }
    assert!(kinds.is_sorted() && kinds.last() > kinds.first(), "{kinds:?}");
    assert!(Dump::open(&new).unwrap().file_size() == size, "what was there stays");
}
