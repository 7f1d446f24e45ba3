//! The committed PDBs of the article's modules: they are those of the dumps, and say what they should.

use crate::article_pdb_replay::folder;
use dumpscope_core::Rva;
use dumpscope_core::base::Guid;
use dumpscope_fixtures::article;
use dumpscope_fixtures::dump::{Cpu, Cv};
use dumpscope_fixtures::image::Image;
use dumpscope_fixtures::pdb::{Contribution, Object, Pdb, Public};
use dumpscope_symbols::provider::pdb::{self, PdbProvider};
use dumpscope_symbols::types::{RowKind, TypeProvider, rows, size_of};
use dumpscope_symbols::{SymbolKind, SymbolProvider, SymbolSource};
use std::sync::Arc;

fn open(name: &str) -> Arc<PdbProvider> {
    pdb::open(&folder().join(name), None).unwrap()
}

fn at(pdb: &PdbProvider, rva: u32) -> (String, u32) {
    let s = pdb.lookup(Rva(rva)).unwrap();
    (s.name, rva.wrapping_sub(s.rva.0))
}

#[test]
fn they_are_the_dumps_modules_by_guid_and_age() {
    let mut used = Vec::new();
    for (dump, _) in [article::ruby_x86(), article::ruby_wow64(), article::wmiprvse_x86()] {
        for m in &dump.modules {
            let Cv::Rsds(guid, age, name) = &m.cv else { continue };
            let path = folder().join(name);
            // The 64-bit modules of the WOW64 dump have none, and share a name with 32-bit ones.
            if !path.exists() || m.base > 0xffff_ffff {
                continue;
            }
            pdb::open(&path, Some((&Guid::from_bytes(guid), *age))).unwrap();
            used.push(name.clone());
        }
    }
    used.sort();
    used.dedup();
    let count = std::fs::read_dir(folder())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "pdb"))
        .count();
    assert_eq!(used.len(), count, "{used:?}");
}

/// Microsoft's own reader of containers takes them.
#[test]
fn another_reader_takes_the_container() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|x| x != "pdb") {
            continue;
        }
        let msf = ms_pdb_msf::Msf::open(&path).unwrap();
        assert!(msf.num_streams() >= 12, "{}", path.display());
        for i in 1..msf.num_streams() {
            assert!(msf.is_stream_valid(i), "{}: stream {i}", path.display());
            msf.read_stream_to_vec(i).unwrap();
        }
    }
}

#[test]
fn public_files_know_names_only() {
    let pdb = open("KERNELBASE.pdb");
    assert_eq!(pdb.source(), SymbolSource::PublicPdb);
    assert_eq!(at(&pdb, 0x2112f), ("WaitForMultipleObjectsEx".into(), 0xcc));
    for name in ["WaitForMultipleObjectsEx", "_WaitForMultipleObjectsEx@20"] {
        assert_eq!(pdb.by_name(name, false).first().map(|s| s.rva.0), Some(0x21063), "{name}");
    }
    assert_eq!(pdb.line(Rva(0x2112f)), None);
    assert_eq!(pdb.variables(Rva(0x2112f)), None);
    assert_eq!(pdb.function_type(Rva(0x2112f)), None);
    let pdb = open("fastprox.pdb");
    assert_eq!(at(&pdb, 0x5a5c6), ("CEnumProxyBuffer::XEnumFacelet::Next".into(), 0xd6));
}

#[test]
fn every_symbol_is_found_by_address_and_name() {
    for name in ["combase.pdb", "ntdll.pdb", "rpcrt4.pdb", "WmiPrvSE.pdb"] {
        let pdb = open(name);
        let mut count = 0;
        pdb.each(&mut |s| {
            count += 1;
            assert_eq!(pdb.lookup(s.rva).map(|f| f.rva), Some(s.rva), "{name}: {}", s.name);
            assert!(pdb.by_name(&s.name, false).iter().any(|n| n.rva == s.rva), "{name}: {}", s.name);
            true
        });
        assert!(count >= 5, "{name}: {count}");
    }
}

#[test]
fn rearranged_images() {
    let pdb = open("ntdll.pdb");
    assert!(pdb.is_rearranged());
    // The piece lies inside the image's range of RtlEnterCriticalSection, which goes on behind it.
    assert_eq!(at(&pdb, 0x1ddf5), ("RtlEnterCriticalSection".into(), 2));
    assert_eq!(at(&pdb, 0x1de0b), ("RtlpEnterCriticalSectionContended".into(), 0xa0));
    assert_eq!(at(&pdb, 0x1de35), ("RtlEnterCriticalSection".into(), 0x42));
    assert_eq!(at(&pdb, 0x1df87), ("RtlpWaitOnCriticalSection".into(), 0xd0));
    let pdb = open("rpcrt4.pdb");
    assert_eq!(at(&pdb, 0x35101), ("LrpcIoComplete".into(), 0x8d));
    assert_eq!(at(&pdb, 0x3538f), ("LRPC_ADDRESS::ProcessIO".into(), 0x481));
}

