//! `dt` on the lab dump with its PDBs, and with the built-in layouts.

use crate::article_pdb_replay::{folder, open_with};
use crate::core_common::shared_or_skip;
use crate::lang_session::run;
use crate::pdb_commands::json;
use dumpscope_engine::{LineStatus, Session};
use dumpscope_symbols::SymbolConfig;

fn open(symbols: bool) -> Option<Session> {
    let lab = shared_or_skip("ruby-x86")?.join("lab");
    let path = if symbols { lab.join("symbols/x86").display().to_string() } else { String::new() };
    let config = SymbolConfig { symbol_path: path, offline: true, ..SymbolConfig::default() };
    Some(Session::open(&lab.join("ruby-x86.dmp.zst"), config).unwrap())
}

#[track_caller]
fn check(session: &mut Session, line: &str, expected: &str) {
    assert_eq!(run(session, line).0, expected, "{line}");
}

#[test]
fn object_of_the_readme() {
    let Some(mut s) = open(true) else { return };
    let (text, status) = run(&mut s, "dt combase!CMessageCall 00adb410");
    assert_eq!(status, LineStatus::Done, "{text}");
    for row in [
        "   +0x010 _callcat         : 1 ( CALLCAT_SYNCHRONOUS )\n",
        "   +0x020 _hWndCaller      : (null)\n",
        "   +0x01c _hEvent          : 0x00000058 Void\n",
        "   +0x024 _ipid            : _GUID {0009042d-0110-0000-5ed7-a7ed59ca66b0}\n",
        "   +0x090 _iidWire         : _GUID {423ec01e-2e35-11d2-b604-00104b703efd}\n",
        "   +0x0b0 _dwServerPid     : 0x110\n",
        "   +0x0b8 _iMethodWire     : 3\n",
        "   +0x0d4 _bClientIsAppContainer : 0y0\n",
    ] {
        assert!(text.contains(row), "{row}{text}");
    }
    assert!(text.starts_with("   +0x000 __VFN_table : 0x"), "{text}");
    check(&mut s, "dt 0x00adb410 CMessageCall _dwServerPid", "   +0x0b0 _dwServerPid     : 0x110\n");
    check(&mut s, "dt . 0x00adb410 _dwServerTid", "Using sym CMessageCall\n   +0x0b4 _dwServerTid     : 0\n");
}

#[test]
fn options_and_field_lists() {
    let Some(mut s) = open(true) else { return };
    check(
        &mut s,
        "dt -v combase!_GUID",
        "struct _GUID, 4 elements, 0x10 bytes\n   +0x000 Data1            : Uint4B\n   +0x004 Data2            : Uint2B\n   \
         +0x006 Data3            : Uint2B\n   +0x008 Data4            : [8] UChar\nnote: from the private PDB of combase\n",
    );
    // Offsets of nested rows count from the structure that holds them.
    let (text, _) = run(&mut s, "dt -r1 combase!CMessageCall 00adb410 _ipid");
    assert!(
        text.contains("\n      +0x000 Data1            : 0x9042d\n      +0x004 Data2            : 0x110\n"),
        "{text}"
    );
    check(
        &mut s,
        "dt combase!CMessageCall 00adb410 message.Buffer",
        "   +0x064 message          :\n      +0x008 Buffer           : 0x0021fc9c Void\n",
    );
    check(
        &mut s,
        "dt combase!CMessageCall 00adb410 _ipid.Data4[0]",
        "   +0x024 _ipid            :\n      +0x008 Data4[0]         : 0x5e '^'\n",
    );
    check(
        &mut s,
        "dt combase!CMessageCall -y _dwServer 00adb410",
        "   +0x0b0 _dwServerPid     : 0x110\n   +0x0b4 _dwServerTid     : 0\n",
    );
    check(&mut s, "dt combase!CMessageCall 00adb410 *ServerPid", "   +0x0b0 _dwServerPid     : 0x110\n");
    check(&mut s, "dt -o combase!CMessageCall 00adb410 _dwServerPid", "   _dwServerPid     : 0x110\n");
    check(
        &mut s,
        "dt -c combase!CMessageCall 00adb410 _dwServerPid _dwServerTid",
        "   +0x0b0 _dwServerPid : 0x110 +0x0b4 _dwServerTid : 0\n",
    );
    let (text, _) = run(&mut s, "dt -a combase!_GUID 00adb434 Data4");
    assert!(text.starts_with("   +0x008 Data4            :\n    [00] 0x5e '^'\n    [01] 0xd7 "), "{text}");
    assert_eq!(run(&mut s, "dt -a2 combase!_GUID 00adb434 Data4").0.lines().count(), 3);
    // A pointer is followed by -r, not by -b.
    let (text, _) = run(&mut s, "dt -r1 combase!tagRPCOLEMESSAGE 00adb474; dt -r2 combase!CMessageCall");
    assert!(text.contains("      +0x000 Data1            : Uint4B\n"), "{text}");
    assert!(
        run(&mut s, "dt -r1 _TEB @$teb ProcessEnvironmentBlock")
            .0
            .contains("      +0x008 ImageBaseAddress : 0x00400000 Void\n")
    );
    assert!(!run(&mut s, "dt -b _TEB @$teb ProcessEnvironmentBlock").0.contains("ImageBaseAddress"));
    check(&mut s, "dt combase!CMessageCall 00adb410 zzz", "Cannot find specified field members.\n");
    assert!(run(&mut s, "dt -p combase!_GUID 0").0.contains("physical"));
    assert!(run(&mut s, "dt combase!CMessageCall 0").0.ends_with("Memory read error 00000000\n"));
}

