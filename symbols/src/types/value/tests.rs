use super::*;
use crate::types::{Enumerator, Member, TypeSource, UdtKind};

use dumpscope_core::base::{Provenance, Read};

/// Memory at one address.
struct Mem(Va, Vec<u8>);

impl ReadMemory for Mem {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let from = va.distance_from(self.0).and_then(|d| usize::try_from(d).ok());
        let known = from.and_then(|f| self.1.get(f..)).unwrap_or_default();
        let got = known.len().min(buf.len());
        buf[..got].copy_from_slice(&known[..got]);
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        (va.0 < self.0.0 + self.1.len() as u64).then_some(va.max(self.0))
    }
}

/// A handful of types from 0x1000 on.
#[derive(Debug)]
struct Types(Vec<Type>);

impl TypeProvider for Types {
    fn type_source(&self) -> TypeSource {
        TypeSource::BuiltIn("test")
    }
    fn pointer_bytes(&self) -> u8 {
        4
    }
    fn find_type(&self, _: &str, _: bool) -> Vec<TypeId> {
        Vec::new()
    }
    fn each_type(&self, _: &mut dyn FnMut(TypeId, &str) -> bool) {}
    fn get_type(&self, id: TypeId) -> Type {
        match id.0.checked_sub(0x1000) {
            Some(i) => self.0.get(i as usize).cloned().unwrap_or(Type::Unknown),
            None => crate::types::decode_base(id, 4),
        }
    }
    fn members(&self, _: TypeId) -> Vec<Member> {
        Vec::new()
    }
    fn enumerators(&self, _: TypeId) -> Vec<Enumerator> {
        vec![
            Enumerator { name: "CALLCAT_SYNCHRONOUS".into(), value: 1 },
            Enumerator { name: "NEG".into(), value: -2 },
        ]
    }
}

fn udt(name: &str, size: u64) -> Type {
    Type::Udt { kind: UdtKind::Struct, name: name.into(), size: Some(size) }
}

fn ptr(to: u32) -> Type {
    Type::Pointer { to: TypeId(to), size: 4, kind: PointerKind::Pointer }
}

const BASE: u64 = 0x40_0000;

/// `dt` and inline texts of the type `t` (0x1000; `more` follows) over bytes at 0x400000.
fn texts(t: Type, more: Vec<Type>, bytes: &[u8]) -> (String, Option<String>) {
    let types = Types([vec![t], more].concat());
    let mem = Mem(Va(BASE), bytes.to_vec());
    let symbol = |va: Va| Some(format!("combase!Foo+{:x}", va.0 - 0x7703_0000));
    let cx = ValueCx { types: &types, mem: &mem, machine: Machine::X86, symbol: &symbol };
    let data = Data::Memory(Va(BASE));
    (dt_value(&cx, TypeId(0x1000), data), inline_value(&cx, TypeId(0x1000), data))
}

fn base(number: u32, bytes: &[u8]) -> (String, String) {
    let (dt, inline) = texts(Type::Modified(TypeId(number)), vec![], bytes);
    (dt, inline.unwrap())
}

fn pair(dt: &str, inline: &str) -> (String, String) {
    (dt.to_owned(), inline.to_owned())
}

#[test]
fn numbers() {
    assert_eq!(base(0x12, &[0; 4]), pair("0n0", "0n0"));
    assert_eq!(base(0x12, &[0xff; 4]), pair("0n-1", "0n-1"));
    assert_eq!(base(0x22, &[0; 4]), pair("0", "0"));
    assert_eq!(base(0x22, &[3, 0, 0, 0]), pair("3", "3"));
    assert_eq!(base(0x22, &[2, 2, 0, 0]), pair("0x202", "0x202"));
    assert_eq!(base(0x23, &[0, 0, 0x62, 0xf, 0xf6, 0x7f, 0, 0]).0, "0x00007ff6`0f620000");
    assert_eq!(base(0x70, b"b"), pair("98 'b'", "0n98 'b'"));
    assert_eq!(base(0x20, &[0]), pair("0 ''", "0x0 ''"));
    assert_eq!(base(0x20, &[1]), pair("0x1 ''", "0x1 ''"));
    assert_eq!(base(0x30, &[1]), pair("1", "true"));
    assert_eq!(base(0x40, &2.72f32.to_le_bytes()), pair("2.720000029 ", "2.720000029"));
    assert_eq!(
        base(0x41, &1e-9f64.to_le_bytes()),
        pair("1.0000000000000000623e-009 ", "1.0000000000000000623e-009")
    );
    assert_eq!(texts(Type::Modified(TypeId(0x22)), vec![], &[1, 2]), ("??".into(), None));
}

