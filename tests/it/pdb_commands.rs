//! Stacks with parameters, lines and inlined calls out of real symbol files, through the commands.

use crate::core_common::shared_or_skip;
use crate::lang_session::run;
use dumpscope_engine::{JsonSink, LineStatus, Session, run_line};
use dumpscope_symbols::SymbolConfig;
use serde_json::Value;

/// A session on a dump below `shared/` with a symbol folder below it.
pub(crate) fn open(dump: &str, symbols: &str) -> Option<Session> {
    let dir = shared_or_skip(dump)?;
    let symbol_path = dir.join(symbols).display().to_string();
    let config = SymbolConfig { symbol_path, offline: true, ..SymbolConfig::default() };
    Some(Session::open(&dir.join(dump), config).unwrap())
}

pub(crate) fn ruby() -> Option<Session> {
    open("lab/ruby-x86.dmp.zst", "lab/symbols/x86")
}

pub(crate) fn wmi() -> Option<Session> {
    open("lab/wmiprvse-x64.dmp.zst", "lab/symbols/x64")
}

/// The data of a line's last report.
pub(crate) fn json(session: &mut Session, line: &str) -> Value {
    let mut sink = JsonSink::new(false);
    run_line(session, line, &mut sink);
    sink.into_value().as_array_mut().unwrap().pop().unwrap()["data"].take()
}

#[test]
fn kp_of_the_blocked_com_call() {
    let Some(mut s) = ruby() else { return };
    let (text, status) = run(&mut s, "~0kP");
    assert_eq!(status, LineStatus::Done);
    for part in [
        "combase!CCliModalLoop::BlockFn(\n            void ** ahEvent = 0x0021fc10,\n            unsigned long cEvents = 1,\n            \
         unsigned long * lpdwSignaled = 0x0021fc0c)+0x19 [C:\\lab\\combase.cpp @ 19]\n",
        "(Inline) -------- combase!ModalLoop(\n            class CMessageCall * pCall = 0x00adb410)+0x15 [C:\\lab\\combase.cpp @ 20]\n",
        "struct _GUID * rmoid = 0x006de008 {70622196-bea4-9302-ac70-cabc069d1e23})+0x23",
        "ruby!rb_f_send(\n            char * klass = 0x0021fe78 \"win32_pnpsigneddriver\",\n            char * meth = 0x0042e08c \"ExecQuery\",\n",
        "long Method = 0n3)+0x219",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains(" this = "), "{text}");
    // One line a frame.
    let (text, _) = run(&mut s, "~0kpL");
    assert!(text.contains("ruby!rb_iseq_eval_main(int depth = 0n2, char * klass = 0x0021fe78"), "{text}");
    let frames = json(&mut s, "~0kp")["frames"].take();
    let send = frames.as_array().unwrap().iter().find(|f| f["function"] == "rb_f_send").unwrap();
    let klass = &send["parameters"][0];
    assert_eq!((&klass["bits"], &klass["source"]), (&"0x21fe78".into(), &"private_pdb".into()));
    assert_eq!(klass["confidence"], "strong", "{klass}");
    let ole = frames.as_array().unwrap().iter().find(|f| f["module"] == "win32ole").unwrap();
    assert_eq!(ole["parameters"], Value::Null, "nothing is known of a module without types");
}

#[test]
fn a_parameter_that_the_pdb_has_nowhere_is_recovered_and_says_how() {
    let Some(mut s) = wmi() else { return };
    let (text, _) = run(&mut s, "~1kpL");
    assert!(text.contains("WmiPrvSE!CWhqlObj::WalkTree(void)+0x15\n"), "{text}");
    assert!(
        text.contains("WmiPrvSE!CWhqlObj::CreateList(int flags = 0x7 (prologue_register, proven))+0x12\n"),
        "{text}"
    );
    let create = json(&mut s, "~1kp")["frames"].take();
    let create = create.as_array().unwrap().iter().find(|f| f["function"] == "CWhqlObj::CreateList").unwrap();
    let flags = &create["parameters"][0];
    assert_eq!((&flags["bits"], &flags["confidence"]), (&"0x7".into(), &"proven".into()));
    assert_eq!((&flags["source"], &flags["note"]), (&"prologue_register".into(), &Value::Null));
}

