//! Memory, code and registers of the lab dumps.

use crate::core_common::shared_or_skip;
use crate::lang_session::run;
use dumpscope_engine::{LineStatus, Session};
use dumpscope_symbols::SymbolConfig;

fn open(name: &str) -> Option<Session> {
    let path = shared_or_skip(name)?.join("lab").join(format!("{name}.dmp.zst"));
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    Some(Session::open(&path, config).unwrap())
}

#[track_caller]
fn check(session: &mut Session, line: &str, expected: &str) {
    assert_eq!(run(session, line).0, expected, "{line}");
}

#[test]
fn memory_of_the_32_bit_dump() {
    let Some(mut s) = open("ruby-x86") else { return };
    check(&mut s, "dd 0021fe78 L1", "0021fe78  336e6977\n");
    check(
        &mut s,
        "db 0021fe78 L15",
        "0021fe78  77 69 6e 33 32 5f 70 6e-70 73 69 67 6e 65 64 64  win32_pnpsignedd\n\
         0021fe88  72 69 76 65 72                                   river\n",
    );
    check(&mut s, "da 0021fe78", "0021fe78  \"win32_pnpsigneddriver\"\n");
    check(&mut s, "dw 0021fe78 L2; dq 0021fe78 L1", "0021fe78  6977 336e\n0021fe78  6e705f32`336e6977\n");
    check(&mut s, "dW 0021fe78 L2", "0021fe78  6977 336e                                win3\n");
    // The default address goes on; `d` alone repeats.
    check(
        &mut s,
        "dc 0021fe78 L1; d L1",
        &format!("0021fe78  336e6977{0:29}win3\n0021fe7c  6e705f32{0:29}2_pn\n", ""),
    );
    // Missing bytes.
    check(&mut s, "dd 0 L2; dq 0 L1", "00000000  ???????? ????????\n00000000  ????????`????????\n");
    check(&mut s, "db 0 L2", "00000000  ?? ??                                            ??\n");
    // The CMessageCall of the lab's README: server pid 0x110 at +0xb0.
    check(&mut s, "? dwo(00adb410+b0)", "Evaluate expression: 272 = 00000110\n");
    assert_eq!(run(&mut s, "dps @esp L1").1, LineStatus::Done);
}

#[test]
fn searches_find_the_texts_of_the_readme() {
    let Some(mut s) = open("ruby-x86") else { return };
    let (text, _) = run(&mut s, "s -a 0 L?80000000 \"win32_pnpsigneddriver\"");
    assert!(
        text.contains("0021fe78  77 69 6e 33 32 5f 70 6e-70 73 69 67 6e 65 64 64  win32_pnpsignedd\n"),
        "{text}"
    );
    let (text, _) = run(&mut s, "s -u 0 L?7fffffff \"SELECT * FROM Win32_PnPSignedDriver\"");
    assert!(text.contains("  0053 0045 004c 0045 0043 0054 0020 002a  S.E.L.E.C.T. .*.\n"), "{text}");
    let (text, _) = run(&mut s, "s -[1]d @esp L400 58");
    assert!(text.contains("0021fa60\n"), "{text}");
    let (text, _) = run(&mut s, "s -[l20]sa 0021fe00 L100");
    assert_eq!(run(&mut s, "s -a 0 L80000000 \"x\"").1, LineStatus::Failed);
    assert_eq!(text, "", "texts of 32 characters and more");
}

#[test]
fn code_and_registers() {
    let Some(mut s) = open("ruby-x86") else { return };
    check(
        &mut s,
        "r",
        "eax=000000de ebx=00000001 ecx=00000000 edx=00000000 esi=00000001 edi=0021fa60\n\
         eip=7bc0c51c esp=0021fa1c ebp=0021fb78 iopl=0         nv up ei pl zr na pe nc\n\
         cs=0023  ss=002b  ds=002b  es=002b  fs=006b  gs=0063             efl=00000246\n\
         ntdll!NtWaitForMultipleObjects+0xc:\n\
         7bc0c51c c21400          ret     14h\n",
    );
    check(&mut s, "r eax, zf", "eax=000000de zf=1\n");
    check(
        &mut s,
        "u @$ip-c L3",
        "ntdll!NtWaitForMultipleObjects:\n\
         7bc0c510 b8de000000      mov     eax,0DEh\n\
         7bc0c515 ba20c6c07b      mov     edx,offset ntdll!wine_unix_to_nt_file_name+0x10 (7bc0c620)\n\
         7bc0c51a ffd2            call    edx\n",
    );
    check(
        &mut s,
        "ub @$ip L1",
        "ntdll!NtWaitForMultipleObjects+0xa:\n7bc0c51a ffd2            call    edx\n",
    );
    check(&mut s, "u 0", "00000000 ??              ???\n        ^ Memory access error in 'u 0'\n");

    let Some(mut s) = open("wmiprvse-x64") else { return };
    // The return address of thread 1's wait follows a call, and the function is found by its unwind data.
    let (text, status) = run(&mut s, "~1s; ub @$ra L1");
    assert_eq!(status, LineStatus::Done, "{text}");
    assert!(text.lines().last().unwrap().contains(" call    "), "{text}");
    let (text, _) = run(&mut s, "uf /i @$ra");
    assert!(text.contains(" instructions scanned\n"), "{text}");
    assert!(text.starts_with(|c: char| c.is_ascii_digit() || c == 'F'), "{text}");
}
