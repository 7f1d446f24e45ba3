use super::value::Scalar;
use super::*;
use crate::expr::{ErrorKind, RegisterMiss, TypeSet};
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::types::{TypeId, builtin};

/// 64-bit; `_LIST_ENTRY head` at 0x1000, `char text[]` behind a pointer at 0x2000, `int i` in a register.
#[derive(Debug)]
struct Fake;

impl ReadMemory for Fake {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut bytes = [0u8; 0x20];
        bytes[..8].copy_from_slice(&0x1000u64.to_le_bytes());
        bytes[8..16].copy_from_slice(&0x2000u64.to_le_bytes());
        bytes[16..19].copy_from_slice(b"hi\0");
        bytes[24..28].copy_from_slice(&(-2i32).to_le_bytes());
        let from = va.0.checked_sub(0x1000).and_then(|o| bytes.get(o as usize..)).unwrap_or_default();
        let got = from.len().min(buf.len());
        buf[..got].copy_from_slice(&from[..got]);
        Read { got, provenance: Provenance::Dump }
    }
    fn next_readable(&self, va: Va) -> Option<Va> {
        Some(va).filter(|v| v.0 < 0x1020)
    }
}

fn ty(name: &str, stars: u8) -> Ty {
    let set = TypeSet::built_in(Machine::Amd64, None);
    let id = match name {
        "int" => TypeId(0x74),
        "char" => TypeId(0x70),
        _ => *builtin(Machine::Amd64).find_type(name, false).first().unwrap(),
    };
    Ty { set, id, stars, alias: None }
}

impl CppEnv for Fake {
    fn machine(&self) -> Machine {
        Machine::Amd64
    }
    fn memory(&self) -> &dyn ReadMemory {
        self
    }
    fn find_type(&self, name: &str) -> Option<(TypeSet, TypeId)> {
        let plain = name.strip_prefix("nt!").unwrap_or(name);
        let id = *builtin(Machine::Amd64).find_type(plain, false).first()?;
        Some((TypeSet::built_in(Machine::Amd64, None), id))
    }
    fn variable(&self, name: &str) -> Option<Result<Value, String>> {
        let (ty, place) = match name {
            "head" | "app!head" => (ty("_LIST_ENTRY", 0), Stored::Memory(Va(0x1000))),
            "text" => (ty("char", 1), Stored::Bytes(0x1010u64.to_le_bytes().to_vec())),
            "i" => (ty("int", 0), Stored::Bytes((-3i32).to_le_bytes().to_vec())),
            "n" => (ty("int", 0), Stored::Memory(Va(0x1018))),
            "gone" => return Some(Err("optimized away".into())),
            "far" => (ty("int", 0), Stored::Memory(Va(0x9000))),
            _ => return None,
        };
        Some(Ok(Value { ty, place }))
    }
    fn static_member(&self, _: &TypeSet, _: &str, _: &str) -> Option<Va> {
        None
    }
    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss> {
        match name {
            "rax" => Ok((0xffff_ffff_ffff_fff0, 64)),
            "eax" => Ok((0xffff_fff0, 32)),
            _ => Err(RegisterMiss::NoSuch),
        }
    }
    fn pseudo(&self, _: &str) -> Option<Result<Value, RegisterMiss>> {
        None
    }
    fn masm(&self, text: &str) -> Result<u64, String> {
        u64::from_str_radix(text, 16).map_err(|e| e.to_string())
    }
}

/// `type number`.
fn show(text: &str) -> String {
    match evaluate(text, &Fake) {
        Ok(v) => match v.number(&Fake) {
            Some(n) => format!("{} {:#x}", v.ty.name(), n),
            None => format!("{} ?", v.ty.name()),
        },
        Err(e) => format!("{:?} at {}", e.kind, e.at),
    }
}