#[test]
fn crash_frames_of_the_corpus_have_functions_and_lines() {
    let Some(mut s) = open("corpus/lldb/sigsegv.dmp", "corpus/lldb") else { return };
    let (text, _) = run(&mut s, ".ecxr; kp");
    assert!(
        text.contains("sigsegv!crash(bool crash_self = true)+0x29 [c:\\temp\\sigsegv.cpp @ 22]\n"),
        "{text}"
    );
    assert!(
        text.contains("sigsegv!foo(int x = 0n10, float y = 3.140000105, char * msg = 0x00007ff7`a1313060"),
        "{text}"
    );
    assert!(text.contains("sigsegv!main(void)+0x1d [c:\\temp\\sigsegv.cpp @ 38]\n"), "{text}");
    // The dump holds no image: how large the frames are is in the PDB.
    let frames = json(&mut s, ".ecxr; kp")["frames"].take();
    let found: Vec<_> = frames.as_array().unwrap().iter().take(4).map(|f| (&f["sp"], &f["trust"])).collect();
    let sp = ["0xaddabaf6b0", "0xaddabaf6e0", "0xaddabaf720", "0xaddabaf750"].map(serde_json::Value::from);
    let trust = ["context", "cfi", "cfi", "cfi"].map(serde_json::Value::from);
    assert_eq!(found, sp.iter().zip(&trust).collect::<Vec<_>>(), "{text}");
    assert_eq!(frames[1]["parameters"][0]["confidence"], "proven");
    let Some(mut s) = open("corpus/bugsplat-net/minidump.dmp", "corpus/bugsplat-net") else { return };
    let (text, _) = run(&mut s, ".ecxr; kp");
    assert!(text.contains("myConsoleCrasher!MemoryException(void)+0x10 ["), "{text}");
    assert!(text.contains("myConsoleCrasher.cpp @ 153]\n"), "{text}");
    assert!(
        text.contains("myConsoleCrasher!wmain(int argc = 0n2, wchar_t ** argv = 0x01158908)+0x1b0 ["),
        "{text}"
    );
    assert!(text.contains("myConsoleCrasher.cpp @ 84]\n"), "{text}");
}

/// `thread|frame|module|function|file|line|offset` rows of Breakpad's own stack walker.
#[test]
fn breakpad_frames_equal_breakpads_own() {
    let Some(mut s) = open("corpus/breakpad/minidump2.dmp", "corpus/breakpad/symbols") else { return };
    let dir = shared_or_skip("minidump2").unwrap();
    let out = dir.join("corpus/breakpad/minidump2.stackwalk.machine_readable.out");
    let out = std::fs::read_to_string(out).unwrap();
    let rows: Vec<Vec<&str>> =
        out.lines().filter(|l| l.starts_with("0|")).map(|l| l.split('|').collect()).collect();
    assert_eq!(rows.len(), 4, "the file has the four frames of thread 0");
    let frames = json(&mut s, ".ecxr; k")["frames"].take();
    let frames = frames.as_array().unwrap();
    assert_eq!(frames.len(), rows.len());
    for (f, row) in frames.iter().zip(&rows) {
        assert_eq!(
            f["module"].as_str().map(|m| m.to_owned()),
            row[2].rsplit_once('.').map(|p| p.0.to_owned())
        );
        assert_eq!(f["function"].as_str(), Some(row[3]));
        assert_eq!(f["source"]["file"].as_str(), Some(row[4]).filter(|f| !f.is_empty()));
        assert_eq!(f["source"]["line"].as_u64(), row[5].parse().ok());
        if row[4].is_empty() {
            assert_eq!(f["displacement"].as_str(), Some(row[6]));
        }
    }
}

