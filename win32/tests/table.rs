//! What the embedded table says, against what Windows' headers say.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use dumpscope_win32::{Arch, Count, Definition, Table, Ty, TypeKind, Value, table};
use std::borrow::Cow;

fn offsets(name: &str, arch: Arch) -> (u64, Vec<(String, u64)>) {
    let id = table().for_arch(*table().types_named(name).first().expect(name), arch);
    let fields = table().layout(id, arch).unwrap();
    let size = table().size_of(&Ty::Named(id), arch).unwrap().bytes;
    (size, fields.into_iter().map(|(at, f)| (f.name, at)).collect())
}

#[test]
fn functions_have_their_parameters() {
    let all = table().functions("CreateFileW");
    let [f] = all.as_slice() else { panic!("{all:?}") };
    let names: Vec<&str> = f.signature.params.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(f.dll, "kernel32.dll");
    assert_eq!(
        names,
        [
            "lpFileName",
            "dwDesiredAccess",
            "dwShareMode",
            "lpSecurityAttributes",
            "dwCreationDisposition",
            "dwFlagsAndAttributes",
            "hTemplateFile"
        ]
    );
    let text = |n: usize| table().type_text(&f.signature.params[n].ty);
    assert_eq!((text(0).as_str(), text(3).as_str()), ("PCWSTR", "SECURITY_ATTRIBUTES *"));
    let read = table().functions("ReadFile");
    let buffer = &read[0].signature.params[1];
    assert!(buffer.is_out && buffer.count == Some(Count::BytesOf(2)), "{buffer:?}");
    assert!(table().functions("NoSuchFunction").is_empty());
    assert!(table().has_dll("kernel32.dll") && !table().has_dll("app.exe"));
}

#[test]
fn every_name_that_is_listed_is_found() {
    let mut names = Vec::new();
    table().each_function(&mut |name| {
        names.push(name.to_owned());
        true
    });
    assert!(names.len() > 15_000, "{}", names.len());
    assert!(names.is_sorted());
    for name in names.iter().step_by(5) {
        assert!(!table().functions(name).is_empty(), "{name}");
    }
    let (mut interfaces, mut all) = (0, Vec::new());
    table().each_type(&mut |id, info| {
        interfaces += usize::from(info.kind == TypeKind::Interface);
        all.push((id, info.name.clone()));
        true
    });
    assert!(interfaces > 7_000, "{interfaces}");
    for (id, name) in all.iter().step_by(31) {
        assert!(table().types_named(name).contains(id), "{name}");
        assert!(table().definition(*id).is_some(), "{name}");
    }
}

#[test]
fn structures_of_both_word_sizes() {
    let (narrow, wide) =
        (offsets("SECURITY_ATTRIBUTES", Arch::X86), offsets("SECURITY_ATTRIBUTES", Arch::X64));
    assert_eq!((narrow.0, wide.0), (12, 24));
    assert_eq!(wide.1[2], ("bInheritHandle".into(), 16));
    assert_eq!((offsets("CONTEXT", Arch::X86).0, offsets("CONTEXT", Arch::X64).0), (0x2cc, 0x4d0));
    assert_eq!(offsets("CONTEXT", Arch::Arm64).0, 0x390);
    assert_eq!((offsets("MSG", Arch::X86).0, offsets("MSG", Arch::X64).0), (0x1c, 0x30));
}

#[test]
fn interfaces_have_their_methods_in_order() {
    let id = table().types_named("IWbemServices")[0];
    let methods = table().methods(id);
    let at = |n: usize| (methods[n].0.as_str(), methods[n].1.name.as_str());
    assert_eq!((at(0), at(20)), (("IUnknown", "QueryInterface"), ("IWbemServices", "ExecQuery")));
    let Some(Definition::Interface { iid: Some(iid), .. }) = table().definition(id) else { panic!() };
    assert_eq!(table().type_with_guid(&iid), Some(id));
    assert_eq!(iid[..4], 0x9556_dc99u32.to_le_bytes());
}