#[test]
fn arithmetic_has_the_types_of_c() {
    for (text, expected) in [
        ("1 + 2 * 3", "int 0x7"),
        ("(1 + 2) * 3", "int 0x9"),
        ("10 - 2 - 3", "int 0x5"),
        ("-7 / 2", "int 0xfffffffffffffffd"),
        ("-7 % 3", "int 0xffffffffffffffff"),
        ("0x80000000", "unsigned int 0x80000000"),
        ("0xffffffff + 1", "unsigned int 0x0"),
        ("0x7fffffff + 1", "int 0xffffffff80000000"),
        ("0xffffffffff", "int64 0xffffffffff"),
        ("1u - 2", "unsigned int 0xffffffff"),
        ("1i64 << 40", "int64 0x10000000000"),
        ("1 << 40", "int 0x0"),
        ("-8 >> 1", "int 0xfffffffffffffffc"),
        ("010 + 0n8 + 0y11", "int 0x13"),
        ("'a' + 1", "int 0x62"),
        ("~0", "int 0xffffffffffffffff"),
        ("1 < 2 && 3 != 4", "bool 0x1"),
        ("-1 < 1u", "bool 0x0"),
        ("0 || !5", "bool 0x0"),
        ("1 ? 2 : 3", "int 0x2"),
        ("5 & 3 | 8 ^ 1", "int 0x9"),
        ("(char)0x1ff", "char 0xffffffffffffffff"),
        ("(unsigned char)-1", "unsigned char 0xff"),
        ("(unsigned short)0x12345", "unsigned short 0x2345"),
        ("(bool)5", "bool 0x1"),
        ("(long)1 + 1", "long 0x2"),
        ("1 - (unsigned long)2", "unsigned long 0xffffffff"),
        ("(long)1 + 1u", "unsigned long 0x2"),
        ("-(long)1", "long 0xffffffffffffffff"),
        ("(long)1 + (int64)1", "int64 0x2"),
        ("sizeof(int)", "unsigned int64 0x4"),
        ("sizeof(long long) + sizeof(void *)", "unsigned int64 0x10"),
        ("@eax", "unsigned int 0xfffffff0"),
        ("@rax + 0x10", "unsigned int64 0x0"),
        ("@@masm(10) + 1", "unsigned int64 0x11"),
        ("static_cast<unsigned char>(300)", "unsigned char 0x2c"),
    ] {
        assert_eq!(show(text), expected, "{text}");
    }
}

#[test]
fn pointers_members_and_casts() {
    for (text, expected) in [
        ("head.Flink", "struct _LIST_ENTRY * 0x1000"),
        ("head.Flink->Blink", "struct _LIST_ENTRY * 0x2000"),
        ("&head", "struct _LIST_ENTRY * 0x1000"),
        ("&head + 1", "struct _LIST_ENTRY * 0x1010"),
        ("&head.Blink", "struct _LIST_ENTRY ** 0x1008"),
        ("(&head)[1].Flink", "struct _LIST_ENTRY * 0x6968"),
        ("(&head + 3) - &head", "int64 0x3"),
        ("*text", "char 0x68"),
        ("text[1]", "char 0x69"),
        ("*(text + 1) == 'i'", "bool 0x1"),
        ("*(short *)text", "short 0x6968"),
        ("((_LIST_ENTRY*)0x1000)->Blink", "struct _LIST_ENTRY * 0x2000"),
        ("((struct nt!_LIST_ENTRY *)4096)->Blink", "struct _LIST_ENTRY * 0x2000"),
        ("sizeof(nt!_LIST_ENTRY)", "unsigned int64 0x10"),
        ("sizeof head", "unsigned int64 0x10"),
        ("i", "int 0xfffffffffffffffd"),
        ("n * 2", "int 0xfffffffffffffffc"),
        ("(unsigned int64)i", "unsigned int64 0xfffffffffffffffd"),
        ("#FIELD_OFFSET(_LIST_ENTRY, Blink)", "long 0x8"),
        ("#FIELD_OFFSET(_RTL_CRITICAL_SECTION_DEBUG, ProcessLocksList.Blink)", "long 0x18"),
        ("#CONTAINING_RECORD(0x1008, _LIST_ENTRY, Blink)", "struct _LIST_ENTRY * 0x1000"),
        ("#RTL_FIELD_SIZE(_LIST_ENTRY, Blink)", "unsigned int64 0x8"),
        ("#RTL_CONTAINS_FIELD(&head, 8, Blink)", "bool 0x0"),
        ("app!head.Flink", "struct _LIST_ENTRY * 0x1000"),
        ("&app!head", "struct _LIST_ENTRY * 0x1000"),
    ] {
        assert_eq!(show(text), expected, "{text}");
    }
}