#[test]
fn dv_in_the_selected_frame() {
    let Some(mut s) = ruby() else { return };
    assert_eq!(run(&mut s, ".frame a").1, LineStatus::Done);
    let (text, _) = run(&mut s, "dv");
    assert_eq!(
        text,
        "          klass = 0x0021fe78 \"win32_pnpsigneddriver\"\n           meth = 0x0042e08c \"ExecQuery\"\n           \
         opts = 0x0021fce0\n           argv = char *[2]\n"
    );
    let (text, _) = run(&mut s, "dv /t /i kl*");
    assert_eq!(text, "prv param  char * klass = 0x0021fe78 \"win32_pnpsigneddriver\"\n");
    assert_eq!(
        run(&mut s, "dv /V meth").0,
        "0021fcd0 @ebp+0x0c            meth = 0x0042e08c \"ExecQuery\"\n"
    );
    // The address of a local variable, as for every symbol; its value takes a read.
    assert_eq!(
        run(&mut s, "? klass; ? poi(@$!klass)").0,
        "Evaluate expression: 2227404 = 0021fccc\nEvaluate expression: 2227832 = 0021fe78\n"
    );
    assert_eq!(run(&mut s, "da poi(meth)").0, "0042e08c  \"ExecQuery\"\n");
    // An inlined call has its own variables, one of them in a register.
    run(&mut s, ".frame 4");
    let (text, _) = run(&mut s, "dv /t /v");
    assert!(
        text.starts_with("@esi     class CMessageCall * pCall = 0x00adb410\n0021fc0c unsigned long sig = "),
        "{text}"
    );
    assert_eq!(run(&mut s, "? pCall").0, "Evaluate expression: 11383824 = 00adb410\n");
    run(&mut s, ".frame 3");
    assert_eq!(run(&mut s, "dv /v r").0, "<unavailable>               r = <value unavailable>\n");
    let (text, status) = run(&mut s, "? r");
    assert_eq!(
        (status, text.starts_with("Memory access error at 'r'\n")),
        (LineStatus::Failed, true),
        "{text}"
    );
    let locals = json(&mut s, "dv")["variables"].take();
    assert_eq!((&locals[1]["kind"], &locals[1]["through"]), (&"param".into(), &"@ebp+0x0c".into()));
}

#[test]
fn dv_without_private_symbols_says_what_is_missing() {
    let Some(mut s) = wmi() else { return };
    let (text, _) = run(&mut s, "~1s; dv; .echo behind");
    assert!(text.ends_with("behind\n"), "missing data does not end a line: {text}");
    assert!(
        text.contains("Unable to enumerate locals, HRESULT 0x80004005\nPrivate symbols (symbols.pri)"),
        "{text}"
    );
    assert!(text.contains("note: no symbols for ntdll.dll"), "{text}");
    let (text, _) = run(&mut s, ".frame 4; dv /i");
    // The symbol file places it nowhere here: what the function was called with, as `.args` says it.
    assert!(
        text.contains("prv param             this = 0x140032288 (prologue_register, proven)\n"),
        "{text}"
    );
    assert!(run(&mut s, ".args").0.contains("= 00000001`40032288 (prologue_register, proven)"));
    let this = json(&mut s, "dv this")["variables"][0].take();
    assert_eq!((&this["source"], &this["confidence"]), (&"prologue_register".into(), &"proven".into()));
    // Of a function that is only named nobody knows a call.
    let (text, _) = run(&mut s, "dv /f WmiPrvSE!CWhqlObj::WalkTree this");
    assert!(text.contains("this = <value unavailable>\n"), "{text}");
}