#[test]
fn enumerations_and_bits() {
    let e = || Type::Enum { name: "tagCALLCAT".into(), underlying: TypeId(0x12) };
    let (dt, inline) = texts(e(), vec![], &[1, 0, 0, 0]);
    assert_eq!(
        (dt.as_str(), inline.as_deref()),
        ("1 ( CALLCAT_SYNCHRONOUS )", Some("CALLCAT_SYNCHRONOUS (0n1)"))
    );
    let (dt, inline) = texts(e(), vec![], &[0x4d, 0x5a, 0x90, 0]);
    assert_eq!(dt, "0x905a4d (No matching name)");
    assert_eq!(inline.as_deref(), Some("0n9460301 (No matching enumerant)"));
    assert_eq!(texts(e(), vec![], &[0xfe, 0xff, 0xff, 0xff]).0, "fffffffe ( NEG )");
    let bits = |pos, len, word: u32| {
        texts(Type::BitField { of: TypeId(0x22), pos, len }, vec![], &word.to_le_bytes()).0
    };
    assert_eq!(bits(7, 1, 0x80), "0y1");
    assert_eq!(bits(0, 3, 0b1101), "0y101");
    assert_eq!(bits(3, 5, 0x20), "0y00100 (0x4)");
    assert_eq!(bits(31, 4, u32::MAX), "0y0001", "bits behind the word are not there");
}

#[test]
fn pointers() {
    let at = |to: u32, more: Vec<Type>, value: u32| {
        let mut bytes = value.to_le_bytes().to_vec();
        bytes.extend(b"text\0w\0i\0d\0e\0\0\0");
        let (dt, inline) = texts(ptr(to), more, &bytes);
        (dt, inline.unwrap())
    };
    assert_eq!(at(3, vec![], 0), pair("(null) ", "0x00000000"));
    assert_eq!(at(3, vec![], 0x260), pair("0x00000260 Void", "0x00000260"));
    assert_eq!(
        at(0x1001, vec![udt("WireLocalThis", 8)], 0x5b_fdd8),
        pair("0x005bfdd8 WireLocalThis", "0x005bfdd8")
    );
    assert_eq!(at(0x70, vec![], 0x40_0004), pair("0x00400004  \"text\"", "0x00400004 \"text\""));
    assert_eq!(at(0x71, vec![], 0x40_0009), pair("0x00400009  \"wide\"", "0x00400009 \"wide\""));
    assert_eq!(at(0x71, vec![], 0).1, "0x00000000 \"\"");
    assert!(at(0x70, vec![], 0x50_0000).0.contains("memory read error at address 0x00500000"));
    assert_eq!(at(0x22, vec![], 0x40_0000).0, "0x00400000  -> 0x400000");
    assert_eq!(at(0x22, vec![], 0x60_0000).0, "0x00600000  -> ??");
    let f = Type::Function { ret: TypeId(3), params: vec![], this: None, call: 0 };
    assert_eq!(at(0x1001, vec![f], 0x7703_0005).0, "0x77030005     void  combase!Foo+5");
    // A pointer to itself ends.
    assert!(at(0x1000, vec![], 0x40_0000).0.len() < 4096);
}

#[test]
fn aggregates_with_a_text() {
    let guid = *b"\x1e\xc0\x3e\x42\x35\x2e\xd2\x11\xb6\x04\x00\x10\x4b\x70\x3e\xfd";
    let (dt, inline) = texts(udt("_GUID", 16), vec![], &guid);
    assert_eq!(dt, "_GUID {423ec01e-2e35-11d2-b604-00104b703efd}");
    assert_eq!(inline.as_deref(), Some("{423ec01e-2e35-11d2-b604-00104b703efd}"));
    let mut p = 0x40_0004u32.to_le_bytes().to_vec();
    p.extend(guid);
    let (_, inline) = texts(ptr(0x1001), vec![udt("_GUID", 16)], &p);
    assert_eq!(inline.as_deref(), Some("0x00400004 {423ec01e-2e35-11d2-b604-00104b703efd}"));
    let string = *b"\x06\0\x08\0\x08\0\x40\0a\0p\0p\0";
    assert_eq!(texts(udt("_UNICODE_STRING", 8), vec![], &string).0, "_UNICODE_STRING \"app\"");
    let away = *b"\x06\0\x08\0\x08\0\x80\0a\0p\0p\0";
    assert!(texts(udt("_UNICODE_STRING", 8), vec![], &away).0.contains("memory read error"));
    // Another structure of the same name is not taken for it.
    assert_eq!(texts(udt("_UNICODE_STRING", 12), vec![], &string).0, "_UNICODE_STRING");
    let list = *b"\x10\0\0\0\x20\0\0\0";
    assert_eq!(texts(udt("_LIST_ENTRY", 8), vec![], &list).0, "_LIST_ENTRY [ 0x10 - 0x20 ]");
    assert_eq!(texts(udt("CDestObject", 12), vec![], &list).0, "CDestObject");
}

#[test]
fn arrays() {
    let array = |of, count, size| Type::Array { element: TypeId(of), count, size };
    let text = |t: Type, bytes: &[u8]| texts(t, vec![], bytes);
    let (dt, inline) = text(array(0x70, 8, 8), b"smss.ex\0");
    assert_eq!((dt.as_str(), inline.as_deref()), ("[8]  \"smss.ex\"", Some("char [8] \"smss.ex\"")));
    assert_eq!(text(array(0x71, 3, 6), b"a\0\0\0c\0").0, "[3]  \"a\"");
    assert_eq!(text(array(0x22, 6, 24), &[1; 24]).0, "[6] 0x1010101");
    assert!(text(array(0x70, u64::MAX, u64::MAX), b"x").0.contains("memory read error"));
    assert!(text(array(0x1000, 4, 16), &[1; 24]).0.len() < 4096, "an array of itself ends");
}
