//! `dt` on the lab dump with its PDBs, and with the built-in layouts.

use crate::core_common::shared_or_skip;
use crate::lang_session::run;
use dumpscope_engine::{LineStatus, Session};
use dumpscope_symbols::SymbolConfig;

fn open(symbols: bool) -> Option<Session> {
    let lab = shared_or_skip("ruby-x86")?.join("lab");
    let path = if symbols { lab.join("symbols/x86").display().to_string() } else { String::new() };
    let config = SymbolConfig { symbol_path: path, offline: true, ..SymbolConfig::default() };
    Some(Session::open(&lab.join("ruby-x86.dmp.zst"), config).unwrap())
}

#[test]
fn object_of_the_readme() {
    let Some(mut s) = open(true) else { return };
    let (text, status) = run(&mut s, "dt combase!CMessageCall 00adb410");
    assert_eq!(status, LineStatus::Done, "{text}");
    for row in [
        "   +0x010 _callcat         : 1 ( CALLCAT_SYNCHRONOUS )\n",
        "   +0x024 _ipid            : _GUID {0009042d-0110-0000-5ed7-a7ed59ca66b0}\n",
        "   +0x090 _iidWire         : _GUID {423ec01e-2e35-11d2-b604-00104b703efd}\n",
        "   +0x0b0 _dwServerPid     : 0x110\n",
        "   +0x0b8 _iMethodWire     : 3\n",
        "   +0x0d4 _bClientIsAppContainer : 0y0\n",
    ] {
        assert!(text.contains(row), "{row}{text}");
    }
    assert!(text.starts_with("   +0x000 __VFN_table : 0x"), "{text}");
    let (one, _) = run(&mut s, "dt 0x00adb410 CMessageCall _dwServerPid");
    assert_eq!(one, "   +0x0b0 _dwServerPid     : 0x110\n");
    let (text, _) = run(&mut s, "dt -v combase!_GUID");
    assert_eq!(
        text,
        "combase!_GUID, 4 elements, 0x10 bytes\n   +0x000 Data1            : Uint4B\n   +0x004 Data2            : Uint2B\n   \
         +0x006 Data3            : Uint2B\n   +0x008 Data4            : [8] UChar\n"
    );
    let (text, _) = run(&mut s, "dt -r1 combase!CMessageCall 00adb410 _ipid");
    assert!(text.contains("\n      +0x024 Data1            : 0x9042d\n"), "{text}");
}

#[test]
fn without_types_the_built_in_layouts_answer_and_say_so() {
    let Some(mut s) = open(false) else { return };
    let (text, _) = run(&mut s, "dt ntdll!_TEB @$teb ProcessEnvironmentBlock");
    assert!(text.starts_with("   +0x030 ProcessEnvironmentBlock : 0x") && text.contains(" _PEB\n"), "{text}");
    assert!(text.contains("note: built-in layout"), "{text}");
    let (text, status) = run(&mut s, "dt combase!NoSuchType");
    assert_eq!((text.as_str(), status), ("Symbol combase!NoSuchType not found.\n", LineStatus::Failed));
}