#[test]
fn cpp_expressions_over_real_types() {
    let Some(mut s) = ruby() else { return };
    run(&mut s, ".frame 4");
    for (line, expected) in [
        ("?? pCall->_dwServerPid", "unsigned long 0x110\n"),
        ("?? @$teb->LastErrorValue", "unsigned long 0\n"),
        ("?? @eip", "unsigned int 0x7bc0c51c\n"),
        ("?? ((combase!CMessageCall*)0x00adb410)->_iMethodWire + 1", "unsigned long 4\n"),
        ("?? &sig", "unsigned long * 0x0021fc0c\n"),
        ("?? sizeof(CMessageCall)", "unsigned int 0xdc\n"),
        ("?? sizeof(ntdll!_PEB_LDR_DATA)", "unsigned int 0x30\n"),
        ("?? #FIELD_OFFSET(CMessageCall, message.Buffer)", "long 0n108\n"),
        ("?? pCall->_ipid.Data2 == 0x110 && sig != 0", "bool true\n"),
        ("? @@c++(pCall->_dwServerPid) + 1", "Evaluate expression: 273 = 00000111\n"),
        ("? @@(&pCall->_ipid)", "Evaluate expression: 11383860 = 00adb434\n"),
        ("?? (unsigned char)@@masm(poi(pCall+b0))", "unsigned char 0x10 ''\n"),
        ("? `combase.cpp:22`", "Evaluate expression: 7083216 = 006c14d0\n"),
        ("? `combase!combase.cpp:19`", "Evaluate expression: 7083184 = 006c14b0\n"),
        (
            ".frame a; ?? klass",
            "0a 0021fcc4 00401666 ruby!rb_f_send+0x21 [C:\\lab\\ruby.cpp @ 7]\nchar * 0x0021fe78\n \"win32_pnpsigneddriver\"\n",
        ),
        ("?? *argv[0]", "char 0n119 'w'\n"),
        ("?? argv[1]", "char * 0x0042e08c\n \"ExecQuery\"\n"),
        ("?? pCall", "Couldn't resolve error at 'pCall'\n"),
        ("?? klass = 0", "A dump cannot be changed.\n"),
        ("?? 1/0", "Operand error at '/0'\n"),
    ] {
        assert_eq!(run(&mut s, line).0, expected, "{line}");
    }
    run(&mut s, ".frame 4");
    // A pointer to a structure shows what it points at.
    assert!(
        run(&mut s, "?? pCall->_pNextMessage").0.starts_with("class CMessageCall * 0x00000000\n   +0x000 ")
    );
    let (text, _) = run(&mut s, "?? &pCall->_ipid");
    let shown = " {0009042d-0110-0000-5ed7-a7ed59ca66b0}\n   +0x000 Data1            : 0x9042d\n";
    assert!(text.starts_with(&format!("struct _GUID * 0x00adb434\n{shown}")), "{text}");
    let (text, _) = run(&mut s, "?? ntdll!NtClose");
    assert!(text.starts_with("Type information missing error for ntdll!NtClose\nnote: "), "{text}");
    let (text, _) = run(&mut s, "?? *(int *)0");
    assert!(text.starts_with("Memory access error at '*(int *)0'\n"), "{text}");
    let value = json(&mut s, "?? pCall->_dwServerPid");
    assert_eq!((&value["type"], &value["bits"]), (&"unsigned long".into(), &"0x110".into()));
    // Expressions inside each other end.
    let nested = (0..40).fold("1".to_owned(), |t, _| format!("@@c++(@@masm({t}))"));
    assert!(run(&mut s, &format!("? {nested}")).0.contains("nested too deeply"));
}

#[test]
fn x_and_ln_with_types_lines_and_values() {
    let Some(mut s) = ruby() else { return };
    for (line, expected) in [
        (
            "x combase!ThreadSend*",
            "006c14d0          combase!ThreadSendReceive (class CMessageCall *, struct _GUID *)\n",
        ),
        (
            "x /t combase!ThreadSendReceive",
            "006c14d0          long combase!ThreadSendReceive (class CMessageCall *, struct _GUID *)\n",
        ),
        (
            "x /v combase!ThreadSendReceive",
            "prv func   006c14d0            3d combase!ThreadSendReceive (class CMessageCall *, struct _GUID *)\n",
        ),
        ("x /1 combase!ThreadSendReceive", "combase!ThreadSendReceive\n"),
        ("x /2 combase!ThreadSendReceive", "006c14d0          combase!ThreadSendReceive\n"),
        (
            "x /f /s 3d combase!Thread*",
            "006c14d0          combase!ThreadSendReceive (class CMessageCall *, struct _GUID *)\n",
        ),
        ("x /s 3e combase!Thread*", ""),
        ("x ntdll!NtClose", "7bc0b880          ntdll!NtClose (NtClose)\n"),
    ] {
        assert_eq!(run(&mut s, line).0, expected, "{line}");
    }
    let (text, _) = run(&mut s, "ln 006c14f0");
    assert!(text.starts_with("C:\\lab\\combase.cpp(22)"), "{text}");
    assert!(text.contains("(006c14d0)   combase!ThreadSendReceive+0x20   |  (006c1510)   "), "{text}");
    let (text, _) = run(&mut s, "ln combase!ThreadSendReceive");
    assert!(
        text.ends_with(
            "Exact matches:\n    combase!ThreadSendReceive (class CMessageCall *, struct _GUID *)\n"
        ),
        "{text}"
    );
    let symbols = json(&mut s, "x combase!ThreadSendReceive")["symbols"].take();
    assert_eq!((&symbols[0]["type"], &symbols[0]["source"]), (&"long".into(), &"private_pdb".into()));
    // Variables with type and value.
    let (text, _) = run(&mut s, "x /d /t ruby!*");
    assert!(text.lines().any(|l| l.contains(" = 0x") || l.contains(" = 0n")), "{text}");
    let (text, _) = run(&mut s, ".frame a; x kl*; x *");
    assert!(text.contains("char * klass = 0x0021fe78"), "{text}");
}
