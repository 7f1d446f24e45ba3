//! Damaged PDBs and MSFZ files: an answer or an error, never a panic, a hang or endless memory.

use dumpscope_core::Rva;
use dumpscope_symbols::SymbolProvider;
use dumpscope_symbols::provider::pdb::{self, PdbError};
use dumpscope_symbols::types::{cpp_name, dt_name, rows, size_of};
use dumpscope_tests::shared;
use std::io::Write;
use std::path::Path;

/// Asks a file everything; returns how many answers it gave.
fn ask_everything(path: &Path) -> usize {
    ask_at(path, (0x1000..0x3000).step_by(0x3d).collect())
}

/// Asks a file everything, at these addresses (RVAs) too.
pub(crate) fn ask_at(path: &Path, mut places: Vec<u32>) -> usize {
    let Ok(pdb) = pdb::open(path, None) else { return 0 };
    let mut answers = 0usize;
    pdb.each(&mut |s| {
        answers += 1;
        if answers.is_multiple_of(7) {
            places.push(s.rva.0.wrapping_add(3));
            answers += pdb.by_name(&s.name, true).len();
        }
        answers < 20_000
    });
    for rva in places.into_iter().map(Rva) {
        answers += usize::from(pdb.lookup(rva).is_some());
        answers += usize::from(pdb.next_after(rva).is_some());
        answers += usize::from(pdb.line(rva).is_some());
        answers += pdb.inlines(rva).len();
        answers += usize::from(pdb.frame_data(rva).is_some());
        let types = SymbolProvider::types(&*pdb);
        for v in pdb.variables(rva).unwrap_or_default() {
            answers += v.homes.len() + types.map_or(0, |t| cpp_name(t, v.ty).len());
        }
        answers += pdb.function_type(rva).zip(types).map_or(0, |(f, t)| cpp_name(t, f).len());
    }
    let Some(types) = SymbolProvider::types(&*pdb) else { return answers };
    let mut left = 2000;
    types.each_type(&mut |id, name| {
        answers += types.find_type(name, true).len() + types.enumerators(id).len();
        answers += usize::from(size_of(types, id).is_some());
        for r in rows(types, id) {
            answers += dt_name(types, r.ty).len();
        }
        left -= 1;
        left > 0
    });
    answers
}

/// Changes `count` bytes, with a generator that gives the same numbers everywhere.
pub(crate) fn damage(bytes: &mut [u8], seed: u64, count: usize) {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    for _ in 0..count {
        let at = usize::try_from(next() % bytes.len() as u64).unwrap();
        bytes[at] = match next() % 4 {
            0 => 0xff,
            1 => 0,
            2 => bytes[at] ^ 1 << (next() % 8),
            _ => u8::try_from(next() & 0xff).unwrap(),
        };
    }
}

/// Damages a file `rounds` times. Every other time the damage stays in the streams that all questions go through.
fn flip(file: &str, rounds: u64) {
    let Some(dir) = shared() else {
        eprintln!("skipped: no shared/ folder for {file}");
        return;
    };
    let whole = std::fs::read(dir.join(file)).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("x.pdb");
    let mut answered = 0;
    for seed in 0..rounds {
        let mut bytes = whole.clone();
        match seed % 3 {
            0 => damage(&mut bytes, seed, 1 + usize::try_from(seed % 40).unwrap()),
            1 => damage(&mut bytes, seed, 400),
            _ => {
                // A cut file, and damage in the first pages behind the header.
                damage(&mut bytes[..0x3000], seed, 3);
                let keep = bytes.len() - usize::try_from(seed * 97 % (bytes.len() as u64 / 2)).unwrap();
                bytes.truncate(keep);
            }
        }
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
        answered += usize::from(ask_everything(&path) > 0);
    }
    assert!(
        answered as u64 > rounds / 10,
        "only {answered} of {rounds} files opened: the damage is too coarse"
    );
}

#[test]
fn damaged_files_clang_x86() {
    flip("lab/symbols/x86/combase.pdb", 240);
}

#[test]
fn damaged_files_msvc_x64() {
    flip("corpus/lldb/sigsegv.pdb", 600);
}

#[test]
fn damaged_files_msvc_x86_optimized() {
    flip("corpus/symbolic/crash.pdb", 60);
}

/// The MSFZ form of a PDB's streams.
fn compress(plain: &Path, out: &Path, method: ms_pdb_msfz::Compression) {
    let source = ms_pdb_msf::Msf::open(plain).unwrap();
    let mut writer = ms_pdb_msfz::MsfzWriter::create(out).unwrap();
    writer.set_chunk_compression_mode(method);
    writer.reserve_num_streams(usize::try_from(source.num_streams()).unwrap());
    for i in 1..source.num_streams() {
        if source.is_stream_valid(i) {
            let data = source.read_stream_to_vec(i).unwrap();
            writer.stream_writer(i).unwrap().write_all(&data).unwrap();
        }
    }
    writer.finish().unwrap();
}

#[test]
fn msfz_files_become_plain_ones_with_the_same_answers() {
    let Some(dir) = shared() else {
        eprintln!("skipped: no shared/ folder");
        return;
    };
    let plain = dir.join("corpus/symbolic/crash.pdb");
    let temp = tempfile::tempdir().unwrap();
    let (packed, again) = (temp.path().join("packed.pdb"), temp.path().join("again.pdb"));
    for method in [ms_pdb_msfz::Compression::Zstd, ms_pdb_msfz::Compression::Deflate] {
        compress(&plain, &packed, method);
        assert!(std::fs::metadata(&packed).unwrap().len() < std::fs::metadata(&plain).unwrap().len() / 2);
        assert!(matches!(pdb::open(&packed, None), Err(PdbError::Msfz)));
        pdb::convert_msfz(&packed, &again, 1 << 30).unwrap();
        assert_eq!(pdb::open(&again, None).unwrap().guid(), pdb::open(&plain, None).unwrap().guid());
        assert_eq!(ask_everything(&again), ask_everything(&plain));
    }
    assert!(matches!(pdb::convert_msfz(&plain, &again, 1 << 30), Err(PdbError::NotPdb)));
    let small = pdb::convert_msfz(&packed, &again, 1000);
    assert!(matches!(&small, Err(PdbError::Damaged(why)) if why.contains("more than 1000")), "{small:?}");
}

#[test]
fn damaged_msfz_files() {
    let Some(dir) = shared() else {
        eprintln!("skipped: no shared/ folder");
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let (packed, bad, out) = (temp.path().join("p"), temp.path().join("b"), temp.path().join("o"));
    compress(&dir.join("corpus/lldb/sigsegv.pdb"), &packed, ms_pdb_msfz::Compression::Zstd);
    let whole = std::fs::read(&packed).unwrap();
    let mut refused = 0;
    for seed in 0..300 {
        let mut bytes = whole.clone();
        let len = bytes.len();
        match seed % 3 {
            // Its header, its directory and table at the end, anything.
            0 => damage(&mut bytes[32..80], seed, 2),
            1 => damage(&mut bytes[len - 400..], seed, 3),
            _ => damage(&mut bytes, seed, 20),
        }
        std::fs::write(&bad, &bytes).unwrap();
        match pdb::convert_msfz(&bad, &out, 1 << 26) {
            Ok(()) => {
                ask_everything(&out);
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}