#[test]
fn private_file_has_lines_and_nested_inlined_calls() {
    let pdb = open("combase.pdb");
    assert_eq!((pdb.source(), pdb.age(), pdb.is_rearranged()), (SymbolSource::PrivatePdb, 1, false));
    // One byte before the return address, where a stack looks.
    let rva = Rva(0x13b50b);
    let line = pdb.line(rva).unwrap();
    assert_eq!((line.file.as_str(), line.line), (r"d:\9147\com\combase\dcomrem\channelb.cxx", 5776));
    let sites: Vec<_> = pdb
        .inlines(rva)
        .into_iter()
        .map(|s| {
            (s.name, s.start.0, s.line.map(|l| (l.file.rsplit('\\').next().unwrap().to_owned(), l.line)))
        })
        .collect();
    assert_eq!(
        sites,
        [
            ("ModalLoop".into(), 0x13b4ba, Some(("chancont.cxx".into(), 129))),
            ("ClassicSTAThreadWaitForCall".into(), 0x13b4ba, Some(("threadtypespecific.cpp".into(), 172))),
        ]
    );
    assert!(pdb.inlines(Rva(0x13b4b9)).is_empty());
    let names: Vec<_> = pdb.inlines(Rva(0x3fe0c)).into_iter().map(|s| s.name).collect();
    assert_eq!(
        names,
        ["ClientCallRetryContext::SendReceiveWithRetry", "CAptRpcChnl::SendReceiveInRetryContext"]
    );
    // The first range of this one lies behind the address; between the two ranges it is not there.
    let site = |rva| pdb.inlines(Rva(rva)).first().map(|s| (s.name.clone(), s.start.0));
    assert_eq!(site(0x1395ff), Some(("DefaultInvokeInApartment".into(), 0x139618)));
    assert_eq!(site(0x13961a), Some(("DefaultInvokeInApartment".into(), 0x139618)));
    assert_eq!(site(0x13960c), None);
}

#[test]
fn a_piece_of_a_function_belongs_to_it() {
    let pdb = open("combase.pdb");
    assert_eq!(at(&pdb, 0x13964f), ("ThreadInvoke".into(), 0x694));
    assert_eq!(pdb.line(Rva(0x13964e)).map(|l| l.line), Some(5488));
    assert_eq!(at(&pdb, 0x138fc0), ("ThreadInvoke".into(), 5));
    assert_eq!(pdb.by_name("ThreadInvoke", false).first().map(|s| s.rva.0), Some(0x138fbb));
    // Behind the piece no function is named.
    assert_eq!(pdb.lookup(Rva(0x139660)).map(|s| s.kind), Some(SymbolKind::Placeholder));
}

#[test]
fn two_classes_of_one_name() {
    let pdb = open("combase.pdb");
    let types: &dyn TypeProvider = &*pdb;
    let mut sizes: Vec<_> =
        types.find_type("CMessageCall", false).into_iter().map(|id| (size_of(types, id), id)).collect();
    sizes.sort();
    assert_eq!(sizes.iter().map(|s| s.0).collect::<Vec<_>>(), [Some(4), Some(0x100)]);
    let all = rows(types, sizes[1].1);
    let place = |name: &str| all.iter().find(|r| r.name == name).map(|r| (r.kind, r.owner.clone()));
    assert_eq!(place("Kind"), Some((RowKind::Static, "CMessageCall".into())));
    assert_eq!(place("s_uCurrentCallTraceId"), Some((RowKind::Static, "CTracedCall".into())));
    assert_eq!(place("_bSuppressClientStopTracing"), Some((RowKind::Field(0xd9), "CMessageCall".into())));
    let tables: Vec<_> = all.iter().filter(|r| r.name == "__VFN_table").map(|r| r.kind).collect();
    assert_eq!(tables, [0, 4, 8].map(RowKind::FunctionTable));
}

/// Enough names that buckets of the hash table hold several, and enough bytes that the container has a second pair
/// of free-block maps.
#[test]
fn many_public_names() {
    const COUNT: u32 = 9000;
    let mut image = Image::new(Cpu::X86, 0x1000_0000, r"C:\many.dll");
    image.text_size = 0x10_0000;
    let mut pdb = Pdb { machine: 0x14c, sections: image.section_headers(), stripped: true, ..Pdb::default() };
    pdb.objects.push(Object { name: "many.obj".into(), procedures: Vec::new() });
    pdb.contributions.push(Contribution { place: (1, 0), len: 0x10_0000, object: 0, code: true });
    // In an order that is not that of the addresses.
    let rva = |i: u32| 0x1000 + 0x10 * (i * 7 % COUNT);
    for i in 0..COUNT {
        let name = format!("_function_number_{i}@4");
        pdb.publics.push(Public { place: pdb.place(rva(i)), code: true, name });
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("many.pdb");
    std::fs::write(&path, pdb.bytes()).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 514 * 512);
    ms_pdb_msf::Msf::open(&path).unwrap();
    let pdb = pdb::open(&path, None).unwrap();
    for i in (0..COUNT).step_by(13) {
        let plain = format!("function_number_{i}");
        assert_eq!(at(&pdb, rva(i) + 5), (plain.clone(), 5));
        for name in [format!("_{plain}@4"), plain] {
            assert_eq!(
                pdb.by_name(&name, false).iter().map(|s| s.rva.0).collect::<Vec<_>>(),
                [rva(i)],
                "{name}"
            );
        }
    }
    assert!(pdb.by_name("function_number_9000", false).is_empty());
}
