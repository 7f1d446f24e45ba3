//! A five-line world to evaluate in.

use super::*;
use dumpscope_core::Machine;

struct World(Machine, u32);

const WORLD: World = World(Machine::Amd64, 16);

impl Env for World {
    fn machine(&self) -> Machine {
        self.0
    }

    fn radix(&self) -> u32 {
        self.1
    }

    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss> {
        match name {
            "eax" => Ok((0x8000_0001, 32)),
            "rax" if self.0 == Machine::Amd64 => Ok((0x7ff6_0000_1000, 64)),
            "al" => Ok((0xff, 8)),
            "ebx" => Err(RegisterMiss::Unknown),
            _ => Err(RegisterMiss::NoSuch),
        }
    }

    fn pseudo(&self, name: &str) -> Option<Result<u64, RegisterMiss>> {
        match name {
            "ip" => Some(Ok(0x1234)),
            "t0" => Some(Ok(7)),
            "ra" => Some(Err(RegisterMiss::Unknown)),
            _ => None,
        }
    }

    fn symbol(&self, module: Option<&str>, name: &str) -> Result<u64, SymbolMiss> {
        match (module, name) {
            (Some("app"), "main" | "std::vector<int>::size") | (None, "main") => Ok(0x40_1000),
            (None, "app") => Ok(0x40_0000),
            (None, "twice") => Err(SymbolMiss::Ambiguous),
            _ => Err(SymbolMiss::NotFound),
        }
    }

    fn read(&self, va: u64, buf: &mut [u8]) -> usize {
        // Bytes 0x1000..0x1010 hold their own low address byte.
        let known = 0x1010u64.saturating_sub(va).min(if va >= 0x1000 { 0x10 } else { 0 }) as usize;
        let got = known.min(buf.len());
        buf.iter_mut().take(got).enumerate().for_each(|(i, b)| *b = (va as u8).wrapping_add(i as u8));
        got
    }
}

#[track_caller]
fn check(text: &str, value: u64) {
    assert_eq!(evaluate(text, &WORLD), Ok((value, text.len())), "{text}");
}

#[track_caller]
fn fails(text: &str, message: &str) {
    let error = evaluate(text, &WORLD).expect_err(text);
    assert_eq!(error.message(text), message, "{text}");
}

#[test]
fn numbers() {
    check("1228", 0x1228);
    check("0n1228", 1228);
    check("0x10", 16);
    check("0t17", 15);
    check("0y101", 5);
    check("10h", 16);
    check("ffh", 255);
    check("00007ff6`12345678", 0x7ff6_1234_5678);
    check("7ff6`12345678", 0x7ff6_1234_5678);
    check("0x", 0);
    check("beef", 0xbeef);
    check("0n-123", 0u64.wrapping_sub(123));
    check("-0n123", 0u64.wrapping_sub(123));
    check("80000000", 0x8000_0000);
    fails("0n99999999999999999999", "Overflow error at '0n99999999999999999999'");
}

#[test]
fn radix() {
    let value = |text, radix| evaluate(text, &World(Machine::Amd64, radix)).map(|(value, _)| value);
    assert_eq!(value("10", 10), Ok(10));
    assert_eq!(value("10", 8), Ok(8));
    assert_eq!(value("0x10", 10), Ok(16));
    assert_eq!(value("ab", 10).unwrap_err().kind, ErrorKind::CouldntResolve);
}

#[test]
fn operators() {
    check("1+2*3", 7);
    check("(1+2)*3", 9);
    check("0n10 mod 3", 1);
    check("1 << 4", 16);
    check("-1 >> 0n60", 15);
    check("-1 >>> 0n60", u64::MAX);
    // The processor takes the count modulo 64, and so does the engine.
    check("1 << 40", 1);
    check("2 == 2", 1);
    check("2 = 3", 0);
    check("2 != 3", 1);
    check("3 >= 3 and 1 < 2", 1);
    check("6 xor 3", 5);
    check("6 | 1", 7);
    check("not 0", 1);
    check("not 5", 0);
    check("hi 12345678", 0x1234);
    check("low(12345678)", 0x5678);
    check("5 - -3", 8);
    fails("1/0", "Operand error at '/0'");
    fails("1 mod 0", "Operand error at 'mod 0'");
    fails("1+", "Numeric expression missing from ''");
    fails("(1", "Syntax error at ''");
    fails("", "Numeric expression missing from ''");
}