#[test]
fn values_have_names() {
    let named = |of: &str, value| table().value_text(table().types_named(of)[0], value);
    assert_eq!(named("HRESULT", 0x8007_0005).as_deref(), Some("E_ACCESSDENIED"));
    assert_eq!(named("NTSTATUS", 0xc000_0005).as_deref(), Some("STATUS_ACCESS_VIOLATION"));
    assert_eq!(named("WIN32_ERROR", 5).as_deref(), Some("ERROR_ACCESS_DENIED"));
    assert_eq!(named("WM", 15).as_deref(), Some("WM_PAINT"));
    assert_eq!(named("GENERIC_ACCESS_RIGHTS", 0xc000_0000).as_deref(), Some("GENERIC_WRITE|GENERIC_READ"));
    assert_eq!(named("FILE_CREATION_DISPOSITION", 99), None);
    let max = table().constants("MAX_PATH");
    assert_eq!(max[0].value, Value::Int(260));
    assert_eq!(table().constants("WM_PAINT")[0].value, Value::Int(15));
}

#[test]
fn parameters_have_the_headers_names() {
    let (mut right, mut all) = (0, 0);
    for line in include_str!("parameters.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let wanted: Vec<&str> = words.collect();
        let found = table().functions(name);
        let names: Vec<&str> = found
            .first()
            .map(|f| f.signature.params.iter().map(|p| p.name.as_str()).collect())
            .unwrap_or_default();
        assert_eq!(names.len(), wanted.len(), "{name}");
        all += 1;
        right += usize::from(names == wanted);
        if names != wanted {
            println!("{name}: {names:?}, the header has {wanted:?}");
        }
    }
    println!("parameters in order with the header's names: {right} of {all} functions");
    assert!(all >= 127 && right * 100 >= all * 93);
}

#[test]
fn fields_without_a_name_are_in_place() {
    let flat = |name: &str, arch| -> Vec<(u64, String)> {
        let id = table().types_named(name)[0];
        table().flat_layout(id, arch).unwrap().into_iter().map(|(at, f)| (at, f.name)).collect()
    };
    let has = |all: &[(u64, String)], at, name: &str| all.contains(&(at, name.to_owned()));
    let execute = flat("SHELLEXECUTEINFOA", Arch::X64);
    assert!(has(&execute, 96, "hIcon") && has(&execute, 96, "hMonitor"), "{execute:?}");
    assert!(has(&flat("SHELLEXECUTEINFOA", Arch::X86), 52, "hMonitor"));
    let bind = flat("BIND_OPTS3", Arch::X64);
    assert!(has(&bind, 0, "cbStruct") && has(&bind, 40, "hwnd"), "{bind:?}");
}

/// Whatever the bytes: no panic, and no more than what they are good for.
#[test]
fn damaged_tables_are_read_as_far_as_they_go() {
    let whole = include_bytes!("../data/win32.bin");
    let ask = |table: &Table| {
        let _ = table.functions("CreateFileW");
        let _ = table.types_named("MSG").first().map(|id| table.layout(*id, Arch::X64));
        let _ = table.types_named("WM").first().map(|id| table.value_text(*id, 15));
        let _ = table.type_with_guid(&[0; 16]);
    };
    for cut in [0, 8, 100, 144, 1000, 200_000, whole.len() - 1] {
        Table::open(Cow::Owned(whole[..cut].to_vec())).iter().for_each(ask);
    }
    for n in 0..24usize {
        let mut bytes = whole.to_vec();
        for i in 0..16 {
            let at = (n * 7919 + i * 104_729) % bytes.len();
            bytes[at] ^= 1 << (n % 8);
        }
        // The head is damaged too.
        bytes[8 + n] ^= 0x11;
        Table::open(Cow::Owned(bytes)).iter().for_each(ask);
    }
}