#[test]
fn names_that_are_no_structures() {
    let Some(mut s) = open(true) else { return };
    check(
        &mut s,
        "dt combase!CALLCATEGORY",
        "   CALLCAT_NOCALL = 0n0\n   CALLCAT_SYNCHRONOUS = 0n1\n   CALLCAT_ASYNC = 0n2\n   CALLCAT_INPUTSYNC = 0n3\n",
    );
    check(&mut s, "dt combase!CALLCATEGORY 00adb420", "1 ( CALLCAT_SYNCHRONOUS )\n");
    check(&mut s, "dt combase!HRESULT", "Int4B\n");
    check(&mut s, "dt combase!ThreadSendReceive", "long (class CMessageCall *, struct _GUID *)\n");
    let (text, _) = run(&mut s, "dt combase!CMess*");
    assert!(
        text.starts_with("          combase!CMessageCall\n006c17d0  combase!CMessageCall::~CMessageCall\n"),
        "{text}"
    );
    check(&mut s, "dt -t combase!_GU*", "          combase!_GUID\n");
    let (text, _) = run(&mut s, "dt -y combase!_GU 00adb434");
    assert!(text.starts_with("          combase!_GUID\n   +0x000 Data1            : 0x9042d\n"), "{text}");
    let (text, _) = run(&mut s, "dt combase!_GUID[2] 00adb4a0");
    assert!(text.starts_with("[0] @ 00adb4a0\n   +0x000 Data1            : 0x423ec01e\n"), "{text}");
    check(&mut s, "dt nosuch", "Symbol nosuch not found.\n");
}

#[test]
fn local_variables() {
    let Some(mut s) = open(true) else { return };
    run(&mut s, ".frame a");
    check(&mut s, "dt klass", "Local var @ 0x21fccc Type char*\n0x0021fe78  \"win32_pnpsigneddriver\"\n");
    check(&mut s, "dt argv[1]", "0x0042e08c  \"ExecQuery\"\n");
    run(&mut s, ".frame 4");
    let head = "Local var @ esi Type CMessageCall*\n0x00adb410\n";
    check(&mut s, "dt pCall _dwServerPid", &format!("{head}   +0x0b0 _dwServerPid     : 0x110\n"));
    check(
        &mut s,
        "dt pCall->_ipid.Data2",
        &format!("{head}   +0x024 _ipid            :\n      +0x004 Data2            : 0x110\n"),
    );
    check(&mut s, "dt sig", "Local var @ 0x21fc0c Type unsigned long\n0x656a73f6\n");
    run(&mut s, ".frame 3");
    assert!(run(&mut s, "dt r").0.contains("<value unavailable>"));
}

#[test]
fn lists_are_followed_to_their_end() {
    let Some(mut s) = open(true) else { return };
    let line = "dt _LDR_DATA_TABLE_ENTRY -l InLoadOrderLinks.Flink poi(poi(@$peb + c) + c) BaseDllName";
    let (text, status) = run(&mut s, line);
    assert_eq!(status, LineStatus::Done, "{text}");
    assert!(text.contains("InLoadOrderLinks.Flink at 0x"), "{text}");
    for name in ["ruby.exe", "ntdll.dll", "combase.dll"] {
        assert!(text.contains(&format!(": _UNICODE_STRING \"{name}\"\n")), "{name}: {text}");
    }
}

/// WinDbg reads a static member without storage at its module's base; JSON says that it has none.
#[test]
fn static_members_without_storage_are_told() {
    let mut s = open_with(dumpscope_fixtures::article::ruby_x86(), &folder());
    let report = json(&mut s, "dt CMessageCall 0x00505170");
    let row =
        |name: &str| report["rows"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
    let kind = row("Kind");
    assert_eq!((&kind["storage"], &kind["offset"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(kind["address"], "0x76ef0000");
    assert_eq!(row("s_uCurrentCallTraceId")["storage"], true);
    assert_eq!(report["ambiguous"], serde_json::json!([4, 256]));
    // The expression evaluator gives it no value.
    let (text, _) = run(&mut s, "?? ((CMessageCall *)0x00505170)->Kind");
    assert_eq!(text, "The static member has no storage.\n");
    assert_eq!(run(&mut s, "?? ((CMessageCall *)0x00505170)->_dwServerPid").0, "unsigned long 0x30c\n");
}

#[test]
fn long_patterns_are_refused() {
    let Some(mut s) = open(false) else { return };
    for line in [format!("x {}", "*a".repeat(5000)), format!("dt {}", "*a".repeat(5000))] {
        let (text, status) = run(&mut s, &line);
        assert_eq!(status, LineStatus::Failed);
        assert!(text.starts_with("The pattern is too long"), "{text}");
    }
}

#[test]
fn without_types_the_built_in_layouts_answer_and_say_so() {
    let Some(mut s) = open(false) else { return };
    let (text, _) = run(&mut s, "dt ntdll!_TEB @$teb ProcessEnvironmentBlock");
    assert!(text.starts_with("   +0x030 ProcessEnvironmentBlock : 0x") && text.contains(" _PEB\n"), "{text}");
    assert!(text.contains("note: built-in layout"), "{text}");
    let source = json(&mut s, "dt ntdll!_TEB")["source"].take();
    assert!(source.as_str().unwrap().starts_with("built-in layout"), "{source}");
    let (text, status) = run(&mut s, "dt combase!NoSuchType");
    assert_eq!(status, LineStatus::Failed);
    assert!(
        text.starts_with("Symbol combase!NoSuchType not found.\nnote: no symbols for combase.dll"),
        "{text}"
    );
    // A built-in name loads the symbols of no other module.
    run(&mut s, "dt _TEB");
    let deferred = (0..s.target.symbols.modules().len())
        .filter(|&i| s.target.symbols.state(i) == dumpscope_symbols::SymbolState::Deferred)
        .count();
    assert!(deferred > 3, "{deferred}");
}