#[test]
fn names() {
    check("app!main", 0x40_1000);
    check("app!main+10", 0x40_1010);
    check("main", 0x40_1000);
    check("!main", 0x40_1000);
    check("&app!main", 0x40_1000);
    check("app+287f", 0x40_287f);
    check("@!\"app!std::vector<int>::size\"", 0x40_1000);
    check("@rax", 0x7ff6_0000_1000);
    check("rax+8", 0x7ff6_0000_1008);
    check(".", 0x1234);
    check("@$ip + $t0", 0x123b);
    fails("foo", "Couldn't resolve error at 'foo'");
    fails("app!nope + 1", "Couldn't resolve error at 'app!nope + 1'");
    fails("twice", "Ambiguous symbol error at 'twice'");
    fails("@zzz", "Bad register error at '@zzz'");
    fails("@$nope", "Bad register error at '@$nope'");
    assert!(evaluate("@ebx", &WORLD).unwrap_err().note.is_some());
}

#[test]
fn registers_have_their_width() {
    check("@eax", 0x8000_0001);
    check("0`ffffffff & @eax", 0x8000_0001);
    check("@al", 0xff);
}

#[test]
fn memory() {
    check("by(1004)", 4);
    check("wo(1004)", 0x0504);
    check("dwo 1004", 0x0706_0504);
    check("qwo(1000)", 0x0706_0504_0302_0100);
    check("poi(1008)", 0x0f0e_0d0c_0b0a_0908);
    check("poi(1008)+1", 0x0f0e_0d0c_0b0a_0909);
    assert_eq!(evaluate("poi(1008)", &World(Machine::X86, 16)).unwrap().0, 0x0b0a_0908);
    fails("poi(0)", "Memory access error at 'poi(0)'");
    fails("1 + poi(100e)", "Memory access error at 'poi(100e)'");
    check("$vvalid(1000, 10)", 1);
    check("$vvalid(1000, 11)", 0);
}

#[test]
fn functions() {
    check("$scmp(\"a\", \"b\")", u64::MAX);
    check("$sicmp(\"App\", \"aPP\") == 0", 1);
    check("$spat(\"kernel32.dll\", \"k*32*\")", 1);
    check("$spat(\"x\", \"[a-c]\")", 0);
    fails("$scmp(1, 2)", "Syntax error at '$scmp(1, 2)'");
    fails("$foo(1)", "Couldn't resolve error at '$foo(1)'");
}

#[test]
fn an_expression_ends_where_it_can() {
    let end = |text: &str| evaluate(text, &WORLD).unwrap().1;
    assert_eq!(end("0028ebe0 L1"), 9);
    assert_eq!(end("28ebe0L1"), 6);
    assert_eq!(end("rax al"), 4);
    assert_eq!(end("1 }"), 2);
}

#[test]
fn deep_nesting_is_an_error() {
    assert!(evaluate(&"(".repeat(10_000), &WORLD).is_err());
    assert!(evaluate(&"-".repeat(10_000), &WORLD).is_err());
    assert!(evaluate(&"1+".repeat(10_000), &WORLD).is_err());
    assert!(evaluate(&"poi ".repeat(10_000), &WORLD).is_err());
}

#[test]
fn wildcards() {
    for (pattern, text, matches) in [
        ("", "", true),
        ("*", "anything", true),
        ("nt*", "NtClose", true),
        ("nt?lose", "ntclose", true),
        ("*Wait*Object", "NtWaitForSingleObject", true),
        ("ab#c", "ac", true),
        ("ab#c", "abbbc", true),
        ("ab+c", "ac", false),
        ("ab+c", "abbc", true),
        ("[a-cx]z", "bz", true),
        ("[a-cx]z", "dz", false),
        ("\\*", "*", true),
        ("\\*", "x", false),
        ("a*a*a*a*a*a*a*b", &"a".repeat(2000), false),
    ] {
        assert_eq!(wildcard_match(pattern, text), matches, "{pattern} {text}");
    }
}