#[test]
fn errors_say_what_and_where() {
    for (text, expected) in [
        ("", "Missing at 0"),
        ("1 +", "Missing at 3"),
        ("nope", "CouldntResolve at 0"),
        ("1 + head.nope", "CouldntResolve at 9"),
        ("(nope *)1", "CouldntResolve at 0"),
        ("gone", "Memory at 0"),
        ("far + 1", "Memory at 4"),
        ("1 / 0", "Operand at 2"),
        ("1 % 0", "Operand at 2"),
        ("@zzz", "BadRegister at 0"),
        ("1 2", "Syntax at 2"),
        ("(1", "Syntax at 2"),
        ("99999999999999999999", "Overflow at 0"),
    ] {
        assert_eq!(show(text), expected, "{text}");
    }
    for text in ["i = 1", "f(1)", "&i", "head + 1", "*i", "1.5 % 2", "&1.5", "(_LIST_ENTRY)1"] {
        let kind = evaluate(text, &Fake).map(|v| v.ty.name()).map_err(|e| e.kind);
        let fits = matches!(kind, Err(ErrorKind::Unsupported(_) | ErrorKind::CouldntResolve));
        assert!(fits, "{text}: {kind:?}");
    }
}

#[test]
fn fractions_have_the_types_of_c() {
    for (text, ty, value) in [
        ("1.5 * 2", "double", 3.0),
        ("1.5f * 2", "float", 3.0),
        ("0.1f + 0.1", "double", f64::from(0.1f32) + 0.1),
        ("0.1f + 0.2f", "float", f64::from(0.1f32 + 0.2f32)),
        ("-2.5e-1 / 2", "double", -0.125),
        ("1e3 - 1.", "double", 999.0),
        ("(double)7 / 2", "double", 3.5),
        ("(float)1 / 3", "float", f64::from(1.0f32 / 3.0)),
    ] {
        let v = evaluate(text, &Fake).unwrap();
        assert_eq!((v.ty.name().as_str(), v.scalar(&Fake)), (ty, Ok(Scalar::Float(value))), "{text}");
    }
    assert_eq!(show("1.5 > 1 && 2 >= 2.0"), "bool 0x1");
    assert_eq!(show("(int)-1.9"), "int 0xffffffffffffffff");
    assert_eq!(show("1.5"), "double ?", "MASM expressions have no fractions");
}

#[test]
fn deep_and_long_texts_end() {
    for text in ["(".repeat(5000), "-".repeat(5000), "1+".repeat(5000), "a->".repeat(5000), "a<".repeat(5000)]
    {
        assert!(evaluate(&text, &Fake).is_err());
    }
    assert!(evaluate(&format!("{}1{}", "(".repeat(20), ")".repeat(20)), &Fake).is_ok());
}

/// A sequence that is the same in every run.
fn random() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

#[test]
fn any_text_gives_a_value_or_an_error() {
    const PARTS: [&str; 32] = [
        "1",
        "0x10",
        "head",
        "text",
        "i",
        "n",
        "(",
        ")",
        "[",
        "]",
        "->",
        ".",
        "Flink",
        "Blink",
        "*",
        "&",
        "+",
        "-",
        "/",
        "%",
        "<<",
        ">>",
        "?",
        ":",
        "sizeof",
        "(int)",
        "(_LIST_ENTRY*)",
        "@rax",
        " ",
        "!",
        "<",
        "#FIELD_OFFSET(",
    ];
    let mut next = random();
    for _ in 0..30_000 {
        let len = next() % 14;
        let text: String = (0..len).map(|_| PARTS[(next() % 32) as usize]).collect();
        if let Ok(value) = evaluate(&text, &Fake) {
            let _ = (value.number(&Fake), value.ty.name());
        }
    }
}

#[test]
fn numbers_follow_rust() {
    let mut next = random();
    for _ in 0..2000 {
        let (a, b) = (next() as i32, (next() >> (next() % 60)) as i32);
        let value = |op: &str| {
            let text = format!("(int){a} {op} (int){b}");
            evaluate(&text, &Fake).ok().and_then(|v| v.number(&Fake))
        };
        assert_eq!(value("+"), Some(i64::from(a.wrapping_add(b)) as u64));
        assert_eq!(value("*"), Some(i64::from(a.wrapping_mul(b)) as u64));
        assert_eq!(value("<"), Some(u64::from(a < b)));
        assert_eq!(value("/"), if b == 0 { None } else { Some(i64::from(a.wrapping_div(b)) as u64) });
        assert_eq!(value("^"), Some(i64::from(a ^ b) as u64));
    }
}
