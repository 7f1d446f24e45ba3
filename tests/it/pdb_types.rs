//! Types, parameters and variables from real PDBs.

use crate::pdb_names::open;
use dumpscope_core::Rva;
use dumpscope_symbols::SymbolProvider;
use dumpscope_symbols::provider::pdb::PdbProvider;
use dumpscope_symbols::provider::variable::Place;
use dumpscope_symbols::types::{
    RowKind, Type, TypeId, TypeProvider, cpp_name, dt_name, parameter_list, rows, size_of,
};

fn find(types: &dyn TypeProvider, name: &str) -> TypeId {
    *types.find_type(name, false).first().unwrap_or_else(|| panic!("no type {name}"))
}

#[test]
fn class_with_base_bit_fields_and_forward_references() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    let types: &dyn TypeProvider = &*pdb;
    let id = find(types, "CMessageCall");
    assert_eq!(size_of(types, id), Some(0xdc));
    let all = rows(types, id);
    let row = |name: &str| {
        let r = all.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no {name}"));
        (r.kind, dt_name(types, r.ty))
    };
    // The base class's table comes first and counts as a row of its own.
    assert_eq!(
        all.first().map(|r| (r.name.as_str(), r.owner.as_str())),
        Some(("__VFN_table", "IMessageParam"))
    );
    assert_eq!(row("_pNextMessage"), (RowKind::Field(0xc), "Ptr32 CMessageCall".into()));
    assert_eq!(row("_ipid"), (RowKind::Field(0x24), "_GUID".into()));
    assert_eq!(row("_hResult"), (RowKind::Field(0x18), "Int4B".into()));
    assert_eq!(row("_dwServerPid"), (RowKind::Field(0xb0), "Uint4B".into()));
    assert_eq!(row("_bClientIsAppContainer"), (RowKind::Field(0xd4), "Pos 1, 1 Bit".into()));
    // The member's type is a declaration; its definition has the size.
    let ipid = all.iter().find(|r| r.name == "_ipid").unwrap();
    assert_eq!(size_of(types, ipid.ty), Some(16));
    assert_eq!(find(types, "_GUID"), TypeId(0x1021));
    assert_eq!(types.find_type("_guid", false), []);
    assert_eq!(types.find_type("_guid", true), [TypeId(0x1021)]);
}

#[test]
fn typedefs_and_enumerations() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    let types: &dyn TypeProvider = &*pdb;
    assert_eq!(dt_name(types, find(types, "HRESULT")), "Int4B");
    assert_eq!(dt_name(types, find(types, "WORD")), "Uint2B");
    let e = find(types, "CALLCATEGORY");
    let values: Vec<_> = types.enumerators(e).into_iter().map(|e| (e.name, e.value)).collect();
    assert_eq!(values.first(), Some(&("CALLCAT_NOCALL".to_owned(), 0)));
    assert_eq!(values.last(), Some(&("CALLCAT_INPUTSYNC".to_owned(), 3)));
    let Some(pdb) = open("corpus/symbolic/crash.pdb") else { return };
    let e = find(&*pdb, "_MINIDUMP_TYPE");
    assert!(pdb.enumerators(e).iter().any(|e| e.name == "MiniDumpWithHandleData" && e.value == 4));
}

/// Members lie inside their class, whatever the compiler.
#[test]
fn every_class_is_consistent() {
    for file in [
        "lab/symbols/x64/WmiPrvSE.pdb",
        "corpus/symbolic/crash.pdb",
        "corpus/bugsplat-net/myConsoleCrasher.pdb",
    ] {
        let Some(pdb) = open(file) else { return };
        let types: &dyn TypeProvider = &*pdb;
        let (mut classes, mut members) = (0, 0);
        types.each_type(&mut |id, name| {
            let Type::Udt { size: Some(size), .. } = types.get_type(id) else { return true };
            classes += 1;
            for r in rows(types, id) {
                let RowKind::Field(at) = r.kind else { continue };
                members += 1;
                let len = size_of(types, r.ty).unwrap_or(0);
                assert!(at + len <= size.max(1), "{file}: {name}.{} {at:#x}+{len:#x} of {size:#x}", r.name);
            }
            true
        });
        assert!(classes > 50 && members > 400, "{file}: {classes} classes, {members} members");
    }
}

