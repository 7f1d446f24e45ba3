//! Commands on the lab dumps against the truth in `shared/lab/README.md`.

use dumpscope_engine::{JsonSink, LineStatus, Session, TextSink, run_line};
use dumpscope_symbols::SymbolConfig;
use serde_json::Value;

/// A session on a lab dump, without symbol files; `None` (and a word on stderr) without `shared/`.
fn open(name: &str) -> Option<Session> {
    let Some(shared) = dumpscope_tests::shared() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "shared/ is missing");
        eprintln!("skipped {name}: no shared/ beside the checkout");
        return None;
    };
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    Some(Session::open(&shared.join("lab").join(name), config).unwrap())
}

fn text(session: &mut Session, line: &str) -> String {
    let mut out = Vec::new();
    let status = run_line(session, line, &mut TextSink::new(&mut out, false));
    let out = String::from_utf8(out).unwrap();
    assert_eq!(status, LineStatus::Done, "{line}: {out}");
    out
}

/// The data of a line's first report.
fn json(session: &mut Session, line: &str) -> Value {
    let mut sink = JsonSink::new(false);
    run_line(session, line, &mut sink);
    sink.into_value()[0]["data"].take()
}

#[test]
fn ruby_threads_times_and_the_waited_event() {
    let Some(mut s) = open("ruby-x86.dmp.zst") else { return };
    let threads = json(&mut s, "~");
    assert_eq!(threads["threads"].as_array().unwrap().len(), 3);
    assert_eq!(threads["threads"][0]["tid"], 0x24);
    assert_eq!(threads["threads"][0]["pid"], 0x20);
    let runaway = json(&mut s, "!runaway 7");
    let user = &runaway["sections"][0]["threads"];
    assert_eq!(user[0]["tid"], 0x24);
    let ms = |i: usize| user[i]["ms"].as_u64().unwrap();
    assert!(ms(0) > 10 * ms(1).max(1), "the main thread burned CPU by far: {user}");
    let handle = json(&mut s, "!handle 58 f");
    let event = &handle["handles"][0];
    assert_eq!(event["type"], "Event");
    assert_eq!(event["name"], Value::Null);
    assert_eq!(event["object"]["event"]["manual_reset"], false);
    assert_eq!(event["object"]["event"]["signalled"], false);
    let mutants = json(&mut s, "!handle 0 f Mutant");
    let names: Vec<&str> =
        mutants["handles"].as_array().unwrap().iter().filter_map(|h| h["name"].as_str()).collect();
    assert!(names.iter().any(|n| n.ends_with("chef-client-running")), "{names:?}");
    let events = text(&mut s, "!handle 0 f Event");
    assert!(events.contains("ruby_timer_event"), "{events}");
}

#[test]
fn wmi_threads_handles_and_stacks_without_symbol_files() {
    let Some(mut s) = open("wmiprvse-x64.dmp.zst") else { return };
    let threads = json(&mut s, "~");
    let tids: Vec<u64> =
        threads["threads"].as_array().unwrap().iter().filter_map(|t| t["tid"].as_u64()).collect();
    assert_eq!(tids, [0x114, 0x11c, 0x120, 0x124]);
    let guard = json(&mut s, "!handle 48 f");
    let guard = &guard["handles"][0];
    assert_eq!(guard["name"], r"\BaseNamedObjects\wmi-guard");
    assert!(guard["object"]["mutant"]["count"].as_i64().unwrap() <= 0, "owned: {guard}");
    assert_eq!(guard["object"]["mutant"]["owner_tid"], Value::Null, "no owner record");
    let semaphores = json(&mut s, "!handle 0 f Semaphore");
    let mut sem = semaphores["handles"].as_array().unwrap().iter();
    let sem = sem.rfind(|h| h["name"].as_str().is_some_and(|n| n.ends_with(r"\sem"))).unwrap();
    assert_eq!(sem["object"]["semaphore"], serde_json::json!({ "count": 2, "limit": 5 }));
    let sections = text(&mut s, "!handle 0 f Section");
    assert!(sections.contains(r"\sect"), "{sections}");
    for thread in 1..4 {
        let stack = json(&mut s, &format!("~{thread}k"));
        let frames = stack["frames"].as_array().unwrap();
        let has = |name: &str| frames.iter().any(|f| f["function"] == name);
        assert!(has("RtlEnterCriticalSection") && has("BaseThreadInitThunk"), "{stack}");
        assert_eq!(frames.last().unwrap()["function"], "RtlUserThreadStart");
        assert!(frames.iter().all(|f| f["trust"] == "context" || f["trust"] == "cfi"), "{stack}");
        assert_eq!(stack["end"], "complete");
    }
    let uniq = json(&mut s, "!uniqstack");
    assert_eq!(uniq["total"], 4);
    let found = json(&mut s, "!findstack ntdll!RtlEnterCriticalSection");
    assert_eq!(found["threads"].as_array().unwrap().len(), 3);
}

#[test]
fn wmi_process_and_modules() {
    let Some(mut s) = open("wmiprvse-x64.dmp.zst") else { return };
    let peb = json(&mut s, "!peb");
    assert_eq!(peb["blocks"][0]["image_file"], r"C:\wbem\WmiPrvSE.exe");
    assert_eq!(peb["blocks"][0]["modules"].as_array().unwrap().len(), 5);
    assert!(text(&mut s, "|").contains("id: 110"));
    let modules = json(&mut s, "lmvm ntdll");
    assert_eq!(modules["modules"][0]["version"]["file"], "6.1.7601.24059");
    let strings = modules["modules"][0]["version"]["strings"].to_string();
    assert!(strings.contains("Wine ntdll"), "{strings}");
    let stack = json(&mut s, "!address @$csp");
    assert_eq!((&stack["usage"], &stack["content"]), (&"Stack".into(), &"dump".into()));
    let teb = json(&mut s, "!teb");
    assert_eq!((&teb["blocks"][0]["pid"], &teb["blocks"][0]["tid"]), (&0x110.into(), &0x114.into()));
}

#[test]
fn a_wow64_dump_made_by_windows() {
    let Some(shared) = dumpscope_tests::shared() else { return };
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    let path = shared.join("corpus/lldb/fizzbuzz_wow64.dmp");
    let mut s = Session::open(&path, config).unwrap();
    assert!(text(&mut s, "k").contains("wow64!Wow64LdrpInitialize"));
    assert_eq!(text(&mut s, "!wow64exts.sw"), "Switched to 32bit mode\n");
    let guest = text(&mut s, "k");
    assert!(guest.contains("ntdll!NtWaitForMultipleObjects+0x15"), "{guest}");
    assert!(guest.contains("KERNELBASE!WaitForMultipleObjectsEx"), "{guest}");
    assert_eq!(text(&mut s, ".effmach ."), "Effective machine: x64 (AMD64)\n");
    let info = json(&mut s, "!wow64exts.info");
    assert_eq!((&info["guest"]["teb"], &info["host"]["teb"]), (&"0x7efdd000".into(), &"0x7efdb000".into()));
    let tebs = json(&mut s, "!teb");
    assert_eq!(tebs["blocks"].as_array().unwrap().len(), 2);
}