/// The fields of a structure with those of its parts without a name.
fn flat(id: dumpscope_win32::TypeId, arch: Arch, at: u64, out: &mut Vec<(String, u64)>) {
    for (offset, f) in table().layout(id, arch).unwrap_or_default() {
        match (f.name.strip_prefix("Anonymous"), &f.ty) {
            (Some(rest), Ty::Named(inner)) if rest.chars().all(|c| c.is_ascii_digit()) => {
                flat(*inner, arch, at + offset, out);
            }
            _ => out.push((f.name, at + offset)),
        }
    }
}

#[test]
fn layouts_are_those_of_compiled_headers() {
    let (mut all, mut wrong) = (0, Vec::new());
    for line in include_str!("layouts.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, bits, size) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let arch = if bits == "32" { Arch::X86 } else { Arch::X64 };
        let ids: Vec<_> =
            table().types_named(name).into_iter().filter(|id| table().for_arch(*id, arch) == *id).collect();
        // Headers' other names of structures are looked for by `dt`.
        let Some(id) = ids.first() else { continue };
        let mut fields = Vec::new();
        flat(*id, arch, 0, &mut fields);
        let sized = table().size_of(&Ty::Named(*id), arch).map(|s| s.bytes.to_string());
        all += 1;
        if sized.as_deref() != Some(size) {
            wrong.push(format!("{name} {bits}: {sized:?} bytes, not {size}"));
        }
        for (field, offset) in words.filter_map(|w| w.split_once('=')) {
            all += 1;
            let ours = fields.iter().find(|(n, _)| n == field).map(|(_, at)| at.to_string());
            if ours.as_deref() != Some(offset) {
                wrong.push(format!("{name} {bits}: {field} at {ours:?}, not {offset}"));
            }
        }
    }
    println!("layouts: {} of {all} facts as in the headers; {wrong:?}", all - wrong.len());
    assert!(all > 2_000 && wrong.len() * 200 <= all, "{wrong:?}");
}

/// As an asker would: any name of the headers, both word sizes, what the table lacks is missed.
#[test]
fn structures_drawn_from_headers_have_their_offsets() {
    let (mut all, mut right, mut structures, mut missing) = (0, 0, 0, Vec::new());
    let mut wrong = Vec::new();
    for line in include_str!("header_layouts.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, bits, _size) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let arch = if bits == "32" { Arch::X86 } else { Arch::X64 };
        let ids = table().types_of_headers(name, arch);
        let id = ids.into_iter().find(|id| table().for_arch(*id, arch) == *id);
        let fields = id.and_then(|id| table().flat_layout(id, arch)).unwrap_or_default();
        structures += 1;
        if id.is_none() {
            missing.push(name);
        }
        for (field, offset) in words.filter_map(|w| w.split_once('=')) {
            all += 1;
            let ours = fields.iter().find(|(_, f)| f.name == field).map(|(at, _)| at.to_string());
            right += usize::from(ours.as_deref() == Some(offset));
            if id.is_some() && ours.as_deref() != Some(offset) {
                wrong.push(format!("{name} {bits}: {field} at {ours:?}, not {offset}"));
            }
        }
    }
    println!(
        "offsets of structures drawn from headers: {right} of {all}; missing {missing:?}; wrong {wrong:?}"
    );
    assert!(structures == 400 && right * 100 >= all * 80 && wrong.len() * 50 <= all, "{wrong:?}");
}

#[test]
fn methods_are_in_the_order_of_the_headers() {
    let (mut all, mut wrong) = (0, Vec::new());
    for line in include_str!("interfaces.txt").lines().filter(|l| !l.starts_with('#')) {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let truth: Vec<&str> = words.collect();
        let ids = table().types_named(name);
        let methods = ids.first().map(|id| table().methods(*id)).unwrap_or_default();
        let ours: Vec<&str> = methods.iter().map(|(_, m)| m.name.as_str()).collect();
        all += 1;
        if ours != truth {
            wrong.push(name);
        }
    }
    println!("interfaces: {} of {all} as in the headers; not {wrong:?}", all - wrong.len());
    assert!(all >= 60 && wrong.len() * 20 <= all, "{wrong:?}");
}