/// `type name [place]` of the variables in scope.
fn list(pdb: &PdbProvider, rva: u32) -> Vec<String> {
    let types = SymbolProvider::types(pdb).unwrap();
    pdb.variables(Rva(rva))
        .unwrap()
        .iter()
        .map(|v| {
            let place = match v.homes.first().map(|h| h.place) {
                Some(Place::Register(r)) => r.name.to_owned(),
                Some(Place::Relative(r, o)) => format!("{}{o:+}", r.0),
                Some(Place::Frame(o)) => format!("frame{o:+}"),
                Some(Place::Static(rva)) => format!("{:x}", rva.0),
                Some(_) => "?".to_owned(),
                None => "none".to_owned(),
            };
            let kind = if v.is_param { "param" } else { "local" };
            let site = v.site.map_or(String::new(), |s| format!(" in {s}"));
            format!("{kind} {} {} [{place}]{site}", cpp_name(types, v.ty), v.name)
        })
        .collect()
}

#[test]
fn parameters_locals_and_those_of_inlined_calls() {
    let Some(pdb) = open("lab/symbols/x86/combase.pdb") else { return };
    assert_eq!(
        list(&pdb, 0x14f0),
        [
            "param class CMessageCall * pCall [5+8]",
            "param struct _GUID * rmoid [5+12]",
            "local long r [none]",
            "param class CMessageCall * pCall [esi] in 1",
            "param class CMessageCall * pCall [esi] in 0",
            "local unsigned long sig [5-16] in 0",
            "local void *[1] ev [5-12] in 0",
        ]
    );
    // Behind ModalLoop only the outer inlined call is left, and it now has index 0.
    assert_eq!(list(&pdb, 0x14fa).len(), 4);
    assert!(list(&pdb, 0x14fa).contains(&"param class CMessageCall * pCall [esi] in 0".to_owned()));
    // Before the prologue the parameters are nowhere.
    assert!(list(&pdb, 0x14d1).iter().all(|v| v.contains("[none]")));
    assert!(list(&pdb, 0x1520).contains(&"local struct _GUID moid [1e008]".to_owned()), "a static variable");
    assert_eq!(pdb.variables(Rva(0x178f0)), None, "an object file without debug information");
    let types: &dyn TypeProvider = &*pdb;
    let f = pdb.function_type(Rva(0x14f0)).unwrap();
    assert_eq!(parameter_list(types, f).as_deref(), Some("(class CMessageCall *, struct _GUID *)"));
}

#[test]
fn unoptimized_x64_parameters_lie_behind_the_frame() {
    let Some(pdb) = open("corpus/lldb/sigsegv.pdb") else { return };
    assert_eq!(list(&pdb, 0x10c0), ["param bool crash_self [4+48]"]);
    let foo = list(&pdb, 0x1120);
    assert!(foo.contains(&"param int x [4+64]".to_owned()), "{foo:?}");
    assert!(foo.contains(&"param float y [4+72]".to_owned()), "{foo:?}");
}

#[test]
fn optimized_x86_follows_a_variable_through_its_places() {
    let Some(pdb) = open("corpus/symbolic/crash.pdb") else { return };
    let at = |rva: u32, name: &str| {
        let all = list(&pdb, rva);
        all.iter().find(|v| v.contains(&format!(" {name} ["))).unwrap_or_else(|| panic!("{all:?}")).clone()
    };
    let this = "param class google_breakpad::ExceptionHandler * this";
    assert_eq!(at(0x2210, "this"), format!("{this} [ecx]"));
    assert_eq!(at(0x2300, "this"), format!("{this} [esi]"));
    assert_eq!(at(0x2300, "exinfo"), "param struct _EXCEPTION_POINTERS * exinfo [frame-116]");
    // Never used: the old form of its record claims a place that is none.
    assert_eq!(at(0x2300, "write_requester_stream"), "param bool write_requester_stream [none]");
}
